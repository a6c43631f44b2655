"""The blast radius of a leaked value: every place that holds it. The value itself is never told."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.trees import walk
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.guard.secrets.needle import Needle
from holdfast.guard.secrets.places import candidates, shown
from holdfast.guard.secrets.scan import Progress, Unread
from holdfast.history.git import Git
from holdfast.history.git import shown as shown_name
from holdfast.history.repository import Repository
from holdfast.secrets.scanning import opened

_PIECE = 1 << 20
_BATCH = 32 << 20  # bytes of git objects that are in memory at once
_ALL = 1_000_000_000


class TracedPlace(msgspec.Struct, frozen=True, rename="camel"):
    """A place that holds the value: what kind of place, and where."""

    kind: str
    where: str


class Trace(msgspec.Struct, rename="camel"):
    """All places found, and what could not be looked at."""

    places: list[TracedPlace] = []
    unread: list[Unread] = []


def trace(workspace: Workspace, value: str, *, progress: Progress | None = None) -> Trace:
    """Look for `value` everywhere. Raises `UsageError` for a value of a few characters."""
    needle, found = Needle(value), Trace()
    looks: tuple[tuple[str, Callable[[], Iterator[TracedPlace]]], ...] = (
        ("files", lambda: _in_files(workspace, needle, found, progress)),
        ("git", lambda: _in_git(workspace.layout.root, needle)),
        ("backups", lambda: _in_vaults(workspace, needle, found)),
        ("queues", lambda: _in_queues(workspace, needle)),
        ("workflows", lambda: _in_runs(workspace, needle)),
        ("events", lambda: _in_events(workspace, needle)),
    )
    for what, look in looks:
        try:
            found.places.extend(look())
        except NotFoundError:
            continue  # there is no repository, no vault
        except HoldfastError as error:
            found.unread.append(Unread(what, error.message))
    return found


def _in_files(
    workspace: Workspace, needle: Needle, found: Trace, progress: Progress | None
) -> Iterator[TracedPlace]:
    layout = workspace.layout
    files = [(each.path, str(each.place)) for each in candidates(layout)]
    files += [
        (layout.state / entry.path, "state")
        for entry in walk(layout.state, on_error=lambda *_: None)
        if entry.is_file
    ]
    size = 0
    for number, (path, kind) in enumerate(files, 1):
        try:
            with opened(path) as file:
                line = needle.line_in(iter(lambda: file.read(_PIECE), b""))
                size += file.tell()
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = error.strerror or "cannot be read"
            found.unread.append(Unread(shown(path, layout), reason))
            continue
        if line is not None:
            where = shown(path, layout)
            yield TracedPlace(kind, where if kind == "state" else f"{where}:{line}")
        if progress is not None:
            progress(number, size)


def _in_git(root: Path, needle: Needle) -> Iterator[TracedPlace]:
    """Objects are read and searched here: a value on git's command line could be seen by all."""
    git = Repository.find(root).git
    batch: list[bytes] = []
    size = 0
    listed = git.read("cat-file", "--batch-all-objects", "--batch-check").splitlines()
    for number, line in enumerate(listed, 1):
        identity, kind, length = line.split(b" ")
        if kind != b"tree":
            batch.append(identity)
            size += int(length)
        if batch and (size > _BATCH or number == len(listed)):
            for each, content in zip(batch, git.blobs(batch), strict=True):
                if needle.is_in([content]):
                    yield from _commits_of(git, each.decode())
            batch, size = [], 0


def _commits_of(git: Git, identity: str) -> Iterator[TracedPlace]:
    """The commits that brought an object in or took it out, with its paths."""
    if git.line("cat-file", "-t", identity) != b"blob":
        yield TracedPlace("commit", f"{identity[:12]} (its message)")
        return
    arguments = ("--all", "--reflog", f"--find-object={identity}", "--name-only", "-m")
    answer = git.read("log", *arguments, "-z", "--format=%x01%h %cs")
    records = answer.split(b"\x01")[1:]
    for record in records:
        head, *names = filter(None, re.split(rb"[\0\n]+", record))
        for name in dict.fromkeys(names):
            yield TracedPlace("commit", f"{head.decode()} {shown_name(name)}")
    if not records:
        yield TracedPlace("git object", f"{identity[:12]} (in no commit, or staged only)")


def _in_vaults(workspace: Workspace, needle: Needle, found: Trace) -> Iterator[TracedPlace]:
    for site in workspace.sites:
        if site.destination.kind != "snapshot":
            continue
        try:
            paths, findings = workspace.vault_at(site.name).find_content(needle.is_in)
        except NotFoundError:
            continue
        except HoldfastError as error:
            found.unread.append(Unread(f"backups {site.name}", error.message))
            continue
        found.unread += [Unread(each.where, each.problem) for each in findings]
        for path, snapshots in sorted(paths.items()):
            named = ", ".join(each[:12] for each in snapshots)
            yield TracedPlace("snapshot", f"{site.name}: {path} in {named}")


def _in_queues(workspace: Workspace, needle: Needle) -> Iterator[TracedPlace]:
    for name in workspace.queue_names():
        queue = workspace.queue(name)
        for state, messages in (("", queue.peek(_ALL)), (" (dead)", queue.dead(_ALL))):
            for message in messages:
                if needle.is_in([_text([message.body, message.headers, message.reason])]):
                    yield TracedPlace("message", f"{name}: {message.id}{state}")


def _in_runs(workspace: Workspace, needle: Needle) -> Iterator[TracedPlace]:
    engine = workspace.workflows
    for run in engine.list(limit=_ALL):
        if needle.is_in([_text(run)]):
            yield TracedPlace("run", run.id)
        for step in engine.steps(run.id):
            if needle.is_in([_text(step)]):
                yield TracedPlace("step", f"{run.id}:{step.id}")


def _in_events(workspace: Workspace, needle: Needle) -> Iterator[TracedPlace]:
    for event in workspace.events.read():
        if needle.is_in([_text(event.data)]):
            yield TracedPlace("event", f"{event.stream} {event.position}")


def _text(value: Any) -> bytes:
    plain = msgspec.to_builtins(value, enc_hook=str)
    return json.dumps(plain, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
