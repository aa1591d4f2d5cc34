"""The signature of a request to AWS: AWS's own examples, the SDK's signer on requests of any kind, and what it covers."""

from datetime import UTC, datetime

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.aws.credentials import Credentials
from counterfoil.aws.signature import signed

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
EXAMPLE_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
    "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38"
    "xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
EXAMPLE_AT_S = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
HOST = {"host": "example.amazonaws.com"}
FORM_SHA256 = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
FORM = {"content-length": "13", "x-amz-content-sha256": FORM_SHA256, **HOST}


def _signature(headers: dict[str, str], body: bytes = b"", credentials: Credentials = EXAMPLE) -> str:
    made = signed(headers, body, credentials, region="us-east-1", service="service", at_s=EXAMPLE_AT_S)
    return made["authorization"]


@pytest.mark.parametrize(
    ("headers", "body", "token", "names", "signature"),
    [
        (HOST, b"", None, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            {"my-header1": "value1", **HOST},
            b"",
            None,
            "host;my-header1;x-amz-date",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            {"my-header1": "VALUE1", **HOST},
            b"",
            None,
            "host;my-header1;x-amz-date",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            HOST,
            b"",
            EXAMPLE_TOKEN,
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
        (
            {"content-type": "application/x-www-form-urlencoded", **FORM},
            b"Param1=value1",
            None,
            "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
        (
            {"content-type": "application/x-www-form-urlencoded; charset=utf-8", **FORM},
            b"Param1=value1",
            None,
            "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
        ),
    ],
    ids=[
        "post-vanilla",
        "post-header-key-sort",
        "post-header-value-case",
        "post-sts-header-before",
        "post-x-www-form-urlencoded",
        "post-x-www-form-urlencoded-parameters",
    ],
)
def test_the_examples_of_the_published_test_suite(
    headers: dict[str, str], body: bytes, token: str | None, names: str, signature: str
) -> None:
    """Of AWS's signing test suite, version 4: those that are a POST to `/` without a query."""
    credentials = Credentials(EXAMPLE.access_key_id, EXAMPLE.secret_access_key, token)
    assert _signature(headers, body, credentials) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


@given(
    body=st.binary(max_size=300),
    at_s=st.integers(0, 4_102_444_800),
    key=TEXTS,
    secret=TEXTS,
    token=st.none() | TEXTS,
    region=st.from_regex(r"[a-z]{2}-[a-z]{3,9}-[1-9]", fullmatch=True),
    service=st.sampled_from(["dynamodb", "kms"]),
    operation=st.from_regex(r"[A-Za-z0-9_]{1,20}\.[A-Za-z]{1,20}", fullmatch=True),
    port=st.sampled_from(["", ":8000"]),
)
def test_it_signs_as_the_sdk_does(
    body: bytes, at_s: int, key: str, secret: str, token: str | None, region: str, service: str, operation: str, port: str
) -> None:
    host = f"{service}.{region}.amazonaws.com{port}"
    named = {"content-type": "application/x-amz-json-1.0", "x-amz-target": operation}
    request = AWSRequest("POST", f"https://{host}/", headers=dict(named), data=body)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(auth, "get_current_datetime", lambda *_, **__: datetime.fromtimestamp(at_s, UTC))
        auth.SigV4Auth(SdkCredentials(key, secret, token), service, region).add_auth(request)
    ours = signed({"host": host, **named}, body, Credentials(key, secret, token), region=region, service=service, at_s=at_s)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")


def test_whatever_is_changed_changes_the_signature() -> None:
    """A control: the comparisons above would notice."""
    token = Credentials(EXAMPLE.access_key_id, EXAMPLE.secret_access_key, "token")
    made = [
        _signature(HOST),
        _signature({"host": "example.amazonaws.com:81"}),
        _signature({"a": "1", **HOST}),
        _signature({"a": "2", **HOST}),
        _signature(HOST, b"x"),
        _signature(HOST, b"", token),
        _signature(HOST, b"", Credentials(EXAMPLE.access_key_id, "another")),
        signed(HOST, b"", EXAMPLE, region="us-east-2", service="service", at_s=EXAMPLE_AT_S)["authorization"],
        signed(HOST, b"", EXAMPLE, region="us-east-1", service="kms", at_s=EXAMPLE_AT_S)["authorization"],
        signed(HOST, b"", EXAMPLE, region="us-east-1", service="service", at_s=EXAMPLE_AT_S + 1)["authorization"],
    ]
    assert len({each.rpartition("=")[2] for each in made}) == len(made)


def test_no_credential_is_in_what_is_sent_but_its_name_and_token() -> None:
    made = signed(HOST, b"", Credentials("id", "canary-secret", "token"), region="r", service="s", at_s=0)
    assert "canary" not in str(made)
    assert made["x-amz-security-token"] == "token"
