"""What the console costs a service under load, and whether it stays live: one visitor has its page *now* open all the while."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlencode, urlsplit

from bench.figures import Figure, figure, single
from bench.medians import ratios
from bench.peers.counterfoil import counterfoil, made_deployment
from bench.processes import only_running
from bench.rounds import Invalid, Pace, issue, stocked
from bench.service import Service
from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.model.principal import Role
from counterfoil.wiring import system_now_us

WATCHED_S = 60.0
"""In all, over the rounds: as long as the console is to stay live under load."""
EVERY_S = 2.0
"""As often as the page refreshes itself in a browser."""
_LATE_S = 3 * EVERY_S
_PAGE, _LOGIN = "/console/now", "/console/login"
_FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_AS_OF = re.compile(r'id="as-of" data-part datetime="([^"]+)"')
_ISSUED = re.compile(r'id="tile-issued"><dt>[^<]*</dt><dd><strong>([^<]*)</strong>')
_SOME = re.compile(r"[1-9]")


@dataclass
class Visitor:
    """Somebody who has logged in and looks at the page, again and again."""

    url: str
    credential: str = field(repr=False)
    looks: int = 0
    """Refreshes that showed a new moment, and a rate that is not nought."""
    longest_s: float = 0.0
    """Between two of them."""
    _cookies: dict[str, str] = field(default_factory=dict, repr=False)

    def log_in(self) -> None:
        """By the form, as anybody does. Raises Invalid."""
        found = _FORM_TOKEN.search(self._asked("GET", _LOGIN)[1])
        if found is None:
            raise Invalid("the console shows no form to log in by")
        status, _ = self._asked("POST", _LOGIN, urlencode({"form_token": found[1], "credential": self.credential}))
        if status != 303:
            raise Invalid(f"the console let nobody in: {status}")

    def watch(self, until: Event) -> None:
        """Refreshes the page at a browser's pace until then."""
        shown, since_s = "", time.monotonic()
        while not until.wait(EVERY_S):
            status, text = self._asked("GET", _PAGE)
            moment = seen_at(text) if status == 200 else None
            if moment is not None and moment != shown:
                now_s = time.monotonic()
                self.looks += 1
                self.longest_s = max(self.longest_s, now_s - since_s)
                shown, since_s = moment, now_s
        self.longest_s = max(self.longest_s, time.monotonic() - since_s)

    def _asked(self, method: str, path: str, form: str | None = None) -> tuple[int, str]:
        connection = HTTPConnection(str(urlsplit(self.url).hostname), urlsplit(self.url).port, timeout=30)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), "Counterfoil-Live": "1"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, form, headers)
            answer = connection.getresponse()
            for value in answer.headers.get_all("Set-Cookie", []):
                name, _, rest = value.partition("=")
                self._cookies[name] = rest.partition(";")[0]
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def seen_at(page: str) -> str | None:
    """The moment that the page shows; None for a page that shows no load."""
    as_of, issued = _AS_OF.search(page), _ISSUED.search(page)
    return as_of[1] if as_of and issued and _SOME.search(issued[1]) else None


def console_figures(folder: Path, pace: Pace) -> list[Figure]:
    """Issues a second with the page open, against a service that has no console, in turn. Raises Invalid when it is not live."""
    # It takes two looks to see a rate.
    seconds = max(WATCHED_S / pace.rounds if pace.rounds > 1 else 0.0, 5 * EVERY_S)
    deployment = made_deployment(folder / "with-console")
    operator = CredentialEditor(deployment.folder / "credentials.json", system_now_us, secrets.token_bytes)
    credential = operator.create("operator", Role.OPERATOR)
    watched: list[float] = []
    plain: list[float] = []
    with (
        counterfoil(folder / "with-console", deployment=deployment, options=["--console"]) as with_console,
        counterfoil(folder / "without-console") as without,
    ):
        visitor = Visitor(with_console.url, credential)
        visitor.log_in()
        everybody = [*with_console.pids, *without.pids]
        for _ in range(pace.rounds):
            with only_running(with_console.pids, everybody):
                stocked(with_console, folder, 1.0)
                with watching(visitor):
                    watched.append(_rate(with_console, folder, seconds))
            with only_running(without.pids, everybody):
                stocked(without, folder, 1.0)
                plain.append(_rate(without, folder, seconds))
    check_live(visitor, seconds * pace.rounds)
    return [
        figure("issue with the console open / without a console", "×", ratios(watched, plain), "issue with the console open"),
        single("longest time between two refreshes of the console under load", "s", visitor.longest_s),
    ]


def check_live(visitor: Visitor, seconds: float) -> None:
    """Raises Invalid for a page that stood still, or showed nothing of the load, for longer than three refreshes."""
    if visitor.looks == 0 or visitor.longest_s > _LATE_S:
        told = f"{visitor.looks} refreshes in {seconds:.0f} s, one after {visitor.longest_s:.1f} s"
        raise Invalid(f"the console was not live under load: {told}")


@contextmanager
def watching(visitor: Visitor) -> Iterator[None]:
    """The visitor looks meanwhile."""
    over = Event()
    looking = Thread(target=visitor.watch, args=(over,))
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


def _rate(service: Service, folder: Path, seconds: float) -> float:
    kept = folder / "console-secrets"
    kept.unlink(missing_ok=True)
    return issue(service, kept, seconds).rate
