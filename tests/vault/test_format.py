"""The commands of docs/format.md, run as they stand there, with none of this code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast.vault.packs
from holdfast.vault import Vault
from tests.conftest import require_program
from tests.vault.access import create, encrypted
from tests.vault.trees import facts, make_tree

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="commands of a POSIX shell"),
    pytest.mark.usefixtures("each_kind"),
]
PAGE = Path(__file__).parents[2] / "docs" / "format.md"


def command(title: str) -> str:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [text for text in blocks if text.startswith(f"# {title}\n")]
    return str(block)


def run(vault: Vault, title: str, **variables: str) -> bytes:
    for program in ("zstd", "tar", "jq", *(["age"] if encrypted() else [])):
        require_program(program)
    done = subprocess.run(
        ["sh", "-eu", "-c", command(title)],
        cwd=vault.path,
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "IDENTITY": os.environ.get("HOLDFAST_IDENTITY", ""),
            **variables,
        },
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def vault(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setattr(holdfast.vault.packs, "PACK_SIZE", 1 << 20)
    vault = create(tmp_path / "vault")
    vault.snapshot(tree, everything=True)
    if encrypted():
        run(vault, "open")
    return vault


def test_listing_with_jq(vault: Vault) -> None:
    listing = run(vault, "list", S=vault.resolve("latest")).decode()
    assert "15\t0\tagents/director-agent.py\n" in listing
    assert f"{9 << 20}\t0\tlarge.bin\n" in listing


@pytest.mark.parametrize("path", ["agents/director-agent.py", "large.bin", "Grüße 🐝.txt", "empty"])
def test_one_file_with_zstd_and_jq(tree: Path, vault: Vault, path: str) -> None:
    content = run(vault, "one file", S=vault.resolve("latest"), F=path)
    assert content == (tree / path).read_bytes()


def test_everything_with_zstd_tar_and_jq(tmp_path: Path, tree: Path, vault: Vault) -> None:
    out = tmp_path / "out"
    before = sorted(vault.path.rglob("*"))
    run(vault, "everything", S=vault.resolve("latest"), OUT=str(out))
    assert facts(out) == facts(tree)
    assert sorted(vault.path.rglob("*")) == before


def test_a_pack_in_clear_is_an_ordinary_tar(tmp_path: Path, vault: Vault) -> None:
    from blake3 import blake3

    require_program("zstd")
    if encrypted():
        pytest.skip("its packs are many age files: see the commands above")
    for pack in (vault.path / "packs").rglob("*.tar.zst"):
        subprocess.run(["zstd", "-tq", pack], check=True)
        listed = subprocess.run(["tar", "-tf", pack], check=True, capture_output=True, text=True)
        assert listed.stderr == ""
        subprocess.run(["tar", "-xf", pack, "-C", tmp_path], check=True)
        for chunk in listed.stdout.split():
            assert blake3((tmp_path / chunk).read_bytes()).hexdigest() == chunk
