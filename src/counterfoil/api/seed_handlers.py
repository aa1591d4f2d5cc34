"""The seed-compatible routes: the reference sample's names and query parameters, on the promises of this service.

Only for passcodes made by `generateOtp`. Query strings are read here and logged nowhere.
"""

from dataclasses import dataclass
from uuid import UUID

from counterfoil.api.handlers import Call, Handlers, limit_reached, redemption_id
from counterfoil.api.http import Response, answer, problem
from counterfoil.api.query_parameters import read_parameters, read_whole_number
from counterfoil.core.issue import IssueRequest
from counterfoil.core.validate import SeedValidationRequest
from counterfoil.model.context import Context, checked_context
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.identifiers import checked_client_id
from counterfoil.model.usage import LimitReached
from counterfoil.model.verdict import Refused
from counterfoil.wire.messages import SeedGenerated, SeedInvalidated, SeedValidated
from counterfoil.wire.problems import FORBIDDEN

# The sample's first version said `sub` and `createdAt`.
_OTHER_NAMES = {"sub": "clientId", "createdAt": "timestamp"}


@dataclass(frozen=True, slots=True)
class SeedHandlers:
    """The three handlers; what they refuse, they refuse as the `/v1` routes do."""

    handlers: Handlers

    async def generate(self, call: Call) -> Response:
        parameters = _parameters(call, "clientId", optional=("deviceId",))
        client_id = checked_client_id(parameters["clientId"])
        if not call.caller.covers(client_id):
            return problem(FORBIDDEN, call.request.request_id)
        asked = IssueRequest(client_id=client_id, context=_context(parameters))
        issued = await self.handlers.issuance.issue(asked, call.caller, with_seed_copy=True)
        if isinstance(issued, LimitReached):
            return limit_reached(call, issued)
        return answer(200, SeedGenerated("OTP generated", issued.timestamp_us, issued.timestamp_us, issued.passcode))

    async def validate(self, call: Call) -> Response:
        parameters = _parameters(call, "clientId", "timestamp", optional=("deviceId", "otp"))
        asked = SeedValidationRequest(
            client_id=checked_client_id(parameters["clientId"]),
            timestamp_us=_timestamp_us(parameters),
            redemption_id=redemption_id(call.request),
            context=_context(parameters),
            passcode=parameters.get("otp"),
        )
        verdict = await self.handlers.validation.validate_seed(asked, call.caller)
        if isinstance(verdict, Refused):
            return self.handlers.refused(call, verdict)
        otp = str(UUID(bytes=verdict.otp))
        return answer(200, SeedValidated("OTP validated", verdict.accepted.expires_at_us, otp))

    async def invalidate(self, call: Call) -> Response:
        parameters = _parameters(call, "clientId", "timestamp")
        client_id = checked_client_id(parameters["clientId"])
        if not call.caller.covers(client_id):
            return problem(FORBIDDEN, call.request.request_id)
        ref = CounterfoilRef(client_id, _timestamp_us(parameters))
        outcome = await self.handlers.revocation.revoke(ref, call.caller, seed_only=True)
        if isinstance(outcome, Refused):
            return self.handlers.refused(call, outcome)
        return answer(200, SeedInvalidated("OTP deleted"))


def _parameters(call: Call, *required: str, optional: tuple[str, ...] = ()) -> dict[str, str]:
    return read_parameters(call.request, required=required, optional=optional, other_names=_OTHER_NAMES)


def _context(parameters: dict[str, str]) -> Context | None:
    device_id = parameters.get("deviceId")
    return None if device_id is None else checked_context({"device_id": device_id}, "deviceId")


def _timestamp_us(parameters: dict[str, str]) -> int:
    timestamp_us = read_whole_number(parameters, "timestamp", "must be microseconds since the Unix epoch, in digits")
    assert timestamp_us is not None
    return timestamp_us
