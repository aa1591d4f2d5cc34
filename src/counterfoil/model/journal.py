"""The journal: what was decided, entry by entry, in a chain that only who holds its key can write. Pure; no I/O, no clock.

Each entry's MAC is keyed and covers the MAC before it, so an entry that is changed, removed, inserted or moved breaks the
chain there. The two ends are sealed under labels of their own: the start (what comes before was removed by retention) and the
head (nothing comes after), so that cutting either end shows too. What no chain can show is that all of it is an older copy,
or a new one; a checkpoint, which is an entry's number and MAC kept elsewhere, shows that.

An entry holds who and when, the verdict and the redemption id. It never holds a passcode, a context or a transaction.
"""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.verdict import Reason

JOURNAL_KEY_BYTES = 32
MAC_BYTES = 32
_LABEL = b"counterfoil/journal/v1/"
_BLOCK_BYTES = 64
_INNER_PAD, _OUTER_PAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


class Event(StrEnum):
    """What an entry tells of. An acceptance or a revocation that changes nothing any more is told all the same."""

    ISSUED = "issued"
    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    REFUSED = "refused"
    REVOKED = "revoked"


class Entry(NamedTuple):
    """One decision. `timestamp_us` is None where none could be read: a malformed passcode has no timestamp."""

    event: Event
    client_id: str
    timestamp_us: int | None
    by: str
    """Who asked: for an issue the credential's id, as its counterfoil keeps it; for all else the credential's name."""
    reason: Reason | None = None
    redemption_id: str | None = None


def issued(counterfoil: Counterfoil) -> Entry:
    """The entry of a counterfoil that is kept now."""
    return Entry(Event.ISSUED, counterfoil.client_id, counterfoil.timestamp_us, counterfoil.issuer_id)


def accepted(ref: CounterfoilRef, redemption: Redemption) -> Entry:
    """The entry of a passcode that is redeemed now."""
    return Entry(Event.ACCEPTED, ref.client_id, ref.timestamp_us, redemption.principal, None, redemption.redemption_id)


class JournalBroken(Exception):
    """The journal is not what was written. The message says where it breaks, and quotes no entry."""


class Link(NamedTuple):
    """A place in the chain: an entry's number and MAC. Number 0 comes before the first entry, and its MAC is random."""

    seq: int
    mac: bytes

    def spelled(self) -> str:
        """As a checkpoint that can be kept elsewhere: `NUMBER:MAC`."""
        return f"{self.seq}:{self.mac.hex()}"


class Record(NamedTuple):
    """An entry in its place. `at_us` is the clock of the step that wrote it, which for a step with an effect decided it."""

    seq: int
    at_us: int
    entry: Entry
    mac: bytes


class End(NamedTuple):
    """An end of the chain: the start is the last link that was removed, the head the last link there is."""

    link: Link
    seal: bytes


@dataclass(frozen=True, slots=True)
class JournalKey:
    """Makes and checks the chain's MACs. One key for the life of a deployment: keys that seal passcodes come and go."""

    _key: bytes = field(repr=False)
    # The two hashes of HMAC (RFC 2104) with the key in them, the inner one with the label too. They are only ever copied.
    _inner: Any = field(init=False, repr=False, compare=False)
    _outer: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        block = self._key.ljust(_BLOCK_BYTES, b"\0")
        object.__setattr__(self, "_inner", sha256(block.translate(_INNER_PAD) + _LABEL))
        object.__setattr__(self, "_outer", sha256(block.translate(_OUTER_PAD)))

    def reveal(self) -> bytes:
        """The 32 bytes, for the file that keeps them."""
        return self._key

    def next_mac(self, mac_before: bytes, seq: int, at_us: int, entry: Entry) -> bytes:
        """The MAC of entry number `seq`, behind the entry that has `mac_before`."""
        return self._mac(b"entry" + mac_before + _encoded(seq, at_us, entry))

    def next_link(self, before: Link, at_us: int, entry: Entry) -> Link:
        """The link of an entry that follows `before`."""
        seq = before.seq + 1
        return Link(seq, self.next_mac(before.mac, seq, at_us, entry))

    def start(self, link: Link) -> End:
        """The chain begins after this link."""
        return End(link, self._seal(b"start", link))

    def head(self, link: Link) -> End:
        """The chain ends with this link."""
        return End(link, self._seal(b"head", link))

    def _seal(self, end: bytes, link: Link) -> bytes:
        return self._mac(end + b"/" + link.spelled().encode())

    def _mac(self, content: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(content)
        outer.update(inner.digest())
        mac: bytes = outer.digest()
        return mac

    def check_start(self, end: End) -> None:
        """Raises JournalBroken unless it was sealed with this key, as a start."""
        self._check(self.start(end.link), end)

    def check_head(self, end: End) -> None:
        """Raises JournalBroken unless it was sealed with this key, as a head."""
        self._check(self.head(end.link), end)

    def check_next(self, before: Link, record: Record) -> Link:
        """The record's link. Raises JournalBroken unless it follows `before`."""
        if record.seq != before.seq + 1:
            raise JournalBroken(f"entry {before.seq + 1} is missing: entry {record.seq} follows entry {before.seq}")
        link = self.next_link(before, record.at_us, record.entry)
        if not hmac.compare_digest(link.mac, record.mac):
            raise JournalBroken(f"entry {record.seq} is not what was written there, or not in its place")
        return link

    def _check(self, made: End, found: End) -> None:
        if not hmac.compare_digest(made.seal, found.seal):
            raise JournalBroken("an end of the journal was not sealed with this key")


def _encoded(seq: int, at_us: int, entry: Entry) -> bytes:
    """No two entries have one encoding: what callers choose stands behind its length, or at the end."""
    event, client_id, timestamp_us, by, reason, redemption_id = entry
    last = "" if redemption_id is None else f" {redemption_id}"
    text = f"{seq} {at_us} {timestamp_us} {event} {reason} {len(client_id)} {client_id} {len(by)} {by}{last}"
    return text.encode()
