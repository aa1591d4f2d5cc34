"""What it takes to begin: a server until it is ready, the command's help, the import, and a function on Lambda."""

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from infra import package
from infra.emulation import emulator
from infra.emulation.emulator import PYTHON as EMULATOR_PYTHON
from infra.emulation.emulator import emulated

from bench import lambda_start
from bench.figures import Figure, figure, single
from bench.medians import ratios, spread
from bench.peers.counterfoil import Deployment, made_deployment
from bench.processes import PYTHON, SERVER_CORE, clean_environment, cpu_s, pinned, started
from bench.rounds import Pace
from bench.side_by_side import say

_LEAST_ROUNDS = 5
_HELP = ["-m", "counterfoil", "--help"]
_IMPORT = ["-c", "import counterfoil"]
_NOTHING = ["-c", "pass"]


def start_figures(folder: Path, pace: Pace) -> list[Figure]:
    """Wall time until `counterfoil serve` says that it takes requests; CPU of the command's help and of the import."""
    deployment = made_deployment(folder / "start-up")
    many = max(_LEAST_ROUNDS, pace.rounds)
    walls_ms, cpus_ms = zip(*(_start_up_ms(deployment) for _ in range(many)), strict=True)
    helps_ms, imports_ms, nothings_ms = ([_cpu_ms(words) for _ in range(2 * many)] for words in (_HELP, _IMPORT, _NOTHING))
    bare_ms = statistics.median(nothings_ms)
    return [
        figure("start-up of `counterfoil serve` until it is ready", "ms", spread(walls_ms)),
        figure("start-up of `counterfoil serve`, CPU", "ms", spread(cpus_ms)),
        figure("CPU of `counterfoil --help`, interpreter included", "ms", spread(helps_ms), "CPU of --help"),
        figure("CPU of `import counterfoil`, interpreter included", "ms", spread(imports_ms), "CPU of import"),
        single("CPU of the interpreter alone", "ms", bare_ms),
    ]


def lambda_figures() -> list[Figure]:
    """CPU of a function's cold start beside the sample's approach, as `make bench-lambda` takes it; nothing without its engines."""
    if emulator.missing() or not lambda_start.SAMPLE_PYTHON.exists():
        say("Lambda: not measured, since `make bench-lambda` has not set its engines up")
        return []
    build = lambda_start._BUILD
    package.build(build, None, "", python=EMULATOR_PYTHON)
    subprocess.run([str(EMULATOR_PYTHON), "-m", "compileall", "-q", str(build)], check=True)
    with emulated() as aws:
        rounds = lambda_start.compared(aws)
    figures = []
    for at, words in ((1, "import and first issue"), (2, "a warm issue")):
        ours, sample = ([one[at] * 1000 for one in rounds[who]] for who in ("ours", "sample"))
        key = "Lambda import and first issue / sample's" if at == 1 else ""
        figures.append(figure(f"Lambda, CPU of {words} / the sample's approach", "×", ratios(ours, sample), key))
        figures.append(figure(f"Lambda, CPU of {words}", "ms", spread(ours)))
    return figures


def _start_up_ms(deployment: Deployment) -> tuple[float, float]:
    command: list[str | Path] = [PYTHON, "-m", "counterfoil", "serve", "--data", deployment.folder, "--port", "0", "--json"]
    begun_s = time.perf_counter()
    with started(command, SERVER_CORE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"]
        return (time.perf_counter() - begun_s) * 1000, cpu_s([process.pid]) * 1000


def _cpu_ms(words: list[str]) -> float:
    process = subprocess.Popen(pinned(SERVER_CORE, [PYTHON, *words]), stdout=subprocess.DEVNULL, env=clean_environment())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return (used.ru_utime + used.ru_stime) * 1000
