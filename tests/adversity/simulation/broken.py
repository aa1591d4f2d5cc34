"""Negative controls: one part of the service each, broken as such parts have been seen broken. Each must be caught."""

from collections.abc import Mapping

from msgspec.structs import replace

from counterfoil.core.validate import Validation, ValidationRequest
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.limits import ATTEMPTS_MAX, MICROSECONDS_PER_S
from counterfoil.model.passcode import MalformedPasscode, parsed_passcode
from counterfoil.model.principal import Principal
from counterfoil.model.verdict import Accepted, Reason, Refused, Verdict
from counterfoil.ports.keys import DataKey
from counterfoil.stores.memory import MemoryStore
from tests.adversity.simulation.broken_stores import (
    CountsAfterTheAnswer,
    CountsNothing,
    DecidesByArrival,
    ExpiresTooEarly,
    ForgetsExpiry,
    ForgetsTheLastWrite,
    ReadsThenWrites,
    RecordsNothing,
    RevokesAnything,
)
from tests.adversity.simulation.parts import SimulatedKeys, pause
from tests.adversity.simulation.plan import Site
from tests.adversity.simulation.variant import Variant


class _TakesAnybodysId(Validation):
    """Compares redemption ids alone, not whose they are."""

    async def validate(self, request: ValidationRequest, validator: Principal) -> Verdict:
        return await super().validate(request, Principal("anybody", validator.credential_id, validator.role))


class _RedeemsBeforeItVerifies(Validation):
    """Takes the passcode out of circulation first, and then looks whether it fits."""

    async def validate(self, request: ValidationRequest, validator: Principal) -> Verdict:
        try:
            header = parsed_passcode(request.passcode).header
        except MalformedPasscode:
            return Refused(Reason.MALFORMED_PASSCODE)
        redemption = Redemption(request.redemption_id, validator.name)
        outcome = await self.store.redeem(CounterfoilRef(request.client_id, header.timestamp_us), redemption, ATTEMPTS_MAX)
        verdict = await super().validate(request, validator)
        return replace(verdict, replayed=False) if outcome.applied and isinstance(verdict, Accepted) else verdict


class _TrimsPasscodes(Validation):
    """Takes a passcode with spaces around it."""

    async def validate(self, request: ValidationRequest, validator: Principal) -> Verdict:
        return await super().validate(replace(request, passcode=request.passcode.strip()), validator)


class _IgnoresTheTransaction(Validation):
    """Judges a wrong transaction as if it were the right one."""

    async def validate(self, request: ValidationRequest, validator: Principal) -> Verdict:
        verdict = await super().validate(request, validator)
        if verdict != Refused(Reason.TRANSACTION_MISMATCH):
            return verdict
        return Accepted(request.client_id, 1, 2, 1, request.redemption_id, replayed=False)


class _ForgetsTheEpoch(SimulatedKeys):
    """Goes on opening what was sealed before the store was restored."""

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        await pause(Site.KEYS)
        for record in self.keyset.records:
            if record.key_id == key_id and record.material is not None:
                return DataKey(key_id, record.material)
        return None


def _swept_early(counterfoil: Counterfoil, now_us: int) -> bool:
    return counterfoil.timestamp_us + MICROSECONDS_PER_S // 10 <= now_us


def _forget(store: MemoryStore) -> None:
    assert isinstance(store, ForgetsTheLastWrite)
    store.forget()


BROKEN: Mapping[str, Variant] = {
    "reads, then writes": Variant(store=ReadsThenWrites),
    "forgets the last write in a crash": Variant(store=ForgetsTheLastWrite, on_crash=_forget),
    "leaves expiry out of the condition": Variant(store=ForgetsExpiry),
    "expires a microsecond early": Variant(store=ExpiresTooEarly),
    "decides by the clock at arrival": Variant(store=DecidesByArrival),
    "counts no failure": Variant(store=CountsNothing),
    "counts failures after the answer": Variant(store=CountsAfterTheAnswer),
    "revokes what is redeemed": Variant(store=RevokesAnything),
    "takes anybody's redemption id": Variant(validation=_TakesAnybodysId),
    "redeems before it verifies": Variant(validation=_RedeemsBeforeItVerifies),
    "trims passcodes": Variant(validation=_TrimsPasscodes),
    "ignores the transaction": Variant(validation=_IgnoresTheTransaction),
    "forgets the epoch": Variant(keys=_ForgetsTheEpoch),
    "records no refusal": Variant(store=RecordsNothing),
    "sweeps before expiry": Variant(may_sweep=_swept_early),
}
"""Each under what it does."""
