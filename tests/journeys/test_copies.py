"""Copies put back: what a restore would un-redeem is dead. The control puts a copy back by hand, and is caught accepting."""

import asyncio
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.load import Caller, connections, shared_out
from tests.support.service import Deployment, made_deployment, unmeasured_environment

PASSCODES = 1000


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


@pytest.fixture
def line(tmp_path: Path, deployment: Deployment) -> CommandLine:
    return CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(deployment.folder)})


async def _issued(url: str, deployment: Deployment, many: int) -> list[str]:
    passcodes: list[str] = []
    async with connections(url, 16) as opened:

        async def issue(caller: Caller) -> None:
            got = await caller.issue(lifetime_s=600)
            assert got.status == 201, got.body
            passcodes.append(got.json["passcode"])

        callers = [Caller(each, deployment.issuer) for each in opened]
        for at in range(0, many, len(callers)):
            await asyncio.gather(*(issue(caller) for caller in callers[: many - at]))
    return passcodes


async def _heard(url: str, deployment: Deployment, passcodes: list[str], prefix: str) -> Counter[str]:
    """How many heard what."""
    heard: Counter[str] = Counter()
    async with connections(url, 16) as opened:

        def validator(caller: Caller) -> Callable[[str], Awaitable[None]]:
            async def validate(passcode: str) -> None:
                heard[(await caller.validate(passcode, prefix + passcode[-20:].replace("_", "-"))).reason] += 1

            return validate

        await shared_out(passcodes, [validator(Caller(each, deployment.validator)) for each in opened])
    return heard


async def test_a_restored_copy_makes_none_of_1000_redeemed_passcodes_redeemable(
    deployment: Deployment, line: CommandLine
) -> None:
    with deployment.serving() as running:
        passcodes = await _issued(running.url, deployment, PASSCODES)
        line.succeed("backup", "copy.db")
        assert await _heard(running.url, deployment, passcodes, "a") == {"200": PASSCODES}
        in_use = line.run("restore", "copy.db")
        assert (in_use.status, "stop the service first" in in_use.err) == (2, True)
    line.succeed("restore", "copy.db")
    with deployment.serving() as running:
        assert await _heard(running.url, deployment, passcodes, "b") == {"key_retired": PASSCODES}
        # The service itself goes on.
        fresh = await _issued(running.url, deployment, 10)
        assert await _heard(running.url, deployment, fresh, "c") == {"200": 10}


async def test_control_a_copy_put_back_by_hand_is_seen_to_revive_them(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving() as running:
        passcodes = await _issued(running.url, deployment, 100)
        line.succeed("backup", "copy.db")
        assert await _heard(running.url, deployment, passcodes, "a") == {"200": 100}
    (deployment.folder / "counterfoil.db").unlink()
    shutil.copy(line.folder / "copy.db", deployment.folder / "counterfoil.db")
    with deployment.serving() as running:
        assert await _heard(running.url, deployment, passcodes, "b") == {"200": 100}


def test_a_copy_of_an_earlier_epoch_put_back_by_hand_stops_the_start(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving():
        line.succeed("backup", "copy.db")
    line.succeed("restore", "copy.db")
    shutil.copy(line.folder / "copy.db", deployment.folder / "counterfoil.db")
    refused = line.run("serve", "--port", "0")
    assert refused.status == 2
    assert "counterfoil restore" in refused.err
    line.succeed("restore", "copy.db")
    with deployment.serving():
        pass


def test_a_restore_needs_the_keyset_and_leaves_everything_as_it_was_without(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving():
        line.succeed("backup", "copy.db")
    keyset = deployment.folder / "keyset.json"
    content = keyset.read_bytes()
    keyset.unlink()
    store = (deployment.folder / "counterfoil.db").read_bytes()
    refused = line.run("restore", "copy.db")
    assert refused.status == 2
    assert "keyset.json does not exist" in refused.err
    assert (deployment.folder / "counterfoil.db").read_bytes() == store
    keyset.write_bytes(content)
    keyset.chmod(0o600)
    line.succeed("restore", "copy.db")
    assert json.loads(keyset.read_bytes())["epoch"] == 2


def _content(path: Path) -> list[str]:
    """What the store says. Its bytes may differ: asking whether it is in use takes it out of WAL mode."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_what_is_no_copy_is_not_restored_and_bumps_nothing(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving():
        line.succeed("backup", "copy.db")
    keyset = (deployment.folder / "keyset.json").read_bytes()
    store = _content(deployment.folder / "counterfoil.db")
    names = sorted(path.name for path in deployment.folder.iterdir())
    (line.folder / "noise.db").write_bytes(b"noise" * 1000)
    (line.folder / "cut.db").write_bytes((line.folder / "copy.db").read_bytes()[:-4096])
    for name in ("nowhere.db", "noise.db", "cut.db"):
        assert line.run("restore", name).status == 2, name
    assert (deployment.folder / "keyset.json").read_bytes() == keyset
    assert _content(deployment.folder / "counterfoil.db") == store
    assert sorted(path.name for path in deployment.folder.iterdir()) == names


def test_a_copy_is_its_owners_alone_and_replaces_nothing(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving():
        line.succeed("backup", "copy.db")
    assert stat.S_IMODE((line.folder / "copy.db").stat().st_mode) == 0o600
    again = line.run("backup", "copy.db")
    assert (again.status, "copy.db" in again.err) == (2, True)
    assert line.run("backup", "no-folder/copy.db").status == 2
    assert line.run("backup", "other.db", COUNTERFOIL_DATA=str(line.folder / "elsewhere")).status == 2


def test_the_store_that_was_there_is_kept(deployment: Deployment, line: CommandLine) -> None:
    with deployment.serving():
        line.succeed("backup", "copy.db")
    restored = line.succeed("restore", "copy.db")
    kept = [path for path in deployment.folder.iterdir() if "before-restore" in path.name]
    assert len(kept) == 1
    assert str(kept[0]) in restored.err


def test_a_restore_that_is_killed_at_any_moment_leaves_a_store_or_a_refusal(deployment: Deployment, line: CommandLine) -> None:
    """Killed before each rename: never is there no store, which a service would take for a new deployment's."""
    with deployment.serving():
        line.succeed("backup", "copy.db")
    killed = (
        "import os, pathlib, sys\n"
        "calls, moment = [0], int(sys.argv[1])\n"
        "def counted(call):\n"
        "    def either(*arguments, **named):\n"
        "        calls[0] += 1\n"
        "        if calls[0] == moment: os._exit(9)\n"
        "        return call(*arguments, **named)\n"
        "    return either\n"
        "os.link = counted(os.link); os.fsync = counted(os.fsync); pathlib.Path.replace = counted(pathlib.Path.replace)\n"
        "from counterfoil.entrypoints.cli import main\n"
        "sys.argv[1:] = ['restore', 'copy.db']\n"
        "main()\n"
    )
    for moment in range(1, 20):
        done = subprocess.run(
            [sys.executable, "-c", killed, str(moment)],
            cwd=line.folder,
            env={**unmeasured_environment(), **line.environment},
            capture_output=True,
            check=False,
        )
        assert (deployment.folder / "counterfoil.db").exists(), moment
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
    assert moment > 3
    line.succeed("restore", "copy.db")
    with deployment.serving():
        pass


def test_another_deployments_copy_is_not_restored_and_bumps_nothing(
    deployment: Deployment, line: CommandLine, tmp_path: Path
) -> None:
    other = made_deployment(tmp_path / "other")
    with other.serving():
        pass
    before = (deployment.folder / "keyset.json").read_bytes()
    done = line.run("restore", str(other.folder / "counterfoil.db"))
    assert done.status == 2
    assert "not of one deployment" in done.err
    assert (deployment.folder / "keyset.json").read_bytes() == before
