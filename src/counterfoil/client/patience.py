"""How often and how soon the client asks again. Full jitter, so that many clients do not come back together."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

_FIRST_WAIT_S = 0.05
_WAIT_S_MAX = 1.0
# A service that asks for more patience than this is asked again sooner all the same.
RETRY_AFTER_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """At most `tries` questions; `timeout_s` bounds each wait for the network."""

    timeout_s: float
    tries: int

    def waits_s(self) -> Iterator[float]:
        """The waits between the tries: one fewer than there are tries."""
        for number in range(self.tries - 1):
            yield random.uniform(0, min(_WAIT_S_MAX, _FIRST_WAIT_S * 2**number))  # noqa: S311 - spreads load, guards nothing
