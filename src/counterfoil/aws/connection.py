"""Connections to one endpoint that are kept open for the next question. It asks once, and knows nothing of what is asked.

A question has its answer in time or it has none: both opening and answering are bounded as a whole, however slowly the parts
of them trickle in. Whatever goes wrong on a connection ends it, so that no late answer is taken for that of the next question.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple, cast

from counterfoil.aws.endpoint import Endpoint

ANSWER_BYTES_MAX = 65_536
"""Several times the largest item that a table has (under 10 kB)."""
_IDLE_S_MAX = 60.0
_IDLE_MAX = 32


class NoAnswer(Exception):
    """No usable answer: whether the question had its effect is not known. It says the kind of trouble and quotes nothing."""


class Answer(NamedTuple):
    """A whole HTTP answer. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """Those to one endpoint, for any number of threads."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None, *, connect_s: float, answer_s: float) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._idle: list[_Connection] = []
        self._is_closed = False

    def answer(self, request: Callable[[], bytes]) -> Answer:
        """The answer to the bytes that `request` makes, which is called when they can be sent at once. Raises NoAnswer."""
        connection = self._kept() or _Connection(self._endpoint, self._tls, self._connect_s)
        try:
            return connection.answer(request(), self._answer_s)
        finally:
            if connection.may_be_kept and len(self._idle) < _IDLE_MAX and not self._is_closed:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Ends those that are idle, and has the others end with their answers."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> "_Connection | None":
        while self._idle:
            try:
                # The latest: those that are not needed any more grow old.
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_as_it_was_left():
                return connection
            connection.close()
        return None


class _Connection:
    """One, which answers one question at a time."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None, within_s: float) -> None:
        try:
            self._socket = _opened(endpoint, tls, time.monotonic() + within_s)
        except (OSError, ValueError) as cause:  # ValueError: a name that is none, to the resolver
            raise NoAnswer(f"no connection: {type(cause).__name__}") from cause
        self._left_at_s = time.monotonic()
        self.may_be_kept = True

    def answer(self, request: bytes, within_s: float) -> Answer:
        self.may_be_kept = False
        deadline_s = time.monotonic() + within_s
        try:
            self._socket.settimeout(within_s)
            self._socket.sendall(request)
            # Closed in any case: collected unclosed, it would complain of what it reads from being closed.
            with HTTPResponse(cast("socket.socket", _Source(self._socket, deadline_s)), method="POST") as response:
                response.begin()
                has_an_end = response.length is not None or response.chunked
                body = response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, HTTPException, ValueError) as cause:  # ValueError: a head that is none
            # Not chained: the reader's errors quote what came.
            raise NoAnswer(type(cause).__name__) from None
        if len(body) > ANSWER_BYTES_MAX:
            raise NoAnswer("it is too long")
        # One that ends where the connection ends may have been cut off there.
        if response.length or not has_an_end:
            raise NoAnswer("it was cut off")
        self._left_at_s = time.monotonic()
        self.may_be_kept = not response.will_close
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def is_as_it_was_left(self) -> bool:
        """Not for long, open, and with nothing on it that nobody has asked for. What closes a moment later is a lost answer."""
        if time.monotonic() - self._left_at_s > _IDLE_S_MAX:
            # Where it was given up on the way without a word, the question would wait for its whole time.
            return False
        try:
            self._socket.settimeout(0)
            # The socket's own look, beneath TLS, which has nothing to say between answers either.
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        self._socket.close()


class _Source(io.RawIOBase):
    """What the standard library's reader of answers reads from: the socket, until the deadline."""

    def __init__(self, source: socket.socket, deadline_s: float) -> None:
        self._socket = source
        self._deadline_s = deadline_s

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._socket.settimeout(_left_s(self._deadline_s))
        return self._socket.recv_into(buffer)


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _opened(endpoint: Endpoint, tls: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
        made = socket.socket(family, kind, protocol)
        try:
            # One that is silent leaves the others their share of the time.
            made.settimeout(_left_s(deadline_s) / (len(addresses) - number + 1))
            made.connect(address)
            return _prepared(made, endpoint, tls, deadline_s)
        except BaseException as error:
            made.close()
            if number == len(addresses) or not isinstance(error, OSError):
                raise
    raise OSError("the name has no address")


def _prepared(made: socket.socket, endpoint: Endpoint, tls: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Looked at in any case: the resolver takes the time that it likes, and a function may have been frozen meanwhile.
    made.settimeout(_left_s(deadline_s))
    return made if tls is None else tls.wrap_socket(made, server_hostname=endpoint.host)
