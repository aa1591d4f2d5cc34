"""Shared transactions that somebody watches: who is in which. What is not watched has no part of it, and pays for none."""

import asyncio
from typing import Any, Generic, TypeVar

import apsw

from counterfoil.ports.commit_watch import CommitWatch
from counterfoil.stores.group_commit import GroupCommit, WriteStep, _Batch

T = TypeVar("T")


class _Joined(Generic[T]):
    """A step, and what stands for whoever handed it over."""

    __slots__ = ("_step", "who")

    def __init__(self, step: WriteStep[T], who: Any) -> None:
        self._step = step
        self.who = who

    def __call__(self, connection: apsw.Connection) -> T:
        return self._step(connection)


class WatchedCommit(GroupCommit):
    """The same transactions, watched."""

    def __init__(self, watch: CommitWatch, connection: apsw.Connection, **settings: Any) -> None:
        # Before the thread starts.
        self._watch = watch
        super().__init__(connection, **settings)

    def run(self, step: WriteStep[T]) -> "asyncio.Future[T]":
        return super().run(_Joined(step, self._watch.joins()))

    def _committed(self, batch: _Batch) -> list[Any]:
        joined = [step.who for step, _ in batch.waiting if isinstance(step, _Joined)]
        with self._watch.committing(joined):
            return super()._committed(batch)
