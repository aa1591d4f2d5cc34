"""Counts the AWS calls of a transaction, for this system and for the reference sample's design, and writes docs/cost.md.

    make cost

The counts are made on the emulator, where each call is sent: of ours by its client, of the sample's design by the SDK's own
event hooks. A capacity unit is what the answer says was consumed.
"""

import json
import secrets
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.emulation import emulator
from infra.emulation.emulator import REGION, ROOT, Emulator, emulated

from counterfoil.aws import client as aws_clients
from counterfoil.aws.client import AwsClient
from counterfoil.aws.connection import Answer
from counterfoil.aws.json_protocol import Question
from counterfoil.entrypoints.aws_lambda import ROUTES, Function, made_function
from counterfoil.settings import load_settings

TRANSACTIONS = 1000
PRICES = ROOT / "bench" / "prices.toml"
DOCUMENT = ROOT / "docs" / "cost.md"
# The sample's answer and item are this long: an envelope-encrypted message with its header, as a JSON array of bytes.
_SAMPLE_ITEM_BYTES = 2600
# As infra/stack.py makes them; a test counts them.
_ALARMS = 12


@dataclass
class Usage:
    """What was called and consumed, over all transactions."""

    transactions: int
    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)

    @property
    def kms_calls(self) -> int:
        """Requests to KMS."""
        return sum(number for name, number in self.calls.items() if name.startswith("kms:"))

    def watch_sdk(self, client: Any) -> Any:
        """The SDK's client, counted from now on: once for each attempt, since each is billed."""
        service = client.meta.service_model.service_name
        events = client.meta.events
        events.register("before-send.*.*", lambda event_name, **_: self._sent(service, event_name.rpartition(".")[2]))
        if service == "dynamodb":
            events.register(
                "provide-client-params.dynamodb.*", lambda params, **_: {**params, "ReturnConsumedCapacity": "TOTAL"}
            )
            events.register("after-call.dynamodb.*", lambda parsed, model, **_: self._consumed(model.name, parsed))
        return client

    def watch(self, service: str, client: AwsClient) -> AwsClient:
        """The product's client, counted likewise. It asks by itself what was consumed."""
        exchanged = client.exchanged

        def counted(question: Question[Any], *rest: Any) -> Answer:
            self._sent(service, question.operation)
            answer = exchanged(question, *rest)
            if service == "dynamodb":
                self._consumed(question.operation, json.loads(answer.body))
            return answer

        # The one way by which a client sends.
        replaced: Any = client
        replaced.exchanged = counted
        return client

    def _sent(self, service: str, operation: str) -> None:
        self.calls[f"{service}:{operation}"] += 1

    def _consumed(self, operation: str, parsed: dict[str, Any]) -> None:
        units = parsed.get("ConsumedCapacity", {}).get("CapacityUnits", 0)
        self.units["read" if operation == "GetItem" else "write"] += units


def counterfoils(aws: Emulator, transactions: int, *, strict: bool = False) -> Usage:
    """Issue and validate, through the functions' own code."""
    usage = Usage(transactions)
    table, keys = (f"{name}-{secrets.token_hex(3)}" for name in ("counterfoils", "keys"))
    aws.create_table(table)
    aws.create_table(keys, "S")
    arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    principals = [
        {"subject": "jwt:shop", "name": "shop", "role": "issuer", "clients": ["*"]},
        {"subject": "jwt:backend", "name": "backend", "role": "validator"},
    ]
    environment = {
        "COUNTERFOIL_STORE": f"dynamodb://{table}?region={REGION}&endpoint={aws.url}",
        "COUNTERFOIL_KEYS": f"aws-kms:{arn}?table={keys}&endpoint={aws.url}",
        "COUNTERFOIL_STAGE": "cost",
        "COUNTERFOIL_AUTHORIZER": "jwt",
        "COUNTERFOIL_PRINCIPALS": json.dumps(principals),
        "COUNTERFOIL_ISSUE_RATE_PER_S": "0",
        "COUNTERFOIL_OUTSTANDING_MAX": "0",
        "COUNTERFOIL_STRICT_KEYS": "true" if strict else "false",
    }
    functions = _watched_functions(usage, environment, aws)
    bound = {"client_id": "1234", "context": {"device_id": "d-9"}, "transaction": {"amount": "10.00", "payee": "Anna"}}
    for _ in range(transactions):
        issued = _asked(functions["issue"], "/v1/passcodes", "shop", bound, 201)
        validated = {**bound, "passcode": issued["passcode"]}
        _asked(functions["validate"], "/v1/passcodes/validate", "backend", validated, 200)
    for function in functions.values():
        function.close()
    return usage


def _watched_functions(usage: Usage, environment: dict[str, str], aws: Emulator) -> dict[str, Function]:
    make: Any = aws_clients.aws_client
    # Clients of the emulator's own making, since they have credentials; each of the product's is made through this one name.

    def watched(service: str, _region: str | None, _url: str | None) -> AwsClient:
        return usage.watch(service, aws.product_client(service))

    replaced: Any = watched
    aws_clients.aws_client = replaced
    try:
        settings = load_settings(None, environment)
        return {name: made_function(name, settings, environment) for name in ROUTES if name != "operate"}
    finally:
        aws_clients.aws_client = make


def _asked(function: Function, path: str, subject: str, body: dict[str, Any], expected: int) -> Any:
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": "POST"},
            "requestId": "cost",
            "stage": "$default",
            "authorizer": {"jwt": {"claims": {"sub": subject, "exp": "1"}}},
        },
        "body": json.dumps(body),
    }
    answer = function.answered(event)
    assert answer["statusCode"] == expected, answer["body"]
    return json.loads(answer["body"])


def samples(aws: Emulator, transactions: int) -> Usage:
    """The reference sample's design: an envelope per passcode whose keyring names the same key twice, and no redemption."""
    usage = Usage(transactions)
    table = f"sample-{secrets.token_hex(3)}"
    aws.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "clientId", "KeyType": "HASH"}, {"AttributeName": "createdAt", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "clientId", "AttributeType": "S"},
            {"AttributeName": "createdAt", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    kms, dynamodb = usage.watch_sdk(aws.client("kms")), usage.watch_sdk(aws.client("dynamodb"))
    key = aws.client("kms").create_key()["KeyMetadata"]
    context = {"stage": "demo", "purpose": "otp", "origin": "1234"}
    for number in range(transactions):
        name = {"clientId": {"S": "1234"}, "createdAt": {"N": str(number)}}
        data_key = kms.generate_data_key(KeyId=key["KeyId"], NumberOfBytes=32, EncryptionContext=context)
        kms.encrypt(KeyId=key["Arn"], Plaintext=data_key["Plaintext"], EncryptionContext=context)
        dynamodb.put_item(TableName=table, Item={**name, "otp": {"B": bytes(_SAMPLE_ITEM_BYTES)}})
        dynamodb.get_item(TableName=table, Key=name)
        kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context)
    return usage


def document(ours: Usage, strict: Usage, sample: Usage, prices: dict[str, Any]) -> str:
    """docs/cost.md."""
    unit, assumed = prices["per_million"], prices["assumed"]
    columns = {
        "Counterfoil": _dollars(ours, unit, assumed, "http_api_requests", "lambda_gb_s_arm64", "lambda"),
        "Counterfoil, strict mode": _dollars(strict, unit, assumed, "http_api_requests", "lambda_gb_s_arm64", "lambda"),
        "the sample's design": _dollars(sample, unit, assumed, "rest_api_requests", "lambda_gb_s_x86_64", "sample_lambda"),
    }
    rows = [
        f"| {part} | " + " | ".join(f"{column[part]:.2f}" for column in columns.values()) + " |"
        for part in columns["Counterfoil"]
    ]
    totals = {name: sum(column.values()) for name, column in columns.items()}
    saas = assumed["verification_saas_per_million"]
    own = totals["Counterfoil"]
    fixed = _fixed(prices)
    break_even = (assumed["self_hosted_per_month"] - fixed) / own
    dominant = max(columns["Counterfoil"], key=lambda part: columns["Counterfoil"][part])
    counted = "\n".join(
        f"| {label} | {usage.kms_calls / usage.transactions:.3f} | {usage.units['write'] / usage.transactions:.2f} |"
        f" {usage.units['read'] / usage.transactions:.2f} |"
        for label, usage in zip(columns, (ours, strict, sample), strict=True)
    )
    return f"""# What a million transactions cost on AWS

Made by `make cost` from counts and a price table; a test makes it again and compares. A transaction is one issue and one validation.

## Counted
{ours.transactions:,} transactions of each, on the emulator, where they are sent (each attempt counts); units are what DynamoDB's answers say.

| per transaction | KMS calls | write units | read units |
|---|---|---|---|
{counted}

The sample's design calls KMS three times (its keyring lists the same key twice), stores {_SAMPLE_ITEM_BYTES:,} bytes, reads eventually
consistently, and never redeems: what it does not do costs nothing.

## In dollars per million transactions
List prices of {prices["date"]} ([bench/prices.toml](../bench/prices.toml): us-east-1, before free tiers; edit it for your Region), with
{assumed["lambda_billed_s"] * 1000:.0f} ms of {assumed["lambda_memory_gb"]} GB billed per call ({assumed["sample_lambda_billed_s"] * 1000:.0f} ms for the sample's, which waits for KMS; both are assumptions, not measured on AWS); ours
on arm64, the sample's on x86_64 as published.

| | {" | ".join(columns)} |
|---|{"---|" * len(columns)}
{chr(10).join(rows)}
| **total** | {" | ".join(f"**{total:.2f}**" for total in totals.values())} |

{dominant.capitalize()} dominate. The sample's design costs {totals["the sample's design"] / own:.1f} times as much; a verification service at
{saas / 1_000_000:.2f} a verification {saas / own:,.0f} times. A fixed {fixed:.2f} a month
comes on top: the key, {_ALARMS} alarms, the dashboard and {assumed["metric_series"]} metric series. Storage, backups (point-in-time recovery) and data transfer are not in it: items live hours.

**The load matters for KMS**: the count above is of instances that stay warm. Each instance asks KMS once per data key and five minutes, so at a few
transactions an hour default mode too comes to two calls a transaction, and to two more writes: some ten dollars a million, of which there is none.

## When a machine of your own is cheaper
One process on SQLite needs neither gateway, function nor table. Beside a machine of {assumed["self_hosted_per_month"]:.0f} a month, AWS is dearer from
**{break_even:.1f} million transactions a month** on ({break_even * 1_000_000 / (30 * 86400):.1f} a second, all day). What that machine's
failure costs you is not in this figure.
"""


def _fixed(prices: dict[str, Any]) -> float:
    """Dollars a month, whatever the load."""
    month = prices["per_month"]
    series = prices["assumed"]["metric_series"] * month["metric_series"]
    return float(month["kms_key"] + _ALARMS * month["alarm"] + month["dashboard"] + series)


def _dollars(
    usage: Usage, unit: dict[str, float], assumed: dict[str, float], gateway: str, compute: str, function: str
) -> dict[str, float]:
    """Dollars per million transactions, by part."""
    requests = 2
    seconds = requests * assumed[f"{function}_billed_s"] * assumed[f"{function}_memory_gb"]
    return {
        "gateway requests": requests * unit[gateway],
        "function requests and time": requests * unit["lambda_requests"] + seconds * unit[compute],
        "DynamoDB writes and reads": (
            usage.units["write"] * unit["dynamodb_write_units"] + usage.units["read"] * unit["dynamodb_read_units"]
        )
        / usage.transactions,
        "KMS requests": usage.kms_calls * unit["kms_requests"] / usage.transactions,
        "logs": requests * assumed["log_mb_per_request"] * unit["log_mb"],
    }


def made_document(aws: Emulator, transactions: int = TRANSACTIONS) -> tuple[str, Usage]:
    """The document, and this system's usage."""
    prices = tomllib.loads(PRICES.read_text())
    ours = counterfoils(aws, transactions)
    return document(ours, counterfoils(aws, transactions, strict=True), samples(aws, transactions), prices), ours


def main(write: Callable[[str], object] = DOCUMENT.write_text) -> int:
    """0 when the document was written."""
    reason = emulator.missing()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 2
    started_s = time.monotonic()
    with emulated() as aws:
        text, _ = made_document(aws)
    write(text)
    print(f"wrote {DOCUMENT.relative_to(Path.cwd())} in {time.monotonic() - started_s:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
