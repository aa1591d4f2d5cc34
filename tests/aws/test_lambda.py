"""The functions as API Gateway calls them: both payloads, who is let in, what is printed, and what an import must not do."""

import base64
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from infra.emulation.emulator import REGION, SDK_ENVIRONMENT, Emulator

from counterfoil.api.http import Response
from counterfoil.credentials.gateway_principals import GatewayPrincipals
from counterfoil.entrypoints.aws_lambda import ROUTES, Function, made_function
from counterfoil.entrypoints.lambda_events import NoRequest, request_of, response_of
from counterfoil.entrypoints.lambda_log import JsonLines, MetricLines, log_json_lines
from counterfoil.keys.aws_data_keys import KmsDataKeys
from counterfoil.model.invalid import Invalid
from counterfoil.model.verdict import Reason
from counterfoil.settings import load_settings
from tests.support.service import clean_environment

PRINCIPALS: list[dict[str, Any]] = [
    {"subject": "jwt:shop", "name": "shop", "role": "issuer", "clients": ["shop-*"]},
    {"subject": "jwt:backend", "name": "backend", "role": "validator"},
    {"subject": "jwt:operations", "name": "operations", "role": "operator"},
    {"subject": "iam:arn:aws:sts::123456789012:assumed-role/shop", "name": "iam-shop", "role": "issuer", "clients": ["*"]},
    {"subject": "iam:arn:aws:iam::123456789012:user/bob", "name": "bob", "role": "validator"},
    {"subject": "jwt:gone", "name": "gone", "role": "issuer", "clients": ["*"], "revoked": True},
    {"subject": "jwt:bad", "name": "bad", "role": "issuer", "clients": ["*"], "revoked": True, "passcodes_revoked": True},
]


class Gateway:
    """The three functions of a deployment, called with events as API Gateway makes them."""

    def __init__(self, functions: dict[str, Function], version: str) -> None:
        self._functions = functions
        self._version = version

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        subject: str | None = None,
        key: str | None = None,
        query: dict[str, str] | None = None,
        function: str | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded body of one call, routed as the stack routes it."""
        name = function or next(name for name, paths in ROUTES.items() if path in paths)
        headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        text = None if body is None else body if isinstance(body, str) else json.dumps(body)
        made = event_2 if self._version == "2.0" else event_1
        answer = self._functions[name].answered(made(method, path, text, headers, query or {}, subject))
        assert answer["headers"]["request-id"] == "req_gateway-id"
        return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None


def event_2(
    method: str, path: str, body: str | None, headers: dict[str, str], query: dict[str, str], subject: str | None
) -> dict[str, Any]:
    """Payload 2.0, in the form recorded from an HTTP API."""
    claims = {"iss": "https://issuer", "aud": "counterfoil", "sub": subject, "iat": "1795538835", "exp": "1795539435"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in query.items()),
        "headers": {"host": "h", **{name.lower(): value for name, value in headers.items()}},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
            "requestId": "gateway-id",
            "stage": "$default",
            "timeEpoch": 1795538835886,
        },
        "pathParameters": None,
        "isBase64Encoded": False,
    }
    if subject is not None:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    if body is not None:
        event["body"] = body
    return event


def event_1(
    method: str, path: str, body: str | None, headers: dict[str, str], query: dict[str, str], subject: str | None
) -> dict[str, Any]:
    """Payload 1.0, in the form recorded from a REST API with a token authorizer."""
    claims = {"sub": subject, "exp": "Tue Nov 24 16:47:15 UTC 2026"}
    return {
        "version": "1.0",
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "requestContext": {
            "requestId": "gateway-id",
            "stage": "prod",
            "identity": {"sourceIp": "127.0.0.1", "userArn": None},
            **({} if subject is None else {"authorizer": {"claims": claims}}),
        },
        "pathParameters": None,
        "body": body,
        "isBase64Encoded": False,
    }


@pytest.fixture(scope="module")
def environment(aws: Emulator) -> dict[str, str]:
    """A function's environment, as the stack sets it."""
    arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    aws.create_table("lambda-counterfoils")
    aws.create_table("lambda-keys", "S")
    return {
        "COUNTERFOIL_STORE": f"dynamodb://lambda-counterfoils?region={REGION}&endpoint={aws.url}",
        "COUNTERFOIL_KEYS": f"aws-kms:{arn}?table=lambda-keys&endpoint={aws.url}",
        "COUNTERFOIL_STAGE": "test",
        "COUNTERFOIL_AUTHORIZER": "jwt",
        "COUNTERFOIL_PRINCIPALS": json.dumps(PRINCIPALS),
        "COUNTERFOIL_ISSUE_RATE_PER_S": "0",
        "COUNTERFOIL_OUTSTANDING_MAX": "0",
        "COUNTERFOIL_SEED_ROUTES": "true",
    }


@pytest.fixture(scope="module")
def functions(environment: dict[str, str]) -> Iterator[dict[str, Function]]:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in SDK_ENVIRONMENT.items():
            patched.setenv(name, value)
        made = {name: made_function(name, load_settings(None, environment), environment) for name in ROUTES}
        yield made
        for function in made.values():
            function.close()


@pytest.fixture(params=["2.0", "1.0"])
def gateway(request: pytest.FixtureRequest, functions: dict[str, Function]) -> Gateway:
    return Gateway(functions, request.param)


# -- the whole way, in both payloads --


def test_a_passcode_goes_from_issue_to_acceptance_once(gateway: Gateway) -> None:
    bound = {"client_id": "shop-1", "transaction": {"amount": "10.00"}, "context": {"device": "é"}}
    status, issued = gateway.call("POST", "/v1/passcodes", bound, subject="shop")
    assert status == 201
    asked = {**bound, "passcode": issued["passcode"]}
    for key, expected in (("a", (200, False)), ("a", (200, True))):
        status, accepted = gateway.call("POST", "/v1/passcodes/validate", asked, subject="backend", key=key)
        assert (status, accepted["replayed"]) == expected
    status, refused = gateway.call("POST", "/v1/passcodes/validate", asked, subject="backend", key="b")
    assert (status, refused["reason"]) == (409, "already_redeemed")
    assert refused["request_id"] == "req_gateway-id"


def test_operating_seals_and_withdraws(gateway: Gateway) -> None:
    gateway.call("POST", "/v1/passcodes", {"client_id": "shop-1"}, subject="shop")
    pairs = {"client_id": "shop-1", "sealed_pairs": {"limit": "500"}}
    status, sealed = gateway.call("POST", "/v1/contexts/seal", pairs, subject="operations")
    assert status == 200
    asked = {"client_id": "shop-1", "sealed_context": sealed["sealed_context"]}
    _, issued = gateway.call("POST", "/v1/passcodes", asked, subject="shop")
    named = {"client_id": "shop-1", "passcode": issued["passcode"]}
    assert gateway.call("POST", "/v1/passcodes/revoke", named, subject="shop") == (204, None)
    _, refused = gateway.call("POST", "/v1/passcodes/validate", named, subject="backend")
    assert refused["reason"] == "revoked"


def test_the_reference_samples_routes_take_their_query(gateway: Gateway) -> None:
    status, generated = gateway.call("GET", "/generateOtp", subject="shop", query={"clientId": "shop-1", "deviceId": "d-9"})
    assert (status, generated["message"]) == (200, "OTP generated")
    query = {"clientId": "shop-1", "timestamp": str(generated["timestamp"]), "deviceId": "d-9"}
    assert gateway.call("GET", "/validateOtp", subject="backend", query=query)[1]["message"] == "OTP validated"
    _, generated = gateway.call("POST", "/generateOtp", subject="shop", query={"clientId": "shop-1"})
    query = {"clientId": "shop-1", "timestamp": str(generated["timestamp"])}
    assert gateway.call("DELETE", "/invalidateOtp", subject="backend", query=query)[1]["message"] == "OTP deleted"


# -- who is let in --


@pytest.mark.parametrize(
    ("subject", "path", "status"),
    [
        (None, "/v1/passcodes", 401),
        ("nobody", "/v1/passcodes", 401),
        ("gone", "/v1/passcodes", 401),
        ("backend", "/v1/passcodes", 403),
        ("operations", "/v1/passcodes", 403),
        (None, "/v1/passcodes/validate", 401),
        ("shop", "/v1/passcodes/validate", 403),
        ("operations", "/v1/passcodes/validate", 403),
        ("shop", "/v1/contexts/seal", 403),
        ("operations", "/v1/passcodes/revoke", 403),
    ],
)
def test_a_missing_or_wrong_principal_is_refused_by_the_function_itself(
    gateway: Gateway, subject: str | None, path: str, status: int
) -> None:
    assert gateway.call("POST", path, {}, subject=subject)[0] == status


def test_an_issuer_keeps_to_its_clients(gateway: Gateway) -> None:
    assert gateway.call("POST", "/v1/passcodes", {"client_id": "bank-1"}, subject="shop")[0] == 403


@pytest.mark.parametrize("function", list(ROUTES))
def test_a_function_serves_its_own_routes_and_no_other(gateway: Gateway, function: str) -> None:
    for path in {path for paths in ROUTES.values() for path in paths} - ROUTES[function]:
        assert gateway.call("POST", path, {}, subject="shop", function=function)[0] == 404


def _subject(authorizer: Any, context: dict[str, Any], version: str = "2.0") -> str | None:
    event = (event_2 if version == "2.0" else event_1)("POST", "/", None, {}, {}, None)
    event["requestContext"] = {**event["requestContext"], **context}
    return request_of(event, authorizer).gateway_subject


ASSUMED = "arn:aws:sts::123456789012:assumed-role/shop/any-session"


@pytest.mark.parametrize(
    ("authorizer", "context", "version", "subject"),
    [
        ("jwt", {"authorizer": {"jwt": {"claims": {"sub": "a", "exp": "1"}}}}, "2.0", "jwt:a"),
        ("jwt", {"authorizer": {"jwt": {"claims": {"sub": "a"}}}}, "2.0", None),
        ("jwt", {"authorizer": {"jwt": {"claims": {"exp": "1"}}}}, "2.0", None),
        ("jwt", {"authorizer": {"jwt": {"claims": {"sub": "", "exp": "1"}}}}, "2.0", None),
        ("jwt", {"authorizer": {"jwt": {"claims": {"sub": ["a"], "exp": "1"}}}}, "2.0", None),
        ("jwt", {"authorizer": {"jwt": None}}, "2.0", None),
        ("jwt", {"authorizer": None}, "2.0", None),
        ("jwt", {"authorizer": {"iam": {"userArn": ASSUMED}}}, "2.0", None),
        ("jwt", {"authorizer": {"claims": {"sub": "a", "exp": "x"}}}, "1.0", "jwt:a"),
        ("jwt", {"identity": {"userArn": ASSUMED}}, "1.0", None),
        ("iam", {"authorizer": {"iam": {"userArn": ASSUMED}}}, "2.0", "iam:arn:aws:sts::123456789012:assumed-role/shop"),
        ("iam", {"authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/bob"}}}, "2.0", "iam:arn:aws:iam::1:user/bob"),
        ("iam", {"authorizer": {"iam": {"userArn": None}}}, "2.0", None),
        ("iam", {"authorizer": {"jwt": {"claims": {"sub": "arn", "exp": "1"}}}}, "2.0", None),
        ("iam", {"identity": {"userArn": ASSUMED}}, "1.0", "iam:arn:aws:sts::123456789012:assumed-role/shop"),
        ("iam", {}, "2.0", None),
        (
            "iam",
            {"authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/x:assumed-role/shop/bob"}}},
            "2.0",
            "iam:arn:aws:iam::1:user/x:assumed-role/shop/bob",
        ),
    ],
)
def test_the_caller_is_who_the_chosen_authorizer_verified_and_nobody_else(
    authorizer: Any, context: dict[str, Any], version: str, subject: str | None
) -> None:
    assert _subject(authorizer, context, version) == subject


async def test_a_subject_has_the_role_of_the_list() -> None:
    principals = GatewayPrincipals(json.dumps(PRINCIPALS))
    shop = await principals.principal("jwt:shop")
    assert shop is not None
    assert (shop.name, shop.role, shop.covers("shop-1"), shop.covers("bank")) == ("shop", "issuer", True, False)
    assert await principals.principal("jwt:gone") is None
    assert await principals.principal("shop") is None
    assert [await principals.passcodes_are_revoked(name) for name in ("shop", "gone", "bad", "unknown")] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "entries",
    [
        "not json",
        "[" * 5000,
        "{}",
        "[1]",
        '[{"subject": "jwt:a", "name": "a"}]',
        '[{"subject": "a", "name": "a", "role": "validator"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "canary"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "validator", "canary": 1}]',
        '[{"subject": "jwt:a", "name": "a", "role": "issuer"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "issuer", "clients": "*"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "issuer", "clients": ["["]}]',
        '[{"subject": "jwt:a", "name": "a", "role": "validator", "clients": ["*"]}]',
        '[{"subject": "jwt:a", "name": "a canary", "role": "validator"}]',
        '[{"subject": "jwt:a", "name": 1, "role": "validator"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "validator", "revoked": "no"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "validator"}, {"subject": "jwt:a", "name": "b", "role": "validator"}]',
        '[{"subject": "jwt:a", "name": "a", "role": "validator"}, {"subject": "jwt:b", "name": "a", "role": "validator"}]',
        json.dumps([{**PRINCIPALS[5], "name": "first"}, PRINCIPALS[5]]),
    ],
)
def test_a_list_that_breaks_a_rule_is_refused_by_the_rule(entries: str) -> None:
    with pytest.raises(Invalid) as caught:
        GatewayPrincipals(entries)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("chosen", ["", "none", "JWT"])
def test_a_function_without_an_authorizer_is_not_made(environment: dict[str, str], chosen: str) -> None:
    with pytest.raises(Invalid, match="AUTHORIZER"):
        made_function("issue", load_settings(None, environment), {**environment, "COUNTERFOIL_AUTHORIZER": chosen})


def test_limits_that_the_store_cannot_keep_are_refused_at_start(environment: dict[str, str]) -> None:
    limited = {**environment, "COUNTERFOIL_OUTSTANDING_MAX": "10"}
    with pytest.raises(Invalid, match="outstanding_max"):
        made_function("issue", load_settings(None, limited), limited)


def test_a_list_may_be_a_file_of_the_package(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "principals.json").write_text(json.dumps(PRINCIPALS))
    named = {**environment, "COUNTERFOIL_PRINCIPALS": "@principals.json", "LAMBDA_TASK_ROOT": str(tmp_path), **SDK_ENVIRONMENT}
    function = made_function("issue", load_settings(None, named), named)
    assert function.answered(event_2("POST", "/v1/passcodes", "{}", {}, {}, "backend"))["statusCode"] == 403
    function.close()


@pytest.mark.parametrize(("name", "makes"), [("issue", True), ("validate", False), ("operate", False)])
def test_only_the_issuing_function_makes_keys(functions: dict[str, Function], name: str, makes: bool) -> None:
    handler = functions[name].api.routes[0].handler
    keys = handler.__self__.issuance.keys if hasattr(handler, "__self__") else None
    assert isinstance(keys, KmsDataKeys)
    assert keys._makes_keys is makes


# -- settings from the environment alone --


@pytest.mark.parametrize(
    ("name", "text"),
    [("PORT", "many"), ("SEED_ROUTES", "yes"), ("EPOCH", "0"), ("KEY_REUSE_S", "0"), ("LIFETIME_MAX_S", "601")],
)
def test_a_setting_that_is_none_is_named(name: str, text: str) -> None:
    with pytest.raises(Invalid, match=name.lower()):
        load_settings(None, {f"COUNTERFOIL_{name}": text})


def test_settings_are_of_their_types() -> None:
    read = load_settings(
        None, {"COUNTERFOIL_DATA": "d", "COUNTERFOIL_STRICT_KEYS": "true", "COUNTERFOIL_ISSUE_RATE_PER_S": "2"}
    )
    assert (read.data, read.strict_keys, read.issue_rate_per_s) == (Path("d"), True, 2.0)


# -- bodies, headers, paths --


def test_a_body_in_base64_is_decoded(gateway: Gateway, functions: dict[str, Function]) -> None:
    event = event_2("POST", "/v1/passcodes", None, {"content-type": "application/json"}, {}, "shop")
    event |= {"body": base64.b64encode(b'{"client_id": "shop-1"}').decode(), "isBase64Encoded": True}
    assert functions["issue"].answered(event)["statusCode"] == 201
    event["body"] = "no base64!"
    answer = functions["issue"].answered(event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (400, "invalid_request")


def test_a_body_that_is_too_large_is_refused(functions: dict[str, Function]) -> None:
    body = json.dumps({"client_id": "shop-1", "transaction": "x" * 65_536})
    answer = functions["issue"].answered(event_2("POST", "/v1/passcodes", body, {}, {}, "shop"))
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (413, "body_too_large")


def test_a_lone_surrogate_is_refused_and_no_error(functions: dict[str, Function]) -> None:
    event = event_2("POST", "/v1/passcodes", '{"client_id": "\ud800"}', {"content-type": "application/json"}, {}, "shop")
    answer = functions["issue"].answered(event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (400, "invalid_request")


def test_a_named_stage_is_no_part_of_the_path() -> None:
    event = event_2("POST", "/prod/v1/passcodes", None, {}, {}, None)
    event["requestContext"] |= {"stage": "prod", "domainName": "api.execute-api.eu-south-1.amazonaws.com"}
    assert request_of(event, "jwt").path == "/v1/passcodes"


def test_under_a_domain_of_its_own_a_stage_is_not_in_the_path() -> None:
    event = event_2("POST", "/v1/passcodes", None, {}, {}, None)
    event["requestContext"] |= {"stage": "v1", "domainName": "payments.example"}
    assert request_of(event, "jwt").path == "/v1/passcodes"


@pytest.mark.parametrize("version", ["2.0", "1.0"])
@pytest.mark.parametrize(
    "gone", ["requestContext", "headers", "rawQueryString", "body", "rawPath", "path", "httpMethod", "all"]
)
def test_an_event_that_lacks_something_is_answered_all_the_same(
    functions: dict[str, Function], version: str, gone: str
) -> None:
    event = (event_2 if version == "2.0" else event_1)("POST", "/v1/passcodes", "{}", {"A": "b"}, {"a": "b"}, "shop")
    event = {} if gone == "all" else {name: value for name, value in event.items() if name != gone}
    assert 400 <= functions["issue"].answered(event)["statusCode"] < 500


@pytest.mark.parametrize(
    "changed",
    [
        {"rawQueryString": "a=\ud800"},
        {"body": "n\u00f6 base64", "isBase64Encoded": True},
        {"headers": {"a": "\ud800"}},
        {"requestContext": "text"},
        {"requestContext": {"http": {"method": "POST"}, "requestId": "r", "authorizer": "text"}},
    ],
)
def test_an_event_of_odd_parts_is_the_callers_mistake(functions: dict[str, Function], changed: dict[str, Any]) -> None:
    event = event_2("POST", "/v1/passcodes", "{}", {"content-type": "application/json"}, {}, "shop") | changed
    assert 400 <= functions["issue"].answered(event)["statusCode"] < 500


@pytest.mark.parametrize(
    "changed",
    [
        {"path": {}},
        {"path": None},
        {"path": "\ud800"},
        {"httpMethod": []},
        {"httpMethod": 1},
        {"requestContext": {"requestId": []}},
        {"requestContext": {"requestId": None}},
        {"requestContext": {"requestId": "\ud800"}},
    ],
)
def test_an_event_whose_names_are_no_texts_is_no_request(changed: dict[str, Any]) -> None:
    event = event_1("POST", "/v1/passcodes", None, {}, {}, None)
    request_of(event, "jwt")
    with pytest.raises(NoRequest):
        request_of(event | changed, "jwt")


def test_a_rest_api_without_the_multi_value_maps_is_understood() -> None:
    event = event_1("GET", "/generateOtp", None, {"Idempotency-Key": "a"}, {"clientId": "b"}, None)
    for name in ("multiValueHeaders", "multiValueQueryStringParameters"):
        del event[name]
    request = request_of(event, "jwt")
    assert (request.headers[b"idempotency-key"], request.query) == (b"a", b"clientId=b")


def test_a_header_that_came_twice_is_joined_so_that_no_rule_takes_it() -> None:
    event = event_1("POST", "/v1/passcodes", None, {}, {}, None)
    event["multiValueHeaders"] = {"Idempotency-Key": ["a", "b"]}
    assert request_of(event, "jwt").headers[b"idempotency-key"] == b"a, b"


def test_an_answer_is_what_the_gateway_takes() -> None:
    answer = response_of(Response(204, ((b"cache-control", b"no-store"),), b""), "req_x")
    assert answer == {
        "statusCode": 204,
        "headers": {"cache-control": "no-store", "request-id": "req_x"},
        "body": "",
        "isBase64Encoded": False,
    }


# -- what is printed --


async def test_a_request_is_one_line_that_cloudwatch_turns_into_metrics() -> None:
    out = io.StringIO()
    observer = MetricLines("test", out)
    observer.refused(Reason.EXPIRED)
    observer.answered("/v1/passcodes/validate", 409, 0.0015)
    observer.answered("/v1/passcodes", 201, 0.001)
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["route"], first["status"], first["reason"]) == ("/v1/passcodes/validate", "409", "expired")
    directives = first["_aws"]["CloudWatchMetrics"]
    assert [directive["Dimensions"] for directive in directives] == [[["stage", "route"]], [["stage", "reason"]]]
    for directive in directives:
        assert directive["Namespace"] == "Counterfoil"
        for metric in directive["Metrics"]:
            assert isinstance(first[metric["Name"]], int | float)
        assert all(isinstance(first[name], str) for name in directive["Dimensions"][0])
    assert len(second["_aws"]["CloudWatchMetrics"]) == 1
    assert "reason" not in second
    assert (await observer.exposition())[1] == b""


def test_a_record_is_one_json_line_and_an_exception_says_where_and_never_what(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        log_json_lines("DEBUG")
        try:
            raise ValueError("canary-secret")
        except ValueError:
            logging.getLogger("test").exception("request %s failed", "req_1")
        assert logging.getLogger("botocore").level == logging.WARNING
    finally:
        root.handlers[:], root.level = before
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert (record["level"], record["message"], record["exception"]) == ("ERROR", "request req_1 failed", "ValueError")
    assert any("test_lambda.py" in frame for frame in record["where"])
    assert "canary" not in line
    plain = JsonLines().format(logging.LogRecord("n", logging.INFO, "f", 1, "m", None, None))
    assert "exception" not in json.loads(plain)


def test_no_secret_is_printed_at_debug(environment: dict[str, str]) -> None:
    """In a process of its own, since what is printed is the whole process's."""
    program = """
import json, sys
from counterfoil.entrypoints import aws_lambda
for name, event in json.load(sys.stdin):
    print(json.dumps(getattr(aws_lambda, name)(event, None)), file=sys.stderr)
"""
    credentials = {**SDK_ENVIRONMENT, "AWS_SECRET_ACCESS_KEY": "canary-aws-secret", "AWS_SESSION_TOKEN": "canary-aws-token"}
    body = {"client_id": "shop-1", "context": {"card": "canary-card"}, "transaction": {"payee": "canary-payee"}}
    headers = {"content-type": "application/json", "authorization": "Bearer canary-token"}
    events = [
        ("issue", event_2("POST", "/v1/passcodes", json.dumps(body), headers, {}, "shop")),
        ("issue", event_2("POST", "/v1/passcodes", '{"client_id": "canary', headers, {}, "shop")),
        (
            "validate",
            event_2("GET", "/validateOtp", None, headers, {"clientId": "1", "timestamp": "1", "deviceId": "canary"}, "backend"),
        ),
    ]
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(events),
        env={**clean_environment(), **environment, **credentials, "COUNTERFOIL_LOG_LEVEL": "DEBUG"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"statusCode')]
    assert [answer["statusCode"] for answer in answers] == [201, 400, 409]
    passcode = json.loads(answers[0]["body"])["passcode"]
    for secret in ("canary", passcode, passcode[30:60]):
        assert secret not in done.stdout
    assert all(json.loads(line) for line in done.stdout.splitlines())


def test_a_function_whose_credentials_are_in_its_environment_does_without_the_sdk(environment: dict[str, str]) -> None:
    program = """
import json, sys
sys.modules["botocore"] = None
from counterfoil.entrypoints import aws_lambda
print(json.dumps(aws_lambda.issue(json.load(sys.stdin), None)))
"""

    event = event_2("POST", "/v1/passcodes", '{"client_id": "shop-1"}', {"content-type": "application/json"}, {}, "shop")

    without = {name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}

    def ran(credentials: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(event),
            env={**without, **environment, "AWS_REGION": REGION, **credentials},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = ran(SDK_ENVIRONMENT)
    assert json.loads(done.stdout.splitlines()[-1])["statusCode"] == 201, done.stderr
    # A control: without them it would have looked for the SDK.
    assert "AWS_ACCESS_KEY_ID: must be set" in ran({}).stderr


# -- what an import must not do --

IMPORT = """
import os, random, secrets, sys
drawn = []
def counted(name, call):
    def either(*arguments, **named):
        frame, ours = sys._getframe(1), False
        while frame:
            ours = ours or "counterfoil" in frame.f_code.co_filename
            frame = frame.f_back
        if ours: drawn.append(name)
        return call(*arguments, **named)
    return either
os.urandom = counted("urandom", os.urandom)
secrets.token_bytes = counted("token_bytes", secrets.token_bytes)
{more}
import counterfoil.entrypoints.aws_lambda
print(drawn)
unwanted = {{"httpx2", "apsw", "botocore", "uvicorn", "click", "rich", "typed_settings", "prometheus_client"}}
print(sorted(unwanted & {{name.partition(".")[0] for name in sys.modules}}))
"""


def _imported(more: str = "") -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(more=more)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    drawn, unwanted = done.stdout.splitlines()
    return drawn, unwanted


def test_an_import_draws_no_randomness_and_brings_no_room_that_a_function_does_not_need() -> None:
    assert _imported() == ("[]", "[]")


def test_control_randomness_at_import_is_seen() -> None:
    drawn, _ = _imported("compile_ = compile('import os; os.urandom(8)', 'counterfoil/planted.py', 'exec'); exec(compile_)")
    assert drawn == "['urandom']"
