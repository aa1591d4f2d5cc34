"""One thread for what operators look at, one look at a time: no request that decides something waits for one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

WAITING_MAX = 4


class TooManyLooks(Exception):
    """As many looks as may wait are waiting: ask again in a moment."""


class Looks:
    """The one thread. It is started by the first look."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="counterfoil-look")
        self._under_way = 0

    async def run(self, look: Callable[[], T]) -> T:
        """What the look gives. Raises TooManyLooks, and whatever the look raises."""
        if self._under_way > WAITING_MAX:
            raise TooManyLooks
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, look)
        finally:
            self._under_way -= 1
