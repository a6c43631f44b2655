"""Tools about runs of workflows: look, start, resume."""

from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.facade import Workspace
from holdfast.mcp_server.inputs import Limit, Moment, Name, Text, Wait
from holdfast.mcp_server.tool import ADDS, READS, Tool

RunId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="A run's id.")
]
RunStatus = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]


def runs_list(
    workspace: Workspace,
    status: RunStatus | None = None,
    workflow: Name | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    text: Annotated[Text, Field(description="Somewhere in the run's input.")] | None = None,
    before: Annotated[int, Field(ge=0, description="`next` of the page before.")] | None = None,
    limit: Limit = 50,
) -> Any:
    """Runs of workflows, the newest first. `interrupted` ones can be resumed."""
    from holdfast.logs.times import parse_time

    runs = workspace.workflows.list(
        status=status,
        name=workflow,
        since=None if since is None else parse_time(since),
        until=None if until is None else parse_time(until),
        text=text,
        before=before,
        limit=limit,
    )
    rows = [
        {
            "id": run.id,
            "workflow": run.name,
            "status": run.status,
            "interrupted": run.interrupted,
            "createdAt": run.created_at,
            "finishedAt": run.finished_at,
            "error": None if run.error is None else str(run.error),
        }
        for run in runs
    ]
    return {"runs": rows, "next": runs[-1].serial if len(runs) == limit else None}


def runs_show(workspace: Workspace, run: RunId, steps: Limit = 200) -> Any:
    """One run: its input, result or error with traceback, and its finished steps."""
    from itertools import islice

    engine = workspace.workflows
    found = engine.get(run)
    return {"run": found, "steps": list(islice(engine.steps(run), steps))}


def workflows_list(workspace: Workspace) -> Any:
    """The declared workflows (configs/workflows/NAME.json) that `workflow_start` can start."""
    from holdfast.workflows.declarations import declared_names

    return {"workflows": declared_names(workspace.layout.workflows)}


def workflow_start(
    workspace: Workspace,
    workflow: Name,
    input: Annotated[Any, Field(description="Any JSON; its tasks get it.")] = None,  # noqa: A002
    run: Annotated[RunId, Field(description="The run's id: the same one is the same run.")]
    | None = None,
    wait: Wait = 20,
) -> Any:
    """Start a declared workflow in a process of its own, which outlives this session. Look at it
    with `runs_show`. The same `run` id again starts nothing new."""
    from holdfast.services.running import start_declared

    return start_declared(workspace, workflow, input, run_id=run, wait=wait)


def workflow_resume(workspace: Workspace, run: RunId, wait: Wait = 20) -> Any:
    """Go on with an interrupted or failed run, in a process of its own: finished steps are not
    done again. Runs the code of the workflow."""
    from holdfast.services.running import resume_run

    return resume_run(workspace, run, wait=wait)


TOOLS = (
    Tool(runs_list, READS, "go on with `before`, or narrow the search"),
    Tool(runs_show, READS, "ask for fewer steps; all: holdfast workflows show RUN --json"),
    Tool(workflows_list, READS),
    Tool(workflow_start, ADDS),
    Tool(workflow_resume, ADDS),
)
