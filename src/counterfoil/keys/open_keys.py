"""From a URL to a key provider. A new provider is one file and one line here."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.model.invalid import Invalid
from counterfoil.ports.keys import KeyProvider


def open_keys(url: str) -> KeyProvider:
    """The key provider that `url` names: `file:///absolute/path` or `file:relative/path`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return KeysetFile(Path(unquote(parts.path)))
    raise Invalid("keys", "must be a URL that begins with file:")
