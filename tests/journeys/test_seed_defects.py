"""Where the reference sample breaks its own promises, one test each, and its routes as its clients call them.

Numbers 10 (KMS on every request), 11 (hot partition), 13 (FilterExpression on GetItem) and of 12 the fate of key and
table belong to AWS and are tested there.
"""

import re
from pathlib import Path
from uuid import UUID

import pytest

from counterfoil.api.http import Response
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.journal import Event
from counterfoil.model.verdict import Reason
from counterfoil.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.parts import Parts, decoded, made_parts, reason


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    clock = Clock()
    return made_parts(tmp_path, store=MemoryStore(clock, broom=False), clock=clock)


async def _generated(parts: Parts, query: str = "clientId=1234", method: str = "GET") -> tuple[int, str]:
    answer = await parts.ask(method, "/generateOtp", query=query, role="issuer")
    assert answer.status == 200, answer.body
    body = decoded(answer)
    assert body["message"] == "OTP generated"
    assert body["timestamp"] == body["createdAt"]
    return body["timestamp"], body["otp"]


async def _validated(parts: Parts, query: str, key: str | None = None) -> Response:
    return await parts.ask("GET", "/validateOtp", query=query, role="validator", key=key)


# -- the defects --


async def test_defect_1_validation_compares_the_presented_otp(parts: Parts) -> None:
    stamp, otp = await _generated(parts)
    _, another = await _generated(parts)
    wrong = {another: "timestamp_mismatch", otp[:-8] + "AAAAAAAA": "unknown_passcode", "1234": "malformed_passcode"}
    for presented, expected in wrong.items():
        answer = await _validated(parts, f"clientId=1234&timestamp={stamp}&otp={presented}")
        assert reason(answer) == expected
    assert (await _validated(parts, f"clientId=1234&timestamp={stamp}&otp={otp}")).status == 200


async def test_defect_2_a_passcode_is_consumed(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    assert (await _validated(parts, f"clientId=1234&timestamp={stamp}")).status == 200
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}")) == "already_redeemed"
    parts.clock.advance_s(86_400)
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}")) == "already_redeemed"


async def test_defect_3_the_ttl_is_a_minute_after_the_timestamp_and_is_kept(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    late, _ = await _generated(parts)
    body = decoded(await _validated(parts, f"clientId=1234&timestamp={stamp}"))
    assert body["ttl"] - stamp == 60_000_000
    parts.clock.now_us = late + 60_000_000
    assert reason(await _validated(parts, f"clientId=1234&timestamp={late}")) == "expired"
    assert await parts.store.find(CounterfoilRef("1234", late)) is not None


async def test_defect_4_two_passcodes_of_one_client_in_one_second_do_not_overwrite_each_other(parts: Parts) -> None:
    stamps = [(await _generated(parts))[0] for _ in range(50)]
    assert len(set(stamps)) == 50
    for stamp in stamps:
        assert (await _validated(parts, f"clientId=1234&timestamp={stamp}")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/generateOtp"), ("POST", "/generateOtp"), ("GET", "/validateOtp"), ("DELETE", "/invalidateOtp")],
)
async def test_defect_5_no_route_is_open(parts: Parts, method: str, path: str) -> None:
    stamp, _ = await _generated(parts)
    answer = await parts.ask(method, path, query=f"clientId=1234&timestamp={stamp}")
    assert answer.status == 401
    assert (await _validated(parts, f"clientId=1234&timestamp={stamp}")).status == 200


async def test_defect_6_a_failed_validation_is_no_200_and_tells_neither_otp_nor_device(parts: Parts) -> None:
    stamp, otp = await _generated(parts, "clientId=1234&deviceId=canary-device")
    answer = await _validated(parts, f"clientId=1234&timestamp={stamp}&deviceId=another")
    assert reason(answer) == "context_mismatch"
    assert b"canary" not in answer.body
    assert otp.encode() not in answer.body
    assert not re.search(rb"[0-9a-f]{8}-[0-9a-f]{4}", answer.body)


async def test_defect_7_the_context_comes_from_the_backend_and_not_from_the_passcode(parts: Parts) -> None:
    stamp, otp = await _generated(parts, "clientId=1234&deviceId=d-9")
    for device in ("", "&deviceId=", "&deviceId=D-9", "&deviceId=d-8"):
        answer = await _validated(parts, f"clientId=1234&timestamp={stamp}&otp={otp}{device}")
        assert reason(answer) == "context_mismatch"
    assert (await _validated(parts, f"clientId=1234&timestamp={stamp}&otp={otp}&deviceId=d-9")).status == 200


async def test_defect_8_amount_and_payee_are_bound(parts: Parts) -> None:
    payment = {"amount": "10.00", "payee": "Anna"}
    for change in ({"amount": "99.00"}, {"payee": "Otto"}):
        issued = await parts.issue(transaction=payment)
        changed = await parts.validate(issued["passcode"], transaction={**payment, **change})
        assert reason(changed) == "transaction_mismatch"


async def test_defect_9_the_passcode_is_a_short_string(parts: Parts) -> None:
    _, otp = await _generated(parts)
    assert re.fullmatch(r"cf1_[A-Za-z0-9_-]{83}", otp)
    assert len(otp) <= 96


async def test_defect_12_one_credential_does_not_hold_every_right(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    rights = {
        "issuer": {"/generateOtp", "/invalidateOtp"},
        "validator": {"/validateOtp", "/invalidateOtp"},
        "operator": set(),
    }
    methods = {"/generateOtp": "GET", "/validateOtp": "GET", "/invalidateOtp": "DELETE"}
    for role, allowed in rights.items():
        for path, method in methods.items():
            answer = await parts.ask(method, path, query=f"clientId=x&timestamp={stamp}", role=role)
            assert (answer.status == 403) is (path not in allowed), (role, path)


# -- the routes --


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_generate_then_validate_gives_the_otp_as_a_uuid(parts: Parts, method: str) -> None:
    stamp, _ = await _generated(parts, method=method)
    body = decoded(await _validated(parts, f"clientId=1234&timestamp={stamp}"))
    assert set(body) == {"message", "ttl", "otp"}
    assert body["message"] == "OTP validated"
    assert str(UUID(body["otp"])) == body["otp"]


async def test_the_samples_other_names_are_taken(parts: Parts) -> None:
    stamp, _ = await _generated(parts, "sub=1234")
    assert (await _validated(parts, f"sub=1234&createdAt={stamp}")).status == 200


async def test_an_invalidated_passcode_is_refused_and_invalidating_twice_is_fine(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    for _ in range(2):
        answer = await parts.ask("DELETE", "/invalidateOtp", query=f"clientId=1234&timestamp={stamp}", role="issuer")
        assert (answer.status, decoded(answer)) == (200, {"message": "OTP deleted"})
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}")) == "revoked"


async def test_a_redeemed_passcode_cannot_be_invalidated(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    await _validated(parts, f"clientId=1234&timestamp={stamp}")
    answer = await parts.ask("DELETE", "/invalidateOtp", query=f"clientId=1234&timestamp={stamp}", role="validator")
    assert reason(answer) == "already_redeemed"


async def test_passcodes_of_the_native_route_are_unknown_to_the_samples_routes(parts: Parts) -> None:
    issued = await parts.issue()
    stamp, otp = issued["timestamp"], issued["passcode"]
    for query in (f"clientId=1234&timestamp={stamp}", f"clientId=1234&timestamp={stamp}&otp={otp}"):
        assert reason(await _validated(parts, query)) == "unknown_passcode"
    deleted = await parts.ask("DELETE", "/invalidateOtp", query=f"clientId=1234&timestamp={stamp}", role="issuer")
    assert reason(deleted) == "unknown_passcode"
    assert (await parts.validate(otp)).status == 200


async def test_a_lost_answer_can_be_asked_for_again_by_who_presents_the_otp(parts: Parts) -> None:
    stamp, otp = await _generated(parts)
    query = f"clientId=1234&timestamp={stamp}&otp={otp}"
    first = decoded(await _validated(parts, query, key="a"))
    assert decoded(await _validated(parts, query, key="a")) == first
    assert reason(await _validated(parts, query, key="b")) == "already_redeemed"
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}", key="a")) == "already_redeemed"


async def test_a_generated_passcode_is_also_good_for_the_native_route(parts: Parts) -> None:
    _, otp = await _generated(parts, "clientId=1234&deviceId=d-9")
    assert (await parts.validate(otp, context={"device_id": "d-9"})).status == 200


async def test_five_wrong_devices_lock_it_for_who_presents_it(parts: Parts) -> None:
    stamp, otp = await _generated(parts, "clientId=1234&deviceId=d-9")
    for _ in range(5):
        assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}&deviceId=x&otp={otp}")) == "context_mismatch"
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}&deviceId=d-9")) == "locked"


async def test_who_only_names_it_can_lock_nothing(parts: Parts) -> None:
    stamp, _ = await _generated(parts, "clientId=1234&deviceId=d-9")
    for _ in range(20):
        assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}&deviceId=x")) == "context_mismatch"
    assert isinstance(parts.store, MemoryStore)
    told = [entry.reason for _, entry in parts.store.journal if entry.event is Event.REFUSED]
    assert told == [Reason.CONTEXT_MISMATCH] * 20
    assert (await _validated(parts, f"clientId=1234&timestamp={stamp}&deviceId=d-9")).status == 200


async def test_the_second_copy_of_the_otp_is_erased_with_redemption(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    ref = CounterfoilRef("1234", stamp)
    before = await parts.store.find(ref)
    await _validated(parts, f"clientId=1234&timestamp={stamp}")
    after = await parts.store.find(ref)
    assert before is not None
    assert after is not None
    assert before.seed_copy
    assert after.seed_copy == b""


async def test_a_retired_keys_passcode_is_refused_without_being_presented(parts: Parts) -> None:
    stamp, _ = await _generated(parts)
    before = KeysetFile(parts.keyset.path).keyset().primary_id
    parts.keyset.rotate()
    parts.keyset.retire(before)
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp}")) == "key_retired"


async def test_the_service_context_is_bound_here_too(tmp_path: Path) -> None:
    parts = made_parts(tmp_path, service_context='{"stage": "prod"}')
    for presents in (False, True):
        stamp, otp = await _generated(parts)
        query = f"clientId=1234&timestamp={stamp}" + (f"&otp={otp}" if presents else "")
        assert (await _validated(parts, query)).status == 200


async def test_the_journal_names_the_passcode_that_was_presented_and_not_the_one_that_was_said(parts: Parts) -> None:
    stamp, otp = await _generated(parts)
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp + 1}&otp={otp}")) == "timestamp_mismatch"
    assert reason(await _validated(parts, f"clientId=1234&timestamp={stamp + 1}")) == "unknown_passcode"
    assert isinstance(parts.store, MemoryStore)
    assert [entry.timestamp_us for _, entry in parts.store.journal] == [stamp, stamp, stamp + 1]


async def test_who_only_names_a_native_passcode_hears_nothing_of_its_key(parts: Parts) -> None:
    issued = await parts.issue()
    before = KeysetFile(parts.keyset.path).keyset().primary_id
    parts.keyset.rotate()
    parts.keyset.retire(before)
    assert reason(await _validated(parts, f"clientId=1234&timestamp={issued['timestamp']}")) == "unknown_passcode"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "clientId=1234",
        "timestamp=1",
        "clientId=&timestamp=1",
        "clientId=1234&timestamp=",
        "clientId=1234&timestamp=abc",
        "clientId=1234&timestamp=-1",
        "clientId=1234&timestamp=%D9%A1",
        "clientId=1234&timestamp=99999999999999999999",
        "clientId=1234&timestamp=9223372036854775808",
        "clientId=1234&timestamp=1&canary=1",
        "clientId=1234&clientId=1234&timestamp=1",
        "clientId=1234&sub=1234&timestamp=1",
        "clientId=1234&timestamp=1&createdAt=1",
        "clientId=%FF&timestamp=1",
        "clientId=%&timestamp=1",
        "clientId=12%3&timestamp=1",
        "clientId=%zz&timestamp=1",
        "clientId=%00&timestamp=1",
        "clientId=1234&timestamp=1&deviceId=%0A",
        "clientId=1234&timestamp",
        "clientId=1234&timestamp=1&\xe9=1",
    ],
)
async def test_a_query_that_breaks_a_rule_hears_the_rule_and_nothing_it_sent(parts: Parts, query: str) -> None:
    answer = await _validated(parts, query)
    assert (answer.status, decoded(answer)["code"]) == (400, "invalid_request")
    assert b"canary" not in answer.body


async def test_these_routes_take_no_body(parts: Parts) -> None:
    answer = await parts.ask("POST", "/generateOtp", {"clientId": "1234"}, role="issuer")
    assert answer.status == 400
