"""The Lambda functions: `issue`, `validate` and `operate`, each serving its own routes and needing its own rights.

Nothing is drawn, read or connected at import, so that a snapshot of an imported function (SnapStart) holds no randomness
and no key. The first call puts the service together.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from counterfoil.api.app import Api
from counterfoil.api.callers import by_gateway_subject
from counterfoil.api.http import problem
from counterfoil.api.routes import passcode_routes
from counterfoil.aws.calls import request_deadline_s
from counterfoil.credentials.gateway_principals import GatewayPrincipals
from counterfoil.entrypoints.lambda_events import Authorizer, Event, NoRequest, request_of, response_of
from counterfoil.entrypoints.lambda_log import MetricLines, log_json_lines
from counterfoil.keys.open_keys import open_keys
from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import BODY_BYTES_MAX
from counterfoil.settings import Settings, load_settings
from counterfoil.wire.problems import INVALID_REQUEST, TOO_LARGE
from counterfoil.wiring import assembled_handlers, key_settings, opened_store, system_now_us

ROUTES: Mapping[str, frozenset[str]] = {
    "issue": frozenset({"/v1/passcodes", "/generateOtp"}),
    "validate": frozenset({"/v1/passcodes/validate", "/validateOtp"}),
    "operate": frozenset({"/v1/passcodes/revoke", "/v1/contexts/seal", "/invalidateOtp"}),
}
"""Which function serves which path. The rights in infra/ follow from this table, and a test holds the two together."""

REQUEST_DEADLINE_S = 9.0
"""Below the functions' 15 s and API Gateway's 29 s, with room for the start of a function."""
_NO_REQUEST_ID = "req_none"
_AUTHORIZER_VARIABLE = "COUNTERFOIL_AUTHORIZER"
_PRINCIPALS_VARIABLE = "COUNTERFOIL_PRINCIPALS"


def issue(event: Event, _context: object) -> dict[str, Any]:
    """The function of client applications."""
    return _function("issue").answered(event)


def validate(event: Event, _context: object) -> dict[str, Any]:
    """The function of the backend."""
    return _function("validate").answered(event)


def operate(event: Event, _context: object) -> dict[str, Any]:
    """The function that withdraws passcodes and seals contexts."""
    return _function("operate").answered(event)


@dataclass(frozen=True, slots=True)
class Function:
    """One function, ready to answer one event after another."""

    api: Api
    authorizer: Authorizer
    loop: asyncio.AbstractEventLoop

    def answered(self, event: Event) -> dict[str, Any]:
        """The gateway's response to one event."""
        try:
            request = request_of(event, self.authorizer)
        except NoRequest:
            return response_of(problem(INVALID_REQUEST, _NO_REQUEST_ID), _NO_REQUEST_ID)
        if len(request.body) > BODY_BYTES_MAX:
            return response_of(problem(TOO_LARGE, request.request_id), request.request_id)
        # All calls of the request share it: the caller hears our 503, and never that the function was ended.
        deadline = request_deadline_s.set(time.monotonic() + REQUEST_DEADLINE_S)
        try:
            return response_of(self.loop.run_until_complete(self.api.handle(request)), request.request_id)
        finally:
            request_deadline_s.reset(deadline)

    def close(self) -> None:
        """Ends it; a function on AWS never is."""
        self.loop.close()


@cache
def _function(name: str) -> Function:
    settings = load_settings(None, os.environ)
    log_json_lines(settings.log_level)
    return made_function(name, settings, os.environ)


def made_function(name: str, settings: Settings, environment: Mapping[str, str]) -> Function:
    """The function of that name. Raises Invalid; a function that cannot be made answers nobody."""
    authorizer = _authorizer(environment)
    credentials = GatewayPrincipals(_principals(environment))
    # One of three makes keys; the others have no right to.
    keys = open_keys(settings.keys_url, key_settings(settings, makes_keys=name == "issue"), system_now_us)
    handlers = assembled_handlers(
        store=opened_store(settings, keys, lambda: None),
        keys=keys.provider,
        credentials=credentials,
        settings=settings,
        own_keys=keys.own_keys,
        issues_own_keys=keys.issues_own_keys,
        now_us=system_now_us,
        token_bytes=secrets.token_bytes,
        observer=MetricLines(settings.stage),
    )
    routes = passcode_routes(handlers, with_seed_routes=settings.seed_routes)
    api = Api([route for route in routes if route.path in ROUTES[name]], by_gateway_subject(credentials), handlers.observer)
    return Function(api, authorizer, asyncio.new_event_loop())


def _authorizer(environment: Mapping[str, str]) -> Authorizer:
    named: dict[str, Authorizer] = {"jwt": "jwt", "iam": "iam"}
    try:
        return named[environment.get(_AUTHORIZER_VARIABLE, "")]
    except KeyError:
        raise Invalid(_AUTHORIZER_VARIABLE, "must be jwt or iam: what the gateway verifies callers by") from None


def _principals(environment: Mapping[str, str]) -> str:
    """The list of who may call: JSON, or `@` and the path of a file in the package."""
    text = environment.get(_PRINCIPALS_VARIABLE, "[]")
    return Path(environment.get("LAMBDA_TASK_ROOT", "."), text[1:]).read_text() if text.startswith("@") else text
