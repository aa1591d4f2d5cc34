"""The way in: a credential typed into a form, or a link that works once. What was typed is seen by the API and by no page.

The API says whose credential it is, at the login and at every request after it: the console keeps no list of its own.
"""

import logging
import re
from collections.abc import Callable
from urllib.parse import parse_qsl

from counterfoil.api.http import Request, Response
from counterfoil.console.answers import page, see_other
from counterfoil.console.api_calls import ApiCalls
from counterfoil.console.cookies import PATH, cookie, set_cookie
from counterfoil.console.failed_logins import FailedLogins
from counterfoil.console.forms import FormTokens, read_form
from counterfoil.console.pages import Caller, Visit
from counterfoil.console.rendering import Templates
from counterfoil.console.sessions import OnceTokens, Session, Sessions, TokenBytes

SESSION_COOKIE = "counterfoil_console"
LOGIN_COOKIE = "counterfoil_login"
"""Before there is a session, forms are tied to this one; it opens nothing."""
LIVE_HEADER = b"counterfoil-live"
"""What the pages' own script says when it asks for a page again."""
_LOGIN_COOKIE_BYTES = 16
_LOGIN_COOKIE = re.compile(f"[0-9a-f]{{{2 * _LOGIN_COOKIE_BYTES}}}")
_LINK_QUERY_BYTES_MAX = 256
_log = logging.getLogger(__name__)


class NotLoggedIn(Exception):
    """There is no session to go on with; `response` says what to do instead."""

    def __init__(self, response: Response) -> None:
        super().__init__("not logged in")
        self.response = response


class Login:
    """Lets operators in and out."""

    def __init__(
        self,
        sessions: Sessions,
        once: OnceTokens,
        tokens: FormTokens,
        templates: Templates,
        monotonic_s: Callable[[], float],
        token_bytes: TokenBytes,
        over_tls: bool,
    ) -> None:
        self._sessions = sessions
        self._once = once
        self._tokens = tokens
        self._templates = templates
        self._failed = FailedLogins(monotonic_s)
        self._token_bytes = token_bytes
        self._over_tls = over_tls
        self.open_paths = ("/login", "/login/once")

    async def answered(self, request: Request, path: str, calls: ApiCalls) -> Response:
        """The login page, or what became of a try to log in."""
        if request.method == "POST":
            form = read_form(request)
            self._tokens.check(cookie(request, LOGIN_COOKIE), form)
            wait_s = self._failed.wait_s()
            if wait_s:
                return self._page(request, 429, f"Too many logins have failed. Try again in {wait_s} s.", wait_s=wait_s)
            if path == "/login":
                return await self._by_credential(request, form.get("credential", "").strip(), calls)
            return await self._by_link(request, form.get("once", ""), calls)
        if request.method in ("GET", "HEAD") and path == "/login":
            return self._page(request, 200, once=_once(request.query))
        return self._page(request, 405, "Log in by the page's own button.")

    async def visitor(self, request: Request, calls: ApiCalls) -> tuple[Session, Caller]:
        """The session of this request, and whose it is. Raises NotLoggedIn."""
        session_id = cookie(request, SESSION_COOKIE)
        # A page that asks again by itself is no sign of anybody being there.
        is_used = LIVE_HEADER not in request.headers
        session = None if session_id is None else self._sessions.find(session_id, is_used=is_used)
        if session_id is None or session is None:
            raise NotLoggedIn(see_other(f"{PATH}/login"))
        caller = await _operator(calls, session.credential)
        if isinstance(caller, str):
            self._sessions.end(session_id)
            raise NotLoggedIn(self._page(request, 401, f"Your session has ended: {caller}"))
        if caller is None:
            raise NotLoggedIn(self._page(request, 503, _UNCHECKED))
        return session, caller

    async def logged_out(self, visit: Visit) -> Response:
        """Ends the session, here and in the browser."""
        session_id = cookie(visit.request, SESSION_COOKIE)
        if session_id is not None:
            self._sessions.end(session_id)
        return see_other(f"{PATH}/login", set_cookie(SESSION_COOKIE, "", over_tls=self._over_tls))

    async def _by_credential(self, request: Request, credential: str, calls: ApiCalls) -> Response:
        caller = await _operator(calls, credential)
        if caller is None:
            return self._page(request, 503, _UNCHECKED)
        if isinstance(caller, str):
            self._failed.count()
            _log.warning(
                "request %s: a login to the console was refused: %s", request.request_id, caller, extra=_named(request)
            )
            return self._page(request, 401, caller)
        return self._let_in(caller, credential, request)

    async def _by_link(self, request: Request, once: str, calls: ApiCalls) -> Response:
        admission = self._once.spend(once)
        caller = None if admission is None else await _operator(calls, admission.credential)
        if admission is None or not isinstance(caller, Caller):
            self._failed.count()
            told = "request %s: a login link of the console was refused: spent, too old or unknown"
            _log.warning(told, request.request_id, extra=_named(request))
            return self._page(request, 401, "This link is spent or too old. Log in with the operator's credential.")
        return self._let_in(caller, admission.credential, request, admission.leads_to)

    def _let_in(self, caller: Caller, credential: str, request: Request, leads_to: str = "/") -> Response:
        _log.info("request %s: %s logged in to the console", request.request_id, caller.name, extra=_named(request))
        # Always a new id: one that somebody else has planted must not become a session's. The one before it ends: this
        # browser cannot reach it any more, and whoever else can must not.
        before = cookie(request, SESSION_COOKIE)
        if before is not None:
            self._sessions.end(before)
        session_id = self._sessions.begin(credential)
        return see_other(PATH + leads_to, set_cookie(SESSION_COOKIE, session_id, over_tls=self._over_tls))

    def _page(self, request: Request, status: int, notice: str = "", *, once: str = "", wait_s: int = 0) -> Response:
        visitor = cookie(request, LOGIN_COOKIE) or ""
        if not _LOGIN_COOKIE.fullmatch(visitor):
            visitor = self._token_bytes(_LOGIN_COOKIE_BYTES).hex()
        values = {"title": "Log in", "notice": notice, "once": once, "form_token": self._tokens.token(visitor)}
        body = self._templates.rendered("login.html", **values)
        wait = ((b"retry-after", str(wait_s).encode()),) if wait_s else ()
        return page(body, status, (*set_cookie(LOGIN_COOKIE, visitor, over_tls=self._over_tls), *wait))


def _once(query: bytes) -> str:
    """What a login link ends with; nothing where the query is longer than that of any link of ours."""
    if len(query) > _LINK_QUERY_BYTES_MAX:
        return ""
    return dict(parse_qsl(query.decode("latin-1"))).get("once", "")


def _named(request: Request) -> dict[str, str]:
    """What a line of the log has beside its message."""
    return {"request_id": request.request_id}


_UNCHECKED = "The credentials cannot be checked just now. Try again in a moment."


async def _operator(calls: ApiCalls, credential: str) -> Caller | str | None:
    """The operator of this credential; a sentence for one that is nobody's or not an operator's; None when nobody can say."""
    if not credential.isascii() or not credential.isprintable():
        return "No credential looks like that."
    answer = await calls.ask("GET", "/v1/caller", credential)
    if answer.status == 401:
        return "This credential is not known, has expired or is revoked."
    if answer.status != 200:
        return None
    caller = Caller(**answer.json())
    return caller if caller.role == "operator" else "The console is for operators; this credential has another role."
