"""Bad input over real sockets: a 4xx problem that names the rule, never a 500, never a changed record."""

import asyncio
import json
import resource
import sqlite3
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from counterfoil.entrypoints import bounded_http
from counterfoil.entrypoints.asgi import AsgiShell
from counterfoil.entrypoints.bounded_http import BoundedProtocol
from counterfoil.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.load import Caller, Connection, Got, connections
from tests.support.parts import Parts, made_parts
from tests.support.service import Deployment, Running, made_deployment

GOOD = {"client_id": "1234", "context": {"device_id": "d-9"}, "transaction": {"amount": "10.00"}}


class Wire:
    """One running service, and one genuine passcode whose record must not change."""

    def __init__(self, deployment: Deployment, running: Running, passcode: str) -> None:
        self.deployment = deployment
        self.running = running
        self.passcode = passcode

    def rows(self) -> list[Any]:
        """All that is stored."""
        # A reader of its own: SQLite's files are the interface here.
        connection = sqlite3.connect(f"file:{self.deployment.folder / 'counterfoil.db'}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT * FROM counterfoils").fetchall()
        finally:
            connection.close()

    async def post(self, connection: Connection, path: str, body: bytes, **headers: str) -> Got:
        """A body as it is, from the credential that the route is for."""
        credential = self.deployment.issuer if path == "/v1/passcodes" else self.deployment.validator
        sent = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        return await connection.send("POST", path, body, {**sent, **headers})


@pytest_asyncio.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    deployment = made_deployment(tmp_path / "data")
    with deployment.serving() as running:
        async with connections(running.url, 1) as (connection,):
            got = await Caller(connection, deployment.issuer).issue(
                context=GOOD["context"], transaction=GOOD["transaction"], lifetime_s=600
            )
        yield Wire(deployment, running, got.json["passcode"])


def _nested(depth: int) -> bytes:
    return b'{"client_id":"1234","transaction":' + b"[" * depth + b"]" * depth + b"}"


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "must be JSON"),
    (b"{", "must be JSON"),
    (b'{"client_id": "1234"', "must be JSON"),
    (b"client_id=1234", "must be JSON"),
    (b"[]", "object"),
    (b'"1234"', "object"),
    (b'{"client_id": 1234}', "expected `str`"),
    (b'{"client_id": ["1234"]}', "expected `str`"),
    (b'{"client_id": "1234", "context": "x"}', "expected `object`"),
    (b'{"client_id": "1234", "context": {"a": 1}}', "expected `str`"),
    (b'{"client_id": "1234", "lifetime_s": "60"}', "expected `int`"),
    (b'{"client_id": "1234", "lifetime_s": 601}', "must be 1 to 600"),
    (b'{"client_id": "1234", "client-id": "1234"}', "not known"),
    (b'{"client_id": "1234", "client_id": "1234"}', "no name twice"),
    (b'{"client_id": "1234", "transaction": {"a": 1, "a": 2}}', "no name twice"),
    (b'{"client_id": "' + b"x" * 129 + b'"}', "1 to 128"),
    (b'{"client_id": ""}', "1 to 128"),
    (b'{"client_id": "12\x0034"}', "must be JSON"),
    (b'{"client_id": "12\\u000034"}', "no NUL"),
    (b'{"client_id": "1234", "transaction": "\\u0000"}', "no NUL"),
    (b'{"client_id": "\\ud800"}', "no lone surrogate"),
    (b'{"client_id": "1234", "transaction": ["\\udfff"]}', "no lone surrogate"),
    (b'{"client_id": "\xff"}', "UTF-8"),
    (b'{"client_id": "1234", "transaction": 12345678901234567890}', "double"),
    (b'{"client_id": "1234", "transaction": 0.12345678901234567891}', "double"),
    (b'{"client_id": "1234", "transaction": 1e999}', "double"),
    (b'{"client_id": "1234", "transaction": NaN}', "must be JSON"),
    (b'{"client_id": "1234", "context": {"a": "' + b"x" * 513 + b'"}}', "at most 512"),
    (b'{"client_id": "1234", "context": {"' + b"x" * 65 + b'": ""}}', "1 to 64"),
    (json.dumps({"client_id": "1234", "context": {str(each): "" for each in range(17)}}).encode(), "at most 16"),
    (_nested(32), "levels deep"),
    (_nested(20_000), "levels deep"),
    (b'{"client_id": "1234", "sealed_context": "cfx1_AAAA"}', "sealed context"),
    (b'{"client_id": "1234", "transaction_digest": "abc"}', "transaction_digest"),
]


async def test_a_bad_body_is_a_400_that_names_the_rule_and_stores_nothing(wire: Wire) -> None:
    before = wire.rows()
    async with connections(wire.running.url, 1) as (connection,):
        for body, rule in BAD_BODIES:
            got = await wire.post(connection, "/v1/passcodes", body)
            assert got.status == 400, (body[:60], got)
            assert rule in got.json["detail"], (body[:60], got.json)
    assert wire.rows() == before


async def test_a_bad_body_of_a_validation_changes_no_record(wire: Wire) -> None:
    before = wire.rows()
    genuine = wire.passcode.encode()
    async with connections(wire.running.url, 1) as (connection,):
        for body in (
            b'{"client_id":"1234","passcode":"%s","passcode":"%s"}' % (genuine, genuine),
            b'{"client_id":"1234","passcode":"%s","context":{"device_id":"d-9","device_id":"d-9"}}' % genuine,
            b'{"client_id":"1234","passcode":["%s"]}' % genuine,
            b'{"client_id":"1234","passcode":null}',
            b'{"client_id":"1234","passcode":"%s","unknown":1}' % genuine,
            b'{"client_id":"1234","passcode":"%s","timestamp":"1"}' % genuine,
            b'{"client_id":"1234","passcode":"%s","transaction":1e999}' % genuine,
            b'{"client_id":"1234","passcode":"%s"' % genuine,
        ):
            got = await wire.post(connection, "/v1/passcodes/validate", body)
            assert got.status == 400, body
            assert genuine not in got.body
    assert wire.rows() == before


async def test_every_misspelled_passcode_is_a_refusal_and_changes_no_record(wire: Wire) -> None:
    before = wire.rows()
    text = wire.passcode
    changed = [
        text[:at] + other + text[at + 1 :]
        for at in range(len(text))
        for other in ("A", "b", "7", "-", "_", "=", " ", "é", "\u0430")
        if text[at] != other
    ]
    changed += [text + "=", text + " ", " " + text, text[:-1], text[1:], text.upper(), text.lower(), text.swapcase()]
    changed += ["", "cf1_", "x" * 10_000, text + text, text + "\n", "\u00a0" + text]
    assert all(each != text for each in changed)
    async with connections(wire.running.url, 1) as (connection,):
        for passcode in changed:
            body = json.dumps({**GOOD, "passcode": passcode}).encode()
            got = await wire.post(connection, "/v1/passcodes/validate", body)
            assert got.status == 409, (passcode, got)
            assert got.json["reason"] in ("malformed_passcode", "unknown_passcode", "key_retired")
        assert wire.rows() == before
        got = await wire.post(connection, "/v1/passcodes/validate", json.dumps({**GOOD, "passcode": text}).encode())
        assert got.status == 200


async def test_a_body_of_a_megabyte_is_refused_before_it_is_read(wire: Wire) -> None:
    async with connections(wire.running.url, 1) as (connection,):
        writer = connection._writer
        head = f"POST /v1/passcodes HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {wire.deployment.issuer}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000)
        got = await connection.receive()
    assert (got.status, got.json["code"]) == (413, "body_too_large")


async def test_a_chunked_body_is_bounded_as_well(wire: Wire) -> None:
    async with connections(wire.running.url, 1) as (connection,):
        writer = connection._writer
        writer.write(b"POST /v1/passcodes HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        # The last one crosses the bound: whatever came after it could meet a closed connection before the answer is read.
        writer.write((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 17)
        assert (await connection.receive()).status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/passcodes", 405),
        ("PUT", "/v1/passcodes/validate", 405),
        ("TRACE", "/v1/passcodes", 405),
        ("POST", "/nowhere", 404),
    ],
)
async def test_a_wrong_method_or_path_is_a_problem(wire: Wire, method: str, path: str, status: int) -> None:
    async with connections(wire.running.url, 1) as (connection,):
        got = await connection.send(method, path, b"", {})
    assert (got.status, got.json["status"]) == (status, status)


async def test_a_header_given_twice_is_refused(wire: Wire) -> None:
    body = json.dumps({**GOOD, "passcode": wire.passcode}).encode()
    before = wire.rows()
    async with connections(wire.running.url, 1) as (connection,):
        twice = {"Idempotency-Key": "a\r\nIdempotency-Key: b"}
        got = await wire.post(connection, "/v1/passcodes/validate", body, **twice)
        assert got.status == 400
        credentials = {"Authorization": f"Bearer {wire.deployment.validator}\r\nAuthorization: Bearer x"}
        assert (await wire.post(connection, "/v1/passcodes/validate", body, **credentials)).status == 401
    assert wire.rows() == before


async def test_every_answer_has_a_request_id_of_its_own(wire: Wire) -> None:
    async with connections(wire.running.url, 1) as (connection,):
        ids = [(await connection.send("GET", "/nowhere", b"", {})).json["request_id"] for _ in range(20)]
    assert len(set(ids)) == 20
    assert set("".join(ids)) <= set(string.ascii_lowercase + string.digits + "_")


HEAD = b"GET /healthz HTTP/1.1\r\nHost: t\r\n"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x: v\r\n" * 101 + b"\r\n",
        HEAD + b"x: v\r\n" * 200_000,
        HEAD + b"x-a: " + b"v" * 40_000,
        HEAD + b"x-a: " + b"v" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000,
    ],
    ids=["101 headers", "200,000 headers", "one long header", "one long header, whole", "a long path"],
)
async def test_a_head_that_is_too_large_is_refused_and_holds_nobody_up(wire: Wire, head: bytes) -> None:
    async with connections(wire.running.url, 2) as (stranger, other):
        stranger._writer.write(head)
        got = await stranger.receive()
        assert (got.status, got.json["code"]) == (431, "head_too_large")
        assert (await other.send("GET", "/healthz", b"", {})).status == 200


async def test_what_is_no_http_is_a_problem_with_a_request_id(wire: Wire) -> None:
    for noise in (b"\x16\x03\x01\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"):
        async with connections(wire.running.url, 1) as (connection,):
            connection._writer.write(noise)
            got = await connection.receive()
        assert (got.status, got.json["code"]) == (400, "invalid_request")
        assert got.json["request_id"].startswith("req_")


@asynccontextmanager
async def _bounded(parts: Parts, connections_max: int) -> AsyncIterator[str]:
    """The server's protocol and shell in this process; gives the URL."""
    protocol = partial(BoundedProtocol, connections_max=connections_max)
    shell = AsgiShell(parts.service.api, parts.store.close)
    server = uvicorn.Server(uvicorn.Config(shell, port=0, log_config=None, lifespan="on", http=protocol))  # type: ignore[arg-type]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost"])
async def test_a_head_that_does_not_come_is_given_up(tmp_path: Path, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIMEOUT_S", 1.0)
    async with _bounded(made_parts(tmp_path), 2) as url:
        async with connections(url, 2) as (connection, _):
            connection._writer.write(sent)
            got = await connection.receive()
            assert (got.status, got.json["code"]) == (408, "request_timeout")
            # On a connection that has been of use, the next head is timed as well.
        async with connections(url, 1) as (connection,):
            assert (await connection.send("GET", "/healthz", b"", {})).status == 200
            connection._writer.write(b"GET /healthz")
            assert (await connection.receive()).status == 408
        async with connections(url, 3) as (first, _, third):
            # One connection more than are served is hung up on; the others go on.
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await third.send("GET", "/healthz", b"", {})
            assert (await first.send("GET", "/healthz", b"", {})).status == 200


async def test_strangers_who_hold_connections_open_do_not_stop_the_store(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    with deployment.serving() as running:
        limit = 100
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        async with connections(running.url, 1) as (connection,):
            issuer = Caller(connection, deployment.issuer)
            passcode = (await issuer.issue(lifetime_s=600)).json["passcode"]
            strangers = [await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2])) for _ in range(limit)]
            await asyncio.sleep(0.2)
            validator = Caller(connection, deployment.validator)
            heard = await validator.validate(passcode, "mine")
            for _, writer in strangers:
                writer.close()
            async with asyncio.timeout(60):
                while heard.status == 503:
                    await asyncio.sleep(0.5)
                    heard = await validator.validate(passcode, "mine")
            assert heard.status == 200
        assert running.process.poll() is None


async def test_a_health_check_may_ask_with_head(wire: Wire) -> None:
    async with connections(wire.running.url, 1) as (connection,):
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/v1/passcodes", 405), ("/validateOtp", 404)):
            connection._writer.write(f"HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            head = await connection._reader.readuntil(b"\r\n\r\n")
            assert int(head.split(b" ", 2)[1]) == status


def _issuing(parts: Parts, body: bytes, framed: str = "Content-Length: {}") -> bytes:
    """The head of a request for a passcode with that body."""
    length = framed.format(len(body))
    credential = parts.secrets["issuer"]
    head = f"POST /v1/passcodes HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {credential}\r\n{length}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n"


BODY = b'{"client_id":"1234"}'


@pytest.mark.parametrize("sent", [b"", BODY[:1], BODY[:-1]])
@pytest.mark.parametrize("framed", ["Content-Length: {}", "Transfer-Encoding: chunked"])
async def test_a_slow_body_is_given_up_and_nothing_of_it_carried_out(
    tmp_path: Path, sent: bytes, framed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "BODY_TIMEOUT_S", 0.1)
    clock = Clock()
    store = _Counting(clock)
    parts = made_parts(tmp_path, store=store, clock=clock)
    if "chunked" in framed and sent:
        sent = b"%x\r\n%b\r\n" % (len(sent), sent)
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        connection._writer.write(_issuing(parts, BODY, framed) + sent)
        async with asyncio.timeout(60):
            got = await connection.receive()
        assert (got.status, got.json["code"]) == (408, "request_timeout")
        assert await connection._reader.read() == b""
        connection._writer.write(BODY[-1:] if "chunked" not in framed else b"1\r\n}\r\n0\r\n\r\n")
    assert store.inserted == 0


async def test_a_body_that_trickles_in_is_given_up_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "BODY_TIMEOUT_S", 0.2)
    parts = made_parts(tmp_path)

    async def trickle(connection: Connection) -> None:
        with suppress(ConnectionError):
            for number in range(len(BODY)):
                connection._writer.write(BODY[number : number + 1])
                await asyncio.sleep(0.05)

    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        connection._writer.write(_issuing(parts, BODY))
        trickling = asyncio.create_task(trickle(connection))
        assert (await connection.receive()).status == 408
        trickling.cancel()


async def test_a_body_in_pieces_is_in_time_until_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "BODY_TIMEOUT_S", 2.0)
    parts = made_parts(tmp_path)
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        for _ in range(2):
            for piece in (_issuing(parts, BODY), BODY[:3], BODY[3:]):
                connection._writer.write(piece)
                await asyncio.sleep(0.05)
            assert (await connection.receive()).status == 201
        # Once it has come, its deadline is nobody's any more.
        await asyncio.sleep(2.1)
        assert (await connection.send("GET", "/healthz", b"", {})).status == 200


async def test_a_head_that_comes_with_the_end_of_a_late_body_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "BODY_TIMEOUT_S", 10.0)
    monkeypatch.setattr(bounded_http, "HEAD_TIMEOUT_S", 1.0)
    parts = made_parts(tmp_path)
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        connection._writer.write(_issuing(parts, BODY))
        await asyncio.sleep(0.05)
        connection._writer.write(BODY + b"GET /healthz")
        async with asyncio.timeout(60):
            assert [(await connection.receive()).status for _ in range(2)] == [201, 408]


async def test_a_body_behind_a_request_that_takes_its_time_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "BODY_TIMEOUT_S", 0.1)
    clock = Clock()
    store = _Counting(clock, pause_s=0.5)
    parts = made_parts(tmp_path, store=store, clock=clock)
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        connection._writer.write(_issuing(parts, BODY) + BODY + _issuing(parts, BODY) + BODY[:3])
        await asyncio.sleep(0.4)
        connection._writer.write(BODY[3:])
        assert [(await connection.receive()).status for _ in range(2)] == [201, 201]
        # When it is its turn and it still does not come, it is given up.
        connection._writer.write(_issuing(parts, BODY) + BODY + _issuing(parts, BODY) + BODY[:3])
        assert [(await connection.receive()).status for _ in range(2)] == [201, 408]
    assert store.inserted == 3


class _Counting(MemoryStore):
    """Counts what it keeps, and takes its time about it."""

    def __init__(self, clock: Clock, pause_s: float = 0.0) -> None:
        super().__init__(clock)
        self.inserted = 0
        self._pause_s = pause_s

    async def insert(self, counterfoil: Any, limits: Any) -> Any:
        await asyncio.sleep(self._pause_s)
        inserted = await super().insert(counterfoil, limits)
        self.inserted += inserted == "stored"
        return inserted


async def test_a_caller_that_goes_away_leaves_nothing_behind(wire: Wire) -> None:
    before = wire.rows()
    for _ in range(20):
        async with connections(wire.running.url, 1) as (connection,):
            connection._writer.write(b"POST /v1/passcodes HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n{")
            await connection._writer.drain()
    async with connections(wire.running.url, 1) as (connection,):
        assert (await connection.send("GET", "/readyz", b"", {})).status == 200
    assert wire.rows() == before


async def test_what_stands_behind_a_chunked_body_is_no_header(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)
    credential = f"Authorization: Bearer {parts.secrets['issuer']}\r\n".encode()
    head = _issuing(parts, BODY, "Transfer-Encoding: chunked").replace(credential, b"")
    trailers = b"".join(b"x-%d: v\r\n" % number for number in range(20_000))
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        for behind in (credential, trailers + credential):
            connection._writer.write(head + b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY) + behind + b"\r\n")
            assert (await connection.receive()).status == 401


async def test_a_body_behind_an_upgrade_is_refused_and_never_read_as_a_request(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    for body in (BODY, b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"):
        async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
            connection._writer.write(_issuing(parts, body)[:-2] + upgrade)
            await asyncio.sleep(0.05)
            connection._writer.write(body)
            assert (await connection.receive()).status == 400
            with suppress(ConnectionError):
                assert await connection._reader.read() == b""
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        connection._writer.write(HEAD + upgrade)
        assert (await connection.receive()).status == 200


async def test_an_empty_line_after_an_answer_does_not_hold_a_connection_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIMEOUT_S", 1.0)
    async with _bounded(made_parts(tmp_path), 2) as url, connections(url, 1) as (connection,):
        assert (await connection.send("GET", "/healthz", b"", {})).status == 200
        connection._writer.write(b"\r\n")
        async with asyncio.timeout(60):
            assert (await connection.receive()).status == 408
            assert await connection._reader.read() == b""


async def test_whoever_reads_no_answer_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "ANSWER_TIMEOUT_S", 0.3)
    parts = made_parts(tmp_path)
    path = max(route.path for route in parts.service.api.routes if route.path.endswith("bundle.js"))
    asked = 20
    async with _bounded(parts, 2) as url, connections(url, 2) as (connection, other):
        connection._reader._transport.pause_reading()  # type: ignore[attr-defined]
        connection._writer.write(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode() * asked)
        await asyncio.sleep(1)
        connection._reader._transport.resume_reading()  # type: ignore[attr-defined]
        whole = len((await other.send("GET", path, b"", {})).body)
        read = 0
        with suppress(ConnectionError):
            while piece := await connection._reader.read(1 << 20):
                read += len(piece)
        assert read < asked * whole


async def test_nobody_hears_a_problem_in_place_of_an_earlier_answer(tmp_path: Path) -> None:
    clock = Clock()
    store = _Counting(clock, pause_s=0.3)
    parts = made_parts(tmp_path, store=store, clock=clock)
    async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
        connection._writer.write(_issuing(parts, BODY) + BODY + b"\x00\x00\r\n\r\n")
        assert await connection._reader.read() == b""


async def test_a_head_is_not_charged_with_the_body_before_it(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)
    body = b'{"client_id":"1234","transaction":"%b"}' % (b"x" * 40_000)
    head = _issuing(parts, body)
    for first, second in ((head + body + HEAD[:9], b""), (head + body[:9], body[9:] + HEAD[:9])):
        async with _bounded(parts, 2) as url, connections(url, 1) as (connection,):
            connection._writer.write(first)
            await asyncio.sleep(0.05)
            connection._writer.write(second)
            assert (await connection.receive()).status == 201
            connection._writer.write(HEAD[9:] + b"\r\n")
            assert (await connection.receive()).status == 200
