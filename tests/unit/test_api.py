"""The interface: every route, every caller, every answer that is not a success."""

import gzip
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from counterfoil.api.app import Api
from counterfoil.api.callers import bearer_secret, by_gateway_subject
from counterfoil.api.handlers import Call
from counterfoil.api.http import Request, Response
from counterfoil.api.routes import v1_routes
from counterfoil.core.judgement import ClockDisagrees
from counterfoil.credentials.gateway_principals import GatewayPrincipals
from counterfoil.model.principal import Principal, Role
from counterfoil.model.verdict import Reason
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.memory import MemoryStore
from counterfoil.wire.problems import KINDS
from tests.support.clock import Clock
from tests.support.parts import Parts, decoded, made_parts, reason

ROLES = ("issuer", "validator", "operator")


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return made_parts(tmp_path)


async def _document(parts: Parts) -> Any:
    return msgspec.json.decode((await parts.ask("GET", "/openapi.json")).body)


async def _operations(parts: Parts) -> list[tuple[str, str, dict[str, Any]]]:
    document = await _document(parts)
    return [
        (method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


# -- the document --


async def test_a_body_to_begin_with_is_one_that_is_taken(parts: Parts) -> None:
    paths = (await _document(parts))["paths"]
    bodies = {
        f"{method} {path}": operation["requestBody"]["content"]["application/json"].get("example")
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    issue, validate = bodies["post /v1/passcodes"], bodies["post /v1/passcodes/validate"]
    assert sorted(issue) == ["client_id", "context", "transaction"]
    assert validate == {**issue, "passcode": "cf1_..."}
    assert sorted(bodies["post /v1/passcodes/revoke"]) == ["client_id", "passcode"]
    assert sorted(bodies["post /v1/contexts/seal"]) == ["client_id", "sealed_pairs"]
    assert (await parts.ask("POST", "/v1/passcodes", issue, role="issuer")).status == 201


async def test_the_document_is_valid_openapi_3_1(parts: Parts) -> None:
    document = await _document(parts)
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


async def test_the_document_lists_every_route_and_no_other(parts: Parts) -> None:
    documented = {(method, path) for method, path, _ in await _operations(parts)}
    assert documented == {(route.method, route.path) for route in parts.service.api.routes}


async def test_the_document_says_of_itself_that_it_is_an_object(parts: Parts) -> None:
    success = (await _document(parts))["paths"]["/openapi.json"]["get"]["responses"]["200"]
    assert success["content"] == {"application/json": {"schema": {"type": "object"}}}


async def test_the_document_names_every_reason(parts: Parts) -> None:
    document = (await parts.ask("GET", "/openapi.json")).body.decode()
    assert all(each.value in document for each in Reason)


def test_seed_routes_are_off_unless_switched_on(tmp_path: Path) -> None:
    paths = {route.path for route in made_parts(tmp_path, seed_routes=False).service.api.routes}
    assert not paths & {"/generateOtp", "/validateOtp", "/invalidateOtp"}


# -- who may call: all of it in tests/adversity/test_authorization.py --


async def test_the_scheme_may_be_in_any_case(parts: Parts) -> None:
    header = f"bEaReR  {parts.secrets['issuer']}".encode()
    assert (await parts.ask("POST", "/v1/passcodes", {"client_id": "c"}, headers={b"authorization": header})).status == 201


@given(
    st.sampled_from([b"Bearer", b"bEARER", b"Bearer:", b"Basic", b""]),
    st.sampled_from([b" ", b"  ", b"\t", b""]),
    st.sampled_from([b"", b"cfi_x", b"x" * 256, b"x" * 257]) | st.binary(max_size=3),
)
def test_a_bearer_secret_is_visible_ascii_after_the_scheme_and_spaces(scheme: bytes, between: bytes, secret: bytes) -> None:
    header = scheme + between + secret
    match = re.fullmatch(rb"(?i:bearer) +([\x21-\x7e]{1,256})", header)
    assert bearer_secret(header) == (match[1].decode() if match else None)


def test_no_repr_of_a_request_or_an_answer_shows_what_travels() -> None:
    headers = {b"authorization": b"canary"}
    request = Request("GET", "/generateOtp", b"clientId=canary", headers, b"canary", "req_1", "canary")
    response = Response(200, (), b"canary")
    shown = repr((request, Call(request, Principal("web", "00", Role.ISSUER)), response))
    assert "canary" not in shown + repr((request.__rich_repr__(), response.__rich_repr__()))
    assert "req_1" in shown


# -- what is not a route or not a request --


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=latin-1"]
)
async def test_a_body_that_does_not_say_it_is_json_is_refused(parts: Parts, content_type: bytes) -> None:
    answer = await parts.ask(
        "POST", "/v1/passcodes", {"client_id": "c"}, role="issuer", headers={b"content-type": content_type}
    )
    assert (answer.status, decoded(answer)["code"]) == (415, "wrong_content_type")


@pytest.mark.parametrize(
    "content_type", [b"application/json", b"Application/JSON;charset=UTF-8", b'application/json; charset="utf-8"']
)
async def test_a_body_that_says_it_is_json_is_read(parts: Parts, content_type: bytes) -> None:
    headers = {b"content-type": content_type}
    assert (await parts.ask("POST", "/v1/passcodes", {"client_id": "c"}, role="issuer", headers=headers)).status == 201


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/v1/passcodes", [], "body: expected `object`, got `array`"),
        ("/v1/passcodes", {}, "body: object missing required field `client_id`"),
        ("/v1/passcodes", {"client_id": 1}, "client_id: expected `str`, got `int`"),
        ("/v1/passcodes", {"client_id": None}, "client_id: expected `str`, got `null`"),
        ("/v1/passcodes", {"client_id": ""}, "client_id: must be 1 to 128 printable characters"),
        ("/v1/passcodes", {"client_id": "c", "canary": 1}, "body: has a field that is not known here"),
        ("/v1/passcodes", {"client_id": "c", "context": None}, "context: expected `object`, got `null`"),
        ("/v1/passcodes", {"client_id": "c", "context": {"canary": 1}}, "context[...]: expected `str`, got `int`"),
        ("/v1/passcodes", {"client_id": "c", "lifetime_s": "60"}, "lifetime_s: expected `int`, got `str`"),
        ("/v1/passcodes", {"client_id": "c", "lifetime_s": True}, "lifetime_s: expected `int`, got `bool`"),
        ("/v1/passcodes", {"client_id": "c", "lifetime_s": 1.5}, "lifetime_s: expected `int`, got `float`"),
        ("/v1/passcodes", {"client_id": "c", "transaction": 1, "transaction_digest": "0" * 64}, "transaction: must not"),
        ("/v1/passcodes", {"client_id": "c", "transaction_digest": "canary"}, "transaction_digest: expected `str` matching"),
        ("/v1/passcodes", {"client_id": "c", "transaction_digest": "0" * 64 + "\n"}, "transaction_digest: must be"),
        ("/v1/passcodes/validate", {"client_id": "c", "passcode": 7}, "passcode: expected `str`, got `int`"),
        ("/v1/passcodes/validate", {"client_id": "c", "passcode": "x", "timestamp": -1}, "timestamp: expected `int` >= 0"),
        ("/v1/passcodes/validate", {"client_id": "c", "passcode": "x", "timestamp": 1e300}, "timestamp: expected `int`"),
        ("/v1/passcodes/validate", {"client_id": "c", "passcode": "x", "sealed_pairs": {"": ""}}, "sealed_pairs: names"),
        ("/v1/contexts/seal", {"client_id": "c"}, "body: object missing required field `sealed_pairs`"),
        ("/v1/contexts/seal", {"client_id": "", "sealed_pairs": {}}, "client_id: must be"),
    ],
)
async def test_a_body_that_breaks_a_rule_hears_the_field_and_the_rule_and_nothing_it_sent(
    parts: Parts, path: str, body: Any, detail: str
) -> None:
    role = "issuer" if path == "/v1/passcodes" else "validator"
    answer = await parts.ask("POST", path, body, role=role)
    assert (answer.status, decoded(answer)["code"]) == (400, "invalid_request")
    assert decoded(answer)["detail"].startswith(detail)
    assert b"canary" not in answer.body


@pytest.mark.parametrize("key", ["", "a b", '"quoted"', "x" * 129, "a, b"])
async def test_a_redemption_id_outside_its_alphabet_is_the_callers_mistake(parts: Parts, key: str) -> None:
    issued = await parts.issue()
    answer = await parts.validate(issued["passcode"], key=key)
    assert (answer.status, decoded(answer)["detail"].split(":")[0]) == (400, "Idempotency-Key")
    assert (await parts.validate(issued["passcode"])).status == 200


# -- the shape of answers --


async def test_every_problem_has_the_same_shape_and_may_not_be_cached(parts: Parts) -> None:
    answers = [
        await parts.ask("GET", "/nowhere"),
        await parts.ask("POST", "/v1/passcodes"),
        await parts.ask("POST", "/v1/passcodes", {}, role="issuer"),
        await parts.ask("POST", "/v1/passcodes", {}, role="validator"),
        await parts.validate("cf1_"),
    ]
    known = {kind.code: kind for kind in KINDS}
    for answer in answers:
        body = decoded(answer)
        kind = known[body["code"]]
        assert (body["status"], body["type"], body["title"]) == (answer.status, kind.type, kind.title)
        assert body["request_id"] == "req_test"
        headers = dict(answer.headers)
        assert headers[b"content-type"] == b"application/problem+json"
        assert headers[b"cache-control"] == b"no-store"


async def test_all_refusals_say_the_same_but_for_their_reason(parts: Parts) -> None:
    issued = await parts.issue()
    answers = [
        await parts.validate("cf1_"),
        await parts.validate("cf1_AAAA" + issued["passcode"][8:]),
        await parts.validate(issued["passcode"][:-1] + ("A" if issued["passcode"][-1] != "A" else "Q")),
        await parts.validate(issued["passcode"], context={}),
        await parts.validate(issued["passcode"], timestamp=1),
    ]
    assert len({reason(answer) for answer in answers}) >= 4
    assert len({tuple((name, value) for name, value in decoded(answer).items() if name != "reason") for answer in answers}) == 1


async def test_a_limit_says_when_to_come_again(tmp_path: Path) -> None:
    parts = made_parts(tmp_path, outstanding_max=1)
    await parts.issue()
    for method, path, body, query in (
        ("POST", "/v1/passcodes", {"client_id": "1234"}, ""),
        ("GET", "/generateOtp", None, "clientId=1234"),
    ):
        answer = await parts.ask(method, path, body, query=query, role="issuer")
        assert (answer.status, decoded(answer)["code"]) == (429, "limit_reached")
        # When it has expired, and the eight seconds in which it does are over.
        assert dict(answer.headers)[b"retry-after"] == b"68"


# -- faults --


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (StoreUnavailable("busy", retry_after_s=7), "store_unavailable"),
        (KeysUnavailable("gone"), "keys_unavailable"),
        (CredentialsUnavailable("gone"), "credentials_unavailable"),
        (ClockDisagrees("future"), "clock_disagrees"),
    ],
)
async def test_a_fault_is_neither_yes_nor_no(tmp_path: Path, fault: Exception, code: str) -> None:
    class Faulty(MemoryStore):
        async def find(self, ref: Any) -> Any:
            raise fault

    clock = Clock()
    parts = made_parts(tmp_path, store=Faulty(clock), clock=clock)
    issued = await parts.issue()
    answer = await parts.validate(issued["passcode"])
    assert (answer.status, decoded(answer)["code"]) == (503, code)
    assert int(dict(answer.headers)[b"retry-after"]) == (7 if code == "store_unavailable" else 1)


async def test_an_unforeseen_error_says_nothing_and_accepts_nothing(tmp_path: Path) -> None:
    class Broken(MemoryStore):
        async def redeem(self, ref: Any, redemption: Any, attempts_max: int) -> Any:
            raise RuntimeError("canary")

    clock = Clock()
    parts = made_parts(tmp_path, store=Broken(clock), clock=clock)
    issued = await parts.issue()
    answer = await parts.validate(issued["passcode"])
    assert (answer.status, decoded(answer)["code"]) == (500, "internal_error")
    assert b"canary" not in answer.body


async def test_missing_keys_or_credentials_are_faults(parts: Parts) -> None:
    issued = await parts.issue()
    parts.keyset.path.rename(parts.folder / "elsewhere.json")
    assert decoded(await parts.validate(issued["passcode"]))["code"] == "keys_unavailable"
    assert (await parts.ask("GET", "/readyz")).status == 503
    (parts.folder / "elsewhere.json").rename(parts.keyset.path)
    parts.credentials.path.chmod(0o644)
    assert decoded(await parts.validate(issued["passcode"]))["code"] == "credentials_unavailable"
    parts.credentials.path.chmod(0o600)
    assert (await parts.validate(issued["passcode"])).status == 200


# -- service and documentation --


async def test_health_and_readiness_answer_anybody(parts: Parts) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await parts.ask("GET", path)
        assert (answer.status, decoded(answer)) == (200, {"status": "ok"})
    assert (await parts.ask("GET", "/metrics")).status == 200


async def test_the_documentation_page_loads_nothing_from_elsewhere(parts: Parts) -> None:
    page = (await parts.ask("GET", "/docs")).body.decode()
    assert "//" not in page.replace("<!doctype", "")
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        if asset != "data:,":
            assert (await parts.ask("GET", f"/{asset}")).status == 200
    script = (await parts.ask("GET", "/docs/page.js")).body
    assert b"openapi.json" in script
    assert decoded(await parts.ask("GET", "/openapi.json"))["info"]["title"] == "Counterfoil"


async def test_packed_assets_are_sent_packed_to_who_takes_them(parts: Parts) -> None:
    packed = await parts.ask("GET", "/docs/swagger-ui.css", headers={b"accept-encoding": b"br, gzip"})
    plain = await parts.ask("GET", "/docs/swagger-ui.css")
    assert (b"content-encoding", b"gzip") in packed.headers
    assert gzip.decompress(packed.body) == plain.body


@pytest.mark.parametrize("name", ["swagger-ui.css", "swagger-ui-bundle.js"])
async def test_packed_assets_are_read_and_unpacked_once(parts: Parts, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One took 8 ms and 1.7 MB, which any stranger could have the service spend again and again."""
    first = await parts.ask("GET", f"/docs/{name}")
    monkeypatch.setattr("counterfoil.api.docs_page.gzip.decompress", None)
    monkeypatch.setattr("counterfoil.api.docs_page.files", None)
    for method in ("GET", "HEAD"):
        again = await parts.ask(method, f"/docs/{name}")
        assert (again.status, again.body is first.body) == (200, True)


async def test_the_page_forbids_everything_but_its_own_scripts(parts: Parts) -> None:
    policy = dict((await parts.ask("GET", "/docs")).headers)[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy


# -- behind a gateway --


async def test_behind_a_gateway_the_caller_is_who_the_gateway_names(tmp_path: Path) -> None:
    principals = GatewayPrincipals('[{"subject": "jwt:shop", "name": "shop", "role": "issuer", "clients": ["*"]}]')
    handlers = made_parts(tmp_path).service.handlers
    api = Api(v1_routes(handlers), by_gateway_subject(principals), handlers.observer)
    statuses = []
    for subject in (None, "jwt:nobody", "shop", "jwt:shop"):
        headers = {b"content-type": b"application/json", b"authorization": b"Bearer jwt:shop"}
        request = Request("POST", "/v1/passcodes", b"", headers, b'{"client_id": "1234"}', "req_test", subject)
        statuses.append((await api.handle(request)).status)
    assert statuses == [401, 401, 401, 201]
