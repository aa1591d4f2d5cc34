"""From a URL to a store. A new store is one file and one line here."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import JournalKey
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.commit_watch import CommitWatch
from counterfoil.ports.store import Store


def open_store(
    url: str,
    *,
    now_us: NowUs,
    retention_s: int,
    journal_key: JournalKey | None,
    journal_retention_s: int,
    epoch: int,
    waiting_max: int,
    on_fatal: Callable[[], None],
    commit_watch: CommitWatch | None = None,
) -> Store:
    """The store that `url` names: `sqlite:PATH`, `dynamodb://TABLE[?region=…]` or `memory:`. Raises StoreUnfit, Invalid."""
    # Each engine is imported when chosen: another one's users need not have it.
    if url == "memory:":
        from counterfoil.stores.memory import MemoryStore

        return MemoryStore(now_us, retention_s)
    if urlsplit(url).scheme == "sqlite":
        from counterfoil.stores.sqlite import SqliteStore

        if journal_key is None:
            raise Invalid("keys", "must name a keyset file with this store: the key of its journal is there")
        return SqliteStore(
            sqlite_path(url),
            now_us,
            journal_key=journal_key,
            retention_s=retention_s,
            journal_retention_s=journal_retention_s,
            epoch=epoch,
            waiting_max=waiting_max,
            on_fatal=on_fatal,
            commit_watch=commit_watch,
        )
    if urlsplit(url).scheme == "dynamodb":
        return _dynamodb_store(url, now_us, retention_s, waiting_max)
    raise Invalid("store", "must be a URL that begins with sqlite:, dynamodb: or memory:")


def keeps_limits(url: str) -> bool:
    """Whether the store that `url` names keeps limits per client: where an insert and an account are one step."""
    return urlsplit(url).scheme != "dynamodb"


def _dynamodb_store(url: str, now_us: NowUs, retention_s: int, waiting_max: int) -> Store:
    from counterfoil.aws.client import aws_client
    from counterfoil.stores.dynamodb import DynamoDbStore

    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if not parts.netloc or parts.path or not options.keys() <= {"region", "endpoint"}:
        raise Invalid(
            "store", "must be dynamodb://TABLE, with ?region=… and &endpoint=… where the environment does not say them"
        )
    client = aws_client("dynamodb", options.get("region"), options.get("endpoint"))
    return DynamoDbStore(client, parts.netloc, now_us, retention_s=retention_s, waiting_max=waiting_max)


def sqlite_path(url: str) -> Path:
    """The file that an `sqlite:` URL names. Raises Invalid for every other URL."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or not parts.path:
        raise Invalid("store", "must be an sqlite: URL with a path and no host")
    return Path(unquote(parts.path))
