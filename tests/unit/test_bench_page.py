"""docs/performance.md says what its twin says, with every goal beside its figure."""

import json
from typing import Any

import pytest
from bench.figures import GOALS, encoded, figure, single
from bench.medians import spread
from bench.performance import DOCS, PAGE, TWIN
from bench.rendering import page, table

FIGURES = [
    single("CPU of one issue", "µs", 1234.5),
    single("passcode length", "characters", 87, "passcode length"),
    figure("durable issue / bare ASGI echo", "×", spread([0.40, 0.44, 0.50]), "issue / echo"),
    figure("durable validate / bare ASGI echo", "×", spread([0.58]), "validate / echo"),
]


def made_up(**more: Any) -> dict[str, Any]:
    return {
        "date": "2026-11-24",
        "commit": "0123456789abcdef",
        "is_changed": False,
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "server and load on cores": [0, 1],
            "memory GiB": 24,
            "system": "Linux",
            "file system": "ext4",
        },
        "versions": {"Python": "3.11"},
        "peers": {"Redis": "7.0"},
        "settings": {"durability": {"journal_mode": "wal", "synchronous": 2}},
        "figures": encoded(FIGURES),
        "pictures": [["Throughput", "performance-throughput.svg"]],
        **more,
    }


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_ratios_come_first_and_each_goal_stands_beside_its_figure() -> None:
    assert rows(page(made_up())) == [
        "| durable issue / bare ASGI echo | 0.44 × | 0.40 – 0.50 | 3 | ≥ 0.45, stretch 0.6 | not met |",
        "| durable validate / bare ASGI echo | 0.58 × |  | 1 | ≥ 0.4, stretch 0.55 | met, stretch too |",
        "| passcode length | 87 characters |  | 1 | ≤ 96 | met |",
        "| CPU of one issue | 1,234 µs |  | 1 |  |  |",
    ]


def test_the_page_tells_machine_versions_date_and_what_was_read_back() -> None:
    text = page(made_up(is_changed=True))
    for words in ("2026-11-24", "0123456789ab", "not committed", "a processor", "Python 3.11", "Redis 7.0", "'synchronous': 2"):
        assert words in text
    assert "![Throughput](performance-throughput.svg)" in text


def test_the_long_run_s_figures_are_in_the_same_table_with_their_own_circumstances() -> None:
    grown = figure("issue, 10 million rows / 10 thousand", "×", spread([0.95]), "issue, 10 million rows / 10 thousand")
    text = page(made_up(long={**made_up(date="2026-11-25"), "figures": encoded([grown])}))
    assert "`make bench-long` of 2026-11-25" in text
    assert "| issue, 10 million rows / 10 thousand | 0.95 × |  | 1 | ≥ 0.9 | met |" in rows(text)


def test_a_terminal_shows_the_same() -> None:
    assert table(FIGURES).splitlines()[0].split("  ")[0] == "durable issue / bare ASGI echo"


def published() -> Any:
    """The figures that are committed; skipped before the first run."""
    if not (DOCS / TWIN).exists():
        pytest.skip("no figures are published yet: `make bench` writes them")
    return json.loads((DOCS / TWIN).read_text())


def test_the_published_page_says_what_its_twin_says() -> None:
    assert page(published()) == (DOCS / PAGE).read_text()


def test_the_published_figures_are_of_at_least_five_rounds_with_every_goal_among_them() -> None:
    twin = published()
    assert twin["pace"]["rounds"] >= 5
    assert not twin["is_changed"]
    long = twin.get("long")
    told = {row["key"] for row in [*twin["figures"], *(long["figures"] if long else [])]}
    # `make bench-long` takes hours, and adds its figures when it has run.
    assert told >= {goal for goal in GOALS if long or "10 million" not in goal}
