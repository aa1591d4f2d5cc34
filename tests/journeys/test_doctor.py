"""`doctor` on a healthy set-up and on ill ones: what it finds, and that its own advice cures."""

import json
import os
import secrets
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.entrypoints.commands.doctor import found_in
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.principal import Role
from counterfoil.ports.examination import Finding
from counterfoil.wiring import system_now_us
from tests.support.command_line import CommandLine
from tests.support.service import Deployment, made_deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """A set-up that has served."""
    made = made_deployment(tmp_path / "data")
    with made.serving():
        pass
    return made


@pytest.fixture
def line(tmp_path: Path, deployment: Deployment) -> CommandLine:
    return CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(deployment.folder)})


def _found(deployment: Deployment, now_us: int | None = None) -> dict[str, Finding]:
    """The findings that are not fine, by what they are about."""
    findings = found_in(None, deployment.folder, now_us or system_now_us())
    return {finding.what: finding for finding in findings if finding.level != "ok"}


def test_a_healthy_set_up_has_no_problem_and_status_0(line: CommandLine) -> None:
    done = line.succeed("doctor")
    assert {text.split()[0] for text in done.out.splitlines()} == {"ok"}
    looked_at = {finding["what"] for finding in line.succeed("doctor", "--json").json}
    assert looked_at == {"settings", "folder", "keys", "credentials", "store", "journal", "durability", "clock"}


def test_it_reads_the_durability_of_a_live_store(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving():
        found = {finding["what"]: finding["says"] for finding in line.succeed("doctor", "--json").json}
    assert "journal_mode wal" in found["durability"]
    assert "synchronous=FULL" in found["durability"]


def test_before_anything_is_made_it_says_what_to_make(tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"COUNTERFOIL_DATA": "data"})
    done = line.run("doctor", "--json")
    assert done.status == 1
    mends = {finding["what"]: finding["mend"] for finding in done.json if finding["level"] == "problem"}
    assert set(mends) == {"folder", "keys", "credentials"}
    assert mends["keys"] == "counterfoil keyset new --data data"
    assert not (tmp_path / "data").exists()
    line.succeed(*shlex.split(mends["keys"])[1:])
    for role, more in (("issuer", ("--client", "*")), ("validator", ())):
        line.succeed("credential", "create", role, "--role", role, *more)
    assert line.run("doctor").status == 0


def _spoil_mode(name: str, mode: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).chmod(mode)


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)

    return spoil


def _damage(folder: Path) -> None:
    path = folder / "counterfoil.db"
    content = bytearray(path.read_bytes())
    content[100:2000] = secrets.token_bytes(1900)
    path.write_bytes(content)


def _run_sql(*statements: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "counterfoil.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return spoil


@pytest.mark.parametrize(
    ("spoil", "what", "says", "mend"),
    [
        pytest.param(_spoil_mode(".", 0o755), "folder", "open to other users", "chmod 700 {}", id="folder open to others"),
        pytest.param(
            _spoil_mode("keyset.json", 0o644),
            "keys",
            "must be a file of mode 0600",
            "chmod 600 {}/keyset.json",
            id="keys open",
        ),
        pytest.param(
            _spoil_mode("credentials.json", 0o640),
            "credentials",
            "must be a file of mode 0600",
            "chmod 600 {}/credentials.json",
            id="credentials open",
        ),
        pytest.param(
            _spoil_mode("counterfoil.db", 0o644), "store", "open to other users", "chmod 600 {}/counterfoil.db", id="store open"
        ),
    ],
)
def test_a_wrong_mode_is_a_problem_that_the_advice_cures(
    deployment: Deployment, line: CommandLine, spoil: Callable[[Path], None], what: str, says: str, mend: str
) -> None:
    spoil(deployment.folder)
    found = _found(deployment)
    assert set(found) == {what}
    assert found[what].level == "problem"
    assert says in found[what].says
    assert found[what].mend == mend.format(deployment.folder)
    assert line.run("doctor").status == 1
    os.system(found[what].mend)
    assert line.run("doctor").status == 0


@pytest.mark.parametrize(
    ("spoil", "what", "says", "mend"),
    [
        pytest.param(lambda folder: (folder / "keyset.json").unlink(), "keys", "does not exist", "keyset new", id="no keyset"),
        pytest.param(_write("keyset.json", b"{}"), "keys", "not a valid keyset", "from its copy", id="no keyset in the file"),
        pytest.param(
            lambda folder: (folder / "credentials.json").unlink(),
            "credentials",
            "no live validator",
            "credential create",
            id="no credentials",
        ),
        pytest.param(
            _write("credentials.json", b"noise"), "credentials", "not valid JSON", "from its copy", id="noise for credentials"
        ),
        pytest.param(_write("counterfoil.db", b"noise" * 999), "store", "not an SQLite file", "setting `store`", id="noise"),
        pytest.param(_damage, "store", "", "counterfoil restore COPY", id="damaged store"),
        pytest.param(_run_sql("PRAGMA application_id = 7"), "store", "not a Counterfoil", "setting `store`", id="another's"),
        pytest.param(_run_sql("PRAGMA user_version = 99"), "store", "newer", "upgrade counterfoil", id="newer schema"),
        pytest.param(_run_sql("UPDATE deployment SET value = 7"), "store", "epoch 7", "counterfoil restore COPY", id="epoch"),
    ],
)
def test_what_is_missing_or_damaged_is_a_problem_with_advice(
    deployment: Deployment, spoil: Callable[[Path], None], what: str, says: str, mend: str
) -> None:
    spoil(deployment.folder)
    found = _found(deployment)
    assert set(found) == {what}
    assert found[what].level == "problem"
    assert says in found[what].says
    assert mend in found[what].mend


def test_a_clock_that_went_back_is_a_problem(deployment: Deployment) -> None:
    now_us = system_now_us()
    row = f"{now_us}, '1234', {now_us + 60_000_000}, x'00', x'00', x'00', x'00', 'c', NULL, 'issued', 0, NULL, NULL, NULL"
    columns = (
        "timestamp_us, client_id, expires_at_us, key_id, passcode_tag, contexts_tag, transaction_tag, issuer_id,"
        " seed_copy, state, attempts, redemption_id, redeemed_by, redeemed_at_us"
    )
    _run_sql(f"INSERT INTO counterfoils ({columns}) VALUES ({row})")(deployment.folder)
    assert _found(deployment, now_us) == {}
    assert "3600 s ahead" in _found(deployment, now_us - 3600 * MICROSECONDS_PER_S)["clock"].says
    assert "before 2026" in _found(deployment, 1)["clock"].says


def test_old_keys_and_expiring_secrets_are_warnings_and_no_problem(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    long_ago_us = system_now_us() - 100 * 86_400 * MICROSECONDS_PER_S
    KeysetEditor(folder / "keyset.json", lambda: long_ago_us, secrets.token_bytes).new()
    soon_us = system_now_us() + 86_400 * MICROSECONDS_PER_S
    credentials = CredentialEditor(folder / "credentials.json", system_now_us, secrets.token_bytes)
    credentials.create("shop", Role.ISSUER, ("*",), soon_us)
    credentials.create("backend", Role.VALIDATOR)
    line = CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(folder)})
    warnings = {finding["what"]: finding for finding in line.succeed("doctor", "--json").json if finding["level"] == "warning"}
    assert warnings["keys"]["mend"] == "counterfoil keyset rotate"
    assert warnings["credentials"]["mend"] == "counterfoil credential exchange shop"
    line.succeed("keyset", "rotate")
    assert "keys: epoch 1, 2 usable, primary 0 days old" in line.succeed("doctor").out


def test_nobody_who_may_validate_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    deployment = made_deployment(folder)
    CredentialEditor(folder / "credentials.json", system_now_us, secrets.token_bytes).revoke("the-validator")
    assert _found(deployment)["credentials"].says == "no live validator"


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"COUNTERFOIL_HOST": "0.0.0.0"}, "settings"),
        ({"COUNTERFOIL_LIFETIME_MAX_S": "6000"}, "settings"),
        ({"COUNTERFOIL_STORE": "redis://localhost"}, "store"),
        ({"COUNTERFOIL_KEYS": "https://keys"}, "keys"),
    ],
)
def test_settings_that_would_stop_the_start_are_problems(line: CommandLine, environment: dict[str, str], what: str) -> None:
    done = line.run("doctor", "--json", **environment)
    assert done.status == 1
    problems = [finding for finding in done.json if finding["level"] == "problem"]
    assert [problem["what"] for problem in problems] == [what]
    assert all(problem["mend"] for problem in problems)


def test_a_memory_store_is_said_to_keep_nothing(line: CommandLine) -> None:
    assert "memory: nothing is kept" in line.succeed("doctor", COUNTERFOIL_STORE="memory:").out


def test_no_secret_is_shown(deployment: Deployment, line: CommandLine) -> None:
    shown = line.succeed("doctor").out + line.succeed("doctor", "--json").out
    material = json.loads((deployment.folder / "keyset.json").read_text())["keys"][0]["material"]
    for secret in (material, deployment.issuer, deployment.validator):
        assert secret not in shown


def test_a_journal_of_another_deployment_is_a_problem(deployment: Deployment, line: CommandLine, tmp_path: Path) -> None:
    other = made_deployment(tmp_path / "other")
    (other.folder / "keyset.json").replace(deployment.folder / "keyset.json")
    assert _found(deployment)["journal"].level == "problem"
    assert line.run("doctor").status == 1
