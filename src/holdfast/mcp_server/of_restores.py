"""Tools that bring things back: restore aside, restore in place, undo.

What replaces anything needs `confirm`: the text that the plan gives, which names the thing and
the plan itself. Who has not seen the plan cannot give it, and a plan that changed has another.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from holdfast.durable.names import is_within
from holdfast.errors import RefusedError, UsageError
from holdfast.facade import Workspace
from holdfast.mcp_server.inputs import Confirm, Destination, Limit, Name, Paths, SnapshotRef
from holdfast.mcp_server.tool import DESTROYS, READS, Tool
from holdfast.recovery.paths import restore_paths

_LONG = 300.0  # seconds
_ASIDE = "restored"
_NAMED = 8  # paths that the text of a confirmation has

Wanted = Annotated[
    Paths,
    Field(description="Files or folders, relative to the workspace; ~/ for the home; none: all."),
]
Component = Annotated[Name, Field(description="Instead of paths: its files and registry entry.")]


def plan_restore(
    workspace: Workspace,
    snapshot: SnapshotRef = "latest",
    paths: Wanted = [],  # noqa: B006
    agent: Component | None = None,
    server: Component | None = None,
    at: Destination | None = None,
) -> Any:
    """What `restore` in place would do: what is created, what is replaced, and whether that is
    newer than the snapshot. Changes nothing. Its `confirm` is what `restore` in place needs."""
    return _Restore(workspace, snapshot, paths, agent, server, at).plan()


def restore(
    workspace: Workspace,
    snapshot: SnapshotRef = "latest",
    paths: Wanted = [],  # noqa: B006
    agent: Component | None = None,
    server: Component | None = None,
    at: Destination | None = None,
    confirm: Confirm | None = None,
) -> Any:
    """Bring files back from a snapshot. Without `confirm` they go into a folder of their own below
    `restored/`, nothing is replaced, and the plan for a restore in place is in the answer. With
    the `confirm` of that plan they go where they were; what was there is kept and `undo` brings it
    back."""
    wish = _Restore(workspace, snapshot, paths, agent, server, at)
    return wish.aside() if confirm is None else wish.in_place(confirm)


def undo_list(workspace: Workspace, limit: Limit = 20) -> Any:
    """What can be undone, the newest first: what each command, tool or agent's tool destroyed."""
    from holdfast.upkeep.undo import list_points

    return {"points": list_points(workspace)[:limit]}


def undo(
    workspace: Workspace,
    point: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{4,64}$", description="Else the last one.")]
    | None = None,
    only: Annotated[Paths, Field(description="Only these paths of a tool's point.")] = [],  # noqa: B006
    confirm: Confirm | None = None,
) -> Any:
    """Undo what one command or tool destroyed. Without `confirm` the plan is returned, with the
    text to confirm it; nothing changes. What the undo replaces is kept in a point of its own."""
    from holdfast.upkeep.undo import undo as carry_out
    from holdfast.upkeep.undo_parts import Choice

    choice = Choice(only)
    plan = carry_out(workspace, point, choice=choice, dry_run=True)
    text = _text(f"undo {plan.point}: {plan.command}", plan.steps)
    if confirm is None:
        return {"done": False, "plan": plan, "confirm": text}
    _check(confirm, text)

    def agree(planned: Any) -> None:
        _check(confirm, _text(f"undo {planned.point}: {planned.command}", planned.steps))

    report = carry_out(workspace, plan.point, choice=choice, consent=agree)
    return {"done": True, "healthy": report.healthy, "report": report}


class _Restore:
    """One restore that was asked for: planned, carried out aside or in place."""

    def __init__(
        self,
        workspace: Workspace,
        snapshot: str,
        paths: list[str],
        agent: str | None,
        server: str | None,
        at: str | None,
    ) -> None:
        if sum(map(bool, (paths, agent, server))) > 1:
            raise UsageError("give paths, or one of agent and server")
        self._workspace = workspace
        self._vault = workspace.vault_at(at)
        self._snapshot = self._vault.resolve(snapshot)
        self._paths = paths
        self._kind: Literal["agent", "server"] = "agent" if agent else "server"
        self._name = agent or server

    def plan(self) -> dict[str, Any]:
        """What a restore in place would do, and the text that confirms it."""
        planned = self._carry_out(dry_run=True)
        return {"done": False, "plan": planned, "confirm": self._confirmation(planned)}

    def aside(self) -> dict[str, Any]:
        """Into a folder of this snapshot's own; nothing in place is touched."""
        root = self._workspace.layout.root
        folder = root / _ASIDE / self._snapshot[:12]
        if not is_within(folder, root):
            raise UsageError("a link leads out of the workspace", path=folder)
        report = self._carry_out(to=folder)
        return {"done": True, "folder": str(folder), "report": report, "inPlace": self.plan()}

    def in_place(self, confirm: str) -> dict[str, Any]:
        """Where the files were, if `confirm` is the text of the plan as it is now."""
        _check(confirm, self._confirmation(self._carry_out(dry_run=True)))
        report = self._carry_out()
        return {"done": True, "healthy": report.healthy, "report": report}

    def _carry_out(self, *, to: Path | None = None, dry_run: bool = False) -> Any:
        if self._name is None:
            return restore_paths(
                self._workspace,
                self._vault,
                self._snapshot,
                self._paths,
                to=to,
                home=None if to is None else to / "home",
                dry_run=dry_run,
            )
        from holdfast.recovery.components import find_component, restore_component
        from holdfast.recovery.source import Source

        source = Source(self._vault, self._snapshot)
        layout, quarantine = self._workspace.layout, self._workspace.quarantine
        found = find_component(source, layout, self._kind, self._name)
        return restore_component(
            source, layout, found, to=to, dry_run=dry_run, quarantine=quarantine
        )

    def _confirmation(self, planned: Any) -> str:
        things = f"{self._kind} {self._name}" if self._name else _named(self._paths)
        files = planned if self._name is None else planned.files
        steps = [] if files is None else files.plan
        return _text(f"restore {things} from snapshot {self._snapshot[:12]} in place", steps)


def _named(paths: list[str]) -> str:
    """The paths, or the first of them: the plan's digest stands for all."""
    if not paths:
        return "the whole workspace"
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _text(what: str, steps: Any) -> str:
    digest = hashlib.sha256(msgspec.json.encode(steps)).hexdigest()
    return f"{what} (plan {digest[:8]})"


def _check(given: str, wanted: str) -> None:
    if given.strip() != wanted:
        raise RefusedError(
            "not confirmed: `confirm` is not the text of this plan, as it is now",
            hint="ask for the plan again (plan_restore, or undo without confirm) and look at it",
        )


TOOLS = (
    Tool(plan_restore, READS, "name some paths; all: holdfast restore S --dry-run --json", _LONG),
    Tool(restore, DESTROYS, "name some paths", _LONG),
    Tool(undo_list, READS, "ask for fewer"),
    Tool(undo, DESTROYS, "all of it: holdfast undo POINT --dry-run --json", _LONG),
)
