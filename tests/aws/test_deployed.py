"""The synthesised stack, deployed to an emulator that enforces its roles, driven over HTTP as a client would."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from infra.delete_data import delete_data
from infra.emulation.deployment import Deployed, deployed
from infra.emulation.emulator import SDK_ENVIRONMENT

from counterfoil import Client, PasscodeRefused
from counterfoil.client import CredentialRefused
from counterfoil.entrypoints.commands.demo import played
from tests.aws.test_template import FUNCTIONS, rights

# What the emulator calls a function's credentials: derived from the function and its role.
_LOGICAL = {"Counterfoils": "CounterfoilsTable", "Keys": "KeysTable"}


@dataclass(frozen=True)
class Story:
    """The stack after every kind of request was made to it once, and what it called meanwhile."""

    stack: Deployed
    events: list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def story(stack: Deployed) -> Story:
    """Played before everything else: the emulator's record of calls is not endless."""
    with (
        Client(stack.url, stack.token("issuer")) as client_side,
        Client(stack.url, stack.token("validator")) as backend,
        Client(stack.url, stack.token("operator")) as operator,
    ):
        client_side.issue("1234")
        sealed = operator.seal_context("1234", {"limit": "500"}).sealed_context
        issued = client_side.issue("1234", sealed_context=sealed)
        with pytest.raises(PasscodeRefused, match="context_mismatch"):
            backend.validate("1234", issued.passcode, sealed_pairs={"limit": "501"})
        assert not backend.validate("1234", issued.passcode, sealed_pairs={"limit": "500"}).replayed
        client_side.revoke("1234", passcode=client_side.issue("1234").passcode)
        issuer, validator = ({"authorization": f"Bearer {stack.token(role)}"} for role in ("issuer", "validator"))
        for method, path, headers in (
            ("GET", "generateOtp?clientId=1234", issuer),
            ("POST", "generateOtp?clientId=1234", issuer),
        ):
            generated = httpx2.request(method, f"{stack.url}/{path}", headers=headers).json()
            query = f"clientId=1234&timestamp={generated['timestamp']}"
            if method == "GET":
                assert httpx2.get(f"{stack.url}/validateOtp?{query}", headers=validator).status_code == 200
            else:
                assert httpx2.delete(f"{stack.url}/invalidateOtp?{query}", headers=validator).status_code == 200
    pages = stack.emulator.client("cloudtrail").get_paginator("lookup_events").paginate()
    return Story(stack, [json.loads(each["CloudTrailEvent"]) for page in pages for each in page["Events"]])


def test_the_demos_story_has_the_same_verdicts_here(stack: Deployed) -> None:
    scenes = played({"url": stack.url, "issuer": stack.token("issuer"), "validator": stack.token("validator")})
    assert len(scenes) == 20
    assert [scene for scene in scenes if not scene.is_expected] == []


def test_the_deployment_is_not_open(stack: Deployed) -> None:
    for headers in ({}, {"authorization": "Bearer cfi_x"}, {"authorization": "Basic eA=="}):
        for path in ("/v1/passcodes", "/v1/passcodes/validate", "/v1/passcodes/revoke", "/v1/contexts/seal"):
            answer = httpx2.post(stack.url + path, headers=headers, json={})
            # The gateway's own words: no function was asked.
            assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda provider: provider.token("web-shop", exp=1), id="expired"),
        pytest.param(lambda provider: provider.token("web-shop", aud="another"), id="another audience"),
        pytest.param(lambda provider: provider.token("web-shop", iss="https://another"), id="another issuer"),
        pytest.param(lambda provider: provider.token("web-shop")[:-8] + "AAAAAAAA", id="another signature"),
        pytest.param(lambda provider: provider.token("web-shop", exp=None), id="without expiry"),
        pytest.param(lambda provider: provider.token("nobody"), id="not in the list"),
    ],
)
def test_a_token_that_is_not_good_lets_nobody_in(stack: Deployed, token: Callable[[Any], str]) -> None:
    with Client(stack.url, token(stack.provider)) as stranger, pytest.raises(CredentialRefused):
        stranger.issue("1234")


def test_a_role_does_what_is_its_own(stack: Deployed) -> None:
    with Client(stack.url, stack.token("validator")) as backend, pytest.raises(CredentialRefused):
        backend.issue("1234")
    with Client(stack.url, stack.token("issuer")) as client_side, pytest.raises(CredentialRefused):
        client_side.validate("1234", "cf1_x")


def _calls(story: Story) -> dict[str, dict[str, set[str]]]:
    """The AWS calls that each function was seen to make, by what they were made on."""
    stack = story.stack
    functions = stack.emulator.client("lambda").list_functions()["Functions"]
    keys = {}
    for function in functions:
        seed = f"{function['FunctionArn']}:{function['Role']}"
        name = function["Handler"].rpartition(".")[2].capitalize()
        keys["ASIA" + hashlib.sha256(seed.encode()).hexdigest()[:16].upper()] = name
    resources = {stack.outputs[output]: resource for resource, output in _LOGICAL.items()}
    seen: dict[str, dict[str, set[str]]] = {name: {} for name in keys.values()}
    for event in story.events:
        function = keys.get(event["userIdentity"].get("accessKeyId", ""))
        service = event["eventSource"].partition(".")[0]
        if function is None or service not in ("dynamodb", "kms"):
            continue
        parameters = event.get("requestParameters") or {}
        resource = "Key" if service == "kms" else resources[parameters.get("tableName") or parameters["TableName"]]
        seen[function].setdefault(resource, set()).add(f"{service}:{event['eventName']}")
    return seen


def test_each_function_is_granted_what_it_was_seen_to_call_and_nothing_more(story: Story) -> None:
    seen = _calls(story)
    for function in FUNCTIONS:
        granted = rights(story.stack.template, function)
        del granted[f"{function}Logs"]
        # Unwrapping a key that another instance made takes a second instance: shown in test_kms.
        granted_here = {name: set(actions) for name, actions in granted.items()}
        if function == "Issue":
            assert "kms:Decrypt" in granted_here["Key"]
            seen[function]["Key"] = seen[function]["Key"] | {"kms:Decrypt"}
        assert seen[function] == granted_here, function


def test_a_right_that_is_taken_away_is_missed(stack: Deployed) -> None:
    """The control: the emulator does enforce the roles, so that a right too few would be seen."""
    iam = stack.emulator.client("iam")
    (role,) = [each["RoleName"] for each in iam.list_roles()["Roles"] if "ValidateRole" in each["RoleName"]]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    without = json.loads(json.dumps(document).replace("dynamodb:UpdateItem", "dynamodb:Scan"))
    with Client(stack.url, stack.token("issuer")) as client_side:
        issued = client_side.issue("1234", lifetime_s=600)
    asked = {"client_id": "1234", "passcode": issued.passcode}
    headers = {"authorization": f"Bearer {stack.token('validator')}"}
    try:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(without))
        answer = httpx2.post(f"{stack.url}/v1/passcodes/validate", headers=headers, json=asked)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert httpx2.post(f"{stack.url}/v1/passcodes/validate", headers=headers, json=asked).status_code == 200


def test_what_kms_was_asked_is_in_the_audit_log_without_a_name(story: Story) -> None:
    contexts = [
        {name.lower(): value for name, value in event["requestParameters"].items()}.get("encryptioncontext")
        for event in story.events
        if event["eventSource"] == "kms.amazonaws.com" and event["eventName"] in ("GenerateDataKey", "Decrypt")
    ]
    assert contexts
    for context in contexts:
        assert context is not None
        assert context["counterfoil:stage"] == "test"
        assert context["counterfoil:epoch"] == "1"
    assert "1234" not in json.dumps(
        [value for context in contexts for name, value in (context or {}).items() if name != "counterfoil:key_id"]
    )


def test_what_the_functions_print_is_what_the_alarms_count(story: Story) -> None:
    logs = story.stack.emulator.client("logs")
    deadline_s = time.monotonic() + 60
    while True:
        lines = [
            event["message"]
            for group in logs.describe_log_groups()["logGroups"]
            for stream in logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]
            for event in logs.get_log_events(logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"])[
                "events"
            ]
        ]
        metrics = [json.loads(line) for line in lines if line.startswith("{") and "_aws" in line]
        if {"already_redeemed", "context_mismatch"} <= {
            each.get("reason") for each in metrics
        } or time.monotonic() > deadline_s:
            break
        time.sleep(0.5)
    assert {"/v1/passcodes", "/v1/passcodes/validate", "/v1/contexts/seal"} <= {each["route"] for each in metrics}
    assert "context_mismatch" in {each.get("reason") for each in metrics}
    assert not any("cf1_" in line or "cfx1_" in line for line in lines)


def test_in_strict_mode_the_story_is_the_same_and_kms_is_told_no_name() -> None:
    with deployed(strict=True, CLOUDTRAIL_RECORDING="1") as strict:
        scenes = played({"url": strict.url, "issuer": strict.token("issuer"), "validator": strict.token("validator")})
        pages = strict.emulator.client("cloudtrail").get_paginator("lookup_events").paginate()
        events = [json.loads(each["CloudTrailEvent"]) for page in pages for each in page["Events"]]
    assert [scene for scene in scenes if not scene.is_expected] == []
    told = [json.dumps(event["requestParameters"]) for event in events if event["eventSource"] == "kms.amazonaws.com"]
    assert any('"counterfoil:purpose": "passcode"' in each for each in told)
    assert not any(name in each for each in told for name in ("shop-1", "Libreria", "d-9"))


def test_data_outlives_the_stack_until_it_is_told_to_go(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one here: afterwards there is no stack."""
    stack, emulator = story.stack, story.stack.emulator
    cloudformation, dynamodb, kms = (emulator.client(name) for name in ("cloudformation", "dynamodb", "kms"))
    (name,) = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
    cloudformation.delete_stack(StackName=name)
    tables = {stack.outputs["CounterfoilsTable"], stack.outputs["KeysTable"]}
    for table in tables:
        assert dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"] is True
    assert kms.describe_key(KeyId=stack.outputs["KeyArn"])["KeyMetadata"]["KeyState"] == "Enabled"
    for variable, value in SDK_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    delete_data(stack.outputs, emulator.url)
    assert not tables & set(dynamodb.list_tables()["TableNames"])
    assert kms.describe_key(KeyId=stack.outputs["KeyArn"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
