"""Everything that tracing lays around a service, behind one value: made where it is switched on, and absent where it is not."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry.trace import Tracer, TracerProvider, format_span_id, format_trace_id, get_current_span

from counterfoil.api.http import Interface
from counterfoil.ports.keys import KeyProvider, OwnKeys
from counterfoil.ports.store import Store
from counterfoil.settings import Settings
from counterfoil.telemetry.answers import RouteNames
from counterfoil.telemetry.commits import CommitSpans
from counterfoil.telemetry.ports import TracedKeys, TracedOwnKeys, TracedStore
from counterfoil.telemetry.requests import TracedInterface
from counterfoil.version import __version__

_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - what is listened on, and names no server
_SYSTEMS = {"sqlite": "sqlite", "dynamodb": "aws.dynamodb"}


@dataclass(frozen=True, slots=True)
class Tracing:
    """The tracing of one service."""

    tracer: Tracer
    close: Callable[[], None]
    """Hands on what is left, in bounded time. Blocks meanwhile."""

    @staticmethod
    def of(provider: TracerProvider, close: Callable[[], None]) -> "Tracing":
        """Tracing by that provider."""
        return Tracing(provider.get_tracer("counterfoil", __version__, _SCHEMA), close)

    @staticmethod
    def name_spans_in_log() -> None:
        """Has the log's lines show the span that they belong to."""
        for handler in logging.getLogger().handlers:
            handler.addFilter(SpanIds())

    def store(self, store: Store, settings: Settings) -> Store:
        """The store, traced."""
        return TracedStore(store, self.tracer, _SYSTEMS.get(urlsplit(settings.store_url).scheme))

    def keys(self, keys: KeyProvider) -> KeyProvider:
        """The keys, traced."""
        return TracedKeys(keys, self.tracer)

    def own_keys(self, own_keys: OwnKeys | None) -> OwnKeys | None:
        """Strict mode's keys, traced, where there are any."""
        return None if own_keys is None else TracedOwnKeys(own_keys, self.tracer)

    def commits(self) -> CommitSpans:
        """What a store's shared commits are watched by."""
        return CommitSpans(self.tracer)

    def interface(self, interface: Interface, names: RouteNames, settings: Settings) -> Interface:
        """The interface, traced."""
        server: dict[str, str | int] = {
            "url.scheme": "https" if settings.tls_cert or settings.tls_terminated_upstream else "http",
        }
        if settings.host not in _EVERY_ADDRESS:
            server["server.address"] = settings.host
        if settings.port:
            server["server.port"] = settings.port
        return TracedInterface(interface, self.tracer, names, server)


class SpanIds(logging.Filter):
    """Lets every record through, with the ids of the span that it was made in."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Adds `trace_id` and `span_id`, where there is a span."""
        context = get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = format_trace_id(context.trace_id)
            record.span_id = format_span_id(context.span_id)
        return True
