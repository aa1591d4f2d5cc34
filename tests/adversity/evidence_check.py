"""`make evidence-check`: plays 20 random seeds of the simulation again and compares them with docs/evidence.json.

A digest stands for as many seeds as were noted together, so the whole hundred around each seed is played. Where the service's
source has changed since, the commit that the evidence is of is checked out beside and asked.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.adversity.campaigns import campaign_named
from tests.adversity.evidence import TWIN
from tests.adversity.progress import DIGEST_CHARS, ROOT, git

NAME = "simulation"
SEEDS = 20


def main() -> int:
    """1 when a seed came to something else than the evidence says."""
    twin = json.loads(TWIN.read_text())
    if git("rev-parse", "HEAD:src") == twin["source"]:
        return check(twin, random.SystemRandom())
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "tested")
        git("worktree", "add", "--detach", str(checkout), twin["commit"])
        try:
            return _check_in(checkout)
        finally:
            git("worktree", "remove", "--force", str(checkout))


def check(twin: dict[str, Any], randomness: random.Random) -> int:
    """The same over this source."""
    (recorded,) = (each for each in twin["campaigns"] if each["name"] == NAME)
    campaign = campaign_named(NAME)
    size, cases, wrong = recorded["per_chunk"], recorded["cases"], 0
    played: dict[int, str] = {}
    for seed in sorted(randomness.sample(range(cases), SEEDS)):
        chunk = seed // size
        first, last = chunk * size, min(chunk * size + size, cases)
        if chunk not in played:
            played[chunk] = campaign.run(first, last).digest[:DIGEST_CHARS]
        is_same = played[chunk] == recorded["digests"][chunk]
        wrong += not is_same
        print(f"seed {seed} (with {first} to {last - 1}): {'the same' if is_same else 'NOT the same'}", flush=True)
    print(f"{SEEDS} seeds, {wrong} not the same as recorded at {twin['commit'][:12]}")
    return int(wrong > 0)


def _check_in(checkout: Path) -> int:
    # The record is today's; only what is played comes from the commit.
    (checkout / TWIN.relative_to(ROOT)).write_text(TWIN.read_text())
    path = os.pathsep.join([str(checkout / "src"), str(checkout)])
    program = "import sys; from tests.adversity import evidence_check as e; import json, random;"
    program += "sys.exit(e.check(json.loads(e.TWIN.read_text()), random.SystemRandom()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=checkout, env={**os.environ, "PYTHONPATH": path}, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
