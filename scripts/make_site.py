"""Build the documentation as a website, without a warning: docs/, README.md and its neighbours.

    python scripts/make_site.py [FOLDER]      # into site/, or FOLDER
    python -m http.server -d site             # look at it; from the disk its search does not work

Pages are written so that they read well as plain files. Here they are gathered in a folder of their
own, links to what is no page of the site become plain text, and Zensical (see zensical.toml) does
the rest.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ELSEWHERE = {
    ROOT / "README.md": "index.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "LICENSE": "LICENSE",
    DOCS / "index.md": "pages.md",
}
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"^<!-- (?:example|file|command): [\w.]+ -->\n", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")
CODE_IN_TABLE = re.compile(r"`[^`\n]*\\\|[^`\n]*`")


def place(source: Path) -> Path | None:
    """Where a file is on the site; None when it is not there."""
    if source in ELSEWHERE:
        return Path(ELSEWHERE[source])
    return source.relative_to(DOCS) if source.is_relative_to(DOCS) else None


def gather(folder: Path) -> None:
    """Lay all pages, pictures and schemas out as they are on the site."""
    for source in [*DOCS.rglob("*"), *ELSEWHERE]:
        target = place(source)
        if target is None or source.is_dir():
            continue
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            text = page(source.read_text(encoding="utf-8"), source, target)
            (folder / target).write_text(text, encoding="utf-8", newline="\n")
        else:
            shutil.copyfile(source, folder / target)


def page(text: str, source: Path, target: Path) -> str:
    """The text of a page, its links as they are on the site."""

    def moved(found: re.Match[str]) -> str:
        picture, words, link, anchor = found.groups(default="")
        leads = place((source.parent / link).resolve()) if link else target
        if leads is None:
            return words
        there = os.path.relpath(leads, target.parent).replace(os.sep, "/") if link else ""
        return f"{picture}[{words}]({there}{anchor})"

    # A table's cell may hold a pipe in code; GitHub wants it escaped there, Python-Markdown plain.
    parts = FENCED.split(MARK.sub("", text))
    for number in range(0, len(parts), 2):
        plain = LINK.sub(moved, parts[number])
        parts[number] = CODE_IN_TABLE.sub(lambda found: found[0].replace("\\|", "|"), plain)
    return "".join(parts)


def main() -> None:
    """Build it in a scratch folder; what was there before is replaced when that went well."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve()
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch)
        gather(stage / "docs")
        shutil.copyfile(ROOT / "zensical.toml", stage / "zensical.toml")
        build = [sys.executable, "-m", "zensical", "build", "--strict"]
        status = subprocess.run(build, cwd=stage, check=False).returncode
        if status:
            raise SystemExit(status)
        if target.exists():
            shutil.rmtree(target)
        shutil.move(stage / "site", target)


if __name__ == "__main__":
    main()
