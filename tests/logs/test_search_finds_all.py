"""Searching finds what a plain look at every parsed line finds, however the bytes are written."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from holdfast.logs import search, sources

START = b'{"timestamp":"'
T0 = datetime(2025, 1, 20, 10, 30, tzinfo=UTC)
NEEDLES = ("timed out", "bee", "é", 'say "hum"', "\\", "level", '"level":"ERROR"', "a/b", "\u2028")

texts = st.lists(
    st.sampled_from([*NEEDLES, "x", " ", "\n", "Task", "\x00", "ERROR", '{"timestamp":"']),
    max_size=4,
).map("".join)
values = st.recursive(
    st.none() | st.integers(-5, 5) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
records = st.fixed_dictionaries(
    {
        "component": st.sampled_from(["agent-bee", "Engine"]),
        "level": st.sampled_from(
            ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "Error", "info"]
        ),
        "message": texts,
        "task_id": st.sampled_from([None, "workflow-1", "workflow-1:a", "workflow-12:b", "é:x"]),
    },
    optional={"further": values, "nested": values},
)
styles = st.sampled_from(["ours", "ours", "escaped", "spaced", "shuffled"])
damage = st.sampled_from(
    [b"", b"", b"", b"\n", b"\0\0\0\n", b"plain ERROR text\n", START, START + b"2025-01-20T10:30:0"]
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["info", "WARNING", "ERROR"]),
        "task": st.sampled_from(["workflow-1", "workflow-1:a", "é"]),
        "grep": st.sampled_from(
            [re.escape(needle) for needle in NEEDLES] + ["timed out", "b.e", "^x"]
        ),
        "components": st.sampled_from([["agent-bee"], ["agent-*"], ["Engine", "other"]]),
        "since": st.integers(0, 30).map(lambda second: T0 + timedelta(seconds=second)),
        "until": st.integers(0, 60).map(lambda second: T0 + timedelta(seconds=second)),
    },
)


def written(data: dict[str, Any], style: str, second: int) -> bytes:
    stamp = (T0 + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    whole = {"timestamp": stamp, **data, "number": second}
    if style == "shuffled":
        whole = dict(reversed(whole.items()))
    compact = (",", ":") if style in ("ours", "escaped") else None
    return json.dumps(whole, separators=compact, ensure_ascii=style != "ours").encode() + b"\n"


def is_wanted(data: dict[str, Any], asked: dict[str, Any]) -> bool:
    """The conditions as they are told to people, on the parsed line."""
    levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    moment = datetime.fromisoformat(data["timestamp"])
    task = data["task_id"] or ""
    wanted = [
        levels.index(data["level"].upper()) >= levels.index(asked.get("level", "DEBUG").upper()),
        "task" not in asked or task == asked["task"] or task.startswith(asked["task"] + ":"),
        moment >= asked.get("since", T0 - timedelta(days=1)),
        moment < asked.get("until", T0 + timedelta(days=1)),
        "components" not in asked
        or any(data["component"].startswith(each.rstrip("*")) for each in asked["components"]),
    ]
    if "grep" in asked:
        searched = (
            value
            if isinstance(value, str)
            else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
            for key, value in data.items()
            if key not in ("timestamp", "component", "level", "task_id")
        )
        wanted.append(any(re.search(asked["grep"], text) for text in searched))
    return all(wanted)


@pytest.mark.parametrize("packed", [False, True])
@given(
    lines=st.lists(st.tuples(records, styles, damage), max_size=12),
    asked=conditions,
    block=st.sampled_from([40, 300, 1 << 16]),
)
def test_a_search_finds_what_a_plain_look_finds(
    packed: bool,
    lines: list[tuple[dict[str, Any], str, bytes]],
    asked: dict[str, Any],
    block: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    content, torn, merged = b"", 0, 0
    wanted: Counter[int] = Counter()
    for second, (data, style, before) in enumerate(lines):
        line = written(data, style, second)
        content += before + line
        starts_it_all = before.endswith(b"\n") or not before
        torn += starts_it_all and before not in (b"", b"\n")
        merged += not starts_it_all
        # Behind a torn line only one that begins as ours do can be told apart from it.
        if starts_it_all or line.startswith(START):
            wanted[second] += is_wanted(json.loads(line), asked)
    name = "mixed.20250121T000000.000000Z.log.zst" if packed else "mixed.log"
    (folder / name).write_bytes(zstandard.ZstdCompressor().compress(content) if packed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "_BLOCK", block)
        found = search(folder, **asked)
        numbers = Counter(record.data["number"] for record in found)
    assert numbers == +wanted
    # One that swallowed the next line is looked at where that might be wanted.
    assert torn <= sum(found.unreadable.values()) <= torn + merged
    assert asked or sum(found.unreadable.values()) == torn + merged
