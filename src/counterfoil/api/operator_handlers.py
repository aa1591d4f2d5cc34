"""What operators look at: journal, refusals, keys, credentials, health. It changes, verifies and counts nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from counterfoil.api.handlers import Call
from counterfoil.api.http import Response, answer, problem
from counterfoil.api.journal_cursor import read_cursor, spelled_cursor
from counterfoil.api.looks import Looks
from counterfoil.api.operator_answers import counterfoil_now, credential_answer, health_check, journal_entry, refusals_answer
from counterfoil.api.query_parameters import read_choice, read_parameters, read_whole_number
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.identifiers import checked_client_id
from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import Event
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.passcode import MalformedPasscode, parsed_passcode
from counterfoil.model.verdict import Reason
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.credentials import Credentials, ListsCredentials
from counterfoil.ports.examination import Examination, Finding
from counterfoil.ports.journal_reader import JournalPage, JournalQuery, JournalReader, LastUses
from counterfoil.ports.keys import KeyProvider, KeysUnavailable, ListsKeys
from counterfoil.ports.store import Store, StoreUnavailable
from counterfoil.wire import operator_messages as wire
from counterfoil.wire.messages import given, read_body
from counterfoil.wire.problems import NOT_TOLD_HERE

LIMIT_DEFAULT = 100
LIMIT_MAX = 500
REFUSALS_BACK_US = 24 * 3600 * MICROSECONDS_PER_S
_TIME_RULE = "must be microseconds since the Unix epoch, in digits"
_LIMIT_RULE = f"must be 1 to {LIMIT_MAX}, in digits"
_NO_JOURNAL = "This service's store keeps no journal that can be read here."
_NO_KEY_LIST = "This service's key provider does not list its keys."
_NO_CREDENTIAL_LIST = "This service's callers are not listed here."
_QUERY = ("client_id", "timestamp", "event", "reason", "since", "until", "order", "limit", "cursor")


class Order(StrEnum):
    """Which entry comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class OperatorHandlers:
    """The handlers of one service. `journal` is None where it cannot be read here."""

    store: Store
    journal: JournalReader | None
    keys: KeyProvider
    credentials: Credentials
    examination: Examination
    looks: Looks
    now_us: NowUs
    key_rotation_us: int

    async def show_journal(self, call: Call) -> Response:
        parameters = read_parameters(call.request, optional=_QUERY)
        order = read_choice(parameters, "order", Order)
        query = JournalQuery(
            client_id=_client_id(parameters),
            timestamp_us=read_whole_number(parameters, "timestamp", _TIME_RULE),
            event=read_choice(parameters, "event", Event),
            reason=read_choice(parameters, "reason", Reason),
            since_us=read_whole_number(parameters, "since", _TIME_RULE),
            until_us=read_whole_number(parameters, "until", _TIME_RULE),
            is_newest_first=order is not Order.OLDEST,
        )
        limit = read_whole_number(parameters, "limit", _LIMIT_RULE, LIMIT_MAX)
        if limit == 0:
            raise Invalid("limit", _LIMIT_RULE)
        from_seq = _from_seq(parameters, query)
        journal = self.journal
        if journal is None:
            return problem(NOT_TOLD_HERE, call.request.request_id, _NO_JOURNAL)
        page = await self.looks.run(lambda: journal.page(query, limit or LIMIT_DEFAULT, from_seq))
        return answer(200, wire.JournalAnswer(*_told(query, page)))

    async def tell_passcode(self, call: Call) -> Response:
        body = read_body(call.request.body, wire.PasscodeStoryBody)
        client_id = checked_client_id(body.client_id)
        passcode, timestamp_us = given(body.passcode), given(body.timestamp)
        if (passcode is None) == (timestamp_us is None):
            raise Invalid("body", "must have exactly one of passcode and timestamp")
        journal = self.journal
        if journal is None:
            return problem(NOT_TOLD_HERE, call.request.request_id, _NO_JOURNAL)
        if passcode is not None:
            timestamp_us = _timestamp_us(passcode)
        if timestamp_us is None:
            return answer(200, wire.PasscodeStory(client_id, False, None, None, [], None, None, None))
        query = JournalQuery(client_id, timestamp_us, is_newest_first=False)
        page = await self.looks.run(lambda: journal.page(query, LIMIT_MAX, None))
        # Looked up after the journal, so that it is never behind what the entries tell.
        found = await self.store.find(CounterfoilRef(client_id, timestamp_us))
        now = None if found is None else counterfoil_now(found, self.now_us())
        return answer(200, wire.PasscodeStory(client_id, True, timestamp_us, now, *_told(query, page)))

    async def show_refusals(self, call: Call) -> Response:
        parameters = read_parameters(call.request, optional=("client_id", "since", "until", "cursor"))
        query = JournalQuery(
            client_id=_client_id(parameters),
            since_us=read_whole_number(parameters, "since", _TIME_RULE),
            until_us=read_whole_number(parameters, "until", _TIME_RULE),
        )
        from_seq = _from_seq(parameters, query)
        now_us = self.now_us()
        end_us = now_us if query.until_us is None else query.until_us
        since_us = max(0, end_us - REFUSALS_BACK_US) if query.since_us is None else query.since_us
        if since_us >= end_us:
            raise Invalid("since", "must be before until, or before now")
        journal = self.journal
        if journal is None:
            return problem(NOT_TOLD_HERE, call.request.request_id, _NO_JOURNAL)
        counts = await self.looks.run(lambda: journal.refusals(query._replace(since_us=since_us), now_us, from_seq))
        return answer(200, refusals_answer(counts, _to_next(query, counts.next_seq)))

    async def show_keys(self, call: Call) -> Response:
        read_parameters(call.request)
        if not isinstance(self.keys, ListsKeys):
            return problem(NOT_TOLD_HERE, call.request.request_id, _NO_KEY_LIST)
        found = await self.keys.listed()
        due_us = self.now_us() - self.key_rotation_us
        keys = [
            wire.KeyAnswer(
                key.key_id.hex(),
                key.state,
                key.created_at_us,
                key.state == "primary" and key.created_at_us < due_us and not found.rotates_itself,
            )
            for key in found.keys
        ]
        return answer(200, wire.KeysAnswer(found.epoch, keys, found.is_whole, found.rotates_itself))

    async def show_credentials(self, call: Call) -> Response:
        read_parameters(call.request)
        if not isinstance(self.credentials, ListsCredentials):
            return problem(NOT_TOLD_HERE, call.request.request_id, _NO_CREDENTIAL_LIST)
        found = self.credentials.listed()
        uses = LastUses({}, {}, None) if self.journal is None else await self.looks.run(self.journal.last_uses)
        credentials = [credential_answer(each, uses) for each in found]
        return answer(200, wire.CredentialsAnswer(credentials, uses.since_us))

    async def show_health(self, call: Call) -> Response:
        read_parameters(call.request)
        findings = [await self._service(), *await self.looks.run(self.examination)]
        return answer(200, wire.HealthChecksAnswer([health_check(each) for each in findings]))

    async def _service(self) -> Finding:
        """As `/readyz` asks it."""
        try:
            await self.keys.sealing_key()
            await self.store.check_ready()
        except (KeysUnavailable, StoreUnavailable) as fault:
            return Finding("service", "problem", str(fault), "see the service's log")
        return Finding("service", "ok", "has keys and takes writes")


def _client_id(parameters: Mapping[str, str]) -> str | None:
    client_id = parameters.get("client_id")
    return None if client_id is None else checked_client_id(client_id)


def _timestamp_us(passcode: str) -> int | None:
    """What the passcode says openly; None for what is none. Nothing is made of the rest of it."""
    try:
        return parsed_passcode(passcode).header.timestamp_us
    except MalformedPasscode:
        return None


def _from_seq(parameters: Mapping[str, str], query: JournalQuery) -> int | None:
    cursor = parameters.get("cursor")
    return None if cursor is None else read_cursor(query, cursor)


def _to_next(query: JournalQuery, next_seq: int | None) -> str | None:
    return None if next_seq is None else spelled_cursor(query, next_seq)


def _told(query: JournalQuery, page: JournalPage) -> tuple[list[wire.JournalEntry], str | None, int | None, int | None]:
    """Entries, where to look on, and what was passed: the fields that end every answer from the journal."""
    seen_from, seen_to = page.seen or (None, None)
    return [journal_entry(record) for record in page.records], _to_next(query, page.next_seq), seen_from, seen_to
