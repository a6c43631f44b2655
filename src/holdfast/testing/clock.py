"""A clock for tests."""


class Clock:
    """A clock that only tests move, in seconds of the epoch."""

    def __init__(self) -> None:
        self.now = 1_763_874_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on, or back when `seconds` is negative."""
        self.now += seconds
