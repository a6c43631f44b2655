"""How each server did when it was last verified: ``.holdfast/services/verified.json``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.durable.locks import Lock
from holdfast.errors import NotFoundError
from holdfast.services.handshake import Health
from holdfast.workspace.layout import Layout


class Verified(msgspec.Struct, frozen=True, rename="camel"):
    """A verification of one server: when (UTC), and what came of it."""

    at: datetime
    health: Health


class _VerifiedFile(msgspec.Struct, frozen=True, rename="camel"):
    servers: dict[str, Verified] = {}
    format_version: int = 1


def last_verified(layout: Layout) -> dict[str, Verified]:
    """The last verification of each server, by the name it was called then.

    Raises `UnreadableError`.
    """
    try:
        return dict(convert(read_document(_file(layout)), _VerifiedFile).servers)
    except NotFoundError:
        return {}


def remember_verified(layout: Layout, results: Sequence[Health], *, all_of_them: bool) -> None:
    """Keep `results`; with `all_of_them` what is known of others is dropped.

    Raises `BusyError`, `StorageError`, `UnreadableError`.
    """
    make_folder(_file(layout).parent, private=True)
    lock = _file(layout).with_name("verified.lock")
    with Lock(lock, purpose="remember how the servers did"):
        known = {} if all_of_them else last_verified(layout)
        now = datetime.now(UTC)
        known |= {each.name: Verified(now, each) for each in results}
        write_document(_file(layout), _VerifiedFile(known), mode=0o600, durability="process")


def _file(layout: Layout) -> Path:
    return layout.state / "services" / "verified.json"
