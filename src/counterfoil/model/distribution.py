"""How many values were how large: plain numbers that whoever does the work adds to, and whoever watches reads."""

from bisect import bisect_left


class Distribution:
    """Counts by upper bound, the last of what is above them all. It has one writer; a reader may see a value half counted."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more; a value that equals a bound belongs below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
