"""Callers and the messages between them and the service: lost, late, twice, overtaken. It knows no store and no rule."""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from functools import partial

import msgspec

from counterfoil.api.http import Response
from counterfoil.model.limits import KEY_ID_BYTES
from counterfoil.model.verdict import Reason
from tests.adversity.simulation.history import NOBODY, History, IssuedPasscode, Kind, Operation, Told, Verdict
from tests.adversity.simulation.plan import Anchor, Call, Delivery, Fault
from tests.adversity.simulation.process import Execution, Happened, Process
from tests.adversity.simulation.requests import NOTHING_HELD, Held, request_of
from tests.adversity.simulation.scheduler import Scheduler
from tests.support.clock import START_US

# So long a caller waits for an answer before it asks again with the same redemption id.
_PATIENCE_US = 1_000_000
_TOLD = {201: Told.ISSUED, 204: Told.WITHDRAWN, 401: Told.UNAUTHENTICATED, 503: Told.UNKNOWN}
_decode = msgspec.json.Decoder().decode


class Calling:
    """A call that is being made: what is presented, how often it was tried, and when its answer is heard."""

    __slots__ = ("call", "heard_us", "held", "tried")

    def __init__(self, call: Call, held: Held) -> None:
        self.call = call
        self.held = held
        self.tried = 0
        self.heard_us: int | None = None
        """When an answer other than *unknown* reaches the caller; None while none is under way."""


class Network:
    """Starts each call at its time, carries its messages, and writes down what the service was asked and what it told."""

    def __init__(
        self,
        calls: Sequence[Call],
        processes: Sequence[Process],
        scheduler: Scheduler,
        history: History,
        happened: Happened,
    ) -> None:
        self._processes = processes
        self._scheduler = scheduler
        self._history = history
        self._happened = happened
        self.era = 0
        """How many times the store has been restored."""
        self._sent = 0
        self._newest_arrived: dict[str, int] = {}
        self._about: dict[int, list[Call]] = {}
        for call in calls:
            if call.kind is Kind.ISSUE:
                scheduler.at(START_US + call.offset_us, self._start, call, NOTHING_HELD)
            else:
                self._about.setdefault(call.passcode, []).append(call)

    def _start(self, call: Call, held: Held) -> None:
        self._history.calls += 1
        self._history.callers.add(call.caller)
        calling = Calling(call, held)
        if call.twin is not None:
            self._happened("duplicated request", call.caller)
            self._send(calling, call.twin)
        self._try(calling)

    def _try(self, calling: Calling) -> None:
        """Sends the next message, unless an answer was heard meanwhile; after the last one, nothing more is known."""
        if calling.heard_us is not None and calling.heard_us <= self._scheduler.now_us:
            return
        tries = calling.call.tries
        if calling.tried == len(tries):
            if calling.call.kind is Kind.ISSUE:
                self._hand_over(calling, NOTHING_HELD)
            return
        delivery = tries[calling.tried]
        if calling.tried:
            self._happened("retry with the same id", calling.call.caller)
        calling.tried += 1
        self._send(calling, delivery)
        if len(tries) > 1 or calling.call.kind is Kind.ISSUE:
            self._scheduler.after(_PATIENCE_US, self._try, calling)

    def _send(self, calling: Calling, delivery: Delivery) -> None:
        self._sent += 1
        if delivery.fault is Fault.LOST_REQUEST:
            self._happened(Fault.LOST_REQUEST, calling.call.caller)
            return
        if delivery.fault is Fault.LATE_REQUEST:
            self._happened(Fault.LATE_REQUEST, calling.call.caller)
        self._scheduler.after(delivery.travel_us, self._arrive, calling, delivery, self._sent)

    def _arrive(self, calling: Calling, delivery: Delivery, sent: int) -> None:
        call, held = calling.call, calling.held
        newest = self._newest_arrived.get(call.caller, 0)
        if sent < newest:
            self._happened("reordered requests", call.caller)
        self._newest_arrived[call.caller] = max(sent, newest)
        process = self._processes[delivery.process]
        if not process.up:
            return
        operation = Operation(
            call.kind,
            call.caller,
            held.number,
            self._scheduler.now_us,
            redemption_id=call.redemption_id,
            misfit=call.misfit,
            era=self.era,
            process=process.name,
        )
        self._history.operations.append(operation)
        process.begin(request_of(call, held), operation, delivery, partial(self._answer, calling))

    def _answer(self, calling: Calling, execution: Execution, response: Response) -> None:
        operation, delivery = execution.operation, execution.delivery
        operation.returned_us = self._scheduler.now_us
        operation.told = _told(response, operation)
        issued = self._issued(calling.call, operation, response) if operation.told is Told.ISSUED else None
        if delivery.fault is Fault.LOST_ANSWER:
            self._happened(Fault.LOST_ANSWER, calling.call.caller)
            return
        if delivery.fault is Fault.LATE_ANSWER:
            self._happened(Fault.LATE_ANSWER, calling.call.caller)
        if operation.told is Told.UNKNOWN or calling.heard_us is not None:
            return
        calling.heard_us = self._scheduler.now_us + delivery.back_us
        if calling.call.kind is Kind.ISSUE:
            self._scheduler.at(calling.heard_us, self._hand_over, calling, issued or NOTHING_HELD)

    def _issued(self, call: Call, operation: Operation, response: Response) -> Held:
        answer = _decode(response.body)
        assert call.terms is not None
        operation.passcode = len(self._history.passcodes)
        issued = IssuedPasscode(
            answer["timestamp"], answer["expires_at"], answer["client_id"], _key_id(answer["passcode"]), call.caller, operation
        )
        self._history.passcodes.append(issued)
        return Held(answer["passcode"], issued.timestamp_us, issued.expires_at_us, operation.passcode, call.terms)

    def _hand_over(self, calling: Calling, held: Held) -> None:
        """Whoever waits for the passcode has it now, or knows that there is none; the first answer counts."""
        for call in self._about.pop(calling.call.passcode, ()):
            at_us = self._scheduler.now_us + call.offset_us
            if call.anchor is Anchor.EXPIRY and held.number != NOBODY:
                process = self._processes[call.tries[0].process]
                at_us = held.expires_at_us - process.offset_us + call.offset_us
            self._scheduler.at(at_us, self._start, call, held)


def _told(response: Response, operation: Operation) -> Verdict:
    if response.status == 409:
        return Reason(_decode(response.body)["reason"])
    if response.status != 200:
        return _TOLD.get(response.status, Told.UNFORESEEN)
    answer = _decode(response.body)
    operation.redeemed_at_us = answer["redeemed_at"]
    if answer["redemption_id"] != operation.redemption_id:
        return Told.UNFORESEEN
    return Told.REPLAYED if answer["replayed"] else Told.ACCEPTED


def _key_id(text: str) -> bytes:
    return urlsafe_b64decode(text[4:12])[:KEY_ID_BYTES]
