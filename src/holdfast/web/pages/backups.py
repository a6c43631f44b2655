"""Backups: all there are, by time and as a list; made, proven and thinned out; where they go."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from starlette.routing import Route

from holdfast.errors import HoldfastError, UsageError
from holdfast.facade import Workspace
from holdfast.vault import Proof, Retention, Vault
from holdfast.vault.coverage import UNDO
from holdfast.vault.listing import backups_of
from holdfast.vault.rule import evaluate
from holdfast.vault.sites import Site, site_state
from holdfast.web.charts import dots
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.paging import page_of
from holdfast.web.rendering import link

PAGE = Page("Backups", "/backups", "backups")

_ROWS = 50
_DRAWN = 300  # backups of one destination
_KEPT = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_ERRANDS = {
    "create": ("backup", "create"),
    "verify": ("backup", "verify"),
    "verify-full": ("backup", "verify", "--full"),
    "drill": ("backup", "drill"),
}


class Row(NamedTuple):
    """One backup as it is listed; `new` are the bytes that it added, `proof` the newest one."""

    destination: str
    kind: str
    id: str
    moment: datetime
    state: str
    facts: dict[str, Any]
    proof: Proof | None

    @property
    def is_undo(self) -> bool:
        return UNDO in self.tags

    @property
    def tags(self) -> Sequence[str]:
        tags: Sequence[str] = self.facts.get("tags", ())
        return tags

    @property
    def new(self) -> int:
        return int(self.facts.get("totals", {}).get("stored", 0))

    @property
    def opens(self) -> bool:
        """Whether it can be looked into."""
        return self.kind == "snapshot" and self.state not in ("damaged", "locked")


def routes() -> Sequence[Route]:
    return [
        show("/backups", "backups.html", backups),
        act("/backups/run", run),
        show("/backups/forget", "forget.html", thin_out),
        act("/backups/forget", forget),
        act("/backups/remember", remember),
        show("/backups/prune", "prune.html", plan_prune),
        act("/backups/prune", prune),
    ]


def backups(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """All backups, the newest first, and where they go; `skip` of the list were shown before."""
    sites = workspace.sites
    states = [site_state(site) for site in sites]
    rows: list[Row] = []
    problems = []
    for site in sites:
        try:
            rows += _rows_of(site)
        except HoldfastError as error:
            problems.append((site.name, error))
    rows.sort(key=lambda row: row.moment, reverse=True)
    of_tools = asked.text("of") == "tools"
    of_kind = [row for row in rows if row.is_undo == of_tools]
    found = [row for row in of_kind if _matches(row, asked)]
    return {
        **page_of(found, asked, _ROWS),
        "total": len(rows),
        "of_tools": sum(row.is_undo for row in rows),
        "problems": problems,
        "timelines": [_timeline(site.name, found) for site in sites],
        "destinations": states,
        "names": [site.name for site in sites],
        "vaults": vault_names(workspace),
        "rule": evaluate(workspace.layout.root, sites, states),
        "errands": [each for each in asked.errands.newest_first() if "backup" in each.line][:5],
    }


def run(workspace: Workspace, asked: Asked) -> Done:
    """Back up, verify or drill, as an errand."""
    what = asked.text("do") or ""
    if what not in _ERRANDS:
        raise UsageError(f"nothing is called {what!r}", hint=f"one of: {', '.join(_ERRANDS)}")
    line = [*_ERRANDS[what]]
    if at := asked.text("at"):
        line.append(f"--{'to' if what == 'create' else 'at'}={at}")
    if what == "create" and (tag := asked.text("tag")):
        line.append(f"--tag={tag}")
    if what != "create" and (snapshot := asked.text("snapshot")):
        line += ["--", snapshot]
    return Done(link("/errands", asked.start(line).id))


def thin_out(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What rules would forget, before it is forgotten; and what can be taken back."""
    vault, at = chosen_vault(workspace, asked)
    counts = {name: asked.number(name, 0) or 0 for name in _KEPT}
    tag = asked.text("tag")
    plan = None
    if any(counts.values()) or tag:
        retention = Retention(**counts, tags=[tag] if tag else [])
        plan = vault.forget(retention=retention, dry_run=True)
    return {
        "at": at,
        "vaults": vault_names(workspace),
        "counts": counts,
        "plan": plan,
        "ids": " ".join(info.id for info in plan.forgotten) if plan else "",
        "forgotten": sorted(vault.forgotten()),
    }


def forget(workspace: Workspace, asked: Asked) -> Done:
    """Forget the snapshots that were shown, and no other."""
    vault, at = chosen_vault(workspace, asked)
    report = vault.forget((asked.text("ids") or "").split())
    told = f"Forgot {len(report.forgotten)} snapshots, kept {report.kept}"
    return Done(link("/backups/forget", at=at), told)


def remember(workspace: Workspace, asked: Asked) -> Done:
    """Take a forgotten snapshot back."""
    vault, at = chosen_vault(workspace, asked)
    identity = vault.remember(asked.text("id") or "")
    return Done(snapshot_path(at, identity), f"Snapshot {identity[:12]} is back")


def plan_prune(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """What a prune would remove for good."""
    vault, at = chosen_vault(workspace, asked)
    return {"at": at, "vaults": vault_names(workspace), "plan": vault.prune(dry_run=True)}


def prune(workspace: Workspace, asked: Asked) -> Done:
    """Prune, as an errand."""
    _, at = chosen_vault(workspace, asked)
    errand = asked.start(["backup", "prune", f"--at={at}", "--yes"])
    return Done(link("/errands", errand.id))


def chosen_vault(workspace: Workspace, asked: Asked) -> tuple[Vault, str]:
    """The vault of the destination that was asked for, else of the first; and its name."""
    at = asked.path.get("at") or asked.text("at") or workspace.site(None).name
    return workspace.vault_at(at), at


def vault_names(workspace: Workspace) -> list[str]:
    """The destinations of snapshots."""
    return [site.name for site in workspace.sites if site.destination.kind == "snapshot"]


def snapshot_path(at: str, identity: str, *parts: str, **query: object) -> str:
    """Where a snapshot is shown."""
    return link("/backups/at", at, identity, *parts, **query)


def _rows_of(site: Site) -> Iterator[Row]:
    found = backups_of(site)
    proofs: dict[str, Proof] = {}
    if found and site.destination.kind == "snapshot":
        proofs = {proof.snapshot: proof for proof in Vault(site.open()).proofs()}
    for facts in found:
        moment = datetime.fromisoformat(facts["startedAt"])
        identity = facts["id"]
        proof = proofs.get(identity)
        yield Row(site.name, facts["kind"], identity, moment, _state(facts), facts, proof)


def _state(facts: dict[str, Any]) -> str:
    if facts.get("locked"):
        return "locked"
    if facts.get("damage"):
        return "damaged"
    return "partial" if facts.get("partial") else "ok"


def _matches(row: Row, asked: Asked) -> bool:
    since, until = asked.moment("since"), asked.moment("until")
    proven = asked.text("proven")
    return (
        asked.text("at") in (None, row.destination)
        and (asked.text("tag") is None or asked.text("tag") in row.tags)
        and asked.text("host") in (None, row.facts.get("host"))
        and (proven is None or (proven == "yes") == (row.proof is not None))
        and (since is None or row.moment >= since)
        and (until is None or row.moment < until)
    )


def _timeline(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The newest backups of one destination, oldest first, each with its place in the drawing."""
    drawn = [row for row in rows if row.destination == name and row.moment.timestamp() > 0]
    drawn = drawn[:_DRAWN][::-1]
    places = dots([row.moment for row in drawn], [row.new for row in drawn])
    return {"name": name, "dots": list(zip(places, drawn, strict=True))}
