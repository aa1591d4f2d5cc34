"""The accounts of clients in an SQLite store: kept as long as nobody else writes, written in their steps' transaction."""

from typing import Any

import apsw

from counterfoil.model.usage import Usage

_FIND = "SELECT arrival_us, outstanding FROM client_usage WHERE client_id = ?"
_KEEP = """
    INSERT INTO client_usage VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    arrival_us = excluded.arrival_us, outstanding = excluded.outstanding, idle_at_us = excluded.idle_at_us"""
_NEXT = "SELECT client_id, idle_at_us FROM client_usage WHERE client_id > ? ORDER BY client_id LIMIT ?"
_FORGET = "DELETE FROM client_usage WHERE client_id = ?"
_LOOKED_AT = 32
_KEPT_MAX = 4096


class SqliteAccounts:
    """The accounts of one file, for the connection that writes it. It begins and ends no transaction."""

    def __init__(self) -> None:
        # As they stand in the file, or will when this transaction is over.
        self._kept: dict[str, Usage] = {}
        self._changed: dict[str, Usage] = {}
        self._seen_to = ""

    def forget(self) -> None:
        """Somebody else may have written, or the transaction did not happen: what is kept here is not what stands there."""
        self._kept.clear()
        self._changed.clear()

    def of(self, connection: apsw.Connection, client_id: str) -> Usage | None:
        """The client's account, if it has one."""
        usage = self._kept.get(client_id)
        if usage is None:
            row: Any = connection.execute(_FIND, (client_id,)).fetchone()
            if row is not None:
                usage = self._kept[client_id] = Usage.decoded(*row)
        return usage

    def change(self, client_id: str, usage: Usage) -> None:
        """This is the client's account now; it is written at the end of this transaction, once, whatever else changes it."""
        self._kept[client_id] = self._changed[client_id] = usage

    def write_changed(self, connection: apsw.Connection) -> None:
        """Writes what this transaction has changed."""
        if len(self._kept) > _KEPT_MAX:
            self._kept.clear()
        if not self._changed:
            return
        rows = [
            (client_id, usage.arrival_us, usage.encoded_outstanding(), usage.idle_at_us())
            for client_id, usage in self._changed.items()
        ]
        connection.executemany(_KEEP, rows)
        self._changed.clear()

    def forget_idle(self, connection: apsw.Connection, now_us: int) -> None:
        """Removes those that are as good as new ones, among the next few."""
        rows: list[Any] = connection.execute(_NEXT, (self._seen_to, _LOOKED_AT)).fetchall()
        for client_id, idle_at_us in rows:
            if idle_at_us <= now_us:
                connection.execute(_FORGET, (client_id,))
                self._kept.pop(client_id, None)
        self._seen_to = rows[-1][0] if rows else ""
