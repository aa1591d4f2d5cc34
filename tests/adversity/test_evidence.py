"""A run notes its progress, goes on where it was cut off, and tells failures; the page says what its twin says."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.adversity import evidence
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.campaigns import CAMPAIGNS, campaign_named
from tests.adversity.evidence import PAGE, TWIN, as_twin, main, page
from tests.adversity.evidence_check import NAME, check
from tests.adversity.progress import Result, played, source_of

SIZES = Sizes(25, 5, 1)


def campaign(run: Callable[[int, int], Figures], **controls: Callable[[], int]) -> Campaign:
    return Campaign("made-up", "Nothing.", "cases", SIZES, run, controls, per_chunk=10)


def counting(seen: list[tuple[int, int]]) -> Callable[[int, int], Figures]:
    def run(first: int, last: int) -> Figures:
        seen.append((first, last))
        return Figures(Counter(cases=last - first), digest=f"{first:016x}more")

    return run


def play(made_up: Campaign, notes: Path, cases: int = SIZES.full) -> Result:
    return played(made_up, cases, 1, lambda _: None, notes, ThreadPoolExecutor)


def test_what_was_noted_before_a_cut_is_not_played_again(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    play(campaign(counting(seen)), tmp_path, 20)
    result = play(campaign(counting(seen), broken=lambda: 3), tmp_path)
    assert sorted(seen) == [(0, 10), (10, 20), (20, 25)]
    assert (result.cases, result.counts, result.controls) == (25, {"cases": 25}, {"broken": 3})
    assert result.digests == [f"{first:016x}" for first in (0, 10, 20)]


def test_a_fuzzed_target_is_played_anew_for_its_own_module_alone() -> None:
    of_settings, of_environment, of_passcodes = (
        source_of(campaign_named(f"fuzzing-{name}")) for name in ("settings", "environment", "passcode")
    )
    assert of_settings == of_environment != of_passcodes


def test_a_chunk_that_is_cut_off_leaves_no_note(tmp_path: Path) -> None:
    def cut_off(first: int, last: int) -> Figures:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(campaign(cut_off), tmp_path)
    seen: list[tuple[int, int]] = []
    play(campaign(counting(seen)), tmp_path)
    assert len(seen) == 3


def test_a_control_may_have_any_name(tmp_path: Path) -> None:
    result = play(campaign(counting([]), **{"goes on after an I/O error": lambda: 2}), tmp_path)
    assert result.controls == {"goes on after an I/O error": 2}


def test_a_name_of_no_campaign_is_a_mistake_and_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["power-loss"])
    assert ended.value.code == 2
    assert "there is no campaign 'power-loss'" in capsys.readouterr().err


def test_failures_of_every_chunk_are_told(tmp_path: Path) -> None:
    def run(first: int, last: int) -> Figures:
        figures = Figures()
        figures.fail(f"case {first}")
        return figures

    result = play(campaign(run), tmp_path)
    assert result.failures == ["case 0", "case 10", "case 20"]
    assert result.counts == {"failures": 3}


@pytest.mark.slow
def test_what_is_recorded_is_compared_with_what_is_played_again(tmp_path: Path) -> None:
    simulation = replace(campaign_named(NAME), per_chunk=10)
    result = played(simulation, 20, 1, lambda _: None, tmp_path, ThreadPoolExecutor)
    twin = as_twin([result])
    assert check(twin, Random(1)) == 0
    twin["campaigns"][0]["digests"][0] = "0" * 16
    assert check(twin, Random(1)) == 1


def evidence_of(monkeypatch: pytest.MonkeyPatch, folder: Path, made_up: Campaign) -> tuple[int, Any]:
    """What `make adversity` ends with, and the twin that it writes, where there is only this campaign and no note is left."""
    monkeypatch.setattr(evidence, "CAMPAIGNS", (made_up,))
    monkeypatch.setattr(evidence, "TWIN", folder / "evidence.json")
    monkeypatch.setattr(evidence, "PAGE", folder / "evidence.md")
    monkeypatch.setattr(evidence, "played", lambda *asked: play(made_up, folder / str(time.monotonic_ns()), SIZES.full))
    # What this test is part of may differ from the commit.
    monkeypatch.setattr(evidence, "git", lambda *words: "")
    ended = main([])
    return ended, json.loads((folder / "evidence.json").read_text())


def test_what_the_twin_has_of_the_same_source_is_not_played_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = evidence_of(monkeypatch, tmp_path, campaign(counting(seen)))
    again = evidence_of(monkeypatch, tmp_path, campaign(counting(seen)))
    assert first == again
    assert len(seen) == 3


@pytest.mark.parametrize("changed", ["source", "cases", "failures"])
def test_what_the_twin_has_of_another_source_or_size_or_failed_is_played_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str
) -> None:
    seen: list[tuple[int, int]] = []
    _, twin = evidence_of(monkeypatch, tmp_path, campaign(counting(seen)))
    twin["campaigns"][0][changed] = {"source": "another", "cases": 24, "failures": ["case 3"]}[changed]
    (tmp_path / "evidence.json").write_text(json.dumps(twin))
    evidence_of(monkeypatch, tmp_path, campaign(counting(seen)))
    assert len(seen) == 6


def test_every_campaign_is_linked_to_what_is_told_of_it() -> None:
    results = [Result(each.name, each.claim, each.unit, each.sizes.full, source="") for each in CAMPAIGNS]
    made = page(as_twin(results))
    links = re.findall(r"^\| \[.*?\]\(#([a-z0-9-]+)\) \|", made, re.MULTILINE)
    # As GitHub makes them of headings: without marks, in small letters, hyphens for spaces.
    headings = [re.sub("[^a-z0-9 -]", "", heading) for heading in re.findall("^## (.*)$", made.lower(), re.MULTILINE)]
    assert len(links) == len(CAMPAIGNS)
    assert links == [heading.replace(" ", "-") for heading in headings]


def published() -> Any:
    """The evidence that is committed; skipped before a run at full size has come to its end."""
    if not TWIN.exists() or json.loads(TWIN.read_text())["left"]:
        pytest.skip("no evidence is complete yet: `make adversity` writes it")
    return json.loads(TWIN.read_text())


def test_the_page_says_what_its_twin_says() -> None:
    assert page(published()) == PAGE.read_text()


def test_the_evidence_is_of_every_campaign_at_full_size_without_a_failure() -> None:
    twin = published()
    assert [(each["name"], each["cases"]) for each in twin["campaigns"]] == [
        (campaign.name, campaign.sizes.full) for campaign in CAMPAIGNS
    ]
    for each in twin["campaigns"]:
        assert each["failures"] == []
        assert all(caught > 0 for caught in each["controls"].values()), each["name"]
