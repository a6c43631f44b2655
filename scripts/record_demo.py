"""Record ``holdfast demo`` as docs/assets/demo.svg, the picture in README.md.

    python scripts/record_demo.py

Needs a POSIX system: the demo runs in a terminal of its own, so that it shows its colours.
"""

import io
import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

# One line after the other; a longer pause before each chapter. Seconds.
LINE, CHAPTER = 0.15, 0.9
ANIMATION = """
    @keyframes appear { from { opacity: 0 } to { opacity: 1 } }
    text[clip-path] { animation: appear 0.1s both }
    @media (prefers-reduced-motion: reduce) { text[clip-path] { animation: none } }
"""

PICTURE = Path(__file__).parent.parent / "docs" / "assets" / "demo.svg"
SHOWN_HOME = "~/holdfast-demo"


def run_in_terminal(command: list[str]) -> str:
    """Everything `command` prints to a terminal."""
    output = io.BytesIO()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        output.write(data)
        return data

    status = pty.spawn(command, read)
    if status != 0:
        raise SystemExit(f"the demo ended with {os.waitstatus_to_exitcode(status)}")
    return output.getvalue().decode("utf-8").replace("\r\n", "\n")


def animated(svg: str, lines: list[str]) -> str:
    """The drawing with its lines appearing in turn; where nothing may move, all are there."""
    moment, moments = 0.0, []
    for line in lines:
        moment += CHAPTER if re.match(r"\d\. ", line) else LINE
        moments.append(moment)

    def delayed(found: re.Match[str]) -> str:
        number = int(found[1])
        delay = moments[min(number, len(moments) - 1)]
        return f'{found[0]} style="animation-delay: {delay:.2f}s"'

    svg = re.sub(r'clip-path="url\(#demo-line-(\d+)\)"', delayed, svg)
    return svg.replace("</style>", f"{ANIMATION}</style>", 1)


def main() -> None:
    """Run the demo once and draw what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve() / "demo"
        told = run_in_terminal([sys.executable, "-m", "holdfast", "demo", str(home)])
    told = re.sub(re.escape(str(home)), SHOWN_HOME, told)
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True)
    console.print("[bold green]$[/] holdfast demo")
    console.print(Text.from_ansi(told))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    lines = console.export_text(clear=False).splitlines()
    svg = animated(console.export_svg(title="holdfast demo", unique_id="demo"), lines)
    # The web font would be fetched from elsewhere; a reader's own monospace font does.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    PICTURE.write_text(svg, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
