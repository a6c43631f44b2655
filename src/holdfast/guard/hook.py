"""What Claude Code runs before a tool, and after: ``python -P -m holdfast.guard.hook ROOT WHEN``.

It must not be felt: a running ``holdfast schedule watch`` does the work, and only when there is
none are the rooms of Holdfast imported here. Whatever goes wrong, the tool may run (exit status 0):
an agent that is kept from working by its safety net would have it taken off. But it is said, in the
answer that Claude Code shows, and in ``logs/guard.log``.
"""

import os
import sys

from holdfast.durable.asking import ask, tell

_ACCEPTED_WITHIN = 1.0  # seconds
_ANSWERED_WITHIN = 100.0  # below the hook's own timeout


def main(arguments: list[str]) -> int:
    """Make the point for the call on standard input; prints what Claude Code shall show."""
    root, when = arguments
    call = sys.stdin.buffer.read()
    folder = os.path.join(root, ".holdfast", "schedule")  # noqa: PTH118  pathlib takes its time
    question = when.encode("ascii") + b"\n" + call
    said: bytes | None = None
    try:
        if when == "after":
            if tell(folder, question):
                return 0
        else:
            said = ask(
                folder,
                question,
                accepted_within=_ACCEPTED_WITHIN,
                answered_within=_ANSWERED_WITHIN,
            )
    except OSError:
        said = None  # the long way tells what is wrong with the disk
    if said is None:
        from pathlib import Path

        from holdfast.guard.recording import answer

        said = answer(Path(root), question, None).output
    sys.stdout.buffer.write(said)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
