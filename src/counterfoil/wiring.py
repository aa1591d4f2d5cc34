"""Puts the rules together over the parts that the settings name: where rooms meet. It knows no interface and serves nothing."""

import time
from collections.abc import Callable

from counterfoil.api.handlers import Handlers
from counterfoil.api.observing import Observer
from counterfoil.core.context_sealing import ContextSealing
from counterfoil.core.issue import Issuance
from counterfoil.core.revoke import Revocation
from counterfoil.core.validate import Validation
from counterfoil.keys.open_keys import KeySettings, OpenedKeys
from counterfoil.model.canonical import encoded_service_context
from counterfoil.model.invalid import Invalid
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.commit_watch import CommitWatch
from counterfoil.ports.credentials import Credentials
from counterfoil.ports.keys import KeyProvider, OwnKeys
from counterfoil.ports.store import Store
from counterfoil.settings import Settings
from counterfoil.stores.open_store import keeps_limits, open_store


def system_now_us() -> int:
    """The system's clock, in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def assembled_handlers(
    *,
    store: Store,
    keys: KeyProvider,
    credentials: Credentials,
    settings: Settings,
    own_keys: OwnKeys | None,
    issues_own_keys: bool,
    now_us: NowUs,
    token_bytes: TokenBytes,
    observer: Observer,
) -> Handlers:
    """What is behind every interface: the rules over the parts."""
    service_context = encoded_service_context(settings.parsed_service_context())
    context_sealing = ContextSealing(keys, now_us, token_bytes)
    return Handlers(
        issuance=Issuance(
            store=store,
            keys=keys,
            context_sealing=context_sealing,
            now_us=now_us,
            token_bytes=token_bytes,
            service_context=service_context,
            limits=settings.issue_limits(),
            own_keys=own_keys if issues_own_keys else None,
            lifetime_default_s=settings.lifetime_default_s,
            lifetime_max_s=settings.lifetime_max_s,
        ),
        validation=Validation(store, keys, credentials, now_us, service_context, own_keys),
        revocation=Revocation(store, keys),
        context_sealing=context_sealing,
        observer=observer,
    )


def opened_store(
    settings: Settings,
    keys: OpenedKeys,
    on_fatal: Callable[[], None],
    now_us: NowUs = system_now_us,
    commit_watch: CommitWatch | None = None,
) -> Store:
    """The store that the settings name, for these keys. Raises StoreUnfit, and Invalid for limits that it cannot keep."""
    if settings.issue_limits() is not None and not keeps_limits(settings.store_url):
        raise Invalid("issue_rate_per_s and outstanding_max", "must be 0 with this store, which keeps no limits per client")
    return open_store(
        settings.store_url,
        now_us=now_us,
        retention_s=settings.retention_s,
        journal_key=keys.journal_key,
        journal_retention_s=settings.journal_retention_s,
        epoch=keys.epoch,
        waiting_max=settings.store_waiting_max,
        on_fatal=on_fatal,
        commit_watch=commit_watch,
    )


def key_settings(settings: Settings, *, makes_keys: bool = True, shares_looks: bool = False) -> KeySettings:
    """What the settings say of the keys."""
    return KeySettings(
        stage=settings.stage,
        epoch=settings.epoch,
        strict=settings.strict_keys,
        reuse_s=settings.key_reuse_s,
        reuse_max=settings.key_reuse_max,
        makes_keys=makes_keys,
        shares_looks=shares_looks,
    )
