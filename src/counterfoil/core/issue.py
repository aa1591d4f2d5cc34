"""Issuing: draw a passcode, bind it, keep its counterfoil, then hand it out. It never stores the passcode.

1. Open the sealed context, when one is given.
2. Draw salt and OTP; stamp the time.
3. Seal the OTP, bound to everything.
4. Keep the counterfoil, durably, within the client's limits. A taken timestamp takes the next microsecond, from 2.
5. Only then answer.
"""

from dataclasses import dataclass, field

from counterfoil.core.context_sealing import ContextSealing
from counterfoil.core.key_context import key_context
from counterfoil.core.sealing import Purpose, sealing_under
from counterfoil.core.seed_copy import sealed_copy
from counterfoil.model.canonical import NO_SERVICE_CONTEXT, Binding
from counterfoil.model.context import Context
from counterfoil.model.counterfoil import Counterfoil
from counterfoil.model.discreet import Discreet
from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import (
    LIFETIME_S_DEFAULT,
    LIFETIME_S_MAX,
    LIFETIME_S_MIN,
    OTP_BYTES,
    SALT_BYTES,
)
from counterfoil.model.passcode import Header, Passcode
from counterfoil.model.principal import Principal
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.keys import DataKey, KeyProvider, OwnKey, OwnKeys
from counterfoil.ports.store import Store, StoreUnavailable

# Each try is one write; a client that issues this many passcodes in as many microseconds is not real.
_TIMESTAMP_TRIES = 1000


class IssueRequest(Discreet, frozen=True, gc=False):
    """What the client application asks for. `lifetime_s=None` takes the default."""

    client_id: str
    context: Context | None = None
    sealed_context: str | None = None
    transaction_digest: bytes | None = None
    lifetime_s: int | None = None


class Issued(Discreet, frozen=True, gc=False):
    """What the client application gets; `passcode` travels with the transaction."""

    client_id: str
    timestamp_us: int
    expires_at_us: int
    passcode: str


@dataclass(frozen=True, slots=True)
class Issuance:
    """Issues passcodes under one deployment's keys, store and settings."""

    store: Store
    keys: KeyProvider
    context_sealing: ContextSealing
    now_us: NowUs
    token_bytes: TokenBytes
    service_context: bytes = field(default=NO_SERVICE_CONTEXT, repr=False)
    limits: IssueLimits | None = None
    own_keys: OwnKeys | None = None
    """Strict mode, when given: every passcode has a key of its own from the managed key."""
    lifetime_default_s: int = LIFETIME_S_DEFAULT
    lifetime_max_s: int = LIFETIME_S_MAX

    async def issue(self, request: IssueRequest, issuer: Principal, *, with_seed_copy: bool = False) -> Issued | LimitReached:
        """A fresh passcode, or which limit forbids it.

        Raises Invalid (a lifetime out of bounds, a refused sealed context), StoreUnavailable and KeysUnavailable.
        After a fault a counterfoil may exist whose passcode nobody has: harmless, it dies by itself.
        """
        lifetime_s = self._checked_lifetime(request.lifetime_s)
        # Before the sealed context is opened: on a new deployment, asking is what makes the first key to seal one with.
        key = await self.keys.sealing_key()
        sealed = request.sealed_context
        binding = Binding.of(
            client_id=request.client_id,
            context=request.context,
            service_context=self.service_context,
            sealed_pairs=None if sealed is None else await self.context_sealing.opened(sealed, request.client_id),
            transaction_digest=request.transaction_digest,
        )
        timestamp_us = self.now_us()
        for later_us in range(_TIMESTAMP_TRIES):
            # A new salt for every try: the same one under another timestamp would use a key twice.
            drawn = self.token_bytes(SALT_BYTES + OTP_BYTES)
            salt, otp = drawn[:SALT_BYTES], drawn[SALT_BYTES:]
            header = Header.of(key.key_id, timestamp_us + later_us, lifetime_s, salt)
            own_key = None
            if self.own_keys is not None:
                own_key = await self.own_keys.fresh(key_context(key.material, header.timestamp_us, binding))
            passcode, counterfoil = self._made(key, own_key, header, otp, binding, issuer, with_seed_copy)
            stored = await self.store.insert(counterfoil, self.limits)
            if stored == "stored":
                return Issued(request.client_id, counterfoil.timestamp_us, counterfoil.expires_at_us, passcode.reveal())
            if isinstance(stored, LimitReached):
                return stored
        raise StoreUnavailable("no free timestamp for this client")

    def _checked_lifetime(self, lifetime_s: int | None) -> int:
        if lifetime_s is None:
            return self.lifetime_default_s
        if not LIFETIME_S_MIN <= lifetime_s <= self.lifetime_max_s:
            raise Invalid("lifetime_s", f"must be {LIFETIME_S_MIN} to {self.lifetime_max_s}")
        return lifetime_s

    def _made(
        self,
        key: DataKey,
        own_key: OwnKey | None,
        header: Header,
        otp: bytes,
        binding: Binding,
        issuer: Principal,
        with_seed_copy: bool,
    ) -> tuple[Passcode, Counterfoil]:
        own_material = None if own_key is None else own_key.material
        sealing = sealing_under(key)
        sealed = sealing.seal(Purpose.PASSCODE, header.salt, otp, binding.encoded(header.encoded), own_material)
        passcode = Passcode(header, sealed)
        tags = sealing.tags(passcode, binding, issuer.credential_id)
        counterfoil = Counterfoil(
            client_id=binding.client_id,
            timestamp_us=header.timestamp_us,
            expires_at_us=header.expires_at_us,
            key_id=key.key_id,
            passcode_tag=tags.passcode,
            contexts_tag=tags.contexts,
            transaction_tag=tags.transaction,
            issuer_id=issuer.credential_id,
            seed_copy=sealed_copy(otp, key, own_material, header, binding, self.token_bytes) if with_seed_copy else None,
            wrapped_key=None if own_key is None else own_key.wrapped,
        )
        return passcode, counterfoil
