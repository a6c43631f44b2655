"""The benchmarks' harness, and our side of every suite for a moment. No figure is judged."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as command
from benchmarks import environment
from benchmarks.cases import Case, Program, Side, per_second
from benchmarks.drivers.messages import SIZE, message, number_of
from benchmarks.harness import as_document, measure_all
from benchmarks.table import rows_of
from benchmarks.tree import Shape, edit_tree, make_tree

from tests.servers import require_postgres, require_redis

APPEND = Program("queues", "benchmarks.peers.append_queue")
QUEUE = Program("queues", "benchmarks.ours.queues")
TINY: dict[str, dict[str, Any]] = {
    "startup": {},
    "queues": {"count": 40},
    "events": {"count": 200},
    "workflows": {"count": 12},
    "registry": {"count": 3, "entries": 20},
    "logs": {"count": 50},
    "snapshots": {"divided_by": 1_000},
    "guard": {"files": 50},
    "servers": {"servers": 2},
    "secrets": {"count": 30},
    "upkeep": {"divided_by": 1_000},
}


def put(name: str, program: Program, **more: Any) -> Side:
    return Side(name, program, "put", "process", {"count": 30, "power": False, **more})


def case(ours: Side, *peers: Side, figure: Callable[[Mapping[str, Any]], float]) -> Case:
    return Case("a/row", "work", "things/s", "a crash", ours, peers, figure)


def test_sides_take_turns_and_the_order_turns_round(tmp_path: Path) -> None:
    said: list[str] = []
    row = case(put("ours", QUEUE), put("peer", APPEND), figure=per_second)
    (result,) = measure_all([row], repeat=3, scratch=tmp_path, say=said.append)
    order = [line.split()[1] for line in said]
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert [len(side.samples) for side in result.sides] == [3, 3]
    assert list(tmp_path.iterdir()) == []


def test_rows_that_look_at_the_same_work_have_it_done_once(tmp_path: Path) -> None:
    said: list[str] = []
    sides = put("ours", QUEUE), put("peer", APPEND)
    rows = [
        case(*sides, figure=lambda answer: float(answer["count"])),
        case(*sides, figure=lambda answer: 2.0 * float(answer["count"])),
    ]
    first, second = measure_all(rows, repeat=1, scratch=tmp_path, say=said.append)
    assert len(said) == 2
    assert [first.sides[0].median, second.sides[0].median] == [30.0, 60.0]
    assert first.ratio(first.sides[1]) == 1.0


def test_a_side_that_fails_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    bad = put("bad", APPEND, unknown=1)
    row = case(put("ours", QUEUE), bad, figure=per_second)
    (result,) = measure_all([row], repeat=2, scratch=tmp_path, say=lambda _: None)
    ours, theirs = result.sides
    assert len(ours.samples) == 2
    assert theirs.samples == []
    assert "unexpected keyword argument" in (theirs.problem or "")
    (cells,) = rows_of(result)
    assert any("NOT MEASURED, peer" in cell for cell in cells)


def test_a_side_whose_process_dies_is_told(tmp_path: Path) -> None:
    gone = Side("gone", Program("queues", "benchmarks.no_such_adapter"), "put", "-", {})
    row = case(put("ours", QUEUE), gone, figure=per_second)
    (result,) = measure_all([row], repeat=1, scratch=tmp_path, say=lambda _: None)
    assert "the process ended with" in (result.sides[1].problem or "")
    assert len(result.sides[0].samples) == 1


def test_a_missing_peer_is_reported_and_not_fatal(tmp_path: Path) -> None:
    absent = Program("queues", "benchmarks.peers.append_queue", requirement="no-such-program-here")
    row = case(put("ours", QUEUE), put("peer", absent), figure=per_second)
    (result,) = measure_all([row], repeat=1, scratch=tmp_path, say=lambda _: None)
    assert result.sides[1].problem == "the program no-such-program-here is not on PATH"
    document = as_document([result], {"cores": 1})
    assert document["rows"][0]["sides"][1]["ratio"] is None
    assert json.loads(json.dumps(document)) == document


def test_every_row_compares_equal_work_under_a_name_of_its_own() -> None:
    names = [row.name for row in command.select([], quick=False)]
    assert len(set(names)) == len(names)
    assert names == [row.name for row in command.select([], quick=False)]
    assert {name.partition("/")[0] for name in names} == set(command.SUITES)
    for row in command.select([], quick=False):
        assert {peer.name for peer in row.peers} >= set(row.target) or row.name.startswith("snap")
        if row.name.endswith("-shipped"):
            continue  # the peer as a user gets it, which may survive more; the row says so
        for side in (row.ours, *row.peers):
            assert side.parameters.get("power", False) == (row.survives == "a power cut") or (
                "power" not in side.parameters
            ), (row.name, side.name)


def test_list_names_the_rows_that_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "queues", "startup/h*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("startup/help ")
    assert all(line.startswith(("startup/help ", "queues/")) for line in lines)
    with pytest.raises(SystemExit) as ended:
        command.main(["--list", "nonsense"])
    assert ended.value.code == 2


def test_the_message_has_its_size_and_its_number() -> None:
    for number in (0, 7, 999_999):
        assert len(json.dumps(message(number), separators=(",", ":"))) == SIZE
        assert number_of(message(number)) == number


def test_the_tree_is_the_same_each_time_and_a_day_of_work_changes_it(tmp_path: Path) -> None:
    shape = Shape(200, 60, 60, 500, 40_000, 30_000)
    count = make_tree(tmp_path / "one", shape)
    make_tree(tmp_path / "two", shape)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert count == len(one) == 200 + 2 * 60 + 60 + 9
    edit_tree(tmp_path / "one", number=1)
    edited = contents(tmp_path / "one")
    assert len(edited.keys() - one.keys()) == 50
    assert sum(edited[name] != data for name, data in one.items()) == 101


def our_operations() -> Iterator[tuple[str, Side]]:
    """Our side of every row, with little work; rows that do the same are there once."""
    seen: list[tuple[str, str, str]] = []
    for row in command.select([], quick=True):
        suite = row.name.partition("/")[0]
        operation = (
            row.ours.operation
            + row.ours.program.adapter
            + str(row.ours.parameters.get("command", ""))
        )
        key = (suite, row.ours.program.driver, operation)
        if key not in seen:
            seen.append(key)
            small = {**row.ours.parameters, **TINY[suite]}
            if "backlog" in small:
                small["backlog"] = 50
            yield row.name, replace(row.ours, name="ours", durability="-", parameters=small)


def name_of(value: object) -> str:
    return value if isinstance(value, str) else "ours"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), list(our_operations()), ids=name_of)
def test_our_side_of_each_suite_works(
    name: str, side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLDFAST_WORKSPACE", raising=False)
    if side.server == "redis":
        require_redis()
    elif side.server == "postgresql":
        require_postgres()
    row = next(row for row in command.select([name], quick=True) if row.name == name)
    if "tree" in side.parameters:
        parameters = {**side.parameters, "tree": str(tmp_path / "tree")}
        side = replace(side, parameters=parameters)
    alone = Case(row.name, row.what, row.unit, row.survives, side, (), row.figure)
    (result,) = measure_all([alone], repeat=2, scratch=tmp_path, say=lambda _: None)
    assert result.sides[0].problem is None
    assert len(result.sides[0].samples) == 2


def test_peers_are_named_without_an_address() -> None:
    lines = environment.REQUIREMENTS.read_text("utf-8").splitlines()
    assert [line for line in lines if "/" in line or line.startswith("-")] == []


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
