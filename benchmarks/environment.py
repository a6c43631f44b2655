"""The peers' virtual environment: ``.bench/venv``, made when it is first needed."""

import os
import shutil
import subprocess
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = Path(__file__).parent / "peers.txt"
SCRATCH = ROOT / ".bench"
ENVIRONMENT = SCRATCH / "venv"


@cache
def peer_python() -> Path:
    """The Python of the peers' environment; installs what peers.txt names, once."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = ENVIRONMENT / "installed"
    wanted = sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print("installing the peers into .bench/venv …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        for requirement in _requirements():
            _install(python, requirement)
        stamp.write_text(wanted, "utf-8")
    return python


@cache
def peer_versions() -> dict[str, str]:
    """The peers that could be installed, by name."""
    script = (
        "from importlib.metadata import distributions as d\n"
        "for one in d(): print(one.metadata['Name'].lower(), one.version)"
    )
    done = subprocess.run(
        [peer_python(), "-c", script], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    pairs = (line.split() for line in done.stdout.splitlines())
    return {name: number for name, number in pairs}  # noqa: C416 — shows what is what


def missing(requirement: str) -> str | None:
    """Why this peer cannot run, or None when it can."""
    if requirement in _names():
        return None if requirement in peer_versions() else f"{requirement} could not be installed"
    return None if shutil.which(requirement) else f"the program {requirement} is not on PATH"


def version_of(requirement: str) -> str:
    """The version of a peer, as a label."""
    if requirement in _names():
        return f"{requirement} {peer_versions()[requirement]}"
    found = shutil.which(requirement)
    assert found is not None
    flag = "version" if requirement == "restic" else "--version"
    done = subprocess.run(
        [found, flag], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    return done.stdout.splitlines()[0] if done.stdout else requirement


def our_version() -> str:
    """Holdfast's version."""
    try:
        return version("holdfast")
    except ModuleNotFoundError:
        from holdfast import __version__

        return __version__


def _requirements() -> list[str]:
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def _names() -> set[str]:
    return {line.split("==")[0].lower() for line in _requirements()}


def _install(python: Path, requirement: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", requirement],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"cannot install {requirement}: {reason}", file=sys.stderr, flush=True)
