"""An opened workspace: the one object through which a program reaches every store of it."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.workspace.layout import Layout, find_layout
from holdfast.workspace.settings import Settings, read_settings

if TYPE_CHECKING:
    from holdfast.durable.quarantine import Quarantine
    from holdfast.logs import Logger
    from holdfast.queues import Queue
    from holdfast.registry import AgentRegistry
    from holdfast.vault import Vault
    from holdfast.workflows import Workflows


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
            search_roots=(Path.cwd(), layout.root, layout.home),
        )

    @cached_property
    def workflows(self) -> "Workflows":
        """The runs of this workspace's workflows."""
        from holdfast.workflows import Workflows

        store = self.settings.workflows
        return Workflows(store.url, durability=store.durability)

    def queue(self, name: str, **options: Any) -> "Queue":
        """The durable queue `name`; `options` are those of `holdfast.Queue`."""
        from holdfast.queues import Queue

        if name not in self._queues:
            store = self.settings.queues
            chosen = {"url": store.url, "durability": store.durability, **options}
            self._queues[name] = Queue(name, **chosen)
        return self._queues[name]

    def logger(self, component: str) -> "Logger":
        """A logger that writes to ``logs/<component>.log``."""
        from holdfast.logs import get_logger

        return get_logger(component, directory=self.layout.logs)

    @cached_property
    def vault(self) -> "Vault":
        """The vault with this workspace's snapshots; made when there is none."""
        from holdfast.vault import Vault

        return Vault.create(self.settings.backups)

    @cached_property
    def quarantine(self) -> "Quarantine":
        """What was moved aside instead of being deleted."""
        from holdfast.durable.quarantine import Quarantine

        return Quarantine(self.layout.quarantine)

    def close(self) -> None:
        """Close the queues and the workflow store; runs in progress are not waited for."""
        for queue in self._queues.values():
            queue.close()
        self._queues.clear()
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

    layout = find_layout(None if path is None else Path(path))
    workspace = Workspace(layout, read_settings(layout))
    logs.use_directory(layout.logs)
    workflows.use_engine(lambda: workspace.workflows)
    return workspace


def get_registry(path: Path | str | None = None) -> "AgentRegistry":
    """The agent registry of the workspace that `open_workspace` would open."""
    layout = find_layout(None if path is None else Path(path))
    return Workspace(layout, read_settings(layout)).registry
