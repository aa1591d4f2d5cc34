"""The SQLite file itself: opening it durably, its schema and migrations, its copies. It knows no verb of the store."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import apsw

from counterfoil.ports.store import StoreUnfit
from counterfoil.private_file import sync_directory

# "cfl1", so that `file` and a mistaken path are told apart from a store.
APPLICATION_ID = 0x63666C31
LOCK_WAIT_S = 5.0
_LOCK_STEP_S = 0.0005

MIGRATIONS: Sequence[str] = (
    # 1. Rows are ordered by time, so that inserts, and the broom, touch neighbouring pages.
    """
    CREATE TABLE counterfoils (
        timestamp_us INTEGER NOT NULL,
        client_id TEXT NOT NULL,
        expires_at_us INTEGER NOT NULL,
        key_id BLOB NOT NULL,
        passcode_tag BLOB NOT NULL,
        contexts_tag BLOB NOT NULL,
        transaction_tag BLOB NOT NULL,
        issuer_id TEXT NOT NULL,
        seed_copy BLOB,
        wrapped_key BLOB,
        state TEXT NOT NULL CHECK (state IN ('issued', 'redeemed', 'revoked', 'locked')),
        attempts INTEGER NOT NULL,
        redemption_id TEXT,
        redeemed_by TEXT,
        redeemed_at_us INTEGER,
        PRIMARY KEY (timestamp_us, client_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE client_usage (
        client_id TEXT NOT NULL PRIMARY KEY,
        arrival_us INTEGER NOT NULL,
        outstanding BLOB NOT NULL,
        idle_at_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE deployment (
        name TEXT NOT NULL PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    # 2. The journal, in the order in which it was written (docs/decisions/0013).
    """
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        at_us INTEGER NOT NULL,
        event TEXT NOT NULL,
        client_id TEXT NOT NULL,
        timestamp_us INTEGER,
        "by" TEXT NOT NULL,
        reason TEXT,
        redemption_id TEXT,
        mac BLOB NOT NULL
    ) STRICT;
    CREATE TABLE journal_ends (
        which TEXT NOT NULL PRIMARY KEY CHECK (which IN ('start', 'head')),
        seq INTEGER NOT NULL,
        mac BLOB NOT NULL,
        seal BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)


def open_durable(path: Path, patience: "Patience | None" = None) -> apsw.Connection:
    """A connection whose commits survive power loss, read back. Raises StoreUnfit when they would not.

    `synchronous` belongs to the connection, not to the file: NORMAL would forget acknowledged redemptions when the
    power fails, and a forgotten redemption is a second one.
    """
    _create_private(path)
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_handler(patience or Patience())
        _distrust(connection)
        application_id = connection.pragma("application_id")
        if application_id not in (0, APPLICATION_ID):
            raise StoreUnfit(f"{path} is an SQLite file, but not a Counterfoil store")
        _enter_wal(connection)
        connection.pragma("synchronous", "full")
        # Only macOS has these; its plain fsync does not reach the platter.
        connection.pragma("fullfsync", 1)
        connection.pragma("checkpoint_fullfsync", 1)
        connection.wal_autocheckpoint(0)
        # Reading opens the WAL, which makes the file. SQLite syncs its name with the first commit, but takes no notice when
        # that fails, and a WAL without a name takes every answer with it when the power fails. Nor does SQLite sync the end of
        # the journal by which it went over to WAL: one that comes back is played into the file, and undoes what came since.
        connection.pragma("schema_version")
        sync_directory(path.resolve().parent)
    except OSError as cause:
        raise StoreUnfit(f"{path.parent} cannot be synced: {cause.strerror}") from cause
    except apsw.NotADBError as cause:
        raise StoreUnfit(f"{path} is not an SQLite file") from cause
    except apsw.Error as cause:
        raise StoreUnfit(f"{path} cannot be opened: {type(cause).__name__}") from cause
    found = durability(connection)
    if found != {"journal_mode": "wal", "synchronous": 2}:
        raise StoreUnfit(f"{path} does not take WAL with synchronous=FULL, but {found}")
    return connection


def _enter_wal(connection: apsw.Connection) -> None:
    """Processes that start together on a new file compete for this, and SQLite does not ask the busy handler here."""
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_LOCK_STEP_S)
        else:
            return


def open_reader(path: Path) -> apsw.Connection:
    """A connection that only reads. Readers never wait for the writer."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(250)
    _distrust(connection)
    connection.pragma("query_only", 1)
    return connection


def durability(connection: apsw.Connection) -> dict[str, str | int]:
    """The settings that decide whether an answered write survives power loss, as the connection has them."""
    return {
        "journal_mode": connection.pragma("journal_mode"),
        "synchronous": connection.pragma("synchronous"),
    }


JOURNAL_VERSION = 2
"""The migration that makes the journal's tables; they are empty at no time after it."""


def migrate(
    connection: apsw.Connection, migrations: Sequence[str] = MIGRATIONS, *, begin_journal: Callable[[apsw.Connection], None]
) -> None:
    """Brings the schema up to date, each version in a transaction. Refuses a file from a newer Counterfoil."""
    while (version := schema_version(connection)) < len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have done it while this one waited for the lock.
            if schema_version(connection) == version:
                connection.execute(migrations[version])
                if version + 1 == JOURNAL_VERSION:
                    begin_journal(connection)
                connection.execute(f"PRAGMA user_version = {version + 1}; PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if version > len(migrations):
        raise StoreUnfit(f"the store has schema version {version}; this Counterfoil knows {len(migrations)}: upgrade it")


def check_schema(connection: apsw.Connection) -> None:
    """Raises StoreUnfit unless the file has the tables that the migrations make, and nothing beside them.

    A trigger or a view that somebody else put there could change or hide what is written.
    """
    with closing(apsw.Connection(":memory:")) as empty:
        for migration in MIGRATIONS:
            empty.execute(migration)
        expected = empty.execute(_SCHEMA).fetchall()
    if connection.execute(_SCHEMA).fetchall() != expected:
        raise StoreUnfit("the store's tables are not those of this version, or somebody added to them: `restore` a copy")


_SCHEMA = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' ORDER BY name"


def _distrust(connection: apsw.Connection) -> None:
    """Has SQLite run nothing that stands in the file: whoever can write it must not have the service act for them."""
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)


def schema_version(connection: apsw.Connection) -> int:
    """How many migrations the file has had."""
    return int(connection.pragma("user_version"))


def bind_to_epoch(connection: apsw.Connection, epoch: int) -> None:
    """Marks a new file with the keyset's epoch; refuses a file of another one, which is a copy put back by hand."""
    connection.execute("INSERT INTO deployment VALUES ('epoch', ?) ON CONFLICT DO NOTHING", (epoch,))
    stored = connection.execute("SELECT value FROM deployment WHERE name = 'epoch'").get
    if stored != epoch:
        raise StoreUnfit(
            f"the store is of epoch {stored} and the keyset of epoch {epoch}: one of them is a copy that was put back by hand;"
            " run `counterfoil restore` on the store's copy"
        )


def backup(source: Path, target: Path) -> None:
    """An online copy, whole and durable, while services write. Raises StoreUnfit, FileExistsError."""
    if not source.is_file():
        raise StoreUnfit(f"{source} does not exist")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(_open_existing(source)) as original, closing(_open_existing(target)) as copy:
            if original.pragma("application_id") != APPLICATION_ID:
                raise StoreUnfit(f"{source} is not a Counterfoil store")
            with copy.backup("main", original, "main") as copying:
                copying.step(-1)
            # A copy is one file: what it held in WAL mode stays in the original's WAL.
            copy.pragma("journal_mode", "delete")
    except apsw.Error as cause:
        target.unlink()
        raise StoreUnfit(f"{source} cannot be copied: {type(cause).__name__}") from cause
    except BaseException:
        target.unlink()
        raise
    _sync_file(target)


def restore(
    copy: Path, target: Path, prepare: Callable[[apsw.Connection], object], bumped_epoch: Callable[[], int]
) -> Path | None:
    """Puts a copy in the store's place, marked with a new epoch; gives the path at which the old store is kept.

    Nobody may have the store open. `prepare` brings the copy up to date, and raises StoreUnfit when it is another
    deployment's. The epoch is bumped once the copy has proved sound and before it takes the store's
    place: a crash in between leaves a store that refuses to start until `restore` is run again, never one that forgets
    redemptions. Raises StoreUnfit; the store and the epoch are then as they were.
    """
    refuse_if_open(target)
    staged = target.with_name(f".{target.name}.restoring")
    staged.unlink(missing_ok=True)
    try:
        backup(copy, staged)
        with closing(_open_existing(staged)) as connection:
            if not _is_sound(connection):
                raise StoreUnfit(f"{copy} is damaged")
            prepare(connection)
            connection.execute("UPDATE deployment SET value = ? WHERE name = 'epoch'", (bumped_epoch(),))
        _sync_file(staged)
        kept = _kept_aside(target) if target.exists() else None
        # In one step: at no time is there no store, which a service would take for a new one.
        staged.replace(target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)
    return kept


def _is_sound(connection: apsw.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA integrity_check").get == "ok")
    except apsw.CorruptError:
        return False


def refuse_if_open(path: Path) -> None:
    """Raises StoreUnfit when another process has the store open. Plays its WAL into it otherwise."""
    if not path.exists():
        return
    with closing(_open_existing(path)) as connection:
        try:
            # Leaving WAL mode takes the exclusive lock, which SQLite grants to the last connection alone.
            connection.pragma("journal_mode", "delete")
        except apsw.BusyError as cause:
            raise StoreUnfit(f"{path} is open in another process: stop the service first") from cause
        except (apsw.NotADBError, apsw.CorruptError):
            # Damage is a reason to restore, not to refuse it.
            return


def _kept_aside(target: Path) -> Path:
    """A second name for the store that is there; what is left of its WAL goes with that name."""
    kept = target.with_name(f"{target.name}.before-restore-{time.time_ns() // 1000}")
    os.link(target, kept)
    for suffix in ("-wal", "-shm"):
        # A WAL left behind would be played into the restored file.
        beside = target.with_name(target.name + suffix)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + suffix))
    return kept


def _open_existing(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(int(LOCK_WAIT_S * 1000))
    return connection


def _create_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)
    sync_directory(path.parent)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


class Patience:
    """Waits for another process's commit in steps of half a millisecond; SQLite's own steps grow to 100 ms."""

    def __init__(self, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._lock_wait_s = lock_wait_s
        self._since_s = 0.0

    def set(self, lock_wait_s: float) -> None:
        """How long to wait from now on; not at all on an event loop."""
        self._lock_wait_s = lock_wait_s

    def __call__(self, tries: int) -> bool:
        now_s = time.monotonic()
        if tries == 0:
            self._since_s = now_s
        if now_s - self._since_s >= self._lock_wait_s:
            return False
        time.sleep(_LOCK_STEP_S)
        return True
