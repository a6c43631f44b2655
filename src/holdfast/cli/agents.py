"""``holdfast agents``: the agent registry."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UnreadableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.registry import Agent

_TEXTS = ("name", "path", "status", "description", "group")
_COLUMNS = {"id": "Id", "group": "Group", "status": "Status", "name": "Name", "path": "Path"}
_PROBLEM_COLUMNS = {"id": "Id", "group": "Group", "path": "Path", "message": "Problem"}


@click.group()
def agents() -> None:
    """The agent registry: who is there, discovery, history and undo."""


@command(agents, "list", examples=["holdfast agents list", "holdfast agents list --group staging"])
@click.option("--group", help="Only this group.")
def list_(terminal: Terminal, group: str | None) -> None:
    """List the registered agents."""
    rows = [_row(agent) for agent in terminal.open().registry.list(group)]
    terminal.emit_rows(rows, _COLUMNS, empty="No agents. Find them with: holdfast agents discover")


@command(agents, "show", examples=["holdfast agents show director-agent"])
@click.argument("agent_id", metavar="ID")
def show(terminal: Terminal, agent_id: str) -> None:
    """Show all that is known of one agent."""
    agent = terminal.open().registry.get(agent_id)
    terminal.emit(agent, lambda: _card(agent))


@command(
    agents,
    "add",
    examples=[
        "holdfast agents add director-agent --path agents/director-agent.py",
        "holdfast agents add scout --path agents/scout --group staging --name 'The Scout'",
    ],
)
@click.argument("agent_id", metavar="ID")
@click.option("--path", required=True, help="Its file or folder.")
@click.option("--name", help="What people call it; else made from the id.")
@click.option("--group", default="production", show_default=True, help="The group it is put into.")
@click.option("--status", default="active", show_default=True, help="E.g. active, inactive.")
@click.option("--description", help="What it does, in a sentence.")
def add(terminal: Terminal, agent_id: str, **values: Any) -> None:
    """Register an agent."""
    registry = terminal.open().registry
    agent = registry.add(agent_id, **values)
    for problem in registry.validate():
        if problem.id == agent_id:
            terminal.note(f"note: {problem.message}: {problem.path}")
    terminal.emit(agent, f"Registered {agent.id} in {agent.group}: {agent.path}")


@command(
    agents,
    "set",
    examples=[
        "holdfast agents set director-agent status=inactive",
        "holdfast agents set director-agent group=staging owner=Ann 'tags=[\"night\"]'",
        "holdfast agents set director-agent owner=null",
    ],
)
@click.argument("agent_id", metavar="ID")
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
def set_(terminal: Terminal, agent_id: str, changes: tuple[str, ...]) -> None:
    """Change keys of an agent. group=… moves it; a value is JSON if it can be; null removes."""
    agent = terminal.open().registry.update(agent_id, **dict(map(_assignment, changes)))
    terminal.emit(agent, lambda: _card(agent))


@command(agents, "remove", examples=["holdfast agents remove scout --yes"])
@click.argument("agent_id", metavar="ID")
@click.option("--dry-run", is_flag=True, help="Show what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(terminal: Terminal, agent_id: str, dry_run: bool, yes: bool) -> None:
    """Take an agent out of the registry. Its files stay; undo brings the entry back."""
    registry = terminal.open().registry
    agent = registry.get(agent_id)
    if not dry_run:
        question = f"Take {agent_id} out of the registry?"
        terminal.require_consent(question, yes=yes, hint="look first with --dry-run, then --yes")
        agent = registry.remove(agent_id)
    done = "Would remove" if dry_run else "Removed"
    way_back = "" if dry_run else " (bring it back with: holdfast agents undo)"
    terminal.emit({"dryRun": dry_run, "agent": agent}, f"{done} {agent_id}{way_back}")


@command(
    agents,
    "discover",
    examples=["holdfast agents discover", "holdfast agents discover development/agents --dry-run"],
)
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be registered, change nothing.")
def discover(terminal: Terminal, directory: str | None, dry_run: bool) -> None:
    """Find agents in DIR (else the workspace's agents/) and register the new ones."""
    workspace = terminal.open()
    place = directory or workspace.layout.agents
    discovery = workspace.registry.discover_agents(place, dry_run=dry_run)
    for problem in discovery.problems:
        terminal.note(f"note: {problem.path}: {problem.message}")
    for agent in discovery.missing:
        terminal.note(f"note: {agent.id} is registered, but gone: {agent.path}")
    lines = [f"+ {agent.id} ({agent.group}): {agent.path}" for agent in discovery.added]
    lines += [f"~ {agent.id} ({agent.group}): {agent.path}" for agent in discovery.updated]
    counts = f"{len(discovery.found)} found: {len(discovery.added)} new, "
    counts += f"{len(discovery.updated)} updated, {len(discovery.unchanged)} unchanged"
    lines.append(counts + (" (nothing was written)" if dry_run else ""))
    terminal.emit({"dryRun": dry_run, **msgspec.to_builtins(discovery)}, "\n".join(lines))


@command(agents, "history", examples=["holdfast agents history"])
def history(terminal: Terminal) -> None:
    """List the registry's generations, oldest first, and what changed in each."""
    registry = terminal.open().registry
    rows: list[dict[str, Any]] = []
    before: dict[str, Agent] = {}
    for generation in registry.generations():
        try:
            now = {agent.id: agent for agent in registry.agents_in(generation)}
            changes = _changes(before, now) if rows else f"{len(now)} agents"
            before = now
        except UnreadableError as error:
            changes = error.message
        rows.append(
            {
                "generation": generation.number,
                "publishedAt": generation.published_at.isoformat().replace("+00:00", "Z"),
                "changes": changes,
                "path": str(generation.path),
            }
        )
    columns = {"generation": "Generation", "publishedAt": "Published", "changes": "Changes"}
    terminal.emit_rows(rows, columns, empty="No generation yet: nothing was changed so far.")


@command(agents, "undo", examples=["holdfast agents undo", "holdfast agents undo 41"])
@click.argument("generation", type=int, required=False)
def undo(terminal: Terminal, generation: int | None) -> None:
    """Bring back the generation before the present, or GENERATION. Can itself be undone.

    A registry that cannot be read goes to quarantine first; then its newest readable generation
    comes back.
    """
    registry = terminal.open().registry
    brought = registry.undo(generation)
    count = len(registry.list())
    terminal.emit(
        {"generation": brought.number, "publishedAt": brought.published_at, "agents": count},
        f"Brought back generation {brought.number} of {brought.published_at:%Y-%m-%d %H:%M:%S} "
        f"UTC: {count} agents",
    )


@command(agents, "validate", examples=["holdfast agents validate"])
def validate(terminal: Terminal) -> int:
    """Check the entries: paths that lead nowhere, ids that stand twice. Exits 1 if any is wrong."""
    problems = terminal.open().registry.validate()
    rows = [msgspec.to_builtins(problem) for problem in problems]
    terminal.emit_rows(rows, _PROBLEM_COLUMNS, empty="All entries are in order.")
    return 1 if problems else 0


def _assignment(text: str) -> tuple[str, Any]:
    """``KEY=VALUE``: known keys are texts, others JSON if it can be read as such; null is None."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f"{text!r} is no KEY=VALUE")
    if value == "null":
        return key, None
    if key in _TEXTS:
        return key, value
    try:
        return key, msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return key, value


def _row(agent: "Agent") -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(agent)
    return row


def _card(agent: "Agent") -> str:
    facts = _row(agent)
    facts.update(facts.pop("further"))
    return "\n".join(f"{key}: {value}" for key, value in facts.items() if value is not None)


def _changes(before: "Mapping[str, Agent]", now: "Mapping[str, Agent]") -> str:
    """What happened between two generations, e.g. ``+scout ~director-agent``."""
    marks = [f"+{agent_id}" for agent_id in now if agent_id not in before]
    marks += [f"-{agent_id}" for agent_id in before if agent_id not in now]
    marks += [f"~{key}" for key in now if key in before and now[key] != before[key]]
    shown = " ".join(marks[:5]) or "nothing in the entries"
    return shown if len(marks) <= 5 else f"{shown} and {len(marks) - 5} more"
