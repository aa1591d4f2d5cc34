"""What is written in one step leaves in one write, whole and in order; an answer's head and body are written in one step."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from counterfoil.entrypoints import bounded_http
from counterfoil.entrypoints.asgi import AsgiShell
from counterfoil.entrypoints.bounded_http import BoundedProtocol
from counterfoil.entrypoints.one_write import OneWrite
from tests.adversity.seeded_service import seeded_service


class Wire(asyncio.Transport):
    """What a transport passes on, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.heard.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def transport(wire: Wire) -> OneWrite:
    return OneWrite(wire, asyncio.get_running_loop())


async def test_what_one_step_writes_leaves_in_one_write(wire: Wire, transport: OneWrite) -> None:
    transport.write(b"head")
    transport.write(bytearray(b" and "))
    transport.write(memoryview(b"body"))
    assert wire.heard == []
    await asyncio.sleep(0)
    assert wire.heard == [b"head and body"]
    transport.write(b"more")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert wire.heard == [b"head and body", b"more"]


async def test_closing_sends_first_and_once(wire: Wire, transport: OneWrite) -> None:
    transport.write(b"last words")
    transport.close()
    assert (wire.heard, wire.closed) == ([b"last words"], True)
    await asyncio.sleep(0)
    assert wire.heard == [b"last words"]


async def test_what_is_given_up_is_not_sent(wire: Wire, transport: OneWrite) -> None:
    transport.write(b"nothing")
    transport.abort()
    await asyncio.sleep(0)
    assert (wire.heard, wire.closed, transport.is_closing()) == ([], True, True)


async def test_a_connection_lost_meanwhile_is_written_to_no_more(wire: Wire, transport: OneWrite) -> None:
    transport.write(b"too late")
    wire.closed = True
    await asyncio.sleep(0)
    assert wire.heard == []


async def _closed() -> None:
    pass


async def _writes_of_an_answer() -> int:
    service = seeded_service(1)
    config = uvicorn.Config(AsgiShell(service.api, _closed), ws="none", log_config=None, access_log=False)
    config.load()
    wire = Wire()
    protocol = BoundedProtocol(config, ServerState(), {}, connections_max=10, _loop=asyncio.get_running_loop())
    protocol.connection_made(wire)
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
    async with asyncio.timeout(5):
        while b'"ok"' not in b"".join(wire.heard):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    return len(wire.heard)


async def test_an_answer_leaves_in_one_write() -> None:
    assert await _writes_of_an_answer() == 1


async def test_control_an_answer_without_it_takes_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "OneWrite", lambda transport, _: transport)
    assert await _writes_of_an_answer() == 2
