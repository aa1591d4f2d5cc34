"""The DynamoDB store with a network between it and its table: lost answers, throttling, a broom that is late or early."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from infra.emulation.emulator import Emulator

from counterfoil.aws import calls, client
from counterfoil.aws.credentials import Credentials
from counterfoil.entrypoints.aws_lambda import REQUEST_DEADLINE_S
from counterfoil.model.counterfoil import Redemption
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.usage import IssueLimits
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.dynamodb import DynamoDbStore
from counterfoil.wiring import system_now_us
from tests.contract.claims import LIFETIME_US, MINE, kept, made
from tests.support.clock import START_US, Clock
from tests.support.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.support.journal import mismatch
from tests.support.parts import Parts, decoded, made_parts, reason
from tests.support.scripted_server import Reply, scripted_server


@pytest.fixture
def table(aws: Emulator, request: pytest.FixtureRequest) -> str:
    name = f"t{abs(hash(request.node.nodeid))}"
    aws.create_table(name)
    return name


def _store(aws: Emulator, table: str, clock: Callable[[], int], url: str | None = None, tries: int = 2) -> DynamoDbStore:
    return DynamoDbStore(aws.product_client("dynamodb", url, connect_s=10, answer_s=1), table, clock, tries=tries)


# -- the emulator is fit to show this --


def test_the_emulator_refuses_a_lost_race(aws: Emulator, table: str) -> None:
    """If it does not, no race test here means anything."""
    tables = aws.client("dynamodb")
    item = {"pk": {"B": b"one"}, "n": {"N": "0"}}
    tables.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    with pytest.raises(tables.exceptions.ConditionalCheckFailedException) as caught:
        tables.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"] == item


# -- answers that are lost --


def _once(fault: Fault, operation: bytes) -> Callable[[bytes], Fault]:
    """That fault for the first such call, and none for any other."""
    left = [fault]

    def fault_of(request: bytes) -> Fault:
        return left.pop() if left and operation in request else "none"

    return fault_of


@pytest.mark.parametrize("fault", ["lost request", "lost answer", "stalled answer"])
async def test_a_redemption_whose_first_answer_is_lost_is_heard_as_accepted(aws: Emulator, table: str, fault: Fault) -> None:
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, Clock(), proxy.url)
        ref = await kept(store)
        proxy.fault_of = _once(fault, b"DynamoDB_20120810.UpdateItem")
        outcome = await store.redeem(ref, MINE, ATTEMPTS_MAX)
        assert fault in proxy.faults
        assert outcome.applied
        assert outcome.counterfoil is not None
        assert outcome.counterfoil.redemption == MINE
        other = await store.redeem(ref, Redemption("other", "backend"), ATTEMPTS_MAX)
        assert (other.applied, other.counterfoil) == (False, outcome.counterfoil)
        await store.close()


async def test_a_read_whose_answer_is_cut_off_is_asked_again_and_then_unknown(aws: Emulator, table: str) -> None:
    """To who takes a success without its body, nothing is there."""
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, Clock(), proxy.url)
        ref = await kept(store)
        proxy.fault_of = _once("truncated answer", b"DynamoDB_20120810.GetItem")
        assert await store.find(ref) == made()
        proxy.fault_of = lambda _: "truncated answer"
        with pytest.raises(StoreUnavailable):
            await store.find(ref)
        await store.close()


async def test_an_insert_whose_first_answer_is_lost_is_stored_once(aws: Emulator, table: str) -> None:
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, Clock(), proxy.url)
        proxy.fault_of = _once("lost answer", b"DynamoDB_20120810.PutItem")
        assert await store.insert(made(), None) == "stored"
        assert proxy.faults == ["lost answer", "none"]
        await store.close()


async def test_a_mismatch_whose_first_answer_is_lost_is_counted_once(aws: Emulator, table: str) -> None:
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, Clock(), proxy.url)
        ref = await kept(store)
        proxy.fault_of = _once("lost answer", b"DynamoDB_20120810.UpdateItem")
        outcome = await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref))
        assert outcome.applied
        assert outcome.counterfoil is not None
        assert outcome.counterfoil.attempts == 1
        await store.close()


@pytest.fixture
def through_proxy(aws: Emulator, table: str, tmp_path: Path) -> Any:
    """A whole service whose store is behind a proxy, and asks only once."""
    with fault_proxy(aws.url) as proxy:
        clock = Clock()
        yield proxy, made_parts(tmp_path, store=_store(aws, table, clock, proxy.url, tries=1), clock=clock)


@pytest.mark.parametrize(("fault", "replayed"), [("lost answer", True), ("lost request", False)])
async def test_an_ambiguous_answer_is_unknown_and_asking_again_tells_the_truth(
    through_proxy: tuple[FaultProxy, Parts], fault: Fault, replayed: bool
) -> None:
    proxy, parts = through_proxy
    passcode = (await parts.issue())["passcode"]
    proxy.fault_of = _once(fault, b"DynamoDB_20120810.UpdateItem")
    unknown = await parts.validate(passcode, key="mine")
    assert (unknown.status, decoded(unknown)["code"]) == (503, "store_unavailable")
    again = await parts.validate(passcode, key="mine")
    assert (again.status, decoded(again)["replayed"]) == (200, replayed)
    assert reason(await parts.validate(passcode, key="other")) == "already_redeemed"


async def test_an_endpoint_that_is_gone_is_unknown(aws: Emulator, tmp_path: Path) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=_store(aws, "nowhere", clock, "http://127.0.0.1:1"), clock=clock)
    answer = await parts.ask("POST", "/v1/passcodes", {"client_id": "1234"}, role="issuer")
    assert (answer.status, decoded(answer)["code"]) == (503, "store_unavailable")


async def test_a_table_that_is_gone_is_a_fault_and_no_verdict(aws: Emulator, tmp_path: Path) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=_store(aws, "no-such-table", clock), clock=clock)
    answer = await parts.ask("GET", "/readyz")
    assert (answer.status, decoded(answer)["code"]) == (503, "store_unavailable")


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"])
async def test_throttling_is_a_503_that_says_when_to_come_again(aws: Emulator, tmp_path: Path, code: str) -> None:
    with scripted_server(Reply(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "m"})) as throttling:
        store = DynamoDbStore(aws.product_client("dynamodb", throttling.url), "table", Clock())
        parts = made_parts(tmp_path, store=store)
        answer = await parts.ask("POST", "/v1/passcodes", {"client_id": "1234"}, role="issuer")
    assert (answer.status, decoded(answer)["code"]) == (503, "store_unavailable")
    assert (b"retry-after", b"2") in answer.headers
    assert len(throttling.asked) == 2


async def test_more_calls_than_may_wait_are_refused_at_once(aws: Emulator, table: str) -> None:
    with fault_proxy(aws.url) as proxy:
        slow = aws.product_client("dynamodb", proxy.url, answer_s=1)
        store = DynamoDbStore(slow, table, Clock(), waiting_max=2, tries=1)
        proxy.fault_of = lambda _: "stalled answer"
        finds = [asyncio.create_task(store.find(made().ref)) for _ in range(3)]
        heard = await asyncio.gather(*finds, return_exceptions=True)
        assert Counter(str(each) for each in heard)["too many calls are waiting"] == 1
        await store.close()


async def test_no_answer_in_time_is_unknown(aws: Emulator, table: str) -> None:
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, Clock(), proxy.url)
        store._calls._deadline_s = 0.2
        proxy.fault_of = lambda _: "stalled answer"
        with pytest.raises(StoreUnavailable, match="in time"):
            await store.find(made().ref)
        await store.close()


# -- time is what it is when a try is sent --


async def test_a_second_try_after_expiry_redeems_nothing(aws: Emulator, table: str) -> None:
    clock = Clock()
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, clock, proxy.url)
        ref = await kept(store)
        clock.now_us = START_US + LIFETIME_US - 1

        def expires_meanwhile(request: bytes) -> Fault:
            if b"UpdateItem" not in request or clock.now_us >= START_US + LIFETIME_US:
                return "none"
            clock.now_us = START_US + LIFETIME_US
            return "lost request"

        proxy.fault_of = expires_meanwhile
        outcome = await store.redeem(ref, MINE, ATTEMPTS_MAX)
        assert "lost request" in proxy.faults
        assert not outcome.applied
        assert outcome.now_us == START_US + LIFETIME_US
        await store.close()


async def test_nothing_is_sent_once_nobody_waits_for_it_any_more(aws: Emulator, table: str) -> None:
    """As after a freeze: the caller was told "unknown", and what was still to be sent must not be."""
    store = _store(aws, table, Clock())
    ref = await kept(store)
    held = threading.Event()
    for _ in range(calls._THREADS):
        store._calls._threads.submit(held.wait)
    token = calls.request_deadline_s.set(time.monotonic() + 0.05)
    with pytest.raises(StoreUnavailable):
        await store.redeem(ref, MINE, ATTEMPTS_MAX)
    calls.request_deadline_s.reset(token)
    held.set()
    await asyncio.sleep(0.3)
    found = await store.find(ref)
    assert found is not None
    assert found.redemption is None
    await store.close()


async def test_all_calls_of_a_request_share_its_deadline(aws: Emulator, table: str) -> None:
    with fault_proxy(aws.url) as proxy:
        store = _store(aws, table, Clock(), proxy.url)
        proxy.fault_of = lambda _: "stalled answer"
        # Time for one try: once it has stalled, there is none left for another.
        token = calls.request_deadline_s.set(time.monotonic() + calls._TRY_S + 0.5)
        for _ in range(4):
            with pytest.raises(StoreUnavailable):
                await store.find(made().ref)
        calls.request_deadline_s.reset(token)
        assert len(proxy.faults) <= 1
        await store.close()


async def test_credentials_that_take_their_time_leave_none_to_send_in(aws: Emulator, table: str) -> None:
    """A role's are renewed where they are looked up, and nothing bounds that."""
    store = _store(aws, table, Clock())
    ref = await kept(store)
    slow = aws.product_client("dynamodb")

    def renewed() -> Credentials:
        time.sleep(0.3)
        return Credentials("test", "test")

    slow.credentials = renewed
    token = calls.request_deadline_s.set(time.monotonic() + calls._TRY_S + 0.2)
    late = DynamoDbStore(slow, table, Clock())
    with pytest.raises(StoreUnavailable, match="sent in time"):
        await late.redeem(ref, MINE, ATTEMPTS_MAX)
    calls.request_deadline_s.reset(token)
    found = await store.find(ref)
    assert found is not None
    assert found.redemption is None
    await late.close()
    await store.close()


def test_what_a_call_may_take_adds_up() -> None:
    assert calls.TRIES * (client.CONNECT_S + client.ANSWER_S) < calls.DEADLINE_S
    assert calls.DEADLINE_S < REQUEST_DEADLINE_S


# -- a broom that comes late, or early --


async def test_an_expired_item_that_is_still_there_is_refused(aws: Emulator, table: str, tmp_path: Path) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=_store(aws, table, clock), clock=clock)
    passcode = (await parts.issue())["passcode"]
    clock.advance_s(48 * 3600)
    assert reason(await parts.validate(passcode)) == "expired"


@pytest.mark.parametrize("redeemed", [True, False])
async def test_an_item_deleted_early_is_refused_and_never_accepted(
    aws: Emulator, table: str, tmp_path: Path, redeemed: bool
) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=_store(aws, table, clock), clock=clock)
    passcode = (await parts.issue())["passcode"]
    if redeemed:
        assert (await parts.validate(passcode, key="mine")).status == 200
    tables = aws.client("dynamodb")
    for item in tables.scan(TableName=table)["Items"]:
        tables.delete_item(TableName=table, Key={"pk": item["pk"]})
    assert reason(await parts.validate(passcode, key="mine")) == "unknown_passcode"


async def test_an_item_says_when_it_may_be_removed(aws: Emulator, table: str) -> None:
    store = DynamoDbStore(aws.product_client("dynamodb"), table, Clock(), retention_s=60)
    await kept(store)
    (item,) = aws.client("dynamodb").scan(TableName=table)["Items"]
    assert int(item["ttl"]["N"]) * 1_000_000 >= START_US + LIFETIME_US + 60_000_000
    assert int(item["ttl"]["N"]) * 1_000_000 - (START_US + LIFETIME_US + 60_000_000) < 1_000_000
    await store.close()


# -- what it does not do --


async def test_limits_are_refused_and_not_forgotten(aws: Emulator, table: str) -> None:
    store = _store(aws, table, Clock())
    with pytest.raises(ValueError, match="no limits"):
        await store.insert(made(), IssueLimits(1, 1, 1))
    await store.close()


async def test_one_clients_passcodes_are_spread_over_the_partitions(aws: Emulator, table: str) -> None:
    store = _store(aws, table, system_now_us)
    for number in range(64):
        await kept(store, made(timestamp_us=START_US + number))
    first_bytes = {item["pk"]["B"][0] for item in aws.client("dynamodb").scan(TableName=table)["Items"]}
    assert len(first_bytes) > 40
    await store.close()


async def test_no_name_of_a_client_is_in_a_key(aws: Emulator, table: str) -> None:
    store = _store(aws, table, Clock())
    await kept(store, made("canary-client"))
    await store.close()
    assert all(b"canary" not in item["pk"]["B"] for item in aws.client("dynamodb").scan(TableName=table)["Items"])
