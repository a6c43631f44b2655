"""Security: secrets that lie about, what others may read, the guards, git, the disk."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from starlette.routing import Route

from holdfast.claude.guest_file import Edit
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.guard.installation import Scope, guard_status, install, uninstall
from holdfast.guard.secrets.git_hook import git_hook, install_git_hook, uninstall_git_hook
from holdfast.guard.secrets.scan import Report
from holdfast.upkeep.protection import protect, protection
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.rendering import link

PAGE = Page("Security", "/security", "security")

_SCAN = ("secrets", "scan")
_FINDINGS = 300


def routes() -> Sequence[Route]:
    return [
        show("/security", "security.html", security),
        act("/security/scan", scan),
        act("/security/fix", fix),
        act("/security/guard/{scope}/install", install_guard),
        act("/security/guard/{scope}/uninstall", uninstall_guard),
        act("/security/git-hook/install", install_hook),
        act("/security/git-hook/uninstall", uninstall_hook),
    ]


def security(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """All that was found, and what guards there are."""
    found = asked.errands.surveys.get(_SCAN, Report)
    findings = found.answer.findings if found.answer else []
    guard = guard_status(workspace)
    return {
        "scan": found,
        "findings": findings[:_FINDINGS],
        "places": Counter(each.place for each in findings).most_common(),
        "closed": protection(workspace),
        "guard": guard,
        "scopes": [
            (each, *_changes(workspace, cast("Scope", each.scope))) for each in guard.settings
        ],
        "hook": _hook(workspace),
    }


def scan(workspace: Workspace, asked: Asked) -> Done:
    """Look for secrets again."""
    asked.errands.surveys.renew(_SCAN, Report)
    return Done("/security")


def fix(workspace: Workspace, asked: Asked) -> Done:
    """Close to others what is for the owner only."""
    done = protect(workspace, protection(workspace))
    return Done("/security", "; ".join(done) or "Nothing had to be mended")


def install_guard(workspace: Workspace, asked: Asked) -> Done:
    """Set the hooks; an errand, since the first snapshot may take long."""
    errand = asked.start(["guard", "install", "--scope", _scope(asked)])
    return Done(link("/errands", errand.id))


def uninstall_guard(workspace: Workspace, asked: Asked) -> Done:
    """Take the hooks out."""
    edit = uninstall(workspace, _scope(asked))
    state = "The hooks are taken out of" if edit.changed else "No hook of ours is in"
    return Done("/security", f"{state} {edit.path}")


def install_hook(workspace: Workspace, asked: Asked) -> Done:
    """Set git's hook."""
    return Done("/security", f"{install_git_hook(workspace.layout).path} is installed")


def uninstall_hook(workspace: Workspace, asked: Asked) -> Done:
    """Take git's hook out."""
    return Done("/security", f"{uninstall_git_hook(workspace.layout).path} is taken out")


def _scope(asked: Asked) -> Scope:
    scope = asked.path["scope"]
    if scope not in ("home", "workspace"):
        raise NotFoundError(f"there are no settings of {scope!r}", hint="home or workspace")
    return cast("Scope", scope)


def _changes(workspace: Workspace, scope: str) -> tuple[Edit, Edit] | tuple[None, None]:
    """What installing and uninstalling would change; None for a file that cannot be read."""
    one = cast("Scope", scope)
    try:
        adding = install(workspace, one, dry_run=True)
        return adding, uninstall(workspace, one, dry_run=True)
    except HoldfastError:
        return None, None  # the problem stands in the status


def _hook(workspace: Workspace) -> dict[str, Any]:
    """Git's hook as it is, or why there can be none."""
    try:
        return {"now": git_hook(workspace.layout), "problem": None}
    except HoldfastError as error:
        return {"now": None, "problem": error}
