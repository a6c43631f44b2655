"""Long lists, a page at a time, counted from their start."""

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.web.page import Asked


def page_of(
    items: Sequence[Any], asked: Asked, most: int, shown: Callable[[Any], Any] = lambda item: item
) -> dict[str, Any]:
    """The `most` items after the ``skip`` ones that were asked for, and where the next begin.

    `shown` makes of each what the template is given: ``rows``, ``skip``, ``next`` (None at the
    end) and ``found``, how many there are in all.
    """
    skip = asked.number("skip", 0) or 0
    after = skip + most
    return {
        "rows": [shown(item) for item in items[skip:after]],
        "skip": skip,
        "next": after if len(items) > after else None,
        "found": len(items),
    }
