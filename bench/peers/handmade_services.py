"""Starts the hand-made services: one uvicorn worker with uvloop and httptools, and Redis beside it where it is the store."""

import hashlib
import json
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import PEERS, ROOT, SERVER_CORE, clean_environment, started
from bench.service import Service, bearer_calls

_CODE = '"code":"([%w_%-]+)"'
_PATIENCE_S = 30.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, log: Path) -> None:
    """Returns once somebody listens there. Raises RuntimeError with the log's end."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def fastapi_sqlite(folder: Path) -> Iterator[Service]:
    """FastAPI over a durable SQLite file."""
    folder.mkdir(parents=True)
    with _served(folder, "handmade_sqlite", "FastAPI + SQLite", [], PEER_DATABASE=str(folder / "codes.db")) as service:
        yield service


@contextmanager
def fastapi_redis(folder: Path) -> Iterator[Service]:
    """FastAPI over Redis, which shares the server's core, as the service's own code does."""
    folder.mkdir(parents=True)
    port, log = free_port(), folder / "redis.log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    with started(["redis-server", *options, "--appendfsync", "always"], SERVER_CORE, log=log) as process:
        wait_for_port(port, log)
        name = "FastAPI + Redis"
        with _served(folder, "handmade_redis", name, [process.pid], PEER_REDIS_PORT=str(port)) as service:
            yield service


@contextmanager
def _served(folder: Path, module: str, name: str, more_pids: list[int], **environment: str) -> Iterator[Service]:
    issuer, validator = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    roles = {
        hashlib.sha256(secret.encode()).hexdigest(): role for secret, role in ((issuer, "issuer"), (validator, "validator"))
    }
    port, log = free_port(), folder / "uvicorn.log"
    told = clean_environment(PEER_CREDENTIALS=json.dumps(roles), PYTHONPATH=str(ROOT), **environment)
    options = ["--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    command: list[str | Path] = [PEERS / "python", "-m", "uvicorn", f"bench.peers.{module}:app", *options]
    with started(command, SERVER_CORE, told, log) as process:
        wait_for_port(port, log)
        issue, redeem = bearer_calls(issuer, validator, "/codes", "/codes/redeem", "code")
        yield Service(name, f"http://127.0.0.1:{port}", issue, redeem, [process.pid, *more_pids], _CODE).proved()
