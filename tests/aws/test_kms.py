"""Data keys under KMS: shared by instances, rotated, bound to stage and epoch; strict mode; a fault is never a refusal."""

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import pytest
from infra.emulation.emulator import REGION, SDK_ENVIRONMENT, Emulator

from counterfoil.aws.call_counts import AwsCallCounts
from counterfoil.aws.client import AwsClient
from counterfoil.aws.connection import Answer
from counterfoil.aws.json_protocol import Question
from counterfoil.keys.aws_data_keys import KmsDataKeys
from counterfoil.keys.aws_kms import KmsDeployment, KmsOwnKeys
from counterfoil.keys.open_keys import KeySettings, open_keys
from counterfoil.model.invalid import Invalid
from counterfoil.model.verdict import Reason
from counterfoil.ports.keys import KeyList, KeysUnavailable, ListedKey
from counterfoil.server_wiring import assembled
from counterfoil.settings import Settings
from counterfoil.stores.dynamodb import DynamoDbStore
from counterfoil.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.fault_proxy import Fault, fault_proxy
from tests.support.parts import Parts, decoded, made_parts, reason
from tests.support.scripted_server import Reply, scripted_server

T = TypeVar("T")


class Managed:
    """A KMS key and a table of keys, and providers as instances of a deployment have them."""

    def __init__(self, aws: Emulator) -> None:
        self.aws = aws
        self.arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        self.table = f"keys-{secrets.token_hex(4)}"
        aws.create_table(self.table, "S")
        self.clock = Clock()
        self.counts = AwsCallCounts()

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called."""
        found: Counter[str] = Counter()
        for call, number in self.counts.calls.items():
            found[call.operation] += number
        return found

    def client(self, service: str, url: str | None = None) -> AwsClient:
        """A client whose calls are counted."""
        return self.aws.product_client(service, url, counts=self.counts)

    def deployment(self, stage: str = "test", epoch: int = 1) -> KmsDeployment:
        return KmsDeployment(self.arn, stage, epoch)

    def instance(self, stage: str = "test", epoch: int = 1, **options: Any) -> KmsDataKeys:
        """One process's provider."""
        return KmsDataKeys(
            self.client("kms"), self.client("dynamodb"), self.table, self.deployment(stage, epoch), self.clock, **options
        )


@pytest.fixture
def managed(aws: Emulator) -> Managed:
    return Managed(aws)


async def test_instances_share_a_key_and_open_what_each_other_sealed(managed: Managed) -> None:
    one, other = managed.instance(), managed.instance()
    key = await one.sealing_key()
    assert await other.sealing_key() == key
    assert await managed.instance(makes_keys=False).opening_key(key.key_id) == key
    assert managed.calls["GenerateDataKey"] == 1


async def test_a_burst_makes_one_call(managed: Managed) -> None:
    one, other = managed.instance(), managed.instance()
    keys = await asyncio.gather(*(one.sealing_key() for _ in range(200)))
    opened = await asyncio.gather(*(other.opening_key(keys[0].key_id) for _ in range(200)))
    assert set(opened) == set(keys)
    assert (managed.calls["GenerateDataKey"], managed.calls["Decrypt"]) == (1, 1)


async def test_instances_that_start_together_agree_on_one_key(managed: Managed) -> None:
    keys = await asyncio.gather(*(managed.instance().sealing_key() for _ in range(8)))
    assert len(set(keys)) == 1


async def test_a_key_is_replaced_by_age_and_the_earlier_one_goes_on_opening(managed: Managed) -> None:
    one, other = managed.instance(reuse_s=300), managed.instance(reuse_s=300)
    first = await one.sealing_key()
    managed.clock.advance_s(299)
    assert await one.sealing_key() == first
    managed.clock.advance_s(1)
    second = await one.sealing_key()
    assert second.key_id != first.key_id
    assert await other.sealing_key() == second
    assert await other.opening_key(first.key_id) == first


async def test_a_key_is_replaced_by_use(managed: Managed) -> None:
    one = managed.instance(reuse_max=3)
    keys = [(await one.sealing_key()).key_id for _ in range(7)]
    assert [len(set(keys[at : at + 3])) for at in (0, 3)] == [1, 1]
    assert len(set(keys)) == 3


async def test_a_burst_does_not_use_a_key_beyond_its_bound(managed: Managed) -> None:
    one = managed.instance(reuse_max=3)
    keys = await asyncio.gather(*(one.sealing_key() for _ in range(20)))
    assert max(Counter(key.key_id for key in keys).values()) <= 3


async def test_a_key_from_the_future_is_replaced(managed: Managed) -> None:
    managed.clock.advance_s(86_400)
    ahead = await managed.instance().sealing_key()
    managed.clock.advance_s(-86_400)
    assert (await managed.instance().sealing_key()).key_id != ahead.key_id


async def test_the_primary_key_is_listed_without_asking_kms(managed: Managed) -> None:
    one = managed.instance()
    assert await one.listed() == KeyList(1, (), is_whole=False, rotates_itself=True)
    key = await one.sealing_key()
    managed.clock.advance_s(10)
    listed = KeyList(1, (ListedKey(key.key_id, "primary", managed.clock.now_us - 10_000_000),), False, True)
    assert await one.listed() == listed
    asked = managed.calls.total()
    assert await managed.instance(makes_keys=False).listed() == listed
    assert managed.calls.total() == asked + 1
    assert (await managed.instance(epoch=2).listed()).keys == ()


async def test_reads_of_the_table_are_consistent_and_keys_outlive_what_they_sealed(managed: Managed) -> None:
    read: list[bool] = []
    with fault_proxy(managed.aws.url) as proxy:
        proxy.fault_of = lambda request: _seen(read, b'"ConsistentRead":true' in request, b".GetItem" in request)
        one = KmsDataKeys(
            managed.client("kms"),
            managed.client("dynamodb", proxy.url),
            managed.table,
            managed.deployment(),
            managed.clock,
        )
        key = await one.sealing_key()
    assert read == [True]
    name = {"pk": {"S": f"key#{key.key_id.hex()}"}}
    item = managed.aws.client("dynamodb").get_item(TableName=managed.table, Key=name, ConsistentRead=True)["Item"]
    # Sealing contexts for 30 days, which live for 30 days.
    assert int(item["ttl"]["N"]) * 1_000_000 >= managed.clock.now_us + 60 * 86_400_000_000


def _seen(where: list[T], what: T, is_wanted: bool) -> Fault:
    if is_wanted:
        where.append(what)
    return "none"


async def test_a_key_of_another_name_is_a_refused_context(managed: Managed) -> None:
    """KMS says so with an error of its own, which the emulator does not know."""
    key = await managed.instance().sealing_key()
    with scripted_server(Reply(400, {"__type": "IncorrectKeyException", "message": "m"})) as refusing:
        kms = managed.client("kms", refusing.url)
        one = KmsDataKeys(kms, managed.client("dynamodb"), managed.table, managed.deployment(), managed.clock)
        assert await one.opening_key(key.key_id) is None


async def test_a_sealed_context_can_be_had_as_soon_as_somebody_has_asked_for_a_passcode(
    managed: Managed, tmp_path: Path
) -> None:
    parts = made_parts(tmp_path, store=MemoryStore(managed.clock), clock=managed.clock)
    parts.service = assembled(
        store=parts.store,
        keys=managed.instance(),
        credentials=parts.service.handlers.validation.credentials,
        settings=Settings(data=tmp_path, issue_rate_per_s=0.0, outstanding_max=0).checked(),
        now_us=managed.clock,
    )
    asked = {"client_id": "1234", "sealed_context": "cfx1_AAAA"}
    assert (await parts.ask("POST", "/v1/passcodes", asked, role="issuer")).status == 400
    assert (await managed.instance(makes_keys=False, reuse_max=1).sealing_key()).material
    operating = managed.instance(makes_keys=False, reuse_max=1)
    assert [(await operating.sealing_key()).key_id for _ in range(3)]


async def test_another_stage_or_epoch_opens_nothing(managed: Managed) -> None:
    key = await managed.instance().sealing_key()
    assert await managed.instance(epoch=2).opening_key(key.key_id) is None
    assert await managed.instance(stage="prod").opening_key(key.key_id) is None
    assert await managed.instance(epoch=2).sealing_key() != key


async def test_a_row_that_claims_another_epoch_is_refused_by_kms_itself(managed: Managed) -> None:
    key = await managed.instance().sealing_key()
    dynamodb = managed.aws.client("dynamodb")
    name = {"pk": {"S": f"key#{key.key_id.hex()}"}}
    item = dynamodb.get_item(TableName=managed.table, Key=name)["Item"]
    dynamodb.put_item(TableName=managed.table, Item={**item, "epoch": {"N": "2"}})
    assert await managed.instance(epoch=2).opening_key(key.key_id) is None


async def test_an_unknown_key_is_no_key(managed: Managed) -> None:
    assert await managed.instance().opening_key(b"\0\0\0\1") is None


async def test_a_key_id_is_never_given_twice(managed: Managed) -> None:
    drawn = iter([b"aaaa", b"aaaa", b"bbbb"])
    one = managed.instance(reuse_max=1, token_bytes=lambda _: next(drawn))
    assert [(await one.sealing_key()).key_id for _ in range(2)] == [b"aaaa", b"bbbb"]


async def test_who_makes_no_keys_uses_the_last_one_and_asks_for_none(managed: Managed) -> None:
    operating = managed.instance(makes_keys=False)
    with pytest.raises(KeysUnavailable, match="no fresh data key"):
        await operating.sealing_key()
    key = await managed.instance().sealing_key()
    managed.clock.advance_s(29 * 86400)
    assert await operating.sealing_key() == key
    managed.clock.advance_s(2 * 86400)
    with pytest.raises(KeysUnavailable):
        await operating.sealing_key()
    assert managed.calls["GenerateDataKey"] == 1


async def test_a_key_taken_out_of_the_table_is_forgotten_within_minutes(managed: Managed) -> None:
    one = managed.instance()
    key = await managed.instance().sealing_key()
    assert await one.opening_key(key.key_id) == key
    managed.aws.client("dynamodb").delete_item(TableName=managed.table, Key={"pk": {"S": f"key#{key.key_id.hex()}"}})
    managed.clock.advance_s(299)
    assert await one.opening_key(key.key_id) == key
    managed.clock.advance_s(1)
    assert await one.opening_key(key.key_id) is None


async def test_what_is_kept_unwrapped_is_bounded(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterfoil.keys.aws_data_keys._CACHED_MAX", 2)
    made = managed.instance(reuse_max=1)
    keys = [await made.sealing_key() for _ in range(4)]
    one = managed.instance()
    for key in keys:
        assert await one.opening_key(key.key_id) == key
    assert len(one._unwrapped) == 2


@pytest.mark.parametrize("disable", ["disable_key", "schedule_key_deletion"])
async def test_a_key_that_kms_withholds_is_a_fault(managed: Managed, disable: str) -> None:
    key = await managed.instance().sealing_key()
    getattr(managed.aws.client("kms"), disable)(KeyId=managed.arn)
    with pytest.raises(KeysUnavailable, match="KMS refused"):
        await managed.instance().opening_key(key.key_id)
    with pytest.raises(KeysUnavailable):
        await managed.instance(epoch=2).sealing_key()


async def test_an_endpoint_that_does_not_answer_is_a_fault(managed: Managed) -> None:
    key = await managed.instance().sealing_key()
    with fault_proxy(managed.aws.url) as proxy:
        proxy.fault_of = lambda _: "lost answer"
        kms, dynamodb = (managed.client(each, proxy.url) for each in ("kms", "dynamodb"))
        behind = KmsDataKeys(kms, dynamodb, managed.table, managed.deployment(), managed.clock)
        with pytest.raises(KeysUnavailable, match="table of keys"):
            await behind.opening_key(key.key_id)
        through = KmsDataKeys(kms, managed.client("dynamodb"), managed.table, managed.deployment(), managed.clock)
        with pytest.raises(KeysUnavailable, match="KMS"):
            await through.opening_key(key.key_id)


async def test_a_table_of_keys_that_is_gone_is_a_fault(managed: Managed) -> None:
    managed.table = "no-such-table"
    with pytest.raises(KeysUnavailable, match="refused"):
        await managed.instance().sealing_key()


async def test_one_caller_who_goes_away_takes_nobodys_key_along(managed: Managed) -> None:
    one = managed.instance()
    first, second = asyncio.create_task(one.sealing_key()), asyncio.create_task(one.sealing_key())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).material
    assert first.cancelled()


# -- two processes --

ISSUE = """
import asyncio, json, sys
from counterfoil.entrypoints import aws_lambda
event = json.loads(sys.stdin.read())
print(json.dumps(getattr(aws_lambda, sys.argv[1])(event, None)))
"""


def _event(path: str, subject: str, body: Any) -> dict[str, Any]:
    claims = {"sub": subject, "exp": "1"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": "POST"},
            "requestId": "r",
            "stage": "$default",
            "authorizer": {"jwt": {"claims": claims}},
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def test_one_process_issues_and_another_validates_also_across_a_rotation(managed: Managed) -> None:
    table = f"cf-{secrets.token_hex(4)}"
    managed.aws.create_table(table)
    principals = [
        {"subject": "jwt:shop", "name": "shop", "role": "issuer", "clients": ["*"]},
        {"subject": "jwt:backend", "name": "backend", "role": "validator"},
    ]
    environment = {
        **SDK_ENVIRONMENT,
        "PATH": "",
        "COUNTERFOIL_STORE": f"dynamodb://{table}?endpoint={managed.aws.url}",
        "COUNTERFOIL_KEYS": f"aws-kms:{managed.arn}?table={managed.table}&endpoint={managed.aws.url}",
        "COUNTERFOIL_STAGE": "test",
        "COUNTERFOIL_AUTHORIZER": "jwt",
        "COUNTERFOIL_PRINCIPALS": json.dumps(principals),
        "COUNTERFOIL_ISSUE_RATE_PER_S": "0",
        "COUNTERFOIL_OUTSTANDING_MAX": "0",
        "COUNTERFOIL_LIFETIME_DEFAULT_S": "600",
        # A key is replaced after a second.
        "COUNTERFOIL_KEY_REUSE_S": "1",
    }

    def ran(function: str, event: dict[str, Any]) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", ISSUE, function],
            input=json.dumps(event),
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        return answer["statusCode"], json.loads(answer["body"])

    issued = []
    for _ in range(2):
        issued.append(ran("issue", _event("/v1/passcodes", "shop", {"client_id": "1234"})))
        time.sleep(1.1)
    assert [status for status, _ in issued] == [201, 201]
    # Six digits hold the 32 bits of the key's id.
    assert len({body["passcode"][4:10] for _, body in issued}) == 2
    for _, body in issued:
        asked = {"client_id": "1234", "passcode": body["passcode"]}
        assert ran("validate", _event("/v1/passcodes/validate", "backend", asked))[0] == 200
        assert ran("validate", _event("/v1/passcodes/validate", "backend", asked))[1]["reason"] == "already_redeemed"


# -- strict mode --


@pytest.fixture
def strict(managed: Managed, tmp_path: Path) -> tuple[Managed, Parts]:
    """A service in strict mode."""
    parts = made_parts(tmp_path, store=MemoryStore(managed.clock), clock=managed.clock)
    parts.service = assembled(
        store=parts.store,
        keys=managed.instance(),
        credentials=parts.service.handlers.validation.credentials,
        settings=Settings(data=tmp_path, issue_rate_per_s=0.0, outstanding_max=0, seed_routes=True).checked(),
        own_keys=KmsOwnKeys(managed.client("kms"), managed.deployment()),
        issues_own_keys=True,
        now_us=managed.clock,
    )
    return managed, parts


async def test_strict_mode_asks_kms_once_to_issue_and_once_to_validate(strict: tuple[Managed, Parts]) -> None:
    managed, parts = strict
    bound = {"context": {"device_id": "d-9"}, "transaction": {"amount": "10.00"}}
    await parts.issue(**bound)
    # Another microsecond: one that is taken would have to be asked for again.
    managed.clock.advance_s(1)
    before = managed.calls
    issued = await parts.issue(**bound)
    assert len(issued["passcode"]) == 87
    assert (await parts.validate(issued["passcode"], key="a", **bound)).status == 200
    after = managed.calls - before
    assert {name: after[name] for name in ("GenerateDataKey", "Decrypt")} == {"GenerateDataKey": 1, "Decrypt": 1}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"context": {"device_id": "d-8"}}, Reason.CONTEXT_MISMATCH),
        ({"transaction": {"amount": "99.00"}}, Reason.TRANSACTION_MISMATCH),
        ({"sealed_pairs": {"device_id": "d-9"}}, Reason.CONTEXT_MISMATCH),
    ],
)
async def test_strict_mode_refuses_what_is_not_what_it_was(
    strict: tuple[Managed, Parts], changed: dict[str, Any], expected: Reason
) -> None:
    _, parts = strict
    bound: dict[str, Any] = {"context": {"device_id": "d-9"}, "transaction": {"amount": "10.00"}}
    passcode = (await parts.issue(**bound))["passcode"]
    for _ in range(5):
        assert reason(await parts.validate(passcode, **{**bound, **changed})) == expected
    assert reason(await parts.validate(passcode, **bound)) == "locked"


async def test_in_strict_mode_a_stranger_costs_no_call_of_the_managed_key(strict: tuple[Managed, Parts]) -> None:
    managed, parts = strict
    passcode = (await parts.issue())["passcode"]
    before = managed.calls["Decrypt"]
    forged = passcode[:-20] + ("A" if passcode[-20] != "A" else "B") + passcode[-19:]
    assert reason(await parts.validate(forged)) == "unknown_passcode"
    assert managed.calls["Decrypt"] == before


async def test_in_strict_mode_a_disabled_key_is_a_fault_and_costs_no_attempt(strict: tuple[Managed, Parts]) -> None:
    managed, parts = strict
    passcode = (await parts.issue(context={"a": "b"}))["passcode"]
    managed.aws.client("kms").disable_key(KeyId=managed.arn)
    for context in ({"a": "b"}, {"a": "c"}):
        answer = await parts.validate(passcode, context=context)
        assert (answer.status, decoded(answer)["code"]) == (503, "keys_unavailable")
    managed.aws.client("kms").enable_key(KeyId=managed.arn)
    assert (await parts.validate(passcode, context={"a": "b"})).status == 200


async def test_passcodes_of_both_modes_are_good_after_a_change_of_mode(strict: tuple[Managed, Parts]) -> None:
    _, parts = strict
    issuance = parts.service.handlers.issuance
    in_strict = (await parts.issue())["passcode"]
    object.__setattr__(issuance, "own_keys", None)
    in_default = (await parts.issue())["passcode"]
    assert (await parts.validate(in_strict)).status == (await parts.validate(in_default)).status == 200


async def test_strict_passcodes_need_a_managed_key_to_be_validated(strict: tuple[Managed, Parts]) -> None:
    _, parts = strict
    passcode = (await parts.issue())["passcode"]
    object.__setattr__(parts.service.handlers.validation, "own_keys", None)
    answer = await parts.validate(passcode)
    assert (answer.status, decoded(answer)["code"]) == (503, "keys_unavailable")


async def test_the_reference_samples_routes_work_in_strict_mode(strict: tuple[Managed, Parts]) -> None:
    _, parts = strict
    for with_otp in (False, True):
        generated = decoded(await parts.ask("GET", "/generateOtp", query="clientId=1234&deviceId=d-9", role="issuer"))
        query = f"clientId=1234&timestamp={generated['timestamp']}&deviceId="
        otp = f"&otp={generated['otp']}" if with_otp else ""
        assert reason(await parts.ask("GET", "/validateOtp", query=f"{query}x{otp}", role="validator")) == "context_mismatch"
        assert (await parts.ask("GET", "/validateOtp", query=f"{query}d-9{otp}", role="validator")).status == 200


async def test_what_kms_is_told_are_digests(managed: Managed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, str]] = []
    kms = managed.client("kms")
    exchanged = kms.exchanged

    def heard(question: Question[Any], *rest: Any) -> Answer:
        told.append(question.arguments()["EncryptionContext"])
        return exchanged(question, *rest)

    monkeypatch.setattr(kms, "exchanged", heard)
    parts = made_parts(tmp_path, store=MemoryStore(managed.clock), clock=managed.clock)
    object.__setattr__(parts.service.handlers.issuance, "own_keys", KmsOwnKeys(kms, managed.deployment()))
    bound: dict[str, Any] = {"context": {"canary": "canary"}, "transaction": {"canary": "canary"}}
    for _ in range(2):
        await parts.ask("POST", "/v1/passcodes", {"client_id": "canary-client", **bound}, role="issuer")
        managed.clock.advance_s(1)
    first, second = told
    names = ("purpose", "stage", "epoch", "client", "contexts", "transaction", "timestamp")
    assert first.keys() == {f"counterfoil:{name}" for name in names}
    assert (first["counterfoil:purpose"], first["counterfoil:stage"], first["counterfoil:epoch"]) == ("passcode", "test", "1")
    assert "canary" not in json.dumps(told)
    # Equal payments are not seen to be equal.
    for name in ("client", "contexts", "transaction"):
        assert first[f"counterfoil:{name}"] != second[f"counterfoil:{name}"]


# -- settings --

KEY_SETTINGS = KeySettings(stage="test", epoch=1, strict=True, reuse_s=300, reuse_max=1000)


@pytest.mark.parametrize(
    "url",
    [
        "aws-kms:",
        "aws-kms:alias/counterfoil?table=keys",
        f"aws-kms:arn:aws:kms:{REGION}:000000000000:key/k",
        f"aws-kms:arn:aws:kms:{REGION}:000000000000:key/k?table=",
        f"aws-kms:arn:aws:kms:{REGION}:000000000000:key/k?table=keys&canary=1",
        f"aws-kms:arn:aws:s3:{REGION}:000000000000:key/k?table=keys",
    ],
)
def test_managed_keys_are_named_by_an_arn_and_a_table(url: str) -> None:
    with pytest.raises(Invalid, match="must be aws-kms") as caught:
        open_keys(url, KEY_SETTINGS, Clock())
    assert "canary" not in str(caught.value)


def test_strict_mode_needs_a_managed_key(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="strict_keys"):
        open_keys(f"file:{tmp_path}/keyset.json", KEY_SETTINGS, Clock())


async def test_strict_mode_over_dynamodb_keeps_the_wrapped_key_in_the_item(strict: tuple[Managed, Parts]) -> None:
    managed, parts = strict
    table = f"cf-{secrets.token_hex(4)}"
    managed.aws.create_table(table)
    store = DynamoDbStore(managed.client("dynamodb"), table, managed.clock)
    for part in (parts.service.handlers.issuance, parts.service.handlers.validation):
        object.__setattr__(part, "store", store)
    passcode = (await parts.issue())["passcode"]
    (item,) = managed.aws.client("dynamodb").scan(TableName=table)["Items"]
    assert len(item["wrapped_key"]["B"]) > 32
    assert (await parts.validate(passcode)).status == 200
    await store.close()
