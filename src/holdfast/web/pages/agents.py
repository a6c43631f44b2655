"""Agents: who is registered, what runs, what is gone and comes back."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from starlette.routing import Route

from holdfast.errors import HoldfastError, NotFoundError, UsageError
from holdfast.facade import Workspace
from holdfast.logs import search
from holdfast.recovery.lost import Lost, lost_agents
from holdfast.registry import Problem
from holdfast.services import control
from holdfast.services.control import ServiceStatus
from holdfast.web.page import Asked, Done, Page, act, after, show
from holdfast.web.paging import page_of
from holdfast.web.rendering import link

PAGE = Page("Agents", "/agents", "agents")

_ROWS = 200
_LINES = 60
_VERBS = ("start", "stop", "restart")


def routes() -> Sequence[Route]:
    return [
        show("/agents", "agents.html", agents),
        show("/agents/of/{id:path}", "agent.html", agent),
        act("/agents/discover", discover),
        act("/agents/registry", bring_registry_back),
        act("/agents/remove", remove),
        act("/agents/serve", serve),
        act("/services/{verb}", change_service),
    ]


def agents(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """The registry with what runs of it, and what is gone since the last snapshot."""
    registry = workspace.registry
    unreadable = None
    known, wrong = [], defaultdict[str | None, list[Problem]](list)
    try:
        known = registry.list()
        for problem in registry.validate():
            wrong[problem.id].append(problem)
    except HoldfastError as error:
        unreadable = error
    services, services_problem = statuses(workspace)
    lost, lost_problem = _lost(workspace)
    group, text = asked.text("group"), (asked.text("text") or "").casefold()
    groups = list(dict.fromkeys(each.group for each in known))
    found = [
        each
        for each in known
        if group in (None, each.group) and text in f"{each.id} {each.name}".casefold()
    ]
    return {
        **page_of(found, asked, _ROWS, lambda each: (each, wrong[each.id], services.get(each.id))),
        "total": len(known),
        "groups": [(name, sum(each.group == name for each in known)) for name in groups],
        "unreadable": unreadable,
        "services_problem": services_problem,
        "lost": lost,
        "lost_problem": lost_problem,
        "destination": workspace.site(None).name if lost else "",
        "any_service": bool(services),
    }


def agent(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """One agent: its entry, its process, its last log lines."""
    found = workspace.registry.get(asked.path["id"])
    services, services_problem = statuses(workspace)
    problems = [each for each in workspace.registry.validate() if each.id == found.id]
    names = [f"agent-{found.id}", found.id]
    records = list(search(workspace.layout.logs, components=names, limit=_LINES))
    return {
        "agent": found,
        "problems": problems,
        "status": services.get(found.id),
        "services_problem": services_problem,
        "records": records,
    }


def discover(workspace: Workspace, asked: Asked) -> Done:
    """Register the agents that are in the workspace and not in the registry."""
    found = workspace.registry.discover_agents(workspace.layout.agents)
    new = f"{len(found.added)} new, {len(found.updated)} updated"
    return Done("/agents", f"{len(found.found)} agents found: {new}")


def bring_registry_back(workspace: Workspace, asked: Asked) -> Done:
    """Bring the newest readable generation of the registry back."""
    brought = workspace.registry.undo()
    return Done("/agents", f"Brought back generation {brought.number} of the registry")


def remove(workspace: Workspace, asked: Asked) -> Done:
    """Take an agent out of the registry."""
    gone = workspace.registry.remove(_name(asked))
    return Done("/agents", f"Took {gone.id} out of the registry; its files stay")


def serve(workspace: Workspace, asked: Asked) -> Done:
    """Declare an agent a service, and start it."""
    name = _name(asked)
    workspace.registry.update(name, service={})
    return after(asked, asked.start(["start", "--", name]), link("/agents/of", name))


def change_service(workspace: Workspace, asked: Asked) -> Done:
    """Start, stop or restart one service, or all of them without a name."""
    verb, name = asked.path["verb"], asked.text("name")
    if verb not in _VERBS:
        raise NotFoundError(f"services cannot be told to {verb!r}")
    found, problem = statuses(workspace)
    if problem is not None:
        raise problem
    if name is not None and name not in found:
        raise NotFoundError(f"no service is called {name!r}", hint="holdfast ps lists them")
    kind = found[name].kind if name is not None else "agent"
    back = link(f"/{kind}s/of", name) if name is not None else "/agents"
    line = [verb, "--", name] if name is not None else [verb]
    return after(asked, asked.start(line), back)


def statuses(workspace: Workspace) -> tuple[dict[str, ServiceStatus], HoldfastError | None]:
    """What runs, by name; or why that cannot be told."""
    try:
        return {status.name: status for status in control.statuses(workspace)}, None
    except HoldfastError as error:
        return {}, error


def _lost(workspace: Workspace) -> tuple[Lost | None, HoldfastError | None]:
    """What is gone since the last snapshot; nothing when there is none."""
    try:
        return lost_agents(workspace, workspace.vault), None
    except (NotFoundError, UsageError):
        return None, None
    except HoldfastError as error:
        return None, error


def _name(asked: Asked) -> str:
    name = asked.text("name")
    if name is None:
        raise UsageError("no agent is named")
    return name
