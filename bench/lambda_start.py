"""CPU time of a function's cold start: import and first issue in a fresh interpreter, beside the sample's approach in Python.

    make bench-lambda

Both call the emulator for DynamoDB and KMS. CPU time and not wall time, since a cold start on Lambda is short of CPU; the two
take turns, medians are quoted, and the ratio is what travels to another machine.
"""

import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
from pathlib import Path

from infra import package
from infra.emulation import emulator
from infra.emulation.emulator import PYTHON as EMULATOR_PYTHON
from infra.emulation.emulator import REGION, ROOT, SDK_ENVIRONMENT, Emulator, emulated

ROUNDS = 11
SAMPLE_PYTHON = ROOT / ".engines" / "sample" / "bin" / "python"
REPORT = ROOT / "docs" / "lambda-start.md"
# The budget of issue and bench alike: what the functions carry.
_BUILD = ROOT / "infra" / "build" / "bench-package"

OURS = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
start = time.process_time()
from counterfoil.entrypoints import aws_lambda
imported = time.process_time()
event = {
    "version": "2.0", "rawPath": "/v1/passcodes", "rawQueryString": "", "headers": {"content-type": "application/json"},
    "requestContext": {"http": {"method": "POST"}, "requestId": "r", "stage": "$default",
                       "authorizer": {"jwt": {"claims": {"sub": "shop", "exp": "1"}}}},
    "body": '{"client_id": "1234"}',
}
answer = aws_lambda.issue(event, None)
first = time.process_time()
assert answer["statusCode"] == 201, answer
for _ in range(50):
    aws_lambda.issue(event, None)
print(json.dumps([imported - start, first - start, (time.process_time() - first) / 50]), file=sys.stderr)
"""

SAMPLES = """
import json, os, sys, time
start = time.process_time()
import uuid
import boto3
import aws_encryption_sdk
from aws_encryption_sdk import CommitmentPolicy
imported = time.process_time()
endpoint, key, table = sys.argv[1:]
client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
provider = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[key])
dynamodb = boto3.client("dynamodb")
def generate(number):
    context = {"stage": "demo", "purpose": "otp", "origin": "1234"}
    sealed, _ = client.encrypt(source=str(uuid.uuid4()), key_provider=provider, encryption_context=context)
    item = {"pk": {"B": b"%d" % number}, "otp": {"B": sealed}}
    dynamodb.put_item(TableName=table, Item=item)
    return json.dumps({"otp": list(sealed)})
generate(0)
first = time.process_time()
for number in range(50):
    generate(number)
print(json.dumps([imported - start, first - start, (time.process_time() - first) / 50]), file=sys.stderr)
"""


def measured(command: list[str], environment: dict[str, str]) -> list[float]:
    """CPU seconds: after the import, after the first issue, and a warm issue's."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    values: list[float] = json.loads(done.stderr.splitlines()[-1])
    return values


def compared(aws: Emulator) -> dict[str, list[list[float]]]:
    """The rounds of both, taken in turn."""
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    tables = {name: f"{name}-{secrets.token_hex(3)}" for name in ("counterfoils", "keys", "sample")}
    for name, table in tables.items():
        aws.create_table(table, "S" if name == "keys" else "B")
    principals = [{"subject": "jwt:shop", "name": "shop", "role": "issuer", "clients": ["*"]}]
    shared = {
        **SDK_ENVIRONMENT,
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": aws.url,
        "COUNTERFOIL_STORE": f"dynamodb://{tables['counterfoils']}?region={REGION}",
        "COUNTERFOIL_KEYS": f"aws-kms:{key}?table={tables['keys']}",
        "COUNTERFOIL_STAGE": "bench",
        "COUNTERFOIL_AUTHORIZER": "jwt",
        "COUNTERFOIL_PRINCIPALS": json.dumps(principals),
        "COUNTERFOIL_ISSUE_RATE_PER_S": "0",
        "COUNTERFOIL_OUTSTANDING_MAX": "0",
    }
    ours = [str(EMULATOR_PYTHON), "-c", OURS, str(_BUILD)]
    sample = [str(SAMPLE_PYTHON), "-c", SAMPLES, aws.url, key, tables["sample"]]
    rounds: dict[str, list[list[float]]] = {"ours": [], "sample": []}
    for number in range(ROUNDS + 1):
        found = measured(ours, shared), measured(sample, shared)
        if number:  # the first round warms the disk's cache
            rounds["ours"].append(found[0])
            rounds["sample"].append(found[1])
    return rounds


def report(rounds: dict[str, list[list[float]]], sizes: dict[str, float]) -> str:
    """docs/lambda-start.md."""
    ours, sample = (list(map(statistics.median, zip(*rounds[name], strict=True))) for name in ("ours", "sample"))
    rows = "\n".join(
        f"| {label} | {ours[at] / sample[at]:.2f} | {ours[at] * 1000:.1f} ms | {sample[at] * 1000:.1f} ms |"
        for at, label in enumerate(("import", "import and first issue", "a warm issue"))
    )
    content = "\n".join(f"| {name} | {size:.2f} |" for name, size in sorted(sizes.items(), key=lambda item: -item[1]))
    return f"""# Cold start of the functions

Made by `make bench-lambda`: CPU time in a fresh interpreter, {ROUNDS} rounds of each in turn, medians. Both sides call DynamoDB and KMS
on an emulator without TLS, so warm figures include each side's own work and no network. Machine: {platform.machine()}, Python {platform.python_version()}.
Quote the ratio; the milliseconds are this machine's.

| CPU time | ratio | Counterfoil | the sample's approach (SDK and envelope-encryption library) |
|---|---|---|---|
{rows}

## What the package carries: {sum(sizes.values()):.1f} MB unzipped
| | MB |
|---|---|
{content}

No metrics or tracing library is in it: the functions print CloudWatch's embedded metric format themselves, one line a request. Importing
the usual library's logger and metrics cost another 0.05 to 0.09 s of CPU in a trial, its tracer 0.4 to 0.6 s, on a day on which this machine took 0.7 s for the sample's import and first issue.
"""


def main() -> int:
    """0 when the report was written."""
    missing = emulator.missing() or (
        None if SAMPLE_PYTHON.exists() else "the sample's approach is not installed: run `make bench-lambda`"
    )
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    package.build(_BUILD, None, "", python=EMULATOR_PYTHON)
    subprocess.run([str(EMULATOR_PYTHON), "-m", "compileall", "-q", str(_BUILD)], check=True)
    sizes = _sizes(_BUILD)
    with emulated() as aws:
        text = report(compared(aws), sizes)
    REPORT.write_text(text)
    print(text)
    return 0


def _sizes(folder: Path) -> dict[str, float]:
    sizes: dict[str, float] = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            top = path.relative_to(folder).parts[0].partition("-")[0].partition(".")[0]
            sizes[top] = sizes.get(top, 0) + path.stat().st_size / 1e6
    return sizes


if __name__ == "__main__":
    sys.exit(main())
