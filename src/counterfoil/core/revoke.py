"""Revoking: withdraw a passcode before it is redeemed. It cannot undo a redemption.

An issuer withdraws for the clients that it covers; a validator for every client. Saying it twice is as good as once.
Whatever comes of it is in the journal before it is told.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from counterfoil.core.sealing import equal_tags, sealing_under
from counterfoil.model.canonical import NO_SERVICE_CONTEXT, Binding
from counterfoil.model.counterfoil import CounterfoilRef, State
from counterfoil.model.journal import Entry, Event
from counterfoil.model.passcode import MalformedPasscode, Passcode, parsed_passcode
from counterfoil.model.principal import Principal
from counterfoil.model.verdict import Reason, Refused
from counterfoil.ports.keys import KeyProvider
from counterfoil.ports.store import Store

Revoked: TypeAlias = Literal["revoked"]


@dataclass(frozen=True, slots=True)
class Revocation:
    """Withdraws passcodes, named by timestamp or by the passcode itself. Raises StoreUnavailable, KeysUnavailable."""

    store: Store
    keys: KeyProvider

    async def revoke(self, ref: CounterfoilRef, by: Principal, *, seed_only: bool = False) -> Revoked | Refused:
        """issued, expired or locked: it is dead now. Redeemed or not there: refused."""
        if seed_only:
            counterfoil = await self.store.find(ref)
            if counterfoil is None or counterfoil.seed_copy is None:
                return await self._refused(Reason.UNKNOWN_PASSCODE, *ref, by)
        revoked = Entry(Event.REVOKED, *ref, by.name)
        outcome = await self.store.revoke(ref, revoked)
        if outcome.applied:
            return "revoked"
        if outcome.counterfoil is None:
            return await self._refused(Reason.UNKNOWN_PASSCODE, *ref, by)
        if outcome.counterfoil.state is State.REDEEMED:
            return await self._refused(Reason.ALREADY_REDEEMED, *ref, by)
        await self.store.record(revoked)
        return "revoked"

    async def revoke_passcode(self, client_id: str, text: str, by: Principal) -> Revoked | Refused:
        """The same for whoever holds the passcode; a forged one withdraws nothing."""
        try:
            passcode = parsed_passcode(text)
        except MalformedPasscode:
            return await self._refused(Reason.MALFORMED_PASSCODE, client_id, None, by)
        ref = CounterfoilRef(client_id, passcode.header.timestamp_us)
        misfit = await self._misfit(ref, passcode)
        return await self.revoke(ref, by) if misfit is None else await self._refused(misfit, *ref, by)

    async def _misfit(self, ref: CounterfoilRef, passcode: Passcode) -> Reason | None:
        """Why the passcode is not that counterfoil's other half; None when it is."""
        key = await self.keys.opening_key(passcode.header.key_id)
        if key is None:
            return Reason.KEY_RETIRED
        counterfoil = await self.store.find(ref)
        if counterfoil is None:
            return Reason.UNKNOWN_PASSCODE
        nothing_else = Binding.of(ref.client_id, None, NO_SERVICE_CONTEXT, None, None)
        tag = sealing_under(key).passcode_tag(passcode, nothing_else, counterfoil.issuer_id)
        return None if equal_tags(tag, counterfoil.passcode_tag) else Reason.UNKNOWN_PASSCODE

    async def _refused(self, reason: Reason, client_id: str, timestamp_us: int | None, by: Principal) -> Refused:
        await self.store.record(Entry(Event.REFUSED, client_id, timestamp_us, by.name, reason))
        return Refused(reason)
