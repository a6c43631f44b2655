"""Stores whose folder only makes sense whole: journals of queues, documents of workflows."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.durable.quarantine import Quarantine
from holdfast.engines.urls import parse_url
from holdfast.errors import HoldfastError
from holdfast.recovery.holders import refuse_if_held
from holdfast.vault import RestoreReport, Vault
from holdfast.workspace.layout import STATE_FOLDER, read_layout
from holdfast.workspace.settings import read_settings

ENGINES = ("file", "json")


def journals_of(target: Path) -> list[str]:
    """The folders of such stores in the workspace `target`, relative to it."""
    found = [f"{STATE_FOLDER}/queues"]
    try:
        settings = read_settings(read_layout(target))
    except HoldfastError:  # no workspace yet, or one that cannot be read: it is being recovered
        return found
    for store in (settings.workflows, settings.queues, settings.events):
        engine = parse_url(store.url)
        if engine.scheme in ENGINES and engine.require_path().is_relative_to(target):
            found.append(engine.require_path().relative_to(target).as_posix())
    return list(dict.fromkeys(found))


def changed_journals(target: Path, planned: RestoreReport) -> list[str]:
    """Those that are there and that `planned` would change."""
    return [
        folder
        for folder in journals_of(target)
        if (target / folder).is_dir()
        and any(each.path.startswith(folder + "/") for each in planned.plan)
    ]


def make_way(vault: Vault, target: Path, planned: RestoreReport, quarantine: Quarantine) -> None:
    """Before `planned` is carried out: no journal in use is changed, none mixed with newer files.

    Raises `RefusedError` while a process has one open that would be changed.
    """
    changed = changed_journals(target, planned)
    if not changed:
        return
    refuse_if_held([target / folder for folder in changed], "queues and other stores")
    _, entries = vault.read(planned.snapshot)
    known = {entry.path for entry in entries}
    for path in _files(target, changed):
        if path.relative_to(target).as_posix() not in known:
            reason = f"newer than the restored snapshot {planned.snapshot[:12]}"
            quarantine.take(path, reason=reason)


def _files(target: Path, folders: Sequence[str]) -> list[Path]:
    return [path for folder in folders for path in (target / folder).rglob("*") if path.is_file()]
