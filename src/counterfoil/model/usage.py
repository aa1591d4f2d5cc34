"""How much a client has issued: the arithmetic of the rate limit and of the cap. Stores keep it in the same step as the insert.

The rate is the generic cell rate algorithm (ITU-T I.371): one number, the theoretical arrival time, no window edges.
Outstanding passcodes are counted by the second in which they expire, so that time alone takes them off.
"""

import struct
from dataclasses import dataclass

from counterfoil.model.limits import MICROSECONDS_PER_S

_BUCKET = struct.Struct(">QI")


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
    """One client's account. Mutable: it lives inside one store transaction."""

    def __init__(self, arrival_us: int = 0, outstanding: dict[int, int] | None = None) -> None:
        self.arrival_us = arrival_us
        self._outstanding = outstanding or {}

    @classmethod
    def decoded(cls, arrival_us: int, buckets: bytes) -> "Usage":
        """The account that `encoded_outstanding` wrote."""
        return cls(arrival_us, dict(_BUCKET.iter_unpack(buckets)))

    def encoded_outstanding(self) -> bytes:
        """Pairs of (second of expiry, count), 12 bytes each."""
        return b"".join(_BUCKET.pack(second, count) for second, count in self._outstanding.items())

    def take(self, limits: IssueLimits, now_us: int, expires_at_us: int) -> LimitReached | None:
        """Counts one more passcode, or says which limit forbids it and counts nothing."""
        self._forget_expired(now_us)
        if limits.outstanding_max and sum(self._outstanding.values()) >= limits.outstanding_max:
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
        second = expires_at_us // MICROSECONDS_PER_S
        self._outstanding[second] = self._outstanding.get(second, 0) + 1
        return None

    def give_back(self, expires_at_us: int) -> None:
        """One passcode that expires then is redeemed, revoked or locked: it is outstanding no more."""
        second = expires_at_us // MICROSECONDS_PER_S
        left = self._outstanding.get(second, 0) - 1
        if left > 0:
            self._outstanding[second] = left
        else:
            self._outstanding.pop(second, None)

    def idle_at_us(self) -> int:
        """From then on, the account is as good as a new one."""
        return max([self.arrival_us, *((second + 1) * MICROSECONDS_PER_S for second in self._outstanding)])

    def _forget_expired(self, now_us: int) -> None:
        now_s = now_us // MICROSECONDS_PER_S
        for second in [second for second in self._outstanding if second < now_s]:
            del self._outstanding[second]


def _whole_seconds(duration_us: float) -> int:
    return max(1, -int(-duration_us // MICROSECONDS_PER_S))
