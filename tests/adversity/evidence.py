"""`make adversity`: plays every campaign at full size and writes docs/evidence.md with its machine-readable twin.

Each campaign is written down as it ends. One that the twin has already, of the same source, is not played again.
`python -m tests.adversity.evidence [NAME …]` plays the named ones alone and writes nothing; `--size ci` plays CI's share.
"""

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import apsw

from tests.adversity.campaigns import CAMPAIGNS
from tests.adversity.progress import ROOT, Result, git, played, source_of

PAGE = ROOT / "docs" / "evidence.md"
TWIN = ROOT / "docs" / "evidence.json"
_RULE_OF_THREE = 3


def main(words: Sequence[str]) -> int:
    """Plays, and ends with 1 when a case failed or a control was not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.evidence", description=__doc__)
    known = [campaign.name for campaign in CAMPAIGNS]
    parser.add_argument("names", nargs="*", metavar="NAME", help="campaigns to play alone; nothing is written then")
    parser.add_argument("--size", choices=("full", "ci", "laptop"), default="full")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(words)
    for name in asked.names:
        if name not in known:
            parser.error(f"there is no campaign {name!r}, but {', '.join(known)}")
    if git("status", "--porcelain", "src", "tests"):
        parser.error("src or tests differ from the commit: figures must be of a commit, so commit first")
    chosen = [campaign for campaign in CAMPAIGNS if not asked.names or campaign.name in asked.names]
    for campaign in chosen:
        reason = campaign.missing()
        if reason is not None:
            parser.error(f"{campaign.name} cannot be played: {reason}")
    is_published = not asked.names and asked.size == "full"
    before = _recorded() if is_published else {}
    results = []
    for campaign in chosen:
        result = before.get((campaign.name, campaign.sizes.full, source_of(campaign)))
        if result is None:
            result = played(campaign, getattr(campaign.sizes, asked.size), asked.workers, _progress)
        results.append(result)
        failures = result.counts.get("failures", 0)
        _say(f"{result.name}: {result.cases} {result.unit}, {failures} failures, controls caught {result.controls}")
        if is_published:
            twin = as_twin(results)
            TWIN.write_text(json.dumps(twin, indent=1, ensure_ascii=False) + "\n")
            PAGE.write_text(page(twin))
    return int(not all(_is_sound(result) for result in results))


def _is_sound(result: Result) -> bool:
    return not result.failures and all(result.controls.values())


def _recorded() -> dict[tuple[str, int, str], Result]:
    """What the twin says that need not be played again, by name, size and source."""
    if not TWIN.exists():
        return {}
    results = [Result(**each) for each in json.loads(TWIN.read_text())["campaigns"]]
    return {(result.name, result.cases, result.source): result for result in results if _is_sound(result)}


def as_twin(results: Sequence[Result]) -> dict[str, Any]:
    """What the page says, for machines."""
    return {
        "commit": git("rev-parse", "HEAD"),
        "source": git("rev-parse", "HEAD:src"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "left": len(CAMPAIGNS) - len(results),
        "campaigns": [asdict(result) for result in results],
    }


def page(twin: dict[str, Any]) -> str:
    """docs/evidence.md of such a twin."""
    campaigns = twin["campaigns"]
    lines = [
        "# Evidence",
        "",
        "Made by `make adversity`; do not edit. Each campaign tries to make the service accept twice, late or altered,",
        "or forget what it acknowledged. Every case is made from its number alone, and played again by it. *No failure",
        f"in n cases* bounds the probability of such a failure per case below {_RULE_OF_THREE}/n at 95 % confidence.",
        "Each **control** is the same harness on something broken on purpose: what it misses there, it would miss here.",
        "",
        f"Commit `{twin['commit']}`, {twin['date']}; {twin['machine']}; Python {twin['python']}, SQLite {twin['sqlite']}.",
        "[evidence.json](evidence.json) says the same for machines; `make evidence-check` plays 20 random seeds of the",
        "simulation again and compares. What was found and changed on the way is in [CHANGELOG.md](../CHANGELOG.md).",
        *([f"**{twin['left']} campaigns are still to be played.**"] if twin["left"] else []),
        "",
        "| campaign | cases | failures | bound at 95 % | CPU |",
        "|---|---:|---:|---:|---:|",
    ]
    for each in campaigns:
        failures = each["counts"].get("failures", 0)
        bound = f"{_RULE_OF_THREE / each['cases']:.1e}" if not failures else "-"
        name, size = f"[{each['name']}](#{_anchor(each['name'])})", f"{each['cases']:,} {each['unit']}"
        lines.append(f"| {name} | {size} | {failures} | {bound} | {each['seconds']:,.0f} s |")
    for each in campaigns:
        lines += ["", f"## {each['name']}", f"{each['claim']} Cases 0 to {each['cases'] - 1:,}.", ""]
        lines += ["| count | |", "|---|---:|", *(f"| {name} | {count:,} |" for name, count in sorted(each["counts"].items()))]
        if each["controls"]:
            lines += ["", "| control | cases in which it was caught |", "|---|---:|"]
            lines += [f"| {name} | {caught:,} |" for name, caught in each["controls"].items()]
        if each["failures"]:
            lines += ["", "Failures:", *(f"* {failure}" for failure in each["failures"])]
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    """What a heading is called in links, on GitHub and on the site."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def _say(text: str) -> None:
    print(text, flush=True)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<100}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
