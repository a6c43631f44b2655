"""Where a leaked value lies: every place is found, and only places are told."""

import base64
import json
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import step, workflow
from holdfast.errors import UsageError
from holdfast.facade import Workspace
from holdfast.guard.secrets.needle import Needle
from tests.conftest import Runner
from tests.guard.secrets.conftest import Git
from tests.guard.secrets.test_scan import GITHUB

BURIED = 3_000_000  # bytes before it, so that it lies in a later chunk


@step
def use(token: str) -> str:
    return f"used {token}"


@workflow
def calling(token: str) -> str:
    return use(token)


def test_every_place_is_found(workspace: Workspace, holdfast: Runner, git: Git) -> None:
    layout = workspace.layout
    (layout.root / "leak.py").write_text(f"# 1\nx = '{GITHUB}'\n", encoding="utf-8")
    (layout.root / "big.bin").write_bytes(b"\0x\n" * (BURIED // 3) + GITHUB.encode())
    git("add", "leak.py")
    git("commit", "-q", "-m", "leak")
    git("rm", "-q", "leak.py")
    git("commit", "-q", "-m", "gone")
    git("commit", "-q", "--allow-empty", "-m", f"oops {GITHUB}")
    snapshot = workspace.snapshot()
    (layout.root / "big.bin").unlink()
    workspace.queue("jobs").put({"token": GITHUB})
    workspace.events.append("audit", "Seen", {"token": GITHUB})
    run = workspace.workflows.start(calling, (GITHUB,), {}, run_id="run-1")
    run.result(60)
    transcript = layout.home / ".claude" / "projects" / "-x" / "1.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text(json.dumps({"text": f"say {GITHUB}"}) + "\n", encoding="utf-8")
    workspace.close()
    done = holdfast("secrets", "trace", "--json", cwd=layout.root, stdin=f"{GITHUB}\n")
    assert done.returncode == 1, done.stderr
    assert GITHUB not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["unread"] == []
    kinds = {each["kind"] for each in found["places"]}
    wanted = {"commit", "snapshot", "transcript", "message", "run", "step", "event", "state"}
    assert wanted <= kinds
    where = [each["where"] for each in found["places"]]
    assert "~/.claude/projects/-x/1.jsonl:1" in where
    assert any("big.bin" in each and snapshot.snapshot.id[:12] in each for each in where)
    assert sum("leak.py" in each for each in where) >= 2, "brought in, and taken out"
    assert any("its message" in each for each in where)
    nowhere = holdfast("secrets", "trace", cwd=layout.root, stdin="is-nowhere-at-all\n")
    assert (nowhere.returncode, "0 places" in nowhere.stdout) == (0, True)
    short = holdfast("secrets", "trace", cwd=layout.root, stdin="abc\n")
    assert short.returncode == 2


@given(
    value=st.text(st.characters(codec="ascii", exclude_characters="\0\r\n"), min_size=8),
    before=st.binary(max_size=20),
    after=st.binary(max_size=20),
    size=st.integers(1, 7),
)
def test_a_value_is_found_in_every_form_and_across_pieces(
    value: str, before: bytes, after: bytes, size: int
) -> None:
    plain = value.encode()
    forms = [plain, json.dumps(value).encode(), quote(value, safe="").encode()]
    forms += [base64.b64encode(before + plain + after)]
    forms += [base64.urlsafe_b64encode(before + plain + after)]
    needle = Needle(value)
    for form in forms:
        text = b"a\nb " + form + b" c"
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert needle.line_in(pieces) == 2, form


def test_a_short_value_is_refused() -> None:
    with pytest.raises(UsageError):
        Needle("12345")


def test_masking_a_stream(holdfast: Runner, tmp_path: Path) -> None:
    key = "-----BEGIN RSA PRIVATE" + " KEY-----"
    text = f"a {GITHUB} b\n{key}\nMIIE\n-----END RSA PRIVATE" + " KEY-----\nfine\n"
    done: subprocess.CompletedProcess[str] = holdfast("secrets", "mask", stdin=text)
    assert done.stdout == (
        f"a •••• ({len(GITHUB)} characters) b\n" + "•••• (private key)\n" * 3 + "fine\n"
    )
