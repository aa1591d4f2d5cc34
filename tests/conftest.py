"""Engines that several suites share, started once."""

from collections.abc import Iterator

import pytest
from infra.emulation import dynamodb_local, emulator
from infra.emulation.emulator import Emulator

from tests.contract.engines import unless_missing


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    """The AWS emulator."""
    unless_missing("aws", emulator.missing())
    with emulator.emulated() as running:
        yield running


@pytest.fixture(scope="session")
def local_dynamodb() -> Iterator[Emulator]:
    """DynamoDB Local, for who has accepted its licence."""
    with dynamodb_local.local_dynamodb() as running:
        yield running
