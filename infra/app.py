"""The CDK app: reads settings.toml, checks it as the functions will, and synthesises one stack."""

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stack import PRINCIPALS_FILE, CounterfoilStack

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))
# All variables of a function together have 4 KB.
SERVICE_CONTEXT_CHARS_MAX = 2048


def synthesised(settings: dict[str, Any], package: Path, out: Path, *, is_scanned: bool = False) -> None:
    """Writes the template and the functions' package into `out`. Needs no account and no network. Raises Invalid."""
    check(settings)
    (package / PRINCIPALS_FILE).write_text(json.dumps(settings["principals"]))
    app = cdk.App(outdir=str(out))
    if is_scanned:
        import cdk_nag

        cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    deployment = settings["deployment"]
    CounterfoilStack(
        app,
        f"Counterfoil-{deployment['stage']}",
        settings=settings,
        package=package,
        env=cdk.Environment(account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=deployment["region"]),
        description="Counterfoil: one-time passcodes for transactions",
    )
    app.synth()


def check(settings: dict[str, Any]) -> None:
    """Raises Invalid for what the functions would refuse at their first call, when it is too late."""
    from counterfoil.credentials.gateway_principals import GatewayPrincipals
    from counterfoil.model.invalid import Invalid
    from counterfoil.settings import Settings

    GatewayPrincipals(json.dumps(settings["principals"]))
    passcodes, keys, kind = settings["passcodes"], settings["keys"], settings["authorizer"]["kind"]
    foreign = [each for each in settings["principals"] if not each["subject"].startswith(f"{kind}:")]
    if foreign and kind in ("jwt", "iam"):
        raise Invalid("principals", f"subjects must begin with {kind}:, as the authorizer's do")
    context = json.dumps(passcodes["service_context"]) if passcodes["service_context"] else ""
    if len(context) > SERVICE_CONTEXT_CHARS_MAX:
        raise Invalid("service_context", f"must have at most {SERVICE_CONTEXT_CHARS_MAX} characters of JSON on Lambda")
    Settings(
        stage=settings["deployment"]["stage"],
        epoch=settings["deployment"]["epoch"],
        strict_keys=keys["strict"],
        key_reuse_s=keys["reuse_s"],
        key_reuse_max=keys["reuse_max"],
        lifetime_default_s=passcodes["lifetime_default_s"],
        lifetime_max_s=passcodes["lifetime_max_s"],
        retention_s=passcodes["retention_s"],
        service_context=context,
    ).checked()


if __name__ == "__main__":
    synthesised(
        tomllib.loads(Path(os.environ.get("COUNTERFOIL_INFRA_SETTINGS", HERE / "settings.toml")).read_text()),
        Path(os.environ.get("COUNTERFOIL_INFRA_PACKAGE", HERE / "build" / "package")),
        Path(os.environ.get("CDK_OUTDIR", HERE / "build" / "cdk.out")),
    )
