"""Answers that are shared by visitors for a moment, so that pages that ask again by themselves cost the service little.

Every visitor has been found to be an operator before; the API tells all operators the same.
"""

from asyncio import Lock
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from counterfoil.console.api_calls import Answer
from counterfoil.console.pages import Visit

FRESH_S = 12.0
"""For what may change at any moment: less than a page waits before it asks again."""
SLOW_S = 120.0
"""For what changes by the day, and takes a long look at the journal."""
KEPT_MAX = 32


@dataclass(frozen=True, slots=True)
class _Kept:
    at_s: float
    answer: Answer


class SharedAnswers:
    """What was heard in the last seconds."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._kept: dict[str, _Kept] = {}
        # One question at a time: visitors who ask the same together wait for one answer, and never crowd out anybody else.
        self._asking = Lock()

    async def ask(
        self,
        visit: Visit,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        key: str = "",
        fresh_s: float = FRESH_S,
    ) -> Answer:
        """The answer to a GET, made now or a moment ago for the same `key`, which by itself is the path."""
        key = key or path
        async with self._asking:
            now_s = self._monotonic_s()
            kept = self._kept.pop(key, None)
            if kept is None or now_s - kept.at_s >= fresh_s:
                kept = _Kept(now_s, await visit.ask("GET", path, query=query))
            if kept.answer.status == 200:
                self._kept[key] = kept
                if len(self._kept) > KEPT_MAX:
                    del self._kept[next(iter(self._kept))]
            return kept.answer
