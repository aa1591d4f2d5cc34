"""A question to AWS on the wire: kept connections, bounds on the whole of it, and answers that are none.

Against a real server on loopback that says what a script has: what a client must not trust.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from counterfoil.aws import connection
from counterfoil.aws.client import AwsClient, tls_context
from counterfoil.aws.connection import ANSWER_BYTES_MAX, NoAnswer
from counterfoil.aws.endpoint import Endpoint
from counterfoil.aws.json_protocol import KMS, Question
from counterfoil.model.invalid import Invalid
from tests.support.aws_client import ANYTHING, CREDENTIALS, REGION, made_client
from tests.support.certificate import made_certificate
from tests.support.raw_server import RawServer, last, raw_server, whole

Made = Callable[..., AwsClient]


@pytest.fixture
def client() -> Iterator[Made]:
    """Makes clients that are closed at the end."""
    made: list[AwsClient] = []

    def make(server: RawServer, **options: Any) -> AwsClient:
        made.append(made_client(server.port, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _asked(client: AwsClient, what: str = "") -> bytes:
    return client.ask(Question("Decrypt", lambda: {"what": what}, bytes), CREDENTIALS)


def _wait_for(event: threading.Event) -> None:
    assert event.wait(10)
    # What was done on loopback has arrived.
    time.sleep(0.02)


# -- connections are kept, and given up in time --


def test_a_connection_is_kept_for_the_next_question(client: Made) -> None:
    with raw_server(whole(b"{}")) as server:
        one = client(server)
        assert [_asked(one) for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 1


def test_one_that_was_closed_meanwhile_is_opened_again_and_nobody_notices(client: Made) -> None:
    closed = threading.Event()

    def answer_and_close(spoken: socket.socket, _: bytes) -> None:
        spoken.sendall(whole(b"{}"))
        spoken.shutdown(socket.SHUT_RDWR)
        closed.set()

    with raw_server(answer_and_close, whole(b"{}")) as server:
        one = client(server)
        _asked(one)
        _wait_for(closed)
        assert _asked(one) == b"{}"
        assert (server.connections, len(server.asked)) == (2, 2)


def test_one_on_which_something_came_unasked_is_given_up(client: Made) -> None:
    said = threading.Event()

    def answer_twice(spoken: socket.socket, _: bytes) -> None:
        spoken.sendall(whole(b'{"first": 1}'))
        time.sleep(0.05)
        spoken.sendall(whole(b'{"of somebody else": 1}'))
        said.set()

    with raw_server(answer_twice, whole(b'{"second": 1}')) as server:
        one = client(server)
        assert _asked(one) == b'{"first": 1}'
        _wait_for(said)
        assert _asked(one) == b'{"second": 1}'
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (whole(b"{}", connection="close"), 2),
        (whole(b"{}").replace(b"HTTP/1.1", b"HTTP/1.0"), 2),
        (whole(b"{}", connection="keep-alive"), 1),
    ],
)
def test_one_that_the_other_end_will_not_keep_is_not_kept(client: Made, answer: bytes, connections: int) -> None:
    with raw_server(answer) as server:
        one = client(server)
        for _ in range(2):
            _asked(one)
        assert server.connections == connections


def test_one_that_lay_idle_for_long_is_given_up(client: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(whole(b"{}")) as server:
        one = client(server)
        _asked(one)
        monkeypatch.setattr(connection, "_IDLE_S_MAX", 0.0)
        _asked(one)
        assert server.connections == 2


def test_a_late_answer_is_never_taken_for_that_of_the_next_question(client: Made) -> None:
    late = threading.Event()

    def answer_late(spoken: socket.socket, _: bytes) -> None:
        time.sleep(0.3)
        try:
            spoken.sendall(whole(b'{"late": 1}'))
        finally:
            late.set()

    with raw_server(answer_late, whole(b'{"own": 1}')) as server:
        one = client(server, answer_s=0.1)
        with pytest.raises(NoAnswer, match="TimeoutError"):
            _asked(one)
        _wait_for(late)
        assert _asked(one) == b'{"own": 1}'


def test_many_threads_each_hear_their_own_answer(client: Made) -> None:
    def echo(spoken: socket.socket, request: bytes) -> None:
        spoken.sendall(whole(request.partition(b"\r\n\r\n")[2]))

    with raw_server(echo) as server:
        one, wrong = client(server), []

        def ask(thread: int) -> None:
            for number in range(30):
                what = f"{thread} {number}"
                if _asked(one, what) != f'{{"what":"{what}"}}'.encode():
                    wrong.append(what)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (wrong, len(server.asked)) == ([], 240)
        assert server.connections <= 8


def test_a_closed_client_keeps_nothing_open(client: Made) -> None:
    with raw_server(whole(b"{}")) as server:
        one = client(server)
        _asked(one)
        one.close()
        for _ in range(2):
            _asked(one)
        assert server.connections == 3


# -- bounds --


def test_an_answer_that_trickles_is_given_up_as_a_whole(client: Made) -> None:
    """Each byte comes in time; all of them would take a minute."""

    def trickle(spoken: socket.socket, _: bytes) -> None:
        for byte in whole(b"{}" * 600):
            spoken.sendall(bytes([byte]))
            if server.ended.wait(0.05):
                return

    with raw_server(trickle) as server:
        one = client(server, answer_s=0.3)
        began_s = time.monotonic()
        with pytest.raises(NoAnswer, match="TimeoutError"):
            _asked(one)
        assert time.monotonic() - began_s < 10


def test_a_handshake_that_does_not_end_is_given_up(client: Made) -> None:
    with raw_server(whole(b"{}")) as server:  # which speaks no TLS, and waits for more
        one = client(server, tls=True, connect_s=0.3)
        with pytest.raises(NoAnswer, match="no connection"):
            _asked(one)
        assert server.asked == []


def test_nothing_is_sent_after_a_resolver_that_took_its_time(client: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def slow(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.3)
        return resolve(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with raw_server(whole(b"{}")) as server:
        with pytest.raises(NoAnswer, match="TimeoutError"):
            _asked(client(server, connect_s=0.2))
        assert server.asked == []
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert _asked(client(server)) == b"{}"


def test_nothing_is_sent_on_a_connection_that_came_too_late(client: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a function was frozen while it connected."""

    class Frozen(socket.socket):
        def connect(self, address: Any) -> None:
            super().connect(address)
            time.sleep(0.3)

    with raw_server(whole(b"{}")) as server:
        monkeypatch.setattr(socket, "socket", Frozen)
        with pytest.raises(NoAnswer, match="TimeoutError"):
            _asked(client(server, connect_s=0.2))
        assert (server.connections, server.asked) == (1, [])


def test_nothing_is_sent_after_the_last_moment(client: Made) -> None:
    with raw_server(whole(b"{}")) as server:
        one = client(server)
        with pytest.raises(NoAnswer, match="sent in time"):
            one.ask(ANYTHING, CREDENTIALS, send_by_s=time.monotonic() - 0.001)
        assert server.asked == []
        assert one.ask(ANYTHING, CREDENTIALS, send_by_s=time.monotonic() + 5) == b"{}"


def test_what_is_asked_is_put_together_once_it_can_be_sent(client: Made) -> None:
    made: list[int] = []

    def arguments() -> dict[str, int]:
        made.append(server.connections)
        return {}

    with raw_server(whole(b"{}")) as server:
        client(server).ask(Question("Decrypt", arguments, bytes), CREDENTIALS)
    with pytest.raises(NoAnswer, match="no connection"):
        made_client(1).ask(Question("Decrypt", arguments, bytes), CREDENTIALS)
    assert len(made) == 1


def test_an_address_that_refuses_leaves_the_next_one(client: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(whole(b"{}")) as server:
        families = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (1, server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: families)
        assert _asked(client(server)) == b"{}"
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
        with pytest.raises(NoAnswer, match="no connection"):
            _asked(client(server))


# -- answers that are none --

GOOD = whole(b'{"a": "canary"}')


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n",
        b"canary\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 canary OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: canary\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ncanary\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: canary\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        whole(b"x" * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=range(13),
)
def test_what_is_no_whole_answer_is_none_and_is_not_quoted(client: Made, sent: bytes) -> None:
    with raw_server(last(sent), GOOD) as server:
        one = client(server)
        with pytest.raises(NoAnswer) as caught:
            _asked(one)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        # And it does no harm to the next.
        assert _asked(one) == b'{"a": "canary"}'


def test_an_answer_that_is_cut_off_anywhere_is_none(client: Made) -> None:
    with raw_server(*(last(GOOD[:length]) for length in range(len(GOOD))), GOOD) as server:
        one = client(server)
        for _ in GOOD:
            with pytest.raises(NoAnswer):
                _asked(one)
        assert _asked(one) == b'{"a": "canary"}'


@pytest.mark.parametrize(
    "sent",
    [
        whole(b"x" * ANSWER_BYTES_MAX),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"{}"),
    ],
)
def test_what_is_a_whole_answer_is_one(client: Made, sent: bytes) -> None:
    with raw_server(sent) as server:
        one = client(server)
        assert len(_asked(one)) in (2, ANSWER_BYTES_MAX)


def test_a_connection_that_is_reset_is_no_answer(client: Made) -> None:
    def reset(spoken: socket.socket, _: bytes) -> None:
        spoken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        spoken.close()

    with raw_server(reset) as server, pytest.raises(NoAnswer, match=r"ConnectionResetError|RemoteDisconnected"):
        _asked(client(server))


# -- TLS --


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that is its own authority, and a server's side of TLS with it."""
    path, key = made_certificate(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(path, key)
    return path, server_side


def test_the_authorities_of_a_file_are_trusted(client: Made, certificate: tuple[Path, ssl.SSLContext]) -> None:
    path, server_side = certificate
    with raw_server(whole(b"{}"), tls=server_side) as server:
        one = client(server, tls=True, authorities=str(path))
        assert [_asked(one) for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 1


def test_a_kept_connection_under_tls_is_looked_at_too(client: Made, certificate: tuple[Path, ssl.SSLContext]) -> None:
    path, server_side = certificate
    closed = threading.Event()

    def answer_and_close(spoken: socket.socket, _: bytes) -> None:
        spoken.sendall(whole(b"{}"))
        spoken.shutdown(socket.SHUT_RDWR)
        closed.set()

    with raw_server(answer_and_close, whole(b"{}"), tls=server_side) as server:
        one = client(server, tls=True, authorities=str(path))
        _asked(one)
        _wait_for(closed)
        assert _asked(one) == b"{}"
        assert server.connections == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_unknown_authority_or_another_name_is_not_spoken_to(
    client: Made, certificate: tuple[Path, ssl.SSLContext], host: str
) -> None:
    path, server_side = certificate
    with raw_server(whole(b"{}"), tls=server_side) as server:
        known = str(path) if host == "localhost" else None
        endpoint = Endpoint(host, server.port, is_tls=True)
        one = AwsClient(KMS, REGION, endpoint, authorities=known, credentials=lambda: CREDENTIALS)
        with pytest.raises(NoAnswer, match="SSLCertVerificationError"):
            _asked(one)
        assert server.asked == []


def test_the_machines_authorities_are_the_usual_ones() -> None:
    context = tls_context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("content", [None, "", "canary"])
def test_a_file_of_authorities_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "canary.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Invalid, match="AWS_CA_BUNDLE: must name a file") as caught:
        tls_context(str(file))
    assert "canary" not in str(caught.value)
