"""The deployed stack, made once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from infra.emulation import deployment, emulator
from infra.emulation.deployment import Deployed, deployed, settings, synthesised

from counterfoil.aws import client as aws
from counterfoil.aws.client import AwsClient
from tests.contract.engines import unless_missing


@pytest.fixture(scope="session", autouse=True)
def product_clients() -> Iterator[list[AwsClient]]:
    """The clients that the product makes for itself; closed at the end, since a function never is."""
    made: list[AwsClient] = []
    make = aws.aws_client

    def kept(*arguments: Any) -> AwsClient:
        made.append(make(*arguments))
        return made[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aws, "aws_client", kept)
        yield made
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def stack() -> Iterator[Deployed]:
    """The stack on an emulator that enforces roles and records calls."""
    unless_missing("aws", emulator.missing())
    unless_missing("cdk", deployment.missing())
    with deployed(CLOUDTRAIL_RECORDING="1") as made:
        yield made


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The template as the repository's settings have it. Its package is a stand-in, of which it has only the hash."""
    unless_missing("cdk", deployment.missing())
    folder = tmp_path_factory.mktemp("template")
    (folder / "package").mkdir()
    (folder / "package" / "stand-in").touch()
    return synthesised(settings(), folder / "package", folder / "cdk.out")


@pytest.fixture
def cdk_out(tmp_path: Path) -> Path:
    """Where to synthesise to."""
    unless_missing("cdk", deployment.missing())
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "stand-in").touch()
    return tmp_path
