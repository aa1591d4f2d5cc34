"""The simulation: the same seed is the same run, whatever can go wrong does, and what fails is made small enough to read."""

import subprocess
import sys
from hashlib import sha256

import pytest

from tests.adversity.simulation.__main__ import main
from tests.adversity.simulation.broken import BROKEN
from tests.adversity.simulation.campaign import judged, replay, run, seed_digest
from tests.adversity.simulation.checker import violations
from tests.adversity.simulation.drawing import drawn_plan
from tests.adversity.simulation.history import Told
from tests.adversity.simulation.kinds import KINDS
from tests.adversity.simulation.shrinking import shrunk
from tests.adversity.simulation.variant import SOUND
from tests.adversity.simulation.world import played

SEEDS = 500
SHORT = 12


@pytest.mark.slow
def test_every_kind_of_trouble_occurs_in_at_least_one_seed_of_a_hundred() -> None:
    figures = run(0, SEEDS)
    assert not figures.failures
    assert figures.counts["operations"] >= 50 * SEEDS
    seldom = {kind: figures.counts[f"fault: {kind}"] for kind in KINDS if figures.counts[f"fault: {kind}"] < SEEDS / 100}
    assert not seldom
    assert {name.removeprefix("fault: ") for name in figures.counts if name.startswith("fault: ")} == set(KINDS)


def test_a_seed_gives_the_same_run_again_also_in_another_process() -> None:
    again = (
        "from tests.adversity.simulation.campaign import seed_digest, run;"
        "print(*(seed_digest(seed) for seed in range(5)), run(0, 5).digest)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", again], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        ).stdout.split()
        for hash_seed in ("1", "2")
    ]
    here = [*(seed_digest(seed) for seed in range(5)), run(0, 5).digest]
    assert told == [here, here]
    assert len(set(here)) == 6
    assert replay(3) == replay(3)


def test_the_digest_of_a_run_is_that_of_its_seeds_digests() -> None:
    assert run(7, 10).digest == sha256("".join(seed_digest(seed) for seed in range(7, 10)).encode()).hexdigest()


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_broken_part_breaks_shrinks_to_something_a_person_can_read(name: str) -> None:
    variant = BROKEN[name]
    seed = next(seed for seed in range(200) if judged(seed, variant)[1])
    plan = shrunk(drawn_plan(seed), variant)
    history = played(plan, variant)
    assert violations(history)
    assert len(history.operations) <= SHORT
    # The same plan is the same run, and the sound service keeps every promise under it.
    assert played(plan, variant).digest() == history.digest()
    assert not violations(played(plan, SOUND))


def test_the_command_line_replays_a_seed_and_names_the_broken_promise(capsys: pytest.CaptureFixture[str]) -> None:
    control = "leaves expiry out of the condition"
    seed = next(seed for seed in range(200) if judged(seed, BROKEN[control])[1])
    main([str(seed), "--control", control, "--shrink"])
    *lines, broken = capsys.readouterr().out.splitlines()
    assert broken.startswith("BROKEN: accepted at or after expiry: #")
    assert len(lines) <= 2 * SHORT
    main([str(seed)])
    assert "BROKEN" not in capsys.readouterr().out


def test_a_history_holds_what_the_real_service_answered() -> None:
    told = {operation.told for seed in range(40) for operation in judged(seed)[0].operations}
    assert {Told.ISSUED, Told.ACCEPTED, Told.REPLAYED, Told.WITHDRAWN, Told.UNKNOWN} <= told
    assert Told.UNFORESEEN not in told
