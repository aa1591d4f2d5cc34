"""Requests made from an OpenAPI document by schemathesis, in a process of its own; prints what they came to as JSON.

`python -m tests.adversity.openapi_requests DOCUMENT URL REQUESTS SEED`; the roles' credentials come in the environment.
"""

import itertools
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from requests.exceptions import RequestException
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from tests.adversity.campaign import FAILURES_KEPT
from tests.adversity.openapi import CREDENTIAL_VARIABLE

_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
_EXAMPLES_AT_ONCE = 25
_TIMEOUT_S = 30


class Requests:
    """So many requests over all operations in turn, half of them against their schema."""

    def __init__(self, document: dict[str, Any], url: str, most: int) -> None:
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=url)
        self._url = url
        self._operations = [_operation(each) for each in schema.get_all_operations()]
        self._session = requests.Session()
        self._most = most
        self._numbers = itertools.count()
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def make(self, seed: int) -> None:
        """Some requests to every operation, then some more, until there were enough."""
        for round_number in itertools.count():
            for operation, mode in itertools.product(self._operations, GenerationMode):
                if self.counts["requests"] >= self._most:
                    return
                strategy = operation.as_strategy(generation_mode=mode)
                try:
                    _examples(strategy, seed * 1_000_003 + round_number, self._one)
                except hypothesis.errors.Unsatisfiable:
                    # Nothing can be wrong with a request that has no parts.
                    continue

    def _one(self, case: Any) -> None:
        if self.counts["requests"] >= self._most:
            return
        number = next(self._numbers)
        roles = case.operation.definition.raw.get("x-roles", [])
        # One in eight has no credential.
        headers = {"Authorization": f"Bearer {_credential(roles[0])}"} if roles and number % 8 else {}
        if number % 3 == 0 and isinstance(case.body, dict) and "passcode" in case.body:
            # A passcode that was issued, or no answer but a refusal would be heard.
            case.body = {"client_id": "1234", "passcode": self._issued()}
        try:
            response = case.call(session=self._session, headers=headers, timeout=_TIMEOUT_S)
        except (RequestException, UnicodeError, ValueError):
            # What the HTTP client itself refuses to send.
            self.counts["not sent"] += 1
            return
        self.counts["requests"] += 1
        self.counts[str(response.status_code)] += 1
        try:
            case.validate_response(response, checks=_CHECKS)
        except FailureGroup as group:
            self.counts["failures"] += 1
            if len(self.failures) < FAILURES_KEPT:
                said = "; ".join(f"{failure.title}: {failure.message[:200]}" for failure in group.exceptions)
                self.failures.append(f"{said}; {case.as_curl_command()[:1500]}")

    def _issued(self) -> str:
        headers = {"Authorization": f"Bearer {_credential('issuer')}"}
        issued = self._session.post(
            f"{self._url}/v1/passcodes", json={"client_id": "1234"}, headers=headers, timeout=_TIMEOUT_S
        )
        passcode: str = issued.json()["passcode"]
        return passcode


def _operation(found: Any) -> Any:
    """The operation; an error in its place has no such verb, and ends the run."""
    return found.ok()


def _examples(strategy: Any, seed: int, one: Any) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_EXAMPLES_AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def play(case: Any) -> None:
        one(case)

    play()


def _credential(role: str) -> str:
    return os.environ[CREDENTIAL_VARIABLE + role.upper()]


def main() -> None:
    """The command line."""
    document, url, most, seed = sys.argv[1:]
    made = Requests(json.loads(Path(document).read_text()), url, int(most))
    made.make(int(seed))
    print(json.dumps({"counts": made.counts, "failures": made.failures}))


if __name__ == "__main__":
    main()
