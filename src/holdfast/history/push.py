"""Sending a branch to a remote, only ever on the user's word."""

import os

from holdfast.errors import (
    ConflictError,
    HoldfastError,
    NotFoundError,
    RefusedError,
)
from holdfast.history.reports import PushReport
from holdfast.history.repository import Repository
from holdfast.history.status import remote_urls


def push(repository: Repository) -> PushReport:
    """Push the branch to its remote, else to ``origin`` or the only one; see `History.push`."""
    head = repository.head()
    if head.branch is None or head.ref is None:
        raise RefusedError("no branch is checked out", path=repository.root)
    if head.commit is None:
        hint = "save something first: holdfast history save"
        raise NotFoundError("there is no commit yet", path=repository.root, hint=hint)
    urls = remote_urls(repository)
    chosen = repository.git.try_line("config", "--get", f"branch.{head.branch}.remote")
    remote = os.fsdecode(chosen) if chosen else next(iter(urls), None)
    if remote is None:
        hint = "name one first: git remote add origin URL"
        raise NotFoundError("the repository is local only", path=repository.root, hint=hint)
    if chosen is None and len(urls) > 1 and remote != "origin":
        hint = f"choose once: git push -u REMOTE {head.branch}"
        raise NotFoundError("there are several remotes", path=repository.root, hint=hint)
    options = [] if chosen else ["--set-upstream"]
    try:
        repository.git.change("push", "--porcelain", *options, remote, f"{head.ref}:{head.ref}")
    except HoldfastError as error:
        raise _explained(error, repository, remote) from error
    return PushReport(remote, urls.get(remote, remote), head.branch, head.commit)


def _explained(error: HoldfastError, repository: Repository, remote: str) -> HoldfastError:
    if "failed to push some refs" in error.message:
        return ConflictError(
            f"{remote} has commits that are not here, or refused the push",
            path=repository.root,
            hint=f"take them in first: git pull --rebase {remote}; nothing was forced",
        )
    return error
