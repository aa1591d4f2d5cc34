"""What an operator pastes from docs/operations.md works, in the page's order, and ends with every earlier passcode dead."""

import os
import re
import secrets
import sys
from pathlib import Path

import pytest
from bench import disk_use

from counterfoil import Client
from counterfoil.client import PasscodeRefused
from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.model.principal import Role
from counterfoil.wiring import system_now_us
from tests.support.pasted import Block, blocks, run_in_order
from tests.support.service import made_deployment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.slow
def test_the_commands_of_one_machine_work_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    deployment = made_deployment(tmp_path / "counterfoil-data")
    editor = CredentialEditor(deployment.folder / "credentials.json", system_now_us, secrets.token_bytes)
    editor.create("payments-backend", Role.VALIDATOR)
    with deployment.serving() as running, Client(running.url, deployment.issuer) as issuer:
        passcode = issuer.issue("shop-1").passcode
    looking, *in_order = [block for block in blocks(PAGE) if block.language == "sh"]
    with deployment.serving() as running, Client(running.url, deployment.validator) as validator:
        monkeypatch.setenv("URL", running.url)
        with pytest.raises(PasscodeRefused):
            validator.validate("shop-1", "no passcode")
        at_this_address = Block("sh", "export COUNTERFOIL_URL=$URL\n")
        told = run_in_order([at_this_address, looking], tmp_path)[1]
        assert '"reason":"malformed_passcode","count":1' in told
        assert '"event":"refused"' in told
        assert '"checks":[' in told
    run_in_order(in_order, tmp_path)
    assert len(in_order) == 7
    with deployment.serving() as running:
        new_secret = (tmp_path / "validator.credential.new").read_text().strip()
        with Client(running.url, new_secret) as backend, pytest.raises(PasscodeRefused, match="key_retired"):
            backend.validate("shop-1", passcode)


def test_the_page_tells_how_many_bytes_a_transaction_takes() -> None:
    counterfoil, entry = map(int, re.findall(r"(\d+) bytes a (?:counterfoil|journal entry)", PAGE))
    found = disk_use.measured(2000)
    # Whole pages of a small store: the last one of each table is not full.
    assert found["bytes_per_counterfoil"] == pytest.approx(counterfoil, rel=0.05)
    assert found["bytes_per_entry"] == pytest.approx(entry, rel=0.05)
