"""What goes out of the console, with the headers that hold a browser to it: no script but ours, no frame, no other host."""

from counterfoil.api.http import Headers, Response

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
SECURITY: Headers = (
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_NOT_KEPT: Headers = ((b"cache-control", b"no-store"),)
# A year, as long as caches keep anything: another content has another name.
_KEPT: Headers = ((b"cache-control", b"public, max-age=31536000, immutable"),)


def page(body: str, status: int = 200, more: Headers = ()) -> Response:
    """A page, kept by nobody."""
    return Response(status, ((b"content-type", b"text/html; charset=utf-8"), *_NOT_KEPT, *SECURITY, *more), body.encode())


def see_other(path: str, more: Headers = ()) -> Response:
    """Go on there, with a GET: reloading what is shown then repeats nothing."""
    return Response(303, ((b"location", path.encode()), *_NOT_KEPT, *SECURITY, *more), b"")


def asset(content_type: bytes, body: bytes) -> Response:
    """A file whose name changes with its content."""
    return Response(200, ((b"content-type", content_type), *_KEPT, *SECURITY), body)
