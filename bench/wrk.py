"""Closed-loop load by `wrk`: starts it on the load's core, reads its report, and says when a figure counts for nothing."""

import re
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, WORK, clean_environment, pinned

SCRIPT = Path(__file__).with_name("load.lua")
CLIENTS = 1000
"""Client ids that take turns, so that no client meets its production limit of 1,000 passcodes a second."""
_TIMEOUT_S = 30
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Unfit(Exception):
    """wrk could not be run, or its report cannot be read."""


@dataclass(frozen=True)
class Report:
    """One round."""

    requests: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    wrong: int
    """Answers that were no success, and connections that broke: with any, the figure counts for nothing."""


def parsed(text: str) -> Report:
    """wrk 4.1's report, made with --latency. Raises Unfit."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    tail = {share: re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE) for share in (50, 99)}
    middle, late = tail[50], tail[99]
    if total is None or rate is None or middle is None or late is None:
        raise Unfit(f"wrk's report cannot be read: {text[-500:]}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    wrong = int(refused[1]) if refused else 0
    wrong += sum(map(int, broken.groups())) if broken else 0
    seconds = float(total[2]) * _UNITS_MS[total[3]] / 1000
    return Report(int(total[1]), seconds, float(rate[1]), _ms(middle), _ms(late), wrong)


def _ms(found: re.Match[str]) -> float:
    return float(found[1]) * _UNITS_MS[found[2]]


@dataclass(frozen=True)
class Load:
    """What wrk is to send: a request's template, the secrets to put in, where those of the answers go, and how they look."""

    url: str
    template: str
    secrets: Path | None = None
    again: bool = False
    """Whether the secrets may be used over and over."""
    kept: Path | None = None
    client_pattern: str = "^$"
    secret_pattern: str = "^$"

    def command(self, folder: Path, seconds: float, connections: int, core: int | None) -> list[str]:
        """wrk's command line, with its template in `folder`. It takes whole seconds alone."""
        run = secrets.token_hex(3)
        template = folder / run
        template.write_text(self.template, newline="")
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"--timeout={_TIMEOUT_S}s", "--latency"]
        taken = [str(self.secrets or "-"), "yes" if self.again else "no"]
        given = [str(self.kept or "-"), self.client_pattern, self.secret_pattern]
        told = [str(template), run, str(CLIENTS), *taken, *given]
        return pinned(core, ["wrk", *options, "-s", SCRIPT, self.url, "--", *told])


def run_together(loads: list[Load], seconds: float, connections: int, core: int | None = LOAD_CORE) -> list[Report]:
    """As many wrk at once as there are loads, each with so many connections."""
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="requests-") as folder:
        commands = [load.command(Path(folder), seconds, connections, core) for load in loads]
        running = [_started(command) for command in commands]
        try:
            texts = [process.communicate(timeout=seconds + 2 * _TIMEOUT_S)[0] for process in running]
        finally:
            for process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    return [parsed(text) for text in texts]


def _started(command: list[str]) -> subprocess.Popen[str]:
    # What it says goes one way: an error has to be seen in the report's place.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
    )
