"""API Gateway's events as requests, and answers as its responses: payload 2.0 (HTTP API) and 1.0 (REST API).

Who calls is taken from what the gateway's authorizer verified, and from nowhere else:

* JWT: the claim `sub` in `requestContext.authorizer.jwt.claims` (2.0) or `requestContext.authorizer.claims` (1.0), where `exp`
  must be too. The subject is `jwt:` and that claim.
* IAM: `requestContext.authorizer.iam.userArn` (2.0) or `requestContext.identity.userArn` (1.0). The subject is `iam:` and the
  ARN, without an assumed role's session name.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from counterfoil.api.http import Request, Response

_ASSUMED_ROLE = re.compile(r"arn:[a-z\-]+:sts::\d+:assumed-role/")
Authorizer: TypeAlias = Literal["jwt", "iam"]
Event: TypeAlias = Mapping[str, Any]


class NoRequest(ValueError):
    """The event is not one that API Gateway makes."""


def request_of(event: Event, authorizer: Authorizer) -> Request:
    """The request in an event. Raises NoRequest. A body that is not what the event says becomes no JSON, which is refused."""
    try:
        return _request(event, authorizer)
    except (KeyError, TypeError, AttributeError, ValueError):
        # Not chained: what the event holds belongs into no log.
        raise NoRequest from None


def _request(event: Event, authorizer: Authorizer) -> Request:
    context = event["requestContext"]
    if event.get("version") == "2.0":
        method, path = context["http"]["method"], _without_stage(event["rawPath"], context)
        query = event.get("rawQueryString") or ""
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    else:
        method, path, query = event["httpMethod"], event["path"], _query(event)
        headers = _joined(event)
    # Whatever is not a text here, or has no UTF-8, would meet the api room where it raises for nobody.
    "".join((method, path, context["requestId"])).encode()
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
    return f"iam:{arn.rpartition('/')[0] if _ASSUMED_ROLE.match(arn) else arn}"


def _without_stage(path: str, context: Mapping[str, Any]) -> str:
    stage = context.get("stage", "$default")
    # Under a domain of its own an API has its path as it is, and a stage may be called as a path begins.
    is_own_domain = not str(context.get("domainName", "")).endswith(".amazonaws.com")
    return path if stage == "$default" or is_own_domain else path.removeprefix(f"/{stage}")


def _query(event: Event) -> str:
    many = event.get("multiValueQueryStringParameters") or _as_many(event.get("queryStringParameters"))
    return urlencode([(name, value) for name, values in many.items() for value in values])


def _joined(event: Event) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, values in (event.get("multiValueHeaders") or _as_many(event.get("headers"))).items():
        headers[name.lower()] = ", ".join(values)
    return headers


def _as_many(single: Mapping[str, str] | None) -> dict[str, list[str]]:
    return {name: [value] for name, value in (single or {}).items()}


def _body(event: Event) -> bytes:
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate, which JSON can spell, has no UTF-8: it is handed on as it is, and refused as not UTF-8.
        return body.encode("utf-8", "surrogatepass")
    try:
        return b64decode(body, validate=True)
    except ValueError:
        return b"\xff"
