"""What a save does about secrets."""

from pathlib import Path

import pytest

from holdfast.errors import RefusedError
from holdfast.history import History

# Put together here, so that no scanner takes this file for a leak.
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def test_a_save_refuses_a_secret_and_stores_nothing_of_it(history: History, root: Path) -> None:
    (root / "agents" / "leak.py").write_text(f"# a\nT = '{GITHUB}'\n", encoding="utf-8")
    with pytest.raises(RefusedError) as caught:
        history.save()
    assert "development/agents/leak.py:2: GitHub token ghp_…" in caught.value.message
    assert GITHUB not in str(caught.value)
    assert history.status().commit == history.show("HEAD").commit.id
    assert history.log(root.parent / "notes.txt")[0].subject == "first"
    assert [each.line for each in history.save(dry_run=True).secrets] == [2]
    report = history.save(allow_secrets=True)
    assert report.commit is not None
    assert [each.kind for each in report.secrets] == ["GitHub token"]


def test_what_is_in_the_history_already_does_not_stand_in_the_way(
    history: History, root: Path
) -> None:
    leak = root / "leak.py"
    leak.write_text(f"T = '{GITHUB}'\n", encoding="utf-8")
    history.save(allow_secrets=True)
    leak.write_text(f"# moved\nT = '{GITHUB}'\n", encoding="utf-8")
    assert history.save().commit is not None
    leak.write_text(f"T = '{GITHUB}'\nU = '{GITHUB[:-1]}x'\n", encoding="utf-8")
    with pytest.raises(RefusedError):
        history.save()
