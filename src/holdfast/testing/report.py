"""A pytest plugin that tells, at the end of a run, which engine keeps which promises.

::

    pytest_plugins = ["holdfast.testing.report"]

It speaks of the classes that have a `conformance` (the room's name), as the suites of
`holdfast.testing` do: a line for each engine with what it passed, failed, and lacks. A test of a
capability that an engine need not have calls `absent`.
"""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

_PROPERTY = "holdfast-conformance"
_ABSENT = "this engine has no "


def absent(capability: str) -> NoReturn:
    """Skip the test: the engine does not have this optional capability."""
    pytest.skip(_ABSENT + capability)


@dataclass
class Engine:
    """What the tests of one engine came to."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    absent: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """Passed, failed, absent and skipped, the latter with their reasons."""
        parts = [f"{self.passed} passed"]
        if self.failed:
            parts.append(f"{len(self.failed)} FAILED ({', '.join(self.failed)})")
        if self.absent:
            parts.append("absent: " + ", ".join(sorted(self.absent)))
        parts += [f"skipped: {why}" for why in sorted(self.skipped)]
        return "; ".join(parts)


class Conformance:
    """Collects the reports of tests, also those that pytest-xdist's workers send."""

    def __init__(self) -> None:
        self.engines: dict[tuple[str, str], Engine] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == _PROPERTY and (report.when == "call" or not report.passed):
                room, engine = str(value).split("/")
                self._count(self.engines.setdefault((room, engine), Engine()), report)

    def _count(self, engine: Engine, report: pytest.TestReport) -> None:
        if report.passed:
            engine.passed += 1
        elif report.failed:
            engine.failed.append(report.nodeid.rpartition("::")[2])
        else:
            reason = _reason_of(report)
            if reason.startswith(_ABSENT):
                engine.absent[reason.removeprefix(_ABSENT)] += 1
            else:
                engine.skipped[reason] += 1

    def pytest_terminal_summary(self, terminalreporter: "TerminalReporter") -> None:
        if not self.engines:
            return
        terminalreporter.section("conformance of the engines")
        width = max(len(engine) for _, engine in self.engines)
        for (room, engine), counts in sorted(self.engines.items()):
            terminalreporter.write_line(f"{room:10} {engine:{width}}  {counts.line()}")


def pytest_configure(config: pytest.Config) -> None:
    """Start collecting."""
    config.pluginmanager.register(Conformance(), "holdfast-conformance")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Have every report of a suite say which room and engine it speaks of."""
    kind: Any = getattr(item, "cls", None)
    room = getattr(kind, "conformance", None)
    if room is not None and not any(name == _PROPERTY for name, _ in item.user_properties):
        item.user_properties.append((_PROPERTY, f"{room}/{kind.__name__.removeprefix('Test')}"))
    return (yield)


def _reason_of(report: pytest.TestReport) -> str:
    place = report.longrepr
    return str(place[2]).removeprefix("Skipped: ") if isinstance(place, tuple) else "skipped"
