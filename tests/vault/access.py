"""Vaults in clear and encrypted ones, for the same tests; a child process makes the same kind."""

import os
from pathlib import Path

from holdfast.vault import Access, Vault

RECIPIENT = "HOLDFAST_TEST_RECIPIENT"


def create(path: Path) -> Vault:
    """A vault of the kind that this test is about."""
    return Vault.create(path, Access(recipients=recipients()))


def recipients() -> list[str]:
    """Whom what is made here is encrypted for."""
    recipient = os.environ.get(RECIPIENT)
    return [recipient] if recipient else []


def encrypted() -> bool:
    return RECIPIENT in os.environ
