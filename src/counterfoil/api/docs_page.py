"""The documentation page: Swagger UI from its own package's files, served from here, so that it opens without a network.

The files are those of npm's `swagger-ui-dist` 5.35.0 (Apache-2.0, see docs_assets), compressed;
`make docs-assets` fetches them again.
"""

import gzip
from functools import cache
from importlib.resources import files

from counterfoil.api.handlers import Call
from counterfoil.api.http import Headers, Response, content

_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Counterfoil API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<main id="api">Loading the interface description &hellip;</main>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
"""
_SCRIPT = b"""SwaggerUIBundle({
  url: "openapi.json", dom_id: "#api", deepLinking: true, tryItOutEnabled: true, validatorUrl: null
});
"""
# Swagger UI shows its icons as data, and sets styles by script alone; nothing is inline, and nothing may come from elsewhere.
_POLICY: Headers = (
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"; ".join(
            (
                b"default-src 'none'",
                b"script-src 'self'",
                b"style-src 'self'",
                b"img-src 'self' data:",
                b"connect-src 'self'",
                b"base-uri 'none'",
                b"form-action 'none'",
                b"frame-ancestors 'none'",
            )
        ),
    ),
)


class DocsPage:
    """The page, what it loads, and the document that it shows."""

    def __init__(self) -> None:
        self.document = b"{}"

    async def openapi(self, call: Call) -> Response:
        return content(b"application/json", self.document)

    async def page(self, call: Call) -> Response:
        return content(b"text/html; charset=utf-8", _PAGE, _POLICY)

    async def script(self, call: Call) -> Response:
        return content(b"text/javascript; charset=utf-8", _SCRIPT)

    async def style(self, call: Call) -> Response:
        return _asset(call, "swagger-ui.css", b"text/css; charset=utf-8")

    async def library(self, call: Call) -> Response:
        return _asset(call, "swagger-ui-bundle.js", b"text/javascript; charset=utf-8")


def _asset(call: Call, name: str, content_type: bytes) -> Response:
    if b"gzip" in call.request.headers.get(b"accept-encoding", b""):
        return content(content_type, _packed(name), ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")))
    return content(content_type, _unpacked(name))


@cache
def _packed(name: str) -> bytes:
    return files(__package__).joinpath("docs_assets", f"{name}.gz").read_bytes()


@cache
def _unpacked(name: str) -> bytes:
    """Once: a stranger may ask for it as often as it likes, and all requests wait while it is unpacked."""
    return gzip.decompress(_packed(name))
