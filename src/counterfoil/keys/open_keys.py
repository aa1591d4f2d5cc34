"""From a URL to a key provider. A new provider is one file and one line here."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.model.invalid import Invalid
from counterfoil.ports.keys import KeyProvider


def open_keys(url: str) -> KeyProvider:
    """The key provider that `url` names: `file:///absolute/path` or `file:relative/path`. Raises Invalid."""
    return KeysetFile(keyset_path(url))


def keyset_path(url: str) -> Path:
    """The file that a `file:` URL names. Raises Invalid for every other URL."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path:
        raise Invalid("keys", "must be a file: URL with a path and no host")
    return Path(unquote(parts.path))
