"""The Python client against servers that answer well, badly, late or not at all. Both clients make the same claims."""

import asyncio
import inspect
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import counterfoil
from counterfoil.client import (
    ABSENT,
    AsyncClient,
    Client,
    CredentialRefused,
    LimitReached,
    PasscodeRefused,
    RequestInvalid,
    ServiceUnavailable,
    VerdictUnknown,
    new_redemption_id,
)
from counterfoil.client.exchange import Answer, retry_after_s
from tests.support.scripted_server import Asked, Reply, scripted_server

CREDENTIAL = "cfv_canary-credential"
Call = Callable[..., Any]


def _with_client(url: str, verb: str, *values: Any, **named: Any) -> Any:
    with Client(url, CREDENTIAL, timeout_s=5, tries=3) as client:
        return getattr(client, verb)(*values, **named)


def _with_async_client(url: str, verb: str, *values: Any, **named: Any) -> Any:
    async def ask() -> Any:
        async with AsyncClient(url, CREDENTIAL, timeout_s=5, tries=3) as client:
            return await getattr(client, verb)(*values, **named)

    return asyncio.run(ask())


@pytest.fixture(params=[_with_client, _with_async_client], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = request.param
    return made


def _accepted(asked: Asked) -> dict[str, Any]:
    return {
        "client_id": asked.body["client_id"],
        "timestamp": 1,
        "redeemed_at": 2,
        "redemption_id": asked.headers["idempotency-key"],
        "replayed": False,
    }


def _problem(status: int, code: str, **more: Any) -> dict[str, Any]:
    return {"type": "t", "title": "t", "status": status, "detail": "d", "code": code, "request_id": "req_1", **more}


ACCEPTED = Reply(200, made=_accepted)
ISSUED = Reply(201, {"client_id": "1234", "timestamp": 1, "expires_at": 2, "passcode": "cf1_canary"})
UNAVAILABLE = Reply(503, _problem(503, "store_unavailable"), {"retry-after": "0"})
DROPPED = Reply(dropped=True)


def test_a_validation_sends_all_it_is_given_under_the_bearer_credential(call: Call) -> None:
    with scripted_server(ACCEPTED) as server:
        accepted = call(
            server.url,
            "validate",
            "1234",
            "cf1_x",
            context={"device_id": "d-9"},
            sealed_pairs={},
            transaction=None,
            timestamp=7,
            redemption_id="mine",
        )
    assert accepted.redemption_id == "mine"
    (asked,) = server.asked
    assert asked.headers["authorization"] == f"Bearer {CREDENTIAL}"
    assert asked.body == {
        "client_id": "1234",
        "passcode": "cf1_x",
        "context": {"device_id": "d-9"},
        "sealed_pairs": {},
        "transaction": None,
        "timestamp": 7,
    }


def test_an_absent_transaction_is_not_sent_and_null_is(call: Call) -> None:
    with scripted_server(ISSUED) as server:
        call(server.url, "issue", "1234", transaction=ABSENT)
        call(server.url, "issue", "1234", transaction=None)
    assert ["transaction" in asked.body for asked in server.asked] == [False, True]


def test_a_lost_answer_is_asked_for_again_with_the_same_redemption_id(call: Call) -> None:
    with scripted_server(DROPPED, UNAVAILABLE, ACCEPTED) as server:
        accepted = call(server.url, "validate", "1234", "cf1_x")
    ids = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(server.asked) == 3
    assert ids == {accepted.redemption_id}


def test_two_validations_have_two_redemption_ids(call: Call) -> None:
    with scripted_server(ACCEPTED) as server:
        assert call(server.url, "validate", "c", "p").redemption_id != call(server.url, "validate", "c", "p").redemption_id


@pytest.mark.parametrize("reply", [DROPPED, UNAVAILABLE, Reply(502, b"<html>"), Reply(500, _problem(500, "internal_error"))])
def test_no_verdict_after_all_tries_is_unknown_and_names_the_id_to_ask_again_with(call: Call, reply: Reply) -> None:
    with scripted_server(reply) as server, pytest.raises(VerdictUnknown) as caught:
        call(server.url, "validate", "1234", "cf1_x", redemption_id="mine")
    assert caught.value.redemption_id == "mine"
    assert len(server.asked) == 3


def test_nobody_listening_is_unavailable(call: Call) -> None:
    with pytest.raises(ServiceUnavailable):
        call("http://127.0.0.1:9", "issue", "1234")


def test_a_refusal_raises_at_once_so_that_an_ignored_return_value_is_safe(call: Call) -> None:
    refused = Reply(409, _problem(409, "passcode_refused", reason="expired"))
    with scripted_server(refused) as server, pytest.raises(PasscodeRefused) as caught:
        call(server.url, "validate", "1234", "cf1_x")
    assert (caught.value.reason, caught.value.request_id) == ("expired", "req_1")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(400, _problem(400, "invalid_request")), RequestInvalid),
        (Reply(401, _problem(401, "unauthenticated")), CredentialRefused),
        (Reply(403, _problem(403, "forbidden")), CredentialRefused),
        (Reply(404, b"no such page"), RequestInvalid),
        (Reply(409, b"{}"), RequestInvalid),
        (Reply(429, _problem(429, "limit_reached"), {"retry-after": "3"}), LimitReached),
    ],
)
def test_what_asking_again_cannot_change_is_asked_once(call: Call, reply: Reply, error: type[Exception]) -> None:
    with scripted_server(reply) as server, pytest.raises(error):
        call(server.url, "issue", "1234")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>welcome</html>"),
        Reply(200, {}),
        Reply(201, made=_accepted),
        Reply(204),
        Reply(302, b"", {"location": "/elsewhere"}),
        Reply(200, made=lambda asked: {**_accepted(asked), "redemption_id": "another"}),
        Reply(200, made=lambda asked: {**_accepted(asked), "client_id": "another"}),
    ],
)
def test_only_an_acceptance_of_this_very_question_is_acceptance(call: Call, reply: Reply) -> None:
    with scripted_server(reply) as server, pytest.raises(VerdictUnknown):
        call(server.url, "validate", "1234", "cf1_x")


def test_limits_say_when_to_come_again(call: Call) -> None:
    limited = Reply(429, _problem(429, "limit_reached"), {"retry-after": "3"})
    with scripted_server(limited) as server, pytest.raises(LimitReached) as caught:
        call(server.url, "issue", "1234")
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize(
    ("header", "wait_s"), [(None, None), ("2", 2.0), ("86400", 86400.0), ("soon", None), ("-1", None), ("\u00b2", None)]
)
def test_what_a_server_asks_to_wait_is_told_as_it_is(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(Answer(503, b"", header)) == wait_s


def test_a_server_cannot_make_the_client_wait_for_long(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("synchronous", "asynchronous"):
        monkeypatch.setattr(f"counterfoil.client.{module}.RETRY_AFTER_S_MAX", 0.01)
    with scripted_server(Reply(503, None, {"retry-after": "86400"})) as server, pytest.raises(ServiceUnavailable) as caught:
        call(server.url, "issue", "1234")
    assert caught.value.retry_after_s == 86400


@pytest.mark.parametrize(
    "then",
    [
        Reply(401, _problem(401, "unauthenticated")),
        Reply(404, b"no such page"),
        Reply(429, _problem(429, "limit_reached"), {"retry-after": "3"}),
        Reply(409, _problem(409, "passcode_refused", reason="key_retired")),
        Reply(409, _problem(409, "passcode_refused", reason="unknown_passcode")),
        Reply(200, b"no gzip", {"content-encoding": "gzip"}),
        Reply(503, None, {"retry-after": "\u00b2"}),
    ],
    ids=["401", "404", "429", "key_retired", "unknown_passcode", "bad gzip", "odd Retry-After"],
)
def test_after_a_lost_answer_nothing_but_a_verdict_ends_the_doubt(call: Call, then: Reply) -> None:
    with scripted_server(Reply(dropped=True), then) as server, pytest.raises(VerdictUnknown) as caught:
        call(server.url, "validate", "1234", "cf1_x")
    assert caught.value.redemption_id == server.asked[0].headers["idempotency-key"]


def test_after_a_lost_answer_a_verdict_is_a_verdict(call: Call) -> None:
    refusal = Reply(409, _problem(409, "passcode_refused", reason="expired"))
    with scripted_server(Reply(dropped=True), refusal) as server, pytest.raises(PasscodeRefused):
        call(server.url, "validate", "1234", "cf1_x")


def test_a_transaction_too_deep_to_spell_is_the_callers_mistake(call: Call) -> None:
    deep: Any = None
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RequestInvalid):
        call("http://127.0.0.1:1", "issue", "1234", transaction=deep)


def test_revoking_and_sealing_go_their_ways(call: Call) -> None:
    sealed = Reply(200, {"client_id": "1234", "sealed_context": "cfx1_x", "expires_at": 9})
    with scripted_server(Reply(204), sealed) as server:
        assert call(server.url, "revoke", "1234", passcode="cf1_x") is None
        assert call(server.url, "seal_context", "1234", {"limit": "500"}, lifetime_s=60).sealed_context == "cfx1_x"
    assert server.asked[1].body == {"client_id": "1234", "sealed_pairs": {"limit": "500"}, "lifetime_s": 60}


@pytest.mark.parametrize("transaction", [Decimal("10.00"), {"at": object()}, float("nan"), b"bytes"])
def test_a_transaction_that_is_not_json_is_the_callers_mistake(call: Call, transaction: Any) -> None:
    with scripted_server(ISSUED) as server, pytest.raises(RequestInvalid, match="JSON"):
        call(server.url, "issue", "1234", transaction=transaction)
    assert server.asked == []


@pytest.mark.parametrize("redemption_id", ["", "with space", "é", "x" * 129])
def test_a_redemption_id_outside_its_alphabet_never_leaves(call: Call, redemption_id: str) -> None:
    with scripted_server(ACCEPTED) as server, pytest.raises(RequestInvalid):
        call(server.url, "validate", "1234", "cf1_x", redemption_id=redemption_id)
    assert server.asked == []


def test_a_credential_that_cannot_stand_in_a_header_is_refused_without_being_shown() -> None:
    with pytest.raises(RequestInvalid) as caught:
        Client("http://127.0.0.1:9", "cfv_\ncanary")
    assert "canary" not in str(caught.value)


def test_no_secret_is_in_any_repr_or_message(call: Call) -> None:
    with scripted_server(ISSUED, DROPPED) as server:
        issued = call(server.url, "issue", "1234", context={"device_id": "canary-device"})
        with pytest.raises(VerdictUnknown) as caught:
            call(server.url, "validate", "1234", "cf1_canary", context={"device_id": "canary-device"})
    with Client(server.url, CREDENTIAL) as client:
        shown = repr([issued, caught.value, caught.value.__cause__, client]) + str(caught.value)
    assert issued.passcode == "cf1_canary"
    assert "canary" not in shown


def test_both_clients_have_the_same_verbs_with_the_same_parameters() -> None:
    for name, verb in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(verb) == inspect.signature(getattr(AsyncClient, name))


def test_the_package_offers_the_client_lazily() -> None:
    assert counterfoil.Client is Client
    assert counterfoil.new_redemption_id is new_redemption_id
    with pytest.raises(AttributeError):
        _ = counterfoil.Server
