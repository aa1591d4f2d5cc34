"""What a store whose writers share commits tells whoever follows single requests: who is in which commit. No store needs it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class CommitWatch(Protocol):
    """Watches commits. It must not raise, and it must be quick: everybody in the commit waits for it."""

    def joins(self) -> Any:
        """Called where a step is handed over, and gives what stands for whoever does."""

    def committing(self, joined: Sequence[Any]) -> AbstractContextManager[None]:
        """Is entered before a commit, on its thread, with what stands for each who is in it, and left after it."""
