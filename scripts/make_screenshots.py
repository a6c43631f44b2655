"""Take the pictures of the browser's pages in docs/images, from the demo's workspace.

    python scripts/make_screenshots.py

Needs what the tests need: the package with its extra `test`, and a Chromium.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.web.browser import open_browser, serving, window  # noqa: E402
from tests.web.filled import put_dead_letters, run_survey  # noqa: E402

from holdfast.facade import open_workspace  # noqa: E402
from holdfast.web.pages import PAGES  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SHOWN_ROOT = "~/holdfast-demo/development"
# Where it lies here is nobody's business.
SAY_HOME = """([root, shown]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        texts.currentNode.data = texts.currentNode.data.replaceAll(root, shown);
    }
}"""
SIZE = {"width": 1180, "height": 760}


def make_demo(home: Path) -> Path:
    """The workspace that ``holdfast demo`` leaves behind."""
    command = [sys.executable, "-m", "holdfast", "demo", str(home), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    return home / "development"


def add_work(root: Path) -> None:
    """A run with parallel steps, one of which is tried twice, dead letters and events."""
    (root / "bees-1.flaky").touch()
    with open_workspace(root) as workspace:
        for topic in ("ants", "wasps", "bees"):
            run_survey(workspace, topic, f"{topic}-2026")
            workspace.events.append("garden", "surveyed", {"topic": topic})
        put_dead_letters(workspace, "letters", {"to": "reader-7"}, reason="mailbox full")


def shown() -> dict[str, str]:
    """The pictures to take: their names and their paths on the page."""
    pictures = {"overview": "/", "run": "/workflows/bees-2026"}
    known = {page.title: page.path for page in PAGES}
    if "Backups" in known:
        pictures["backups"] = known["Backups"]
    return pictures


def main() -> None:
    """Write every picture, in light and dark."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "holdfast-demo"
        root = make_demo(home)
        add_work(root)
        pictures = shown()
        with serving(root, home) as served, open_browser() as browser:
            for theme in ("light", "dark"):
                with window(browser, served, theme) as page:
                    page.set_viewport_size(SIZE)
                    for name, path in pictures.items():
                        page.goto(path)
                        page.get_by_text("Live", exact=True).wait_for()
                        page.evaluate(SAY_HOME, [str(root), SHOWN_ROOT])
                        page.screenshot(path=IMAGES / f"{name}-{theme}.png")


if __name__ == "__main__":
    main()
