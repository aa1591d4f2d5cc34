"""A service that is measured beside ours has to prove that it does the same; one that does not is found out before any load."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from bench.service import Service, Unfair, bearer_calls


class Peer:
    """A one-time service, or one that leaves out what `lacks` names."""

    def __init__(self, lacks: str = "") -> None:
        self._lacks = lacks
        self._live: dict[str, Any] = {}

    def answered(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if path == "/issue":
            self._live["abc"] = body["transaction"]
            return (201, {"client_id": body["client_id"], "code": "abc"}) if self._lacks != "issue" else (500, {})
        if self._lacks == "redeem":
            return 409, {}
        bound = self._live.get(body["code"])
        if bound is None or (bound != body["transaction"] and self._lacks != "binding"):
            return 409, {}
        if self._lacks != "single use":
            del self._live[body["code"]]
        return 200, {}


@contextmanager
def serving(peer: Peer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, answer = peer.answered(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            content = json.dumps(answer, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def service(url: str, *, binds: bool = True) -> Service:
    issue, redeem = bearer_calls("issuer", "validator", "/issue", "/redeem", "code")
    return Service("peer", url, issue, redeem, [], '"code":"([%w_%-]+)"', binds=binds)


def test_a_fair_peer_is_measured() -> None:
    with serving(Peer()) as url:
        assert service(url).proved().secret_chars == 3


@pytest.mark.parametrize(
    ("lacks", "complaint"),
    [
        ("issue", "issued nothing"),
        ("redeem", "accepts nothing"),
        ("single use", "accepts twice"),
        ("binding", "accepts another transaction"),
    ],
)
def test_a_peer_that_does_less_is_found_out(lacks: str, complaint: str) -> None:
    with serving(Peer(lacks)) as url, pytest.raises(Unfair, match=complaint):
        service(url).proved()


def test_what_binds_nothing_by_design_is_not_asked_to() -> None:
    with serving(Peer("binding")) as url:
        assert service(url, binds=False).proved().issued == "abc"
