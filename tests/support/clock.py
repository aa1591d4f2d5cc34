"""A clock that tests turn by hand."""

START_US = 1_795_410_340_123_456


class Clock:
    """Microseconds since the Unix epoch, standing still until told otherwise."""

    def __init__(self, now_us: int = START_US) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us

    def advance_s(self, seconds: float) -> None:
        """Turns the clock; backwards with a negative number."""
        self.now_us += int(seconds * 1_000_000)
