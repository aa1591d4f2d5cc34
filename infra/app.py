"""The CDK app: reads settings.toml and synthesises one stack. Options come as context: settings, package, out."""

import os
import tomllib
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stack import CounterfoilStack

HERE = Path(__file__).parent


def synthesised(settings: dict[str, Any], package: Path, out: Path) -> None:
    """Writes the template and the functions' package into `out`. Needs no account and no network."""
    app = cdk.App(outdir=str(out))
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


if __name__ == "__main__":
    synthesised(
        tomllib.loads(Path(os.environ.get("COUNTERFOIL_INFRA_SETTINGS", HERE / "settings.toml")).read_text()),
        Path(os.environ.get("COUNTERFOIL_INFRA_PACKAGE", HERE / "build" / "package")),
        Path(os.environ.get("CDK_OUTDIR", HERE / "build" / "cdk.out")),
    )
