"""The metrics of a real server over DynamoDB and KMS: its calls by operation and outcome, the age of its key, its queue."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from infra.emulation.emulator import SDK_ENVIRONMENT, Emulator

from counterfoil import Client
from counterfoil.client import PasscodeRefused, ServiceUnavailable
from tests.support.metrics import scraped
from tests.support.service import Deployment, Running, made_deployment

# Nothing listens there.
NOBODY = "http://127.0.0.1:1"


@contextmanager
def _serving(aws: Emulator, deployment: Deployment, arn: str, **settings: str) -> Iterator[Running]:
    passcodes, keys = f"passcodes-{secrets.token_hex(4)}", f"keys-{secrets.token_hex(4)}"
    aws.create_table(passcodes)
    aws.create_table(keys, "S")
    with deployment.serving(
        **SDK_ENVIRONMENT,
        COUNTERFOIL_STORE=f"dynamodb://{passcodes}?endpoint={aws.url}",
        COUNTERFOIL_KEYS=f"aws-kms:{arn}?table={keys}&endpoint={aws.url}",
        COUNTERFOIL_ISSUE_RATE_PER_S="0",
        COUNTERFOIL_OUTSTANDING_MAX="0",
        **settings,
    ) as running:
        yield running


def _key(aws: Emulator) -> str:
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


def _calls(running: Running, operation: str, outcome: str = "ok") -> float:
    service = "kms" if operation in ("GenerateDataKey", "Decrypt") else "dynamodb"
    return scraped(running.url).of("counterfoil_aws_calls_total", service=service, operation=operation, outcome=outcome)


def test_calls_are_counted_and_the_keys_age_is_told_once_there_is_one(aws: Emulator, deployment: Deployment) -> None:
    with _serving(aws, deployment, _key(aws)) as running:
        before = scraped(running.url)
        assert before.of("counterfoil_aws_calls_total") == 0
        assert "counterfoil_primary_key_age_seconds" not in before.text
        with Client(running.url, deployment.issuer) as issuer, Client(running.url, deployment.validator) as validator:
            passcodes = [issuer.issue("shop-1").passcode for _ in range(3)]
            for passcode in passcodes:
                validator.validate("shop-1", passcode)
            with pytest.raises(PasscodeRefused):
                validator.validate("shop-1", passcodes[0])
        # One key for all of them, which its maker need not open.
        assert _calls(running, "GenerateDataKey") == 1
        assert _calls(running, "Decrypt") == 0
        assert _calls(running, "UpdateItem") == 3
        # The counterfoils, the key, and which key seals.
        assert _calls(running, "PutItem") == 5
        shown = scraped(running.url)
        assert 0 < shown.of("counterfoil_primary_key_age_seconds") < 600
        assert shown.of("counterfoil_store_waiting_writes") == 0
        assert shown.of("counterfoil_store_waiting_writes_max") == 4096
        assert shown.of("counterfoil_aws_call_duration_seconds_count", operation="UpdateItem", service="dynamodb") == 3
        # What a table does not tell without being read whole is left out, and not 0.
        assert "counterfoil_outstanding_passcodes" not in shown.text
        assert "counterfoil_broom_lag_seconds" not in shown.text
        assert "counterfoil_commit_duration_seconds" not in shown.text


def test_strict_mode_makes_two_calls_of_kms_a_transaction(aws: Emulator, deployment: Deployment) -> None:
    with _serving(aws, deployment, _key(aws), COUNTERFOIL_STRICT_KEYS="true") as running:
        with Client(running.url, deployment.issuer) as issuer, Client(running.url, deployment.validator) as validator:
            for _ in range(3):
                validator.validate("shop-1", issuer.issue("shop-1").passcode)
        # Those of the passcodes, and the data key's.
        assert _calls(running, "GenerateDataKey") == 3 + 1
        assert _calls(running, "Decrypt") == 3


def test_a_key_that_is_not_there_is_a_refused_call_and_a_fault(aws: Emulator, deployment: Deployment) -> None:
    nowhere = f"{_key(aws)[:-4]}0000"
    with _serving(aws, deployment, nowhere) as running:
        with Client(running.url, deployment.issuer, tries=1) as issuer, pytest.raises(ServiceUnavailable):
            issuer.issue("shop-1")
        assert _calls(running, "GenerateDataKey", "refused") == 1
        assert scraped(running.url).of("counterfoil_faults_total", code="keys_unavailable") == 1


def test_nobody_answering_is_an_outcome_too(deployment: Deployment) -> None:
    arn = "arn:aws:kms:eu-south-1:000000000000:key/00000000-0000-0000-0000-000000000000"
    with deployment.serving(
        **SDK_ENVIRONMENT,
        COUNTERFOIL_KEYS=f"aws-kms:{arn}?table=keys&endpoint={NOBODY}",
        COUNTERFOIL_STORE="memory:",
    ) as running:
        with Client(running.url, deployment.issuer, tries=1) as issuer, pytest.raises(ServiceUnavailable):
            issuer.issue("shop-1")
        # Tried twice.
        assert _calls(running, "GetItem", "no_answer") == 2
