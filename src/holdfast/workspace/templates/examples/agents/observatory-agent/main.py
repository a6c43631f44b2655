"""Watches the workspace's logs, queues and runs, writes ``health.json`` here, and serves it.

    python agents/observatory-agent/main.py               look every minute until asked to stop
    python agents/observatory-agent/main.py --once        look once; exits 1 if something is wrong

It is served on this machine only, at the address in ``.holdfast/observatory.json``, which has the
token that every request needs: ``/`` is the health report, ``/reports/NAME`` what an agent wrote to
``shared/reports/``.
"""

import argparse
import secrets
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

import holdfast
from holdfast.durable.documents import write_document
from holdfast.durable.files import write_atomic
from holdfast.errors import HoldfastError
from holdfast.logs import search
from holdfast.upkeep.status import workspace_status

HERE = Path(__file__).parent
HEALTH = HERE / "health.json"
workspace = holdfast.open_workspace(HERE.parents[1])
log = workspace.logger("observatory-agent")

REPORTS = workspace.layout.root / "shared" / "reports"
ADDRESS = workspace.layout.state / "observatory.json"
TYPES = {".json": "application/json", ".md": "text/plain; charset=utf-8"}


class Health(msgspec.Struct, rename="camel"):
    """One look at the workspace; `concerns` is empty when all is well."""

    looked_at: datetime
    concerns: list[str]
    stores: dict[str, str]
    recent_errors: list[str]
    reports: list[str]


def look(window: timedelta) -> Health:
    """Look at every store, and at the errors logged within `window` from now."""
    now = datetime.now(UTC)
    status = workspace_status(workspace)
    errors = search(workspace.layout.logs, level="ERROR", since=now - window)
    recent = [f"{each.data['component']}: {each.data['message']}" for each in errors]
    concerns = [f"{store.name}: {store.problem}" for store in status.stores if store.problem]
    concerns += status.unprotected
    if recent:
        concerns.append(f"{len(recent)} errors logged in the last {window}")
    stores = {store.name: store.holds for store in status.stores}
    return Health(now, concerns, stores, recent, report_names())


def report_names() -> list[str]:
    """The reports that agents wrote, the newest first."""
    found = [path for path in REPORTS.glob("*") if path.suffix in TYPES and path.is_file()]
    return [path.name for path in sorted(found, key=lambda path: -path.stat().st_mtime)]


def report(window: timedelta) -> Health:
    """Look once and write the report."""
    health = look(window)
    write_document(HEALTH, health)
    log.info("Health report written", concerns=len(health.concerns))
    return health


class Pages(BaseHTTPRequestHandler):
    """The health report, and the reports of agents, for whoever knows the token."""

    token = secrets.token_urlsafe(24)

    def do_GET(self) -> None:
        """Answer one request."""
        target = urlsplit(self.path)
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        given = given or parse_qs(target.query).get("token", [""])[0]
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            self.send_error(403, "The token is missing or wrong")
            return
        kind, _, name = target.path.strip("/").partition("/")
        if not kind:
            self._send(HEALTH)
        elif kind == "reports" and unquote(name) in report_names():  # a name, never a path
            self._send(REPORTS / unquote(name))
        else:
            self.send_error(404)

    def _send(self, path: Path) -> None:
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", TYPES[path.suffix])
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: the address has the token."""


def serve(port: int) -> ThreadingHTTPServer:
    """Serve in a thread, on the loopback; the address is in `ADDRESS` for the owner only."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Pages)
    url = f"http://127.0.0.1:{server.server_port}/?token={Pages.token}"
    write_atomic(ADDRESS, msgspec.json.encode({"url": url}) + b"\n", mode=0o600)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def watch(every: float, window: timedelta, port: int, stop: threading.Event) -> None:
    """Look every `every` seconds, and serve what was seen, until `stop` is set."""
    report(window)
    server = serve(port)
    print(f"watching, and serving on port {server.server_port}; see {ADDRESS}", flush=True)
    while not stop.wait(every):
        try:
            report(window)
        except HoldfastError as error:
            log.error("The workspace cannot be looked at", reason=str(error))
    server.shutdown()
    server.server_close()
    log.info("Stopped")


def main() -> None:
    """Watch and serve, or look ``--once``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="look once, print what is wrong")
    parser.add_argument("--every", type=float, default=60, metavar="SECONDS", help="between looks")
    parser.add_argument("--window", type=float, default=60, metavar="MINUTES", help="of errors")
    parser.add_argument("--port", type=int, default=0, help="to serve on; any free one by default")
    given = parser.parse_args()
    window = timedelta(minutes=given.window)
    if given.once:
        concerns = report(window).concerns
        print("\n".join(concerns or ["all is well"]))
        sys.exit(1 if concerns else 0)
    stop = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last is what Windows has
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    watch(given.every, window, given.port, stop)


if __name__ == "__main__":
    main()
