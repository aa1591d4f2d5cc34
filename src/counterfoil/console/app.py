"""The console's own dispatch, in front of the API: what is below /console is answered here, all else there.

1. Assets and the way in are open. 2. Everything else needs a session whose credential the API still knows as an operator's.
3. A form must be one that was shown to this visitor. 4. The page answers.
"""

import logging
import secrets
import time
from collections.abc import Callable

from counterfoil.api.http import Headers, Interface, Request, Response
from counterfoil.console.answers import page, see_other
from counterfoil.console.api_calls import ApiCalls
from counterfoil.console.assets import Assets
from counterfoil.console.cookies import PATH, cookie
from counterfoil.console.forms import Form, FormRefused, FormTokens, read_form
from counterfoil.console.login import SESSION_COOKIE, Login, NotLoggedIn
from counterfoil.console.pages import Page, PageHandler, Visit
from counterfoil.console.rendering import Templates
from counterfoil.console.sessions import OnceTokens, Sessions, TokenBytes

_log = logging.getLogger(__name__)
_FORM_KEY_BYTES = 32
_READS = ("GET", "HEAD")


class Console:
    """The pages, for operators. It is an interface itself, and hands on what is none of its own."""

    def __init__(
        self,
        api: Interface,
        *,
        over_tls: bool,
        monotonic_s: Callable[[], float] = time.monotonic,
        token_bytes: TokenBytes = secrets.token_bytes,
    ) -> None:
        """`over_tls` says whether browsers reach it by TLS; cookies are then sent in no other way."""
        self._api = api
        self._assets = Assets()
        self._templates = Templates(self._assets)
        self._tokens = FormTokens(token_bytes(_FORM_KEY_BYTES))
        self._once = OnceTokens(monotonic_s, token_bytes)
        self._login = Login(
            Sessions(monotonic_s, token_bytes), self._once, self._tokens, self._templates, monotonic_s, token_bytes, over_tls
        )
        self._pages: list[Page] = []
        self._home: PageHandler = _list_of_pages

    def add(self, added: Page) -> None:
        """One more page, last in the navigation."""
        self._pages.append(added)

    def begin_with(self, home: PageHandler) -> None:
        """What the first page is; without it, a list of the others."""
        self._home = home

    def admit_once(self, credential: str, leads_to: str = "/") -> str:
        """What a login link for this credential ends with: /console/login?once=…; it leads to that page."""
        return self._once.admit(credential, leads_to)

    async def handle(self, request: Request) -> Response:
        """The answer. It never raises."""
        if request.path != PATH and not request.path.startswith(f"{PATH}/"):
            return await self._api.handle(request)
        try:
            return await self._answered(request)
        except FormRefused as refused:
            return self._problem(400, "That cannot be taken", str(refused))
        except NotLoggedIn as reason:
            return reason.response
        except Exception:
            # As in the api room: told apart from every answer that means something, and logged without its words.
            named = {"request_id": request.request_id}
            _log.exception("request %s met an unforeseen error in the console", request.request_id, extra=named)
            return self._problem(500, "Something unforeseen went wrong", f"The log knows it as {request.request_id}.")

    async def _answered(self, request: Request) -> Response:
        path = request.path.removeprefix(PATH)
        asset = self._assets.response(request.path)
        if asset is not None and request.method in _READS:
            return asset
        calls = ApiCalls(self._api, request.request_id)
        if path in self._login.open_paths:
            return await self._login.answered(request, path, calls)
        session, caller = await self._login.visitor(request, calls)
        handler, allowed = self._handler(path, request.method)
        if handler is None:
            return self._no_such_page(allowed)
        cookie_value = cookie(request, SESSION_COOKIE)
        form: Form = {}
        if request.method == "POST":
            form = read_form(request)
            self._tokens.check(cookie_value, form)
        assert cookie_value is not None
        token = self._tokens.token(cookie_value)

        def rendered(template: str, **values: object) -> str:
            frame = {"caller": caller, "entries": self._pages, "here": path, "form_token": token}
            return self._templates.rendered(template, **{**frame, **values})

        return await handler(Visit(request, session, caller, form, calls, rendered))

    def _handler(self, path: str, method: str) -> tuple[PageHandler | None, str]:
        """Who answers; or nobody, and which method would be answered there."""
        handlers: dict[str, PageHandler] = {}
        if path in ("", "/"):
            handlers["GET"] = self._at_home
        elif path == "/logout":
            handlers["POST"] = self._login.logged_out
        for each in self._pages:
            if path == each.path:
                handlers["GET"] = each.shown
            elif path.startswith(f"{each.path}/") and path.removeprefix(f"{each.path}/") in each.acts:
                handlers["POST"] = each.acts[path.removeprefix(f"{each.path}/")]
        return handlers.get("GET" if method == "HEAD" else method), ", ".join(handlers)

    async def _at_home(self, visit: Visit) -> Response:
        return see_other(f"{PATH}/") if visit.request.path == PATH else await self._home(visit)

    def _no_such_page(self, allowed: str) -> Response:
        if allowed:
            return self._problem(405, "That is not how it is asked", "Go back and use the page's own buttons.", allowed)
        return self._problem(404, "There is no such page", "The console begins at its first page.")

    def _problem(self, status: int, title: str, detail: str, allow: str = "") -> Response:
        more: Headers = ((b"allow", allow.encode()),) if allow else ()
        return page(self._templates.rendered("problem.html", title=title, detail=detail), status, more)


async def _list_of_pages(visit: Visit) -> Response:
    return visit.page("home.html", title="Console")
