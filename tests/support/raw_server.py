"""A server on loopback that answers each question of a connection with bytes as a script has them, right or wrong."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.support.fault_proxy import read_message

Script: TypeAlias = "bytes | Callable[[socket.socket, bytes], None]"
"""What is sent, or what is done with connection and request. The connection stays open unless that ends it."""


@dataclass
class RawServer:
    """Where it listens, how often somebody came, and what was asked."""

    port: int
    connections: int = 0
    asked: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def whole(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """An answer as it should be."""
    named = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def last(content: bytes) -> Script:
    """Sends that, and ends the connection."""

    def send(connection: socket.socket, _: bytes) -> None:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_RDWR)

    return send


@contextmanager
def raw_server(*script: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Answers by the script in turn, over all connections, and by its last entry ever after."""
    left = list(script)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    server = RawServer(listener.getsockname()[1])
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            spoken = connection if tls is None else tls.wrap_socket(connection, server_side=True)
            connections.append(spoken)
            with spoken:
                while request := read_message(spoken):
                    server.asked.append(request)
                    entry = left.pop(0) if len(left) > 1 else left[0]
                    spoken.sendall(entry) if isinstance(entry, bytes) else entry(spoken, request)
        connection.close()

    def accept() -> None:
        while not server.ended.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                server.connections += 1
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        server.ended.set()
        accepting.join()
        listener.close()
        for connection in connections:
            # Whoever still listens on it hears that nothing more comes.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(timeout=10)
