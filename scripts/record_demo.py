"""Record ``holdfast demo`` as docs/images/demo.svg, the moving picture in README.md.

    python scripts/record_demo.py

It is one file of text, moved by CSS alone, so that it plays wherever a picture is shown; where
nothing may move, the last screen stands. Needs a POSIX system: the demo runs in a terminal of its
own, so that it shows its colours.
"""

import html
import io
import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.segment import Segment
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

COLUMNS, ROWS = 96, 24
# One line after the other; a longer pause before each chapter and before it begins anew. Seconds.
LINE, CHAPTER, END, TIMES = 0.18, 1.0, 8.0, 3
HIGH, WIDE, EDGE, BAR = 24, 12.0, 18, 44  # a line, a letter, the frame, its title; pixels

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "demo.svg"
SHOWN_HOME = "~/holdfast-demo"

DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">
<title>holdfast demo: a run is killed and resumed, files are destroyed and restored</title>
<style>
text {{ font: 20px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d0d0d0;
  white-space: pre }}
.lines {{ transform: translateY({lines_end:g}px);
  animation: scroll {length:.2f}s step-end {times} }}
.curtain {{ transform: translateY({curtain_end:g}px);
  animation: draw {length:.2f}s step-end {times} }}
@keyframes scroll {{ {scroll} }}
@keyframes draw {{ {draw} }}
@media (prefers-reduced-motion: reduce) {{ .lines, .curtain {{ animation: none }} }}
</style>
<clipPath id="screen"><rect width="{width:g}" height="{screen:g}"/></clipPath>
<rect width="{width:g}" height="{height:g}" rx="10" fill="#1d1f21"/>
<g fill="#5f6366"><circle cx="26" cy="22" r="7"/><circle cx="50" cy="22" r="7"/>
<circle cx="74" cy="22" r="7"/></g>
<g transform="translate({edge} {bar})"><g clip-path="url(#screen)"><g class="lines">
{text}
<rect class="curtain" x="-4" width="{width:g}" height="{all:g}" fill="#1d1f21"/>
</g></g></g>
</svg>
"""


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


def screen_lines(told: str) -> list[list[Segment]]:
    """What was told as lines of a terminal; each is a list of texts in one style."""
    console = Console(width=COLUMNS, file=io.StringIO(), force_terminal=True)
    shown = Text.from_markup("[bold green]$[/] [bold]holdfast demo[/]\n")
    shown.append_text(Text.from_ansi(told.rstrip("\n")))
    return console.render_lines(shown, pad=False)


def drawn(number: int, line: list[Segment]) -> str:
    """One line as an SVG text."""
    spans = []
    for text, style, _ in line:
        css = style.get_html_style(DIMMED_MONOKAI) if style else ""
        kept = "; ".join(re.findall(r"(?:font-weight: bold|(?<!-)\bcolor: #\w+)", css))
        kept = re.sub(r"\bcolor:", "fill:", kept)
        escaped = html.escape(text, quote=False)
        spans.append(f'<tspan style="{kept}">{escaped}</tspan>' if kept else escaped)
    return f'<text y="{number * HIGH + 18}">{"".join(spans).rstrip()}</text>'


def picture(lines: list[list[Segment]]) -> str:
    """The whole drawing: a curtain over the lines goes down, and a full screen scrolls."""
    moments, now = [0.0], 0.0
    for line in lines[1:]:
        told = "".join(segment.text for segment in line)
        now += CHAPTER if re.match(r"\d+\. ", told) else LINE
        moments.append(now)
    length = now + END
    draw, scroll = [], []
    for shown, moment in enumerate(moments, 1):
        at = f"{100 * moment / length:.2f}%"
        draw.append(f"{at} {{ transform: translateY({shown * HIGH}px) }}")
        if shown >= ROWS or shown == 1:
            scroll.append(f"{at} {{ transform: translateY({min(0, ROWS - shown) * HIGH}px) }}")
    return DRAWING.format(
        width=COLUMNS * WIDE + 2 * EDGE,
        height=ROWS * HIGH + BAR + EDGE,
        screen=ROWS * HIGH + 6,
        all=len(lines) * HIGH + EDGE,
        lines_end=min(0, ROWS - len(lines)) * HIGH,
        curtain_end=len(lines) * HIGH + EDGE,
        length=length,
        times=TIMES,
        scroll=" ".join(scroll),
        draw=" ".join(draw),
        edge=EDGE,
        bar=BAR,
        text="\n".join(drawn(number, line) for number, line in enumerate(lines)),
    )


def main() -> None:
    """Run the demo once and draw what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve() / "demo"
        told = run_in_terminal([sys.executable, "-m", "holdfast", "demo", str(home)])
    told = re.sub(re.escape(str(home)), SHOWN_HOME, told)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(screen_lines(told)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
