"""What a transaction calls and consumes on AWS, counted; and that docs/cost.md says so."""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO

import pytest
from bench import cost
from bench.cost import Usage
from infra.emulation.emulator import Emulator


@pytest.fixture(scope="module")
def made(aws: Emulator) -> Iterator[tuple[str, Usage]]:
    with redirect_stdout(StringIO()):
        yield cost.made_document(aws)


@pytest.mark.slow
def test_a_steady_state_of_1000_transactions_keeps_within_its_budget(made: tuple[str, Usage], aws: Emulator) -> None:
    _, usage = made
    assert usage.transactions == 1000
    assert usage.kms_calls / usage.transactions <= 0.02
    assert usage.units["write"] / usage.transactions <= 2 + 0.02
    assert usage.units["read"] / usage.transactions <= 1 + 0.02
    assert set(usage.calls) == {
        "dynamodb:PutItem",
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "kms:GenerateDataKey",
        "kms:Decrypt",
    }


@pytest.mark.slow
def test_the_document_is_what_the_counts_make(made: tuple[str, Usage]) -> None:
    assert cost.DOCUMENT.read_text() == made[0], "run `make cost`"


def test_the_counting_sees_what_is_called(aws: Emulator) -> None:
    with redirect_stdout(StringIO()):
        sample = cost.samples(aws, 3)
        strict = cost.counterfoils(aws, 3, strict=True)
    assert (sample.kms_calls, sample.units["write"], sample.units["read"]) == (9, 9, 1.5)
    # Two of its own a transaction, and two for the shared key.
    assert strict.kms_calls == 2 * 3 + 2
