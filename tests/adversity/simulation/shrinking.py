"""Makes a failing plan small enough to read: leaves steps and troubles out for as long as the same promise is broken."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tests.adversity.simulation.checker import violations
from tests.adversity.simulation.plan import Call, Delivery, Plan
from tests.adversity.simulation.rules import Rule
from tests.adversity.simulation.variant import Variant
from tests.adversity.simulation.world import played

T = TypeVar("T")


def shrunk(plan: Plan, variant: Variant) -> Plan:
    """The smallest plan that was found to break the gravest of what this one breaks; the plan itself, if that is nothing."""
    rules = _broken(plan, variant)
    if not rules:
        return plan
    rule = min(rules, key=list(Rule).index)
    while True:
        smaller = next((other for other in _smaller(plan) if rule in _broken(other, variant)), None)
        if smaller is None:
            return plan
        plan = smaller


def _broken(plan: Plan, variant: Variant) -> list[Rule]:
    return [violation.rule for violation in violations(played(plan, variant))]


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with something left out: much of it first, and then what is not as simple as it could be."""
    for calls in _with_a_part_left_out(plan.calls):
        yield plan._replace(calls=calls)
    for incidents in _with_a_part_left_out(plan.incidents):
        yield plan._replace(incidents=incidents)
    for simpler in (plan._replace(broom_lag_us=0), plan._replace(skews_us=(0,) * len(plan.skews_us))):
        if simpler != plan:
            yield simpler
    for number, call in enumerate(plan.calls):
        for simpler_call in _simpler(call):
            yield plan._replace(calls=(*plan.calls[:number], simpler_call, *plan.calls[number + 1 :]))


def _with_a_part_left_out(steps: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    size = len(steps)
    while size > 1:
        size = (size + 1) // 2
        for start in range(0, len(steps), size):
            yield steps[:start] + steps[start + size :]
    if len(steps) == 1:
        yield ()


def _simpler(call: Call) -> Iterator[Call]:
    first = call.tries[0]
    if call.twin is not None:
        yield call._replace(twin=None)
    if len(call.tries) > 1:
        yield call._replace(tries=call.tries[:-1])
    for simpler in _simpler_deliveries(first):
        if simpler != first:
            yield call._replace(tries=(simpler, *call.tries[1:]))


def _simpler_deliveries(delivery: Delivery) -> Sequence[Delivery]:
    at_once = (0,) * len(delivery.pace_us)
    return (
        delivery._replace(fault=None),
        delivery._replace(travel_us=0, back_us=0, pace_us=at_once),
        delivery._replace(travel_us=0, back_us=0),
        delivery._replace(pace_us=at_once),
    )
