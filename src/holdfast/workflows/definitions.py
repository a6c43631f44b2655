"""The decorators: ``@step`` and ``@workflow``, and the two kinds of objects they make."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from holdfast.errors import UsageError
from holdfast.workflows import codec
from holdfast.workflows.execution import current
from holdfast.workflows.records import Definition

if TYPE_CHECKING:
    from holdfast.workflows.engine import Workflows
    from holdfast.workflows.handles import Run

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COROUTINE = 0x80 | 0x200  # inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR, not to import it

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
    ) -> None:
        if retries < 0 or backoff < 0 or (timeout is not None and timeout <= 0):
            raise UsageError("retries and backoff are at least 0, timeout is above 0")
        self.function = function
        self.name = _name_of(function, name)
        self.retries = retries
        self.backoff = backoff
        self.retry_on = retry_on
        self.timeout = timeout
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


class Workflow(Generic[Parameters, Result]):
    """A function whose steps are checkpointed, so that a run of it survives its process.

    Its code between steps runs again on resume: it must do the same given the same step results.
    """

    def __init__(self, function: Callable[Parameters, Result], *, name: str | None) -> None:
        self.function = function
        self.name = _name_of(function, name)
        update_wrapper(self, function)
        code = function.__code__
        reserved = {"id", "engine"} & set(code.co_varnames[: _arguments(code)])
        if reserved:
            raise UsageError(
                f"the workflow {self.name} cannot have a parameter {min(reserved)!r}",
                hint="start() takes that name",
            )
        file = str(Path(code.co_filename).absolute())
        self.definition = Definition(function.__module__, function.__qualname__, file)
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
        another input.
        """
        if current.get() is not None:
            raise UsageError(
                f"{self.name}.start() was called by a workflow",
                hint="call it as a function, or start it from a step with an id of its own",
            )
        return self._engine(engine).start(self, args, kwargs, run_id=id)

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
) -> Callable[[Callable[Parameters, Result]], Step[Parameters, Result]]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: float = 0.1,
    retry_on: tuple[type[Exception], ...] = (Exception,),
    timeout: float | None = None,
) -> Any:
    """Make a function a step.

    `retries` is how many further attempts follow a failure that is one of `retry_on`; `backoff` is
    the pause before the first of them in seconds, doubled with jitter for each next; `timeout` is
    the limit of one attempt in seconds.
    """

    def declare(function: Callable[..., Any]) -> Step[..., Any]:
        return Step(
            function,
            name=name,
            retries=retries,
            backoff=backoff,
            retry_on=retry_on,
            timeout=timeout,
        )

    return declare if function is None else declare(function)


@overload
def workflow(function: Callable[Parameters, Result], /) -> Workflow[Parameters, Result]: ...
@overload
def workflow(
    *, name: str | None = None
) -> Callable[[Callable[Parameters, Result]], Workflow[Parameters, Result]]: ...
def workflow(function: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a workflow; `name` stands for it in lists, instead of the function's."""

    def declare(function: Callable[..., Any]) -> Workflow[..., Any]:
        return Workflow(function, name=name)

    return declare if function is None else declare(function)


def _name_of(function: Callable[..., Any], name: str | None) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        raise UsageError(f"{function!r} is not a function defined with def")
    if code.co_flags & _COROUTINE:
        raise UsageError(f"{function.__name__} is async; steps and workflows are plain functions")
    chosen = name if name is not None else function.__name__.strip("_")
    if not _NAME.fullmatch(chosen):
        raise UsageError(
            f"{chosen!r} cannot be the name of a step or workflow",
            hint="give name=: letters, digits, '.', '-', '_', at most 64",
        )
    return chosen


def _arguments(code: Any) -> int:
    return int(code.co_argcount + code.co_kwonlyargcount)
