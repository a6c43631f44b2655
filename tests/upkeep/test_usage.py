"""What takes the space: sums that agree with the files, links and all."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import NotFoundError
from holdfast.upkeep.usage import measure


def make(root: Path, sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


def test_every_folder_has_what_is_below_it(tmp_path: Path) -> None:
    make(tmp_path, {"a/b/one.py": 10, "a/two.log": 20, "c/three": 5, "four.db": 1})
    usage = measure(tmp_path, depth=1)
    assert usage.total.apparent >= 36
    assert usage.total.files == 4
    files = {folder.path: folder.files for folder in usage.folders}
    assert files == {"": 4, "a": 2, "c": 1}
    assert {kind: amount.apparent for kind, amount in usage.kinds.items()} == {
        "code": 10,
        "logs": 20,
        "other": 5,
        "databases": 1,
    }
    assert [amount.files for amount in usage.ages.values()] == [4]


def test_ages_are_counted_in_days(tmp_path: Path) -> None:
    make(tmp_path, {"new": 1, "month": 1, "ancient": 1})
    now = (tmp_path / "new").stat().st_mtime
    os.utime(tmp_path / "month", (now, now - 20 * 86_400))
    os.utime(tmp_path / "ancient", (now, now - 2_000 * 86_400))
    ages = measure(tmp_path).ages
    assert list(ages) == ["today", "this month", "older"]


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    make(tmp_path, {"a/file": 5_000})
    (tmp_path / "b").mkdir()
    os.link(tmp_path / "a" / "file", tmp_path / "b" / "file")
    usage = measure(tmp_path)
    assert usage.total.files == 1
    assert usage.kinds["other"].apparent == 5_000


def test_links_are_not_followed(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: making a link needs a privilege on Windows")
    make(tmp_path, {"outside/big": 100_000, "inside/small": 1})
    (tmp_path / "inside" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / "loop").symlink_to(tmp_path / "inside")
    usage = measure(tmp_path / "inside")
    assert usage.total.apparent < 50_000


def test_large_files_are_the_largest(tmp_path: Path) -> None:
    make(tmp_path, {f"file-{size}": size for size in (10, 70_000, 90_000, 80_000)})
    usage = measure(tmp_path, top=2, large=65_536)
    assert [file.path for file in usage.large] == ["file-90000", "file-80000"]


@given(
    names=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "c.py"]), min_size=1, max_size=4).map("/".join),
        st.integers(0, 9_000),
        max_size=8,
    )
)
def test_the_sums_are_those_of_the_files(
    names: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("usage")
    made: dict[str, int] = {}
    for name, size in names.items():
        path = root / name
        if not path.exists() and all(part.is_dir() or not part.exists() for part in path.parents):
            make(root, {name: size})
            made[name] = size
    usage = measure(root, depth=9)
    assert usage.total.files == len(made)
    assert sum(amount.apparent for amount in usage.kinds.values()) == sum(made.values())
    for folder in usage.folders:
        below = [size for name, size in made.items() if f"{name}".startswith(f"{folder.path}/")]
        assert folder.files == (len(below) if folder.path else len(made))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        measure(tmp_path / "absent")


def test_one_folder_is_told_with_all_below_it(tmp_path: Path) -> None:
    for path in ("a/b/c", "a/bb", "d"):
        (tmp_path / path).mkdir(parents=True)
    usage = measure(tmp_path, depth=5)
    assert {folder.path for folder in usage.below("a")} == {"a", "a/b", "a/b/c", "a/bb"}
    assert usage.below("a")[0].path == "a"
    assert [folder.path for folder in usage.below("a/b/c")] == ["a/b/c"]
    assert len(usage.below()) == 6
    with pytest.raises(NotFoundError):
        usage.below("e")
