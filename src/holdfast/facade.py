"""An opened workspace: the one object through which a program reaches every store of it."""

import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.durable.documents import read_document
from holdfast.durable.names import inside
from holdfast.errors import NotFoundError
from holdfast.workspace.layout import Layout, find_layout
from holdfast.workspace.settings import Settings, read_settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from holdfast.durable.points import OpenPoint, PointLog
    from holdfast.durable.quarantine import Quarantine
    from holdfast.events import EventLog
    from holdfast.history import History
    from holdfast.logs import Logger
    from holdfast.queues import Queue
    from holdfast.registry import AgentRegistry, ServerRegistry
    from holdfast.vault import SnapshotReport, Vault
    from holdfast.workflows import Workflows
    from holdfast.workflows.declarations import Declaration


class Workspace:
    """The stores of one workspace, each opened when it is first asked for.

    Made by `open_workspace`; a context manager, and closed by `close`.
    """

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self._queues: dict[str, Queue] = {}

    @cached_property
    def registry(self) -> "AgentRegistry":
        """The agent registry, ``configs/agents/agent-registry.json``."""
        from holdfast.registry import AgentRegistry

        layout = self.layout
        return AgentRegistry(
            layout.agent_registry,
            generations=layout.generations,
            locks=layout.locks,
            quarantine=layout.quarantine,
            search_roots=(Path.cwd(), layout.root, layout.home),
        )

    @cached_property
    def servers(self) -> "ServerRegistry":
        """The server registry, ``configs/mcp/mcp-registry.json``."""
        from holdfast.registry import ServerRegistry

        layout = self.layout
        return ServerRegistry(
            layout.server_registry,
            generations=layout.generations,
            locks=layout.locks,
            quarantine=layout.quarantine,
        )

    @cached_property
    def workflows(self) -> "Workflows":
        """The runs of this workspace's workflows."""
        from holdfast.workflows import Workflows

        store = self.settings.workflows
        return Workflows(store.url, durability=store.durability)

    def declared_workflow(self, name: str) -> "Declaration":
        """The workflow of ``configs/workflows/<name>.json``, its agents looked up.

        Raises `NotFoundError`, `UnreadableError`, `UsageError` when it cannot be run.
        """
        from holdfast.workflows.declarations import declared_names, read_declaration

        folder = self.layout.workflows
        path = folder / f"{name}.json"
        if name not in declared_names(folder):
            known = ", ".join(declared_names(folder)) or "none"
            raise NotFoundError(f"no workflow {name!r} is declared (known: {known})", path=path)
        return read_declaration(path, self.layout.root, self._command_of_agent)

    def queue(self, name: str, **options: Any) -> "Queue":
        """The durable queue `name`; `options` are those of `holdfast.Queue`."""
        from holdfast.queues import Queue

        if name not in self._queues:
            store = self.settings.queues
            chosen = {"url": store.url, "durability": store.durability, **options}
            self._queues[name] = Queue(name, **chosen)
        return self._queues[name]

    @cached_property
    def events(self) -> "EventLog":
        """The event log of this workspace."""
        from holdfast.events import EventLog

        store = self.settings.events
        return EventLog(store.url, durability=store.durability)

    def logger(self, component: str) -> "Logger":
        """A logger that writes to ``logs/<component>.log``."""
        from holdfast.logs import get_logger

        return get_logger(component, directory=self.layout.logs)

    def queue_names(self) -> list[str]:
        """The names of all queues that were ever used, sorted."""
        from holdfast.queues import list_queues

        return list_queues(self.settings.queues.url)

    @cached_property
    def vault(self) -> "Vault":
        """The vault with this workspace's snapshots. Raises `NotFoundError` before the first."""
        from holdfast.vault import Vault

        return Vault.open(self.settings.backups)

    def snapshot(self, **options: Any) -> "SnapshotReport":
        """Take a snapshot of the workspace and the home's settings; makes a vault if need be.

        `options` are those of `holdfast.vault.Vault.snapshot`.
        """
        from holdfast.vault import Vault

        layout = self.layout
        vault = Vault.create(self.settings.backups)
        return vault.snapshot(
            layout.root,
            home=layout.home,
            workspace_id=layout.id,
            workspace_name=layout.name,
            **options,
        )

    @cached_property
    def history(self) -> "History":
        """The git history of this workspace, in whichever repository holds it."""
        from holdfast.history import History

        return History(self.layout.root, quarantine=self.quarantine)

    @cached_property
    def quarantine(self) -> "Quarantine":
        """What was moved aside instead of being deleted."""
        from holdfast.durable.quarantine import Quarantine

        return Quarantine(self.layout.quarantine)

    @property
    def points(self) -> "PointLog":
        """The undo points of this workspace."""
        from holdfast.durable.points import PointLog

        return PointLog(self.layout.points)

    def point(self, command: str) -> "AbstractContextManager[OpenPoint]":
        """Let what the body destroys be undone by one ``holdfast undo``; `command` is its name."""
        from holdfast.durable.points import recording

        return recording(self.points, command)

    def _command_of_agent(self, agent_id: str) -> list[str]:
        """What runs a registered agent: its file, or the entry of its folder."""
        path = Path(self.registry.get(agent_id).path)
        if path.is_dir():
            described = path / "agent.json"
            facts = read_document(described).data if described.is_file() else {}
            path = inside(path, str(facts.get("entry", "main.py")))
        if not path.is_file():
            raise NotFoundError(f"the file of agent {agent_id} is gone: {path}")
        return [sys.executable, str(path)] if path.suffix == ".py" else [str(path)]

    def close(self) -> None:
        """Close the queues, the events, and the workflows once their started runs have ended."""
        for queue in self._queues.values():
            queue.close()
        self._queues.clear()
        if "events" in self.__dict__:
            self.events.close()
            del self.__dict__["events"]
        if "workflows" in self.__dict__:
            self.workflows.close()
            del self.__dict__["workflows"]

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_workspace(path: Path | str | None = None) -> Workspace:
    """Open the workspace at `path`, else ``$HOLDFAST_WORKSPACE``, else the nearest upwards.

    From then on this process's workflows are kept in it and its loggers write to its ``logs/``.
    Raises `NotFoundError` when there is none, `UnreadableError` when its settings cannot be read.
    """
    from holdfast import logs, workflows

    workspace = _workspace_at(path)
    logs.use_directory(workspace.layout.logs)
    workflows.provide_engine(lambda: workspace.workflows)
    return workspace


def get_registry(path: Path | str | None = None) -> "AgentRegistry":
    """The agent registry of the workspace that `open_workspace` would open."""
    return _workspace_at(path).registry


def _workspace_at(path: Path | str | None) -> Workspace:
    layout = find_layout(None if path is None else Path(path))
    return Workspace(layout, read_settings(layout))
