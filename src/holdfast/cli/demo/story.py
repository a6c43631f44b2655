"""The story that ``holdfast demo`` tells: nothing in it is played, every claim is checked."""

import hashlib
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

import holdfast
from holdfast.cli.demo.cast import agent, finish, kill, wait_until
from holdfast.cli.demo.narrator import Narrator
from holdfast.durable.files import remove_tree, write_atomic
from holdfast.errors import RefusedError, UnreadableError
from holdfast.facade import Workspace, open_workspace
from holdfast.guard.recording import answer
from holdfast.logs import search
from holdfast.upkeep.undo import undo
from holdfast.workspace.creation import create
from holdfast.workspace.sizes import readable_size

_RUN = "survey-demo"
_BEFORE_THE_KILL = 5  # folders surveyed before the director is killed
_LOST_AGENT = "agents/observatory-agent"
_REGISTRY = "configs/agents/agent-registry.json"
_TIDIED = "shared"
_PROVEN = (
    "Proven: a killed run goes on with no finished step repeated, a snapshot restores\n"
    "byte for byte, a torn registry is refused, kept and brought back, and what an\n"
    "agent's rm -rf took away is there again."
)


def tell(narrator: Narrator, folder: Path | None) -> Path:
    """Tell the whole story in `folder`, or in a new temporary one; returns it.

    Raises `RefusedError` when `folder` holds something already.
    """
    home = _empty_home(folder)
    narrator.say(f"Holdfast {holdfast.__version__} in {home}", bold=True)
    with _workspace(narrator, home) as workspace:
        _register(narrator, workspace)
        _interrupt_and_resume(narrator, workspace)
        _read_logs(narrator, workspace)
        _back_up(narrator, workspace)
        _destroy_and_restore(narrator, workspace)
        _undo_a_tool(narrator, workspace)
    _conclude(narrator, workspace)
    return home


def _empty_home(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="holdfast-demo-")).resolve()
    if folder.exists() and any(folder.iterdir()):
        hint = "name a folder that is new or empty"
        raise RefusedError("the demo does not touch what is there", path=folder, hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _workspace(narrator: Narrator, home: Path) -> Workspace:
    with narrator.chapter("A workspace with example agents and files to work on"):
        made = create(home / "development", home=home, examples=True).made
        samples = _copy_samples(home / "development" / "shared" / "samples")
        narrator.check("the workspace is made", bool(made), f"{len(made)} files and folders")
        narrator.tell(f"{samples} real files to work on: a copy of Holdfast's own source")
    return open_workspace(home / "development")


def _copy_samples(target: Path) -> int:
    """Copy the Python files of Holdfast itself, one folder a room; returns how many."""
    source, copied = Path(holdfast.__file__).parent, 0
    for path in sorted(source.glob("*/*.py")):
        place = target / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        copied += 1
    return copied


def _register(narrator: Narrator, workspace: Workspace) -> None:
    with narrator.chapter("The agents are discovered, without running any of their code"):
        workspace.registry.discover_agents(workspace.layout.agents)
        agents = workspace.registry.list()
        for each in agents:
            narrator.tell(f"{each.id}: {each.description}")
        expected = {"director-agent", "surveyor-agent", "observatory-agent"}
        found = {each.id for each in agents}
        narrator.check("all are registered", found == expected, f"{len(found)} agents")


def _interrupt_and_resume(narrator: Narrator, workspace: Workspace) -> None:
    with narrator.chapter("A durable workflow is killed in the middle, and resumed"):
        narrator.tell("The director hands each folder to a surveyor over a queue.")
        done = _run_and_kill(narrator, workspace)
        report = _resume(workspace)
        _check_resumed(narrator, workspace, done, report)


def _run_and_kill(narrator: Narrator, workspace: Workspace) -> dict[str, str]:
    """Start the director, kill it half-way; returns each finished step and when it was recorded."""
    runs = workspace.workflows
    settled = f"settle-{_BEFORE_THE_KILL}"
    with (
        agent(workspace.layout, "surveyor-agent.py", "--max", str(_BEFORE_THE_KILL)),
        agent(workspace.layout, "director-agent.py", "--run", _RUN) as director,
    ):
        wait_until(lambda: settled in _finished(workspace), director, f"reach {settled}")
        status = kill(director)
    expected = 1 if sys.platform == "win32" else -9
    done = _finished(workspace)
    seen = f"exit status {status} with {len(done)} steps recorded"
    narrator.check("the director was killed", status == expected, seen)
    state = runs.get(_RUN).status
    narrator.check("its run is not finished", state != "succeeded", f"{_RUN} is {state}")
    return done


def _finished(workspace: Workspace) -> dict[str, str]:
    """The steps recorded so far, each with when it began and how long it took."""
    if not any(run.id == _RUN for run in workspace.workflows.list()):
        return {}
    steps = workspace.workflows.steps(_RUN)
    return {each.id: f"{each.started_at} {each.seconds}" for each in steps}


def _resume(workspace: Workspace) -> Path:
    with (
        agent(workspace.layout, "surveyor-agent.py"),
        agent(workspace.layout, "director-agent.py", "--run", _RUN) as director,
    ):
        return Path(finish(director))


def _check_resumed(
    narrator: Narrator, workspace: Workspace, before: dict[str, str], report: Path
) -> None:
    after = _finished(workspace)
    status = workspace.workflows.get(_RUN).status
    narrator.check("the run finished", status == "succeeded", f"{_RUN}: {len(after)} steps")
    kept = {step: moment for step, moment in after.items() if step in before}
    narrator.check(
        "no finished step ran again", kept == before, f"{len(before)} checkpoints are as they were"
    )
    rows = report.read_text(encoding="utf-8").count("\n") - 2
    narrator.check("the survey is complete", rows > _BEFORE_THE_KILL, f"{rows} folders in {report}")


def _read_logs(narrator: Narrator, workspace: Workspace) -> None:
    with narrator.chapter("The logs of that run, found by its task ids"):
        lines = [record.data for record in search(workspace.layout.logs, task=_RUN)]
        for line in lines[:4]:
            narrator.tell("{task_id}  {component}: {message}".format_map(line))
        narrator.tell("…")
        assigned = Counter(
            each["task_id"] for each in lines if each["message"] == "Folder assigned"
        )
        once = bool(assigned) and set(assigned.values()) == {1}
        seen = f"{len(lines)} lines, {len(assigned)} assignments"
        narrator.check("each folder was assigned exactly once", once, seen)


def _back_up(narrator: Narrator, workspace: Workspace) -> None:
    with narrator.chapter("A snapshot is taken and proven"):
        report = workspace.snapshot(tags=["demo"])
        totals = report.snapshot.totals
        seen = f"{totals.files} files, {readable_size(totals.stored)} stored"
        narrator.check("the snapshot is complete", report.healthy, seen)
        proof = workspace.vault.verify(full=True)
        seen = f"{proof.files_restored} files restored and compared, every byte read"
        narrator.check("it can be restored", proof.healthy, seen)


def _destroy_and_restore(narrator: Narrator, workspace: Workspace) -> None:
    root = workspace.layout.root
    with narrator.chapter("An agent's folder and the registry are destroyed, and restored"):
        before = {path: _fingerprint(root / path) for path in (_LOST_AGENT, _REGISTRY)}
        remove_tree(root / _LOST_AGENT)
        torn = (root / _REGISTRY).read_bytes()[:100]
        write_atomic(root / _REGISTRY, torn)
        narrator.tell(f"deleted {_LOST_AGENT}/, cut {_REGISTRY} after 100 bytes")
        narrator.check("a torn registry is not taken for empty", *_is_refused(workspace))
        report = workspace.vault.restore(
            "latest", [_LOST_AGENT, _REGISTRY], to=root, quarantine=workspace.quarantine
        )
        after = {path: _fingerprint(root / path) for path in before}
        seen = f"{report.created} files created, {report.replaced} replaced"
        both = report.healthy and after == before
        narrator.check("both are back, byte for byte", both, seen)
        agents = workspace.registry.list()
        narrator.check("the registry is whole again", len(agents) == 3, f"{len(agents)} agents")
        kept = workspace.quarantine.list_entries()
        seen = ", ".join(Path(each.origin).name for each in kept)
        narrator.check("what the restore replaced was kept", bool(kept), seen)


def _is_refused(workspace: Workspace) -> tuple[bool, str]:
    try:
        agents = workspace.registry.list()
    except UnreadableError as error:
        return True, f"line {error.line}, column {error.column}: {error.message}"
    return False, f"{len(agents)} agents were read from it"


def _undo_a_tool(narrator: Narrator, workspace: Workspace) -> None:
    tidied = workspace.layout.root / _TIDIED
    with narrator.chapter("An agent's shell command goes too far, and is undone"):
        before, files = _fingerprint(tidied), sum(path.is_file() for path in tidied.rglob("*"))
        call = {
            "tool_name": "Bash",
            "tool_use_id": "demo",
            "tool_input": {"command": f"rm -rf {_TIDIED}"},
        }
        _tell_guard(workspace, "before", call)
        remove_tree(tidied)
        _tell_guard(workspace, "after", call)
        narrator.tell(f"The guard made an undo point; the agent ran: rm -rf {_TIDIED}")
        narrator.check("the folder is gone", not tidied.exists(), f"{files} files destroyed")
        report = undo(workspace)
        same = report.healthy and _fingerprint(tidied) == before
        narrator.check("holdfast undo brings all of it back", same, f"{files} files, byte for byte")


def _tell_guard(workspace: Workspace, when: str, call: dict[str, Any]) -> None:
    """What the hook in Claude Code's settings does around each tool call."""
    answer(workspace.layout.root, when.encode() + b"\n" + msgspec.json.encode(call), None)


def _fingerprint(path: Path) -> str:
    """The names and bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    digest = hashlib.sha256()
    for each in files:
        digest.update(str(each).encode() + b"\0" + each.read_bytes())
    return digest.hexdigest()


def _conclude(narrator: Narrator, workspace: Workspace) -> None:
    held = sum(claim.held for claim in narrator.claims)
    root = workspace.layout.root
    narrator.say("")
    narrator.say(f"{held} of {len(narrator.claims)} claims held.", bold=True)
    if narrator.all_held:
        narrator.say(_PROVEN)
    narrator.say(f"The workspace is {root}, its backups {workspace.settings.backups}.")
    narrator.say("Try next:")
    for line in ("status", f"workflows show {_RUN}", f"logs --task {_RUN}", "undo --list"):
        narrator.say(f"  holdfast {line} -w {root}")
