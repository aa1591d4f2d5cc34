"""Small secret JSON files: readable by their owner alone, replaced whole and durably, changed by one process at a time."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PrivateFileProblem(Exception):
    """The file is missing, open to others, or not what it should be. `mend` is the command that cures it, if one does."""

    def __init__(self, says: str, mend: str = "") -> None:
        super().__init__(f"{says}: run `{mend}`" if mend else says)
        self.says = says
        self.mend = mend


def read_private_json(path: Path) -> Any:
    """The file's content. Raises PrivateFileProblem unless it is a regular file of mode 0600 (or 0400) with JSON in it."""
    try:
        # Without waiting: a pipe in the file's place would otherwise hold up who asks.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or stat.S_IMODE(mode) & 0o177:
                raise PrivateFileProblem(f"{path} must be a file of mode 0600", f"chmod 600 {path}")
            return json.loads(file.read())
    except FileNotFoundError:
        raise PrivateFileProblem(f"{path} does not exist") from None
    except OSError as cause:
        raise PrivateFileProblem(f"{path} cannot be read: {cause.strerror}") from cause
    except (ValueError, RecursionError):
        # Not chained: the decoder's message quotes the text, and the text is secret.
        raise PrivateFileProblem(f"{path} is not valid JSON") from None


def replace_private_json(path: Path, content: Any) -> None:
    """Puts new content in place of the old: either is there whole after a crash, and only the owner can read it.

    A link is followed: the file that it names is replaced, for everybody who reads it.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, *, makes_folder: bool = False) -> Iterator[None]:
    """Keeps other processes from changing the file meanwhile. The lock is a file beside it, since it is replaced whole."""
    path = path.resolve()
    if makes_folder:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif not path.exists():
        raise PrivateFileProblem(f"{path} does not exist")
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(lock, LOCK_EX)
        yield
    finally:
        os.close(lock)


class Watched(Generic[T]):
    """A private file's content, read again as soon as the file has changed. One `stat` a look.

    With `shares_looks` one look serves all requests that an event loop goes through in one round; without a running loop every
    look is its own. That is for a server, in which a request begins as a callback that is queued once the request has been
    read. What was changed before a request was sent is seen by it then as well:

    1. The first look of a round queues the forgetting of what it saw, behind all that is queued already. asyncio and uvloop
       call what is queued in the order in which it was queued, and what is queued meanwhile in the next round.
    2. A request that was read after that look is queued behind the forgetting, and looks anew.
    3. A request that was read before that look was sent before it too, and so the look saw what the request has to see.

    Not for tasks that begin within the callback that reads (asyncio's eager ones), nor for whoever changes a file and asks in
    one step of one task: neither is queued behind anything.
    """

    def __init__(self, path: Path, parsed: Callable[[Any], T], *, shares_looks: bool = False) -> None:
        self._path = path
        self._name = str(path)
        self._parsed = parsed
        self._seen: tuple[tuple[int, int, int, int], T] | None = None
        self._shares_looks = shares_looks
        self._shared: tuple[asyncio.AbstractEventLoop, T] | None = None

    def value(self) -> T:
        """The content as of now. Raises PrivateFileProblem."""
        loop = _running_loop() if self._shares_looks else None
        if loop is None:
            return self._look()
        # Its own loop's: another one's forgetting may be a long time in coming.
        shared = self._shared
        if shared is not None and shared[0] is loop:
            return shared[1]
        value = self._look()
        # In this order: a look that nobody forgets would be shared for ever.
        loop.call_soon(self._forget)
        self._shared = (loop, value)
        return value

    def _forget(self) -> None:
        self._shared = None

    def _look(self) -> T:
        try:
            now = os.stat(self._name)  # noqa: PTH116 - in every round: a Path costs as much again
        except FileNotFoundError:
            self._seen = None
            raise PrivateFileProblem(f"{self._path} does not exist") from None
        except OSError as cause:
            self._seen = None
            raise PrivateFileProblem(f"{self._path} cannot be read: {cause.strerror}") from cause
        # ctime, so that a chmod is noticed too.
        state = (now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_size)
        seen = self._seen
        if seen is None or seen[0] != state:
            seen = self._seen = (state, self._parsed(read_private_json(self._path)))
        return seen[1]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
