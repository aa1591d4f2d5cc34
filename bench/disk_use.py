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

from bench.in_process import embedded

TRANSACTIONS = 50_000
_TOGETHER = 250
_CLIENTS = 1000
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
    async with embedded(folder) as (issue, validate):

        async def transaction(number: int) -> None:
            await validate(await issue(f"shop-{number % _CLIENTS:04}"), f"{number:022}")

        for first in range(0, transactions, _TOGETHER):
            await asyncio.gather(*(transaction(number) for number in range(first, min(first + _TOGETHER, transactions))))


if __name__ == "__main__":
    print(json.dumps(measured(*map(int, sys.argv[1:2]))))
