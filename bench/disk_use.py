"""What a transaction leaves on the disk: bytes per counterfoil and per journal entry, of a store that has really served.

python -m bench.disk_use [TRANSACTIONS]
"""

import asyncio
import json
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw

from bench.peers.counterfoil import made_deployment
from counterfoil.api.observing import SilentObserver
from counterfoil.core.issue import Issued, IssueRequest
from counterfoil.core.validate import ValidationRequest
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.model.verdict import Accepted
from counterfoil.server_wiring import service
from counterfoil.settings import load_settings
from counterfoil.wiring import system_now_us

TRANSACTIONS = 50_000
_TOGETHER = 250
_CLIENTS = 1000
_CONTEXT = {"device_id": "d-9"}
_DIGEST = bytes(32)
_PAGES = "SELECT name, sum(pgsize) FROM dbstat WHERE name IN ('counterfoils', 'journal') GROUP BY name"
_ROWS = "SELECT (SELECT count(*) FROM counterfoils), (SELECT count(*) FROM journal)"


def measured(transactions: int = TRANSACTIONS) -> dict[str, float]:
    """Whole pages, so with what a B-tree leaves free, divided by the rows; redemption ids have the client's 22 characters."""
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        asyncio.run(_served(folder, transactions))
        path = folder / "counterfoil.db"
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            ((counterfoils, entries),) = connection.execute(_ROWS)
            pages = dict(connection.execute(_PAGES))
        assert (counterfoils, entries) == (transactions, 2 * transactions)
        return {
            "transactions": transactions,
            "bytes_per_counterfoil": round(pages["counterfoils"] / counterfoils, 1),
            "bytes_per_entry": round(pages["journal"] / entries, 1),
            "file_bytes_per_transaction": round(path.stat().st_size / transactions, 1),
        }


async def _served(folder: Path, transactions: int) -> None:
    deployment = made_deployment(folder)
    made = service(load_settings(None, {}, {"data": folder}), observer=SilentObserver(), on_fatal=lambda: None)
    credentials = CredentialFile(folder / "credentials.json", system_now_us)
    issuer, validator = [await credentials.principal(secret) for secret in (deployment.issuer, deployment.validator)]
    assert issuer is not None
    assert validator is not None

    async def transaction(number: int) -> None:
        request = IssueRequest(client_id=f"shop-{number % _CLIENTS:04}", context=_CONTEXT, transaction_digest=_DIGEST)
        issued = await made.handlers.issuance.issue(request, issuer)
        assert isinstance(issued, Issued)
        presented = ValidationRequest(
            client_id=issued.client_id,
            passcode=issued.passcode,
            redemption_id=f"{number:022}",
            context=_CONTEXT,
            transaction_digest=_DIGEST,
        )
        assert isinstance(await made.handlers.validation.validate(presented, validator), Accepted)

    for first in range(0, transactions, _TOGETHER):
        await asyncio.gather(*(transaction(number) for number in range(first, min(first + _TOGETHER, transactions))))
    await made.store.close()


if __name__ == "__main__":
    print(json.dumps(measured(*map(int, sys.argv[1:2]))))
