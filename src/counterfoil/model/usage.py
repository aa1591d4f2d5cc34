"""How much a client has issued: the arithmetic of the rate limit and of the cap. Stores keep it in the same step as the insert.

The rate is the generic cell rate algorithm (ITU-T I.371): one number, the theoretical arrival time, no window edges.
Outstanding passcodes are counted by the eight seconds in which they expire, so that time alone takes them off. By single
seconds an account would have sixty counts to write with every issue.
"""

import struct
from dataclasses import dataclass
from itertools import starmap

from counterfoil.model.limits import MICROSECONDS_PER_S

_BUCKET = struct.Struct(">QI")
# A power of two less one: what is set in a window's last second and in none before.
_IN_WINDOW_S = 7


@dataclass(frozen=True, slots=True)
class IssueLimits:
    """Per client: how fast it may issue, and how many live passcodes it may have. 0 switches a limit off."""

    rate_per_s: float
    burst: int
    outstanding_max: int


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Nothing was stored; ask again after `retry_after_s` (at least 1)."""

    rule: str
    retry_after_s: int


class Usage:
    """One client's account. Mutable: it belongs to one writer, between two of whose steps nobody else changed it.

    The sum and the earliest second are kept beside the counts, or every issue would walk through all of them.
    """

    __slots__ = ("_earliest_s", "_outstanding", "_total", "arrival_us")

    def __init__(self, arrival_us: int = 0, outstanding: dict[int, int] | None = None) -> None:
        self.arrival_us = arrival_us
        self._outstanding = outstanding or {}
        self._total = sum(self._outstanding.values())
        # No later than the earliest there is; what was given back may leave it too early.
        self._earliest_s = min(self._outstanding, default=0)

    @classmethod
    def decoded(cls, arrival_us: int, buckets: bytes) -> "Usage":
        """The account that `encoded_outstanding` wrote."""
        return cls(arrival_us, dict(_BUCKET.iter_unpack(buckets)))

    def encoded_outstanding(self) -> bytes:
        """Pairs of (last second of the window of expiry, count), 12 bytes each."""
        return b"".join(starmap(_BUCKET.pack, self._outstanding.items()))

    def take(self, limits: IssueLimits, now_us: int, expires_at_us: int) -> LimitReached | None:
        """Counts one more passcode, or says which limit forbids it and counts nothing."""
        if self._earliest_s < now_us // MICROSECONDS_PER_S:
            self._forget_expired(now_us // MICROSECONDS_PER_S)
        if limits.outstanding_max and self._total >= limits.outstanding_max:
            wait_us = (min(self._outstanding) + 1) * MICROSECONDS_PER_S - now_us
            return LimitReached("too many passcodes of this client are outstanding", _whole_seconds(wait_us))
        if limits.rate_per_s:
            interval_us = MICROSECONDS_PER_S / limits.rate_per_s
            # Bounded above too: after the clock went back, a client must not wait until it comes round again.
            arrival_us = min(max(self.arrival_us, now_us), now_us + interval_us * limits.burst)
            early_us = arrival_us - now_us - interval_us * (limits.burst - 1)
            if early_us > 0:
                return LimitReached("this client issues too fast", _whole_seconds(early_us))
            self.arrival_us = int(arrival_us + interval_us)
        second = _last_second(expires_at_us)
        self._outstanding[second] = self._outstanding.get(second, 0) + 1
        self._total += 1
        if second < self._earliest_s:
            self._earliest_s = second
        return None

    def take_back(self, arrival_us: int, expires_at_us: int) -> None:
        """Undoes the last `take`, before which `arrival_us` was what it says: nothing was issued after all."""
        self.arrival_us = arrival_us
        self.give_back(expires_at_us)

    def give_back(self, expires_at_us: int) -> None:
        """One passcode that expires then is redeemed, revoked or locked: it is outstanding no more."""
        second = _last_second(expires_at_us)
        counted = self._outstanding.get(second, 0)
        if counted == 0:
            return
        self._total -= 1
        if counted > 1:
            self._outstanding[second] = counted - 1
        else:
            del self._outstanding[second]

    def idle_at_us(self) -> int:
        """From then on, the account is as good as a new one."""
        if not self._outstanding:
            return self.arrival_us
        return max(self.arrival_us, (max(self._outstanding) + 1) * MICROSECONDS_PER_S)

    def _forget_expired(self, now_s: int) -> None:
        for second in [second for second in self._outstanding if second < now_s]:
            self._total -= self._outstanding.pop(second)
        self._earliest_s = min(self._outstanding, default=now_s)


def _last_second(expires_at_us: int) -> int:
    """Of the window in which it expires. Until its end it counts."""
    return expires_at_us // MICROSECONDS_PER_S | _IN_WINDOW_S


def _whole_seconds(duration_us: float) -> int:
    return max(1, -int(-duration_us // MICROSECONDS_PER_S))
