"""Servers: which clients see them, how they did when last verified, what a sync would change."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast, get_args

from starlette.routing import Route

from holdfast.errors import HoldfastError, NotFoundError, UsageError
from holdfast.facade import Workspace
from holdfast.registry import Server
from holdfast.registry.clients.rendering import why_not
from holdfast.registry.clients.syncing import SyncReport, sync_servers
from holdfast.registry.server_entries import CLIENTS
from holdfast.services.control import ServiceStatus
from holdfast.services.last_verified import Verified, last_verified
from holdfast.services.verification import Finding, verify_server_settings
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.pages.agents import statuses
from holdfast.web.plans import check_agreed, digest_of
from holdfast.web.rendering import link

PAGE = Page("Servers", "/servers", "servers")

_PATIENCE = 8.0  # seconds that the verification of one server is waited for
SyncScope = Literal["user", "local", "project"]


class Row(NamedTuple):
    """A server as it is listed; `server` is None for one that only a client knows."""

    name: str
    server: Server | None
    visible: dict[str, str]
    verified: Verified | None
    findings: list[Finding]
    status: ServiceStatus | None

    @property
    def state(self) -> str:
        if self.verified is None:
            return "not verified"
        return "works" if self.verified.health.healthy else "fails"

    @property
    def called(self) -> str:
        """Its name without the client's scope that tells it from the registry's."""
        return self.name.partition(" ")[0]

    @property
    def is_started(self) -> bool:
        """Whether a verification would start it: what is inactive no client gets."""
        return self.server is None or self.server.status == "active"

    @property
    def problems(self) -> list[Finding]:
        return [each for each in self.findings if each.problem is not None]


def routes() -> Sequence[Route]:
    return [
        show("/servers", "servers.html", servers),
        show("/servers/of/{name:path}", "server.html", server),
        show("/servers/drift", "drift.html", drift),
        act("/servers/verify", verify),
        act("/servers/sync", sync),
    ]


def servers(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """All servers, and whether the clients have them as they are registered."""
    unreadable = None
    rows: list[Row] = []
    try:
        rows = list(_rows(workspace))
    except HoldfastError as error:
        unreadable = error
    plan, plan_problem = _drift(workspace, "user")
    return {
        "rows": rows,
        "clients": CLIENTS,
        "client_names": [f"In {client.capitalize()}" for client in CLIENTS],
        "unreadable": unreadable,
        "failing": sum(row.state == "fails" for row in rows),
        "plan": plan,
        "plan_problem": plan_problem,
        "errands": [each for each in asked.errands.newest_first() if "servers" in each.line][:5],
    }


def server(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """One server: its settings, its last verification in its own words, what is wrong with it."""
    name = asked.path["name"]
    row = next((row for row in _rows(workspace) if row.name == name), None)
    if row is None:
        raise NotFoundError(f"no server is called {name!r}", hint="holdfast servers list")
    return {"row": row, "clients": CLIENTS}


def drift(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What a sync would change in each client's file, key by key."""
    scope = _scope(asked)
    plan, problem = _drift(workspace, scope)
    return {
        "plan": plan,
        "problem": problem,
        "scope": scope,
        "scopes": get_args(SyncScope),
        "changes": sum(len(file.differences) for file in plan.files) if plan else 0,
        "digest": digest_of(plan.files) if plan else "",
    }


def verify(workspace: Workspace, asked: Asked) -> Done:
    """Start and ask one server, or all, as an errand; a single one is waited for a while."""
    name = asked.text("name")
    if name is None:
        return Done(link("/errands", asked.start(["servers", "verify"]).id))
    errand = asked.start(["servers", "verify", "--", name])
    if asked.errands.wait(errand, _PATIENCE) and errand.status in (0, 1):
        outcome = "works" if errand.status == 0 else "does not work as it should"
        return Done(link("/servers/of", name), f"{name} {outcome}")
    return Done(link("/errands", errand.id))


def sync(workspace: Workspace, asked: Asked) -> Done:
    """Write into the clients' files what was shown. Raises `ConflictError` for another plan."""
    scope = _scope(asked)
    plan = sync_servers(workspace.servers, workspace.layout, scope=scope, dry_run=True)
    check_agreed(asked, plan.files)
    done = sync_servers(workspace.servers, workspace.layout, scope=scope)
    changed = [file for file in done.files if file.differences]
    told = f"Wrote {len(changed)} of {len(done.files)} files; what was in them before is kept"
    return Done("/servers", told)


def _rows(workspace: Workspace) -> Iterator[Row]:
    verified = last_verified(workspace.layout)
    findings = [each for each in verify_server_settings(workspace) if each.problem or each.note]
    running, _ = statuses(workspace)
    registered = workspace.servers.list()
    for each in registered:
        yield Row(
            each.id,
            each,
            {client: _visible(each, client) for client in CLIENTS},
            verified.get(each.id),
            _about(each.id, findings),
            running.get(each.id),
        )
    known = {each.id for each in registered}
    for name, found in verified.items():
        if name not in known:
            yield Row(name, None, {}, found, _about(name.partition(" ")[0], findings), None)


def _visible(each: Server, client: str) -> str:
    """Whether a client is to have a server, in a word or with the reason."""
    if not each.is_for(client):
        return "no"
    return why_not(each, client) or "yes"


def _about(name: str, findings: Sequence[Finding]) -> list[Finding]:
    return [each for each in findings if f"{each.subject} ".startswith(f"server {name} ")]


def _drift(
    workspace: Workspace, scope: SyncScope
) -> tuple[SyncReport | None, HoldfastError | None]:
    try:
        return sync_servers(workspace.servers, workspace.layout, scope=scope, dry_run=True), None
    except HoldfastError as error:
        return None, error


def _scope(asked: Asked) -> SyncScope:
    scope = asked.text("scope") or "user"
    if scope not in get_args(SyncScope):
        raise UsageError(f"no scope is called {scope!r}", hint="user, local or project")
    return cast("SyncScope", scope)
