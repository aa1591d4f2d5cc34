"""Where the service listens, and how it starts and ends."""

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from counterfoil import Client
from counterfoil.client import CredentialRefused, ServiceUnavailable
from tests.support.certificate import made_certificate
from tests.support.command_line import CommandLine
from tests.support.service import COUNTERFOIL, Deployment, clean_environment, made_deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, and its key."""
    return made_certificate(tmp_path)


def test_it_speaks_tls_with_a_certificate_and_then_may_listen_anywhere(
    deployment: Deployment, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    with deployment.serving("--host", "0.0.0.0", "--tls-cert", str(cert), "--tls-key", str(key)) as running:
        assert running.url.startswith("https://0.0.0.0:")
        url = running.url.replace("0.0.0.0", "127.0.0.1")
        with Client(url, deployment.issuer, tls=trusting) as client_side:
            issued = client_side.issue("shop-1")
        with Client(url, deployment.validator, tls=trusting) as backend:
            assert backend.validate("shop-1", issued.passcode).replayed is False
        # Who does not trust the certificate sends nothing.
        with Client(url, deployment.issuer, tries=1) as distrusting, pytest.raises(ServiceUnavailable):
            distrusting.issue("shop-1")


def test_with_tls_ended_upstream_it_listens_in_clear_where_it_is_told(deployment: Deployment) -> None:
    with deployment.serving("--host", "0.0.0.0", "--tls-terminated-upstream") as running:
        assert httpx2.get(running.url.replace("0.0.0.0", "127.0.0.1") + "/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("host", ["::1", "localhost", "127.8.9.10"])
def test_loopback_in_every_spelling_needs_no_tls(deployment: Deployment, host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6; nothing installs it")
    with deployment.serving("--host", host) as running:
        assert httpx2.get(running.url + "/readyz").status_code == 200


def test_a_port_that_is_taken_is_said_so(deployment: Deployment, tmp_path: Path) -> None:
    with deployment.serving() as running:
        port = running.url.rpartition(":")[2]
        refused = CommandLine(tmp_path).run("serve", "--data", str(deployment.folder), "--port", port)
    assert refused.status == 2
    assert f"port {port} cannot be listened on" in refused.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_status_0_when_told_to(deployment: Deployment, number: signal.Signals) -> None:
    with deployment.serving() as running:
        running.process.send_signal(number)
        assert running.process.wait(timeout=20) == 0


@contextmanager
def _developing(folder: Path) -> Iterator[dict[str, str]]:
    """`counterfoil dev` on a folder; what it printed."""
    command = [*COUNTERFOIL, "dev", "--port", "0", "--json", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment())
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_dev_keeps_its_data_and_changes_its_credentials(tmp_path: Path) -> None:
    with _developing(tmp_path / "dev") as first, Client(first["url"], first["issuer"]) as client_side:
        assert set(first) == {"url", "issuer", "validator", "operator", "console"}
        issued = client_side.issue("1234", lifetime_s=600)
    with _developing(tmp_path / "dev") as second:
        assert second["issuer"] != first["issuer"]
        with Client(second["url"], first["issuer"]) as outdated, pytest.raises(CredentialRefused):
            outdated.issue("1234")
        with Client(second["url"], second["validator"]) as backend:
            backend.validate("1234", issued.passcode)


def test_dev_is_free_of_rate_limits_and_caps(tmp_path: Path) -> None:
    with _developing(tmp_path / "dev") as service, Client(service["url"], service["issuer"]) as client_side:
        for _ in range(1200):
            client_side.issue("1234")


def test_dev_starts_again_after_its_credential_was_revoked(tmp_path: Path) -> None:
    with _developing(tmp_path / "dev"):
        pass
    CommandLine(tmp_path).succeed("credential", "revoke", "dev-issuer", "--data", str(tmp_path / "dev"))
    with _developing(tmp_path / "dev") as service, Client(service["url"], service["issuer"]) as client_side:
        client_side.issue("1234")


def test_dev_leaves_the_folder_of_another_service_alone(tmp_path: Path, deployment: Deployment) -> None:
    """Its clock can be turned, and retention goes by it: a journal would be gone."""
    line, folder = CommandLine(tmp_path), deployment.folder

    def is_left_alone() -> bool:
        before = {each: each.read_bytes() for each in folder.iterdir()}
        refused = line.run("dev", "--port", "0", "--data", str(folder))
        assert (refused.status, "not development's" in refused.err) == (2, True)
        return {each: each.read_bytes() for each in folder.iterdir()} == before

    assert is_left_alone()
    # A store whose keyset and credentials are elsewhere.
    (folder / "counterfoil.db").touch()
    (folder / "credentials.json").unlink()
    (folder / "keyset.json").unlink()
    assert is_left_alone()


_WITHOUT_JINJA2 = "import sys; sys.modules['jinja2'] = None; from counterfoil.entrypoints.cli import main; main()"


def test_dev_without_the_consoles_library_goes_on_without_the_console(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT_JINJA2, "dev", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**clean_environment(), "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(6))
        assert "The console needs Jinja2: pip install 'counterfoil[console]'" in said
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_serve_without_the_consoles_library_names_the_command(deployment: Deployment) -> None:
    command = [sys.executable, "-c", _WITHOUT_JINJA2, "serve", "--console", "--port", "0", "--data", str(deployment.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=clean_environment())
    assert (done.returncode, done.stderr) == (2, "counterfoil: console: needs Jinja2: pip install 'counterfoil[console]'\n")


def test_a_validation_that_is_interrupted_does_not_say_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [*COUNTERFOIL, "validate", "1234", "cf1_x", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}"],
            env={**clean_environment(), "COUNTERFOIL_CREDENTIAL": "cfv_x"},
            stderr=subprocess.PIPE,
            text=True,
            # A shell starts its background jobs with SIGINT ignored, and the tests may be one.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
