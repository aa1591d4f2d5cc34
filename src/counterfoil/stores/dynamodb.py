"""Counterfoils in a DynamoDB table: single-item conditional writes in one Region. It never decides on what it read.

One item a counterfoil, under a hash of client id and timestamp, so that a busy client is spread over all partitions. Every
write may be sent twice, each time with the time as it is then and under an id of its own that the item keeps: a condition
that fails brings the item as it stands (`ALL_OLD`), and the id in it tells a write of this call, whose first answer was
lost, from somebody else's.

`ttl` is a broom and nothing else: DynamoDB may delete days late, and every decision looks at `expires_at` itself.
The table keeps no limits per client: an exact account would cost a second write an issue (docs/decisions/0004). Nor does it
keep a chained journal, for the same reason: the item is the record of what became of its passcode, and every entry is a line
of the log `counterfoil.journal` before the answer leaves (docs/decisions/0013).
"""

import json
import logging
import secrets
import struct
from collections.abc import Awaitable
from hashlib import sha256
from typing import TypeVar

from counterfoil.aws.calls import DEADLINE_S, TRIES, WAITING_MAX_DEFAULT, AwsCalls, AwsUnavailable
from counterfoil.aws.client import AwsClient
from counterfoil.aws.json_protocol import Refusal
from counterfoil.aws.table import PARTITION_KEY, TTL_ATTRIBUTE, ConditionFailed, Item, Table, Value
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, accepted, issued
from counterfoil.model.limits import CLOCK_TOLERANCE_US, MICROSECONDS_PER_S, RETENTION_S_DEFAULT
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.measured import StoreMeasures
from counterfoil.ports.store import Inserted, Outcome, StoreUnavailable

_journal = logging.getLogger("counterfoil.journal")
# Whatever the level of the log: it is no chatter.
_journal.setLevel(logging.INFO)

R = TypeVar("R")

_WRITE_ID_BYTES = 8
_NOT_THERE = "attribute_not_exists(pk)"
# A counterfoil locks by its count reaching `locks_at`: one number that one update can move.
_LIVE = (
    "#state = :issued AND (attribute_not_exists(locks_at) OR attempts < locks_at)"
    " AND (attribute_not_exists(write_id) OR write_id <> :write_id)"
)
_JUDGEABLE = f"{_LIVE} AND attempts < :attempts_max AND expires_at_us > :now_us AND timestamp_us <= :stamped_max_us"
_STATE = {"#state": "state"}
_ISSUED: Item = {":issued": {"S": State.ISSUED.value}}


class DynamoDbStore:
    """The store contract over one table. `client` is one of DynamoDB (see `counterfoil.aws.client`)."""

    def __init__(
        self,
        client: AwsClient,
        table: str,
        now_us: NowUs,
        *,
        retention_s: int = RETENTION_S_DEFAULT,
        waiting_max: int = WAITING_MAX_DEFAULT,
        deadline_s: float = DEADLINE_S,
        tries: int = TRIES,
        token_bytes: TokenBytes = secrets.token_bytes,
    ) -> None:
        self._now_us = now_us
        self._retention_us = retention_s * MICROSECONDS_PER_S
        self._calls = AwsCalls(client, waiting_max=waiting_max, deadline_s=deadline_s, tries=tries)
        self._table = Table(self._calls, table)
        self._token_bytes = token_bytes

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        if limits is not None:
            raise ValueError("a DynamoDB store keeps no limits per client")
        try:
            await self._told(self._table.put(self._item(counterfoil), _NOT_THERE))
        except ConditionFailed as failed:
            # A tag is drawn with its passcode: an item with mine was put by this call, whose first answer was lost.
            mine = failed.item is not None and failed.item["passcode_tag"]["B"] == counterfoil.passcode_tag
            if not mine:
                return "timestamp_taken"
        await self.record(issued(counterfoil))
        return "stored"

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        item = await self._told(self._table.read(_key(ref)))
        return None if item is None else _counterfoil(item)

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        return await self._change(
            ref,
            "SET #state = :redeemed, redemption_id = :id, redeemed_by = :by, redeemed_at_us = :now_us",
            _JUDGEABLE,
            {
                ":redeemed": {"S": State.REDEEMED.value},
                ":id": {"S": redemption.redemption_id},
                ":by": {"S": redemption.principal},
                ":attempts_max": {"N": str(attempts_max)},
            },
            accepted(ref, redemption),
            erases_seed_copy=True,
        )

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        return await self._change(
            ref,
            "SET attempts = attempts + :one, locks_at = :attempts_max",
            _JUDGEABLE,
            {":one": {"N": "1"}, ":attempts_max": {"N": str(attempts_max)}},
            entry,
        )

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        revoked: Item = {":revoked": {"S": State.REVOKED.value}}
        return await self._change(ref, "SET #state = :revoked", _LIVE, revoked, entry, erases_seed_copy=True)

    async def record(self, entry: Entry) -> None:
        _log_entry(self._now_us(), entry)

    async def check_ready(self) -> None:
        # A read of a key that no counterfoil has: it needs the table and the right to it, and changes nothing.
        await self._told(self._table.read({"B": b"ready?"}))

    def measures(self) -> StoreMeasures:
        """What `ports.measured` has of a store that others keep: its calls under way."""
        return StoreMeasures(lambda: self._calls.under_way, self._calls.waiting_max)

    async def close(self) -> None:
        self._calls.close()

    async def _change(
        self, ref: CounterfoilRef, update: str, condition: str, values: Item, entry: Entry, *, erases_seed_copy: bool = False
    ) -> Outcome:
        write_id: Value = {"B": self._token_bytes(_WRITE_ID_BYTES)}
        # The copy goes; `of_seed` stays, so that it is still known how the passcode was made.
        erasure = " REMOVE seed_copy" if erases_seed_copy else ""
        now_us = 0

        def bound() -> Item:
            # Read when it is sent, on the thread that sends it: not when it was asked for, nor when it was tried before.
            nonlocal now_us
            now_us = self._now_us()
            of_now: Item = {}
            if ":now_us" in update + condition:
                of_now = {":now_us": {"N": str(now_us)}, ":stamped_max_us": {"N": str(now_us + CLOCK_TOLERANCE_US)}}
            return {**values, **_ISSUED, ":write_id": write_id, **of_now}

        expression = f"{update}, write_id = :write_id{erasure}"
        try:
            changed = await self._told(
                self._table.update(_key(ref), expression, condition, names=_STATE, values=bound, leaves={"write_id": write_id})
            )
        except ConditionFailed as failed:
            if failed.item is None:
                return Outcome(False, None, now_us)
            if failed.item.get("write_id") != write_id:
                return Outcome(False, _counterfoil(failed.item), now_us)
            # This call's own write, whose first answer was lost.
            changed = failed.item
        _log_entry(now_us, entry)
        return Outcome(True, _counterfoil(changed), now_us)

    async def _told(self, asked: Awaitable[R]) -> R:
        """The answer, or the fault in the words of the port."""
        try:
            return await asked
        except AwsUnavailable as fault:
            raise StoreUnavailable(str(fault), retry_after_s=2 if fault.throttled else 1) from fault
        except Refusal as refusal:
            raise StoreUnavailable(f"the store refused the call: {refusal.code}") from refusal

    def _item(self, counterfoil: Counterfoil) -> Item:
        removable_at_s = -(-(counterfoil.expires_at_us + self._retention_us) // MICROSECONDS_PER_S)
        item: Item = {
            PARTITION_KEY: _key(counterfoil.ref),
            "client_id": {"S": counterfoil.client_id},
            "timestamp_us": {"N": str(counterfoil.timestamp_us)},
            "expires_at_us": {"N": str(counterfoil.expires_at_us)},
            "key_id": {"B": counterfoil.key_id},
            "passcode_tag": {"B": counterfoil.passcode_tag},
            "contexts_tag": {"B": counterfoil.contexts_tag},
            "transaction_tag": {"B": counterfoil.transaction_tag},
            "issuer_id": {"S": counterfoil.issuer_id},
            "state": {"S": State.ISSUED.value},
            "attempts": {"N": "0"},
            TTL_ATTRIBUTE: {"N": str(removable_at_s)},
        }
        if counterfoil.seed_copy is not None:
            item["of_seed"] = {"BOOL": True}
            item["seed_copy"] = {"B": counterfoil.seed_copy}
        if counterfoil.wrapped_key is not None:
            item["wrapped_key"] = {"B": counterfoil.wrapped_key}
        return item


def _log_entry(at_us: int, entry: Entry) -> None:
    _journal.info("%s", json.dumps({"at": at_us, **entry._asdict()}))


def _key(ref: CounterfoilRef) -> Value:
    client = ref.client_id.encode()
    return {"B": sha256(struct.pack(">I", len(client)) + client + struct.pack(">Q", ref.timestamp_us)).digest()}


def _counterfoil(item: Item) -> Counterfoil:
    attempts = int(item["attempts"]["N"])
    state = State(item["state"]["S"])
    if state is State.ISSUED and "locks_at" in item and attempts >= int(item["locks_at"]["N"]):
        state = State.LOCKED
    redeemed = "redemption_id" in item
    return Counterfoil(
        client_id=item["client_id"]["S"],
        timestamp_us=int(item["timestamp_us"]["N"]),
        expires_at_us=int(item["expires_at_us"]["N"]),
        key_id=item["key_id"]["B"],
        passcode_tag=item["passcode_tag"]["B"],
        contexts_tag=item["contexts_tag"]["B"],
        transaction_tag=item["transaction_tag"]["B"],
        issuer_id=item["issuer_id"]["S"],
        seed_copy=item.get("seed_copy", {"B": b""})["B"] if "of_seed" in item else None,
        wrapped_key=item["wrapped_key"]["B"] if "wrapped_key" in item else None,
        state=state,
        attempts=attempts,
        redemption=Redemption(item["redemption_id"]["S"], item["redeemed_by"]["S"]) if redeemed else None,
        redeemed_at_us=int(item["redeemed_at_us"]["N"]) if redeemed else None,
    )
