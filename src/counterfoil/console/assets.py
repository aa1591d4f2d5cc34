"""The console's own files, each under a name that holds its digest. What is vendored is listed with its digest and licence.

`vendored.toml` in the assets folder has an entry for every file that was not written here.
"""

from hashlib import sha256
from importlib.resources import files

from counterfoil.api.http import Response
from counterfoil.console.answers import asset
from counterfoil.console.cookies import PATH

_TYPES = {
    "svg": b"image/svg+xml",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
}
_DIGEST_CHARS = 16


class Assets:
    """All of them, read once."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._responses: dict[str, Response] = {}
        found = {each.name: each.read_bytes() for each in files(__package__).joinpath("assets").iterdir()}
        # Style sheets last: they name pictures, and are to name them as they are served.
        for suffix, content_type in _TYPES.items():
            for name in sorted(each for each in found if each.endswith(f".{suffix}")):
                self._add(name, content_type, found[name])

    def path(self, name: str) -> str:
        """Where the file is served."""
        return self._paths[name]

    def response(self, path: str) -> Response | None:
        """The file that is served there, if one is."""
        return self._responses.get(path)

    def _add(self, name: str, content_type: bytes, body: bytes) -> None:
        if name.endswith(".css"):
            for each, path in self._paths.items():
                body = body.replace(f"url({each})".encode(), f"url({path})".encode())
        stem, _, suffix = name.rpartition(".")
        path = f"{PATH}/assets/{stem}.{sha256(body).hexdigest()[:_DIGEST_CHARS]}.{suffix}"
        self._paths[name] = path
        self._responses[path] = asset(content_type, body)
