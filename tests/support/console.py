"""A browser without a screen: cookies, forms and redirections against a service in this process."""

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from counterfoil.api.http import Interface, Request, Response
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.dev_mode.mode import DevMode
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.model.principal import Role
from counterfoil.server_wiring import Service, assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from tests.support.parts import Parts, made_parts

HOST = "counterfoil.test:8080"


def header(response: Response, name: str) -> str | None:
    """The header's value; None where there is none."""
    return dict(response.headers).get(name.encode(), b"").decode() or None


class Visitor:
    """One browser."""

    def __init__(self, front: Interface) -> None:
        self.front = front
        self.host = HOST
        self.cookies: dict[str, str] = {}
        self.page = ""
        """What is shown."""

    async def get(self, path: str, method: str = "GET", headers: dict[bytes, bytes] | None = None) -> Response:
        """One request, without following where it leads."""
        return await self._send(method, path, b"", headers or {})

    async def post(self, path: str, fields: Mapping[str, str], *, token: str | None = None) -> Response:
        """Sends a form with the token of the page that is shown, or with another one; an empty one is left out."""
        token = self.token() if token is None else token
        sent = {**fields, **({"form_token": token} if token else {})}
        form = {b"content-type": b"application/x-www-form-urlencoded"}
        return await self._send("POST", path, urlencode(sent).encode(), form)

    async def go(self, path: str, fields: Mapping[str, str] | None = None) -> Response:
        """One request, and the page that it leads to."""
        response = await (self.get(path) if fields is None else self.post(path, fields))
        while response.status == 303:
            location = header(response, "location")
            assert location is not None
            response = await self.get(location.partition("#")[0])
        return response

    async def log_in(self, credential: str) -> Response:
        """By the form."""
        await self.go("/console/login")
        return await self.go("/console/login", {"credential": credential})

    def token(self) -> str:
        """What the forms of the page that is shown carry."""
        found = re.search(r'name="form_token" value="([0-9a-f]*)"', self.page)
        return found[1] if found else ""

    def text(self) -> str:
        """What the page says, without its markup and its scripts to paste."""
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<pre.*?</pre>", " ", self.page))))

    async def _send(self, method: str, path: str, body: bytes, headers: dict[bytes, bytes]) -> Response:
        parts = urlsplit(path)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {b"host": self.host.encode(), **headers, **({b"cookie": cookies.encode()} if cookies else {})}
        response = await self.front.handle(Request(method, parts.path, parts.query.encode(), sent, body, "req_test"))
        for name, value in response.headers:
            if name == b"set-cookie":
                self._keep(value.decode())
        if (header(response, "content-type") or "").startswith("text/html"):
            self.page = response.body.decode()
        return response

    def _keep(self, set_cookie: str) -> None:
        (name, value) = set_cookie.partition(";")[0].split("=", 1)
        self.cookies[name] = value
        if not value:
            del self.cookies[name]


class Development:
    """A service as `counterfoil dev` makes it, in this process, over a clock to turn by hand."""

    def __init__(self, folder: Path) -> None:
        self.parts: Parts = made_parts(folder)
        self.mode = DevMode({role: self.parts.secrets[role.value] for role in Role}, self.parts.clock)
        clock = self.mode.clock
        self.store = MemoryStore(clock)
        self.service: Service = assembled(
            store=self.store,
            keys=KeysetFile(self.parts.keyset.path),
            credentials=CredentialFile(self.parts.credentials.path, clock),
            settings=Settings(data=folder, issue_rate_per_s=0, outstanding_max=0, seed_routes=True, console=True).checked(),
            now_us=clock,
            mode=self.mode,
        )
        self.parts.service = self.service

    async def visitor(self) -> Visitor:
        """Somebody who came in by the link."""
        visitor = Visitor(self.service.front)
        await visitor.go(f"/console/login?once={quote(self.mode.login_token)}")
        await visitor.go("/console/login/once", {"once": self.mode.login_token})
        return visitor
