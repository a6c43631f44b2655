"""The agent registry: ``configs/agents/agent-registry.json``."""

import builtins
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.files import Durability
from holdfast.durable.names import check_identifier
from holdfast.errors import UsageError
from holdfast.registry.checks import Problem, check
from holdfast.registry.discovery import scan, title_of
from holdfast.registry.enrolment import enrol
from holdfast.registry.entries import (
    AGENTS,
    Agent,
    Discovery,
    apply,
    build,
    build_all,
    check_values,
    new_entry,
)
from holdfast.registry.generations import Generation
from holdfast.registry.grouped import GROUPS, Content, GroupedRegistry, Groups
from holdfast.registry.membership import (
    group_of,
    home_of,
    no_such_entry,
    no_such_group,
    refuse_taken,
)
from holdfast.registry.places import locate, resolve


class AgentRegistry:
    """The agents of a workspace, in the JSON file `path`.

    Safe with any number of threads and processes. Every change is on disk at `durability` when its
    call returns, and is a generation below `generations` that `undo` brings back; `keep` bounds
    them. Relative paths are looked for under each of `search_roots` in turn (without any: under
    the current folder). Every method raises `UnreadableError` when the file cannot be read, and
    those that write `BusyError` and `StorageError`; the file is then as it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        generations: Path,
        locks: Path,
        search_roots: Sequence[Path] = (),
        quarantine: Path | None = None,
        keep: int = 50,
        durability: Durability = "power",
    ) -> None:
        self._core = GroupedRegistry(
            AGENTS,
            path,
            generations=generations,
            locks=locks,
            quarantine=quarantine,
            keep=keep,
            durability=durability,
        )
        self._search_roots = tuple(search_roots)
        self._built: tuple[Content, builtins.list[Agent], dict[str, Agent]] | None = None

    @property
    def path(self) -> Path:
        """The registry's file."""
        return self._core.path

    @property
    def search_roots(self) -> tuple[Path, ...]:
        """Where relative paths are looked for, in order."""
        return self._search_roots or (Path.cwd(),)

    def list(self, group: str | None = None) -> builtins.list[Agent]:
        """All agents, or those of one group, in the order of the file.

        Raises `NotFoundError` for a group that is not in the file.
        """
        agents = self._agents()[0]
        if group is None:
            return agents.copy()
        if group not in self._core.read().groups:
            raise no_such_group(group, self._core.read().groups)
        return [agent for agent in agents if agent.group == group]

    def get(self, agent_id: str, /) -> Agent:
        """One agent. Raises `NotFoundError` that names similar ids."""
        by_id = self._agents()[1]
        if agent_id not in by_id:
            raise no_such_entry(AGENTS, agent_id, by_id, self.path)
        return by_id[agent_id]

    def add(
        self,
        agent_id: str,
        /,
        *,
        path: str | Path,
        name: str | None = None,
        group: str = "production",
        status: str = "active",
        description: str | None = None,
        **further: Any,
    ) -> Agent:
        """Register a new agent; `name` is made from the id when none is given.

        A relative `path` is looked for under the search roots. It may lead nowhere yet: `validate`
        reports that. Raises `ConflictError` if the id is taken in any group, also by another
        spelling of its case, and `UsageError` for a bad id, group or value.
        """
        check_identifier(agent_id, "registry id")
        entry = new_entry(
            name=title_of(agent_id) if name is None else name,
            path=resolve(path, self.search_roots),
            status=status,
            description=description,
            further=further,
        )

        def edit(groups: Groups) -> Agent:
            refuse_taken(AGENTS, agent_id, groups, self.path)
            group_of(groups, group)[agent_id] = entry
            return build(agent_id, group, entry)

        return self._core.change(f"add {agent_id}", edit)

    def update(self, agent_id: str, /, **changes: Any) -> Agent:
        """Change keys of an agent: name, path, status, description, group (moves it) or any other.

        A value of None removes the key. Raises `NotFoundError`, `UsageError` for a bad value, and
        `ConflictError` when the id stands in two groups.
        """
        if not isinstance(changes.get("group", ""), str):
            raise UsageError("group must be the name of a group")
        target = changes.pop("group", None)
        if "path" in changes and changes["path"] is not None:
            changes["path"] = resolve(changes["path"], self.search_roots)
        check_values(changes)

        def edit(groups: Groups) -> Agent:
            group = home_of(AGENTS, agent_id, groups, self.path)
            entry = groups[group][agent_id]
            apply(entry, changes)
            if target is not None and target != group:
                group_of(groups, target)[agent_id] = groups[group].pop(agent_id)
            return build(agent_id, target or group, entry)

        return self._core.change(f"update {agent_id}", edit)

    def remove(self, agent_id: str, /) -> Agent:
        """Take an agent out of the registry (its files stay); returns it. `undo` brings it back.

        Raises `NotFoundError`, and `ConflictError` when the id stands in two groups.
        """

        def edit(groups: Groups) -> Agent:
            group = home_of(AGENTS, agent_id, groups, self.path)
            return build(agent_id, group, groups[group].pop(agent_id))

        return self._core.change(f"remove {agent_id}", edit)

    def discover_agents(self, directory: str | Path, *, dry_run: bool = False) -> Discovery:
        """Find the agents in `directory` and register those that are new.

        Files (``director-agent.py``) and folders (``observatory-agent/``) directly in it or in a
        folder named as a group. Name and description are read without running anything. What an
        entry already says stays; only what it lacks is filled in, and a path that leads nowhere
        is set to where the agent was found. Nothing is written when nothing is new.

        Raises `NotFoundError` that names every place tried for a relative `directory`.
        """
        place = locate(directory, self.search_roots)
        groups = dict.fromkeys((*GROUPS, *self._core.read().groups))
        finding = scan(place, tuple(groups))

        def edit(present: Groups) -> Discovery:
            return enrol(finding, present, self.search_roots)

        if dry_run:
            return edit(msgspec.json.decode(msgspec.json.encode(self._core.read().groups)))
        return self._core.change(f"discover {place}", edit)

    def validate(self) -> builtins.list[Problem]:
        """What is wrong with the entries: paths that lead nowhere, ids that stand twice, …"""
        return check(self._core.read().groups, self.search_roots)

    def generations(self) -> builtins.list[Generation]:
        """The kept versions of the file, oldest first; the last is what was last published."""
        return self._core.generations()

    def agents_in(self, generation: Generation) -> builtins.list[Agent]:
        """The agents as they were in `generation`. Raises `UnreadableError` if it is damaged."""
        return build_all(self._core.read_generation(generation))

    def undo(self, generation: int | None = None) -> Generation:
        """Bring back a generation, or the one before the present; returns the one brought back.

        Also the way out when the file is torn (it goes to quarantine) or gone: then the newest
        readable generation comes back. Undo can be undone. Raises `NotFoundError`.
        """
        return self._core.undo(generation)

    def _agents(self) -> tuple[builtins.list[Agent], dict[str, Agent]]:
        content = self._core.read()
        built = self._built
        if built is None or built[0] is not content:
            agents = build_all(content.groups)
            # The first one wins where a hand-edited file has an id in two groups.
            built = (content, agents, {agent.id: agent for agent in reversed(agents)})
            self._built = built
        return built[1], built[2]
