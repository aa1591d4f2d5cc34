"""uvicorn's HTTP protocol within bounds: heads have a size and a number of headers, connections a number, and all a deadline.

The parser has no bounds of its own, and a stranger's head arrives before anybody asks who the stranger is.
"""

import asyncio
import secrets
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from counterfoil.api.http import problem
from counterfoil.entrypoints.one_write import OneWrite
from counterfoil.wire.problems import HEAD_TOO_LARGE, INVALID_REQUEST, TIMED_OUT, ProblemKind

HEAD_BYTES_MAX = 32 * 1024
HEADERS_MAX = 100
HEAD_TIMEOUT_S = 10.0
BODY_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 10.0


class _Refused(Exception):
    """Ends parsing: the head breaks a bound."""


class _Unread(list[tuple[bytes, bytes]]):
    """Where the trailers of a chunked body go: they are no headers, nobody asks for them, and nothing bounds them."""

    def append(self, header: tuple[bytes, bytes]) -> None:
        pass


_UNREAD = _Unread()
_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What is no HTTP, or too much of it, hears a problem and is hung up on."""

    def __init__(self, *uvicorns: Any, connections_max: int, **own: Any) -> None:
        super().__init__(*uvicorns, **own)
        self._connections_max = connections_max
        self._in_head = True
        self._head_bytes = 0
        self._head_bytes_at_most = 0
        self._timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._refusal: ProblemKind = INVALID_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(OneWrite(transport, self.loop))
        if len(self.connections) > self._connections_max:
            transport.close()
            return
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_timer()
        self._end_answer_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes_at_most = self._head_bytes + len(data)
        cycle = self.cycle
        begins_in_body = not self._in_head and cycle.more_body
        super().data_received(data)
        # A request that came whole in a small piece costs nothing here; every other one is measured and timed.
        if self._in_head:
            # Behind the end of an earlier request, most of the piece may be that one's.
            self._go_on_in_head(0 if begins_in_body or self.cycle is not cycle else len(data))
        elif self.cycle.more_body:
            if self._timer is None:
                self._time_body()
        elif self.cycle.response_complete and self.timeout_keep_alive_task is None:
            # An empty line after an answer: it has ended the wait for the next request, and begins none.
            if self._timer is None and not self.transport.is_closing():
                self._time_head()
        elif self._timer is not None:
            self._end_timer()

    def pause_writing(self) -> None:
        """What the transport calls when answers are not read; whoever reads none for long is hung up on."""
        super().pause_writing()
        self._answer_timer = self.loop.call_later(ANSWER_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._end_answer_timer()
        super().resume_writing()

    def on_message_begin(self) -> None:
        if not self._in_head and self._timer is not None:
            # The last body's, which has come.
            self._end_timer()
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > HEADERS_MAX or (self._head_bytes_at_most > HEAD_BYTES_MAX and self._size() > HEAD_BYTES_MAX):
            self._refusal = HEAD_TOO_LARGE
            raise _Refused
        if self.parser.should_upgrade() and any(name in _OF_A_BODY for name, _ in self.headers):
            # The parser would skip the body, and a rest of it that comes later would be read as a request of its own.
            raise _Refused
        super().on_headers_complete()
        self.headers = _UNREAD
        self._in_head = False
        if self._timer is not None:
            self._end_timer()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: some clients offer HTTP/2 so with every request, and are answered as if they had not (RFC 9110, 7.8)."""

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for whatever its parser does not take; the parser's words stay here."""
        self._hang_up(self._refusal)

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _go_on_in_head(self, more_bytes: int) -> None:
        if self.transport.is_closing():
            return
        self._head_bytes += more_bytes
        if self._head_bytes > HEAD_BYTES_MAX:
            self._hang_up(HEAD_TOO_LARGE)
        elif self._timer is None:
            self._time_head()

    def _time_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._hang_up, TIMED_OUT)

    def _time_body(self) -> None:
        self._timer = self.loop.call_later(BODY_TIMEOUT_S, self._give_up_body)

    def _give_up_body(self) -> None:
        if self.pipeline:
            # An earlier request is not answered yet, and until then nothing is read: the caller is not to blame.
            self._time_body()
        elif not self.cycle.response_started:
            # The application hears that the caller is gone: nothing of the request is carried out.
            self._hang_up(TIMED_OUT)

    def _end_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _owes_an_answer(self) -> bool:
        """Whether an earlier request than the one that is being read has not been answered."""
        is_first = self.cycle is None  # uvicorn says that it never is
        return bool(self.pipeline) or (self._in_head and not is_first and not self.cycle.response_complete)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self, kind: ProblemKind) -> None:
        self._end_timer()
        if self._owes_an_answer():
            # An answer now would be taken for the earlier request's. It is lost, and whoever asked asks again.
            self.transport.close()
            return
        request_id = f"req_{secrets.token_hex(8)}"
        response = problem(kind, request_id)
        headers = (
            *response.headers,
            (b"request-id", request_id.encode()),
            (b"content-length", str(len(response.body)).encode()),
            (b"connection", b"close"),
        )
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[kind.status] + lines + b"\r\n" + response.body)
        self.transport.close()
