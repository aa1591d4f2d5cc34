"""The virtual clock: runs what is due, in order of time. Two things due at one instant run in the order they were asked for."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from tests.support.clock import START_US


class Scheduler:
    """True time, which nobody in the simulated world can read."""

    def __init__(self) -> None:
        self.now_us = START_US
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def at(self, at_us: int, action: Callable[..., None], *arguments: Any) -> None:
        """Runs it then; at once when that is past."""
        self._asked += 1
        heappush(self._due, (max(at_us, self.now_us), self._asked, action, arguments))

    def after(self, wait_us: int, action: Callable[..., None], *arguments: Any) -> None:
        """Runs it when so much time has passed."""
        self._asked += 1
        heappush(self._due, (self.now_us + wait_us, self._asked, action, arguments))

    def run(self) -> None:
        """Runs until nothing is due any more."""
        due = self._due
        while due:
            self.now_us, _, action, arguments = heappop(due)
            action(*arguments)
