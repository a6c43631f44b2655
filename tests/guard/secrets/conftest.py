"""Secrets kept in files, whose key lies in a configuration folder of the test."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the keyring nor the configuration of whoever runs the tests is touched."""
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    for name in ("XDG_CONFIG_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "me"))
