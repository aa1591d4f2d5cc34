"""The journal: what was decided, entry by entry, in a chain that only who holds its key can write. Pure; no I/O, no clock.

Each entry's MAC is keyed and covers the MAC before it, so an entry that is changed, removed, inserted or moved breaks the
chain there. The two ends are sealed under labels of their own: the start (what comes before was removed by retention) and the
head (nothing comes after), so that cutting either end shows too. What no chain can show is that the whole file is an older
copy; a checkpoint, which is an entry's number and MAC kept elsewhere, shows that.

An entry holds who and when, the verdict and the redemption id. It never holds a passcode, a context or a transaction.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.invalid import Invalid
from counterfoil.model.verdict import Reason

JOURNAL_KEY_BYTES = 32
MAC_BYTES = 32
_ENTRY_LABEL = b"counterfoil/journal/v1/entry"


class Event(StrEnum):
    """What an entry tells of. A revocation or an acceptance that is asked for again is told again."""

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
    """Who asked: the id of the issuing credential (a revocation with passcodes names it), else the credential's name."""
    reason: Reason | None = None
    redemption_id: str | None = None


def issued(counterfoil: Counterfoil) -> Entry:
    """The entry of a counterfoil that is kept now."""
    return Entry(Event.ISSUED, counterfoil.client_id, counterfoil.timestamp_us, counterfoil.issuer_id)


def accepted(ref: CounterfoilRef, redemption: Redemption) -> Entry:
    """The entry of a passcode that is redeemed now."""
    return Entry(Event.ACCEPTED, ref.client_id, ref.timestamp_us, redemption.principal, None, redemption.redemption_id)


class Link(NamedTuple):
    """A place in the chain: an entry's number and MAC. Number 0 comes before the first entry, and its MAC is random."""

    seq: int
    mac: bytes

    def spelled(self) -> str:
        """As a checkpoint that can be kept elsewhere: `NUMBER:MAC`."""
        return f"{self.seq}:{self.mac.hex()}"


def parsed_checkpoint(text: str) -> Link:
    """The link that `spelled` wrote. Raises Invalid."""
    seq, _, mac = text.partition(":")
    try:
        link = Link(int(seq), bytes.fromhex(mac))
    except ValueError:
        link = Link(0, b"")
    if link.spelled() != text or len(link.mac) != MAC_BYTES:
        raise Invalid("checkpoint", "must be NUMBER:MAC, as `journal verify` prints it")
    return link


class Record(NamedTuple):
    """An entry in its place. `at_us` is the clock of the step that decided."""

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

    def reveal(self) -> bytes:
        """The 32 bytes, for the file that keeps them."""
        return self._key

    def next_link(self, before: Link, at_us: int, entry: Entry) -> Link:
        """The link of an entry that follows `before`."""
        seq = before.seq + 1
        return Link(seq, hmac.digest(self._key, _ENTRY_LABEL + before.mac + _encoded(seq, at_us, entry), "sha256"))

    def start(self, link: Link) -> End:
        """The chain begins after this link."""
        return End(link, self._seal(b"start", link))

    def head(self, link: Link) -> End:
        """The chain ends with this link."""
        return End(link, self._seal(b"head", link))

    def _seal(self, end: bytes, link: Link) -> bytes:
        content = b"counterfoil/journal/v1/" + end + b"/" + link.spelled().encode()
        return hmac.digest(self._key, content, "sha256")

    def sealed_both(self, start: End, head: End) -> bool:
        """Whether both ends were sealed with this key."""
        seals = (self.start(start.link).seal, start.seal), (self.head(head.link).seal, head.seal)
        return all(hmac.compare_digest(made, found) for made, found in seals)


class JournalBroken(Exception):
    """The journal is not what was written. The message says where it breaks, and quotes no entry."""


def verify(key: JournalKey, start: End, records: Iterable[Record], head: End, checkpoint: Link | None = None) -> int:
    """How many entries there are, every one as it was written. Raises JournalBroken.

    1. Both ends were sealed with the key. 2. Every entry follows the one before it. 3. The last one is the head.
    4. The checkpoint, when given, is one of the links.
    """
    if not key.sealed_both(start, head):
        raise JournalBroken("an end of the journal is not sealed with this key")
    link, is_checkpoint_seen = start.link, checkpoint in (None, start.link)
    for record in records:
        if record.seq != link.seq + 1:
            raise JournalBroken(f"entry {link.seq + 1} is missing: entry {record.seq} follows entry {link.seq}")
        made = key.next_link(link, record.at_us, record.entry)
        if not hmac.compare_digest(made.mac, record.mac):
            raise JournalBroken(f"entry {record.seq} is not what was written there, or not in its place")
        link = made
        is_checkpoint_seen = is_checkpoint_seen or link == checkpoint
    if link != head.link:
        raise JournalBroken(f"the journal ends with entry {link.seq}, and was written up to entry {head.link.seq}")
    if not is_checkpoint_seen:
        assert checkpoint is not None
        if checkpoint.seq < start.link.seq:
            raise JournalBroken(
                "the checkpoint lies before what is kept: verify the export that holds it, and keep a newer one"
            )
        raise JournalBroken(
            f"the checkpoint is not in this journal, which has {head.link.seq} entries: it is another one, or older"
        )
    return link.seq - start.link.seq


def _encoded(seq: int, at_us: int, entry: Entry) -> bytes:
    """No two entries have one encoding: what callers choose stands behind its length, or at the end."""
    event, client_id, timestamp_us, by, reason, redemption_id = entry
    by_whom = f"{len(client_id)} {client_id} {len(by)} {by}"
    last = "" if redemption_id is None else f" {redemption_id}"
    return f"{seq} {at_us} {timestamp_us} {event} {reason} {by_whom}{last}".encode()
