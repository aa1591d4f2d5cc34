"""Puts a service together from its settings: the one place where rooms meet. It serves nothing by itself."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from counterfoil.api.app import Api
from counterfoil.api.callers import by_bearer_credential
from counterfoil.api.handlers import Handlers
from counterfoil.api.observing import Observer, SilentObserver
from counterfoil.core.context_sealing import ContextSealing
from counterfoil.core.issue import Issuance
from counterfoil.core.revoke import Revocation
from counterfoil.core.validate import Validation
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.keys.open_keys import open_keys
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.credentials import Credentials
from counterfoil.ports.keys import KeyProvider
from counterfoil.ports.store import Store
from counterfoil.settings import Settings
from counterfoil.stores.open_store import open_store


def system_now_us() -> int:
    """The system's clock, in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Service:
    """A service ready to be served, and the store that is to be closed after it."""

    api: Api
    store: Store


def assembled(
    *,
    store: Store,
    keys: KeyProvider,
    credentials: Credentials,
    settings: Settings,
    now_us: NowUs = system_now_us,
    token_bytes: TokenBytes = secrets.token_bytes,
    observer: Observer | None = None,
) -> Service:
    """The service over given parts: what embedding, tests and Lambda use."""
    service_context = settings.parsed_service_context()
    context_sealing = ContextSealing(keys, now_us, token_bytes)
    handlers = Handlers(
        issuance=Issuance(
            store=store,
            keys=keys,
            context_sealing=context_sealing,
            now_us=now_us,
            token_bytes=token_bytes,
            service_context=service_context,
            limits=settings.issue_limits(),
            lifetime_default_s=settings.lifetime_default_s,
            lifetime_max_s=settings.lifetime_max_s,
        ),
        validation=Validation(store, keys, credentials, now_us, service_context),
        revocation=Revocation(store, keys),
        context_sealing=context_sealing,
        observer=observer or SilentObserver(),
    )
    authenticate = by_bearer_credential(credentials)
    return Service(Api(handlers, authenticate, with_seed_routes=settings.seed_routes), store)


def service(settings: Settings, *, observer: Observer, on_fatal: Callable[[], None]) -> Service:
    """The service that the settings describe. Raises StoreUnfit, KeysUnavailable, CredentialsUnavailable, Invalid.

    It makes no key and no credential: starting without them is a mistake that must be seen.
    """
    keys = open_keys(settings.keys_url)
    epoch = keys.keyset().epoch if isinstance(keys, KeysetFile) else 1
    credentials = CredentialFile(settings.credentials_path, system_now_us)
    credentials.records()
    store = open_store(
        settings.store_url,
        now_us=system_now_us,
        retention_s=settings.retention_s,
        epoch=epoch,
        waiting_max=settings.store_waiting_max,
        on_fatal=on_fatal,
    )
    return assembled(store=store, keys=keys, credentials=credentials, settings=settings, observer=observer)
