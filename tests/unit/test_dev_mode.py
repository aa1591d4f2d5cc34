"""The integrator's test mode: its clock is the whole service's, its answers are the real ones, and `serve` has none of it."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterfoil.dev_mode.dev_clock import ADVANCE_S_MAX, AHEAD_S_MAX
from counterfoil.dev_mode.forced_answers import FAULTS
from counterfoil.model.journal import Event
from counterfoil.model.verdict import Reason
from counterfoil.settings import Settings
from tests.support.clock import START_US
from tests.support.console import Development
from tests.support.parts import Parts, decoded, heard, made_parts
from tests.support.service import clean_environment, made_deployment

CLOCK = "/dev/clock"
DOCS = Path(__file__).parents[2] / "docs" / "test-mode.md"


@pytest.fixture
def development(tmp_path: Path) -> Development:
    return Development(tmp_path)


@pytest.fixture
def parts(development: Development) -> Parts:
    return development.parts


async def _advance(parts: Parts, seconds: Any, role: str | None = "operator") -> Any:
    return await parts.ask("POST", CLOCK, {"advance_s": seconds}, role=role)


# -- the clock --


async def test_the_clock_is_shown_and_turned_by_an_operator(parts: Parts) -> None:
    assert decoded(await parts.ask("GET", CLOCK, role="operator")) == {"now": START_US, "ahead_s": 0}
    assert decoded(await _advance(parts, 61)) == {"now": START_US + 61_000_000, "ahead_s": 61}
    assert decoded(await _advance(parts, 1)) == {"now": START_US + 62_000_000, "ahead_s": 62}


@pytest.mark.parametrize("role", ["issuer", "validator", None])
async def test_nobody_else_turns_it(parts: Parts, role: str | None) -> None:
    expected = 401 if role is None else 403
    assert (await _advance(parts, 61, role)).status == expected
    assert (await parts.ask("GET", CLOCK, role=role)).status == expected
    assert decoded(await parts.ask("GET", CLOCK, role="operator"))["ahead_s"] == 0


@pytest.mark.parametrize("seconds", [0, -1, -61, ADVANCE_S_MAX + 1, 2**70, 1.5, "61", None, True])
async def test_it_is_never_turned_back_nor_out_of_bounds(parts: Parts, seconds: Any) -> None:
    assert (await _advance(parts, seconds)).status == 400
    assert decoded(await parts.ask("GET", CLOCK, role="operator"))["ahead_s"] == 0


async def test_it_leads_only_so_far(development: Development) -> None:
    for _ in range(AHEAD_S_MAX // ADVANCE_S_MAX):
        assert (await _advance(development.parts, ADVANCE_S_MAX)).status == 200
    assert (await _advance(development.parts, ADVANCE_S_MAX)).status == 400


async def test_a_passcode_dies_by_it_to_the_second(parts: Parts) -> None:
    for turned_s, verdict in ((59, "200"), (60, "expired")):
        issued = await parts.issue(lifetime_s=60)
        await _advance(parts, turned_s)
        assert heard(await parts.validate(issued["passcode"])) == verdict


async def test_what_is_issued_later_is_stamped_later(parts: Parts) -> None:
    first = await parts.issue()
    await _advance(parts, 3600)
    later = await parts.issue()
    assert later["timestamp"] - first["timestamp"] >= 3_600_000_000
    assert heard(await parts.validate(later["passcode"])) == "200"


async def test_the_broom_goes_by_it(development: Development) -> None:
    await development.parts.issue()
    await _advance(development.parts, 2 * 3600)
    for _ in range(2):
        await development.parts.issue()
    assert len(development.store._counterfoils) == 2


# -- answers on demand --


@pytest.mark.parametrize("reason", Reason)
async def test_a_client_id_forces_each_refusal_with_the_real_answer(
    development: Development, parts: Parts, reason: Reason, tmp_path: Path
) -> None:
    client_id = f"refuse-{reason}"
    issued = await parts.issue(client_id=client_id)
    forced = await parts.validate(issued["passcode"], client_id=client_id)
    assert heard(forced) == reason
    real = await made_parts(tmp_path / "real").validate("not spelled like one")
    assert forced.headers == real.headers
    assert forced.body == real.body.replace(b"malformed_passcode", reason.encode())
    _, entry = development.store.journal[-1]
    assert (entry.event, entry.client_id, entry.reason) == (Event.REFUSED, client_id, reason)


@pytest.mark.parametrize("reason", Reason)
async def test_the_reference_samples_routes_are_forced_too(parts: Parts, reason: Reason) -> None:
    query = f"clientId=refuse-{reason}&timestamp=1"
    assert heard(await parts.ask("GET", "/validateOtp", query=query, role="validator")) == reason


@pytest.mark.parametrize("code", FAULTS)
async def test_a_client_id_forces_each_fault(parts: Parts, code: str) -> None:
    answer = await parts.validate("cf1_x", client_id=f"refuse-{code}")
    assert (answer.status, decoded(answer)["code"]) == (503, code)
    assert dict(answer.headers)[b"retry-after"] == b"1"


async def test_a_client_id_forces_the_limit_at_issue(parts: Parts) -> None:
    answer = await parts.ask("POST", "/v1/passcodes", {"client_id": "refuse-limit_reached"}, role="issuer")
    assert (answer.status, decoded(answer)["code"]) == (429, "limit_reached")
    assert dict(answer.headers)[b"retry-after"] == b"1"


async def test_a_forced_answer_is_for_who_may_ask_and_asks_well(parts: Parts) -> None:
    body = {"client_id": "refuse-expired", "passcode": "x"}
    assert (await parts.ask("POST", "/v1/passcodes/validate", body, role="issuer")).status == 403
    assert (await parts.ask("POST", "/v1/passcodes/validate", {**body, "what": 1}, role="validator")).status == 400


@pytest.mark.parametrize(
    "client_id", ["refuse-", "refuse-other", "refuse-EXPIRED", "x-refuse-expired", "refuse-expired ", "1234"]
)
async def test_every_other_client_is_judged_as_always(parts: Parts, client_id: str) -> None:
    issued = await parts.issue(client_id=client_id)
    assert heard(await parts.validate(issued["passcode"], client_id=client_id)) == "200"


# -- where it is, and where it is not --


async def test_development_documents_its_routes_and_its_client_ids(parts: Parts) -> None:
    paths = decoded(await parts.ask("GET", "/openapi.json"))["paths"]
    assert set(paths[CLOCK]) == {"get", "post"}
    assert paths[CLOCK]["post"]["tags"] == ["test mode"]
    assert "refuse-" in paths[CLOCK]["post"]["description"]
    page = DOCS.read_text()
    for name in (*(reason.value for reason in Reason), *FAULTS, "limit_reached"):
        assert f"`refuse-{name}`" in page


async def test_a_service_that_is_not_development_has_none_of_it(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)
    assert CLOCK not in decoded(await parts.ask("GET", "/openapi.json"))["paths"]
    for method in ("GET", "POST"):
        assert (await parts.ask(method, CLOCK, role="operator")).status == 404
    for name in (*(reason.value for reason in Reason), *FAULTS):
        issued = await parts.issue(client_id=f"refuse-{name}")
        assert heard(await parts.validate(issued["passcode"], client_id=f"refuse-{name}")) == "200"
    assert heard(await parts.ask("POST", "/v1/passcodes", {"client_id": "refuse-limit_reached"}, role="issuer")) == "201"


def test_no_setting_speaks_of_it() -> None:
    assert [each.name for each in fields(Settings) if "dev" in each.name or "test" in each.name or "clock" in each.name] == []


def test_serve_has_no_way_to_switch_it_on(tmp_path: Path) -> None:
    """Not by an option, not by the environment: every name that one could think of, and the routes are not there."""
    words = ("DEV", "DEV_MODE", "TEST_MODE", "TEST", "CLOCK", "DEV_CLOCK", "MODE")
    environment = {f"COUNTERFOIL_{word}": value for word in words for value in ("true",)}
    deployment = made_deployment(tmp_path / "data")
    with deployment.serving("--console", "--seed-routes", **environment) as running:
        headers = {"Authorization": f"Bearer {deployment.operator}"}
        assert httpx2.post(running.url + CLOCK, json={"advance_s": 61}, headers=headers).status_code == 404
        assert CLOCK not in httpx2.get(running.url + "/openapi.json").json()["paths"]
        assert httpx2.get(running.url + "/console/login").status_code == 200
    for option in ("--dev", "--test-mode", "--clock"):
        done = subprocess.run(
            [sys.executable, "-m", "counterfoil", "serve", "--data", str(tmp_path / "data"), option],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, "No such option" in done.stderr) == (2, True)


def test_serve_does_not_even_import_it() -> None:
    code = (
        "import sys, counterfoil.entrypoints.commands.serving, counterfoil.server_wiring, counterfoil.console.app\n"
        "sys.exit(any(name.startswith(('counterfoil.dev_mode', 'counterfoil.console.walkthrough')) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=clean_environment(), timeout=60, check=False)
    assert done.returncode == 0
