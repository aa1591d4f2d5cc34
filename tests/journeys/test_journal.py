"""The journal of a real store: whatever is changed in the file shows, and nothing that the service does itself shows."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from counterfoil.model.counterfoil import CounterfoilRef, Redemption
from counterfoil.model.journal import Entry, Event, JournalBroken, JournalKey, Record
from counterfoil.model.journal_check import checked_end, checked_record, verify
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.verdict import Reason
from counterfoil.ports.store import StoreUnavailable, StoreUnfit
from counterfoil.stores import group_commit
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.stores.sqlite_file import backup
from tests.contract.claims import MINE, kept, made
from tests.support.clock import START_US, Clock
from tests.support.command_line import CommandLine
from tests.support.journal import JOURNAL_KEY, mismatch, revocation, verified_entries
from tests.support.parts import made_parts
from tests.support.service import clean_environment

OTHER_KEY = JournalKey(b"o" * 32)


def opened(path: Path, clock: Clock | None = None, **options: Any) -> SqliteStore:
    return SqliteStore(path, clock or Clock(), journal_key=JOURNAL_KEY, **options)


async def written(path: Path) -> None:
    """A store with eight entries of every kind, closed, all in one file."""
    store = opened(path)
    refs = [await kept(store, made(timestamp_us=START_US + number)) for number in range(3)]
    await store.count_mismatch(refs[0], ATTEMPTS_MAX, mismatch(refs[0]))
    await store.redeem(refs[0], MINE, ATTEMPTS_MAX)
    await store.revoke(refs[1], revocation(refs[1]))
    await store.record(Entry(Event.REPLAYED, *refs[0], "backend", None, "id"))
    await store.record(Entry(Event.REFUSED, "1234", None, "backend", Reason.MALFORMED_PASSCODE, "id"))
    await store.close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("journal_mode", "delete")


def is_found(path: Path) -> bool:
    try:
        verified_entries(path)
    except JournalBroken:
        return True
    return False


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    await written(tmp_path / "counterfoil.db")
    return tmp_path / "counterfoil.db"


# -- changed by who can write the file --


def statements() -> Iterator[str]:
    """Changes of every column of every row, removals, moves, and both ends."""
    for seq in range(1, 9):
        for column in ("at_us", "seq"):
            yield f"UPDATE journal SET {column} = {column} + 100 WHERE seq = {seq}"
        for column in ("event", "client_id", '"by"'):
            yield f"UPDATE journal SET {column} = {column} || 'x' WHERE seq = {seq}"
        for column in ("reason", "redemption_id"):
            yield f"UPDATE journal SET {column} = CASE WHEN {column} IS NULL THEN 'expired' END WHERE seq = {seq}"
        yield f"UPDATE journal SET timestamp_us = CASE WHEN timestamp_us IS NULL THEN 0 END WHERE seq = {seq}"
        yield f"UPDATE journal SET mac = zeroblob(32) WHERE seq = {seq}"
        yield f"DELETE FROM journal WHERE seq = {seq}"
        yield f"DELETE FROM journal WHERE seq >= {seq}"
        yield f"DELETE FROM journal WHERE seq <= {seq}"
        yield (
            f"UPDATE journal_ends SET seq = {seq}, mac = (SELECT mac FROM journal WHERE seq = {seq}) WHERE which = 'start';"
            f"DELETE FROM journal WHERE seq <= {seq}"
        )
        if seq < 8:
            yield (
                f"DELETE FROM journal WHERE seq > {seq};"
                f"UPDATE journal_ends SET seq = {seq}, mac = (SELECT mac FROM journal WHERE seq = {seq}) WHERE which = 'head'"
            )
            yield (
                f"UPDATE journal SET seq = 99 WHERE seq = {seq}; UPDATE journal SET seq = {seq} WHERE seq = {seq + 1};"
                f"UPDATE journal SET seq = {seq + 1} WHERE seq = 99"
            )
    for which in ("start", "head"):
        yield f"DELETE FROM journal_ends WHERE which = '{which}'"
        for change in ("seq = seq + 1", "mac = zeroblob(32)", "seal = zeroblob(32)"):
            yield f"UPDATE journal_ends SET {change} WHERE which = '{which}'"


def test_every_change_by_statement_is_found(path: Path) -> None:
    assert not is_found(path)
    whole = path.read_bytes()
    missed = []
    for statement in statements():
        path.write_bytes(whole)
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute(statement)
        if not is_found(path):
            missed.append(statement)
    assert missed == []


def test_every_changed_byte_of_the_journals_rows_is_found(path: Path) -> None:
    whole = path.read_bytes()
    places = journal_places(path, whole)
    assert len(places) > 8 * 60
    missed = []
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if not is_found(path):
            missed.append(place)
    assert missed == []


def journal_places(path: Path, whole: bytes) -> list[int]:
    """Where in the file the journal's values are."""
    with closing(apsw.Connection(str(path))) as connection:
        rows: list[Any] = connection.execute("SELECT event, mac FROM journal").fetchall()
        ends: list[Any] = connection.execute("SELECT mac, seal FROM journal_ends").fetchall()
    places: list[int] = []
    for event, mac in rows:
        # One row is one run of bytes: from its event to its MAC.
        end = whole.index(mac) + len(mac)
        places += range(whole.rindex(event.encode(), 0, end), end)
    for mac, seal in ends:
        for value in (mac, seal):
            place = whole.rindex(value)
            places += range(place, place + len(value))
    return places


def test_every_value_of_another_type_is_found(path: Path) -> None:
    """Also where the table was made anew, without the rules that keep types apart."""
    whole = path.read_bytes()
    missed = []
    for change in (
        "UPDATE loose SET timestamp_us = CAST(timestamp_us AS TEXT)",
        "UPDATE loose SET at_us = CAST(at_us AS TEXT)",
        "UPDATE loose SET timestamp_us = 'None' WHERE timestamp_us IS NULL",
        "UPDATE loose SET client_id = CAST(client_id AS BLOB)",
        "UPDATE loose SET client_id = 1234",
        "UPDATE loose SET mac = hex(mac)",
        "UPDATE loose SET mac = NULL",
    ):
        path.write_bytes(whole)
        with closing(apsw.Connection(str(path))) as connection:
            columns = 'seq, at_us, event, client_id, timestamp_us, "by", reason, redemption_id, mac'
            connection.execute(f"CREATE TABLE loose ({columns}); INSERT INTO loose SELECT {columns} FROM journal; {change};")
            rows: list[Any] = connection.execute("SELECT * FROM loose ORDER BY seq").fetchall()
        try:
            key_and_head = [checked_record(row) for row in rows]
            verify(JOURNAL_KEY, _StandIn(path, key_and_head))
            missed.append(change)
        except JournalBroken:
            pass
        assert is_unfit(path)
    assert missed == []


class _StandIn:
    """The ends of a file around other records."""

    def __init__(self, path: Path, records: list[Record]) -> None:
        with closing(apsw.Connection(str(path))) as connection:
            rows: list[Any] = connection.execute("SELECT which, seq, mac, seal FROM journal_ends").fetchall()
        ends = {which: checked_end(*end) for which, *end in rows}
        self.start, self.records, self.head = ends["start"], records, ends["head"]


def is_unfit(path: Path) -> bool:
    """Whether a service refuses to start on it, and `journal verify` to call it whole."""
    with pytest.raises(StoreUnfit, match=r"tables are not those of this version|are not of one deployment"):
        opened(path)
    with pytest.raises((StoreUnfit, JournalBroken)):
        verified_entries(path)
    return True


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM journal WHERE client_id = 'victim'; END",
        "CREATE VIEW v AS SELECT * FROM journal",
        "CREATE INDEX i ON journal (client_id)",
        "ALTER TABLE journal ADD COLUMN note TEXT",
        "ALTER TABLE journal RENAME TO kept; CREATE VIEW journal AS SELECT * FROM kept",
        "DELETE FROM journal_ends WHERE which = 'head'",
        "DELETE FROM journal; DELETE FROM journal_ends",
        "UPDATE journal_ends SET seal = mac",
    ],
)
def test_what_somebody_put_into_the_file_or_took_out_keeps_a_service_from_starting(path: Path, planted: str) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(planted)
    assert is_unfit(path)


def test_a_service_does_not_start_on_anothers_journal(path: Path) -> None:
    with pytest.raises(StoreUnfit, match="not of one deployment"):
        SqliteStore(path, Clock(), journal_key=OTHER_KEY)


# -- changed while a service writes --


def cut_tail(seq: int) -> str:
    return (
        f"DELETE FROM journal WHERE seq > {seq};"
        f"UPDATE journal_ends SET (seq, mac) = (SELECT seq, mac FROM journal WHERE seq = {seq}) WHERE which = 'head'"
    )


LAST_CHANGED = "UPDATE journal SET mac = zeroblob(32) WHERE seq = 4"
LAST_REMOVED = "DELETE FROM journal WHERE seq = 4"


@pytest.mark.parametrize("change", [cut_tail(2), "DELETE FROM journal_ends", LAST_CHANGED, LAST_REMOVED])
async def test_a_service_does_not_build_upon_a_change(tmp_path: Path, change: str) -> None:
    path, told = tmp_path / "counterfoil.db", []
    store = opened(path, on_fatal=lambda: told.append(1))
    for number in range(4):
        await kept(store, made(timestamp_us=START_US + number))
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(change)
    with pytest.raises(StoreUnavailable):
        await kept(store, made(timestamp_us=START_US + 9))
    assert told == [1]
    await store.close()
    assert is_found(path)


async def test_a_head_of_before_put_back_with_its_seal_is_seen_by_who_wrote_since(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    store = opened(path)
    for number in range(2):
        await kept(store, made(timestamp_us=START_US + number))
    with closing(apsw.Connection(str(path))) as connection:
        head = _head(connection)
        await kept(store, made(timestamp_us=START_US + 2))
        _cut_back(connection, head)
    with pytest.raises(StoreUnavailable):
        await kept(store, made(timestamp_us=START_US + 9))
    await store.close()


async def test_a_cut_tail_is_seen_also_after_a_rollback(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    store = opened(path)
    await kept(store, made())
    with closing(apsw.Connection(str(path))) as connection:
        head = _head(connection)
        await kept(store, made(timestamp_us=START_US + 1))
        with pytest.raises(StoreUnavailable):
            await store._writer.run(_full)
        _cut_back(connection, head)
    with pytest.raises(StoreUnavailable):
        await kept(store, made(timestamp_us=START_US + 9))
    await store.close()


async def test_a_cut_tail_is_seen_also_by_whoever_did_not_get_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LOCK_WAIT_S", 0.05)
    path = tmp_path / "counterfoil.db"
    store = opened(path)
    await kept(store, made())
    with closing(apsw.Connection(str(path))) as connection:
        head = _head(connection)
        await kept(store, made(timestamp_us=START_US + 1))
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="busy"):
            await kept(store, made(timestamp_us=START_US + 2))
        _cut_back(connection, head)
        connection.execute("COMMIT")
    with pytest.raises(StoreUnavailable):
        await kept(store, made(timestamp_us=START_US + 9))
    await store.close()


def _head(connection: apsw.Connection) -> Any:
    """Number, MAC and seal of the head."""
    return connection.execute("SELECT seq, mac, seal FROM journal_ends WHERE which = 'head'").fetchall()[0]


def _cut_back(connection: apsw.Connection, head: Any) -> None:
    """Removes what came after that head, and puts it back with its seal."""
    connection.execute("DELETE FROM journal WHERE seq > ?", head[:1])
    connection.execute("UPDATE journal_ends SET (seq, mac, seal) = (?, ?, ?) WHERE which = 'head'", head)


def _full(_: apsw.Connection) -> None:
    raise apsw.FullError("full")


async def test_a_trigger_planted_while_a_service_writes_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    store = opened(path)
    await kept(store, made())
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM journal WHERE client_id = 'victim'; END")
        connection.execute(
            "CREATE TRIGGER u AFTER UPDATE ON journal_ends BEGIN"
            " UPDATE journal_ends SET seq = old.seq, mac = old.mac, seal = old.seal WHERE which = old.which; END"
        )
    await kept(store, made("victim"))
    await store.close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("DROP TRIGGER t; DROP TRIGGER u")
    assert [entry.client_id for entry in verified_entries(path)] == ["1234", "victim"]


async def test_retention_removes_nothing_that_was_made_to_look_old(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "counterfoil.db"
    store = opened(path)
    for number in range(4):
        await kept(store, made(timestamp_us=START_US + number))
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE journal SET at_us = 0 WHERE seq <= 2")
    for number in range(4, 8):
        await kept(store, made(timestamp_us=START_US + number))
    # Once, and not with every commit from then on.
    assert caplog.text.count("journal verify") == 1
    await store.close()
    with closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("SELECT count(*) FROM journal").get == 8
    assert is_found(path)


# -- what the service does itself --


async def test_the_chain_goes_on_after_a_restart_and_after_a_rollback(path: Path) -> None:
    store = opened(path, broom=False)
    writer = store._writer_connection
    writer.pragma("max_page_count", writer.pragma("page_count"))
    with pytest.raises(StoreUnavailable, match="full"):
        await asyncio.gather(*(kept(store, made(timestamp_us=START_US + number)) for number in range(100, 400)))
    writer.pragma("max_page_count", 1_000_000)
    before = verified_entries(path)
    await store.record(revocation(CounterfoilRef("1234", 5)))
    assert verified_entries(path) == [*before, revocation(CounterfoilRef("1234", 5))]
    await store.close()


async def test_the_journal_is_verified_while_services_write(path: Path) -> None:
    store = opened(path)
    writing = asyncio.gather(*(kept(store, made(timestamp_us=START_US + number)) for number in range(100, 900)))
    seen = set()
    while not writing.done():
        seen.add(len(verified_entries(path)))
        await asyncio.sleep(0)
    await writing
    assert len(verified_entries(path)) == 808
    assert len(seen) > 1
    await store.close()


WRITE_IN_A_PROCESS = """
import asyncio, sys
from pathlib import Path
from counterfoil.stores.sqlite import SqliteStore
from tests.contract.claims import kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY

async def main():
    store = SqliteStore(Path(sys.argv[1]), Clock(), journal_key=JOURNAL_KEY)
    await asyncio.gather(*(kept(store, made(sys.argv[2], timestamp_us=START_US + number)) for number in range(200)))
    await store.close()

asyncio.run(main())
"""


def test_processes_that_start_together_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_IN_A_PROCESS, str(path), f"client-{number}"], env=clean_environment())
        for number in range(4)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0, 0]
    assert len(verified_entries(path)) == 800


async def test_retention_takes_the_oldest_and_leaves_a_chain(tmp_path: Path) -> None:
    path, clock = tmp_path / "counterfoil.db", Clock()
    store = opened(path, clock, journal_retention_s=100)
    for number in range(50):
        await kept(store, made(timestamp_us=START_US + number))
        clock.advance_s(1)
    assert len(verified_entries(path)) == 50
    clock.advance_s(74)
    await _until_swept(store, path, 26)
    clock.advance_s(1_000)
    await _until_swept(store, path, 0)
    await store.record(mismatch(CounterfoilRef("1234", 5)))
    assert verified_entries(path) == [mismatch(CounterfoilRef("1234", 5))]
    await store.close()
    await opened(path, clock).close()


async def _until_swept(store: SqliteStore, path: Path, left: int) -> None:
    """Writes nothing into the journal until so many entries are left; the broom works with every write."""
    for _ in range(200):
        await store.check_ready()
        if len(entries := verified_entries(path)) <= left:
            break
    assert len(entries) == left


async def test_an_older_copy_put_back_is_found_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(tmp_path)})
    cli.succeed("keyset", "new")
    store = _deployed(tmp_path)
    await kept(store)
    backup(tmp_path / "counterfoil.db", tmp_path / "copy.db")
    await store.redeem(made().ref, Redemption("id", "backend"), ATTEMPTS_MAX)
    await store.close()
    checkpoint = cli.succeed("journal", "verify").out.strip()
    assert checkpoint.startswith("2:")
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"counterfoil.db{suffix}").unlink(missing_ok=True)
    (tmp_path / "copy.db").replace(tmp_path / "counterfoil.db")
    cli.succeed("journal", "verify")
    found = cli.run("journal", "verify", "--checkpoint", checkpoint)
    assert (found.status, found.out) == (1, "")
    assert "another one, or older" in found.err


def _deployed(folder: Path) -> SqliteStore:
    """The store of a folder with a keyset, as a service opens it."""
    from counterfoil.keys.keyset_file import KeysetFile

    return SqliteStore(folder / "counterfoil.db", Clock(), journal_key=KeysetFile(folder / "keyset.json").keyset().journal_key)


# -- by command --


async def test_an_export_is_verified_by_command_and_a_changed_one_is_not(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(tmp_path)})
    cli.succeed("keyset", "new")
    store = _deployed(tmp_path)
    for number in range(5):
        await kept(store, made("cliént-日本", timestamp_us=START_US + number))
    await store.close()
    exported = tmp_path / "journal.jsonl"
    exported.write_text(cli.succeed("journal", "export").out)
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [line.get("event", next(iter(line))) for line in lines] == ["start", *["issued"] * 5, "head"]
    assert lines[1]["client_id"] == "cliént-日本"
    verified = json.loads(cli.succeed("journal", "verify", "--json").out)
    assert verified == json.loads(cli.succeed("journal", "verify", "--json", "--export", str(exported)).out)
    assert verified["entries"] == 5
    exported.write_text(exported.read_text().replace('"issued"', '"revoked"', 1))
    found = cli.run("journal", "verify", "--json", "--export", str(exported))
    assert found.status == 1
    assert json.loads(found.out)["verified"] is False
    cli.succeed("journal", "verify", "--checkpoint", verified["checkpoint"])


def test_a_journal_that_is_not_there_or_a_bad_checkpoint_is_invalid(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(tmp_path)})
    cli.succeed("keyset", "new")
    for arguments in (["verify"], ["export"], ["verify", "--checkpoint", "7"], ["verify", "--export", str(tmp_path / "no")]):
        assert cli.run("journal", *arguments).status == 2


# -- what is told of the service's answers --


async def test_every_verdict_is_in_the_journal_before_it_is_told_and_no_secret_is(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    parts = made_parts(tmp_path, store=opened(path))
    context, device = {"device_id": "canary-device"}, {"device_id": "another"}
    issued = await parts.issue(context=context, transaction={"payee": "canary-payee"})
    ask: Any = {"context": context, "transaction": {"payee": "canary-payee"}}
    await parts.validate(issued["passcode"], key="a", context=device)
    await parts.validate(issued["passcode"], key="a", **ask)
    await parts.validate(issued["passcode"], key="a", **ask)
    await parts.validate(issued["passcode"], key="b", **ask)
    await parts.validate("not a passcode", key="c")
    await parts.validate(issued["passcode"], key="d", client_id="another client", **ask)
    await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", "timestamp": issued["timestamp"]}, role="validator")
    second = await parts.issue()
    for _ in range(2):
        named = {"client_id": "1234", "passcode": second["passcode"]}
        assert (await parts.ask("POST", "/v1/passcodes/revoke", named, role="issuer")).status == 204
    entries = verified_entries(path)
    told = [(entry.event.value, entry.reason and entry.reason.value, entry.redemption_id) for entry in entries]
    assert told == [
        ("issued", None, None),
        ("refused", "context_mismatch", "a"),
        ("accepted", None, "a"),
        ("replayed", None, "a"),
        ("refused", "already_redeemed", "b"),
        ("refused", "malformed_passcode", "c"),
        ("refused", "unknown_passcode", "d"),
        ("refused", "already_redeemed", None),
        ("issued", None, None),
        ("revoked", None, None),
        ("revoked", None, None),
    ]
    stamp, second_stamp = issued["timestamp"], second["timestamp"]
    assert [entry.timestamp_us for entry in entries] == [stamp] * 5 + [None, stamp, stamp] + [second_stamp] * 3
    assert [entry.client_id for entry in entries] == ["1234"] * 6 + ["another client"] + ["1234"] * 4
    issuer = parts.credentials.read()[0].credential_id
    assert [entry.by for entry in entries] == [issuer, *["the-validator"] * 7, issuer, "the-issuer", "the-issuer"]
    await parts.store.close()
    content = b"".join(each.read_bytes() for each in tmp_path.glob("counterfoil.db*"))
    for secret in (issued["passcode"], "canary-device", "canary-payee"):
        assert secret.encode() not in content


async def test_no_refusal_is_told_when_the_journal_cannot_be_written(tmp_path: Path) -> None:
    store = opened(tmp_path / "counterfoil.db")
    parts = made_parts(tmp_path, store=store)
    await store.close()
    assert (await parts.validate("not a passcode")).status == 503
