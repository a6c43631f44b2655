"""How long a message that failed stays away before it is tried again."""

import random

import msgspec

from holdfast.errors import UsageError

_LAST_DOUBLING = 100  # beyond it every backoff has reached its longest


class Backoff(msgspec.Struct, frozen=True):
    """Seconds between attempts: `first`, then each time `factor` as long, at most `longest`.

    Up to the fraction `jitter` is added by chance, so that what failed together is not tried
    together again.
    """

    first: float = 1.0
    factor: float = 2.0
    longest: float = 300.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.longest < 1e10 and 1 <= self.factor <= 10):
            raise UsageError("a backoff needs 0 < first <= longest and a factor from 1 to 10")
        if not 0 <= self.jitter <= 1:
            raise UsageError("the jitter of a backoff is a fraction from 0 to 1")

    def delay(self, attempts: int) -> float:
        """Seconds to wait after `attempts` attempts."""
        plain = self.first * self.factor ** min(attempts - 1, _LAST_DOUBLING)
        return min(plain, self.longest) * (1 + self.jitter * random.random())  # noqa: S311
