"""The synthesised stack deployed to the emulator, as `cdk deploy` would deploy it.

What differs from AWS, on purpose, and nothing else:
* the settings name the loopback identity provider, this machine's architecture and the emulator's Python;
* the conditions on `kms:EncryptionContext:…` are taken out of the roles' and the key's policies, since the emulator does not
  evaluate them (an Allow under one never matches there). The template itself is checked for them in the tests.
The bootstrap rule and parameter stay: the emulator evaluates them.
"""

import io
import json
import os
import platform
import subprocess
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import package
from infra.emulation.emulator import ACCOUNT, REGION, ROOT, Emulator, emulated
from infra.emulation.emulator import PYTHON as EMULATOR_PYTHON
from infra.emulation.identity import AUDIENCE, IdentityProvider, identity_provider

CDK_PYTHON = ROOT / ".engines" / "cdk" / "bin" / "python"
CDK_MISSING = "the CDK is not installed: run `make engines`"
STAGE = "test"
SUBJECTS = {"issuer": "web-shop", "validator": "payments-backend", "operator": "operations"}
_QUALIFIER = "hnb659fds"


def missing() -> str | None:
    """Why the stack cannot be synthesised, or None."""
    return None if CDK_PYTHON.exists() else CDK_MISSING


def settings(**changes: dict[str, Any]) -> dict[str, Any]:
    """The repository's settings, with changes by section."""
    own: dict[str, Any] = tomllib.loads((ROOT / "infra" / "settings.toml").read_text())
    return {
        name: {**section, **changes.get(name, {})} if isinstance(section, dict) else section for name, section in own.items()
    }


def synthesised(chosen: dict[str, Any], built: Path, out: Path) -> dict[str, Any]:
    """The template. It needs no account, no credentials and no network."""
    _run_app(chosen, built, out, is_scanned=False).check_returncode()
    template: dict[str, Any] = json.loads(next(out.glob("*.template.json")).read_text())
    return template


def scanned(chosen: dict[str, Any], built: Path, out: Path) -> set[str]:
    """The rules of the policy scanner (cdk-nag, AWS Solutions) that the stack breaks."""
    _run_app(chosen, built, out, is_scanned=True)
    reports = json.loads((out / "validation-report.json").read_text())["pluginReports"]
    return {violation["ruleName"] for report in reports for violation in report["violations"]}


def _run_app(chosen: dict[str, Any], built: Path, out: Path, *, is_scanned: bool) -> "subprocess.CompletedProcess[str]":
    program = (
        "import json, sys, app; from pathlib import Path;"
        f"app.synthesised(json.load(sys.stdin), Path(sys.argv[1]), Path(sys.argv[2]), is_scanned={is_scanned})"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "COVERAGE_"))}
    quiet = {f"JSII_SILENCE_WARNING_{each}_NODE_VERSION": "1" for each in ("END_OF_LIFE", "UNTESTED")}
    return subprocess.run(
        [str(CDK_PYTHON), "-c", program, str(built), str(out)],
        cwd=ROOT / "infra",
        env={**environment, **quiet},
        input=json.dumps(chosen),
        text=True,
        check=False,
        capture_output=True,
        timeout=300,
    )


@dataclass(frozen=True)
class Deployed:
    """A stack that answers at `url`."""

    emulator: Emulator
    provider: IdentityProvider
    url: str
    outputs: dict[str, str]
    template: dict[str, Any]

    def token(self, role: str) -> str:
        """A credential for that role, as the settings' list of principals has it."""
        return self.provider.token(SUBJECTS[role])


@contextmanager
def deployed(*, strict: bool = False, **environment: str) -> Iterator[Deployed]:
    """The stack on an emulator that enforces the functions' roles; everything is gone when the block ends."""
    with (
        identity_provider() as provider,
        tempfile.TemporaryDirectory(prefix="counterfoil-stack-") as folder,
        emulated(AUTH="true", **environment) as emulator,
    ):
        built, out = Path(folder, "package"), Path(folder, "cdk.out")
        package.build(built, None, "", python=EMULATOR_PYTHON)
        chosen = settings(
            deployment={"stage": STAGE, "region": REGION, "architecture": _architecture(), "seed_routes": True},
            authorizer={"kind": "jwt", "issuer": provider.issuer, "audience": [AUDIENCE]},
            keys={"strict": strict},
        )
        template = synthesised(chosen, built, out)
        outputs = _created(emulator, template, out)
        api = outputs["Url"].split("//")[1].partition(".")[0]
        yield Deployed(emulator, provider, f"{emulator.url}/_aws/execute-api/{api}/$default", outputs, template)


def _created(emulator: Emulator, template: dict[str, Any], out: Path) -> dict[str, str]:
    s3, cloudformation = emulator.client("s3", s3={"addressing_style": "path"}), emulator.client("cloudformation")
    assets = json.loads(next(out.glob("*.assets.json")).read_text())["files"]
    bucket = f"cdk-{_QUALIFIER}-assets-{ACCOUNT}-{REGION}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    stack = next(out.glob("*.template.json")).name.partition(".")[0]
    for asset in assets.values():
        (destination,) = asset["destinations"].values()
        if asset["source"]["packaging"] == "zip":
            body = _zipped(out / asset["source"]["path"])
        else:
            body = json.dumps(without_key_conditions(template)).encode()
            url = f"{emulator.url}/{bucket}/{destination['objectKey']}"
        s3.put_object(Bucket=bucket, Key=destination["objectKey"], Body=body)
    emulator.client("ssm").put_parameter(Name=f"/cdk-bootstrap/{_QUALIFIER}/version", Value="30", Type="String")
    cloudformation.create_stack(StackName=stack, TemplateURL=url, Capabilities=["CAPABILITY_IAM"])
    deadline_s = time.monotonic() + 240
    while (found := cloudformation.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"].endswith("IN_PROGRESS"):
        if time.monotonic() > deadline_s:
            raise TimeoutError("the stack was not created in four minutes")
        time.sleep(0.1)
    if found["StackStatus"] != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        raise RuntimeError([event.get("ResourceStatusReason") for event in events if "FAILED" in event["ResourceStatus"]])
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def without_key_conditions(template: dict[str, Any]) -> dict[str, Any]:
    """The template without conditions on encryption contexts, and without the denials that consist of one."""
    copy: dict[str, Any] = json.loads(json.dumps(template))
    for resource in copy["Resources"].values():
        policy = resource["Properties"].get("PolicyDocument") or resource["Properties"].get("KeyPolicy")
        if policy is None:
            continue
        statements = []
        for statement in policy["Statement"]:
            if "kms:EncryptionContext:" in json.dumps(statement.get("Condition", {})):
                del statement["Condition"]
                if statement["Effect"] == "Deny":
                    continue
            statements.append(statement)
        policy["Statement"] = statements
    return copy


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return content.getvalue()


def _architecture() -> str:
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
