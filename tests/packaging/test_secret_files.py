"""Every secret comes from a file: a service and its callers whose environments and command lines have none."""

import re
import ssl
from dataclasses import fields
from pathlib import Path

import pytest

from counterfoil import Client
from counterfoil.client import PasscodeRefused
from counterfoil.settings import Settings
from tests.packaging.tools import ROOT
from tests.support.certificate import made_certificate
from tests.support.command_line import CommandLine
from tests.support.service import made_deployment

SERVICE_CONTEXT = '{"stage": "a-stage-that-nobody-knows"}'
PAGE = (ROOT / "docs" / "settings.md").read_text()


def _configured(folder: Path, service_context: str = SERVICE_CONTEXT) -> str:
    """The path of a settings file that names every other file."""
    certificate, key = made_certificate(folder)
    path = folder / "counterfoil.toml"
    path.touch(0o600)
    path.write_text(
        "[counterfoil]\n"
        f"keys = 'file:{folder}/data/keyset.json'\n"
        f"credentials = '{folder}/data/credentials.json'\n"
        f"store = 'sqlite:{folder}/store.db'\n"
        f"tls_cert = '{certificate}'\ntls_key = '{key}'\n"
        f"service_context = '{service_context}'\n"
    )
    return str(path)


def test_a_service_takes_every_secret_from_files(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    config = _configured(tmp_path)
    key = (tmp_path / "key.pem").read_text().splitlines()[1]
    material = re.findall(r'": "([A-Za-z0-9+/=]{40,})"', (tmp_path / "data" / "keyset.json").read_text())
    assert len(material) >= 2
    with deployment.serving(COUNTERFOIL_CONFIG=config) as running:
        proc = Path("/proc", str(running.process.pid))
        shown = (proc / "environ").read_bytes().decode() + (proc / "cmdline").read_bytes().decode()
        for secret in (*material, key, "a-stage-that-nobody-knows", deployment.issuer, deployment.validator):
            assert secret not in shown
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with Client(running.url, deployment.issuer, tls=trusting) as issuing:
            issued = [issuing.issue("shop-1").passcode for _ in range(2)]
        with Client(running.url, deployment.validator, tls=trusting) as validating:
            assert validating.validate("shop-1", issued[0]).replayed is False
    # The file's service context was bound: under another one the second is refused.
    with deployment.serving(COUNTERFOIL_CONFIG=_configured(tmp_path, '{"stage": "another"}')) as running:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with Client(running.url, deployment.validator, tls=trusting) as validating, pytest.raises(PasscodeRefused) as refused:
            validating.validate("shop-1", issued[1])
    assert refused.value.reason == "context_mismatch"


def test_callers_take_their_credential_from_a_file(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    for role in ("issuer", "validator", "operator"):
        (tmp_path / role).touch(0o600)
        (tmp_path / role).write_text(getattr(deployment, role) + "\n")
    with deployment.serving() as running:
        line = CommandLine(tmp_path, {"COUNTERFOIL_URL": running.url})
        passcodes = [line.succeed("issue", "shop-1", "--credential-file", "issuer").out for _ in range(2)]
        line.succeed("validate", "shop-1", "-", "--credential-file", "validator", given=passcodes[0])
        line.succeed("revoke", "shop-1", "-", "--credential-file", "validator", given=passcodes[1])
        line.succeed("context", "seal", "shop-1", "limit=1", "--credential-file", "operator")


def test_the_page_of_settings_names_every_setting_that_hides_a_secret_or_names_a_secret_file() -> None:
    secrets = PAGE.partition("## Secrets")[2]
    hidden = {each.name for each in fields(Settings) if not each.repr}
    assert hidden == {"service_context"}
    for name in (*hidden, "keys", "credentials", "tls_key", "--credential-file"):
        assert f"`{name}`" in secrets
