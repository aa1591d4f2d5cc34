"""The checker by itself: what breaks a promise is found, by its name, and what comes closest to breaking it is not."""

import pytest

from tests.adversity.simulation.checker import violations
from tests.adversity.simulation.rules import Rule
from tests.adversity.simulation.written_histories import CASES, Tale, history


@pytest.mark.parametrize(
    ("rule", "failing", "passing"), [(case[0], *case[2:]) for case in CASES], ids=[f"{case[0]}: {case[1]}" for case in CASES]
)
def test_a_history_that_breaks_the_promise_fails_and_its_neighbours_pass(
    rule: Rule, failing: Tale, passing: list[Tale]
) -> None:
    assert {violation.rule for violation in violations(history(*failing))} == {rule}
    for neighbour in passing:
        assert violations(history(*neighbour)) == []


def test_every_promise_has_a_history_that_breaks_it() -> None:
    assert {case[0] for case in CASES} == set(Rule)
