"""A server on a real socket that answers what a script says, for clients that must not trust it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """One answer; `dropped` hangs up without one. `made` answers from the request."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    dropped: bool = False
    made: Callable[[Asked], Any] | None = None


@dataclass
class ScriptedServer:
    """Where it listens, and what it was asked."""

    url: str
    asked: list[Asked]


@contextmanager
def scripted_server(*replies: Reply) -> Iterator[ScriptedServer]:
    """Answers the replies in turn, and the last one ever after."""
    asked: list[Asked] = []
    script = list(replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(self.path, headers, json.loads(content))
            asked.append(request)
            reply = script.pop(0) if len(script) > 1 else script[0]
            if reply.dropped:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            value = reply.made(request) if reply.made else reply.body
            body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
            self.send_response(reply.status)
            for name, text in reply.headers.items():
                self.send_header(name, text)
            if reply.status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield ScriptedServer(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
