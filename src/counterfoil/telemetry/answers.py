"""What may be told of a request and its answer: names from fixed sets. Never a path, a query or a header as it was sent."""

from collections.abc import Iterable

import msgspec

from counterfoil.api.http import Response
from counterfoil.wire.problems import CONTENT_TYPE, Problem

CONSOLE_ROUTE = "/console/{page}"
_CONSOLE = "/console"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_PROBLEM = (b"content-type", CONTENT_TYPE.encode())
_decode = msgspec.json.Decoder(Problem).decode


class RouteNames:
    """The names of the routes of one interface."""

    def __init__(self, paths: Iterable[str], *, with_console: bool) -> None:
        self._paths = frozenset(paths)
        self._with_console = with_console

    def of(self, path: str) -> str | None:
        """The route that answers this path; None when none does."""
        if path in self._paths:
            return path
        return CONSOLE_ROUTE if self._with_console and (path == _CONSOLE or path.startswith(f"{_CONSOLE}/")) else None


def named_method(method: str) -> str | None:
    """The method itself, when it is one of HTTP's (RFC 9110, section 9; RFC 5789); None for a word of the caller's own."""
    return method if method in _METHODS else None


def told_problem(response: Response) -> tuple[str | None, str | None]:
    """The code of the problem that an answer is, and a refusal's reason; None for what it has not."""
    if response.status < 400 or _PROBLEM not in response.headers:
        return None, None
    problem = _decode(response.body)
    return problem.code, problem.reason if isinstance(problem.reason, str) else None
