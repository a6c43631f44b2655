"""Write docs/reference/ from the code: commands, the manual page, settings, library, errors.

    python scripts/make_reference.py            # write the pages
    python scripts/make_reference.py --check    # exit 1 and name those that are not current

Needs a POSIX system: the places among the defaults are written with its slashes.
"""

import sys
from pathlib import Path

from reference_commands import commands_page
from reference_floors import floors_drawing
from reference_library import errors_page, library_page
from reference_manual import manual_page
from reference_settings import settings_page

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTICE = "Made by scripts/make_reference.py; change the code instead."
PAGES = {
    "commands.md": commands_page,
    "holdfast.1": manual_page,
    "settings.md": settings_page,
    "library.md": library_page,
    "errors.md": errors_page,
    "../images/floors.svg": floors_drawing,
}


def main() -> None:
    """Write or check every page."""
    stale = []
    for name, make in PAGES.items():
        notice = f'.\\" {NOTICE}\n' if name.endswith(".1") else f"<!-- {NOTICE} -->\n\n"
        text = notice + make().rstrip("\n") + "\n"
        path = FOLDER / name
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.exit(f"not current: {', '.join(stale)}; run: python scripts/make_reference.py")


if __name__ == "__main__":
    main()
