"""Tools about backups: take a snapshot, look into those there are, compare, find."""

from itertools import islice
from typing import Annotated, Any

import msgspec
from pydantic import Field

from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.mcp_server.inputs import Destination, Limit, Names, SnapshotRef
from holdfast.mcp_server.tool import ADDS, READS, Tool

_LONG = 300.0  # seconds


def backup_create(
    workspace: Workspace,
    tags: Annotated[Names, Field(description="Labels, e.g. before-upgrade.")] = [],  # noqa: B006
    to: Annotated[Names, Field(description="Only these destinations; else all.")] = [],  # noqa: B006
) -> Any:
    """Back the workspace up and prove that what was written comes back. Do it before anything
    risky. Unchanged files cost nothing."""
    outcomes = workspace.back_up(to, tags=tags)
    documents = [outcome.as_dict() for outcome in outcomes]
    return {"healthy": all(each.healthy for each in outcomes), "destinations": documents}


def backups_list(
    workspace: Workspace,
    at: Destination | None = None,
    tag: Annotated[str, Field(max_length=300)] | None = None,
    limit: Limit = 50,
) -> Any:
    """The backups of all destinations, the newest first."""
    from holdfast.vault.listing import backups_of

    rows: list[dict[str, Any]] = []
    problems = []
    sites = workspace.sites if at is None else [workspace.site(at)]
    for site in sites:
        try:
            found = backups_of(site)
        except HoldfastError as error:
            problems.append({"destination": site.name, **error.as_dict()})
            continue
        rows += [row for row in found if tag is None or tag in row.get("tags", ())]
    rows.sort(key=lambda row: str(row["startedAt"]), reverse=True)
    return {"backups": rows[:limit], "all": len(rows), "problems": problems}


def backup_show(
    workspace: Workspace,
    snapshot: SnapshotRef = "latest",
    below: Annotated[
        str, Field(max_length=4_096, description="Only paths below this one, e.g. agents or ~.")
    ] = "",
    at: Destination | None = None,
    skip: Annotated[int, Field(ge=0)] = 0,
    limit: Limit = 200,
) -> Any:
    """What is in a snapshot: when and of what it was taken, its last proof, and its paths."""
    from holdfast.vault.listing import entry_document

    vault = workspace.vault_at(at)
    identity = vault.resolve(snapshot)
    header, entries = vault.read(identity)
    top = below.strip("/")
    documents = (entry_document(entry, header) for entry in entries)
    paths = [
        {key: entry.get(key) for key in ("path", "kind", "size", "target") if entry.get(key)}
        for entry in documents
        if not top or entry["path"] == top or entry["path"].startswith(top + "/")
    ]
    shown = paths[skip : skip + limit]
    return {
        "id": identity,
        "header": msgspec.to_builtins(header),
        "proof": vault.last_proof(identity),
        "paths": shown,
        "next": skip + limit if len(paths) > skip + limit else None,
        "all": len(paths),
    }


def backup_diff(
    workspace: Workspace,
    before: SnapshotRef = "latest",
    after: SnapshotRef | None = None,
    at: Destination | None = None,
    skip: Annotated[int, Field(ge=0)] = 0,
    limit: Limit = 200,
) -> Any:
    """What changed from one snapshot to another, or (without `after`) to the files as they are now:
    paths added, removed, changed."""
    vault = workspace.vault_at(at)
    found = vault.diff(before, after)
    return {
        "before": vault.resolve(before),
        "after": "now" if after is None else vault.resolve(after),
        "differences": found[skip : skip + limit],
        "next": skip + limit if len(found) > skip + limit else None,
        "all": len(found),
    }


def backup_find(
    workspace: Workspace,
    pattern: Annotated[
        str,
        Field(
            min_length=1,
            max_length=300,
            description="*.sqlite; with a slash it is compared with whole paths: configs/*",
        ),
    ],
    at: Destination | None = None,
    limit: Limit = 100,
) -> Any:
    """Find a file in all snapshots, every version of it: also one that is gone now."""
    report = workspace.vault_at(at).find(pattern)
    return {
        "versions": [_version(each) for each in islice(report.versions, limit)],
        "all": len(report.versions),
        "notSearched": report.findings,
    }


def _version(found: Any) -> dict[str, Any]:
    """A version with the newest of the snapshots that hold it."""
    document: dict[str, Any] = msgspec.to_builtins(found)
    held = document.pop("snapshots")
    return {**document, "newest": held[-1], "inSnapshots": len(held)}


TOOLS = (
    Tool(backup_create, ADDS, seconds=_LONG),
    Tool(backups_list, READS, "ask for fewer, or for one destination or tag"),
    Tool(backup_show, READS, "go on with `skip`, or name a path in `below`"),
    Tool(backup_diff, READS, "go on with `skip`", _LONG),
    Tool(backup_find, READS, "use a narrower pattern", _LONG),
)
