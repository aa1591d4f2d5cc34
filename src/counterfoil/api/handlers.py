"""What each `/v1` route does: from a body to a core verb, from its result to an answer. No rule of the protocol is here."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from counterfoil.api.http import Request, Response, answer, no_content, problem, refusal
from counterfoil.api.observing import Observer
from counterfoil.core.context_sealing import ContextSealing
from counterfoil.core.issue import Issuance, IssueRequest
from counterfoil.core.revoke import Revocation
from counterfoil.core.validate import Validation, ValidationRequest
from counterfoil.model.context import checked_context
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.identifiers import checked_client_id, checked_redemption_id
from counterfoil.model.invalid import Invalid
from counterfoil.model.principal import Principal
from counterfoil.model.usage import LimitReached
from counterfoil.model.verdict import Refused
from counterfoil.wire import messages as wire
from counterfoil.wire.problems import FORBIDDEN, LIMIT_REACHED, PASSCODE_REFUSED


class Call(msgspec.Struct, frozen=True, gc=False):
    """An authenticated request."""

    request: Request
    caller: Principal


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of one service."""

    issuance: Issuance
    validation: Validation
    revocation: Revocation
    context_sealing: ContextSealing
    observer: Observer

    async def issue(self, call: Call) -> Response:
        body = wire.read_body(call.request.body, wire.IssueBody)
        client_id = checked_client_id(body.client_id)
        if not call.caller.covers(client_id):
            return problem(FORBIDDEN, call.request.request_id)
        asked = IssueRequest(
            client_id=client_id,
            context=wire.read_context(body.context),
            sealed_context=wire.given(body.sealed_context),
            transaction_digest=wire.read_digest(body.transaction, body.transaction_digest),
            lifetime_s=wire.given(body.lifetime_s),
        )
        issued = await self.issuance.issue(asked, call.caller)
        if isinstance(issued, LimitReached):
            return limit_reached(call, issued)
        return answer(201, wire.IssuedAnswer(issued.client_id, issued.timestamp_us, issued.expires_at_us, issued.passcode))

    async def validate(self, call: Call) -> Response:
        body = wire.read_body(call.request.body, wire.ValidateBody)
        asked = ValidationRequest(
            client_id=checked_client_id(body.client_id),
            passcode=body.passcode,
            redemption_id=redemption_id(call.request),
            context=wire.read_context(body.context),
            sealed_pairs=wire.read_context(body.sealed_pairs, "sealed_pairs"),
            transaction_digest=wire.read_digest(body.transaction, body.transaction_digest),
            timestamp_us=wire.given(body.timestamp),
        )
        verdict = await self.validation.validate(asked, call.caller)
        if isinstance(verdict, Refused):
            return self.refused(call, verdict)
        return answer(
            200,
            wire.AcceptedAnswer(
                verdict.client_id,
                verdict.timestamp_us,
                verdict.redeemed_at_us,
                verdict.redemption_id,
                verdict.replayed,
            ),
        )

    async def revoke(self, call: Call) -> Response:
        body = wire.read_body(call.request.body, wire.RevokeBody)
        client_id = checked_client_id(body.client_id)
        passcode, timestamp_us = wire.given(body.passcode), wire.given(body.timestamp)
        if (passcode is None) == (timestamp_us is None):
            raise Invalid("body", "must have exactly one of passcode and timestamp")
        if not call.caller.covers(client_id):
            return problem(FORBIDDEN, call.request.request_id)
        if passcode is not None:
            outcome = await self.revocation.revoke_passcode(client_id, passcode, call.caller)
        else:
            assert timestamp_us is not None
            outcome = await self.revocation.revoke(CounterfoilRef(client_id, timestamp_us), call.caller)
        return self.refused(call, outcome) if isinstance(outcome, Refused) else no_content()

    async def seal_context(self, call: Call) -> Response:
        body = wire.read_body(call.request.body, wire.SealContextBody)
        pairs = checked_context(body.sealed_pairs, "sealed_pairs")
        sealed = await self.context_sealing.sealed(checked_client_id(body.client_id), pairs, wire.given(body.lifetime_s))
        return answer(200, wire.SealedContextAnswer(sealed.client_id, sealed.sealed_context, sealed.expires_at_us))

    def refused(self, call: Call, refused: Refused) -> Response:
        """The one answer for every refusal; only its `reason` differs."""
        self.observer.refused(refused.reason)
        return refusal(PASSCODE_REFUSED, call.request.request_id, refused.reason)


def limit_reached(call: Call, reached: LimitReached) -> Response:
    """429, and when to come again."""
    wait = str(reached.retry_after_s).encode()
    return problem(LIMIT_REACHED, call.request.request_id, reached.rule, ((b"retry-after", wait),))


def redemption_id(request: Request) -> str:
    """The caller's `Idempotency-Key`, or a fresh id for who cannot ask again anyway. Raises Invalid."""
    given = request.headers.get(b"idempotency-key")
    return secrets.token_urlsafe(16) if given is None else checked_redemption_id(given.decode("latin-1"))
