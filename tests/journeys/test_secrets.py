"""What a thief of the database has, and what a reader of logs, answers and metrics sees: no secret, in no spelling."""

import base64
import secrets
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import pytest

from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.journal import MAC_BYTES
from counterfoil.stores.sqlite_journal import journal_beginning
from counterfoil.wiring import system_now_us
from tests.support.canaries import leaks, spellings
from tests.support.load import Caller, Connection, Got, connections
from tests.support.service import Deployment, made_deployment

DEVICE = "canary-device-7f3a91"
LIMIT = "canary-sealed-55c1d0"
PAYEE = "canary-payee-e81b42"
STAGE = "canary-stage-0a9d33"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


async def _get(connection: Connection, method: str, path: str, credential: str | None) -> Got:
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    return await connection.send(method, path, b"", headers)


class Story:
    """Plays every kind of request once, keeping what must not be seen and what was answered to failures."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.secrets = {
            "device": DEVICE.encode(),
            "sealed pair": LIMIT.encode(),
            "payee": PAYEE.encode(),
            "stage": STAGE.encode(),
            "issuer credential": deployment.issuer.encode(),
            "validator credential": deployment.validator.encode(),
            "operator credential": deployment.operator.encode(),
        }
        self.passcodes: list[str] = []
        self.failures: list[Got] = []
        self.metrics = b""

    async def play(self, url: str) -> None:
        """Successes and failures of every kind."""
        async with connections(url, 3) as opened:
            issuer = Caller(opened[0], self._deployment.issuer)
            validator = Caller(opened[1], self._deployment.validator)
            bound: dict[str, Any] = {"context": {"device_id": DEVICE}, "transaction": {"payee": PAYEE, "amount": "10.00"}}
            sealing = Caller(opened[2], self._deployment.operator)
            sealed = (await sealing._post("/v1/contexts/seal", {"client_id": "1234", "sealed_pairs": {"limit": LIMIT}})).json[
                "sealed_context"
            ]
            self.secrets["sealed context"] = sealed[5:].encode()
            for number in range(4):
                got = await issuer.issue(**bound, sealed_context=sealed, lifetime_s=600)
                self._keep(f"passcode {number}", got.json["passcode"])
            whole: dict[str, Any] = {**bound, "sealed_pairs": {"limit": LIMIT}}
            assert (await validator.validate(self.passcodes[0], "a", **whole)).status == 200
            generated = await _get(opened[0], "GET", f"/generateOtp?clientId=1234&deviceId={DEVICE}", self._deployment.issuer)
            self._keep("generated", generated.json["otp"])
            stamp = generated.json["timestamp"]
            query = f"clientId=1234&timestamp={stamp}&deviceId={DEVICE}"
            for path in (f"/validateOtp?{query}x", f"/validateOtp?{query}&{LIMIT}=1"):
                self.failures.append(await _get(opened[1], "GET", path, self._deployment.validator))
            redeemed = await _get(opened[1], "GET", f"/validateOtp?{query}", self._deployment.validator)
            self.secrets["redeemed otp"] = UUID(redeemed.json["otp"]).bytes
            self.secrets["redeemed otp as text"] = redeemed.json["otp"].encode()
            kept = await _get(opened[0], "GET", f"/generateOtp?clientId=1234&deviceId={DEVICE}", self._deployment.issuer)
            self._keep("generated and kept", kept.json["otp"])
            self.failures += [
                await validator.validate(self.passcodes[0], "b", **whole),
                await validator.validate(self.passcodes[1], "c", **{**whole, "context": {"device_id": DEVICE + "x"}}),
                await validator.validate(self.passcodes[1], "d", **{**whole, "transaction": {"payee": PAYEE}}),
                await validator.validate(self.passcodes[1] + "=", "e", **whole),
                await validator.validate(self.passcodes[1], PAYEE + " " + DEVICE, **whole),
                await validator.validate(self.passcodes[1], "f", **{DEVICE: PAYEE}),
                await validator.validate(self.passcodes[1], "f", context={DEVICE: 7}),
                await validator.validate(self.passcodes[1], "f", context={DEVICE: "\0"}),
                await issuer.issue(client_id=PAYEE + "\0"),
                await issuer.issue(transaction_digest=PAYEE),
                await issuer.issue(sealed_context=sealed[:-1]),
                await issuer.issue(client_id="4321", sealed_context=sealed),
                await validator.issue(**bound),
                await Caller(opened[0], self._deployment.issuer + "x").issue(**bound),
                await opened[0].send("POST", f"/nowhere/{DEVICE}?x={PAYEE}", b"", {}),
                await opened[0].send(
                    "POST",
                    "/v1/passcodes",
                    f'{{"client_id": "{PAYEE}", "client_id": "{DEVICE}"'.encode(),
                    {"Authorization": f"Bearer {self._deployment.issuer}", "Content-Type": "application/json"},
                ),
            ]
            self.metrics = (await _get(opened[2], "GET", "/metrics", None)).body
        assert all(got.status >= 400 for got in self.failures)

    def _keep(self, name: str, passcode: str) -> None:
        self.passcodes.append(passcode)
        raw = base64.urlsafe_b64decode(passcode[4:] + "=")
        self.secrets[name] = passcode[4:].encode()
        # The key id and the times stand in the passcode openly; salt and sealed OTP are what makes it one.
        self.secrets[f"{name}, salt"] = raw[14:30]
        self.secrets[f"{name}, sealed OTP"] = raw[30:]


async def test_a_stolen_database_has_no_secret_and_is_good_for_nothing(deployment: Deployment, tmp_path: Path) -> None:
    story = Story(deployment)
    setting = f'{{"stage": "{STAGE}"}}'
    stolen = tmp_path / "stolen"
    stolen.mkdir(mode=0o700)
    with deployment.serving("--seed-routes", COUNTERFOIL_SERVICE_CONTEXT=setting) as running:
        await story.play(running.url)
        # While it runs: the WAL is part of the loot.
        for name in ("counterfoil.db", "counterfoil.db-wal"):
            shutil.copy(deployment.folder / name, stolen / name)
    files = {path.name: path.read_bytes() for path in stolen.iterdir()}
    assert sum(map(len, files.values())) > 10_000
    assert leaks(files, story.secrets) == []

    # The thief's own keyset and credentials do not help, not even with a journal that was begun anew to fit them.
    thief = made_deployment(stolen)
    key = KeysetEditor(stolen / "keyset.json", system_now_us, secrets.token_bytes).read().journal_key
    with closing(apsw.Connection(str(stolen / "counterfoil.db"))) as connection:
        connection.execute("DELETE FROM journal; DELETE FROM journal_ends")
        journal_beginning(key, lambda: secrets.token_bytes(MAC_BYTES))(connection)
    with thief.serving("--seed-routes", COUNTERFOIL_SERVICE_CONTEXT=setting) as running:
        async with connections(running.url, 1) as (connection,):
            validator = Caller(connection, thief.validator)
            for passcode in story.passcodes:
                got = await validator.validate(
                    passcode,
                    "thief",
                    context={"device_id": DEVICE},
                    transaction={"payee": PAYEE, "amount": "10.00"},
                    sealed_pairs={"limit": LIMIT},
                )
                assert got.reason == "key_retired"


async def test_no_log_answer_or_metric_shows_a_secret(deployment: Deployment) -> None:
    story = Story(deployment)
    environment = {"COUNTERFOIL_LOG_LEVEL": "DEBUG", "COUNTERFOIL_SERVICE_CONTEXT": f'{{"stage": "{STAGE}"}}'}
    with deployment.serving("--seed-routes", **environment) as running:
        await story.play(running.url)
        running.process.terminate()
        _, log = running.process.communicate(timeout=30)
    seen = {"log": log.encode(), "metrics": story.metrics}
    seen |= {f"failure {number}": got.body for number, got in enumerate(story.failures)}
    assert leaks(seen, story.secrets) == []
    assert "generateOtp" not in log
    assert b"counterfoil_refusals_total" in story.metrics


async def test_no_error_path_of_a_fault_shows_a_secret(deployment: Deployment) -> None:
    with deployment.serving("--seed-routes", COUNTERFOIL_LOG_LEVEL="DEBUG") as running:
        async with connections(running.url, 2) as opened:
            issuer, validator = Caller(opened[0], deployment.issuer), Caller(opened[1], deployment.validator)
            passcode = (await issuer.issue(context={"device_id": DEVICE})).json["passcode"]
            keyset = deployment.folder / "keyset.json"
            material = keyset.read_bytes()
            keyset.write_bytes(material[:-40])
            answers = [await validator.validate(passcode, "a", context={"device_id": DEVICE})]
            keyset.write_bytes(material)
            credentials = deployment.folder / "credentials.json"
            content = credentials.read_bytes()
            credentials.write_bytes(content.replace(b'"role"', b'"roll"'))
            answers.append(await validator.validate(passcode, "a", context={"device_id": DEVICE}))
            credentials.write_bytes(content)
            assert [got.status for got in answers] == [503, 503]
            assert (await validator.validate(passcode, "a", context={"device_id": DEVICE})).status == 200
        running.process.terminate()
        _, log = running.process.communicate(timeout=30)
    keys = KeysetEditor(keyset, system_now_us, secrets.token_bytes).read()
    hidden = {
        "passcode": passcode[4:].encode(),
        "device": DEVICE.encode(),
        "credential": deployment.validator.encode(),
        "key": keys.primary.material,
    }
    seen = {"log": log.encode(), **{f"answer {number}": got.body for number, got in enumerate(answers)}}
    assert leaks(seen, hidden) == []


@pytest.mark.parametrize("prefix", [b"", b"x", b"xy", b"xyz"])
def test_the_search_finds_what_is_planted(prefix: bytes) -> None:
    secret = b"canary-payee-e81b42"
    for name, spelling in spellings(secret).items():
        assert leaks({"place": b"noise " + spelling + b" noise"}, {"s": secret}), name
    assert leaks({"place": base64.b64encode(prefix + secret + b"tail")}, {"s": secret})
    assert leaks({"place": b"nothing of it"}, {"s": secret}) == []
