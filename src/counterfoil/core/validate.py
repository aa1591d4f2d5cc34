"""Validating: fit the passcode to its counterfoil and redeem it, once. A fault is an exception, never a verdict.

1. A string that is not spelled as a passcode is `malformed_passcode`.
2. A key that is gone, or of an earlier epoch, is `key_retired`.
3. No counterfoil, or one with another passcode's tag, is `unknown_passcode`; it costs nothing.
4. to 8. are the judgement's; what it says to write is written, and if somebody else was first, it judges again.

Whatever the verdict, it is in the journal before it is told: with the write that made it, or by itself.
"""

from dataclasses import dataclass, field

from msgspec import Struct

from counterfoil.core.judgement import CountMismatch, Presentation, Redeem, accepted, judge
from counterfoil.core.key_context import key_context
from counterfoil.core.sealing import Purpose, equal_tags, sealing_under
from counterfoil.core.seed_copy import opened_copy
from counterfoil.model.canonical import NO_SERVICE_CONTEXT, Binding
from counterfoil.model.context import Context
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.discreet import Discreet
from counterfoil.model.journal import Entry, Event
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.passcode import MalformedPasscode, Passcode, parsed_passcode
from counterfoil.model.principal import Principal
from counterfoil.model.verdict import Accepted, Reason, Refused, Verdict
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.credentials import Credentials
from counterfoil.ports.keys import DataKey, KeyProvider, KeysUnavailable, OwnKeys
from counterfoil.ports.store import Store, StoreUnavailable

# A write that is not applied finds the counterfoil changed for good (no state leads back), so two rounds suffice.
_JUDGEMENTS_MAX = 4


class ValidationRequest(Discreet, frozen=True, gc=False):
    """What the backend presents. `timestamp_us`, when given, must be the passcode's own."""

    client_id: str
    passcode: str
    redemption_id: str
    context: Context | None = None
    sealed_pairs: Context | None = None
    transaction_digest: bytes | None = None
    timestamp_us: int | None = None


class SeedValidationRequest(Discreet, frozen=True, gc=False):
    """What the seed's `validateOtp` presents: the names of a counterfoil and, optionally, its passcode."""

    client_id: str
    timestamp_us: int
    redemption_id: str
    context: Context | None = None
    passcode: str | None = None


class SeedAccepted(Discreet, frozen=True, gc=False):
    """An acceptance with the OTP's 16 bytes, which the seed-compatible API returns."""

    accepted: Accepted
    otp: bytes


@dataclass(frozen=True, slots=True)
class Validation:
    """Validates passcodes under one deployment's keys, store and settings."""

    store: Store
    keys: KeyProvider
    credentials: Credentials
    now_us: NowUs
    service_context: bytes = field(default=NO_SERVICE_CONTEXT, repr=False)
    own_keys: OwnKeys | None = None

    async def validate(self, request: ValidationRequest, validator: Principal) -> Verdict:
        """The verdict. Raises StoreUnavailable, KeysUnavailable, CredentialsUnavailable and ClockDisagrees: unknown."""
        binding = Binding.of(
            client_id=request.client_id,
            context=request.context,
            service_context=self.service_context,
            sealed_pairs=request.sealed_pairs,
            transaction_digest=request.transaction_digest,
        )
        passcode = _parsed(request.passcode)
        asked = _Asked.of(request, passcode, validator)
        fitted = await self._fitted_passcode(passcode, binding)
        return await self._verdict(fitted, asked, request.timestamp_us)

    async def validate_seed(self, request: SeedValidationRequest, validator: Principal) -> SeedAccepted | Refused:
        """The verdict on a passcode made by `generateOtp`, presented or only named, and its OTP. Raises like `validate`."""
        binding = Binding.of(request.client_id, request.context, self.service_context, None, None)
        if request.passcode is None:
            passcode = None
            fitted = await self._fitted_seed_copy(CounterfoilRef(request.client_id, request.timestamp_us), binding)
        else:
            passcode = _parsed(request.passcode)
            fitted = await self._fitted_passcode(passcode, binding)
        if isinstance(fitted, _Fitted) and fitted.counterfoil.seed_copy is None:
            fitted = Refused(Reason.UNKNOWN_PASSCODE)
        verdict = await self._verdict(fitted, _Asked.of(request, passcode, validator), request.timestamp_us)
        if isinstance(verdict, Refused):
            return verdict
        assert isinstance(fitted, _Fitted)
        assert fitted.otp is not None
        return SeedAccepted(verdict, fitted.otp)

    async def _fitted_passcode(self, passcode: Passcode | None, binding: Binding) -> "_Fitted | Refused":
        """Steps 1 to 3, then both halves held together."""
        if passcode is None:
            return Refused(Reason.MALFORMED_PASSCODE)
        header = passcode.header
        key = await self.keys.opening_key(header.key_id)
        if key is None:
            return Refused(Reason.KEY_RETIRED)
        counterfoil = await self.store.find(CounterfoilRef(binding.client_id, header.timestamp_us))
        # The expiry that counts is the passcode's own, which is sealed; a row that says another has been written to.
        if counterfoil is None or counterfoil.expires_at_us != header.expires_at_us:
            return Refused(Reason.UNKNOWN_PASSCODE)
        sealing = sealing_under(key)
        tag = sealing.passcode_tag(passcode, binding, counterfoil.issuer_id)
        if not equal_tags(tag, counterfoil.passcode_tag):
            return Refused(Reason.UNKNOWN_PASSCODE)
        wrapped = counterfoil.wrapped_key
        own_key = None if wrapped is None else await self._own_key(wrapped, counterfoil.timestamp_us, key, binding)
        bound = binding.encoded(header.encoded)
        otp = sealing.unseal(Purpose.PASSCODE, header.salt, passcode.sealed_otp, bound, own_key)
        if otp is not None:
            return _Fitted(counterfoil, None, otp)
        # The seal says that something is not what it was; the tags only say what.
        if equal_tags(sealing.contexts_tag(header, binding), counterfoil.contexts_tag):
            return _Fitted(counterfoil, Reason.TRANSACTION_MISMATCH, None)
        return _Fitted(counterfoil, Reason.CONTEXT_MISMATCH, None)

    async def _fitted_seed_copy(self, ref: CounterfoilRef, binding: Binding) -> "_Fitted | Refused":
        """Steps 2 and 3 where no passcode is presented: the kept copy of the OTP takes its place."""
        counterfoil = await self.store.find(ref)
        if counterfoil is None or counterfoil.seed_copy is None:
            return Refused(Reason.UNKNOWN_PASSCODE)
        key = await self.keys.opening_key(counterfoil.key_id)
        if key is None:
            return Refused(Reason.KEY_RETIRED)
        otp = None
        if counterfoil.seed_copy:
            wrapped = counterfoil.wrapped_key
            own_key = None if wrapped is None else await self._own_key(wrapped, counterfoil.timestamp_us, key, binding)
            otp = opened_copy(counterfoil.seed_copy, key, own_key, counterfoil.expires_at_us, binding)
        # Whoever names a passcode without holding it guesses at no secret, and must not be able to lock it.
        return _Fitted(counterfoil, None if otp is not None else Reason.CONTEXT_MISMATCH, otp, counts=False)

    async def _own_key(self, wrapped: bytes, timestamp_us: int, key: DataKey, binding: Binding) -> bytes | None:
        """The passcode's own key, in strict mode; None under another context, and then nothing unseals."""
        if self.own_keys is None:
            raise KeysUnavailable("this passcode was issued in strict mode, and no managed key is set up")
        return await self.own_keys.opened(wrapped, key_context(key.material, timestamp_us, binding))

    async def _verdict(self, fitted: "_Fitted | Refused", asked: "_Asked", timestamp_us: int | None) -> Verdict:
        """Steps 4 to 8: judge, write, and judge again when somebody else's write came first.

        `timestamp_us` is the passcode's by the caller's word, if there is one.
        """
        if isinstance(fitted, Refused):
            return await self._recorded(fitted, asked)
        counterfoil = fitted.counterfoil
        now_us = self.now_us()
        presented = Presentation(
            asked.redemption,
            fitted.misfit_at(timestamp_us),
            await self.credentials.passcodes_are_revoked(counterfoil.issuer_id),
        )
        for _ in range(_JUDGEMENTS_MAX):
            step = judge(counterfoil, presented, now_us)
            if isinstance(step, CountMismatch) and not fitted.counts:
                step = Refused(step.reason)
            if isinstance(step, Redeem):
                outcome = await self.store.redeem(counterfoil.ref, asked.redemption, ATTEMPTS_MAX)
            elif isinstance(step, CountMismatch):
                entry = asked.entry(Refused(step.reason))
                outcome = await self.store.count_mismatch(counterfoil.ref, ATTEMPTS_MAX, entry)
            else:
                return await self._recorded(step, asked)
            if outcome.counterfoil is None:
                return await self._recorded(Refused(Reason.UNKNOWN_PASSCODE), asked)
            if outcome.applied:
                # In the journal with the write that made it.
                if isinstance(step, CountMismatch):
                    return Refused(step.reason)
                return accepted(outcome.counterfoil, replayed=False)
            counterfoil, now_us = outcome.counterfoil, outcome.now_us
        raise StoreUnavailable("the counterfoil kept changing while it was judged")

    async def _recorded(self, verdict: Verdict, asked: "_Asked") -> Verdict:
        """The same verdict, once it is in the journal by itself: no write made it."""
        await self.store.record(asked.entry(verdict))
        return verdict


class _Asked(Struct, frozen=True, gc=False):
    """Who asks about which passcode, as the journal tells it."""

    client_id: str
    timestamp_us: int | None
    redemption: Redemption

    @classmethod
    def of(
        cls, request: ValidationRequest | SeedValidationRequest, passcode: Passcode | None, validator: Principal
    ) -> "_Asked":
        """The passcode's own timestamp, if it can be read; otherwise what the caller says it is."""
        timestamp_us = request.timestamp_us if passcode is None else passcode.header.timestamp_us
        return cls(request.client_id, timestamp_us, Redemption(request.redemption_id, validator.name))

    def entry(self, verdict: Verdict) -> Entry:
        """The journal's entry of a refusal, or of an acceptance told again; the acceptance itself is the store's to tell."""
        event, reason = (Event.REFUSED, verdict.reason) if isinstance(verdict, Refused) else (Event.REPLAYED, None)
        by, redemption_id = self.redemption.principal, self.redemption.redemption_id
        return Entry(event, self.client_id, self.timestamp_us, by, reason, redemption_id)


class _Fitted(Discreet, frozen=True, gc=False):
    """A counterfoil whose other half was presented, and whether the two fit."""

    counterfoil: Counterfoil
    misfit: Reason | None
    otp: bytes | None
    counts: bool = True
    """Whether a misfit costs an attempt: only of who presented the passcode."""

    def misfit_at(self, timestamp_us: int | None) -> Reason | None:
        """What does not fit, held also against the timestamp that the caller says it belongs to, if it says one."""
        if self.misfit is None and timestamp_us not in (None, self.counterfoil.timestamp_us):
            return Reason.TIMESTAMP_MISMATCH
        return self.misfit


def _parsed(text: str) -> Passcode | None:
    """None for what is not spelled as a passcode."""
    try:
        return parsed_passcode(text)
    except MalformedPasscode:
        return None
