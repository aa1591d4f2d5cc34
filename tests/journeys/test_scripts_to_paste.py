"""What the walkthrough gives to be pasted: curl lines and Python, run against a real service, do what they say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from counterfoil.console.walkthrough.scripts import CLOCK, ISSUE, VALIDATE, curl, python
from counterfoil.console.walkthrough.story import By, Call, Payment
from tests.support.service import COUNTERFOIL, clean_environment

PAYMENT = Payment(payee='It\'s "Müller" & $HOME `id` \\ {}', reference="'; exit 9; '", device_id="PASSCODE")


@pytest.fixture(scope="module")
def service() -> Iterator[dict[str, str]]:
    process = subprocess.Popen(
        [*COUNTERFOIL, "dev", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True, env=clean_environment()
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _calls() -> list[Call]:
    """One slip's life: issued, stolen in vain, changed, accepted, asked again, copied, late."""

    def asked(by: By, status: int, redemption_id: str, **changed: str) -> Call:
        body = {**PAYMENT.bound(), "transaction": {**PAYMENT.bound()["transaction"], **changed}}
        return Call(by, VALIDATE, body, status, redemption_id)

    return [
        Call(By.CLIENT, ISSUE, {**PAYMENT.bound(), "lifetime_s": 60}, 201),
        asked(By.NOBODY, 401, "a"),
        asked(By.CLIENT, 403, "b"),
        asked(By.BACKEND, 409, "c", amount="949.90"),
        asked(By.BACKEND, 200, "d"),
        asked(By.BACKEND, 200, "d"),
        asked(By.BACKEND, 409, "e"),
        Call(By.OPERATOR, CLOCK, {"advance_s": 60}, 200),
    ]


def _run(command: list[str], service: dict[str, str], script: str, folder: Path) -> str:
    credentials = {
        name: service[role] for name, role in {"ISSUER": "issuer", "VALIDATOR": "validator", "OPERATOR": "operator"}.items()
    }
    done = subprocess.run(
        command,
        input=script,
        env={**clean_environment(), **credentials, "PATH": os.environ["PATH"]},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


def test_the_curl_lines_do_what_they_say(service: dict[str, str], tmp_path: Path) -> None:
    said = _run(["bash", "-eu"], service, curl(service["url"], _calls()), tmp_path)
    answers: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert [each.get("reason", each.get("code", each.get("replayed"))) for each in answers[:-1]] == [
        "unauthenticated",
        "forbidden",
        "transaction_mismatch",
        False,
        True,
        "already_redeemed",
    ]
    assert answers[-1]["ahead_s"] >= 60


def test_the_python_lines_do_what_they_say(service: dict[str, str], tmp_path: Path) -> None:
    said = _run([sys.executable, "-"], service, python(service["url"], _calls()), tmp_path)
    assert [re.sub(r":.*", "", line) if line.startswith("no verdict") else line for line in said.splitlines()] == [
        "no verdict",
        "no verdict",
        "refused: transaction_mismatch",
        "accepted",
        "accepted, told again",
        "refused: already_redeemed",
    ]
