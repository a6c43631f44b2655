"""What ``holdfast secrets scan`` finds, and that no value comes out of it."""

import gzip
import json
import random
from pathlib import Path

import zstandard

from holdfast.facade import Workspace
from tests.conftest import Runner
from tests.guard.secrets.conftest import Git
from tests.secrets.test_corpus import SHAPES, secret_of

CORPUS = {kind: secret_of(shape, random.Random(kind)) for kind, shape in SHAPES.items()}
GITHUB = CORPUS["GitHub token"]


def values() -> list[str]:
    """What must never be printed: of each planted secret its middle."""
    return [text[len(text) // 3 : len(text) // 3 + 12] for text in CORPUS.values()]


def plant(workspace: Workspace) -> list[Path]:
    """Every secret of the corpus in every kind of file."""
    root, home = workspace.layout.root, workspace.layout.home
    plain = "".join(f"export V{n}='{text}'\n" for n, text in enumerate(CORPUS.values()))
    env = "".join(f"V{n}={text}\n" for n, text in enumerate(CORPUS.values()))
    lines = "".join(
        json.dumps({"timestamp": "2026-01-20T10:30:00Z", "message": text}) + "\n"
        for text in CORPUS.values()
    )
    settings = json.dumps({f"v{n}": text for n, text in enumerate(CORPUS.values())}, indent=2)
    files: dict[Path, bytes] = {
        root / "configs" / "more.json": settings.encode(),
        root / ".env": env.encode(),
        root / "agents" / "plain.py": plain.replace("export ", "").encode(),
        root / "logs" / "agent.log": lines.encode(),
        root / "logs" / "agent.20260101T000000.000000Z.log.zst": zstandard.compress(lines.encode()),
        root / "logs" / "other.log.gz": gzip.compress(lines.encode()),
        home / ".claude" / "projects" / "-x" / "0.jsonl": lines.encode(),
        home / ".claude" / "shell-snapshots" / "snapshot-bash-1-a.sh": plain.encode(),
        home / ".mcp.json": settings.encode(),
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(files)


def test_every_planted_secret_is_found_and_none_is_printed(
    workspace: Workspace, holdfast: Runner
) -> None:
    files = plant(workspace)
    root = workspace.layout.root
    as_json = holdfast("secrets", "scan", "--json", cwd=root)
    assert as_json.returncode == 1, as_json.stderr
    found = json.loads(as_json.stdout)
    for path in files:
        at_home = not path.is_relative_to(root)
        base = workspace.layout.home if at_home else root
        name = ("~/" if at_home else "") + path.relative_to(base).as_posix()
        lines = {each["line"] for each in found["findings"] if each["path"] == name}
        first = 2 if path.suffix == ".json" else 1
        assert lines == set(range(first, len(CORPUS) + first)), name
    as_text = holdfast("secrets", "scan", cwd=root)
    assert as_text.returncode == 1
    assert "configs/more.json:2: " in as_text.stdout
    assert "holdfast secrets move .env --line 1" in as_text.stdout
    said = as_json.stdout + as_json.stderr + as_text.stdout + as_text.stderr
    assert [value for value in values() if value in said] == []


def test_a_named_place_a_clean_one_and_a_missing_one(
    workspace: Workspace, holdfast: Runner
) -> None:
    root = workspace.layout.root
    (root / "shared" / "x.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    assert holdfast("secrets", "scan", "shared", cwd=root).returncode == 1
    assert holdfast("secrets", "scan", root / "shared/x.txt", cwd=root).returncode == 1
    clean = holdfast("secrets", "scan", "agents", cwd=root)
    assert (clean.returncode, "0 likely secrets in" in clean.stdout) == (0, True)
    assert holdfast("secrets", "scan", "nowhere", cwd=root).returncode == 2
    (root / "shared" / "torn.log.zst").write_bytes(b"no archive")
    torn = holdfast("secrets", "scan", "shared/torn.log.zst", cwd=root)
    assert "shared/torn.log.zst: cannot be read" in torn.stdout


def test_an_accepted_finding_is_not_shown_again_but_elsewhere_it_is(
    workspace: Workspace, holdfast: Runner
) -> None:
    root = workspace.layout.root
    (root / "shared" / "x.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    accepted = holdfast("secrets", "scan", "--accept", cwd=root)
    assert "1 accepted now" in accepted.stdout
    baseline = (root / "configs" / "secrets-baseline.json").read_text(encoding="utf-8")
    assert GITHUB not in baseline
    assert holdfast("secrets", "scan", cwd=root).returncode == 0
    (root / "shared" / "y.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    again = holdfast("secrets", "scan", "--json", cwd=root)
    assert [each["path"] for each in json.loads(again.stdout)["findings"]] == ["shared/y.txt"]
    assert holdfast("undo", "--yes", cwd=root).returncode == 0
    assert len(json.loads(holdfast("secrets", "scan", "--json", cwd=root).stdout)["findings"]) == 2


def test_a_baseline_that_cannot_be_read_is_an_error_and_one_of_elsewhere_is_told(
    workspace: Workspace, holdfast: Runner
) -> None:
    layout = workspace.layout
    (layout.root / "shared" / "x.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    holdfast("secrets", "scan", "--accept", cwd=layout.root)
    (layout.secrets / "baseline.key").write_bytes(b"k" * 32)
    other = holdfast("secrets", "scan", cwd=layout.root)
    assert (other.returncode, "another machine" in other.stderr) == (1, True)
    assert holdfast("secrets", "scan", "--accept", cwd=layout.root).returncode == 1
    (layout.configs / "secrets-baseline.json").write_text("{", encoding="utf-8")
    assert holdfast("secrets", "scan", cwd=layout.root).returncode == 3


def test_what_is_staged_counts_not_what_lies_in_the_file(
    workspace: Workspace, holdfast: Runner, git: Git
) -> None:
    path = workspace.layout.root / "shared" / "ä b.py"
    path.write_text(f"x = 1\ny = '{GITHUB}'\n", encoding="utf-8")
    git("add", "shared")
    path.write_text("x = 1\n", encoding="utf-8")
    done = holdfast("secrets", "scan", "--staged", cwd=workspace.layout.root)
    assert done.returncode == 1
    assert "shared/ä b.py:2: GitHub token" in done.stdout
    assert GITHUB not in done.stdout + done.stderr
    git("commit", "-q", "-m", "leak")
    path.write_text(f"z = 0\ny = '{GITHUB}'\n", encoding="utf-8")
    git("add", "shared")
    again = holdfast("secrets", "scan", "--staged", cwd=workspace.layout.root)
    assert again.returncode == 0, "HEAD has it already"
