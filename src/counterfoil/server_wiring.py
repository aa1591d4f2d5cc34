"""Puts a server's service together: the rules, behind the whole interface, for callers with credentials of their own."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from counterfoil.api.app import Api
from counterfoil.api.callers import by_bearer_credential
from counterfoil.api.handlers import Handlers
from counterfoil.api.http import Interface
from counterfoil.api.looks import Looks
from counterfoil.api.observing import Observer, SilentObserver
from counterfoil.api.operator_handlers import OperatorHandlers
from counterfoil.api.operator_routes import operator_routes
from counterfoil.api.routes import Route, passcode_routes
from counterfoil.api.service_routes import service_routes
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.examination import examined
from counterfoil.keys.open_keys import open_keys
from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.credentials import Credentials
from counterfoil.ports.journal_reader import ReadableJournal
from counterfoil.ports.keys import KeyProvider, OwnKeys
from counterfoil.ports.store import Store
from counterfoil.settings import Settings
from counterfoil.telemetry.access_log import AccessLog
from counterfoil.telemetry.answers import RouteNames
from counterfoil.wiring import assembled_handlers, key_settings, opened_store, system_now_us

if TYPE_CHECKING:
    # Only where the console is switched on: its templates need a library that not everybody has.
    from counterfoil.console.app import Console

    # Only where tracing is switched on, likewise.
    from counterfoil.telemetry.tracing import Tracing

CONSOLE_NEEDS = "needs Jinja2: pip install 'counterfoil[console]'"
TRACING_NEEDS = "needs OpenTelemetry: pip install 'counterfoil[otel]'"


class Mode(Protocol):
    """What may be put around a service: development's test mode. A service that `serve` runs has none."""

    def around(self, handlers: Handlers) -> Handlers:
        """The handlers that are served instead."""

    def routes(self) -> tuple[Route, ...]:
        """Routes beside the service's own."""

    def furnish(self, console: "Console") -> None:
        """What it adds to the console."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service ready to be served: its interface, what is behind it, and its parts, for those who close or measure them."""

    api: Api
    handlers: Handlers
    store: Store
    keys: KeyProvider
    front: Interface
    """What is asked: the api, or the console in front of it, and what is laid around them to see requests by."""
    tracing: "Tracing | None" = None

    async def close(self) -> None:
        """Lets go of the store, then of the last spans. For the end, when no request is under way."""
        await self.store.close()
        if self.tracing is not None:
            self.tracing.close()


def assembled(
    *,
    store: Store,
    keys: KeyProvider,
    credentials: Credentials,
    settings: Settings,
    own_keys: OwnKeys | None = None,
    issues_own_keys: bool = False,
    now_us: NowUs = system_now_us,
    token_bytes: TokenBytes = secrets.token_bytes,
    observer: Observer | None = None,
    mode: Mode | None = None,
    tracing: "Tracing | None" = None,
) -> Service:
    """The service over given parts: what embedding and tests use. Raises Invalid for a console without its library."""
    handlers = assembled_handlers(
        store=tracing.store(store, settings) if tracing else store,
        keys=tracing.keys(keys) if tracing else keys,
        credentials=credentials,
        settings=settings,
        own_keys=tracing.own_keys(own_keys) if tracing else own_keys,
        issues_own_keys=issues_own_keys,
        now_us=now_us,
        token_bytes=token_bytes,
        observer=observer or SilentObserver(),
    )
    if mode is not None:
        handlers = mode.around(handlers)
    operating = OperatorHandlers(
        store=store,
        journal=store.journal_reader() if isinstance(store, ReadableJournal) else None,
        keys=keys,
        credentials=credentials,
        examination=lambda: examined(settings, now_us(), is_serving=True),
        looks=Looks(),
        now_us=now_us,
        key_rotation_us=settings.key_rotation_s * MICROSECONDS_PER_S,
    )
    routes = (
        *passcode_routes(handlers, with_seed_routes=settings.seed_routes),
        *operator_routes(operating),
        *(mode.routes() if mode else ()),
    )
    api = Api((*routes, *service_routes(handlers, routes)), by_bearer_credential(credentials), handlers.observer)
    front = _console(api, settings, mode, now_us) if settings.console else api
    return Service(api, handlers, store, keys, _seen(front, api, settings, tracing), tracing)


def _seen(front: Interface, api: Api, settings: Settings, tracing: "Tracing | None") -> Interface:
    """The interface with what is switched on around it; the interface itself, when nothing is."""
    names = RouteNames((route.path for route in api.routes), with_console=settings.console)
    if settings.access_log:
        front = AccessLog(front, names)
    # Outermost, so that the other's lines have the ids of its spans.
    return tracing.interface(front, names, settings) if tracing else front


def _console(api: Api, settings: Settings, mode: Mode | None, now_us: NowUs) -> Interface:
    """The console in front of the api, which it asks like anybody else."""
    try:
        from counterfoil.console.app import Console
        from counterfoil.console.operating.pages import furnish
    except ModuleNotFoundError as missing:
        raise Invalid("console", CONSOLE_NEEDS) from missing
    console = Console(api, over_tls=bool(settings.tls_cert) or settings.tls_terminated_upstream)
    furnish(console, now_us)
    if mode is not None:
        mode.furnish(console)
    return console


def service(
    settings: Settings,
    *,
    observer: Observer,
    on_fatal: Callable[[], None],
    now_us: NowUs = system_now_us,
    mode: Mode | None = None,
) -> Service:
    """The service that the settings describe. Raises StoreUnfit, KeysUnavailable, CredentialsUnavailable, Invalid.

    It makes no key and no credential: starting without them is a mistake that must be seen. Requests of one round of the loop
    share a look at the files of both, so it is for servers whose requests begin as `private_file.Watched` says.
    """
    tracing = _tracing() if settings.tracing else None
    keys = open_keys(settings.keys_url, key_settings(settings, shares_looks=True), now_us)
    credentials = CredentialFile(settings.credentials_path, now_us, shares_looks=True)
    credentials.records()
    store = opened_store(settings, keys, on_fatal, now_us, tracing.commits() if tracing else None)
    return assembled(
        store=store,
        keys=keys.provider,
        credentials=credentials,
        settings=settings,
        own_keys=keys.own_keys,
        issues_own_keys=keys.issues_own_keys,
        now_us=now_us,
        observer=observer,
        mode=mode,
        tracing=tracing,
    )


def _tracing() -> "Tracing":
    """Tracing as the environment's `OTEL_…` variables say."""
    try:
        from counterfoil.telemetry.export import exporting_provider
        from counterfoil.telemetry.tracing import Tracing
    except ModuleNotFoundError as missing:
        raise Invalid("tracing", TRACING_NEEDS) from missing
    return Tracing.of(*exporting_provider())
