"""The steps of a recovery. Each may be repeated: what is done already is left as it is."""

import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.durable.files import is_temporary, remove_tree
from holdfast.durable.trees import walk
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import get_registry
from holdfast.recovery.order import Order, StepReport, quarantine_of, state_of
from holdfast.recovery.programs import Ended, run
from holdfast.recovery.source import pure_path, relative_to
from holdfast.vault import Vault
from holdfast.vault.reports import Progress
from holdfast.workflows import step
from holdfast.workspace.layout import ENVIRONMENT_VARIABLE

vault: ContextVar[Vault] = ContextVar("recovery_vault")
"""The vault that is recovered from, opened by whoever has its keys."""

progress: ContextVar[Progress | None] = ContextVar("recovery_progress", default=None)

_SHOWN = 20  # problems that are listed


@step
def set_aside(order: Order) -> StepReport:
    """Move stores of another time away whole: their files and the snapshot's do not mix."""
    target = Path(order.target)
    moved = []
    for folder in order.stores:
        try:
            quarantine_of(target).take(target / folder, reason=_reason(order))
        except NotFoundError:  # a recovery that was killed here had moved it
            continue
        moved.append(folder)
        fault_point("recovery.set_aside")
    what = ", ".join(moved)
    return StepReport("present stores", ok=True, summary=f"moved to quarantine: {what}")


@step
def restore_files(order: Order) -> StepReport:
    """Bring the files back; raises `StorageError` when the disk is full."""
    target = Path(order.target)
    kept = quarantine_of(target)
    source = vault.get()
    began = time.time()
    report = source.restore(order.snapshot, to=target, quarantine=kept, progress=progress.get())
    reports = [report]
    if order.at_home and order.home is not None:
        reports.append(
            source.restore(
                order.snapshot, order.at_home, to=target, home=Path(order.home), quarantine=kept
            )
        )
    _sweep(target, began)
    fault_point("recovery.restored")
    created = sum(each.created for each in reports)
    replaced = sum(each.replaced for each in reports)
    unchanged = sum(each.unchanged for each in reports)
    problems = [f"{one.path}: {one.reason}" for each in reports for one in each.problems]
    return StepReport(
        "files",
        ok=not problems,
        summary=f"{created} created, {replaced} replaced, {unchanged} unchanged",
        output="\n".join(problems[:_SHOWN]),
    )


def _sweep(target: Path, began: float) -> None:
    """Remove the halves of files that an earlier recovery, killed before `began`, left."""
    kept = quarantine_of(target).root.relative_to(target).as_posix()
    for found in walk(target, skip=lambda path, _: path == kept, on_error=lambda *_: None):
        if is_temporary(found.path.rpartition("/")[2]) and found.status.st_ctime < began:
            remove_tree(target / found.path)


@step
def move_registry(order: Order) -> StepReport:
    """Let registered agents that lay in the former root be those of the new one."""
    target = Path(order.target)
    moved = []
    try:
        registry = get_registry(target)
        agents = registry.list()
        former = _former_root(order, [each.path for each in agents if each.path])
        for agent in agents:
            path = relative_to(former, agent.path) if agent.path else None
            if path is not None and (target / path).exists():
                if agent.path != str(target / path):
                    registry.update(agent.id, path=target / path)
                moved.append(agent.id)
    except HoldfastError as error:
        return StepReport("agent registry", ok=False, summary=str(error))
    return StepReport("agent registry", ok=True, summary=f"{len(moved)} agents are in {target}")


def _former_root(order: Order, paths: Sequence[str]) -> str:
    """Where the workspace of the agents at `paths` lay.

    A copy does not say it; then it is where most of them lay, by what of their paths is here now.
    """
    absolute = [path for path in map(pure_path, paths) if path.is_absolute()]
    if any(relative_to(order.former_root, str(path)) is not None for path in absolute):
        return order.former_root
    roots: Counter[str] = Counter()
    for path in absolute:
        for above in reversed(path.parents):
            if (Path(order.target) / path.relative_to(above).as_posix()).exists():
                roots[str(above)] += 1
                break
    return roots.most_common(1)[0][0] if roots else order.former_root


@step
def list_servers(order: Order) -> list[str]:
    """The folders of ``mcp-servers/`` that say what they need."""
    folder = Path(order.target) / "mcp-servers"
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if (path / "package.json").is_file() or (path / "requirements.txt").is_file()
    )


@step
def install_python(order: Order) -> StepReport:
    """Install ``requirements.txt`` into the workspace's own environment, ``.venv``."""
    requirements = Path(order.target) / "requirements.txt"
    if not requirements.is_file():
        return StepReport("Python packages", ok=True, summary="no requirements.txt")
    return _pip("Python packages", order, requirements)


@step
def install_server(order: Order, name: str) -> StepReport:
    """Install what one MCP server needs: ``npm install``, ``pip install -r requirements.txt``."""
    title = f"server {name}"
    folder = Path(order.target) / "mcp-servers" / name
    done = []
    if (folder / "requirements.txt").is_file():
        report = _pip(title, order, folder / "requirements.txt")
        if not report.ok:
            return report
        done.append(report.summary)
    if (folder / "package.json").is_file():
        npm = shutil.which("npm")
        if npm is None:
            hint = "npm is not on the PATH: install Node.js, then run the same command again"
            return StepReport(title, ok=False, summary=hint)
        command = [npm, "install", "--no-audit", "--no-fund"]
        ended = run(command, cwd=folder, note=_note(order))
        if not ended.ok:
            return _failed(title, "npm install", ended)
        done.append("npm install")
    fault_point("recovery.server")
    return StepReport(title, ok=True, summary=", ".join(done))


@step
def verify_configuration(order: Order) -> StepReport:
    """Run the workspace's own ``verify-mcp-setup.py``."""
    return _own_program("configurations", order, "verify-mcp-setup.py")


@step
def start_services(order: Order) -> StepReport:
    """Run the workspace's own ``initialize.py``, which registers agents and starts services."""
    return _own_program("services", order, "initialize.py")


def _own_program(title: str, order: Order, name: str) -> StepReport:
    target = Path(order.target)
    if not (target / name).is_file():
        return StepReport(title, ok=True, summary=f"the workspace has no {name}")
    # This Python, as it has Holdfast for certain.
    variables = {ENVIRONMENT_VARIABLE: str(target)}
    ended = run([sys.executable, target / name], cwd=target, note=_note(order), **variables)
    fault_point("recovery.program")
    if not ended.ok:
        return _failed(title, name, ended)
    last = ended.output.splitlines()[-1:] or ["done"]
    return StepReport(title, ok=True, summary=f"{name}: {last[0]}")


def _pip(title: str, order: Order, requirements: Path) -> StepReport:
    environment = Path(order.target) / ".venv"
    python = _python_of(environment)
    # A recovery that was killed while it made the environment left one without pip.
    if not run([python, "-c", "import pip"], cwd=requirements.parent, note=_note(order)).ok:
        if os.path.lexists(environment):
            quarantine_of(Path(order.target)).take(environment, reason="a broken environment")
        command = [sys.executable, "-m", "venv", str(environment)]
        made = run(command, cwd=requirements.parent, note=_note(order))
        if not made.ok:
            return _failed(title, "python -m venv .venv", made)
    fault_point("recovery.environment")
    options = ["--disable-pip-version-check", "--no-input", "-r"]
    command = [str(python), "-m", "pip", "install", *options, str(requirements)]
    ended = run(command, cwd=requirements.parent, note=_note(order))
    what = f"pip install -r {requirements.relative_to(order.target).as_posix()}"
    return _failed(title, what, ended) if not ended.ok else StepReport(title, ok=True, summary=what)


def _python_of(environment: Path) -> Path:
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def _failed(title: str, what: str, ended: Ended) -> StepReport:
    how = "did not end" if ended.status is None else f"ended with status {ended.status}"
    return StepReport(title, ok=False, summary=f"{what} {how}", output=ended.output)


def _note(order: Order) -> Path:
    return state_of(Path(order.target)) / "program.json"


def _reason(order: Order) -> str:
    return f"replaced by the recovery of snapshot {order.snapshot[:12]}"
