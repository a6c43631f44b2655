"""One snapshot: browsed like a folder, its files, what differs, what a restore does; files by time.

In no navigation: Backups leads to it.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup
from markupsafe import escape as escape_text
from starlette.routing import Route

from holdfast.claude.masking import literal_values, mask_everywhere
from holdfast.errors import UsageError
from holdfast.facade import Workspace
from holdfast.recovery.components import Kind, find_component, restore_component
from holdfast.recovery.paths import restore_paths
from holdfast.recovery.source import Source
from holdfast.secrets.masking import masked_lines
from holdfast.vault import RestoreReport, Vault
from holdfast.vault.browsing import Held, HeldFile
from holdfast.vault.entries import escape, unescape
from holdfast.web.page import Asked, Done, act, after, show
from holdfast.web.pages.backups import chosen_vault, snapshot_path, vault_names
from holdfast.web.paging import page_of
from holdfast.web.plans import check_agreed, digest_of

_ROWS = 200
_READ = 4 << 20  # bytes of a file, so that a document of settings is known by its keys
_SHOWN = 128 * 1024  # bytes of them
_LONGEST_SECRET = 4_096  # characters
_ORDERS: dict[str, Callable[[Held], Any]] = {
    "name": lambda held: (held.kind != "folder", held.name),
    "size": lambda held: (-held.size, held.name),
    "date": lambda held: (-held.modified_at.timestamp() if held.modified_at else 0, held.name),
}


def routes() -> Sequence[Route]:
    return [
        show("/backups/find", "found.html", find),
        show("/backups/at/{at}/{snapshot}", "snapshot.html", browse),
        show("/backups/at/{at}/{snapshot}/file", "snapshot_file.html", file),
        show("/backups/at/{at}/{snapshot}/changes", "changes.html", changes),
        show("/backups/at/{at}/{snapshot}/restore", "restore.html", plan_restore),
        act("/backups/at/{at}/{snapshot}/restore", restore),
    ]


def browse(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """A folder of a snapshot, a page of it."""
    vault, at = chosen_vault(workspace, asked)
    identity = vault.resolve(asked.path["snapshot"])
    path = _path(asked)
    header, found = vault.folder(identity, path)
    order = asked.text("order") or "name"
    if order not in _ORDERS:
        raise UsageError(f"no order is called {order!r}", hint=f"one of: {', '.join(_ORDERS)}")
    name = asked.text("name")
    chosen = [held for held in found if name is None or name.casefold() in held.name.casefold()]
    chosen.sort(key=_ORDERS[order])
    return {
        **_about(at, identity, path),
        "header": header,
        "proof": vault.last_proof(identity),
        **page_of(chosen, asked, _ROWS, _with_address),
        "order": order,
        "orders": list(_ORDERS),
        "size": sum(held.size for held in found),
        "has_home": not path and any(root.name == "home" for root in header.roots),
    }


def file(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """The beginning of a text file in a snapshot, its secrets masked."""
    vault, at = chosen_vault(workspace, asked)
    identity = vault.resolve(asked.path["snapshot"])
    path = _path(asked)
    read = vault.beginning(identity, path, _READ)
    return {
        **_about(at, identity, path),
        "held": read.held,
        "text": _text(read),
        "whole": read.held.size <= _SHOWN,
        "name_pattern": _pattern(path),
    }


def changes(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What differs in another snapshot, or (without `to`) in the files as they are now."""
    vault, at = chosen_vault(workspace, asked)
    identity = vault.resolve(asked.path["snapshot"])
    to = asked.text("to")
    differences = vault.diff(identity, to)
    below, kind = asked.text("below"), asked.text("change")
    kinds = sorted({each.change for each in differences})
    found = [
        each
        for each in differences
        if (below is None or each.path.startswith(below)) and kind in (None, each.change)
    ]
    return {
        **_about(at, identity, ""),
        "to": None if to is None else vault.resolve(to),
        "others": [info for info in reversed(vault.snapshots()) if info.id != identity][:_ROWS],
        **page_of(found, asked, _ROWS, _with_address),
        "kinds": kinds,
        "counts": {kind: sum(each.change == kind for each in differences) for kind in kinds},
    }


def plan_restore(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What a restore would create and replace; nothing is changed."""
    vault, at = chosen_vault(workspace, asked)
    wish = _Wish(workspace, vault, at, asked)
    plan, entry = wish.plan()
    steps = sorted(plan.plan if plan else (), key=lambda step: (not step.newer, step.path))
    return {
        **_about(at, wish.identity, ""),
        "wish": wish,
        "plan": plan,
        "entry": entry,
        "newer": [step.path for step in steps if step.newer],
        **page_of(steps, asked, _ROWS),
        "digest": digest_of([plan and plan.plan, entry]),
        "aside": f"restored/{wish.identity[:12]}",
    }


def restore(workspace: Workspace, asked: Asked) -> Done:
    """Restore what was planned, as an errand. Raises `ConflictError` for another plan by now."""
    vault, at = chosen_vault(workspace, asked)
    wish = _Wish(workspace, vault, at, asked)
    plan, entry = wish.plan()
    check_agreed(asked, [plan and plan.plan, entry])
    back = f"/{wish.kind}s" if wish.kind else snapshot_path(at, wish.identity)
    return after(asked, asked.start(wish.line), back)


def find(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """Where and when a file was: every version of the paths that a pattern matches."""
    vault, at = chosen_vault(workspace, asked)
    pattern = asked.text("pattern")
    report = vault.find(pattern) if pattern else None
    versions = report.versions if report else []
    moments = {info.id: info.started_at for info in vault.snapshots()}
    return {
        "at": at,
        "vaults": vault_names(workspace),
        "pattern": pattern,
        **page_of(versions, asked, _ROWS, _with_address),
        "moments": moments,
        "findings": report.findings if report else [],
    }


class _Wish:
    """A restore that was asked for: some paths or all, or one component; into place or aside."""

    def __init__(self, workspace: Workspace, vault: Vault, at: str, asked: Asked) -> None:
        self._workspace = workspace
        self._vault = vault
        self._at = at
        self.identity = vault.resolve(asked.path["snapshot"])
        self.addresses = [path for path in asked.fields.getlist("path") if path]
        self.paths = [unescape(path) for path in self.addresses]
        self.agent, self.server = asked.text("agent"), asked.text("server")
        if sum(map(bool, (self.paths, self.agent, self.server))) > 1:
            raise UsageError("choose paths, or one agent, or one server")
        self.to = asked.text("to")

    @property
    def kind(self) -> Kind | None:
        return "agent" if self.agent else "server" if self.server else None

    @property
    def name(self) -> str | None:
        return self.agent or self.server

    @property
    def what(self) -> str:
        """What is restored, as people call it."""
        if self.name is not None:
            return f"the {self.kind} {self.name}"
        if len(self.paths) == 1:
            return self.paths[0]
        return f"{len(self.paths)} paths" if self.paths else "the whole workspace"

    @property
    def folder(self) -> Path | None:
        """The side folder; None for a restore into place."""
        return None if self.to is None else self._workspace.layout.root / self.to

    @property
    def target(self) -> Path:
        return self.folder or self._workspace.layout.root

    @property
    def line(self) -> list[str]:
        """The command that carries it out."""
        words = ["restore", self.identity, f"--at={self._at}", "--yes"]
        if self.folder is not None:
            words += [f"--to={self.folder}", f"--home={self.folder / 'home'}"]
        if self.name is not None:
            words.append(f"--{self.kind}={self.name}")
        return [*words, "--", *self.paths] if self.paths else words

    def plan(self) -> tuple[RestoreReport | None, str | None]:
        """What would become of the files, and of the registry entry of a component."""
        if self.kind is None or self.name is None:
            report = restore_paths(
                self._workspace,
                self._vault,
                self.identity,
                self.paths,
                to=self.folder,
                home=None if self.folder is None else self.folder / "home",
                dry_run=True,
            )
            return report, None
        source = Source(self._vault, self.identity)
        found = find_component(source, self._workspace.layout, self.kind, self.name)
        planned = restore_component(
            source, self._workspace.layout, found, to=self.folder, dry_run=True
        )
        return planned.files, planned.entry


def _with_address(item: Any) -> tuple[Any, str]:
    """Something with a path, and that path as an address of one in a snapshot."""
    return item, escape(item.path)


def _about(at: str, identity: str, path: str) -> dict[str, Any]:
    """What every page of a snapshot has: its address, and the folders above a path."""
    names = path.split("/") if path else []
    crumbs = list(zip(names, map(escape, accumulate(names, "{}/{}".format)), strict=True))
    return {
        "at": at,
        "id": identity,
        "here_path": snapshot_path(at, identity),
        "address": escape(path),
        "crumbs": crumbs,
    }


def _path(asked: Asked) -> str:
    return unescape(asked.fields.get("path", ""))


def _pattern(path: str) -> str:
    """The pattern that finds a path in all snapshots."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)


def _text(read: HeldFile) -> Markup | None:
    """The beginning of a file as text that may be shown; None when it is none."""
    known = _values_of_settings(read.beginning) if read.whole else set()
    content = read.beginning[:_SHOWN]
    whole = len(content) == read.held.size
    if not whole and b"\n" in content:  # no line in halves: half a secret has no shape
        content = content[: content.rfind(b"\n") + 1]
    if b"\0" in content:
        return None
    lines = masked_lines(content.splitlines(keepends=True), known)
    text = b"".join(lines).decode("utf-8", "replace")
    if text.count("\N{REPLACEMENT CHARACTER}") > len(text) // 20:
        return None
    masked = mask_everywhere(text)
    return escape_text(masked if whole or "\n" in masked else masked[:-_LONGEST_SECRET])


def _values_of_settings(content: bytes) -> set[str]:
    """The secrets in a JSON document, which its keys tell."""
    try:
        return set(literal_values(msgspec.json.decode(content)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return set()
