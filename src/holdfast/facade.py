"""An opened workspace: the one object through which a program reaches every store of it."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.durable.closing import Closing
from holdfast.durable.documents import read_document
from holdfast.durable.names import inside
from holdfast.engines.urls import parse_url
from holdfast.errors import NotFoundError, UsageError
from holdfast.workspace.layout import Layout, find_layout
from holdfast.workspace.settings import Settings, read_settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from holdfast.durable.points import OpenPoint, PointLog
    from holdfast.durable.quarantine import Quarantine
    from holdfast.events import EventLog
    from holdfast.history import History
    from holdfast.logs import Logger
    from holdfast.queues import Message, Queue, Topic
    from holdfast.registry import AgentRegistry, ServerRegistry
    from holdfast.secrets.store import SecretStore
    from holdfast.vault import SnapshotReport, Vault
    from holdfast.vault.backing import Outcome
    from holdfast.vault.sites import Site
    from holdfast.workflows import Run, Workflows
    from holdfast.workflows import Workflow as AnyWorkflow
    from holdfast.workflows.declarations import Declaration
    from holdfast.workspace.settings import BackupKind


Result = TypeVar("Result")


class Workspace(Closing):
    """The stores of one workspace, each opened when it is first asked for.

    ::

        with holdfast.open_workspace() as workspace:
            workspace.queue("jobs").put({"topic": "bees"})
            workspace.snapshot(tags=["evening"])

    Made by `open_workspace`; a context manager, and closed by `close`. Asking for a store raises
    `MissingError` when its engine's driver is not installed, `StorageError` when the engine cannot
    be reached or its folder not be made, and `UnreadableError` for one that is torn or of a newer
    format.
    """

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.ask_passphrase: Callable[[], str | None] | None = None
        self._queues: dict[str, Queue] = {}
        self._topics: dict[str, Topic] = {}
        self._sites: dict[str, Site] = {}

    @cached_property
    def registry(self) -> "AgentRegistry":
        """The agent registry, ``configs/agents/agent-registry.json``; read at each call."""
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
        """The server registry, ``configs/mcp/mcp-registry.json``; read at each call."""
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
        """The runs of this workspace's workflows, at the engine and durability of its settings."""
        from holdfast.workflows import Workflows

        store = self.settings.workflows
        return Workflows(store.url, durability=store.durability)

    def start_from(
        self,
        message: "Message",
        workflow: "AnyWorkflow[..., Result]",
        *args: Any,
        id: str | None = None,  # noqa: A002 - as of `Workflow.start`
        **kwargs: Any,
    ) -> "Run[Result]":
        """Start a run for a message that was taken, and acknowledge the message.

        Where the queues and the workflows have the same ``sqlite:///`` or ``postgresql://``
        database, both is one transaction: the message is gone exactly when the run is there. Else
        it is acknowledged once the run is there. The run's id is ``<workflow>-<message id>`` unless
        given, so that a message that comes again finds the run it has.

        Raises `ConflictError` when the message went to another taker meanwhile; where both is one
        transaction there is then no run.
        """
        from holdfast.engines.identity import database_identity
        from holdfast.engines.outbox import open_outbox

        workflows = self.workflows
        together = workflows.database == database_identity(self.settings.queues.url)
        with open_outbox(workflows.database):
            if together:
                message.ack()
            run_id = id or f"{workflow.name}-{message.id}"
            run = workflows.start(workflow, args, kwargs, run_id=run_id)
        if not together:
            message.ack()
        return run

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
        return read_declaration(path, self.layout.root, self.command_of_agent, self._file_of_server)

    def queue(self, name: str, **options: Any) -> "Queue":
        """The durable queue `name`, made if missing; `options` are those of `holdfast.Queue`.

        Its engine and durability are those of the settings. Asked for again, it is the same object,
        and `options` of the first call hold.
        ``<topic>@<subscription>`` names a subscription, which has to be there (`NotFoundError`).
        """
        from holdfast.queues import Queue

        if name not in self._queues:
            topic, at, subscription = name.partition("@")
            if at:
                self._queues[name] = self._known_topic(topic).subscription(subscription, **options)
                return self._queues[name]
            store = self.settings.queues
            chosen = {"url": store.url, "durability": store.durability, **options}
            self._queues[name] = Queue(name, **chosen)
        return self._queues[name]

    def existing_queue(self, name: str) -> "Queue":
        """The queue or subscription `name`. Raises `NotFoundError`; `UsageError` for a topic."""
        if name in self.topic_names():
            raise UsageError(
                f"{name!r} is a topic", hint=f"name one of its subscriptions: {name}@SUBSCRIPTION"
            )
        if "@" not in name and name not in self.queue_names():
            raise NotFoundError(
                f"there is no queue {name!r}",
                hint=f"holdfast queues list; a new one is made by: holdfast queues put {name} BODY",
            )
        return self.queue(name)

    def queue_rows(self) -> list[dict[str, Any]]:
        """Every queue, topic and subscription with what is in it, as plain data."""
        from holdfast.queues.overview import queue_row, topic_rows

        rows = [queue_row(self.queue(name)) for name in self.queue_names()]
        for name in self.topic_names():
            rows += topic_rows(self.topic(name))
        return rows

    def topic(self, name: str, **options: Any) -> "Topic":
        """The topic `name`, made if missing; `options` are those of `holdfast.queues.Topic`."""
        from holdfast.queues import Topic

        if name not in self._topics:
            store = self.settings.queues
            chosen = {"url": store.url, "durability": store.durability, **options}
            self._topics[name] = Topic(name, **chosen)
        return self._topics[name]

    def topic_names(self) -> list[str]:
        """The names of all topics that were ever used, sorted."""
        from holdfast.queues import list_topics

        return list_topics(self.settings.queues.url)

    def _known_topic(self, name: str) -> "Topic":
        if name not in self.topic_names():
            raise NotFoundError(
                f"there is no topic {name!r}", hint="holdfast queues list shows the topics"
            )
        return self.topic(name)

    @cached_property
    def events(self) -> "EventLog":
        """The event log of this workspace, at the engine and durability of its settings."""
        from holdfast.events import EventLog

        store = self.settings.events
        return EventLog(store.url, durability=store.durability)

    def logger(self, component: str) -> "Logger":
        """A logger that writes to ``logs/<component>.log``, from level INFO on.

        Raises `UsageError` for a component that cannot be a file name.
        """
        from holdfast.logs import get_logger

        return get_logger(component, directory=self.layout.logs)

    def queue_names(self) -> list[str]:
        """The names of all queues that were ever used, sorted."""
        from holdfast.queues import list_queues

        return list_queues(self.settings.queues.url)

    @cached_property
    def vault(self) -> "Vault":
        """The vault with this workspace's snapshots. Raises `NotFoundError` before the first."""
        return self.vault_at(None)

    def vault_at(self, destination: str | None) -> "Vault":
        """The vault of a destination; the first one's when None. Raises `NotFoundError`.

        An encrypted vault asks `ask_passphrase` when it needs one and has none.
        """
        from holdfast.vault import Vault

        return Vault(self.site(destination).open())

    @property
    def sites(self) -> "list[Site]":
        """The destinations of this workspace's backups."""
        return [self.site(each.name) for each in self.settings.destinations]

    def site(self, destination: str | None) -> "Site":
        """One destination by its name; the first of snapshots when None. Raises `NotFoundError`."""
        from holdfast.vault.sites import Site

        chosen = self.settings.destination(destination)
        if chosen.name not in self._sites:
            self._sites[chosen.name] = Site(self.layout, chosen, self.ask_passphrase)
        return self._sites[chosen.name]

    def snapshot(self, **options: Any) -> "SnapshotReport":
        """Take a snapshot of the workspace and the home's settings; makes a vault if need be.

        It goes to the first destination of snapshots. `options` are those of
        `holdfast.vault.Vault.snapshot`. What could not be read is in the report's `problems`; see
        its `healthy`. Raises `StorageError` when the folder cannot be written.
        """
        from holdfast.vault import Vault

        vault = Vault(self.site(None).make())
        return vault.snapshot(**self._order(), **options)

    def back_up(
        self, to: Sequence[str] = (), *, kind: "BackupKind | None" = None, **options: Any
    ) -> "list[Outcome]":
        """Back the workspace up to all destinations, or to those named or of one `kind`.

        What fails at one is in its outcome and does not keep the others back. `options` are those
        of `holdfast.vault.Vault.snapshot`. Raises `NotFoundError` for an unknown name.
        """
        from holdfast.vault.backing import back_up
        from holdfast.vault.create import Order

        sites = [self.site(name) for name in to] if to else self._sites_of(kind)
        return back_up(sites, Order(**self._order(), **options))

    def _sites_of(self, kind: "BackupKind | None") -> "list[Site]":
        """All destinations, or those of a kind; without one, archives and copies go beside."""
        from holdfast.vault.sites import Site
        from holdfast.workspace.settings import Destination

        sites = [site for site in self.sites if kind in (None, site.destination.kind)]
        if sites or kind not in ("archive", "copy"):
            return sites or [self.site(None)]
        folder = self.layout.backups.parent
        name = "archives" if kind == "archive" else "copies"
        beside = Destination(name=name, folder=folder, kind=kind, declared=False)
        return [Site(self.layout, beside, self.ask_passphrase)]

    def _order(self) -> dict[str, Any]:
        layout = self.layout
        return {
            "root": layout.root,
            "home": layout.home,
            "workspace_id": layout.id,
            "workspace_name": layout.name,
            "away": [each.folder for each in self.settings.destinations],
            "point": os.urandom(16).hex(),
            "stores": list(self.store_paths().values()),
        }

    def store_paths(self) -> dict[str, str]:
        """The stores that lie in this workspace, by name: their files or folders in it."""
        layout, settings = self.layout, self.settings
        places: dict[str, Path | None] = {
            "agents": layout.agent_registry,
            "servers": layout.server_registry,
            "workflows": parse_url(settings.workflows.url).path,
            "queues": parse_url(settings.queues.url).path,
            "events": parse_url(settings.events.url).path,
            "logs": layout.logs,
        }
        return {
            name: place.relative_to(layout.root).as_posix()
            for name, place in places.items()
            if place is not None and place.is_relative_to(layout.root)
        }

    @cached_property
    def history(self) -> "History":
        """The git history of this workspace, in whichever repository holds it.

        Its methods raise `MissingError` without git, `NotFoundError` without a repository.
        """
        from holdfast.history import History

        return History(self.layout.root, quarantine=self.quarantine)

    @cached_property
    def quarantine(self) -> "Quarantine":
        """What was moved aside instead of being deleted, to be listed, restored or emptied."""
        from holdfast.durable.quarantine import Quarantine

        return Quarantine(self.layout.quarantine)

    @cached_property
    def secrets(self) -> "SecretStore":
        """The secrets that ``${secret:NAME}`` refers to, in the keyring or encrypted."""
        from holdfast.secrets.store import SecretStore, default_identity

        return SecretStore(self.layout.secrets, self.layout.id, default_identity())

    @property
    def points(self) -> "PointLog":
        """The undo points of this workspace."""
        from holdfast.durable.points import PointLog

        return PointLog(self.layout.points)

    def point(self, command: str) -> "AbstractContextManager[OpenPoint]":
        """Let what the body destroys be undone by one ``holdfast undo``; `command` is its name."""
        from holdfast.durable.points import recording

        return recording(self.points, command)

    def command_of_agent(self, agent_id: str) -> list[str]:
        """What runs a registered agent: its file, or the entry of its folder.

        Raises `NotFoundError` for an unknown agent, or one whose file is gone.
        """
        path = Path(self.registry.get(agent_id).path)
        if path.is_dir():
            described = path / "agent.json"
            facts = read_document(described).data if described.is_file() else {}
            path = inside(path, str(facts.get("entry", "main.py")))
        if not path.is_file():
            raise NotFoundError(f"the file of agent {agent_id} is gone: {path}")
        return [sys.executable, str(path)] if path.suffix == ".py" else [str(path)]

    def _file_of_server(self, name: str) -> Path:
        """The file that describes an MCP server: the registry, else a file of Claude's."""
        from holdfast.workflows.mcp_tools import server_names

        layout = self.layout
        files = [layout.server_registry, layout.root / ".mcp.json"]
        files += [layout.home / ".mcp.json", layout.home / ".claude.json"]
        for file in files:
            if name in server_names(file):
                return file
        known = ", ".join(sorted({name for file in files for name in server_names(file)})) or "none"
        raise NotFoundError(
            f"there is no MCP server {name!r} (known: {known})", path=layout.server_registry
        )

    def close(self) -> None:
        """Close the queues, the events, and the workflows once their started runs have ended."""
        for queue in self._queues.values():
            queue.close()
        self._queues.clear()
        for topic in self._topics.values():
            topic.close()
        self._topics.clear()
        if "events" in self.__dict__:
            self.events.close()
            del self.__dict__["events"]
        if "workflows" in self.__dict__:
            self.workflows.close()
            del self.__dict__["workflows"]


def open_workspace(path: Path | str | None = None, settings: Sequence[str] = ()) -> Workspace:
    """Open the workspace at `path`, else ``$HOLDFAST_WORKSPACE``, else the nearest upwards.

    `settings` are texts such as ``queues.url=memory://`` that override all others.
    From then on this process's workflows are kept in it and its loggers write to its ``logs/``.
    Raises `NotFoundError` when there is none, `UnreadableError` when its settings cannot be read.
    """
    from holdfast import logs, workflows

    workspace = workspace_at(path, settings)
    logs.use_directory(workspace.layout.logs)
    workflows.provide_engine(lambda: workspace.workflows)
    return workspace


def get_registry(path: Path | str | None = None) -> "AgentRegistry":
    """The agent registry of the workspace that `open_workspace` would open.

    Raises `NotFoundError` when there is none, `UnreadableError` when its settings cannot be read.
    """
    return workspace_at(path).registry


def workspace_at(path: Path | str | None, settings: Sequence[str] = ()) -> Workspace:
    """As `open_workspace`, for who opens it often: this process's workflows and logs stay."""
    layout = find_layout(None if path is None else Path(path))
    return Workspace(layout, read_settings(layout, settings))
