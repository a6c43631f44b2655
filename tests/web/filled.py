"""What people look at: runs of every kind, dead letters; and texts that want to be more."""

import shutil
from contextlib import suppress
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.workflows.loading import load_file

EVIL = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>'
TOKEN = "ghp_" + "a1B2" * 9

SURVEY = Path(__file__).parent / "survey.py"


def put_survey(root: Path) -> Path:
    """The workflow ``survey`` as a file of the workspace."""
    return Path(shutil.copy(SURVEY, root / "survey.py"))


def run_survey(workspace: Workspace, topic: str, run_id: str) -> None:
    """Run it here, to its end, whatever that is."""
    (survey,) = load_file(put_survey(workspace.layout.root))
    with suppress(HoldfastError):
        workspace.workflows.run(survey, (topic,), run_id=run_id)


def put_dead_letters(workspace: Workspace, queue: str, *bodies: object, reason: str) -> None:
    """Messages that failed so often that they are dead."""
    letters = workspace.queue(queue, max_attempts=1)
    letters.put_many(bodies)
    for message in letters.take(len(bodies)):
        message.nack(reason=reason)
