"""Looking for secrets: what is found, where exactly, and the way out. Values stay inside."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.guard.secrets.baseline import Accepted, Baseline
from holdfast.guard.secrets.places import Candidate, Place, candidates, candidates_at
from holdfast.secrets.scanning import Secret, find_secrets
from holdfast.workspace.layout import Layout

Progress = Callable[[int, int], object]

_WAYS_OUT: dict[Place, str] = {
    "settings": "move it: holdfast secrets move {path} --line {line}",
    "environment": "move it: holdfast secrets move {path} --line {line}",
    "transcript": "get a new one from its provider and revoke this one; then remove the transcript",
    "shell snapshot": "unset it in the shell's start files; 'holdfast clean' takes old snapshots",
    "log": "revoke it; name its variable in HOLDFAST_SECRETS, which keeps it out of the logs",
    "text": "read it from the environment; if it was ever committed or shared, revoke it",
    "staged": "git restore --staged {path}, take it out, and stage the file again",
}


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    """One likely secret: its place, its kind, its masked value, and the way out."""

    path: str
    line: int
    kind: str
    masked: str
    place: Place
    way_out: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind} {self.masked}"


class Unread(msgspec.Struct, frozen=True, rename="camel"):
    """A file that could not be looked at."""

    path: str
    reason: str


@dataclass
class Report:
    """What a scan found; `accepted` counts what the baseline knows."""

    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    files: int = 0
    size: int = 0
    accepted: int = 0
    accepted_elsewhere: int = 0


def scan(layout: Layout, path: Path | None = None, *, progress: Progress | None = None) -> Report:
    """Look through the file or folder `path`, or through all places where secrets gather.

    Raises `NotFoundError`, `UnreadableError` for a baseline that cannot be read.
    """
    baseline = Baseline(layout)
    report = Report(accepted_elsewhere=baseline.foreign())
    for candidate in _chosen(layout, path):
        try:
            secrets = list(find_secrets(candidate.path))
        except (OSError, HoldfastError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            report.unread.append(Unread(candidate.shown, f"cannot be read: {reason}"))
            continue
        add(report, baseline, secrets, candidate.shown, candidate.place)
        report.files += 1
        report.size += candidate.size
        if progress is not None:
            progress(report.files, report.size)
    return report


def add(
    report: Report, baseline: Baseline, secrets: Iterable[Secret], path: str, place: Place
) -> None:
    """Add what was found in the file `path`, unless it is accepted."""
    for secret in secrets:
        fingerprint = baseline.fingerprint(path, secret.kind, secret.value)
        if baseline.knows(fingerprint):
            report.accepted += 1
            continue
        way_out = _WAYS_OUT[place].format(path=path, line=secret.line)
        report.findings.append(
            Finding(path, secret.line, secret.kind, secret.masked, place, way_out, fingerprint)
        )


def accept(layout: Layout, report: Report) -> int:
    """Accept all that `report` found; returns how many were new."""
    return Baseline(layout).accept(
        Accepted(each.path, each.kind, each.fingerprint) for each in report.findings
    )


def _chosen(layout: Layout, path: Path | None) -> Iterator[Candidate]:
    if path is None:
        yield from candidates(layout)
        return
    try:
        yield from candidates_at(path, layout)
    except FileNotFoundError as error:
        raise NotFoundError("no such file or folder", path=path) from error
