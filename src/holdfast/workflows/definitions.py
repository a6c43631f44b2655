"""The decorators: ``@step`` and ``@workflow``, and the two kinds of objects they make."""

import re
from collections.abc import Callable, Coroutine, Iterable
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from holdfast.errors import UsageError
from holdfast.workflows import codec
from holdfast.workflows.execution import current
from holdfast.workflows.records import Definition

if TYPE_CHECKING:
    from holdfast.workflows.cron import CatchUp
    from holdfast.workflows.engine import Workflows
    from holdfast.workflows.handles import Run
    from holdfast.workflows.limits import Limiter
    from holdfast.workflows.waiting import ChildRun

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COROUTINE, _GENERATORS = 0x80, 0x20 | 0x200  # inspect.CO_…, not to import it

definitions: dict[tuple[str, str], "Workflow[..., Any]"] = {}
"""The workflows of the modules imported so far, by module and qualified name."""


class Step(Generic[Parameters, Result]):
    """A function whose result is checkpointed when a workflow calls it.

    Called outside of a run, or inside another step, it is a plain function.
    """

    def __init__(
        self,
        function: Callable[Parameters, Result],
        *,
        name: str | None,
        retries: int,
        backoff: float,
        retry_on: tuple[type[Exception], ...],
        timeout: float | None,
        concurrency: int | None,
        rate: tuple[int, float] | None,
    ) -> None:
        if retries < 0 or backoff < 0 or (timeout is not None and timeout <= 0):
            raise UsageError("retries and backoff are at least 0, timeout is above 0")
        self.function = function
        self.name = _name_of(function, name)
        self.retries = retries
        self.backoff = backoff
        self.retry_on = retry_on
        self.timeout = timeout
        self.limiter = _limiter(concurrency, rate)
        update_wrapper(self, function)

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        run = current.get()
        if run is None:
            return self.function(*args, **kwargs)
        result: Result = run.call(self, args, kwargs)
        return result

    def map(self, *iterables: Iterable[Any], workers: int = 8) -> list[Result]:
        """Call the step for each item (of several iterables: in parallel, as `map` does), each a
        checkpoint of its own, in up to `workers` threads; the results in the items' order.

        All items are finished and recorded before the first error, if any, is raised.
        """
        if workers < 1:
            raise UsageError("map needs at least one worker")
        if isinstance(self, AsyncStep):
            raise UsageError(
                f"{self.name} is async", hint="asyncio.gather(*(step(item) for item in items))"
            )
        calls = list(zip(*iterables, strict=False))
        run = current.get()
        if run is None:
            return [self.function(*args) for args in calls]  # type: ignore[call-arg]
        results: list[Result] = run.map(self, calls, workers)
        return results

    @cached_property
    def decoder(self) -> codec.Decode:
        """Reads a kept result back as the function's return annotation says."""
        return codec.result_decoder(self.function)


class AsyncStep(Step[Parameters, Result]):
    """A coroutine function whose result is checkpointed when an async workflow awaits it."""

    def __call__(  # type: ignore[override]
        self, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]:
        run = current.get()
        if run is None:
            outside: Coroutine[Any, Any, Result] = self.function(*args, **kwargs)  # type: ignore[assignment]
            return outside
        return run.call_async(self, args, kwargs)

    @cached_property
    def decoder(self) -> codec.Decode:
        """Reads a kept result back as the coroutine's return annotation says."""
        return codec.result_decoder(self.function)


class Workflow(Generic[Parameters, Result]):
    """A function whose steps are checkpointed, so that a run of it survives its process.

    Its code between steps runs again on resume: it must do the same given the same step results.
    """

    def __init__(
        self,
        function: Callable[Parameters, Result],
        *,
        name: str | None,
        version: str | None = None,
        cron: str | None = None,
        timezone: str = "UTC",
        catch_up: "CatchUp" = "once",
        concurrency: int | None = None,
    ) -> None:
        self.function = function
        self.name = _name_of(function, name)
        self.version = version
        self.cron = cron
        self.timezone = timezone
        self.catch_up = catch_up
        self.limiter = _limiter(concurrency, None)
        update_wrapper(self, function)
        code = function.__code__
        reserved = {"id", "engine", "priority", "delay"} & set(code.co_varnames[: _arguments(code)])
        if reserved:
            raise UsageError(
                f"the workflow {self.name} cannot have a parameter {min(reserved)!r}",
                hint="start() takes that name",
            )
        file = str(Path(code.co_filename).absolute())
        self.definition = Definition(function.__module__, function.__qualname__, file)
        if cron is not None:
            from holdfast.workflows.cron import check_schedule

            check_schedule(self.name, cron, timezone)
            if catch_up not in ("once", "each", "none"):
                raise UsageError(f"catch_up is once, each or none, not {catch_up!r}")
        definitions[function.__module__, function.__qualname__] = self

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Run durably, here, to the end; inside another run as a plain part of that run.

        Raises `StepError` or `RunError` when it fails.
        """
        if current.get() is not None:
            return self.function(*args, **kwargs)
        result: Result = self._engine(None).run(self, args, kwargs)
        return result

    def start(
        self,
        *args: Any,
        id: str | None = None,  # noqa: A002 - the word that everybody looks for
        engine: "Workflows | None" = None,
        **kwargs: Any,
    ) -> "Run[Result]":
        """Start a run in a thread and return at once.

        `id` is the idempotency key: a run that has it is returned instead, finished or not; one
        that was interrupted goes on. Raises `ConflictError` when that run has another workflow or
        another input, and `UsageError` inside a workflow, where it is `child`.
        """
        if current.get() is not None:
            raise UsageError(
                f"{self.name}.start() was called by a workflow",
                hint=f"call it as a function, or {self.name}.child() for a run of its own",
            )
        return self._engine(engine).start(self, args, kwargs, run_id=id)

    def child(self, *args: Any, id: str | None = None, **kwargs: Any) -> "ChildRun":  # noqa: A002
        """Start a run of its own from within a workflow; its `result()` is a checkpoint.

        Its id is ``<parent run>.<name>-<n>`` unless it is given; the same again is the same run.
        """
        run = current.get()
        if run is None:
            raise UsageError(f"{self.name}.child() needs a workflow around it", hint="use start()")
        return run.engine.start_child(run, self, args, kwargs, run_id=id)

    def enqueue(
        self,
        *args: Any,
        id: str | None = None,  # noqa: A002
        priority: int = 0,
        delay: float = 0.0,
        engine: "Workflows | None" = None,
        **kwargs: Any,
    ) -> "Run[Result]":
        """Leave a run to the workers; see `Workflows.enqueue`."""
        found = self._engine(engine)
        return found.enqueue(self, args, kwargs, run_id=id, priority=priority, delay=delay)

    def resume(self, run_id: str, *, engine: "Workflows | None" = None) -> "Run[Result]":
        """Go on with an interrupted run of this workflow; a finished one is just returned."""
        return self._engine(engine).resume(run_id, workflow=self)

    @cached_property
    def arguments(self) -> codec.Arguments:
        """Writes and reads the arguments of a run."""
        return codec.Arguments(self.function)

    @cached_property
    def decoder(self) -> codec.Decode:
        """Reads a kept result back as the function's return annotation says."""
        return codec.result_decoder(self.function)

    def _engine(self, engine: "Workflows | None") -> "Workflows":
        if engine is not None:
            return engine
        from holdfast.workflows.default import default_engine

        return default_engine()


class AsyncWorkflow(Workflow[Parameters, Result]):
    """A coroutine function whose steps are checkpointed; it runs in an event loop of its own."""

    def __call__(  # type: ignore[override]
        self, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]:
        """Run durably to the end; inside another run as a plain part of that run."""
        if current.get() is not None:
            part: Coroutine[Any, Any, Result] = self.function(*args, **kwargs)  # type: ignore[assignment]
            return part
        import asyncio

        return asyncio.to_thread(self._engine(None).run, self, args, kwargs)


@overload
def step(
    function: Callable[Parameters, Coroutine[Any, Any, Result]], /
) -> AsyncStep[Parameters, Result]: ...
@overload
def step(function: Callable[Parameters, Result], /) -> Step[Parameters, Result]: ...
@overload
def step(
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: float = 0.1,
    retry_on: tuple[type[Exception], ...] = (Exception,),
    timeout: float | None = None,
    concurrency: int | None = None,
    rate: tuple[int, float] | None = None,
) -> "_DeclareStep": ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: float = 0.1,
    retry_on: tuple[type[Exception], ...] = (Exception,),
    timeout: float | None = None,
    concurrency: int | None = None,
    rate: tuple[int, float] | None = None,
) -> Any:
    """Make a function, plain or async, a step.

    `retries` is how many further attempts follow a failure that is one of `retry_on`; `backoff` is
    the pause before the first of them in seconds, doubled with jitter for each next; `timeout` is
    the limit of one attempt in seconds. At most `concurrency` attempts run at once, and at most
    ``rate[0]`` begin within ``rate[1]`` seconds, over all processes that use the store and all
    steps of the same name there; further ones wait.
    """

    def declare(function: Callable[..., Any]) -> Step[..., Any]:
        kind = AsyncStep if _is_async(function) else Step
        return kind(
            function,
            name=name,
            retries=retries,
            backoff=backoff,
            retry_on=retry_on,
            timeout=timeout,
            concurrency=concurrency,
            rate=rate,
        )

    return declare if function is None else declare(function)


@overload
def workflow(
    function: Callable[Parameters, Coroutine[Any, Any, Result]], /
) -> AsyncWorkflow[Parameters, Result]: ...
@overload
def workflow(function: Callable[Parameters, Result], /) -> Workflow[Parameters, Result]: ...
@overload
def workflow(
    *,
    name: str | None = None,
    version: str | None = None,
    cron: str | None = None,
    timezone: str = "UTC",
    catch_up: "CatchUp" = "once",
    concurrency: int | None = None,
) -> "_DeclareWorkflow": ...
def workflow(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    cron: str | None = None,
    timezone: str = "UTC",
    catch_up: "CatchUp" = "once",
    concurrency: int | None = None,
) -> Any:
    """Make a function, plain or async, a workflow.

    `name` stands for it in lists, instead of the function's. A run that was begun by another
    `version` is not resumed by this one. By `cron` (five fields, in the time zone `timezone`) it is
    started, without arguments, once at each of these minutes, however many workers there are. Of
    the minutes that passed while there was none, `catch_up` starts the last (``once``), ``each`` or
    ``none``. At most `concurrency` runs are executed at once, over all processes that use the
    store; further ones stay queued. One that waits in the store does not count.
    """

    def declare(function: Callable[..., Any]) -> Workflow[..., Any]:
        kind = AsyncWorkflow if _is_async(function) else Workflow
        return kind(
            function,
            name=name,
            version=version,
            cron=cron,
            timezone=timezone,
            catch_up=catch_up,
            concurrency=concurrency,
        )

    return declare if function is None else declare(function)


class _DeclareStep(Protocol):
    @overload
    def __call__(
        self, function: Callable[Parameters, Coroutine[Any, Any, Result]], /
    ) -> AsyncStep[Parameters, Result]: ...
    @overload
    def __call__(self, function: Callable[Parameters, Result], /) -> Step[Parameters, Result]: ...


class _DeclareWorkflow(Protocol):
    @overload
    def __call__(
        self, function: Callable[Parameters, Coroutine[Any, Any, Result]], /
    ) -> AsyncWorkflow[Parameters, Result]: ...
    @overload
    def __call__(
        self, function: Callable[Parameters, Result], /
    ) -> Workflow[Parameters, Result]: ...


def _limiter(concurrency: int | None, rate: tuple[int, float] | None) -> "Limiter | None":
    if concurrency is None and rate is None:
        return None
    from holdfast.workflows.limits import Limiter

    return Limiter(concurrency, rate)


def _is_async(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _name_of(function: Callable[..., Any], name: str | None) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        raise UsageError(f"{function!r} is not a function defined with def")
    if code.co_flags & _GENERATORS:
        raise UsageError(f"{function.__name__} is a generator; steps and workflows return")
    chosen = name if name is not None else function.__name__.strip("_")
    if not _NAME.fullmatch(chosen):
        raise UsageError(
            f"{chosen!r} cannot be the name of a step or workflow",
            hint="give name=: letters, digits, '.', '-', '_', at most 64",
        )
    return chosen


def _arguments(code: Any) -> int:
    return int(code.co_argcount + code.co_kwonlyargcount)
