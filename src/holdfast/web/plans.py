"""Plans that are shown before they are carried out: what was agreed to is what is done."""

import hashlib
from typing import Any

import msgspec

from holdfast.errors import ConflictError
from holdfast.web.page import Asked


def digest_of(plan: Any) -> str:
    """What stands for a plan in its form."""
    return hashlib.sha256(msgspec.json.encode(plan)).hexdigest()


def check_agreed(asked: Asked, plan: Any) -> None:
    """Raise `ConflictError` when the form was made for another plan than this one."""
    if asked.text("plan") != digest_of(plan):
        raise ConflictError(
            "something changed since this plan was shown: it would do something else by now",
            hint="go back, load the plan again and look at it",
        )
