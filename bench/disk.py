"""How long the disk takes to make a small write durable: what every durable answer waits for."""

import os
import time
from pathlib import Path

from bench.medians import percentile

_PAGE = bytes(4096)


def fsync_times_ms(folder: Path, many: int = 200) -> list[float]:
    """Times of that many appends of one page, each with its fdatasync, as SQLite commits to its WAL."""
    path = folder / "fsync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    times_ms = []
    try:
        # Within its length, as in a WAL that is used again: a file that grows costs its metadata too.
        for _ in range(many):
            os.write(descriptor, _PAGE)
        os.fsync(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        for _ in range(many):
            begun_s = time.perf_counter()
            os.write(descriptor, _PAGE)
            os.fdatasync(descriptor)
            times_ms.append((time.perf_counter() - begun_s) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return times_ms


def summary(times_ms: list[float]) -> dict[str, float]:
    """Median and tail of such times."""
    return {name: percentile(times_ms, share) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))}
