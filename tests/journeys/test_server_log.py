"""What a server says on stderr: JSON, one object a line, whatever happens; text on a terminal; never what was sent."""

import json
import logging
import os
import pty
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterfoil import Client
from counterfoil.client import ServiceUnavailable
from counterfoil.entrypoints.server_log import NotAgainSoon
from tests.support.canaries import leaks
from tests.support.service import COUNTERFOIL, Deployment, Running, clean_environment, made_deployment

CANARY = "canary-7f3a91"
# What Python and its libraries say by themselves, each with the canary in its words.
_SAYING = f"""
import asyncio, gc, logging, threading, warnings
warnings.warn("{CANARY}", RuntimeWarning)

def fail():
    raise KeyError("{CANARY}")

thread = threading.Thread(target=fail)
thread.start()
thread.join()

class Failing:
    def __del__(self):
        fail()

Failing()
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
logging.getLogger("urllib3.connectionpool").warning("Retrying: %s", "{CANARY}")
logging.getLogger("anybody").error("%d", "{CANARY}")

async def lost():
    asyncio.ensure_future(asyncio.to_thread(fail))
    await asyncio.sleep(0.05)

asyncio.run(lost())
gc.collect()
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


def _log(running: Running) -> str:
    """All that it said on stderr, once it has ended."""
    running.process.terminate()
    return running.process.communicate(timeout=30)[1]


def _lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


def _provoke(running: Running, deployment: Deployment) -> None:
    """Faults of keys and credentials, a request that is no HTTP, and a route that is not there."""
    for name in ("keyset.json", "credentials.json"):
        path = deployment.folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-9])
        with Client(running.url, deployment.issuer, tries=1) as issuer, pytest.raises(ServiceUnavailable):
            issuer.issue("shop-1", context={"device": CANARY})
        path.write_bytes(content)
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as stranger:
        stranger.sendall(f"{CANARY}\r\n\r\n".encode())
        assert stranger.recv(4096).startswith(b"HTTP/1.1 400")
    assert httpx2.get(f"{running.url}/{CANARY}?x={CANARY}").status_code == 404


def test_every_line_under_faults_is_a_json_object_without_what_was_sent(deployment: Deployment) -> None:
    with deployment.serving(COUNTERFOIL_LOG_LEVEL="DEBUG", COUNTERFOIL_ACCESS_LOG="true") as running:
        _provoke(running, deployment)
        log = _log(running)
    lines = _lines(log)
    faults = {line["code"]: line for line in lines if line["logger"] == "counterfoil.api.app"}
    assert faults.keys() == {"keys_unavailable", "credentials_unavailable"}
    assert all(re.fullmatch(r"req_[0-9a-f]+", line["request_id"]) for line in faults.values())
    assert "uvicorn.error" in {line["logger"] for line in lines}
    accesses = [line for line in lines if line["logger"] == "counterfoil.access"]
    assert [(line["method"], line["route"], line["status"], line["code"]) for line in accesses] == [
        ("POST", "/v1/passcodes", 503, "keys_unavailable"),
        ("POST", "/v1/passcodes", 503, "credentials_unavailable"),
        ("GET", "other", 404, "not_found"),
    ]
    assert accesses[0]["request_id"] == faults["keys_unavailable"]["request_id"]
    assert leaks({"log": log.encode()}, {"canary": CANARY.encode(), "credential": deployment.issuer.encode()}) == []


def test_without_being_asked_for_it_says_nothing_of_single_requests(deployment: Deployment) -> None:
    with deployment.serving(COUNTERFOIL_LOG_LEVEL="DEBUG") as running:
        for offered in ({}, {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAA"}):
            assert httpx2.get(f"{running.url}/healthz", headers=offered).status_code == 200
        assert _log(running) == ""


def test_strangers_who_send_no_http_do_not_fill_it(deployment: Deployment) -> None:
    with deployment.serving() as running:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as stranger:
                stranger.sendall(b"no HTTP\r\n\r\n")
                assert stranger.recv(4096).startswith(b"HTTP/1.1 400")
        log = _log(running)
    assert 1 <= log.count("Invalid HTTP request") <= 5


@pytest.mark.parametrize(("level", "later_s", "told"), [("WARNING", 9.9, 1), ("WARNING", 10.0, 2), ("ERROR", 0.0, 2)])
def test_a_line_of_strangers_is_told_again_after_a_while_and_an_error_always(level: str, later_s: float, told: int) -> None:
    filtering = NotAgainSoon()
    records = [logging.makeLogRecord({"msg": "no HTTP", "levelno": getattr(logging, level)}) for _ in range(2)]
    records[0].created, records[1].created = 1000.0, 1000.0 + later_s
    assert sum(bool(filtering.filter(record)) for record in records) == told


def test_text_can_be_asked_for(deployment: Deployment) -> None:
    with deployment.serving(COUNTERFOIL_LOG_FORMAT="text") as running:
        _provoke(running, deployment)
        log = _log(running)
    line = r"^[\d-]{10} [\d:.]{12}[+-]\d\d:\d\d WARNING counterfoil.api.app: request req_\w+: keys_unavailable"
    assert re.search(line, log, re.MULTILINE)


@pytest.mark.parametrize("form", ["auto", "json"])
def test_that_it_serves_is_a_line_like_every_other(deployment: Deployment, form: str) -> None:
    command = [*COUNTERFOIL, "serve", "--data", str(deployment.folder), "--port", "0"]
    environment = {**clean_environment(), "COUNTERFOIL_LOG_FORMAT": form}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    (line,) = _lines(process.stderr.readline())
    process.terminate()
    assert (process.communicate(timeout=30)[1], process.returncode) == ("", 0)
    assert (line["level"], line["message"].rpartition(":")[0]) == ("INFO", "Counterfoil serves http://127.0.0.1")


@pytest.mark.parametrize(("form", "begins"), [("auto", "Counterfoil serves"), ("json", '{"time": ')])
def test_on_a_terminal_it_is_text_unless_json_is_asked_for(deployment: Deployment, form: str, begins: str) -> None:
    ours, its = pty.openpty()
    command = [*COUNTERFOIL, "serve", "--data", str(deployment.folder), "--port", "0"]
    process = subprocess.Popen(command, stderr=its, env={**clean_environment(), "COUNTERFOIL_LOG_FORMAT": form})
    said = b""
    while b"\n" not in said:
        said += os.read(ours, 4096)
    process.terminate()
    assert process.wait(timeout=30) == 0
    os.close(its)
    os.close(ours)
    assert said.decode().startswith(begins)


def _said(set_up: str) -> str:
    done = subprocess.run([sys.executable, "-c", set_up + _SAYING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_python_says_by_itself_is_in_the_log_without_its_words(form: str) -> None:
    log = _said(f"from counterfoil.entrypoints.server_log import log_to_stderr\nlog_to_stderr('DEBUG', {form!r})\n")
    assert leaks({"log": log.encode()}, {"canary": CANARY.encode()}) == []
    if form == "text":
        return
    lines = _lines(log)
    said = [(line["logger"], line["message"].partition(" at ")[0], line.get("exception", {}).get("type")) for line in lines]
    assert ("py.warnings", "RuntimeWarning", None) in said
    assert ("counterfoil.entrypoints.server_log", "a thread ended by an error", "KeyError") in said
    assert ("counterfoil.entrypoints.server_log", "an error arose where nobody could be told", "KeyError") in said
    assert ("uvicorn.error", "Invalid HTTP request received.", None) in said
    assert ("anybody", "a message that could not be put together", None) in said
    assert ("asyncio", "Task exception was never retrieved", "KeyError") in said


def test_control_python_left_alone_says_it_with_its_words_and_in_no_form() -> None:
    log = _said("import logging; logging.basicConfig(level='DEBUG')\n")
    assert log.count(CANARY) >= 5
    with pytest.raises(ValueError, match="Expecting value"):
        _lines(log)
