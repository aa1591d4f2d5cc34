"""The template: what is deployed is closed, kept, watched, and has no right that it does not need."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bench import cost
from infra import package
from infra.emulation.deployment import CDK_PYTHON, scanned, settings, synthesised, without_key_conditions

from counterfoil.entrypoints.aws_lambda import ROUTES

FUNCTIONS = ("Issue", "Validate", "Operate")
AARCH64 = 183
RUNTIME_SHIPS = ("botocore", "boto3", "jmespath", "urllib3", "dateutil", "s3transfer", "six")
PACKAGE_BYTES_MAX = 35 * 1024 * 1024


def _of(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def _statements(template: dict[str, Any], function: str) -> list[dict[str, Any]]:
    """What the function's role allows."""
    return [
        statement
        for policy in _of(template, "AWS::IAM::Policy").values()
        if any(role["Ref"].startswith(f"{function}Role") for role in policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def _actions(statement: dict[str, Any]) -> set[str]:
    action = statement["Action"]
    return {action} if isinstance(action, str) else set(action)


def rights(template: dict[str, Any], function: str) -> dict[str, set[str]]:
    """The actions that the function's role allows, by what they are allowed on."""
    found: dict[str, set[str]] = {}
    for statement in _statements(template, function):
        (resource,) = statement["Resource"]["Fn::GetAtt"][:1]
        found.setdefault(re.sub(r"[0-9A-F]{8}$", "", resource), set()).update(_actions(statement))
    return found


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            "Issue",
            {
                "Counterfoils": {"dynamodb:PutItem"},
                "Keys": {"dynamodb:GetItem", "dynamodb:PutItem"},
                "Key": {"kms:Decrypt", "kms:GenerateDataKey"},
            },
        ),
        (
            "Validate",
            {
                "Counterfoils": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
                "Keys": {"dynamodb:GetItem"},
                "Key": {"kms:Decrypt"},
            },
        ),
        (
            "Operate",
            {
                "Counterfoils": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
                "Keys": {"dynamodb:GetItem"},
                "Key": {"kms:Decrypt"},
            },
        ),
    ],
)
def test_a_function_has_the_rights_of_its_routes(
    template: dict[str, Any], function: str, expected: dict[str, set[str]]
) -> None:
    found = rights(template, function)
    assert found.pop(f"{function}Logs") == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert found == expected


def test_no_role_has_a_wildcard(template: dict[str, Any]) -> None:
    for policy in _of(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert "*" not in json.dumps([statement["Action"], statement["Resource"]])
    for role in _of(template, "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]


@pytest.mark.parametrize("strict", [False, True])
def test_a_role_uses_the_key_for_its_stage_epoch_and_purposes_only(cdk_out: Path, strict: bool) -> None:
    made = synthesised(settings(keys={"strict": strict}), cdk_out / "package", cdk_out / "cdk.out")
    data, both = ["data-key"], ["data-key", "passcode"]
    expected = {
        "Issue": {"kms:Decrypt": data, "kms:GenerateDataKey": both if strict else data},
        "Validate": {"kms:Decrypt": both},
        "Operate": {"kms:Decrypt": data},
    }
    for function in FUNCTIONS:
        found = {}
        for statement in _statements(made, function):
            if "Condition" in statement:
                (action,) = _actions(statement)
                condition = statement["Condition"]["StringEquals"]
                found[action] = condition.pop("kms:EncryptionContext:counterfoil:purpose")
                assert condition == {
                    "kms:EncryptionContext:counterfoil:stage": "dev",
                    "kms:EncryptionContext:counterfoil:epoch": "1",
                }
        assert found == expected[function]


def test_the_key_denies_other_stages_and_epochs_to_everybody(template: dict[str, Any]) -> None:
    (key,) = _of(template, "AWS::KMS::Key").values()
    denials = [each for each in key["Properties"]["KeyPolicy"]["Statement"] if each["Effect"] == "Deny"]
    for denial in denials:
        assert _actions(denial) == {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"}
    assert [each["Condition"]["StringNotEquals"] for each in denials] == [
        {"kms:EncryptionContext:counterfoil:stage": "dev"},
        {"kms:EncryptionContext:counterfoil:epoch": "1"},
    ]


def test_the_key_is_rotated_and_kept(template: dict[str, Any]) -> None:
    (key,) = _of(template, "AWS::KMS::Key").values()
    assert key["Properties"]["EnableKeyRotation"] is True
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_tables_are_on_demand_recoverable_protected_and_kept(template: dict[str, Any]) -> None:
    tables = _of(template, "AWS::DynamoDB::Table").values()
    assert len(tables) == 2
    for table in tables:
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["DeletionProtectionEnabled"] is True
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert [each["AttributeName"] for each in properties["KeySchema"]] == ["pk"]


def test_the_functions_are_small_arm_and_current(template: dict[str, Any]) -> None:
    functions = _of(template, "AWS::Lambda::Function").values()
    assert len(functions) == 3
    for function in functions:
        properties = function["Properties"]
        assert properties["Architectures"] == ["arm64"]
        assert properties["Runtime"] == "python3.13"
        role = properties["Handler"].rpartition(".")[2]
        assert properties["Handler"] == f"counterfoil.entrypoints.aws_lambda.{role}"
        assert role in ROUTES


@pytest.mark.parametrize("kind", ["jwt", "iam"])
@pytest.mark.parametrize("seed_routes", [False, True])
def test_every_route_has_the_authorizer_and_its_function(cdk_out: Path, kind: str, seed_routes: bool) -> None:
    principals = [{"subject": f"{kind}:a", "name": "a", "role": "validator"}]
    chosen = {**settings(authorizer={"kind": kind}, deployment={"seed_routes": seed_routes}), "principals": principals}
    made = synthesised(chosen, cdk_out / "package", cdk_out / "cdk.out")
    expected = {"jwt": "JWT", "iam": "AWS_IAM"}[kind]
    routes = _of(made, "AWS::ApiGatewayV2::Route").values()
    assert {route["Properties"]["AuthorizationType"] for route in routes} == {expected}
    served: dict[str, set[str]] = {}
    for route in routes:
        integration = made["Resources"][route["Properties"]["Target"]["Fn::Join"][1][1]["Ref"]]
        (function,) = integration["Properties"]["IntegrationUri"]["Fn::GetAtt"][:1]
        served.setdefault(re.sub(r"[0-9A-F]{8}$", "", function).lower(), set()).add(
            route["Properties"]["RouteKey"].split(" ")[1]
        )
    wanted = {name: {path for path in paths if seed_routes or path.startswith("/v1/")} for name, paths in ROUTES.items()}
    assert served == wanted


def test_an_open_deployment_cannot_be_synthesised(cdk_out: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        synthesised(settings(authorizer={"kind": "none"}), cdk_out / "package", cdk_out / "cdk.out")
    assert "never open" in caught.value.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"passcodes": {"lifetime_max_s": 9999}},
        {"passcodes": {"service_context": {"a": "x" * 513}}},
        {"passcodes": {"service_context": {str(number): "x" * 300 for number in range(8)}}},
        {"keys": {"reuse_s": 0}},
        {"deployment": {"epoch": 0}},
        {"authorizer": {"kind": "iam"}, "principals": [{"subject": "jwt:a", "name": "a", "role": "validator"}]},
        {"principals": [{"subject": "jwt:a", "name": "a", "role": "vaildator"}]},
    ],
)
def test_what_the_functions_would_refuse_is_not_synthesised(cdk_out: Path, change: dict[str, Any]) -> None:
    chosen = {**settings(**{name: each for name, each in change.items() if name != "principals"})}
    chosen["principals"] = change.get("principals", chosen["principals"])
    with pytest.raises(subprocess.CalledProcessError) as caught:
        synthesised(chosen, cdk_out / "package", cdk_out / "cdk.out")
    assert "Invalid: " in caught.value.stderr


def test_the_list_of_principals_is_in_the_package_whatever_its_length(cdk_out: Path) -> None:
    many = [{"subject": f"jwt:client-{number}", "name": f"client-{number}", "role": "validator"} for number in range(500)]
    made = synthesised({**settings(), "principals": many}, cdk_out / "package", cdk_out / "cdk.out")
    assert json.loads((cdk_out / "package" / "principals.json").read_text()) == many
    for function in _of(made, "AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["COUNTERFOIL_PRINCIPALS"] == "@principals.json"
        assert len(json.dumps(variables)) < 4096


def test_the_api_throttles_and_logs_no_query(template: dict[str, Any]) -> None:
    (stage,) = _of(template, "AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 2000, "ThrottlingRateLimit": 1000}
    logged = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.routeKey" in logged
    for revealing in ("path", "query", "authorizer", "claims"):
        assert revealing not in logged


def test_faults_and_attacks_are_watched(template: dict[str, Any]) -> None:
    names = {re.sub(r"Alarm[0-9A-F]{8}$", "", name) for name in _of(template, "AWS::CloudWatch::Alarm")}
    assert names == {
        "IssueErrors",
        "ValidateErrors",
        "OperateErrors",
        "ServerErrors",
        "CounterfoilsGetItemThrottled",
        "CounterfoilsPutItemThrottled",
        "CounterfoilsUpdateItemThrottled",
        "KeysGetItemThrottled",
        "KeysPutItemThrottled",
        "TransactionMismatches",
        "AlreadyRedeemed",
        "UnknownPasscodes",
    }
    assert len(names) == cost._ALARMS
    assert len(_of(template, "AWS::CloudWatch::Dashboard")) == 1


def test_alarms_go_where_the_settings_say(cdk_out: Path) -> None:
    topic = "arn:aws:sns:eu-south-1:123456789012:on-call"
    made = synthesised(settings(alarms={"topic_arn": topic}), cdk_out / "package", cdk_out / "cdk.out")
    assert {tuple(alarm["Properties"]["AlarmActions"]) for alarm in _of(made, "AWS::CloudWatch::Alarm").values()} == {(topic,)}


def test_outputs_can_be_pasted(template: dict[str, Any]) -> None:
    outputs = template["Outputs"]
    assert {"Url", "CounterfoilsTable", "KeysTable", "KeyArn", "TryIt"} <= outputs.keys()
    assert "curl -X POST" in json.dumps(outputs["TryIt"]["Value"])


def test_what_the_emulator_cannot_judge_is_all_that_is_taken_out_for_it(template: dict[str, Any]) -> None:
    stripped = without_key_conditions(template)
    assert "kms:EncryptionContext" not in json.dumps(stripped)
    assert stripped["Resources"].keys() == template["Resources"].keys()
    for function in FUNCTIONS:
        assert rights(stripped, function) == rights(template, function)


def test_cfn_lint_finds_nothing(template: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template))
    # W3005: the CDK names dependencies that follow from references as well.
    # Not its script: that names the path where it was installed.
    lint = "import sys; from cfnlint.runner import main; sys.exit(main())"
    command = [str(CDK_PYTHON), "-c", lint, "-i", "W3005", "--", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_policy_scanner_finds_nothing_but_the_runtimes_age(cdk_out: Path) -> None:
    # L1: Python 3.13 is what the wheels were tried with; 3.14 is newer.
    assert scanned(settings(), cdk_out / "package", cdk_out / "cdk.out") == {"AwsSolutions-L1"}


# -- the package --


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for the architecture that is deployed by default."""
    out = tmp_path_factory.mktemp("lambda") / "package"
    package.build(out, "arm64", "3.13")
    return out


def _bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) if path.is_dir() else path.stat().st_size


def test_the_package_is_for_the_functions_architecture(built: Path) -> None:
    libraries = list(built.rglob("*.so"))
    assert len(libraries) >= 3
    for library in libraries:
        head = library.read_bytes()[:20]
        assert head[:4] == b"\x7fELF"
        assert int.from_bytes(head[18:20], "little") == AARCH64, library.name


def test_the_package_is_small_and_holds_only_what_the_functions_need(built: Path) -> None:
    assert _bytes(built) <= PACKAGE_BYTES_MAX
    top = {path.name.partition("-")[0].partition(".")[0] for path in built.iterdir()}
    assert top == {"counterfoil", "cryptography", "msgspec", "rfc8785", "cffi", "_cffi_backend", "pycparser"}
    assert not top & set(RUNTIME_SHIPS)
    rooms = {path.name for path in (built / "counterfoil").iterdir()}
    assert "client" not in rooms
    assert {path.name for path in (built / "counterfoil" / "stores").iterdir()} == {
        "__init__.py",
        "dynamodb.py",
        "open_store.py",
    }
