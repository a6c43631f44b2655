"""Registering what discovery found, without changing what an entry already says."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import ConflictError
from holdfast.registry.checks import Problem
from holdfast.registry.discovery import Candidate, Finding
from holdfast.registry.entries import AGENTS, Agent, Discovery, apply, build, new_entry
from holdfast.registry.grouped import Groups
from holdfast.registry.membership import group_of, refuse_taken
from holdfast.registry.places import exists, is_foreign, normal, resolve

_DEFAULT_GROUP = "production"


def enrol(finding: Finding, groups: Groups, roots: Sequence[Path]) -> Discovery:
    """Bring `groups` up to date with `finding`, in place, and say what was done."""
    enrolment = _Enrolment(groups, roots)
    for candidate in finding.candidates:
        enrolment.take(candidate)
    return Discovery(
        directory=str(finding.directory),
        found=[*enrolment.added, *enrolment.updated, *enrolment.unchanged],
        added=enrolment.added,
        updated=enrolment.updated,
        unchanged=enrolment.unchanged,
        missing=list(_missing(finding.directory, groups, roots)),
        problems=[*finding.problems, *enrolment.problems],
    )


class _Enrolment:
    def __init__(self, groups: Groups, roots: Sequence[Path]) -> None:
        self.groups = groups
        self.roots = roots
        self.added: list[Agent] = []
        self.updated: list[Agent] = []
        self.unchanged: list[Agent] = []
        self.problems: list[Problem] = []
        self._by_place = {
            normal(place): (group, agent_id) for group, agent_id, place in _placed(groups, roots)
        }

    def take(self, candidate: Candidate) -> None:
        home = self._by_place.get(normal(candidate.path)) or self._lost(candidate)
        if home is not None:
            self._complete(*home, candidate)
            return
        try:
            self._add(candidate)
        except ConflictError as error:
            group, path = candidate.group, str(candidate.path)
            self.problems.append(Problem(candidate.id, group, path, error.message))

    def _lost(self, candidate: Candidate) -> tuple[str, str] | None:
        """Where the id of `candidate` is registered with no path, or one that leads nowhere."""
        for group, entries in self.groups.items():
            if candidate.id in entries:
                path = entries[candidate.id].get("path")
                gone = not path or is_foreign(path) or not exists(Path(resolve(path, self.roots)))
                return (group, candidate.id) if gone else None
        return None

    def _complete(self, group: str, agent_id: str, candidate: Candidate) -> None:
        entry = self.groups[group][agent_id]
        moved = normal(candidate.path) not in self._by_place
        changes: dict[str, Any] = {
            key: value
            for key, value in (
                ("name", candidate.name),
                ("path", str(candidate.path)),
                ("description", candidate.profile.description),
            )
            if value is not None and (not entry.get(key) or (key == "path" and moved))
        }
        apply(entry, changes)
        if moved:
            self._by_place[normal(candidate.path)] = (group, agent_id)
            if candidate.group not in (None, group):
                assert candidate.group is not None
                group_of(self.groups, candidate.group)[agent_id] = self.groups[group].pop(agent_id)
                group = candidate.group
        agent = build(agent_id, group, entry)
        (self.updated if changes else self.unchanged).append(agent)

    def _add(self, candidate: Candidate) -> None:
        group = candidate.group or _DEFAULT_GROUP
        refuse_taken(AGENTS, candidate.id, self.groups)
        entry = new_entry(
            name=candidate.name,
            path=str(candidate.path),
            status="active",
            description=candidate.profile.description,
            further={},
        )
        group_of(self.groups, group)[candidate.id] = entry
        self._by_place[normal(candidate.path)] = (group, candidate.id)
        self.added.append(build(candidate.id, group, entry))


def _placed(groups: Groups, roots: Sequence[Path]) -> Iterator[tuple[str, str, Path]]:
    """Each entry that has a path of this system: its group, its id, its path."""
    for group, entries in groups.items():
        for agent_id, entry in entries.items():
            path = entry.get("path")
            if path and "\0" not in path and not is_foreign(path):
                yield group, agent_id, Path(resolve(path, roots))


def _missing(directory: Path, groups: Groups, roots: Sequence[Path]) -> Iterator[Agent]:
    for group, agent_id, place in _placed(groups, roots):
        if normal(directory) in map(normal, place.parents) and not exists(place):
            yield build(agent_id, group, groups[group][agent_id])
