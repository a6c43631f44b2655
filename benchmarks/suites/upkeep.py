"""What takes the space of a workspace, and what of it can be cleaned: whole commands."""

from benchmarks.cases import Case, Program, Side, seconds
from benchmarks.environment import SCRATCH

_USAGE = Program("upkeep", "benchmarks.ours.usage")
_CLEAN = Program("upkeep", "benchmarks.ours.clean")
_DU = Program("upkeep", "benchmarks.peers.du_usage", requirement="du")


def cases(quick: bool) -> list[Case]:
    """The rows: all look at the tree of the snapshots."""
    divided_by = 40 if quick else 1
    files = f"{84_000 // divided_by:,}"
    parameters = {"tree": str(SCRATCH / f"tree-{divided_by}"), "divided_by": divided_by}

    def side(name: str, program: Program) -> Side:
        return Side(name, program, "look", "read only", parameters)

    usage = side("holdfast usage", _USAGE)
    return [
        Case(
            name="upkeep/usage",
            what=f"{files} files by folder, kind and age; du -s: their sum",
            unit="s",
            survives="nothing asked",
            ours=usage,
            peers=(side("du -s", _DU),),
            figure=seconds,
            more_is_better=False,
            target={"du -s": 2.5},
        ),
        Case(
            name="upkeep/clean",
            what=f"the plan of a clean-up of {files} files, half of them in node_modules",
            unit="s",
            survives="nothing asked",
            ours=side("holdfast clean", _CLEAN),
            peers=(usage,),
            figure=seconds,
            more_is_better=False,
            target={"holdfast usage": 1.5},
        ),
    ]
