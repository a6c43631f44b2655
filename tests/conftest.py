"""Fixtures every room's tests share."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from holdfast import logs, workflows
from tests.windows import let_copies_work

pytest_plugins = ["tests.servers", "tests.clients", "holdfast.testing.report"]

SOURCE = Path(__file__).parent.parent / "src"

# No test measures time; a slow machine or a slow disk is no failure.
settings.register_profile(
    "holdfast",
    deadline=None,
    max_examples=25 if sys.platform == "win32" else 100,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("holdfast")
let_copies_work()
# A shell lets what it starts in the background ignore Ctrl+C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def require(present: bool, what: str) -> None:
    """Skip loudly when a real part is missing; in CI that is a failure."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"NOT TESTED: {what} is missing on this machine")


def require_program(name: str) -> str:
    """The path of a real program such as ``git`` or ``zstd``; see `require`."""
    found = shutil.which(name)
    require(found is not None, f"the program {name}")
    assert found is not None
    return found


GIT_CONFIG = "[user]\n\tname = Ann\n\temail = ann@example.org\n[init]\n\tdefaultBranch = master\n"


@pytest.fixture(autouse=True, scope="session")
def _somebody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Who commits, and nothing of this machine's own git configuration."""
    config = tmp_path_factory.mktemp("somebody") / "gitconfig"
    config.write_text(GIT_CONFIG, encoding="utf-8", newline="\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield


@pytest.fixture(autouse=True)
def _no_workspace_stays_open() -> Iterator[None]:
    """`open_workspace` chooses the process's logs and engine; no test chooses for the next."""
    yield
    logs.use_directory(None)
    workflows.provide_engine(None)


Runner = Callable[..., subprocess.CompletedProcess[str]]


def child_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """What a child process gets: this source on its path, wherever it is started."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **(more or {})}


@pytest.fixture
def holdfast(tmp_path: Path) -> Runner:
    """Run the real ``holdfast`` command in a process of its own: ``holdfast("status", cwd=…)``."""

    def run(
        *arguments: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *map(str, arguments)],
            cwd=cwd or tmp_path,
            env=child_environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def run_python(tmp_path: Path) -> Runner:
    """Run Python `code` in a process of its own, with fault points armed.

    ``run_python(code, *args, faults="files.replaced=crash", trace=FILE)``; the code finds the
    arguments in ``sys.argv[1:]``. See `holdfast.durable.faults` for `faults` and `trace`.
    """

    def run(
        code: str,
        *arguments: object,
        faults: str = "",
        trace: Path | None = None,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        plan = {"HOLDFAST_FAULTS": faults, "HOLDFAST_FAULTS_TRACE": str(trace or "")}
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            cwd=cwd or tmp_path,
            env=child_environment({"PYTHONUTF8": "1", **plan, **(env or {})}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


def was_killed(process: subprocess.CompletedProcess[str]) -> bool:
    """Whether the process ended by `holdfast.durable.faults.kill_self` (or a real kill -9)."""
    if sys.platform == "win32":
        return process.returncode == signal.SIGTERM
    return process.returncode == -signal.SIGKILL
