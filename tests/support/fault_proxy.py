"""A proxy on loopback between an HTTP client and a server that loses, cuts and repeats what a test tells it to."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal[
    "none",
    # Before the effect: the server never sees it.
    "lost request",
    "reset request",
    # After the effect: the client does not see the (first) answer.
    "lost answer",
    "reset answer",
    "stalled answer",
    "truncated answer",
    "duplicated request",
]

# SO_LINGER of no seconds: closing sends RST, and what was under way is gone.
_RESET = struct.pack("ii", 1, 0)


def _ignore(_: bytes, __: bytes) -> None:
    """What happens to an answer that is not delivered when nobody asks."""


@dataclass
class FaultProxy:
    """`fault_of` says what happens to a request, by its head and body; `on_undelivered` sees the answers that are kept back."""

    url: str
    fault_of: Callable[[bytes], Fault] = lambda _: "none"
    on_undelivered: Callable[[bytes, bytes], None] = _ignore
    """Called with the request and its answer, from any thread, before the client can notice."""
    faults: list[Fault] = field(default_factory=list)
    stall_s: float = 10
    """How long a stalled answer is held before the connection ends."""


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """Forwards to `target`, one request a connection at a time."""
    parts = urlsplit(target)
    assert parts.hostname == "127.0.0.1"
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = FaultProxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
    ended = threading.Event()

    def accept() -> None:
        while not ended.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                threading.Thread(target=_serve, args=(connection, address, proxy, ended), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        ended.set()
        # Wakes the accept that waits.
        with suppress(OSError), socket.create_connection(listener.getsockname()):
            pass
        listener.close()
        thread.join(timeout=5)


def _serve(client: socket.socket, address: tuple[str, int], proxy: FaultProxy, ended: threading.Event) -> None:
    # The last connection only wakes the listener, and by then the target may be gone.
    with client, suppress(OSError), socket.create_connection(address) as server:
        while request := read_message(client):
            fault = proxy.fault_of(request)
            proxy.faults.append(fault)
            if fault.endswith("request") and fault != "duplicated request":
                _hang_up(client, fault)
                return
            server.sendall(request)
            answer = read_message(server)
            if fault == "none":
                client.sendall(answer)
                continue
            proxy.on_undelivered(request, answer)
            if fault == "duplicated request":
                server.sendall(request)
                client.sendall(read_message(server))
                continue
            if fault == "truncated answer":
                client.sendall(answer[: len(answer) // 2])
            elif fault == "stalled answer":
                ended.wait(proxy.stall_s)
            _hang_up(client, fault)
            return


def _hang_up(client: socket.socket, fault: Fault) -> None:
    """The block that holds the connection closes it."""
    if fault.startswith("reset"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def read_message(source: socket.socket) -> bytes:
    """One HTTP message with a Content-Length; empty at the end of the connection."""
    content = b""
    while b"\r\n\r\n" not in content:
        part = source.recv(65536)
        if not part:
            return b""
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        part = source.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body
