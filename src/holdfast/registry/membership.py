"""Which group an entry stands in, whatever the registry; and the errors when it stands in none."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import ConflictError, NotFoundError
from holdfast.registry.grouped import GROUPS, Groups, RegistryKind


def group_of(groups: Groups, group: str) -> dict[str, dict[str, Any]]:
    """The entries of `group`, made if it is one of the three known. Raises `NotFoundError`."""
    if group not in groups and group not in GROUPS:
        raise no_such_group(group, groups)
    return groups.setdefault(group, {})


def home_of(kind: RegistryKind, entry_id: str, groups: Groups, path: Path) -> str:
    """The group `entry_id` stands in.

    Raises `NotFoundError`, and `ConflictError` when it stands in two.
    """
    homes = [group for group, entries in groups.items() if entry_id in entries]
    if not homes:
        known = [known for entries in groups.values() for known in entries]
        raise no_such_entry(kind, entry_id, known, path)
    if len(homes) > 1:
        raise ConflictError(
            f"the {kind.noun} {entry_id!r} stands in the groups {' and '.join(homes)}",
            path=path,
            hint="take one of the two out of the file by hand",
        )
    return homes[0]


def refuse_taken(
    kind: RegistryKind, entry_id: str, groups: Groups, path: Path | None = None
) -> None:
    """Raise `ConflictError` when an entry has this id, or one that differs only in case."""
    folded = entry_id.casefold()
    for group, entries in groups.items():
        if entry_id in entries:
            taken: str | None = entry_id
        else:
            taken = next((known for known in entries if known.casefold() == folded), None)
        if taken is not None:
            raise ConflictError(
                f"the {kind.noun} {taken!r} is registered already, in {group}",
                path=path,
                hint=f"look at it with: {kind.command} show {taken}",
            )


def no_such_entry(
    kind: RegistryKind, entry_id: str, known: Collection[str], path: Path
) -> NotFoundError:
    """The error for an unknown id, naming similar ones."""
    from difflib import get_close_matches

    close = get_close_matches(entry_id, known, n=3)
    hint = (
        f"did you mean {' or '.join(close)}?" if close else f"list them with: {kind.command} list"
    )
    return NotFoundError(f"no {kind.noun} is registered as {entry_id!r}", path=path, hint=hint)


def no_such_group(group: str, groups: Mapping[str, Any]) -> NotFoundError:
    """The error for an unknown group, naming those there are."""
    known = ", ".join(dict.fromkeys((*GROUPS, *groups)))
    return NotFoundError(f"there is no group {group!r}", hint=f"the groups are {known}")
