"""Commits that are broken on purpose, for the accidents' negative controls: stores that are opened meanwhile have them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import apsw

from counterfoil.stores import sqlite
from counterfoil.stores.group_commit import GroupCommit, _answer, _Batch

LATE_S = 0.002


class AnswersFirst(GroupCommit):
    """Answers, and commits a little later."""

    def _finish(self, batch: _Batch) -> None:
        if batch.results is not None:
            _answer(batch.waiting, batch.results)
            batch = _Batch([], [])
            time.sleep(LATE_S)
        super()._finish(batch)


class GoesOn(GroupCommit):
    """Answers an I/O error with "unavailable", as it should, and then serves on."""

    def fail(self, cause: BaseException) -> None:
        """Takes no notice."""


class TakesItForDone(GroupCommit):
    """Answers as if the commit had not failed."""

    def _committed(self, batch: _Batch) -> list[Any]:
        try:
            return super()._committed(batch)
        except apsw.IOError:
            if batch.results is None:
                raise
            return batch.results


@contextmanager
def committing_by(broken: type[GroupCommit]) -> Iterator[None]:
    """Has stores commit in that way."""
    with patch.object(sqlite, "GroupCommit", broken):
        yield
