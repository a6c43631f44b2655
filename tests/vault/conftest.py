"""Fixtures of the vault's tests."""

from pathlib import Path

import pytest

from holdfast.vault.identities import IDENTITY_VARIABLE, PASSPHRASE_VARIABLE, generate_identity
from tests.vault.access import RECIPIENT


@pytest.fixture(autouse=True)
def _no_key_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (IDENTITY_VARIABLE, PASSPHRASE_VARIABLE, RECIPIENT):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["clear", "encrypted"])
def each_kind(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    _no_key_of_the_person: None,
) -> None:
    """The test runs with a vault in clear and with an encrypted one (`access.create`)."""
    if request.param == "encrypted":
        place: Path = tmp_path_factory.mktemp("keys") / "identity.txt"
        monkeypatch.setenv(RECIPIENT, generate_identity(place))
        monkeypatch.setenv(IDENTITY_VARIABLE, str(place))
