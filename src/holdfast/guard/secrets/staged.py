"""What git is about to commit, as it is staged, which may be another text than the file's."""

import os
from pathlib import Path

from holdfast.guard.secrets.baseline import Baseline
from holdfast.guard.secrets.places import shown as shown_path
from holdfast.guard.secrets.scan import Report, add
from holdfast.history.git import shown
from holdfast.history.repository import Repository
from holdfast.secrets.scanning import secrets_in
from holdfast.workspace.layout import Layout

_FILES = (b"100644", b"100755")


def scan_staged(layout: Layout) -> Report:
    """The likely secrets in what is staged and HEAD does not have already.

    In a hook git names the index that it commits. Raises `NotFoundError` without a repository.
    """
    repository = Repository.find(layout.root)
    git = repository.git
    if named := os.environ.get("GIT_INDEX_FILE"):
        git = git.with_index(repository.root / named)
    baseline = Baseline(layout)
    report = Report(accepted_elsewhere=baseline.foreign())
    head = repository.head()
    base = head.commit or repository.empty_tree()
    parts = git.names("diff-index", "--cached", "--raw", "-z", "--no-renames", "--abbrev=64", base)
    changes = [
        (parts[at].removeprefix(b":").split(b" "), parts[at + 1]) for at in range(0, len(parts), 2)
    ]
    staged = [(facts, name) for facts, name in changes if facts[1] in _FILES]
    contents = git.blobs([facts[3] for facts, _ in staged])
    for (facts, name), content in zip(staged, contents, strict=True):
        report.files += 1
        report.size += len(content)
        if b"\0" in content[:8192]:
            continue
        found = list(secrets_in(content, shown(name).rpartition("/")[2]))
        if found and facts[0] in _FILES:
            before = next(git.blobs([facts[2]]))
            found = [secret for secret in found if secret.value not in before]
        path = shown_path(Path(os.path.normpath(repository.path_of(name))), layout)
        add(report, baseline, found, path, "staged")
    return report
