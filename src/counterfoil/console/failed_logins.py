"""How fast logins may fail: a few at once, then one every few seconds. It spares the log; no secret here can be guessed."""

from collections.abc import Callable

BURST = 10
EVERY_S = 3.0


class FailedLogins:
    """One account for everybody: behind a proxy, all strangers look alike. Open sessions and the API are not concerned."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._free_at_s = 0.0

    def wait_s(self) -> int:
        """Seconds until another try is taken; 0 when one is taken now."""
        early_s = self._free_at_s - self._monotonic_s() - EVERY_S * (BURST - 1)
        return max(0, -int(-early_s // 1))

    def count(self) -> None:
        """One has failed."""
        self._free_at_s = max(self._free_at_s, self._monotonic_s()) + EVERY_S
