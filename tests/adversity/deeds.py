"""What is asked of a real SQLite store that is about to meet with an accident: plans of deeds, drawn from a seed."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, TypeAlias
from unittest.mock import patch

from counterfoil.model.counterfoil import Counterfoil, Redemption
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.usage import IssueLimits
from counterfoil.stores import group_commit
from counterfoil.stores.sqlite import SqliteStore
from tests.contract.claims import made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY, mismatch, revocation

CLIENTS = 3
GROUP_MAX = 6
REDEEMER = "backend"
Verb: TypeAlias = Literal["issue", "redeem", "mismatch", "revoke", "find"]
_VERBS: tuple[Verb, ...] = ("issue", "redeem", "mismatch", "revoke", "find")
_WEIGHTS = (8, 9, 3, 2, 2)
_RETRIED_PART = 0.1


class Deed(NamedTuple):
    """One verb on the passcode `number`; `redemption_id` is for redeeming alone."""

    verb: Verb
    number: int
    redemption_id: str = ""


Group: TypeAlias = Sequence[Deed]
"""Deeds that are asked for at once, so that they share a transaction."""


def opened(path: Path, on_fatal: Callable[[], None] = lambda: None) -> SqliteStore:
    """The real store, by a clock that stands still: nothing expires while an accident is looked into."""
    return SqliteStore(path, Clock(), on_fatal=on_fatal, journal_key=JOURNAL_KEY)


def kept_of(number: int) -> Counterfoil:
    """The counterfoil of passcode `number`; every other one carries a seed copy, which redeeming erases."""
    return made(f"client-{number % CLIENTS}", START_US + number, seed_copy=b"copy" * 12 if number % 2 else None)


async def done(store: SqliteStore, deed: Deed) -> Counterfoil | None:
    """Asks for the deed; the counterfoil as the answer shows it, which from then on may not be forgotten."""
    counterfoil = kept_of(deed.number)
    if deed.verb == "issue":
        assert await store.insert(counterfoil, IssueLimits(1e6, 1000, 1_000_000)) in ("stored", "timestamp_taken")
        return counterfoil
    if deed.verb == "find":
        return await store.find(counterfoil.ref)
    if deed.verb == "redeem":
        outcome = await store.redeem(counterfoil.ref, Redemption(deed.redemption_id, REDEEMER), ATTEMPTS_MAX)
    elif deed.verb == "mismatch":
        outcome = await store.count_mismatch(counterfoil.ref, ATTEMPTS_MAX, mismatch(counterfoil.ref))
    else:
        outcome = await store.revoke(counterfoil.ref, revocation(counterfoil.ref))
    return outcome.counterfoil


def plan(draw: Random, groups: int, first: int = 0) -> Iterator[Group]:
    """Groups of deeds on passcodes numbered from `first`: issues, races for one passcode, retries with the same id."""
    issued: list[int] = []
    redeemed: list[Deed] = []
    for turn in range(groups):
        group: list[Deed] = []
        fresh: list[int] = []
        for place in range(draw.randint(1, GROUP_MAX)):
            verb = draw.choices(_VERBS, _WEIGHTS)[0]
            if verb == "issue" or not issued:
                fresh.append(first + len(issued) + len(fresh))
                group.append(Deed("issue", fresh[-1]))
            elif verb == "redeem" and redeemed and draw.random() < _RETRIED_PART:
                group.append(draw.choice(redeemed))
            else:
                # A recent one, or most would have been redeemed long ago.
                group.append(Deed(verb, draw.choice(issued[-8:]), f"{turn}.{place}" if verb == "redeem" else ""))
        issued += fresh
        redeemed += [deed for deed in group if deed.verb == "redeem"]
        yield group


async def all_done(
    store: SqliteStore,
    group: Group,
    asked: Callable[[Deed], None],
    told: Callable[[Deed, Counterfoil | None], None],
) -> None:
    """Asks for a group at once and says what is told as soon as it is. Raises what the first failing deed raised."""

    async def one(deed: Deed) -> None:
        told(deed, await done(store, deed))

    for deed in group:
        asked(deed)
    results = await asyncio.gather(*(one(deed) for deed in group), return_exceptions=True)
    for result in results:
        if result is not None:
            raise result


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps stores from logging accidents that are meant."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def checkpoints_from(pages: int, insistent_pages: int = 10**9) -> Iterator[None]:
    """Has stores make checkpoints when so few pages are in the WAL, so that a short story has some of them in it."""
    with (
        patch.object(group_commit, "_CHECKPOINT_PAGES", pages),
        patch.object(group_commit, "_INSISTENT_CHECKPOINT_PAGES", insistent_pages),
        patch.object(group_commit, "_INSISTING_EVERY_S", 0),
    ):
        yield
