"""From a URL to a store. A new store is one file and one line here."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from counterfoil.model.invalid import Invalid
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.store import Store
from counterfoil.stores.memory import MemoryStore


def open_store(
    url: str, *, now_us: NowUs, retention_s: int, epoch: int, waiting_max: int, on_fatal: Callable[[], None]
) -> Store:
    """The store that `url` names: `sqlite:///absolute/path`, `sqlite:relative/path` or `memory:`. Raises StoreUnfit."""
    if url == "memory:":
        return MemoryStore(now_us, retention_s)
    if urlsplit(url).scheme == "sqlite":
        # Imported when chosen: another store's users need not have this engine.
        from counterfoil.stores.sqlite import SqliteStore

        return SqliteStore(
            sqlite_path(url),
            now_us,
            retention_s=retention_s,
            epoch=epoch,
            waiting_max=waiting_max,
            on_fatal=on_fatal,
        )
    raise Invalid("store", "must be a URL that begins with sqlite: or memory:")


def sqlite_path(url: str) -> Path:
    """The file that an `sqlite:` URL names. Raises Invalid for every other URL."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or not parts.path:
        raise Invalid("store", "must be an sqlite: URL with a path and no host")
    return Path(unquote(parts.path))
