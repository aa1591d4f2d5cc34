"""The benchmark's visitor of the console counts what a browser would show; a page that stands still makes the run invalid."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest
from bench import console_cost
from bench.console_cost import Visitor, check_live
from bench.rounds import Invalid

import counterfoil
from tests.support.service import made_deployment

_LOGIN = '<input type="hidden" name="form_token" value="00ff">'
_PAGE = '<time id="as-of" data-part datetime="{moment}"></time><div id="tile-issued"><dt>Issued</dt><dd><strong>{rate}</strong>'


@contextmanager
def _console(*, stands_still: bool = False, rate: str = "1 200", admits: bool = True) -> Iterator[str]:
    moments = count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logged_in = "session=1" in self.headers["Cookie"]
            moment = 0 if stands_still else next(moments)
            self._answer(200, _PAGE.format(moment=moment, rate=rate) if logged_in else _LOGIN)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(
                303 if admits and sent == "form_token=00ff&credential=cfo_x" else 403, "", ("Set-Cookie", "session=1; Path=/")
            )

        def _answer(self, status: int, text: str, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for header in (*headers, ("Content-Length", str(len(text.encode())))):
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(text.encode())

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


def _watched(url: str, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    monkeypatch.setattr(console_cost, "EVERY_S", 0.02)
    visitor, over = Visitor(url, "cfo_x"), Event()
    visitor.log_in()
    ending = Timer(0.5, over.set)
    ending.start()
    visitor.watch(over)
    ending.join()
    return visitor


def test_a_page_that_moves_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    with _console() as url:
        visitor = _watched(url, monkeypatch)
    assert visitor.looks > 1
    check_live(visitor, 60)


@pytest.mark.parametrize("page", [{"stands_still": True}, {"rate": "0.0"}, {"rate": "–"}], ids=str)
def test_a_page_that_stands_still_or_shows_no_load_makes_the_run_invalid(
    page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _console(**page) as url:
        visitor = _watched(url, monkeypatch)
    assert visitor.looks <= 1
    visitor.longest_s *= 100
    with pytest.raises(Invalid, match="not live"):
        check_live(visitor, 60)


def test_who_is_not_let_in_measures_nothing() -> None:
    with _console(admits=False) as url, pytest.raises(Invalid, match="let nobody in"):
        Visitor(url, "cfo_x").log_in()


def test_the_real_page_is_seen_to_move_under_load(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    with (
        deployment.serving(COUNTERFOIL_CONSOLE="true") as service,
        counterfoil.Client(service.url, deployment.issuer) as client,
    ):
        visitor, over = Visitor(service.url, deployment.operator), Event()
        visitor.log_in()
        looking = Thread(target=visitor.watch, args=(over,))
        looking.start()
        try:
            for _ in range(600):
                client.issue("shop-1")
                if over.wait(0.02) or visitor.looks > 1:
                    break
        finally:
            over.set()
            looking.join()
    assert visitor.looks > 1
