"""Revoking: withdraw a passcode before it is redeemed. It cannot undo a redemption.

An issuer withdraws for the clients that it covers; a validator for every client. Saying it twice is as good as once.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from counterfoil.core.sealing import OneUseKeys, Purpose, equal_tags
from counterfoil.model.canonical import Binding
from counterfoil.model.counterfoil import CounterfoilRef, State
from counterfoil.model.passcode import MalformedPasscode, parsed_passcode
from counterfoil.model.verdict import Reason, Refused
from counterfoil.ports.keys import KeyProvider
from counterfoil.ports.store import Store

Revoked: TypeAlias = Literal["revoked"]


@dataclass(frozen=True, slots=True)
class Revocation:
    """Withdraws passcodes, named by timestamp or by the passcode itself. Raises StoreUnavailable, KeysUnavailable."""

    store: Store
    keys: KeyProvider

    async def revoke(self, ref: CounterfoilRef, *, seed_only: bool = False) -> Revoked | Refused:
        """issued, expired or locked: it is dead now. Redeemed or not there: refused."""
        if seed_only:
            counterfoil = await self.store.find(ref)
            if counterfoil is None or counterfoil.seed_copy is None:
                return Refused(Reason.UNKNOWN_PASSCODE)
        outcome = await self.store.revoke(ref)
        if outcome.counterfoil is None:
            return Refused(Reason.UNKNOWN_PASSCODE)
        if outcome.counterfoil.state is State.REDEEMED:
            return Refused(Reason.ALREADY_REDEEMED)
        return "revoked"

    async def revoke_passcode(self, client_id: str, text: str) -> Revoked | Refused:
        """The same for whoever holds the passcode; a forged one withdraws nothing."""
        try:
            passcode = parsed_passcode(text)
        except MalformedPasscode:
            return Refused(Reason.MALFORMED_PASSCODE)
        key = await self.keys.opening_key(passcode.header.key_id)
        if key is None:
            return Refused(Reason.KEY_RETIRED)
        ref = CounterfoilRef(client_id, passcode.header.timestamp_us)
        counterfoil = await self.store.find(ref)
        keys = OneUseKeys(key.material, Purpose.PASSCODE, passcode.header.salt)
        nothing_else = Binding(client_id, None, None, None, None)
        if counterfoil is None:
            return Refused(Reason.UNKNOWN_PASSCODE)
        tag = keys.passcode_tag(passcode, nothing_else, counterfoil.issuer_id)
        if not equal_tags(tag, counterfoil.passcode_tag):
            return Refused(Reason.UNKNOWN_PASSCODE)
        return await self.revoke(ref)
