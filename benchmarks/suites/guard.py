"""What an agent waits for before a shell command: an undo point of a workspace of 80,000 files."""

from benchmarks.cases import Case, Program, Side, milliseconds_each

_OURS = Program("guard", "benchmarks.ours.guard")
_GIT = Program("guard", "benchmarks.peers.git_guard", requirement="git")


def cases(quick: bool) -> list[Case]:
    """The rows; git has nothing that watches for it."""
    files = 4_000 if quick else 80_000
    return [
        _case("watched", "nothing changed, 'schedule watch' running", files, watched=True),
        _case("unchanged", "nothing changed", files),
        _case("edited", "one file edited", files, edited=True),
    ]


def _case(name: str, what: str, files: int, *, edited: bool = False, watched: bool = False) -> Case:
    asked = {"files": files, "edited": edited}
    return Case(
        name=f"guard/{name}",
        what=f"undo point: {what}",
        unit="ms",
        survives="a crash",
        ours=Side("holdfast", _OURS, "call", "process", {**asked, "watched": watched}),
        peers=(Side("git add, write-tree", _GIT, "call", "-", {**asked, "watched": False}),),
        figure=milliseconds_each,
        more_is_better=False,
    )
