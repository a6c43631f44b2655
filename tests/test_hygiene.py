"""What is published speaks of the project only, and stays short enough to read."""

import re
import subprocess
from pathlib import Path

from tests.conftest import require, require_program

ROOT = Path(__file__).parent.parent
LONGEST = 500  # lines of a source file

# Of any machine: home folders of people, scratch folders. Examples in prose use others.
MACHINE_PATHS = re.compile(r"/root/|/home/(?!(?:ann|user|me)\b)\w+|/tmp/\w+/")
REGISTRY_ADDRESSES = re.compile(
    r"https?://[^\s\"')]*/(?:simple|packages)/|--(?:extra-)?index-url|\"resolved\":"
)
# Split, so that this file does not find itself.
LEFTOVERS = re.compile(
    r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|^(?:<{7}|>{7})(?: |$)", re.MULTILINE
)


def test_no_path_of_a_machine_and_no_package_registry_is_named() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in published()
        for pattern in (MACHINE_PATHS, REGISTRY_ADDRESSES)
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_no_note_to_oneself_and_no_merge_mark_is_left() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in published()
        for match in LEFTOVERS.finditer(text)
    ]
    assert found == []


def test_source_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): len(text.splitlines())
        for path, text in published()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "src")
        if len(text.splitlines()) > LONGEST
    }
    assert long == {}


def test_every_folder_of_tests_is_a_package_so_that_names_may_repeat() -> None:
    tests = (path for path, _ in published() if path.is_relative_to(ROOT / "tests"))
    folders = {path.parent for path in tests if path.name.startswith("test_")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_readme_names_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for name in ("demo", "test"):
        assert re.search(rf"^<!-- command: {name} -->\n```sh\n.+\n```$", text, re.MULTILINE), name


def published() -> list[tuple[Path, str]]:
    """Every text file that is or could be committed; in a copy without git, every one there."""
    this = Path(__file__).resolve()
    return [
        (path, path.read_text("utf-8"))
        for path in _paths()
        if path.is_file() and path.resolve() != this and path.suffix not in (".png", ".ico")
    ]


def _paths() -> list[Path]:
    if (ROOT / ".git").exists():
        arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(
            [require_program("git"), *arguments], cwd=ROOT, capture_output=True, check=True
        )
        return [ROOT / name for name in done.stdout.decode().split("\0") if name]
    folders = ("src", "tests", "benchmarks", "docs", "requirements", ".ci", ".github")
    require((ROOT / "src").is_dir(), "the source of Holdfast beside its tests")
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return [path for path in [*ROOT.glob("*.*"), *inside] if "__pycache__" not in path.parts]
