"""A change of credentials or keys that has returned counts for the very next request, however busy the server is."""

import http.client
import json
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.passcode import parsed_passcode
from counterfoil.wiring import system_now_us
from tests.support.service import Deployment, made_deployment

_ROUNDS = 8
_BUSY_CALLERS = 2


class _Asker:
    """One caller over one connection."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def issue(self, credential: str) -> tuple[int, str]:
        """The status and, of a success, the passcode."""
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        self._connection.request("POST", "/v1/passcodes", b'{"client_id":"1234"}', headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read()).get("passcode", "")

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


@contextmanager
def _busy(url: str, credential: str) -> Iterator[None]:
    """Keeps others asking, so that the server is in the midst of looks and answers whenever a change returns."""
    done = threading.Event()

    def ask() -> None:
        with closing(_Asker(url)) as asker:
            while not done.is_set():
                asker.issue(credential)

    threads = [threading.Thread(target=ask) for _ in range(_BUSY_CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _late(asker: _Asker, deployment: Deployment) -> list[str]:
    """Every change that the next request did not see."""
    credentials = CredentialEditor(deployment.folder / "credentials.json", system_now_us, secrets.token_bytes)
    keyset = KeysetEditor(deployment.folder / "keyset.json", system_now_us, secrets.token_bytes)
    elsewhere = deployment.folder / "elsewhere.json"
    late = []

    def hold(seen: bool, change: str) -> None:
        if not seen:
            late.append(change)

    secret = deployment.issuer
    for _ in range(_ROUNDS):
        fresh = credentials.exchange("the-issuer")
        hold(asker.issue(fresh)[0] == 201, "a new secret")
        credentials.finish_exchange("the-issuer")
        hold(asker.issue(secret)[0] == 401, "a secret that was ended")
        secret = fresh
        primary_id = keyset.rotate().primary_id
        hold(_key_id(asker.issue(secret)[1]) == primary_id, "a rotation")
        credentials.path.chmod(0o644)
        hold(asker.issue(secret)[0] == 503, "a file that others can read")
        credentials.path.chmod(0o600)
        hold(asker.issue(secret)[0] == 201, "a file that others cannot read any more")
        keyset.path.rename(elsewhere)
        hold(asker.issue(secret)[0] == 503, "a file that is gone")
        keyset.path.symlink_to(elsewhere)
        hold(asker.issue(secret)[0] == 201, "a link")
        keyset.path.unlink()
        elsewhere.rename(keyset.path)
    return late


def _key_id(passcode: str) -> bytes | None:
    """None where nothing was issued, since an earlier change was not seen either."""
    return parsed_passcode(passcode).header.key_id if passcode else None


def _serving(loop: str, remembered_s: float) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.support.looking_server", loop, str(remembered_s))


def _busy_and_late(folder: Path, loop: str, remembered_s: float) -> list[str]:
    deployment = made_deployment(folder)
    with (
        # Nobody reads its log meanwhile, and a pipe that is full would hold it up.
        deployment.serving(command=_serving(loop, remembered_s), COUNTERFOIL_LOG_LEVEL="ERROR") as running,
        # Whose credential is not the one that changes; what it hears meanwhile is nobody's matter.
        _busy(running.url, deployment.validator),
        _busy(running.url, "nobody's"),
        closing(_Asker(running.url)) as asker,
    ):
        return _late(asker, deployment)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_change_that_has_returned_counts_for_the_very_next_request(tmp_path: Path, loop: str) -> None:
    assert _busy_and_late(tmp_path / "data", loop, 0) == []


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_control_a_server_that_remembers_a_look_for_longer_is_caught(tmp_path: Path, loop: str) -> None:
    assert _busy_and_late(tmp_path / "data", loop, 0.02)
