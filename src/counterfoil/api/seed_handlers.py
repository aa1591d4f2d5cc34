"""The seed-compatible routes: the reference sample's names and query parameters, on the promises of this service.

Only for passcodes made by `generateOtp`. Query strings are read here and logged nowhere.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl
from uuid import UUID

from counterfoil.api.handlers import Call, Handlers, limit_reached, redemption_id
from counterfoil.api.http import Response, answer, problem
from counterfoil.core.issue import IssueRequest
from counterfoil.core.validate import SeedValidationRequest
from counterfoil.model.context import Context, checked_context
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.identifiers import checked_client_id
from counterfoil.model.invalid import Invalid
from counterfoil.model.usage import LimitReached
from counterfoil.model.verdict import Refused
from counterfoil.wire.messages import SeedGenerated, SeedInvalidated, SeedValidated
from counterfoil.wire.problems import FORBIDDEN

# The sample's first version said `sub` and `createdAt`.
_OTHER_NAMES = {"sub": "clientId", "createdAt": "timestamp"}
_TIMESTAMP_DIGITS_MAX = 19
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class SeedHandlers:
    """The three handlers; what they refuse, they refuse as the `/v1` routes do."""

    handlers: Handlers

    async def generate(self, call: Call) -> Response:
        parameters = _parameters(call, required={"clientId"}, optional={"deviceId"})
        client_id = checked_client_id(parameters["clientId"])
        if not call.caller.covers(client_id):
            return problem(FORBIDDEN, call.request.request_id)
        asked = IssueRequest(client_id=client_id, context=_context(parameters))
        issued = await self.handlers.issuance.issue(asked, call.caller, with_seed_copy=True)
        if isinstance(issued, LimitReached):
            return limit_reached(call, issued)
        return answer(200, SeedGenerated("OTP generated", issued.timestamp_us, issued.timestamp_us, issued.passcode))

    async def validate(self, call: Call) -> Response:
        parameters = _parameters(call, required={"clientId", "timestamp"}, optional={"deviceId", "otp"})
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
        parameters = _parameters(call, required={"clientId", "timestamp"}, optional=set())
        client_id = checked_client_id(parameters["clientId"])
        if not call.caller.covers(client_id):
            return problem(FORBIDDEN, call.request.request_id)
        ref = CounterfoilRef(client_id, _timestamp_us(parameters))
        outcome = await self.handlers.revocation.revoke(ref, call.caller, seed_only=True)
        if isinstance(outcome, Refused):
            return self.handlers.refused(call, outcome)
        return answer(200, SeedInvalidated("OTP deleted"))


def _parameters(call: Call, *, required: set[str], optional: set[str]) -> dict[str, str]:
    if call.request.body:
        raise Invalid("body", "must be empty: this route takes query parameters")
    if _BAD_ESCAPE.search(call.request.query):
        # The library would take it as it stands, and one client id would have two spellings.
        raise Invalid("query", "must be name=value pairs in URL encoding")
    try:
        pairs = parse_qsl(call.request.query.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise Invalid("query", "must be name=value pairs in URL encoding") from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        known_name = _OTHER_NAMES.get(name, name)
        if known_name not in required | optional:
            raise Invalid("query", "has a parameter that is not known here")
        if known_name in parameters:
            raise Invalid(known_name, "must be given once")
        parameters[known_name] = value
    for name in sorted(required - parameters.keys()):
        raise Invalid(name, "is required")
    return parameters


def _context(parameters: dict[str, str]) -> Context | None:
    device_id = parameters.get("deviceId")
    return None if device_id is None else checked_context({"device_id": device_id}, "deviceId")


def _timestamp_us(parameters: dict[str, str]) -> int:
    text = parameters["timestamp"]
    if not text.isascii() or not text.isdigit() or len(text) > _TIMESTAMP_DIGITS_MAX or int(text) >= 2**63:
        raise Invalid("timestamp", "must be microseconds since the Unix epoch, in digits")
    return int(text)
