"""Ids and receipts as text: ``<queue id>-<number>`` and ``<queue id>-<number>-<lease number>``.

The queue id is made once per queue, so that a receipt of one queue never fits another. A number
starting with ``s`` belongs to a message kept beside the line (delayed, prioritised, with a key).
"""

from holdfast.errors import ConflictError, UsageError


def id_text(queue: str, number: int) -> str:
    """The id of a message; numbers beside the line are negative."""
    return f"{queue}-{number}" if number > 0 else f"{queue}-s{-number}"


def receipt_text(queue: str, number: int, token: int) -> str:
    """The receipt of one lease of one message."""
    return f"{id_text(queue, number)}-{token}"


def parse_id(text: str, queue: str) -> int | None:
    """The number in an id; None when it is of another queue or no id at all."""
    owner, _, number = text.partition("-")
    return _number(number) if owner == queue else None


def parse_receipt(text: str, queue: str) -> tuple[int, int]:
    """The message number and lease number of a receipt.

    Raises `UsageError` for what is no receipt, `ConflictError` for one of another queue.
    """
    owner, _, rest = text.partition("-")
    number_text, _, token = rest.partition("-")
    number = _number(number_text)
    if number is None or not (token.isascii() and token.isdigit()):
        raise UsageError(
            f"{text!r} is not a receipt", hint="take a message; its receipt comes with it"
        )
    if owner != queue:
        raise stale(text)
    return number, int(token)


def stale(receipt: str) -> ConflictError:
    """The error for a receipt whose lease is over."""
    return ConflictError(
        f"the receipt {receipt} is stale: the message was settled, or its lease ran out and it was"
        " given to another",
        hint="take again; extend the lease in time when the work is long",
    )


def _number(text: str) -> int | None:
    side = text.startswith("s")
    digits = text[1:] if side else text
    if not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
        return None
    return -int(digits) if side else int(digits)
