"""What engines say about a subscription that is not there."""

from holdfast.errors import NotFoundError


def no_subscription(name: str) -> NotFoundError:
    """The error for a subscription that was never made, or is gone."""
    return NotFoundError(
        f"there is no subscription {name!r}",
        hint="make it with Topic.subscribe, or with: holdfast queues subscribe TOPIC NAME",
    )
