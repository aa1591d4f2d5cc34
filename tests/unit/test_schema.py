"""What the SQLite file itself refuses, whoever writes to it: the guards behind the store's own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from counterfoil.stores.sqlite_file import APPLICATION_ID, MIGRATIONS, migrate, open_durable
from tests.support.journal import BEGIN_JOURNAL

ROWS: dict[str, dict[str, Any]] = {
    "counterfoils": {
        "timestamp_us": 1,
        "client_id": "1234",
        "expires_at_us": 2,
        "key_id": b"k",
        "passcode_tag": b"p",
        "contexts_tag": b"c",
        "transaction_tag": b"t",
        "issuer_id": "i",
        "state": "issued",
        "attempts": 0,
    },
    "client_usage": {"client_id": "1234", "arrival_us": 1, "outstanding": b"", "idle_at_us": 2},
    "deployment": {"name": "epoch", "value": 1},
    "journal": {"at_us": 1, "event": "issued", "client_id": "1234", "by": "i", "mac": b"m"},
    "journal_ends": {"which": "start", "seq": 0, "mac": b"m", "seal": b"s"},
}
COLUMNS = [(table, column) for table, row in ROWS.items() for column in row]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[apsw.Connection]:
    with closing(open_durable(tmp_path / "counterfoil.db")) as connection:
        migrate(connection, begin_journal=BEGIN_JOURNAL)
        connection.execute("DELETE FROM journal_ends")
        yield connection


def _insert(file: apsw.Connection, table: str, **changed: Any) -> None:
    row = {**ROWS[table], **changed}
    names = ", ".join(f'"{name}"' for name in row)
    file.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def test_a_new_file_says_what_it_is_and_how_far_it_is(file: apsw.Connection) -> None:
    assert file.pragma("application_id") == APPLICATION_ID == int.from_bytes(b"cfl1", "big")
    assert file.pragma("user_version") == len(MIGRATIONS)


@pytest.mark.parametrize("table", ROWS)
def test_a_whole_row_is_taken(file: apsw.Connection, table: str) -> None:
    _insert(file, table)
    assert file.execute(f"SELECT count(*) FROM {table}").get == 1


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_what_every_row_has_is_never_missing(file: apsw.Connection, table: str, column: str) -> None:
    with pytest.raises(apsw.ConstraintError):
        _insert(file, table, **{column: None})


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_no_column_takes_another_kind_of_value(file: apsw.Connection, table: str, column: str) -> None:
    kept = ROWS[table][column]
    with pytest.raises(apsw.ConstraintError):
        _insert(file, table, **{column: "text" if isinstance(kept, bytes) else b"bytes"})


@pytest.mark.parametrize(
    ("table", "column", "taken"),
    [("counterfoils", "state", ("issued", "redeemed", "revoked", "locked")), ("journal_ends", "which", ("start", "head"))],
)
def test_a_word_is_one_of_its_few(file: apsw.Connection, table: str, column: str, taken: tuple[str, ...]) -> None:
    for number, word in enumerate(taken):
        _insert(file, table, **{**({"timestamp_us": number} if table == "counterfoils" else {}), column: word})
    with pytest.raises(apsw.ConstraintError):
        _insert(file, table, **{**({"timestamp_us": 99} if table == "counterfoils" else {}), column: "another"})


@pytest.mark.parametrize("table", [table for table in ROWS if table != "journal"])
def test_one_name_has_one_row(file: apsw.Connection, table: str) -> None:
    _insert(file, table)
    with pytest.raises(apsw.ConstraintError):
        _insert(file, table)


def test_clients_share_a_microsecond(file: apsw.Connection) -> None:
    _insert(file, "counterfoils")
    _insert(file, "counterfoils", client_id="another")
    _insert(file, "counterfoils", timestamp_us=2)
    assert file.execute("SELECT count(*) FROM counterfoils").get == 3


def test_rows_lie_in_the_order_of_their_primary_keys(file: apsw.Connection) -> None:
    # Inserts and the broom touch neighbouring pages, and a key is found in one step.
    found = file.execute("SELECT name FROM pragma_table_list WHERE wr ORDER BY name").fetchall()
    assert [name for (name,) in found] == ["client_usage", "counterfoils", "deployment", "journal_ends"]
