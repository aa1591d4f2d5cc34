"""Puts a server's service together: the rules, behind the whole interface, for callers with credentials of their own."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from counterfoil.api.app import Api
from counterfoil.api.callers import by_bearer_credential
from counterfoil.api.handlers import Handlers
from counterfoil.api.observing import Observer, SilentObserver
from counterfoil.api.routes import passcode_routes
from counterfoil.api.service_routes import service_routes
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.keys.open_keys import open_keys
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.credentials import Credentials
from counterfoil.ports.keys import KeyProvider, OwnKeys
from counterfoil.ports.store import Store
from counterfoil.settings import Settings
from counterfoil.wiring import assembled_handlers, key_settings, opened_store, system_now_us


@dataclass(frozen=True, slots=True)
class Service:
    """A service ready to be served: its interface, what is behind it, and the store that is to be closed after it."""

    api: Api
    handlers: Handlers
    store: Store


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
) -> Service:
    """The service over given parts: what embedding and tests use."""
    handlers = assembled_handlers(
        store=store,
        keys=keys,
        credentials=credentials,
        settings=settings,
        own_keys=own_keys,
        issues_own_keys=issues_own_keys,
        now_us=now_us,
        token_bytes=token_bytes,
        observer=observer or SilentObserver(),
    )
    routes = passcode_routes(handlers, with_seed_routes=settings.seed_routes)
    api = Api((*routes, *service_routes(handlers, routes)), by_bearer_credential(credentials), handlers.observer)
    return Service(api, handlers, store)


def service(settings: Settings, *, observer: Observer, on_fatal: Callable[[], None]) -> Service:
    """The service that the settings describe. Raises StoreUnfit, KeysUnavailable, CredentialsUnavailable, Invalid.

    It makes no key and no credential: starting without them is a mistake that must be seen. Requests of one round of the loop
    share a look at the files of both, so it is for servers whose requests begin as `private_file.Watched` says.
    """
    keys = open_keys(settings.keys_url, key_settings(settings, shares_looks=True), system_now_us)
    credentials = CredentialFile(settings.credentials_path, system_now_us, shares_looks=True)
    credentials.records()
    store = opened_store(settings, keys, on_fatal)
    return assembled(
        store=store,
        keys=keys.provider,
        credentials=credentials,
        settings=settings,
        own_keys=keys.own_keys,
        issues_own_keys=keys.issues_own_keys,
        observer=observer,
    )
