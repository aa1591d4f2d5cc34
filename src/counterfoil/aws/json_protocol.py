"""AWS's JSON protocols 1.0 and 1.1: a POST with the operation in a header, and answers that are taken whole or not at all.

Source: "AWS JSON 1.0 protocol" and "AWS JSON 1.1 protocol" of Smithy; `x-amz-crc32` from "DynamoDB low-level API".
"""

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from counterfoil.aws.connection import Answer, NoAnswer
from counterfoil.aws.credentials import Credentials
from counterfoil.aws.endpoint import Endpoint
from counterfoil.aws.signature import signed

R = TypeVar("R")

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,79}")


class Service(NamedTuple):
    """What a service is called in its requests."""

    name: str
    target: str
    content_type: str


DYNAMODB = Service("dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0")
KMS = Service("kms", "TrentService", "application/x-amz-json-1.1")


class Question(NamedTuple, Generic[R]):
    """One operation, its arguments as they are when it is sent, and how the body of its success is read.

    `read` raises NoAnswer for what is no answer to this very question.
    """

    operation: str
    arguments: Callable[[], Mapping[str, Any]]
    read: Callable[[bytes], R]


class Refusal(Exception):
    """AWS says that it did not do it. `code` is its word for why, or the HTTP status; `body` has the rest and is not shown."""

    def __init__(self, status: int, code: str, body: bytes = b"") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.body = body


def request_bytes(
    service: Service,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    endpoint: Endpoint,
    region: str,
    credentials: Credentials,
    at_s: float,
) -> bytes:
    """The request, signed at that moment. Bytes among the arguments are sent in base64, as both services want them."""
    body = msgspec.json.encode(arguments)
    named = {
        "content-type": service.content_type,
        "host": endpoint.authority,
        "x-amz-target": f"{service.target}.{operation}",
    }
    headers = signed(named, body, credentials, region=region, service=service.name, at_s=at_s)
    # Said because of proxies: a compressed answer would not be what its checksum is of.
    headers |= {"accept-encoding": "identity", "content-length": str(len(body)), "user-agent": "counterfoil"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def success(answer: Answer) -> bytes:
    """The body of a success. Raises Refusal for every other answer, and NoAnswer when its checksum is not its own."""
    checksum = answer.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(answer.body)):
        raise NoAnswer("its checksum is wrong")
    if answer.status != 200:
        raise Refusal(answer.status, _code(answer), answer.body)
    return answer.body


def decoded(decoder: "msgspec.json.Decoder[R]", body: bytes) -> R:
    """The body as the decoder's type. Raises NoAnswer for what is no JSON, and for JSON of other types."""
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        # Not chained: it may say what is in there.
        raise NoAnswer("it is not what it should be") from None


class _Error(msgspec.Struct, gc=False):
    kind: str | None = msgspec.field(default=None, name="__type")
    code: str | None = None


_ERROR = msgspec.json.Decoder(_Error)


def _code(answer: Answer) -> str:
    """AWS's name of an error, without the namespace before and the address after it. A proxy's refusal has none."""
    try:
        error = _ERROR.decode(answer.body)
    except msgspec.DecodeError:
        error = _Error()
    named = error.kind or error.code or answer.headers.get("x-amzn-errortype", "")
    code = named.rpartition("#")[2].partition(":")[0]
    return code if _CODE.fullmatch(code) else f"HTTP {answer.status}"
