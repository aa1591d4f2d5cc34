"""docs/security.md: every test that it names exists, and every requirement has one of three answers and a reason."""

import re
from pathlib import Path

import pytest

from tests.adversity.campaigns import CAMPAIGNS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
SECTIONS = {part.partition("\n")[0].lstrip("# "): part for part in re.split(r"\n(?=##)", PAGE)}
REQUIREMENTS = {
    "OWASP ASVS 5.0.0": r"\d+\.\d+\.\d+ \(L[123]\)",
    "NIST SP 800-63B-4": r"\d(\.\d+)+(, [a-z]+)?",
    "PSD2 RTS, Delegated Regulation (EU) 2018/389": r"[45]\(\d\)(\([a-d]\))?",
}


def _rows(section: str) -> list[list[str]]:
    """The cells of each row of the section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def _known() -> set[str]:
    tests = [name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())]
    return {*tests, *(campaign.name for campaign in CAMPAIGNS)}


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert sorted(named - _known()) == []


def test_every_attacker_has_a_control_and_tests_that_exist() -> None:
    rows = _rows("Threat model")
    assert len(rows) > 15
    for attacker, *rest, tests in rows:
        assert all(rest), attacker
        named = re.findall(r"`([^`]+)`", tests)
        assert named, attacker
        assert sorted(set(named) - _known()) == [], attacker


@pytest.mark.parametrize("standard", REQUIREMENTS)
def test_every_requirement_has_an_answer_and_a_reason(standard: str) -> None:
    rows = _rows(standard)
    assert rows
    for name, asked, status, why in rows:
        assert re.fullmatch(REQUIREMENTS[standard], name), name
        assert asked, name
        assert status in ("met", "not ours", "not met"), name
        assert why, name
    names = [row[0] for row in rows]
    assert sorted(set(names)) == sorted(names)
