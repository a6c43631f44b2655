"""``holdfast events``: append to, read and follow the workspace's event log."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from holdfast.cli.places import Place
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import NotFoundError, UsageError
from holdfast.events import Event, EventLog, Projection
from holdfast.events.loading import load_projections

_STATE = {"state": "State"}
_COLUMNS = {"position": "Position", "stream": "Stream", "version": "Version", "type": "Type"}


@click.group()
def events() -> None:
    """The workspace's event log: facts in streams, in one order, never changed."""


@command(
    events,
    "append",
    examples=[
        """holdfast events append account-7 deposited '{"amount": 5}' --expect 3""",
        "holdfast events append account-8 opened - --expect new < data.json",
    ],
)
@click.argument("stream")
@click.argument("type_", metavar="TYPE")
@click.argument("data")
@click.option(
    "--expect", metavar="N", help="Only if the stream is at version N ('new': has no event yet)."
)
@click.option("--key", help="Does nothing if the stream has an event with this key already.")
def append(
    terminal: Terminal, stream: str, type_: str, data: str, expect: str | None, key: str | None
) -> None:
    """Append an event: DATA is JSON, or - for standard input."""
    value = _parse(sys.stdin.read() if data == "-" else data)
    expected = _expected(expect)
    with terminal.open() as workspace:
        version, position = workspace.events.append(stream, type_, value, expect=expected, key=key)
    document = {"stream": stream, "version": version, "position": position}
    terminal.emit(document, f"{stream} is at version {version} (position {position}).")


@command(
    events,
    "read",
    examples=[
        "holdfast events read",
        "holdfast events read account-7 --from 4 --limit 10",
        "holdfast events read --type deposited --follow",
        "holdfast events read account-6 --archived --json",
    ],
)
@click.argument("stream", required=False)
@click.option(
    "--from", "from_", type=click.IntRange(1), default=1, metavar="N",
    help="Begin with this version (of all streams: position).",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(0), metavar="N", help="The first N events only.")
@click.option("--type", "types", multiple=True, metavar="T", help="Only events of this type.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new events as they are appended.")
@click.option("--archived", is_flag=True, help="Read an archived stream from its file.")
def read(
    terminal: Terminal,
    stream: str | None,
    from_: int,
    limit: int | None,
    types: tuple[str, ...],
    follow: bool,
    archived: bool,
) -> None:
    """Show the events of a stream, or of all in the order they were appended."""
    if follow and (terminal.json or archived or limit is not None):
        raise UsageError("--follow never ends, so it goes with neither --json, --archived, --limit")
    with terminal.open() as workspace:
        log, wanted = workspace.events, types or None
        if follow:
            _print(log.follow(stream, from_=from_, types=wanted), at_once=True)
            return
        found = log.read(stream, from_=from_, limit=limit, types=wanted, archived=archived)
        if terminal.for_people or terminal.json:
            rows = [_row(event, as_text=not terminal.json) for event in found]
            terminal.emit_rows(rows, {**_COLUMNS, "data": "Data"}, empty="There is no event.")
        else:
            _print(found, at_once=False)


@command(
    events,
    "subscribe",
    examples=[
        "holdfast events subscribe mailer --type deposited",
        "holdfast events subscribe mailer --follow",
    ],
)
@click.argument("name")
@click.option("--type", "types", multiple=True, metavar="T", help="Only events of this type.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new events as they are appended.")
def subscribe(terminal: Terminal, name: str, types: tuple[str, ...], follow: bool) -> None:
    """Print the events that NAME has not seen yet, a line each, and store how far it came.

    What was printed and not stored because of a crash is printed again: up to 100 events.
    """
    if terminal.json:
        raise UsageError("subscribe prints a line an event, the data as JSON: it takes no --json")
    with terminal.open() as workspace:
        wait = None if follow else 0.0
        _print(workspace.events.subscribe(name, types=types or None, wait=wait), at_once=True)


@command(events, "subscriptions", examples=["holdfast events subscriptions --json"])
def subscriptions(terminal: Terminal) -> None:
    """List who subscribed, up to which position it came, and how many events are behind that."""
    with terminal.open() as workspace:
        log = workspace.events
        head = log.position()
        rows = [
            {"name": name, "position": position, "behind": head - position}
            for name, position in sorted(log.subscriptions().items())
        ]
    columns = {"name": "Name", "position": "Position", "behind": "Behind"}
    terminal.emit_rows(rows, columns, empty="There is no subscription.")


@command(
    events,
    "project",
    examples=[
        "holdfast events project",
        "holdfast events project shared/projections.py",
        "holdfast events project shared/projections.py balances --rebuild --json",
    ],
)
@click.argument("file", type=Place(dir_okay=False), required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--rebuild", is_flag=True, help="Compute them anew from the first event.")
def project(terminal: Terminal, file: Path | None, names: tuple[str, ...], rebuild: bool) -> None:
    """Bring projections up to date: those that projections(log) in FILE returns, or some of them.

    Without FILE, list what is stored. FILE may register upcasters as well.
    """
    with terminal.open() as workspace:
        log = workspace.events
        if file is None:
            stored = sorted(log.projections().items())
            rows: list[dict[str, Any]] = [
                {"name": name, "position": position} for name, position in stored
            ]
        else:
            rows = [_projected(each, rebuild) for each in _chosen(log, file, names)]
    if file is not None and not terminal.json:
        rows = [{**row, "state": msgspec.json.encode(row["state"]).decode()} for row in rows]
    columns = {"name": "Name", "position": "Position", **({} if file is None else _STATE)}
    terminal.emit_rows(rows, columns, empty="There is no projection.")


@command(events, "streams", examples=["holdfast events streams", "holdfast events streams acc"])
@click.argument("prefix", default="")
@click.option("--archived", is_flag=True, help="The archived streams and their files instead.")
def streams(terminal: Terminal, prefix: str, archived: bool) -> None:
    """List the streams and their versions."""
    with terminal.open() as workspace:
        log = workspace.events
        if archived:
            rows: list[dict[str, Any]] = [
                msgspec.to_builtins(each)
                for each in log.archives()
                if each.stream.startswith(prefix)
            ]
        else:
            rows = [{"stream": name, "version": version} for name, version in log.streams(prefix)]
    columns = {"stream": "Stream", "version": "Version", **({"file": "File"} if archived else {})}
    terminal.emit_rows(rows, columns, empty="There is no stream.")


@command(
    events,
    "archive",
    examples=["holdfast events archive account-6 archive/account-6.jsonl"],
)
@click.argument("stream")
@click.argument("file", type=Place(dir_okay=False))
def archive(terminal: Terminal, stream: str, file: Path) -> None:
    """Move a stream out of the log into a new file of JSON lines; 'unarchive' puts it back."""
    with terminal.open() as workspace:
        done = workspace.events.archive(stream, file)
    terminal.emit(
        msgspec.to_builtins(done), f"{done.version} event(s) of {stream} are now in {done.file}"
    )


@command(events, "unarchive", examples=["holdfast events unarchive account-6"])
@click.argument("stream")
def unarchive(terminal: Terminal, stream: str) -> None:
    """Put an archived stream back into the log; its file stays."""
    with terminal.open() as workspace:
        count = workspace.events.unarchive(stream)
    terminal.emit({"stream": stream, "events": count}, f"{count} event(s) of {stream} are back.")


def _chosen(log: EventLog, file: Path, names: tuple[str, ...]) -> list[Projection]:
    found = {each.name: each for each in load_projections(file, log)}
    for name in names:
        if name not in found:
            raise NotFoundError(
                f"no projection is called {name!r}", path=file, hint=f"it has {', '.join(found)}"
            )
    return [found[name] for name in names or found]


def _projected(projection: Projection, rebuild: bool) -> dict[str, Any]:
    state = projection.rebuild() if rebuild else projection.update()
    return {"name": projection.name, "position": projection.position, "state": state}


def _expected(text: str | None) -> int | Literal["new"] | None:
    if text is None or text == "new":
        return None if text is None else "new"
    if not text.isdecimal():
        raise UsageError(f"--expect is a version from 0 on, or 'new', not {text!r}")
    return int(text)


def _parse(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UsageError(
            f"the data is no JSON: {error}", hint="a text needs quotes of its own: '\"bees\"'"
        ) from error


def _row(event: Event, *, as_text: bool) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(event)
    if as_text:
        row["data"] = msgspec.json.encode(event.data).decode()
    return row


def _print(found: Iterable[Event], *, at_once: bool) -> None:
    """One line an event, with tabs, however many there are."""
    for event in found:
        row = _row(event, as_text=True)
        sys.stdout.write("\t".join(str(row[key]) for key in (*_COLUMNS, "data")) + "\n")
        if at_once:
            sys.stdout.flush()
