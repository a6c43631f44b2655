"""Undo: every destructive command is a point, and undoing it gives the exact tree back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.claude.guest_file import GuestFile, Put
from holdfast.durable.files import is_temporary
from holdfast.durable.points import PointLog
from holdfast.errors import NotFoundError, UnreadableError
from holdfast.facade import Workspace, open_workspace
from holdfast.guard.recording import answer
from holdfast.upkeep.undo import expire_points, list_points, undo
from holdfast.upkeep.undo_parts import Choice
from holdfast.workspace.creation import create
from tests.conftest import Runner, require_program, was_killed

_STATE = (".holdfast", ".git/")


def tree(root: Path) -> dict[str, Any]:
    """Every path of the workspace but its own state: the bytes of files, None for folders."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(_STATE) and not is_temporary(path.name):
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "home")


def make_workspace(home: Path) -> Workspace:
    """A workspace with two registered agents."""
    root = create(home / "development", home=home).layout.root
    for name in ("scout", "director"):
        (root / "agents" / f"{name}.py").write_text(f"# {name}\n", encoding="utf-8")
    opened = open_workspace(root)
    opened.registry.discover_agents(root / "agents")
    return opened


class Commands:
    """Destructive work, each as one command with a point of its own."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.snapshot = workspace.snapshot().snapshot.id

    def remove_agent(self, number: int) -> None:
        agents = self.workspace.registry.list()
        if agents:
            with self.workspace.point("agents remove"):
                self.workspace.registry.remove(agents[number % len(agents)].id)

    def add_agent(self, number: int) -> None:
        with self.workspace.point("agents add"):
            known = {agent.id for agent in self.workspace.registry.list()}
            if f"agent-{number}" not in known:
                self.workspace.registry.add(f"agent-{number}", path="nowhere.py")

    def registry_undo(self, _: int) -> None:
        with self.workspace.point("agents undo"):
            self.workspace.registry.undo()

    def restore(self, number: int) -> None:
        """A restore that replaces files, makes some again, and meets a folder in a file's place."""
        root = self.workspace.layout.root
        (root / "agents" / "scout.py").write_text(f"# edited {number}\n", encoding="utf-8")
        (root / "agents" / "director.py").unlink(missing_ok=True)
        if number % 2:
            (root / "agents" / "director.py").mkdir()
            (root / "agents" / "director.py" / "inside").write_text("x", encoding="utf-8")
        if number % 3 == 0:
            shutil.rmtree(root / "shared", ignore_errors=True)
        before = tree(root)
        with self.workspace.point("restore"):
            self.workspace.vault.restore(
                self.snapshot,
                ["agents", "shared"],
                to=root,
                quarantine=self.workspace.quarantine,
            )
        undo(self.workspace)
        assert tree(root) == before
        undo(self.workspace, _last(self.workspace))  # and there again

    def set_aside(self, number: int) -> None:
        names = sorted(path.name for path in (self.workspace.layout.root / "agents").iterdir())
        if names:
            place = self.workspace.layout.root / "agents" / names[number % len(names)]
            with self.workspace.point("clean"):
                self.workspace.quarantine.take(place, reason="test")

    def quarantine_restore(self, number: int) -> None:
        entries = self.workspace.quarantine.list_entries()
        if entries:
            entry = entries[number % len(entries)]
            with self.workspace.point("quarantine restore"):
                to = self.workspace.layout.root / "back" / str(number)
                if not to.exists():
                    self.workspace.quarantine.restore(entry.id, to=to)


_WORK = ("remove_agent", "add_agent", "registry_undo", "set_aside", "quarantine_restore", "restore")


def _last(workspace: Workspace) -> str:
    return list_points(workspace)[0].id


@settings(max_examples=10)
@given(
    work=st.lists(st.tuples(st.sampled_from(_WORK), st.integers(0, 5)), min_size=1, max_size=6),
    back=st.integers(1, 6),
)
def test_undoing_the_last_commands_gives_the_exact_tree(
    tmp_path_factory: pytest.TempPathFactory, work: list[tuple[str, int]], back: int
) -> None:
    with make_workspace(tmp_path_factory.mktemp("undo")) as workspace:
        root = workspace.layout.root
        commands = Commands(workspace)
        states = []
        for name, number in work:
            before, count = tree(root), len(list_points(workspace))
            getattr(commands, name)(number)
            if name != "restore" and len(list_points(workspace)) > count:
                states.append(before)
            elif name == "restore":
                states.clear()  # it changes the tree by hand too; it checks itself
        for before in list(reversed(states))[:back]:
            undo(workspace)
            assert tree(root) == before


def test_the_last_command_comes_back_and_then_the_one_before(workspace: Workspace) -> None:
    registry = workspace.registry
    for agent in ("scout", "director"):
        with workspace.point(f"remove {agent}"):
            registry.remove(agent)
    assert undo(workspace).command == "remove director"
    assert [agent.id for agent in registry.list()] == ["director"]
    assert undo(workspace).command == "remove scout"
    assert {agent.id for agent in registry.list()} == {"director", "scout"}
    with pytest.raises(NotFoundError, match="nothing to undo"):
        undo(workspace)


def test_an_undo_can_be_undone_and_that_too(workspace: Workspace) -> None:
    with workspace.point("clean"):
        workspace.quarantine.take(workspace.layout.agents, reason="test")
    gone = tree(workspace.layout.root)
    first = undo(workspace)
    there = tree(workspace.layout.root)
    assert first.made is not None
    second = undo(workspace, first.made)
    assert tree(workspace.layout.root) == gone
    assert second.made is not None
    undo(workspace, second.made)
    assert tree(workspace.layout.root) == there
    states = {each.id: each.undone_by for each in list_points(workspace)}
    assert states[first.made] is None  # its undo was undone
    assert states[second.made] is not None


def test_what_was_made_in_a_created_folder_since_stays(workspace: Workspace) -> None:
    root = workspace.layout.root
    snapshot = workspace.snapshot().snapshot.id
    with workspace.point("restore"):
        workspace.vault.restore(snapshot, ["agents"], to=root / "other" / "place")
    (root / "other" / "place" / "mine.txt").write_text("mine", encoding="utf-8")
    undo(workspace)
    left = sorted(path.relative_to(root).as_posix() for path in (root / "other").rglob("*"))
    assert left == ["other/place", "other/place/mine.txt"]


def test_what_is_in_the_way_is_kept(workspace: Workspace) -> None:
    agents = workspace.layout.agents
    with workspace.point("clean"):
        workspace.quarantine.take(agents / "scout.py", reason="test")
    (agents / "scout.py").write_text("new\n", encoding="utf-8")
    done = undo(workspace)
    assert (agents / "scout.py").read_text(encoding="utf-8") == "# scout\n"
    assert done.made is not None
    undo(workspace, done.made)
    assert (agents / "scout.py").read_text(encoding="utf-8") == "new\n"


def test_a_torn_registry_comes_back_torn(workspace: Workspace) -> None:
    path = workspace.layout.agent_registry
    path.write_bytes(b'{"agentRegistry": {"prod')
    with workspace.point("agents undo"):
        workspace.registry.undo()
    assert workspace.registry.list()
    undo(workspace)
    assert path.read_bytes() == b'{"agentRegistry": {"prod'


def test_later_commands_on_the_same_file_are_told(workspace: Workspace) -> None:
    with workspace.point("first"):
        workspace.registry.remove("scout")
    with workspace.point("second"):
        workspace.registry.remove("director")
    first = list_points(workspace)[1]
    plan = undo(workspace, first.id, dry_run=True)
    assert [line.endswith(": second") for line in plan.later] == [True]
    assert len(workspace.registry.list()) == 0


def test_what_left_the_quarantine_is_told(workspace: Workspace) -> None:
    with workspace.point("clean"):
        workspace.quarantine.take(workspace.layout.agents, reason="test")
    workspace.quarantine.empty()
    point = list_points(workspace)[0]
    report = undo(workspace, point.id)
    assert not report.healthy
    assert "no longer in quarantine" in report.problems[0]


def test_a_purged_queue_is_filled_again(workspace: Workspace, holdfast: Runner) -> None:
    root = workspace.layout.root
    with workspace.queue("jobs") as queue:
        queue.put_many([{"n": 1}, {"n": 2}])
        queue.put({"n": 3}, headers={"from": "test"})
    done = holdfast("queues", "purge", "jobs", "--yes", "-w", root)
    assert done.returncode == 0, done.stderr
    done = holdfast("undo", "--yes", "--json", "-w", root)
    assert done.returncode == 0, done.stderr
    with open_workspace(root) as again:
        messages = again.queue("jobs").take(5)
        assert [message.body["n"] for message in messages] == [1, 2, 3]
        assert messages[2].headers == {"from": "test"}
    assert not (root / ".holdfast" / "jobs.purged.jsonl").exists()
    more = holdfast("undo", "--yes", "-w", root)  # not the same messages a second time
    assert "queue jobs" not in more.stdout + more.stderr


def test_forgotten_snapshots_and_changed_settings_come_back(
    workspace: Workspace, holdfast: Runner
) -> None:
    root = workspace.layout.root
    ids = [workspace.snapshot().snapshot.id for _ in range(2)]
    assert holdfast("backup", "drill", "-w", root).returncode == 0
    assert holdfast("backup", "create", "-w", root).returncode == 0
    assert not [point for point in list_points(workspace) if "backup" in point.command]
    assert holdfast("backup", "forget", ids[0], "--yes", "-w", root).returncode == 0
    assert ids[0] not in {info.id for info in workspace.vault.snapshots()}
    done = holdfast("undo", "--yes", "-w", root)
    assert done.returncode == 0, done.stderr
    assert ids[0] in {info.id for info in workspace.vault.snapshots()}
    before = tree(root)
    assert holdfast("config", "set", "undo.keepDays", "10", "-w", root).returncode == 0
    assert tree(root) != before
    assert holdfast("undo", "--yes", "-w", root).returncode == 0
    assert tree(root) == before


def test_through_the_door(workspace: Workspace, holdfast: Runner) -> None:
    root = workspace.layout.root
    before = tree(root)
    assert holdfast("agents", "remove", "scout", "--yes", "-w", root).returncode == 0
    listed = json.loads(holdfast("undo", "--list", "--json", "-w", root).stdout)
    assert listed[0]["command"] == f"holdfast agents remove scout --yes -w {root}"
    refused = holdfast("undo", "-w", root)
    assert refused.returncode == 4
    plan = holdfast("undo", "--dry-run", "-w", root)
    assert plan.returncode == 0
    assert "put back" in plan.stdout
    assert tree(root) != before
    assert holdfast("undo", listed[0]["id"][-8:], "--yes", "-w", root).returncode == 0
    assert tree(root) == before
    assert holdfast("undo", "nonsense", "-w", root).returncode == 2


def test_a_point_that_cannot_be_read_is_told(workspace: Workspace) -> None:
    with workspace.point("one"):
        workspace.registry.remove("scout")
    path = workspace.points.root / list_points(workspace)[0].id / "point.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"document"', b'"dokument"'))
    with pytest.raises(UnreadableError, match="not a line of an undo point"):
        undo(workspace)


def test_expired_points_are_forgotten_and_no_others(workspace: Workspace) -> None:
    with workspace.point("one"):
        workspace.registry.remove("scout")
    assert workspace.points.expire(older_than=60) == []
    assert [point.header.command for point in workspace.points.expire(older_than=-1)] == ["one"]
    assert workspace.points.list() == []


CRASH = """
import sys
from pathlib import Path
from holdfast.facade import open_workspace
from holdfast.upkeep.undo import undo
workspace = open_workspace(sys.argv[1])
if sys.argv[2] == "work":
    with workspace.point("work"):
        workspace.registry.remove("scout")
        workspace.vault.restore(sys.argv[3], ["agents", "shared"], to=workspace.layout.root,
                                quarantine=workspace.quarantine)
        workspace.quarantine.take(workspace.layout.root / "scripts", reason="test")
else:
    undo(workspace)
"""


def _prepared(workspace: Workspace) -> tuple[str, Callable[[], dict[str, Any]]]:
    root = workspace.layout.root
    for number in range(20):
        (root / "agents" / f"many-{number}.txt").write_text(f"{number}", encoding="utf-8")
    (root / "scripts" / "run.sh").write_text("true\n", encoding="utf-8")
    snapshot = workspace.snapshot().snapshot.id
    for number in range(18):
        (root / "agents" / f"many-{number}.txt").write_text(f"{number} edited", encoding="utf-8")
    (root / "agents" / "many-19.txt").unlink()
    shutil.rmtree(root / "shared")
    return snapshot, lambda: tree(root)


@pytest.mark.parametrize("killed", ["work", "undo"])
def test_killed_at_every_point_of_a_command_or_its_undo(
    tmp_path: Path, workspace: Workspace, run_python: Runner, killed: str
) -> None:
    snapshot, now = _prepared(workspace)
    root = workspace.layout.root
    before = now()
    pristine = tmp_path / "pristine"
    if killed == "undo":
        assert run_python(CRASH, root, "work", snapshot).returncode == 0
    shutil.copytree(tmp_path / "home", pristine, symlinks=True)
    trace = tmp_path / "trace"
    assert run_python(CRASH, root, killed, snapshot, trace=trace).returncode == 0
    visits = trace.read_text(encoding="utf-8").split()
    names = sorted(set(visits))
    assert "points.noted" in names
    chosen = [(name, 1) for name in names if not name.startswith("vault.snapshot")]
    chosen += [("points.noted", n) for n in range(2, visits.count("points.noted") + 1)]
    for name, visit in chosen:
        shutil.rmtree(tmp_path / "home")
        shutil.copytree(pristine, tmp_path / "home", symlinks=True)
        done = run_python(CRASH, root, killed, snapshot, faults=f"{name}=crash@{visit}")
        assert was_killed(done), (name, done.stderr)
        with open_workspace(root) as again:
            if now() != before:
                undo(again)
            assert now() == before, (name, visit)


def test_restores_are_undone_through_the_door(workspace: Workspace, holdfast: Runner) -> None:
    require_program("git")
    root = workspace.layout.root
    for command in (("history", "init"), ("history", "save"), ("backup", "create")):
        done = holdfast(*command, "-w", root)
        assert done.returncode == 0, done.stderr
    scout = root / "agents" / "scout.py"

    for restore in (
        ("restore", "latest", "agents", "--yes"),
        ("history", "restore", "agents/scout.py", "--yes"),
        ("history", "restore", "agents/director.py", "--yes"),
    ):
        scout.write_text(f"# {restore}\n", encoding="utf-8")
        (root / "agents" / "director.py").unlink(missing_ok=True)
        before = tree(root)
        done = holdfast(*restore, "-w", root)
        assert done.returncode == 0, done.stderr
        assert tree(root) != before
        done = holdfast("undo", "--yes", "-w", root)
        assert done.returncode == 0, done.stderr
        assert tree(root) == before


def test_expired_points_take_their_snapshots_with_them(workspace: Workspace) -> None:
    root = workspace.layout.root
    for number in range(2):
        (root / "agents" / "scout.py").write_text(f"# {number}\n", encoding="utf-8")
        call = {"tool_name": "Bash", "tool_input": {"command": f"echo {number}"}}
        assert answer(root, b"before\n" + json.dumps(call).encode(), None).output == b""
    old = list_points(workspace)[1]
    header = workspace.points.root / old.id / "point.jsonl"
    text = header.read_text(encoding="utf-8")
    year = f'"startedAt": "{old.started_at.year}'
    header.write_text(text.replace(year, '"startedAt": "2020'), encoding="utf-8")
    assert [point.id for point in expire_points(workspace)] == [old.id]
    assert len([info for info in workspace.vault.snapshots() if "undo" in info.tags]) == 1
    assert len(list_points(workspace)) == 1


def test_another_programs_file_goes_back_unless_that_program_wrote_since(
    workspace: Workspace,
) -> None:
    path = workspace.layout.home / ".claude.json"
    path.write_text('{"mcpServers": {}, "starts": 1}', encoding="utf-8")
    for wrote_since in (False, True):
        before = path.read_bytes()
        with workspace.point("servers sync"):
            put = Put(("mcpServers", "demo"), {"command": "true"})
            GuestFile(path, lock="folder").edit([put])
        written = path.read_bytes()
        if wrote_since:
            written = written.replace(b'"starts": 1', b'"starts": 2')
            path.write_bytes(written)
        plan = undo(workspace, list_points(workspace)[0].id)
        assert path.read_bytes() == (written if wrote_since else before)
        assert [step.remark for step in plan.left] == ["its program wrote it since"] * wrote_since
    asked = Choice(changed_since=True)
    undo(workspace, list_points(workspace)[0].id, choice=asked)
    assert b"demo" not in path.read_bytes()


def test_without_a_point_nothing_is_noted(workspace: Workspace) -> None:
    workspace.registry.remove("scout")
    assert PointLog(workspace.layout.points).list() == []
