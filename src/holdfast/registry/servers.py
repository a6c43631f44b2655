"""The server registry: ``configs/mcp/mcp-registry.json``."""

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.durable.files import Durability
from holdfast.errors import UsageError
from holdfast.registry.generations import Generation
from holdfast.registry.grouped import GroupedRegistry, Groups
from holdfast.registry.membership import (
    group_of,
    home_of,
    no_such_entry,
    no_such_group,
    refuse_taken,
)
from holdfast.registry.server_entries import (
    OWN_KEYS,
    SERVERS,
    Server,
    build_server,
    build_servers,
    check_server,
    check_server_name,
    new_server_entry,
)


class ServerRegistry:
    """The MCP servers of a workspace, in the JSON file `path`.

    Safe with any number of threads and processes; every change is a generation that `undo` brings
    back. Raises as `AgentRegistry` does.
    """

    def __init__(
        self,
        path: Path,
        *,
        generations: Path,
        locks: Path,
        quarantine: Path | None = None,
        keep: int = 50,
        durability: Durability = "power",
    ) -> None:
        self._core = GroupedRegistry(
            SERVERS,
            path,
            generations=generations,
            locks=locks,
            quarantine=quarantine,
            keep=keep,
            durability=durability,
        )

    @property
    def path(self) -> Path:
        """The registry's file."""
        return self._core.path

    def list(self, group: str | None = None) -> builtins.list[Server]:
        """All servers, or those of one group, in the order of the file.

        Raises `NotFoundError` for a group that is not in the file.
        """
        groups = self._core.read().groups
        if group is None:
            return build_servers(groups)
        if group not in groups:
            raise no_such_group(group, groups)
        return build_servers({group: groups[group]})

    def get(self, name: str, /) -> Server:
        """One server. Raises `NotFoundError` that names similar ones."""
        by_name = {server.id: server for server in reversed(self.list())}
        if name not in by_name:
            raise no_such_entry(SERVERS, name, by_name, self.path)
        return by_name[name]

    def add(
        self,
        name: str,
        /,
        *,
        group: str = "production",
        status: str = "active",
        description: str | None = None,
        clients: Sequence[str] | None = None,
        **settings: Any,
    ) -> Server:
        """Register a server; `settings` are the client's keys: command, args, env, url, …

        Raises `ConflictError` if the name is taken, `UsageError` for what no client could use.
        """
        chosen = None if clients is None else [*clients]
        entry = new_server_entry(settings, status=status, description=description, clients=chosen)
        self.add_many({name: entry}, group=group)
        return build_server(name, group, entry)

    def add_many(
        self,
        entries: Mapping[str, Mapping[str, Any]],
        *,
        group: str = "production",
        replace: bool = False,
    ) -> None:
        """Register several at once, as one generation; with `replace` also over present ones.

        What is Holdfast's own in a replaced one (status, service, …) stays unless given.
        """
        for name, entry in entries.items():
            check_server_name(name)
            check_server(entry)

        def edit(groups: Groups) -> None:
            for name, entry in entries.items():
                homes = [each for each, present in groups.items() if name in present]
                if homes and replace:
                    present = groups[homes[0]][name]
                    own = {key: present[key] for key in OWN_KEYS if key in present}
                    groups[homes[0]][name] = {**entry, **{k: own[k] for k in own if k not in entry}}
                else:
                    refuse_taken(SERVERS, name, groups, self.path)
                    group_of(groups, group)[name] = {**entry}

        self._core.change(f"add {', '.join(entries)}", edit)

    def update(self, name: str, /, **changes: Any) -> Server:
        """Change keys of a server; a value of None removes the key, ``group`` moves it.

        Raises `NotFoundError`, `UsageError`.
        """
        target = changes.pop("group", None)
        if target is not None and not isinstance(target, str):
            raise UsageError("group must be the name of a group")

        def edit(groups: Groups) -> Server:
            group = home_of(SERVERS, name, groups, self.path)
            entry = {**groups[group][name], **changes}
            entry = {key: value for key, value in entry.items() if value is not None}
            check_server(entry)
            groups[group][name] = entry
            if target is not None and target != group:
                group_of(groups, target)[name] = groups[group].pop(name)
            return build_server(name, target or group, entry)

        return self._core.change(f"update {name}", edit)

    def remove(self, name: str, /) -> Server:
        """Take a server out of the registry; returns it. `undo` brings it back.

        Clients lose it at the next sync. Raises `NotFoundError`.
        """

        def edit(groups: Groups) -> Server:
            group = home_of(SERVERS, name, groups, self.path)
            return build_server(name, group, groups[group].pop(name))

        return self._core.change(f"remove {name}", edit)

    def generations(self) -> builtins.list[Generation]:
        """The kept versions of the file, oldest first."""
        return self._core.generations()

    def servers_in(self, generation: Generation) -> builtins.list[Server]:
        """The servers as they were in `generation`. Raises `UnreadableError` if it is damaged."""
        return build_servers(self._core.read_generation(generation))

    def undo(self, generation: int | None = None) -> Generation:
        """Bring back a generation, or the one before the present, as `AgentRegistry.undo` does."""
        return self._core.undo(generation)
