"""Problems (RFC 9457): every answer that is not a success, with a stable `code`. It never repeats what a caller sent."""

from dataclasses import dataclass

from msgspec import UNSET, Struct, UnsetType

CONTENT_TYPE = "application/problem+json"


class Problem(Struct, frozen=True):
    """A problem as it travels. `title` and `detail` may be shown to anybody; `reason` is for the validator."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    reason: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of problem. `detail` is what is said where there is nothing more to say."""

    code: str
    status: int
    title: str
    detail: str

    @property
    def type(self) -> str:
        """The URI that names the kind; it is a name, not an address."""
        return f"urn:counterfoil:problem:{self.code}"


_UNDECIDED = "Nothing was decided, or it is not known what was. Ask again; if the call has a redemption id, with the same one."

INVALID_REQUEST = ProblemKind("invalid_request", 400, "The request breaks a rule", "See docs/http.md for the rules.")
SEALED_CONTEXT_REFUSED = ProblemKind(
    "sealed_context_refused", 400, "The sealed context was refused", "Ask the backend for a new one."
)
UNAUTHENTICATED = ProblemKind(
    "unauthenticated", 401, "No valid credential", "Send `Authorization: Bearer <credential>` with a live credential."
)
FORBIDDEN = ProblemKind("forbidden", 403, "This credential may not do that", "Its role or its clients do not cover it.")
NOT_FOUND = ProblemKind("not_found", 404, "No such route", "GET /openapi.json lists the routes.")
METHOD_NOT_ALLOWED = ProblemKind("method_not_allowed", 405, "Wrong method", "The Allow header lists the methods.")
TIMED_OUT = ProblemKind("request_timeout", 408, "The request took too long", "Send the body at once.")
PASSCODE_REFUSED = ProblemKind(
    "passcode_refused", 409, "The passcode was refused", "The passcode cannot be accepted for this transaction."
)
TOO_LARGE = ProblemKind("body_too_large", 413, "The body is too large", "A body has at most 65536 bytes.")
WRONG_CONTENT_TYPE = ProblemKind("wrong_content_type", 415, "The body is not JSON", "Send `Content-Type: application/json`.")
HEAD_TOO_LARGE = ProblemKind(
    "head_too_large", 431, "The head is too large", "Request line and headers have at most 32768 bytes and 100 headers."
)
LIMIT_REACHED = ProblemKind("limit_reached", 429, "A limit was reached", "Wait as Retry-After says.")
INTERNAL_ERROR = ProblemKind("internal_error", 500, "Something unforeseen went wrong", _UNDECIDED)
NOT_TOLD_HERE = ProblemKind(
    "not_told_here", 501, "This deployment does not tell that", "What would be asked for it cannot be read from here."
)
STORE_UNAVAILABLE = ProblemKind("store_unavailable", 503, "The store is unavailable", _UNDECIDED)
KEYS_UNAVAILABLE = ProblemKind("keys_unavailable", 503, "The keys are unavailable", _UNDECIDED)
CREDENTIALS_UNAVAILABLE = ProblemKind("credentials_unavailable", 503, "The credentials cannot be checked", _UNDECIDED)
CLOCK_DISAGREES = ProblemKind(
    "clock_disagrees", 503, "The clocks disagree", "The passcode is stamped in this service's future. " + _UNDECIDED
)

KINDS = (
    INVALID_REQUEST,
    SEALED_CONTEXT_REFUSED,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TIMED_OUT,
    PASSCODE_REFUSED,
    TOO_LARGE,
    WRONG_CONTENT_TYPE,
    HEAD_TOO_LARGE,
    LIMIT_REACHED,
    INTERNAL_ERROR,
    NOT_TOLD_HERE,
    STORE_UNAVAILABLE,
    KEYS_UNAVAILABLE,
    CREDENTIALS_UNAVAILABLE,
    CLOCK_DISAGREES,
)
