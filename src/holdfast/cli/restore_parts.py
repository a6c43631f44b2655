"""``holdfast restore`` with ``--agent``, ``--server`` or ``--store``: one part of a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from holdfast.cli.terminal import Terminal

if TYPE_CHECKING:
    from holdfast.facade import Workspace
    from holdfast.recovery.components import ComponentReport, Kind
    from holdfast.recovery.source import Source
    from holdfast.recovery.stores import StoreName, StorePlan
    from holdfast.vault import RestoreReport


def restore_component(
    terminal: Terminal,
    workspace: "Workspace",
    source: "Source",
    agent: str | None,
    server: str | None,
    to: Path | None,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring one agent or server back; returns the exit status."""
    from holdfast.cli.restore import ask_to_replace
    from holdfast.recovery.components import find_component
    from holdfast.recovery.components import restore_component as carry_out

    kind: Kind = "agent" if agent is not None else "server"
    found = find_component(source, workspace.layout, kind, agent or server or "")

    def consent(plan: "RestoreReport") -> None:
        ask_to_replace(terminal, plan, yes=yes)

    report = carry_out(
        source,
        workspace.layout,
        found,
        to=None if to is None else to.absolute(),
        dry_run=dry_run,
        consent=consent,
        quarantine=workspace.quarantine,
    )
    document = {"healthy": report.healthy, **_builtins(report)}
    terminal.emit(document, lambda: _component_text(report))
    return 0 if report.healthy else 1


def restore_store(
    terminal: Terminal,
    workspace: "Workspace",
    source: "Source",
    store: str,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring one store back; returns the exit status."""
    from holdfast.recovery.stores import plan_store
    from holdfast.recovery.stores import restore_store as carry_out

    name = cast("StoreName", store)
    plan = plan_store(source, workspace, name)
    if dry_run:
        terminal.emit(plan, lambda: _store_text(plan))
        return 0
    if not yes:
        terminal.note(_store_text(plan))
    question = f"Replace the {store} by those of snapshot {source.id[:12]}?"
    hint = "the present ones go to quarantine; pass --yes"
    terminal.require_consent(question, yes=yes, hint=hint)
    report = carry_out(source, workspace, name)
    kept = "; what was there is in quarantine" if report.quarantined else ""
    terminal.emit(report, f"Restored the {store}: {report.summary}{kept}")
    return 0


def _store_text(plan: "StorePlan") -> str:
    from holdfast.cli.restore import plan_text

    if plan.files is not None:
        return plan_text(plan.files)
    tables = dict.fromkeys((*plan.now, *plan.then))
    return "\n".join(
        f"{table:<24}{plan.now.get(table, 0)} rows now, {plan.then.get(table, 0)} in the snapshot"
        for table in tables
    )


def _component_text(report: "ComponentReport") -> str:
    from holdfast.cli.restore import plan_text

    lines = []
    if report.files is None:
        lines.append(f"the snapshot has no files of the {report.kind} {report.name}")
    elif report.dry_run:
        lines.append(plan_text(report.files))
    else:
        files = report.files
        lines.append(
            f"Restored {', '.join(report.paths)}: {files.created} created, "
            f"{files.replaced} replaced, {files.unchanged} unchanged"
        )
        lines += [f"not restored: {each.path}: {each.reason}" for each in files.problems]
    where = f" in {report.group}" if report.group else ""
    lines.append(f"registry entry{where}: {report.entry}")
    return "\n".join(lines)


def _builtins(report: "ComponentReport") -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(report)
    return found
