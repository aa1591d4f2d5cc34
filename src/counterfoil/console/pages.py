"""What a page of the console is, and what it gets of a visit. A page asks the API as its visitor, or not at all."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from counterfoil.api.http import Request, Response
from counterfoil.console.answers import page
from counterfoil.console.api_calls import Answer, ApiCalls
from counterfoil.console.forms import FIELDS_MAX, Form
from counterfoil.console.sessions import Session


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credential a session holds, by the API's word."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is logged in. `form` is empty where nothing was sent, and has been checked to be ours."""

    request: Request
    session: Session
    caller: Caller
    form: Form
    calls: ApiCalls
    rendered: Callable[..., str]

    @property
    def query(self) -> Form:
        """What stands behind the question mark; of a name that stands there twice, the last. What cannot be read is nothing."""
        try:
            return dict(parse_qsl(self.request.query.decode(), errors="strict", max_num_fields=FIELDS_MAX))
        except ValueError:
            return {}

    async def ask(self, method: str, path: str, body: Any = None, query: Mapping[str, str | int] | None = None) -> Answer:
        """The API's answer to the visitor."""
        return await self.calls.ask(method, path, self.session.credential, body, query=query)

    def page(self, template: str, **values: Any) -> Response:
        """The template as the answer, in the frame that all pages share."""
        return page(self.rendered(template, **values))


PageHandler: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the navigation: what is shown at `path` below the console, and what its forms do at `path/<name>`."""

    path: str
    label: str
    about: str
    """One sentence, for who chooses between pages."""
    shown: PageHandler
    acts: Mapping[str, PageHandler] = field(default_factory=dict)
