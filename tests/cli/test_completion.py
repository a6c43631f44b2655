"""``holdfast completion``: what real shells make of its scripts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Runner, child_environment, require, require_program

# Each shell's script is read, and then "holdfast queues p" is completed.
ASK = {
    "bash": (
        'source "$SCRIPT"; COMP_WORDS=(holdfast queues p); COMP_CWORD=2;'
        ' _holdfast_completion holdfast; printf "%s\\n" "${COMPREPLY[@]}"'
    ),
    "zsh": (
        'compdef() { }; source "$SCRIPT"; words=(holdfast queues p); CURRENT=3;'
        " _describe() { print -l ${completions_with_descriptions%%:*} }; _holdfast_completion"
    ),
    "fish": 'source "$SCRIPT"; complete -C "holdfast queues p"',
    "powershell": (
        ". $env:SCRIPT; [System.Management.Automation.CommandCompletion]::CompleteInput("
        "'holdfast queues p', 17, $null).CompletionMatches | ForEach-Object CompletionText"
    ),
}
STARTED = {
    "bash": ["bash", "--norc", "-c"],
    "zsh": ["zsh", "-fc"],
    "fish": ["fish", "--no-config", "-c"],
    "powershell": [
        "pwsh",
        "-NoProfile",
        "-NonInteractive",
        "-ExecutionPolicy",
        "Bypass",
        "-Command",
    ],
}


@pytest.mark.parametrize("shell", STARTED)
def test_a_real_shell_completes_commands(shell: str, holdfast: Runner, tmp_path: Path) -> None:
    program, *rest = STARTED[shell]
    if sys.platform == "win32" and shell != "powershell":
        pytest.skip("a shell of POSIX systems")
    if shell == "powershell":
        if shutil.which("pwsh") is None:
            pytest.skip("pwsh, which few systems have, is not installed")
    else:
        require_program(program)
    if shell == "bash" and not bash_is_new_enough():
        pytest.skip("click's script wants bash 4.4; that of macOS is older")
    done = holdfast("completion", shell)
    assert done.returncode == 0, done.stderr
    script = tmp_path / f"holdfast.{shell}.ps1"
    script.write_text(done.stdout, encoding="utf-8")
    scripts = Path(sys.executable).parent
    require(any(scripts.glob("holdfast*")), "the command holdfast beside this Python")
    own = {
        "SCRIPT": str(script),
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
    }
    said = subprocess.run(
        [program, *rest, ASK[shell]],
        env=child_environment(own),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    found = {line.split("\t")[0] for line in said.stdout.splitlines()}
    assert {"put", "peek", "pause", "purge"} <= found, said.stdout + said.stderr
    assert all(each.startswith("p") for each in found), found


def bash_is_new_enough() -> bool:
    asked = ["bash", "--norc", "-c", 'echo "${BASH_VERSINFO[0]} ${BASH_VERSINFO[1]}"']
    said = subprocess.run(asked, capture_output=True, text=True, check=True)
    return tuple(int(each) for each in said.stdout.split()) >= (4, 4)


def test_what_powershell_is_told(holdfast: Runner) -> None:
    asked = {"_HOLDFAST_COMPLETE": "powershell_complete", "COMP_WORDS": "holdfast\nqueues"}
    lines = holdfast(env={**asked, "COMP_INCOMPLETE": "pau"}).stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["plain", "pause"]]
    assert lines[0].split("\t")[2]
    lines = holdfast(env={**asked, "COMP_WORDS": "holdfast"}).stdout.splitlines()
    assert ["plain", "agents"] in [line.split("\t")[:2] for line in lines]


def test_the_version_is_the_library_s(holdfast: Runner) -> None:
    from holdfast import __version__

    assert holdfast("--version").stdout == f"holdfast, version {__version__}\n"
