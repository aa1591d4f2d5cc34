"""One run of one target in this process, which libFuzzer takes over: it ends here, and prints what it came to as JSON."""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["counterfoil", "rfc8785", "uvicorn.protocols", "tomllib"], enable_loader_override=False
):
    from tests.adversity.fuzzing.target import Check, Target
    from tests.adversity.fuzzing.targets import TARGETS, target_of

from tests.adversity.campaign import FAILURES_KEPT

CORPUS = Path(__file__).parent / "corpus"
_ENDLESS = 2**31 - 1


class Run:
    """So many inputs, and what became of them."""

    def __init__(self, check: Check, runs: int) -> None:
        self._check = check
        self._runs = runs
        self._counts: Counter[str] = Counter()
        self._failures: list[str] = []
        self._seen = hashlib.sha256()
        self._started_s = time.perf_counter()

    def one(self, data: bytes) -> None:
        """One input. A failure is noted, and the run goes on; after the last input the process ends."""
        try:
            outcome = self._check(data)
        except Exception as error:
            outcome = "failures"
            if len(self._failures) < FAILURES_KEPT:
                self._failures.append(f"{type(error).__name__}: {str(error)[:200]}; input {data.hex()}")
        self._counts[outcome] += 1
        self._seen.update(b"%d %b %b\n" % (len(data), data, outcome.encode()))
        if self._counts.total() == self._runs:
            self._end()

    def _end(self) -> None:
        took_s = time.perf_counter() - self._started_s
        digest = self._seen.hexdigest()
        print(json.dumps({"counts": self._counts, "failures": self._failures, "digest": digest, "took_s": took_s}), flush=True)
        # libFuzzer would go on, and an ordinary exit would run its handlers for a crash.
        os._exit(0)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.fuzzing", description=__doc__)
    parser.add_argument("target", choices=[target.name for target in TARGETS])
    parser.add_argument("--runs", type=int, default=10_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="libFuzzer's seed, 1 or more")
    parser.add_argument("--broken", metavar="DEFECT", help="fuzz the reader with this defect planted in it")
    parser.add_argument("--input", metavar="HEX", help="play this one input, and raise what it raises")
    parser.add_argument("--grow", metavar="FOLDER", type=Path, help="put what reaches something new into this folder")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="take into the corpus what it needs of this folder")
    parser.add_argument("--libfuzzer", nargs=argparse.REMAINDER, help="libFuzzer's own options, as it calls itself")
    given = parser.parse_args()
    target = target_of(given.target)
    check = (target.broken[given.broken] if given.broken else target.opened)()
    seed = f"-seed={given.seed}"
    if given.input is not None:
        print(check(bytes.fromhex(given.input)))
    elif given.libfuzzer is not None:
        _take_over(target, _only(check), *given.libfuzzer)
    elif given.grow is not None:
        _take_over(target, _only(check), seed, f"-runs={given.runs}", _from_inputs(target), str(given.grow))
    elif given.keep is not None:
        (CORPUS / target.name).mkdir(parents=True, exist_ok=True)
        _take_over(target, _only(check), "-merge=1", str(CORPUS / target.name), str(given.keep))
    else:
        _take_over(target, Run(check, given.runs).one, seed, f"-runs={_ENDLESS}", _from_inputs(target))


def _only(check: Check) -> Callable[[bytes], None]:
    """The check as libFuzzer takes it: it gives nothing."""

    def one(data: bytes) -> None:
        check(data)

    return one


def _from_inputs(target: Target) -> str:
    """Says that it starts from the target's own seeds and from what the corpus has kept."""
    folder = Path(tempfile.mkdtemp())
    for number, seed in enumerate(target.seeds):
        (folder / f"{number:03}").write_bytes(seed)
    folders = (folder, CORPUS / target.name)
    return "-seed_inputs=" + ",".join(str(path) for each in folders if each.exists() for path in sorted(each.iterdir()))


def _take_over(target: Target, one: Callable[[bytes], None], *options: str) -> None:
    words = Path(tempfile.mkdtemp()) / "words"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens))
    # It calls itself through a shell, by its first argument.
    itself = f"{sys.executable} -m tests.adversity.fuzzing {target.name} --libfuzzer"
    bounds = [
        "-verbosity=0",
        f"-artifact_prefix={words.parent}/",
        "-print_final_stats=0",
        "-timeout=60",
        "-rss_limit_mb=4096",
        f"-max_len={target.length_max}",
    ]
    atheris.Setup([itself, *bounds, f"-dict={words}", *options], one)
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


main()
