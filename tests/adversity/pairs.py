"""Pairs of different things whose encodings must differ: families of near-misses, of which every two are one case."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations, islice

from tests.adversity.campaign import Figures

MEMBERS = 16
PAIRS = MEMBERS * (MEMBERS - 1) // 2


@dataclass
class Family:
    """Near-misses of one thing, no two of which are the same: what each encodes to, and what it is."""

    encodings: list[bytes]
    told: Callable[[int], str]
    """What a member is, for who plays a failing case again."""
    respelled: list[tuple[int, bytes]] = field(default_factory=list)
    """What a member encodes to when it is spelled in another way, which must make no difference."""


def judged(family_of: Callable[[int], Family], first: int, last: int) -> Figures:
    """The pairs first, ..., last - 1. Pair n belongs to family n // PAIRS, which is made from its number alone."""
    figures, seen = Figures(), sha256()
    for number in range(first // PAIRS, -(-last // PAIRS)):
        family, start = family_of(number), number * PAIRS
        assert len(family.encodings) == MEMBERS
        pairs = enumerate(combinations(range(MEMBERS), 2), start)
        for case, (one, other) in islice(pairs, max(first - start, 0), last - start):
            if family.encodings[one] == family.encodings[other]:
                figures.fail(f"pair {case} collides: {family.told(one)} and {family.told(other)}")
        seen.update(b"\n".join(family.encodings))
        for member, encoding in family.respelled:
            figures.counts["spelled again"] += 1
            if family.encodings[member] != encoding:
                figures.fail(f"family {number} depends on the spelling of {family.told(member)}")
    figures.counts["pairs"] = last - first
    figures.digest = seen.hexdigest()
    return figures
