"""The same verbs without HTTP: an application that embeds the rules, with 64 callers at once. Run in a process of its own.

python -m bench.in_process FOLDER SECONDS
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import uvloop

from bench.figures import Figure, figure
from bench.medians import spread
from bench.peers.counterfoil import made_deployment
from bench.processes import PYTHON, ROOT, SERVER_CORE, clean_environment, pinned
from bench.rounds import CONNECTIONS, Pace
from bench.wrk import CLIENTS
from counterfoil.api.observing import SilentObserver
from counterfoil.core.issue import Issued, IssueRequest
from counterfoil.core.validate import ValidationRequest
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.model.verdict import Accepted
from counterfoil.server_wiring import service
from counterfoil.settings import load_settings
from counterfoil.wiring import system_now_us

_CONTEXT = {"device_id": "d-9"}
_DIGEST = bytes(32)


async def measured(folder: Path, seconds: float) -> dict[str, float]:
    """Issues and validations a second, durable, with limits and journal."""
    async with embedded(folder) as (issue, validate):
        issued: list[Issued] = []

        async def issue_one(number: int) -> None:
            issued.append(await issue(f"c{number % CLIENTS:04}"))

        async def validate_one(number: int) -> None:
            await validate(issued[number], f"r{number}")

        issues = await _rate(issue_one, seconds, None)
        validations = await _rate(validate_one, seconds, len(issued))
        return {"issue": issues, "validate": validations}


Issue: TypeAlias = Callable[[str], Awaitable[Issued]]
Validate: TypeAlias = Callable[[Issued, str], Awaitable[None]]


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[tuple[Issue, Validate]]:
    """The rules over a fresh folder, as production has them: issues for a client, and redeems under a redemption id."""
    deployment = made_deployment(folder)
    made = service(load_settings(None, {}, {"data": folder}), observer=SilentObserver(), on_fatal=lambda: None)
    credentials = CredentialFile(folder / "credentials.json", system_now_us)
    issuer, validator = [await credentials.principal(secret) for secret in (deployment.issuer, deployment.validator)]
    assert issuer is not None
    assert validator is not None

    async def issue(client_id: str) -> Issued:
        request = IssueRequest(client_id=client_id, context=_CONTEXT, transaction_digest=_DIGEST)
        issued = await made.handlers.issuance.issue(request, issuer)
        assert isinstance(issued, Issued)
        return issued

    async def validate(issued: Issued, redemption_id: str) -> None:
        request = ValidationRequest(
            client_id=issued.client_id,
            passcode=issued.passcode,
            redemption_id=redemption_id,
            context=_CONTEXT,
            transaction_digest=_DIGEST,
        )
        assert isinstance(await made.handlers.validation.validate(request, validator), Accepted)

    yield issue, validate
    await made.store.close()


async def _rate(verb: Callable[[int], Awaitable[None]], seconds: float, most: int | None) -> float:
    begun_s, number = time.perf_counter(), 0

    async def caller() -> None:
        nonlocal number
        while time.perf_counter() - begun_s < seconds and (most is None or number < most):
            mine, number = number, number + 1
            await verb(mine)

    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return number / (time.perf_counter() - begun_s)


def in_process_figures(folder: Path, pace: Pace) -> list[Figure]:
    """Each round in a fresh process on the server's core."""
    runs: list[dict[str, float]] = []
    for number in range(pace.rounds):
        command = [PYTHON, "-m", "bench.in_process", str(folder / f"in-process-{number}"), str(pace.issue_s)]
        done = subprocess.run(
            pinned(SERVER_CORE, command),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=clean_environment(),
            timeout=120,
        )
        runs.append(json.loads(done.stdout))
    return [
        figure(f"{verb} in process, without HTTP", "/s", spread([run[verb] for run in runs])) for verb in ("issue", "validate")
    ]


if __name__ == "__main__":
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    print(json.dumps(runner.run(measured(Path(sys.argv[1]), float(sys.argv[2])))))
