"""Engines that several suites share, started once."""

from collections.abc import Iterator

import pytest

from tests.contract.engines import unless_missing
from tests.support import emulator
from tests.support.emulator import Emulator


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    """The AWS emulator."""
    unless_missing("aws", emulator.missing())
    with emulator.emulated() as running:
        yield running
