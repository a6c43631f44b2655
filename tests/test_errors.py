"""Errors name the file, the cause and the way out, and end with the documented status."""

import errno
import pickle
from pathlib import Path

import pytest

from holdfast import errors

STATUS = {
    "HoldfastError": 1,
    "UsageError": 2,
    "NotFoundError": 2,
    "UnreadableError": 3,
    "CorruptError": 3,
    "LockedError": 3,
    "NewerFormatError": 3,
    "RefusedError": 4,
    "MissingError": 5,
    "BusyError": 1,
    "FullError": 1,
    "ConflictError": 1,
    "StorageError": 1,
    "StepError": 1,
    "RunError": 1,
    "CheckError": 1,
}


def test_every_error_has_its_documented_status() -> None:
    found = {
        name: kind.exit_status
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.HoldfastError)
    }
    assert found == STATUS
    for name, status in STATUS.items():
        assert f"{name} " in (errors.__doc__ or "")
        assert str(status) in (errors.__doc__ or "")


def test_what_an_error_says() -> None:
    error = errors.StorageError("cannot write", path="a/b", hint="free space")
    assert str(error) == f"{Path('a/b')}: cannot write (free space)"
    assert error.as_dict() == {
        "type": "StorageError",
        "message": "cannot write",
        "path": str(Path("a/b")),
        "hint": "free space",
    }
    assert str(errors.HoldfastError("plain")) == "plain"


def test_where_it_stands() -> None:
    error = errors.CorruptError("bad", path="f", line=3, column=4)
    assert str(error) == "f: line 3, column 4: bad"
    assert error.as_dict()["line"] == 3
    assert str(errors.UnreadableError("bad")) == "bad"


def test_errors_travel_between_processes() -> None:
    error = errors.UnreadableError("bad", path="f", hint="mend it", line=3, column=4)
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert back.as_dict() == error.as_dict()


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EIO, ""),
    ],
)
def test_what_the_disk_says(number: int, hint: str) -> None:
    with pytest.raises(errors.StorageError) as caught, errors.storage_errors("f", "write it"):
        raise OSError(number, "the cause")
    assert caught.value.message == "cannot write it: the cause"
    assert hint in (caught.value.hint or "")
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), errors.storage_errors("f", "write it"):
        raise KeyError
