"""Plans that are shown before they are carried out: what was agreed to is what is done."""

import hashlib
import json
from typing import Any

import msgspec

from holdfast.errors import ConflictError
from holdfast.web.page import Asked


def digest_of(plan: Any) -> str:
    """What stands for a plan in its form."""
    # The standard library's escapes keep names that are no UTF-8.
    return hashlib.sha256(json.dumps(msgspec.to_builtins(plan)).encode()).hexdigest()


def check_agreed(asked: Asked, plan: Any) -> None:
    """Raise `ConflictError` when the form was made for another plan than this one."""
    if asked.text("plan") != digest_of(plan):
        raise ConflictError(
            "something changed since this plan was shown: it would do something else by now",
            hint="go back, load the plan again and look at it",
        )
