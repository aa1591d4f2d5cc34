"""Client ids that force an answer, so that both sides can write and test every branch. It decides nothing for any other client.

A forced refusal goes the way of a real one: into the journal, the metrics, and the same body. A forced fault is raised where
a real one would be.
"""

from dataclasses import fields
from typing import Any

from counterfoil.core.issue import Issuance, Issued, IssueRequest
from counterfoil.core.judgement import ClockDisagrees
from counterfoil.core.validate import SeedAccepted, SeedValidationRequest, Validation, ValidationRequest
from counterfoil.model.journal import Entry, Event
from counterfoil.model.principal import Principal
from counterfoil.model.usage import LimitReached
from counterfoil.model.verdict import Reason, Refused, Verdict
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.ports.store import StoreUnavailable

PREFIX = "refuse-"
LIMITED = PREFIX + "limit_reached"
"""The client that has reached its limit: issuing for it is 429."""
_FORCED = "forced by the client id, in development mode"
FAULTS: dict[str, type[Exception]] = {
    "store_unavailable": StoreUnavailable,
    "keys_unavailable": KeysUnavailable,
    "credentials_unavailable": CredentialsUnavailable,
    "clock_disagrees": ClockDisagrees,
}
"""503, by the problem's code."""


def forced(client_id: str) -> Reason | Exception | None:
    """What validation must answer for that client; None to judge it as always."""
    if not client_id.startswith(PREFIX):
        return None
    name = client_id.removeprefix(PREFIX)
    if name in FAULTS:
        return FAULTS[name](_FORCED)
    return Reason(name) if name in set(Reason) else None


class ForcedIssuance(Issuance):
    """Issues to everybody but the client that has reached its limit."""

    __slots__ = ()

    async def issue(self, request: IssueRequest, issuer: Principal, *, with_seed_copy: bool = False) -> Issued | LimitReached:
        if request.client_id == LIMITED:
            return LimitReached("this client issues too fast", 1)
        return await super().issue(request, issuer, with_seed_copy=with_seed_copy)


class ForcedValidation(Validation):
    """Validates, but for the clients whose answer stands in their name."""

    __slots__ = ()

    async def validate(self, request: ValidationRequest, validator: Principal) -> Verdict:
        return await self._forced(request, validator) or await super().validate(request, validator)

    async def validate_seed(self, request: SeedValidationRequest, validator: Principal) -> SeedAccepted | Refused:
        return await self._forced(request, validator) or await super().validate_seed(request, validator)

    async def _forced(self, request: ValidationRequest | SeedValidationRequest, validator: Principal) -> Refused | None:
        answer = forced(request.client_id)
        if answer is None:
            return None
        if isinstance(answer, Exception):
            raise answer
        entry = Entry(Event.REFUSED, request.client_id, None, validator.name, answer, request.redemption_id)
        await self.store.record(entry)
        return Refused(answer)


def values_of(rules: Any) -> dict[str, Any]:
    """The parts that rules were made over, to make others over the same."""
    return {each.name: getattr(rules, each.name) for each in fields(rules)}
