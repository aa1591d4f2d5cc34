"""The HTTP server: uvicorn with uvloop and httptools around the ASGI shell.

It refuses to listen where passcodes would travel in clear.
"""

import asyncio
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn

from counterfoil.entrypoints.asgi import AsgiShell
from counterfoil.entrypoints.bounded_http import BoundedProtocol
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.listening import refuse_clear_text
from counterfoil.model.invalid import Invalid
from counterfoil.ports.ambient import NowUs
from counterfoil.server_wiring import Mode, service
from counterfoil.settings import Settings
from counterfoil.wiring import system_now_us

EXIT_STORE_FAILED = 70
_BACKLOG = 2048
_GRACE_S = 10
_KEEP_ALIVE_S = 75
_CONNECTIONS_MIN = 16
_CONNECTIONS_MAX = 65536
_OWN_FILES = 64
# Requests in flight alone are more objects than the collector's own default for a look at the young ones (700): it looked at
# them again and again, and found nothing, since what a request leaves behind goes by counting references.
_YOUNG_OBJECTS_MAX = 20_000


def serve(
    settings: Settings, on_ready: Callable[[str], None], *, now_us: NowUs = system_now_us, mode: Mode | None = None
) -> int:
    """Serves until SIGTERM or SIGINT, and gives the exit status. `on_ready` gets the URL once requests are taken.

    Raises like `wiring.service`, and Invalid for an address that must not or cannot be listened on.
    """
    refuse_clear_text(settings)
    for name, path in (("tls_cert", settings.tls_cert), ("tls_key", settings.tls_key)):
        if path and not Path(path).is_file():
            raise Invalid(name, "names no file")
    return asyncio.Runner(loop_factory=_loop_factory()).run(_serve(settings, on_ready, now_us, mode))


async def _serve(settings: Settings, on_ready: Callable[[str], None], now_us: NowUs, mode: Mode | None) -> int:
    listener = _listener(settings)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    failed = False

    def on_fatal() -> None:
        # From whichever thread met the error. Requests in flight still get their 503.
        nonlocal failed
        failed = True
        loop.call_soon_threadsafe(stop.set)

    observer = PrometheusObserver()
    ready = service(settings, observer=observer, on_fatal=on_fatal, now_us=now_us, mode=mode)
    observer.watch(ready.store, ready.keys, now_us)
    if ready.tracing is not None:
        ready.tracing.name_spans_in_log()
    server = _Server(_configuration(AsgiShell(ready.front, ready.close), settings, _connections_max()))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.005)
    if server.started:
        _calm_collector()
        on_ready(_url(settings, listener))
        await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
    await serving
    return EXIT_STORE_FAILED if failed else 0


def _calm_collector() -> None:
    """Has the garbage collector leave alone what lives as long as the process, and look seldom at the rest."""
    gc.collect()
    gc.freeze()
    _, *of_the_older = gc.get_threshold()
    gc.set_threshold(_YOUNG_OBJECTS_MAX, *of_the_older)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn would raise the signal again after the end, and the exit status would be lost."""
        yield


def _connections_max() -> int:
    """As many connections as files may be open, less what the process needs itself: strangers must not close the store."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(_CONNECTIONS_MIN, min(hard, _CONNECTIONS_MAX) - _OWN_FILES)


def _configuration(app: AsgiShell, settings: Settings, connections_max: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(BoundedProtocol, connections_max=connections_max),  # type: ignore[arg-type]  # made like a class
        ws="none",
        lifespan="on",
        # Access logs would print query strings, and the seed-compatible routes have names in theirs.
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        # Longer than pools keep a connection: one that the server closes first is a lost answer to whoever just sent on it.
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as cause:
        listener.close()
        where = f"{settings.host} port {settings.port} cannot be listened on: {cause.strerror}"
        raise Invalid("host and port", f"{where}; stop what listens there, or give another --port") from cause
    listener.setblocking(False)
    return listener


def _url(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        logging.getLogger(__name__).info("uvloop is not installed: serving on asyncio's own loop")
        return None
    return uvloop.new_event_loop
