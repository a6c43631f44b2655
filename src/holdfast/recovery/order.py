"""What a recovery is to do, planned before anything is changed, and what came of each step."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from holdfast.durable.quarantine import Quarantine
from holdfast.recovery.journals import journals_of
from holdfast.recovery.source import Source
from holdfast.vault import RestoreReport
from holdfast.workspace.layout import STATE_FOLDER


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """A recovery: `stores` are folders to set aside whole, `at_home` what comes back of the home.

    All paths of the workspace are relative to `target`. `former_root` is where the workspace was,
    if that is another place.
    """

    vault: str
    snapshot: str
    target: str
    home: str | None = None
    at_home: list[str] = []
    stores: list[str] = []
    former_root: str = ""


class StepReport(msgspec.Struct, frozen=True, rename="camel"):
    """One step: what it did, in a line, and the end of its program's output when it failed."""

    name: str
    ok: bool
    summary: str
    output: str = ""


class RecoveryReport(msgspec.Struct, frozen=True, rename="camel"):
    """A whole recovery; `resumed` when it went on with one that was interrupted."""

    run: str
    snapshot: str
    target: str
    resumed: bool
    healthy: bool
    steps: list[StepReport]


Told = Callable[[StepReport], None]


def plan(source: Source, target: Path, home: Path | None, *, all_of_home: bool) -> RestoreReport:
    """What a recovery to `target` would do with each file; nothing is changed.

    Of the home it is what is missing there, or all that differs with `all_of_home`.
    """
    quarantine = quarantine_of(target)
    report = source.vault.restore(source.id, to=target, quarantine=quarantine, dry_run=True)
    if home is None or not source.has_home:
        return report
    there = source.vault.restore(
        source.id, ["~"], to=target, home=home, quarantine=quarantine, dry_run=True
    )
    chosen = [each for each in there.plan if all_of_home or each.action == "create"]
    replaced = sum(each.action in ("replace", "conflict") for each in chosen)
    return msgspec.structs.replace(
        report,
        plan=[*chosen, *report.plan],
        created=report.created + sum(each.action == "create" for each in chosen),
        replaced=report.replaced + replaced,
        problems=[*there.problems, *report.problems],
    )


def order_for(source: Source, target: Path, home: Path | None, planned: RestoreReport) -> Order:
    """The order that carries `planned` out."""
    at_home = [each.path for each in planned.plan if each.path.startswith("~/")]
    return Order(
        vault=str(source.vault.path),
        snapshot=source.id,
        target=str(target),
        home=None if home is None else str(home),
        at_home=list(_topmost(at_home)),
        stores=[
            folder for folder in journals_of(target) if _differs(folder, source, target, planned)
        ],
        former_root="" if source.root == str(target) else source.root,
    )


def quarantine_of(target: Path) -> Quarantine:
    """Where what a recovery replaces in `target` goes."""
    return Quarantine(target / STATE_FOLDER / "quarantine")


def points_of(target: Path) -> Path:
    """Where the undo points of a recovery are, also before there is a workspace."""
    return target / STATE_FOLDER / "points"


def state_of(target: Path) -> Path:
    """Where recoveries keep their own state: no snapshot holds it, so no restore replaces it."""
    return target / STATE_FOLDER / "recovery"


def _differs(folder: str, source: Source, target: Path, planned: RestoreReport) -> bool:
    """Whether the store in `folder` is there and is not exactly what the snapshot has."""
    place = target / folder
    if not place.is_dir():
        return False
    if any(each.path.startswith(folder + "/") for each in planned.plan):
        return True
    there = {path.relative_to(target).as_posix() for path in place.rglob("*") if path.is_file()}
    return any(not source.has(path) for path in there)


def _topmost(paths: Sequence[str]) -> Iterable[str]:
    """`paths` without those that lie below another of them."""
    chosen = set(paths)
    for path in paths:
        parents = (path[:at] for at in range(len(path)) if path[at] == "/")
        if not any(parent in chosen for parent in parents):
            yield path
