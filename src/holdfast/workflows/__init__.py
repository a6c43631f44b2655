"""Durable workflows as code: steps that are checkpointed, runs that survive their process.

::

    @step(retries=3, timeout=30)
    def fetch(source: str) -> Page: ...

    @workflow
    def research(topic: str) -> Report:
        pages = fetch.map(sources(topic))
        return summarise(pages)

    run = research.start("bees", id="bees-2026")
    run.result()

- A step that was recorded never runs again; one that was killed before that does (at least once).
- A step's id is ``<its name>-<n>``, the n-th call of it in the run; while it runs, the task id is
  ``<run id>:<step id>``, and ``<run id>:main`` in the workflow's code between steps.
- The workflow's code runs again on resume, up to where it was: it must call the same steps in the
  same order given the same results. Time, chance and the outside world belong into steps, and
  parallel steps into `Step.map`, not into threads of one's own.
- An async workflow awaits async steps, several by ``asyncio.gather`` over their calls. `sleep`,
  `wait_for` a signal and `Workflow.child` runs are checkpoints as well.
- Outside of a run, and inside another step, a step is a plain function; a workflow called by a
  workflow is a plain part of that run.
- Values pass through JSON by their annotations (`codec`), also the first time.
"""

from typing import TYPE_CHECKING

from holdfast.durable.exports import late

if TYPE_CHECKING:
    from holdfast.workflows.default import close_default as close_default
    from holdfast.workflows.default import default_engine as default_engine
    from holdfast.workflows.default import provide_engine as provide_engine
    from holdfast.workflows.default import use_engine as use_engine
    from holdfast.workflows.definitions import AsyncStep as AsyncStep
    from holdfast.workflows.definitions import AsyncWorkflow as AsyncWorkflow
    from holdfast.workflows.definitions import Step as Step
    from holdfast.workflows.definitions import Workflow as Workflow
    from holdfast.workflows.definitions import step as step
    from holdfast.workflows.definitions import workflow as workflow
    from holdfast.workflows.engine import Workflows as Workflows
    from holdfast.workflows.failures import RunFailedError as RunFailedError
    from holdfast.workflows.failures import StepFailedError as StepFailedError
    from holdfast.workflows.handles import Run as Run
    from holdfast.workflows.records import Failure as Failure
    from holdfast.workflows.records import RunInfo as RunInfo
    from holdfast.workflows.records import StepInfo as StepInfo
    from holdfast.workflows.waiting import ChildRun as ChildRun
    from holdfast.workflows.waiting import patched as patched
    from holdfast.workflows.waiting import sleep as sleep
    from holdfast.workflows.waiting import sleep_async as sleep_async
    from holdfast.workflows.waiting import sleep_until as sleep_until
    from holdfast.workflows.waiting import sleep_until_async as sleep_until_async
    from holdfast.workflows.waiting import wait_for as wait_for
    from holdfast.workflows.waiting import wait_for_async as wait_for_async

_HOME_OF = {
    "AsyncStep": "holdfast.workflows.definitions",
    "AsyncWorkflow": "holdfast.workflows.definitions",
    "ChildRun": "holdfast.workflows.waiting",
    "Failure": "holdfast.workflows.records",
    "Run": "holdfast.workflows.handles",
    "RunFailedError": "holdfast.workflows.failures",
    "RunInfo": "holdfast.workflows.records",
    "Step": "holdfast.workflows.definitions",
    "StepFailedError": "holdfast.workflows.failures",
    "StepInfo": "holdfast.workflows.records",
    "Workflow": "holdfast.workflows.definitions",
    "Workflows": "holdfast.workflows.engine",
    "close_default": "holdfast.workflows.default",
    "default_engine": "holdfast.workflows.default",
    "patched": "holdfast.workflows.waiting",
    "provide_engine": "holdfast.workflows.default",
    "sleep": "holdfast.workflows.waiting",
    "sleep_async": "holdfast.workflows.waiting",
    "sleep_until": "holdfast.workflows.waiting",
    "sleep_until_async": "holdfast.workflows.waiting",
    "step": "holdfast.workflows.definitions",
    "use_engine": "holdfast.workflows.default",
    "wait_for": "holdfast.workflows.waiting",
    "wait_for_async": "holdfast.workflows.waiting",
    "workflow": "holdfast.workflows.definitions",
}

__all__ = sorted(_HOME_OF)

__getattr__ = late(__name__, _HOME_OF)
