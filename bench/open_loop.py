"""Open-loop load: requests at a constant rate, each timed from when it should have left, so that no queue is hidden.

    python -m bench.open_loop HOST PORT --template FILE --secrets FILE --rate N --seconds N --connections N

It spins on a core of its own. A request whose connections are all busy waits here, and its clock runs. It prints JSON.
"""

import argparse
import asyncio
import gc
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from bench.medians import percentile
from bench.wrk import CLIENTS

_GRACE_S = 10.0
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request on it at a time."""

    def __init__(self, done: Callable[["_Connection", bool], None]) -> None:
        self._done = done
        self._buffer = b""
        self.due_s = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send(self, request: bytes, due_s: float) -> None:
        """Puts one request on the wire, which was due at `due_s`."""
        self.due_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end)
        if length is None or len(self._buffer) < end + 4 + int(length[1]):
            return
        is_success = self._buffer[9:10] == b"2"
        self._buffer = b""
        self._done(self, is_success)

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()


class OpenLoop:
    """One run: so many requests a second for so long, over so many connections."""

    def __init__(self, requests: Iterator[bytes], rate: float, seconds: float) -> None:
        self._requests = requests
        self._interval_s = 1 / rate
        self._many = int(rate * seconds)
        self._waiting: deque[float] = deque()
        self._free: list[_Connection] = []
        self.latencies_ms: list[float] = []
        self.late_ms: list[float] = []
        """How long after its time each request left although a connection was free: the generator's own error."""
        self.wrong = 0

    async def run(self, host: str, port: int, connections: int) -> None:
        """Sends everything, and waits for the answers; what has none in the end is counted as wrong."""
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(lambda: _Connection(self._finished), host, port))[1] for _ in range(connections)
        ]
        self._free = list(opened)
        begun_s, sent = time.perf_counter(), 0
        while sent < self._many:
            now_s = time.perf_counter()
            due = min(self._many, int((now_s - begun_s) / self._interval_s) + 1)
            for number in range(sent, due):
                due_s = begun_s + number * self._interval_s
                if self._free:
                    self.late_ms.append((now_s - due_s) * 1000)
                    self._free.pop().send(next(self._requests), due_s)
                else:
                    self._waiting.append(due_s)
            sent = due
            # Spinning: a timer would add its own lateness to every request.
            await asyncio.sleep(0)
        deadline_s = time.perf_counter() + _GRACE_S
        while len(self.latencies_ms) < self._many and time.perf_counter() < deadline_s:  # noqa: ASYNC110 - spins anyway
            await asyncio.sleep(0.01)
        self.wrong += self._many - len(self.latencies_ms)
        for connection in opened:
            connection.close()

    def _finished(self, connection: _Connection, is_success: bool) -> None:
        self.latencies_ms.append((time.perf_counter() - connection.due_s) * 1000)
        self.wrong += not is_success
        if self._waiting:
            connection.send(next(self._requests), self._waiting.popleft())
        else:
            self._free.append(connection)


def filled(template: bytes, lines: list[bytes]) -> Iterator[bytes]:
    """The template's requests, with the secrets of these lines where there are any."""
    run = secrets.token_hex(3).encode()
    number = 0
    while True:
        client, _, secret = lines[number].partition(b" ") if lines else (b"c%04d" % (number % CLIENTS), b"", b"")
        request = template.replace(b"@CLIENT@", client).replace(b"@SECRET@", secret)
        number += 1
        yield request.replace(b"@ID@", b"%s%010d" % (run, number))


def main() -> int:
    """Prints percentiles in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m bench.open_loop")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--secrets", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    asked = parser.parse_args()
    lines = asked.secrets.read_bytes().splitlines() if asked.secrets else []
    if asked.secrets and len(lines) < asked.rate * asked.seconds:
        parser.error(f"{len(lines)} secrets are too few")
    run = OpenLoop(filled(asked.template.read_bytes(), lines), asked.rate, asked.seconds)
    gc.disable()  # its pauses would be counted as the service's
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(run.run(asked.host, asked.port, asked.connections))
    found = {f"p{share * 100:g}_ms": percentile(run.latencies_ms, share) for share in (0.5, 0.99, 0.999)}
    late_ms = percentile(run.late_ms, 0.99) if run.late_ms else 0.0
    print(json.dumps({"requests": len(run.latencies_ms), "wrong": run.wrong, "generator_late_p99_ms": late_ms, **found}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
