"""Noticing that the clock was set back, after which leases would last too long."""

CLOCK_TOLERANCE = 1.0  # seconds the clock may step back before leases are looked at anew


class ClockWatch:
    """Remembers the latest time of one handle's calls. No locking: a race only asks once more."""

    def __init__(self) -> None:
        self._latest = float("inf")

    def stepped_back(self, now: float) -> bool:
        """Whether `now` is before the call before; also on the first call, which knows of none."""
        back = now < self._latest - CLOCK_TOLERANCE
        self._latest = now
        return back
