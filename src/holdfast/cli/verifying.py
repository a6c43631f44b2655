"""How findings and handshakes are shown to people."""

from collections.abc import Iterator

from holdfast.services.handshake import Health
from holdfast.services.verification import Finding

_STDERR_LINES = 8


def line_of(finding: Finding) -> str:
    """One finding: ok, note or WRONG."""
    hint = f" ({finding.hint})" if finding.hint else ""
    if finding.problem is not None:
        return f"WRONG  {finding.subject}: {finding.problem}{hint}"
    if finding.note is not None:
        return f"note   {finding.subject}: {finding.note}{hint}"
    return f"ok     {finding.subject}"


def lines_of_health(health: Health) -> Iterator[str]:
    """One handshake, with the end of the server's stderr when it failed."""
    subject = f"handshake with {health.name}"
    if health.healthy:
        facts = f"{health.tools} tools, protocol {health.protocol}, {health.seconds:.2f} s"
        yield f"ok     {subject}: {facts}"
    else:
        hint = f" ({health.hint})" if health.hint else ""
        yield f"WRONG  {subject}: {health.problem}{hint}"
        for line in health.stderr.splitlines()[-_STDERR_LINES:]:
            yield f"       | {line[:300]}"
    for note in health.notes:
        yield f"note   {subject}: {note}"
