"""The SQLite store when disks fail: a full one rolls back and lives, any other error is final and heard by everybody."""

import asyncio
import errno
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import apsw
import pytest

from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import ATTEMPTS_MAX, LIFETIME_S_MAX
from counterfoil.ports.store import StoreUnavailable, StoreUnfit
from counterfoil.stores import group_commit, sqlite_file
from counterfoil.stores.open_store import open_store, sqlite_path
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.stores.sqlite_file import (
    MIGRATIONS,
    backup,
    durability,
    migrate,
    open_durable,
    open_reader,
    refuse_if_open,
    restore,
)
from tests.adversity.lossy_vfs import Fault, disk
from tests.contract.claims import MINE, kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import BEGIN_JOURNAL, JOURNAL_KEY, prepared
from tests.support.load import Caller, connections
from tests.support.service import made_deployment, unmeasured_environment


class Bumps:
    """Counts how often an epoch was bumped; the new one is always 2."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return 2


class Told:
    """Counts how often the process was told to end."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


# -- durability --


async def test_every_store_runs_with_wal_and_full_synchronisation_read_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    assert store.durability == {"journal_mode": "wal", "synchronous": 2}
    await store.close()
    assert (tmp_path / "counterfoil.db").stat().st_mode & 0o777 == 0o600


def test_every_connection_that_writes_has_what_durability_takes_and_readers_only_read(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    wanted = {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "checkpoint_fullfsync": 1, "wal_autocheckpoint": 0}
    with closing(open_durable(path)) as writer, closing(open_reader(path)) as reader:
        assert {name: writer.pragma(name) for name in wanted} == wanted
        writer.execute("CREATE TABLE t (a)")
        assert reader.execute("SELECT count(*) FROM t").get == 0
        with pytest.raises(apsw.ReadOnlyError):
            reader.execute("INSERT INTO t VALUES (1)")
        # Readers never wait for writers; for a checkpoint that restarts the WAL, they wait this long.
        assert reader.pragma("busy_timeout") == 250


def test_no_connection_runs_what_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    wanted = {
        apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER: 0,
        apsw.SQLITE_DBCONFIG_ENABLE_VIEW: 0,
        apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA: 0,
        apsw.SQLITE_DBCONFIG_DEFENSIVE: 1,
    }
    with closing(open_durable(path)) as writer, closing(open_reader(path)) as reader:
        for connection in (writer, reader):
            assert {option: connection.config(option, -1) for option in wanted} == wanted


def test_a_file_that_does_not_take_wal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "durability", lambda connection: {"journal_mode": "delete", "synchronous": 2})
    with pytest.raises(StoreUnfit, match="WAL"):
        open_durable(tmp_path / "counterfoil.db")


def test_the_check_reads_the_connection_and_not_a_wish(tmp_path: Path) -> None:
    connection = open_durable(tmp_path / "counterfoil.db")
    connection.pragma("synchronous", "normal")
    assert durability(connection)["synchronous"] == 1
    connection.close()


async def test_the_name_of_the_wal_is_durable_before_anything_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[list[str]] = []
    monkeypatch.setattr(sqlite_file, "sync_directory", lambda folder: synced.append([path.name for path in folder.iterdir()]))
    for _ in range(2):
        # A new one, then one whose WAL went away with its last user.
        store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
        assert "counterfoil.db-wal" in synced[-1]
        await store.close()
        assert not (tmp_path / "counterfoil.db-wal").exists()


def test_a_store_whose_folder_cannot_be_synced_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_durable(tmp_path / "counterfoil.db").close()

    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sqlite_file, "sync_directory", fail)
    with pytest.raises(StoreUnfit, match="cannot be synced"):
        SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)


# -- schema --


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    connection = open_durable(tmp_path / "counterfoil.db")
    migrate(connection, [*MIGRATIONS, "CREATE TABLE later (x)"], begin_journal=BEGIN_JOURNAL)
    with pytest.raises(StoreUnfit, match="upgrade"):
        migrate(connection, begin_journal=BEGIN_JOURNAL)
    connection.close()
    with pytest.raises(StoreUnfit, match="upgrade"):
        SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)


async def test_an_older_schema_is_brought_up_to_date_with_its_rows(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    ref = await kept(store)
    await store.close()
    connection = open_durable(tmp_path / "counterfoil.db")
    migrate(connection, [*MIGRATIONS, "ALTER TABLE counterfoils ADD COLUMN note TEXT"], begin_journal=BEGIN_JOURNAL)
    assert connection.pragma("user_version") == len(MIGRATIONS) + 1
    assert connection.execute("SELECT client_id, note FROM counterfoils").fetchall() == [(ref.client_id, None)]
    connection.close()


def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    connection = open_durable(tmp_path / "counterfoil.db")
    with pytest.raises(apsw.SQLError):
        migrate(connection, [*MIGRATIONS, "CREATE TABLE half (x); CREATE TABLE half (x)"], begin_journal=BEGIN_JOURNAL)
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert not connection.execute("SELECT * FROM sqlite_schema WHERE name = 'half'").fetchall()
    migrate(connection, begin_journal=BEGIN_JOURNAL)
    connection.close()


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    failures: list[BaseException] = []

    def start() -> None:
        try:
            connection = open_durable(path)
            migrate(connection, begin_journal=BEGIN_JOURNAL)
            connection.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 30, b"PK\x03\x04" * 300])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counterfoil.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnfit, match="not an SQLite file"):
        SqliteStore(path, Clock(), journal_key=JOURNAL_KEY)
    assert path.read_bytes() == content


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    for use in (lambda: SqliteStore(path, Clock(), journal_key=JOURNAL_KEY), lambda: backup(path, tmp_path / "copy")):
        with pytest.raises(StoreUnfit, match="not a Counterfoil store"):
            use()
    assert not (tmp_path / "copy").exists()


def test_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreUnfit, match="cannot be opened: CantOpenError"):
        SqliteStore(tmp_path, Clock(), journal_key=JOURNAL_KEY)


def test_a_new_store_makes_the_folders_that_are_missing_and_its_own_is_private(tmp_path: Path) -> None:
    open_durable(tmp_path / "var" / "counterfoil" / "counterfoil.db").close()
    assert (tmp_path / "var" / "counterfoil").stat().st_mode & 0o777 == 0o700


def test_who_goes_over_to_wal_waits_for_another_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "counterfoil.db"
    with closing(apsw.Connection(str(path))) as other:
        other.execute("CREATE TABLE t (a); BEGIN IMMEDIATE")
        slept_s: list[float] = []

        def sleep(duration_s: float) -> None:
            slept_s.append(duration_s)
            other.execute("COMMIT")

        monkeypatch.setattr(time, "sleep", sleep)
        open_durable(path).close()
    assert slept_s == [sqlite_file._LOCK_STEP_S]


async def test_a_store_of_another_epoch_is_refused(tmp_path: Path) -> None:
    await SqliteStore(tmp_path / "counterfoil.db", Clock(), epoch=2, journal_key=JOURNAL_KEY).close()
    for epoch in (1, 3):
        with pytest.raises(StoreUnfit, match="counterfoil restore"):
            SqliteStore(tmp_path / "counterfoil.db", Clock(), epoch=epoch, journal_key=JOURNAL_KEY)
    await SqliteStore(tmp_path / "counterfoil.db", Clock(), epoch=2, journal_key=JOURNAL_KEY).close()


_JOURNAL: Any = {"journal_key": JOURNAL_KEY, "journal_retention_s": 1, "on_fatal": lambda: None}


@pytest.mark.parametrize("url", ["", "postgres://x", "sqlite:", "sqlite://host/x", "counterfoil.db"])
def test_a_store_is_named_by_a_url(url: str) -> None:
    with pytest.raises(Invalid):
        open_store(url, now_us=Clock(), retention_s=1, epoch=1, waiting_max=1, **_JOURNAL)


async def test_urls_open_what_they_name(tmp_path: Path) -> None:
    for url in ("memory:", f"sqlite:{tmp_path}/with%20space.db"):
        store = open_store(url, now_us=Clock(), retention_s=1, epoch=1, waiting_max=9, **_JOURNAL)
        await kept(store)
        await store.close()
    assert (tmp_path / "with space.db").exists()
    assert sqlite_path("sqlite:relative.db") == Path("relative.db")


# -- a full disk --


async def test_a_full_disk_rolls_back_and_the_store_lives(tmp_path: Path) -> None:
    told = Told()
    clock = Clock()
    store = SqliteStore(tmp_path / "counterfoil.db", clock, on_fatal=told, broom=False, journal_key=JOURNAL_KEY)
    first = await kept(store)
    store._writer_connection.pragma("max_page_count", store._writer_connection.pragma("page_count"))
    with pytest.raises(StoreUnavailable, match="full"):
        await asyncio.gather(*(kept(store, made(timestamp_us=START_US + number)) for number in range(1, 200)))
    assert await store.find(first) == made()
    store._writer_connection.pragma("max_page_count", 1_000_000)
    second = await kept(store, made(timestamp_us=START_US + 500))
    assert (await store.redeem(second, MINE, ATTEMPTS_MAX)).applied
    assert told.times == 0
    await store.close()


def _limited_environment() -> dict[str, str]:
    """For a process that may write no large file: a module that it compiles would be cut off, and found so by all others."""
    return {**unmeasured_environment(), "PYTHONDONTWRITEBYTECODE": "1"}


FILL_UP = """
import asyncio, resource, signal, sys
from pathlib import Path
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.sqlite import SqliteStore
from tests.contract.claims import kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    fatal = []
    store = SqliteStore(Path(sys.argv[1]), Clock(), on_fatal=lambda: fatal.append(1), broom=False, journal_key=JOURNAL_KEY)
    await kept(store)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    acknowledged = 1
    try:
        while True:
            await kept(store, made(timestamp_us=START_US + acknowledged))
            acknowledged += 1
    except StoreUnavailable as fault:
        print("fault", bool(fatal), acknowledged, flush=True)

asyncio.run(main())
"""


async def test_a_write_error_that_is_not_a_full_disk_is_final_and_loses_nothing(tmp_path: Path) -> None:
    """EFBIG, as the kernel gives it: not ENOSPC, so nothing is assumed about it."""
    path = tmp_path / "counterfoil.db"
    done = subprocess.run(
        [sys.executable, "-c", FILL_UP, str(path), "60000"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=_limited_environment(),
    )
    word, fatal, acknowledged = done.stdout.split()
    assert (word, fatal) == ("fault", "True")
    store = SqliteStore(path, Clock(), broom=False, journal_key=JOURNAL_KEY)
    for number in range(int(acknowledged)):
        assert await store.find(made(timestamp_us=START_US + number).ref) is not None
    await store.close()


# -- an I/O error --


def _failing(failing_call: str, suffix: str) -> Callable[[str, str], Fault | None]:
    """Has one kind of call fail on the files with such an ending."""

    def strike() -> NoReturn:
        raise apsw.IOError(f"injected {failing_call}")

    return lambda call, path: Fault(strike) if call == failing_call and path.endswith(suffix) else None


@pytest.mark.parametrize("call", ["xSync", "xWrite"])
async def test_an_io_error_is_final_and_everybody_who_waits_hears_it(tmp_path: Path, call: str) -> None:
    path = tmp_path / "counterfoil.db"
    told = Told()
    with disk() as vfs:
        store = SqliteStore(path, Clock(), on_fatal=told, journal_key=JOURNAL_KEY)
        ref = await kept(store)
        vfs.fault_at = _failing(call, "-wal")
        answers = await asyncio.gather(*(store.redeem(ref, MINE, ATTEMPTS_MAX) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        vfs.fault_at = lambda _call, _path: None
        # The disk answers again, and the store does not believe it.
        for ask in (
            lambda: store.redeem(ref, MINE, ATTEMPTS_MAX),
            lambda: store.insert(made(timestamp_us=1), None),
            lambda: store.find(ref),
            store.check_ready,
        ):
            with pytest.raises(StoreUnavailable, match="I/O error"):
                await ask()
        assert told.times == 1
        await store.close()
    # A restart finds either nothing of it or all of it, and goes on.
    again = SqliteStore(path, Clock(), journal_key=JOURNAL_KEY)
    found = await again.find(ref)
    assert found is not None
    outcome = await again.redeem(ref, MINE, ATTEMPTS_MAX)
    assert outcome.counterfoil is not None
    assert outcome.counterfoil.redemption == MINE
    await again.close()


async def test_an_io_error_where_a_transaction_begins_is_final_and_not_tried_again(tmp_path: Path) -> None:
    told = Told()
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), on_fatal=told, journal_key=JOURNAL_KEY, broom=False)
    began: list[str] = []

    def failing(_cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
        if sql.startswith("BEGIN"):
            began.append(sql)
            raise apsw.IOError("injected")
        return True

    store._writer_connection.exec_trace = failing
    answers = await asyncio.gather(*(kept(store, made(timestamp_us=START_US + n)) for n in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["the store failed; what was written is not known"] * 3
    assert (len(began), told.times) == (1, 1)
    await store.close()


async def test_what_stopped_the_store_is_in_the_log_and_behind_every_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with disk() as vfs:
        store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
        vfs.fault_at = _failing("xWrite", "-wal")
        with pytest.raises(StoreUnavailable) as first:
            await kept(store)
        with pytest.raises(StoreUnavailable) as second:
            await store.check_ready()
        vfs.fault_at = lambda _call, _path: None
        await store.close()
    (told,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert (told.name, told.getMessage()) == ("counterfoil.stores.group_commit", "store stopped: IOError")
    assert told.exc_info is not None
    assert told.exc_info[1] is first.value.__cause__ is second.value.__cause__
    assert isinstance(first.value.__cause__, apsw.IOError)


async def test_an_io_error_in_a_checkpoint_is_final_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_CHECKPOINT_PAGES", 1)
    told = Told()
    with disk() as vfs:
        store = SqliteStore(tmp_path / "counterfoil.db", Clock(), on_fatal=told, journal_key=JOURNAL_KEY)
        vfs.fault_at = _failing("xSync", "counterfoil.db")
        await kept(store)
        while not told.times:
            await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable):
            await kept(store, made(timestamp_us=1))
        vfs.fault_at = lambda _call, _path: None
        await store.close()


async def test_a_damaged_file_is_final_for_readers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), on_fatal=told, journal_key=JOURNAL_KEY)
    ref = await kept(store)

    def damaged(*_: Any) -> Any:
        raise apsw.CorruptError("damaged")

    def busy(*_: Any) -> Any:
        raise apsw.BusyError("busy")

    monkeypatch.setattr("counterfoil.stores.sqlite._found", busy)
    with pytest.raises(StoreUnavailable, match="busy"):
        await store.find(ref)
    assert told.times == 0
    monkeypatch.setattr("counterfoil.stores.sqlite._found", damaged)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await store.find(ref)
    assert told.times == 1
    with pytest.raises(StoreUnavailable, match="I/O error"):
        await store.check_ready()
    await store.close()


SERVE_LIMITED = """
import resource, signal
from counterfoil.entrypoints.cli import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60000, resource.RLIM_INFINITY))
main()
"""


async def test_the_server_answers_503_and_ends_with_status_70(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE_LIMITED, "serve", "--data", str(deployment.folder), "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_limited_environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        url = json.loads(line)["url"]
        async with connections(url, 1) as (connection,):
            issuer = Caller(connection, deployment.issuer)
            while (got := await issuer.issue()).status == 201:
                pass
        assert (got.status, got.json["code"]) == (503, "store_unavailable")
        process.communicate(timeout=30)
        assert process.returncode == 70
    finally:
        process.kill()
        process.communicate()


# -- the queue, the broom, other processes --


async def test_a_full_queue_is_unavailable_at_once_and_what_waits_is_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), waiting_max=10, journal_key=JOURNAL_KEY)
    answers = await asyncio.gather(
        *(store.insert(made(timestamp_us=START_US + number), None) for number in range(50)), return_exceptions=True
    )
    turned_away = [str(answer) for answer in answers if isinstance(answer, StoreUnavailable)]
    assert turned_away == ["too many writes are waiting"] * 40
    assert answers.count("stored") == 10
    assert await store.insert(made(timestamp_us=1), None) == "stored"
    await store.close()


async def test_a_closed_store_takes_nothing_more_and_has_written_what_waited(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    waiting = [asyncio.create_task(kept(store, made(timestamp_us=START_US + number))) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    refs = await asyncio.gather(*waiting)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.redeem(refs[0], MINE, ATTEMPTS_MAX)
    await store.close()
    again = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    assert None not in [await again.find(ref) for ref in refs]
    await again.close()


async def test_what_is_on_its_way_to_the_thread_when_the_store_is_closed_is_committed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    closing_it = threading.Thread(target=store._writer.close)

    def close_meanwhile(_: apsw.Connection) -> str:
        """A step, on the loop: the thread hears of the end before it gets the transaction."""
        closing_it.start()
        while not store._writer._closed or not store._writer._to_commit.empty():
            time.sleep(0.001)
        return "done"

    assert await store._writer.run(close_meanwhile) == "done"
    closing_it.join()
    await store.close()


async def test_a_bug_in_a_step_is_final_and_writes_nothing(tmp_path: Path) -> None:
    told = Told()
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), on_fatal=told, journal_key=JOURNAL_KEY)

    def buggy(connection: apsw.Connection) -> None:
        connection.execute("DELETE FROM deployment")
        raise RuntimeError("a bug")

    with pytest.raises(StoreUnavailable):
        await store._writer.run(buggy)
    assert told.times == 1
    await store.close()
    await SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY).close()
    connection = open_durable(tmp_path / "counterfoil.db")
    assert connection.execute("SELECT value FROM deployment").get == 1
    connection.close()


def test_a_loop_that_goes_away_before_its_turn_stops_nobody_else(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    gone = asyncio.new_event_loop()

    async def ask_and_go() -> None:
        # Asked, and never given the time to begin.
        asyncio.ensure_future(store.insert(made(), None)).cancel()
        store._writer.run(lambda _: None)

    gone.run_until_complete(ask_and_go())
    gone.close()

    async def go_on() -> None:
        await kept(store, made(timestamp_us=7))
        await store.close()

    asyncio.run(go_on())


async def test_the_broom_takes_small_steps_between_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    store = SqliteStore(tmp_path / "counterfoil.db", clock, retention_s=0, journal_key=JOURNAL_KEY)
    await asyncio.gather(*(kept(store, made(timestamp_us=START_US + number)) for number in range(400)))
    clock.advance_s(LIFETIME_S_MAX + 1)
    left = []
    # When nothing is written for a while, it takes larger steps: a busy machine's pauses are not to be taken for that.
    with monkeypatch.context() as patient:
        patient.setattr(group_commit, "_IDLE_S", 3600)
        patient.setattr(group_commit, "_BUSY_S", 3600)
        for number in range(20):
            await kept(store, made(timestamp_us=clock.now_us + number))
            left.append(_count(store))
    steps = [before - after for before, after in zip([400, *left], left, strict=False)]
    assert all(step <= 2 for step in steps)
    # It does not wait to be idle before it goes on with what it knows is left.
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600)
    await kept(store, made(timestamp_us=clock.now_us + 20))
    while _count(store) > 21:
        await asyncio.sleep(0.05)
    await store.close()


async def test_accounts_of_idle_clients_are_forgotten(tmp_path: Path) -> None:
    from counterfoil.model.usage import IssueLimits

    clock = Clock()
    store = SqliteStore(tmp_path / "counterfoil.db", clock, retention_s=0, journal_key=JOURNAL_KEY)
    limits = IssueLimits(1000, 1000, 1000)
    for number in range(70):
        await store.insert(made(f"client-{number}"), limits)
    clock.advance_s(120)
    while _count(store, "client_usage"):
        await asyncio.sleep(0.05)
    await store.close()


def _count(store: SqliteStore, table: str = "counterfoils") -> int:
    return int(store._reader().execute(f"SELECT count(*) FROM {table}").get)


async def test_the_wal_stays_bounded_under_load(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), broom=False, journal_key=JOURNAL_KEY)
    largest = 0
    for batch in range(150):
        await asyncio.gather(*(kept(store, made(timestamp_us=START_US + 100 * batch + number)) for number in range(64)))
        largest = max(largest, (tmp_path / "counterfoil.db-wal").stat().st_size)
    assert 1_000_000 < largest < 12_000_000
    await store.close()


async def test_a_reader_never_sees_what_is_not_committed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    seen: list[int] = []
    original = store._end_transaction

    def looking(connection: apsw.Connection, writes: int) -> bool:
        seen.append(_count(store))
        return original(connection, writes)

    store._writer._before_commit = looking
    await kept(store)
    assert seen[0] == 0
    assert _count(store) == 1
    await store.close()


async def test_a_writer_waits_for_another_processs_lock_without_holding_up_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    store = SqliteStore(path, Clock(), journal_key=JOURNAL_KEY)
    other = open_durable(path)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(kept(store))
    ticks = 0
    for _ in range(20):
        await asyncio.sleep(0.01)
        ticks += 1
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    await waiting
    assert ticks == 20
    await store.close()


async def test_a_lock_that_is_never_released_is_unavailable_and_not_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "LOCK_WAIT_S", 0.05)
    monkeypatch.setattr(group_commit, "LOCK_WAIT_S", 0.05)
    told = Told()
    path = tmp_path / "counterfoil.db"
    store = SqliteStore(path, Clock(), on_fatal=told, journal_key=JOURNAL_KEY)
    other = open_durable(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="busy"):
        await kept(store)
    other.execute("COMMIT")
    other.close()
    await kept(store)
    assert told.times == 0
    await store.close()


# -- copies --


async def test_a_copy_made_while_writing_is_whole(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), broom=False, journal_key=JOURNAL_KEY)
    acknowledged = [await kept(store, made(timestamp_us=START_US + number)) for number in range(100)]
    writing = asyncio.create_task(_write(store, 100, 300))
    await asyncio.to_thread(backup, tmp_path / "counterfoil.db", tmp_path / "copy.db")
    await writing
    await store.close()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    copy = SqliteStore(tmp_path / "copy.db", Clock(), broom=False, journal_key=JOURNAL_KEY)
    assert None not in [await copy.find(ref) for ref in acknowledged]
    await copy.close()


async def test_a_copy_is_one_file_and_what_is_no_store_is_not_copied(tmp_path: Path) -> None:
    await SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY).close()
    backup(tmp_path / "counterfoil.db", tmp_path / "copy.db")
    with closing(apsw.Connection(str(tmp_path / "copy.db"))) as copy:
        assert copy.pragma("journal_mode") == "delete"
    (tmp_path / "text").write_bytes(b"no database " * 100)
    with pytest.raises(StoreUnfit, match=r"text cannot be copied: NotADBError"):
        backup(tmp_path / "text", tmp_path / "copy-of-text")
    assert not (tmp_path / "copy-of-text").exists()


async def _write(store: SqliteStore, start: int, end: int) -> None:
    for number in range(start, end):
        await kept(store, made(timestamp_us=START_US + number))


def test_a_copy_never_replaces_a_file(tmp_path: Path) -> None:
    open_durable(tmp_path / "counterfoil.db").close()
    (tmp_path / "copy.db").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        backup(tmp_path / "counterfoil.db", tmp_path / "copy.db")
    with pytest.raises(StoreUnfit, match="does not exist"):
        backup(tmp_path / "nowhere.db", tmp_path / "other.db")
    assert (tmp_path / "copy.db").read_bytes() == b"mine"


async def test_a_store_in_use_is_not_restored_over(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    await kept(store)
    backup(tmp_path / "counterfoil.db", tmp_path / "copy.db")
    bumps = Bumps()
    original = sqlite_file.LOCK_WAIT_S
    sqlite_file.LOCK_WAIT_S = 0.1
    try:
        with pytest.raises(StoreUnfit, match="stop the service"):
            await asyncio.to_thread(restore, tmp_path / "copy.db", tmp_path / "counterfoil.db", prepared, bumps)
    finally:
        sqlite_file.LOCK_WAIT_S = original
    assert bumps.times == 0
    await store.close()
    assert restore(tmp_path / "copy.db", tmp_path / "counterfoil.db", prepared, bumps) is not None
    assert bumps.times == 1


def test_a_damaged_copy_is_not_restored_and_a_damaged_store_is_set_aside(tmp_path: Path) -> None:
    target, copy = tmp_path / "counterfoil.db", tmp_path / "copy.db"
    connection = open_durable(copy)
    migrate(connection, begin_journal=BEGIN_JOURNAL)
    sqlite_file.bind_to_epoch(connection, 1)
    connection.close()
    damaged = tmp_path / "damaged.db"
    content = bytearray(copy.read_bytes())
    content[4096:] = bytes(reversed(content[4096:]))
    damaged.write_bytes(content)
    bumps = Bumps()
    with pytest.raises(StoreUnfit, match=r"damaged\.db"):
        restore(damaged, target, prepared, bumps)
    assert bumps.times == 0
    target.write_bytes(b"ruined" * 1000)
    refuse_if_open(target)
    aside = restore(copy, target, prepared, lambda: 2)
    assert aside is not None
    assert aside.read_bytes() == b"ruined" * 1000
    restored = open_durable(target)
    sqlite_file.bind_to_epoch(restored, 2)
    restored.close()


async def test_a_copy_is_restored_where_no_store_is(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    ref = await kept(store)
    await store.close()
    backup(tmp_path / "counterfoil.db", tmp_path / "copy.db")
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "counterfoil.db"
    assert restore(tmp_path / "copy.db", target, prepared, lambda: 2) is None
    restored = SqliteStore(target, Clock(), epoch=2, journal_key=JOURNAL_KEY)
    assert await restored.find(ref) == made()
    await restored.close()
    assert [each.name for each in target.parent.iterdir()] == ["counterfoil.db"]


def test_a_copy_that_is_not_there_is_said_to_be_missing_and_bumps_nothing(tmp_path: Path) -> None:
    bumps = Bumps()
    with pytest.raises(StoreUnfit, match=r"nowhere\.db does not exist"):
        restore(tmp_path / "nowhere.db", tmp_path / "counterfoil.db", prepared, bumps)
    assert bumps.times == 0
    assert list(tmp_path.iterdir()) == []


async def test_a_wal_that_is_left_goes_with_the_store_that_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be played into the copy. SQLite takes it away when the file is looked at before; here, it does not."""
    monkeypatch.setattr(sqlite_file, "refuse_if_open", lambda _path: None)
    target, copy = tmp_path / "counterfoil.db", tmp_path / "copy.db"
    await SqliteStore(copy, Clock(), journal_key=JOURNAL_KEY).close()
    target.write_bytes(b"ruined" * 1000)
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).write_text(suffix)
    aside = restore(copy, target, prepared, lambda: 2)
    assert aside is not None
    for suffix in ("-wal", "-shm"):
        assert not target.with_name(target.name + suffix).exists()
        assert aside.with_name(aside.name + suffix).read_text() == suffix
