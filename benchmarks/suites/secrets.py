"""A scan of configuration files for secrets: the whole command, from its start to its end."""

from collections.abc import Mapping
from typing import Any

from benchmarks.cases import Case, Program, Side, seconds

_OURS = Program("secrets", "benchmarks.ours.secrets")
_PEER = Program("secrets", "benchmarks.peers.detect_secrets_scan", True, "detect-secrets")


def cases(quick: bool) -> list[Case]:
    """The rows."""
    count = 100 if quick else 1_000
    return [
        Case(
            name="secrets/scan",
            what=f"{count:,} configuration files, ten of them with a secret",
            unit="s",
            survives="nothing asked",
            ours=Side("holdfast", _OURS, "scan", "read only", {"count": count}),
            peers=(Side("detect-secrets", _PEER, "scan", "read only", {"count": count}),),
            figure=seconds,
            more_is_better=False,
            target={"detect-secrets": 1.0},
            aside=_found,
        )
    ]


def _found(answer: Mapping[str, Any]) -> str:
    return f"{answer['count']:,} found"
