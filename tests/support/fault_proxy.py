"""A proxy on loopback between an HTTP client and a server that loses what a test tells it to lose."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["none", "lost request", "lost answer", "stalled answer"]


@dataclass
class FaultProxy:
    """`fault_of` says what happens to a request, by its head and body."""

    url: str
    fault_of: Callable[[bytes], Fault] = lambda _: "none"
    faults: list[Fault] = field(default_factory=list)


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
    with client, socket.create_connection(address) as server, suppress(OSError):
        while request := _message(client):
            fault = proxy.fault_of(request)
            proxy.faults.append(fault)
            if fault == "lost request":
                return
            server.sendall(request)
            answer = _message(server)
            if fault == "lost answer":
                return
            if fault == "stalled answer":
                ended.wait(10)
                return
            client.sendall(answer)


def _message(source: socket.socket) -> bytes:
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
        body += source.recv(65536)
    return head + b"\r\n\r\n" + body
