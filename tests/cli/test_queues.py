"""``holdfast queues`` as a person and a program use it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from holdfast.durable.documents import write_document
from holdfast.workspace.layout import Marker, marker_of
from tests.conftest import Runner


@pytest.fixture
def run(holdfast: Runner, tmp_path: Path) -> Runner:
    """The command inside a fresh workspace."""
    root = tmp_path / "development"
    marker_of(root).parent.mkdir(parents=True)
    write_document(marker_of(root), Marker("0000", "development", ".."))

    def call(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return holdfast("queues", *arguments, cwd=root, **options)

    return call


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_message_from_put_to_ack(run: Runner) -> None:
    assert document(run("list", "--json")) == []
    (id_,) = document(run("put", "jobs", '{"topic": "bees"}', "--json"))["ids"]
    assert run("peek", "jobs").stdout.split("\t")[0] == id_
    (taken,) = document(run("take", "jobs", "--json"))
    assert (taken["id"], taken["body"], taken["attempts"]) == (id_, {"topic": "bees"}, 1)
    assert document(run("take", "jobs", "--json")) == []
    assert run("ack", "jobs", taken["receipt"]).returncode == 0
    again = run("ack", "jobs", taken["receipt"], "--json")
    assert again.returncode == 1
    assert json.loads(again.stderr)["error"]["type"] == "ConflictError"
    (row,) = document(run("list", "--json"))
    assert (row["queue"], row["ready"], row["leased"]) == ("jobs", 0, 0)


def test_giving_back_until_dead_and_requeueing(run: Runner) -> None:
    run("put", "jobs", "-", stdin='"bees"')
    for _ in range(5):
        (taken,) = document(run("take", "jobs", "--json"))
        assert run("nack", "jobs", taken["receipt"], "--reason", "rain").returncode == 0
    (dead,) = document(run("dead", "jobs", "--json"))
    assert (dead["body"], dead["reason"], dead["attempts"]) == ("bees", "rain", 5)
    assert document(run("requeue", "jobs", "--json"))["requeued"] == 1
    assert run("take", "jobs", "--ack").stdout.endswith('\t"bees"\n')
    assert document(run("peek", "jobs", "--json")) == []


def test_pausing(run: Runner) -> None:
    run("put", "jobs", "1")
    assert run("pause", "jobs").returncode == 0
    assert document(run("take", "jobs", "--json")) == []
    assert run("pause", "jobs", "--off").returncode == 0
    assert len(document(run("take", "jobs", "--json"))) == 1


def test_purging_needs_consent_and_keeps_a_way_back(run: Runner, tmp_path: Path) -> None:
    run("put", "jobs", "-", "--lines", stdin='{"n": 1}\n\n{"n": 2}\n')
    assert document(run("purge", "jobs", "--dry-run", "--json"))["messages"] == 2
    assert run("purge", "jobs").returncode == 4
    assert len(document(run("peek", "jobs", "--json"))) == 2
    facts = document(run("purge", "jobs", "--yes", "--json"))
    assert document(run("peek", "jobs", "--json")) == []
    root = tmp_path / "development"
    kept = root / ".holdfast" / "quarantine" / facts["quarantine"] / "item"
    lines = kept.read_text(encoding="utf-8").splitlines()
    bodies = [json.dumps(json.loads(line)["rec"]["body"]) for line in lines]
    run("put", "jobs", "-", "--lines", stdin="\n".join(bodies))
    back = document(run("take", "jobs", "--max", "9", "--json"))
    assert [message["body"] for message in back] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("put", "jobs", "{bees"),
        ("put", "../jobs", "1"),
        ("take", "nothing"),
        ("peek", "nothing"),
        ("put", "jobs", "1", "--lines"),
    ],
)
def test_wrong_usage(run: Runner, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert "error:" in done.stderr


def test_subscriptions_get_all_and_can_get_it_again(run: Runner) -> None:
    made = document(run("subscribe", "orders", "billing", "--json"))
    assert (made["subscription"], made["position"], made["lag"]) == ("orders@billing", 0, 0)
    put = run("put", "orders", "-", "--lines", "--json", stdin='{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    assert document(put) == {"topic": "orders", "positions": [1, 2, 3]}
    assert run("subscribe", "orders", "audit", "--start", "2").returncode == 0
    taken = document(run("take", "orders@billing", "--max", "2", "--ack", "--json"))
    assert [one["body"]["n"] for one in taken] == [1, 2]
    assert [one["position"] for one in document(run("peek", "orders@audit", "--json"))] == [3]
    rows = {row["queue"]: row for row in document(run("list", "--json"))}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "orders": "topic",
        "orders@audit": "subscription",
        "orders@billing": "subscription",
    }
    assert (rows["orders"]["first"], rows["orders"]["last"]) == (1, 3)
    assert (rows["orders@billing"]["lag"], rows["orders@audit"]["lag"]) == (1, 1)

    assert run("replay", "orders@billing", "--from", "all").returncode == 4
    planned = run("replay", "orders@billing", "--from", "1", "--dry-run", "--json")
    assert document(planned)["messages"] == 2
    assert run("replay", "orders@billing", "--from", "all", "--yes").returncode == 0
    again = document(run("take", "orders@billing", "--max", "9", "--json"))
    assert [one["body"]["n"] for one in again] == [1, 2, 3]
    assert run("replay", "orders@billing", "--from", "yesterday", "--yes").returncode == 0
    assert run("replay", "orders@billing", "--from", "nonsense", "--yes").returncode == 2

    assert document(run("purge", "orders@audit", "--yes", "--json"))["messages"] == 1
    assert run("unsubscribe", "orders@audit").returncode == 4
    assert run("unsubscribe", "orders@audit", "--yes").returncode == 0
    assert run("take", "orders@audit").returncode == 2
    assert run("take", "orders").returncode == 2
    assert run("retain", "orders", "--count", "2").returncode == 0
    assert run("retain", "orders").returncode == 2
    rows = {row["queue"]: row for row in document(run("list", "--json"))}
    assert rows["orders"]["retain"] == {"count": 2}
    assert run("put", "jobs", "1").returncode == 0
    taken_name = run("subscribe", "jobs", "a", "--json")
    assert taken_name.returncode == 2
    assert "queue already" in taken_name.stderr
