"""The routes of operators: to look, not to act. A server's, like `/v1/caller`; functions have none of them."""

from typing import Any

from counterfoil.api.operator_handlers import LIMIT_DEFAULT, LIMIT_MAX, OperatorHandlers, Order
from counterfoil.api.routes import OPERATOR, QueryParameter, Route
from counterfoil.model.journal import Event
from counterfoil.model.limits import CLIENT_ID_CHARS_MAX
from counterfoil.model.verdict import Reason
from counterfoil.wire import operator_messages as wire
from counterfoil.wire import problems as kinds

_TIME: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_CLIENT_ID = QueryParameter(
    "client_id", False, "Of this client alone.", {"type": "string", "minLength": 1, "maxLength": CLIENT_ID_CHARS_MAX}
)
_SINCE = QueryParameter("since", False, "From this time on, in microseconds since the Unix epoch.", _TIME)
_UNTIL = QueryParameter("until", False, "Before this time, likewise.", _TIME)
_CURSOR = QueryParameter("cursor", False, "The `next` of an earlier answer to the same question.")
_JOURNAL_PROBLEMS = (
    kinds.LIMIT_REACHED,
    kinds.NOT_TOLD_HERE,
    kinds.STORE_UNAVAILABLE,
    kinds.CREDENTIALS_UNAVAILABLE,
)


def operator_routes(handlers: OperatorHandlers) -> tuple[Route, ...]:
    """All of them."""
    return (
        Route(
            method="GET",
            path="/v1/journal",
            roles=OPERATOR,
            handler=handlers.show_journal,
            status=200,
            summary="Look at the journal",
            description="Every call passes a bounded number of entries: `next` is there while some are left to pass, also where"
            " none was found. A look for a time misses nothing unless a clock was set back by more than a minute.",
            answer=wire.JournalAnswer,
            parameters=(
                _CLIENT_ID,
                QueryParameter("timestamp", False, "Of passcodes with this timestamp; from this time on.", _TIME),
                QueryParameter("event", False, "Of this kind alone.", {"type": "string", "enum": list(Event)}),
                QueryParameter("reason", False, "Refused for this reason.", {"type": "string", "enum": list(Reason)}),
                _SINCE,
                _UNTIL,
                QueryParameter("order", False, "Which entry comes first.", {"enum": list(Order), "default": Order.NEWEST}),
                QueryParameter(
                    "limit",
                    False,
                    "How many entries at most.",
                    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
                ),
                _CURSOR,
            ),
            problems=_JOURNAL_PROBLEMS,
        ),
        Route(
            method="POST",
            path="/v1/journal/passcode",
            roles=OPERATOR,
            handler=handlers.tell_passcode,
            status=200,
            summary="Tell the story of one passcode",
            description="Of a passcode only its timestamp is read: it is not verified, not redeemed, and nothing is counted. A"
            " forgery that carries a genuine timestamp hears the genuine story.",
            body=wire.PasscodeStoryBody,
            answer=wire.PasscodeStory,
            problems=_JOURNAL_PROBLEMS,
        ),
        Route(
            method="GET",
            path="/v1/refusals",
            roles=OPERATOR,
            handler=handlers.show_refusals,
            status=200,
            summary="Count refusals by client, caller, reason and time",
            description="Of the last 24 hours unless `since` says otherwise. The answer's `since` is as far back as was looked;"
            " `next` is there while entries of the time asked for are left to pass.",
            answer=wire.RefusalsAnswer,
            parameters=(_SINCE, _UNTIL, _CLIENT_ID, _CURSOR),
            problems=_JOURNAL_PROBLEMS,
        ),
        Route(
            method="GET",
            path="/v1/keys",
            roles=OPERATOR,
            handler=handlers.show_keys,
            status=200,
            summary="List the keys, without material",
            answer=wire.KeysAnswer,
            problems=(kinds.INVALID_REQUEST, kinds.NOT_TOLD_HERE, kinds.KEYS_UNAVAILABLE, kinds.CREDENTIALS_UNAVAILABLE),
        ),
        Route(
            method="GET",
            path="/v1/credentials",
            roles=OPERATOR,
            handler=handlers.show_credentials,
            status=200,
            summary="List the credentials, without secrets, with their last use",
            answer=wire.CredentialsAnswer,
            problems=(kinds.INVALID_REQUEST, *_JOURNAL_PROBLEMS),
        ),
        Route(
            method="GET",
            path="/v1/health",
            roles=OPERATOR,
            handler=handlers.show_health,
            status=200,
            summary="Check settings, store, keys, credentials and clock",
            description="What `counterfoil doctor` says, but for the page by page check of the store, which takes long.",
            answer=wire.HealthChecksAnswer,
            problems=(kinds.INVALID_REQUEST, kinds.LIMIT_REACHED, kinds.CREDENTIALS_UNAVAILABLE),
        ),
    )
