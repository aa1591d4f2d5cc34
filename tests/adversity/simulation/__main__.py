"""Plays one seed again and prints what happened: `python -m tests.adversity.simulation SEED [--control NAME] [--shrink]`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from tests.adversity.simulation.broken import BROKEN
from tests.adversity.simulation.campaign import replay
from tests.adversity.simulation.variant import SOUND


def main(arguments: Sequence[str]) -> None:
    """Prints the trace and the broken promises."""
    parser = ArgumentParser(prog="python -m tests.adversity.simulation", description="Plays one seed again.")
    parser.add_argument("seed", type=int)
    parser.add_argument("--control", choices=list(BROKEN), help="with a part that is broken on purpose")
    parser.add_argument("--shrink", action="store_true", help="leave out what the broken promise does not need")
    given = parser.parse_args(arguments)
    variant = SOUND if given.control is None else BROKEN[given.control]
    print(replay(given.seed, variant, shrink=given.shrink))


if __name__ == "__main__":
    main(sys.argv[1:])
