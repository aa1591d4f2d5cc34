"""What AWS answers, taken apart: errors by name, checksums, and answers that belong to another question, which are none."""

import json
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import botocore.session
import pytest
import pytest_asyncio

from counterfoil.aws.calls import AwsCalls, AwsUnavailable
from counterfoil.aws.connection import Answer, NoAnswer
from counterfoil.aws.json_protocol import Question, Refusal, success
from counterfoil.aws.table import ConditionFailed, Item, Table, Value
from counterfoil.keys.aws_key_table import KeyTable
from counterfoil.keys.aws_kms import KmsDeployment, KmsOwnKeys
from counterfoil.ports.keys import KeysUnavailable, OwnKey
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.dynamodb import DynamoDbStore
from tests.contract.claims import made
from tests.support.aws_client import CREDENTIALS, REGION, made_client
from tests.support.clock import Clock
from tests.support.scripted_server import Reply, ScriptedServer, scripted_server

# -- errors and checksums --


@pytest.mark.parametrize(
    ("status", "body", "headers", "code"),
    [
        (
            400,
            {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"},
            {},
            "ConditionalCheckFailedException",
        ),
        (400, {"__type": "NotFoundException", "message": "canary"}, {}, "NotFoundException"),
        (400, {"__type": "a#B:http://canary/"}, {}, "B"),
        (400, {"code": "ValidationError"}, {}, "ValidationError"),
        (400, {}, {"x-amzn-errortype": "Throttled:http://canary/"}, "Throttled"),
        (403, {"__type": "canary of another kind"}, {}, "HTTP 403"),
        (403, {"__type": 7}, {}, "HTTP 403"),
        (413, None, {}, "HTTP 413"),
        (302, None, {"location": "http://canary/"}, "HTTP 302"),
        (204, None, {}, "HTTP 204"),
        (502, b"<html>canary</html>", {}, "HTTP 502"),
    ],
)
def test_a_refusal_has_awss_word_for_it_and_no_other(status: int, body: Any, headers: dict[str, str], code: str) -> None:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    with pytest.raises(Refusal) as caught:
        success(Answer(status, headers, content))
    assert (str(caught.value), caught.value.code, caught.value.status) == (code, code, status)


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_whose_checksum_is_not_its_own_is_none(status: int) -> None:
    body = b'{"__type": "X"}'
    for wrong in (str(zlib.crc32(b"{}")), "canary", ""):
        with pytest.raises(NoAnswer, match="checksum"):
            success(Answer(status, {"x-amz-crc32": wrong}, body))
    right = Answer(200, {"x-amz-crc32": str(zlib.crc32(body))}, body)
    assert success(right) == success(Answer(200, {}, body)) == body


# -- a table's answers --

KEY: Value = {"B": b"own"}
OTHERS: Value = {"B": b"another's"}
CONSUMED = {"ConsumedCapacity": {"TableName": "table", "CapacityUnits": 1.0}}
WRITE: Item = {"write_id": {"B": b"mine"}}


def _wire(item: Item) -> Any:
    return {
        name: {kind: b64encode(value).decode() if isinstance(value, bytes) else value for kind, value in each.items()}
        for name, each in item.items()
    }


class Asked:
    """A table whose answers a test has written."""

    def __init__(self, server: ScriptedServer, table: Table) -> None:
        self.asked = server.asked
        self.table = table

    async def read(self) -> Item | None:
        return await self.table.read(KEY)

    async def put(self) -> None:
        await self.table.put({"pk": KEY}, "attribute_not_exists(pk)")

    async def update(self) -> Item:
        return await self.table.update(KEY, "SET a = :a", "b", names={}, values=dict, leaves=WRITE)


Answering = Callable[..., Asked]


@pytest_asyncio.fixture
async def answering() -> AsyncIterator[Answering]:
    """Makes such a table."""
    opened: list[Any] = []

    def make(*replies: Reply) -> Asked:
        context = scripted_server(*replies)
        server = context.__enter__()
        client = made_client(server.url, "dynamodb")
        calls = AwsCalls(client)
        opened.extend((client.close, calls.close, lambda: context.__exit__(None, None, None)))
        return Asked(server, Table(calls, "table"))

    yield make
    for close in opened:
        close()


async def test_what_belongs_to_the_question_is_taken(answering: Answering) -> None:
    """A control of all the refusals below."""
    item: Item = {"pk": KEY, **WRITE, "n": {"N": "1"}, "s": {"S": "text"}, "b": {"BOOL": True}}
    assert await answering(Reply(200, {**CONSUMED, "Item": _wire(item)})).read() == item
    assert await answering(Reply(200, CONSUMED)).read() is None
    await answering(Reply(200, CONSUMED)).put()
    assert await answering(Reply(200, {**CONSUMED, "Attributes": _wire(item)})).update() == item
    failed = Reply(400, {"__type": "x#ConditionalCheckFailedException", "Item": _wire(item)})
    for ask in (answering(failed).put, answering(failed).update):
        with pytest.raises(ConditionFailed) as caught:
            await ask()
        assert caught.value.item == item
    with pytest.raises(ConditionFailed) as caught:
        await answering(Reply(400, {"__type": "x#ConditionalCheckFailedException", "message": "m"})).update()
    assert caught.value.item is None


OF_ANOTHER = {"pk": OTHERS, **WRITE}
NO_ANSWERS: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"<html></html>",
    "JSON that is cut off": b'{"ConsumedCapacity": {"TableName": "table"}, "It',
    "no object": [],
    "null": None,
    "an object of nothing": {},
    "of another table": {"ConsumedCapacity": {"TableName": "another"}},
    "of another kind": {**CONSUMED, "Item": "canary", "Attributes": "canary"},
    "with bytes that are none": {**CONSUMED, "Item": {"pk": {"B": "canary!"}}, "Attributes": {"pk": {"B": "canary!"}}},
}


@pytest.mark.parametrize("sent", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("verb", ["read", "put", "update"])
async def test_a_success_that_is_none_is_no_answer_and_is_asked_again(answering: Answering, verb: str, sent: Any) -> None:
    if verb == "put" and "Item" in str(sent):
        sent = {}
    body = b"null" if sent is None else sent
    asked = answering(Reply(200, body))
    with pytest.raises(AwsUnavailable, match="no answer") as caught:
        await getattr(asked, verb)()
    assert "canary" not in str(caught.value)
    assert len(asked.asked) == 2


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("read", {"Item": OF_ANOTHER}),
        ("read", {"Item": WRITE}),
        ("update", {"Attributes": OF_ANOTHER}),
        ("update", {"Attributes": {"pk": KEY, "write_id": {"B": b"somebody's"}}}),
        ("update", {"Attributes": {"pk": KEY}}),
        ("update", {"Attributes": {}}),
        ("update", {}),
        ("update", {"Item": {"pk": KEY, **WRITE}}),
    ],
)
async def test_an_answer_of_another_item_or_write_is_none(answering: Answering, verb: str, answer: dict[str, Item]) -> None:
    asked = answering(Reply(200, {**CONSUMED, **{name: _wire(item) for name, item in answer.items()}}))
    with pytest.raises(AwsUnavailable, match="of another"):
        await getattr(asked, verb)()


async def test_the_next_answer_may_be_the_right_one(answering: Answering) -> None:
    right: Item = {"pk": KEY, **WRITE}
    wrong = Reply(200, {**CONSUMED, "Attributes": _wire(OF_ANOTHER)})
    assert await answering(wrong, Reply(200, {**CONSUMED, "Attributes": _wire(right)})).update() == right


@pytest.mark.parametrize("item", [_wire(OF_ANOTHER), "canary", {"pk": {"B": "canary!"}}])
@pytest.mark.parametrize("verb", ["put", "update"])
async def test_a_failed_condition_of_another_item_decides_nothing(answering: Answering, verb: str, item: Any) -> None:
    asked = answering(Reply(400, {"__type": "x#ConditionalCheckFailedException", "Item": item}))
    with pytest.raises(AwsUnavailable, match="no answer") as caught:
        await getattr(asked, verb)()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("verb", ["read", "put", "update"])
async def test_a_refusal_is_asked_once(answering: Answering, verb: str) -> None:
    asked = answering(Reply(400, {"__type": "x#AccessDeniedException"}))
    with pytest.raises(Refusal, match="AccessDeniedException"):
        await getattr(asked, verb)()
    assert len(asked.asked) == 1


async def test_a_store_over_such_answers_says_that_it_does_not_know() -> None:
    with scripted_server(Reply(200, {})) as server:
        client = made_client(server.url, "dynamodb")
        store = DynamoDbStore(client, "table", Clock())
        for ask in (lambda: store.find(made().ref), store.check_ready, lambda: store.insert(made(), None)):
            with pytest.raises(StoreUnavailable):
                await ask()
        with pytest.raises(KeysUnavailable):
            await KeyTable(client, "table").read("key#1")
        await store.close()
        client.close()


# -- KMS's answers --

ARN = "arn:aws:kms:eu-south-1:000000000000:key/6f1c1d0e"
ALIAS = "arn:aws:kms:eu-south-1:000000000000:alias/counterfoil"
MATERIAL = b"m" * 32


def _kms(**changed: Any) -> Reply:
    answer = {"KeyId": ARN, "Plaintext": MATERIAL, "CiphertextBlob": b"wrapped", **changed}
    return Reply(
        200,
        {
            name: b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in answer.items()
            if value is not None
        },
    )


async def _both(reply: Reply, named: str = ARN) -> tuple[OwnKey, bytes | None]:
    """A key made, and one opened."""
    with scripted_server(reply) as server:
        client = made_client(server.url)
        keys = KmsOwnKeys(client, KmsDeployment(named, "test", 1))
        try:
            return await keys.fresh({}), await keys.opened(b"wrapped", {})
        finally:
            keys._managed._calls.close()
            client.close()


@pytest.mark.parametrize("named", [ARN, ALIAS])
async def test_an_answer_that_names_the_key_is_taken(named: str) -> None:
    assert await _both(_kms(), named) == (OwnKey(MATERIAL, b"wrapped"), MATERIAL)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"KeyId": f"{ARN}0"}, ARN),
        ({"KeyId": "6f1c1d0e"}, ARN),
        ({"KeyId": ALIAS}, ARN),
        ({"KeyId": ARN.replace("0000:key", "0001:key")}, ALIAS),
        ({"KeyId": ALIAS}, ALIAS),
        ({"KeyId": None}, ARN),
        ({"Plaintext": None}, ARN),
        ({"Plaintext": b""}, ARN),
        ({"Plaintext": MATERIAL[1:]}, ARN),
        ({"Plaintext": MATERIAL + b"m"}, ARN),
        ({"Plaintext": "no base64!"}, ARN),
        ({"CiphertextBlob": b""}, ARN),
        ({"CiphertextBlob": None}, ARN),
    ],
)
async def test_an_answer_of_another_key_or_without_a_whole_one_is_a_fault(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(KeysUnavailable, match="KMS: no answer"):
        await _both(_kms(**changed), named)


@pytest.mark.parametrize("changed", [{"KeyId": f"{ARN}0"}, {"Plaintext": MATERIAL[1:]}, {"Plaintext": None}])
async def test_a_key_is_not_opened_by_such_an_answer_either(changed: dict[str, Any]) -> None:
    with scripted_server(_kms(), _kms(**changed)) as server:
        client = made_client(server.url)
        keys = KmsOwnKeys(client, KmsDeployment(ARN, "test", 1))
        await keys.fresh({})
        with pytest.raises(KeysUnavailable):
            await keys.opened(b"wrapped", {})
        keys._managed._calls.close()
        client.close()


# -- what is sent --


def test_what_is_sent_is_what_the_sdk_would_send() -> None:
    item: Item = {"pk": {"B": b"\0\xff~?"}, "n": {"N": "-1"}, "s": {"S": 'ä"\\\u2028'}, "f": {"BOOL": False}}
    arguments = {"TableName": "t", "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    with scripted_server(Reply(200, {})) as server:
        sdk = botocore.session.get_session().create_client(
            "dynamodb", region_name=REGION, endpoint_url=server.url, aws_access_key_id="a", aws_secret_access_key="b"
        )
        sdk.put_item(**arguments)
        sdk.close()
        client = made_client(server.url, "dynamodb")
        client.ask(Question("PutItem", lambda: arguments, bytes), CREDENTIALS)
        client.close()
    theirs, ours = server.asked
    assert (ours.path, ours.body) == (theirs.path, theirs.body)
    for name in ("content-type", "x-amz-target", "host"):
        assert ours.headers[name] == theirs.headers[name]
