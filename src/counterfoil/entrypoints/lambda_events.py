"""API Gateway's events as requests, and answers as its responses: payload 2.0 (HTTP API) and 1.0 (REST API).

Who calls is taken from what the gateway's authorizer verified, and from nowhere else:

* JWT: the claim `sub` in `requestContext.authorizer.jwt.claims` (2.0) or `requestContext.authorizer.claims` (1.0), where `exp`
  must be too. The subject is `jwt:` and that claim.
* IAM: `requestContext.authorizer.iam.userArn` (2.0) or `requestContext.identity.userArn` (1.0). The subject is `iam:` and the
  ARN, without an assumed role's session name.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from counterfoil.api.http import Request, Response

Authorizer: TypeAlias = Literal["jwt", "iam"]
Event: TypeAlias = Mapping[str, Any]


def request_of(event: Event, authorizer: Authorizer) -> Request:
    """The request in an event. A body that is not what the event says it is becomes no JSON, which the rules refuse."""
    context = event["requestContext"]
    if event.get("version") == "2.0":
        method, path, query = context["http"]["method"], _without_stage(event["rawPath"], context), event["rawQueryString"]
        headers = {name.lower(): value for name, value in event["headers"].items()}
    else:
        method, path, query = event["httpMethod"], event["path"], _query(event)
        headers = _joined(event)
    return Request(
        method=method,
        path=path,
        query=query.encode(),
        headers={name.encode(): value.encode("utf-8", "surrogatepass") for name, value in headers.items()},
        body=_body(event),
        request_id=f"req_{context['requestId']}",
        gateway_subject=_subject(context, authorizer),
    )


def response_of(response: Response, request_id: str) -> dict[str, Any]:
    """The answer as the gateway takes it, in either version."""
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return {
        "statusCode": response.status,
        "headers": {**headers, "request-id": request_id},
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }


def _subject(context: Mapping[str, Any], authorizer: Authorizer) -> str | None:
    verified = context.get("authorizer") or {}
    if authorizer == "jwt":
        claims = (verified.get("jwt") or {}).get("claims") or verified.get("claims") or {}
        subject = claims.get("sub")
        # The gateway refuses a token after its `exp`, but takes one that has none: it would be good for ever.
        return f"jwt:{subject}" if isinstance(subject, str) and subject and "exp" in claims else None
    arn = (verified.get("iam") or {}).get("userArn") or (context.get("identity") or {}).get("userArn")
    if not isinstance(arn, str) or not arn:
        return None
    # arn:aws:sts::<account>:assumed-role/<role>/<session>: whoever assumes the role chooses the session's name.
    return f"iam:{arn.rpartition('/')[0] if ':assumed-role/' in arn else arn}"


def _without_stage(path: str, context: Mapping[str, Any]) -> str:
    stage = context.get("stage", "$default")
    return path if stage == "$default" else path.removeprefix(f"/{stage}")


def _query(event: Event) -> str:
    many = event.get("multiValueQueryStringParameters") or {}
    return urlencode([(name, value) for name, values in many.items() for value in values])


def _joined(event: Event) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, values in (event.get("multiValueHeaders") or {}).items():
        headers[name.lower()] = ", ".join(values)
    return headers


def _body(event: Event) -> bytes:
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate, which JSON can spell, has no UTF-8: it is handed on as it is, and refused as not UTF-8.
        return body.encode("utf-8", "surrogatepass")
    try:
        return b64decode(body, validate=True)
    except Error:
        return b"\xff"
