"""Cookies of the console: read without guessing, and set so that no script and no other site gets at them."""

from counterfoil.api.http import Headers, Request

PATH = "/console"


def cookie(request: Request, name: str) -> str | None:
    """The value of the one cookie of that name; None where there is none, or more than one."""
    pairs = request.headers.get(b"cookie", b"").decode("latin-1").split(";")
    values = [value for each, _, value in (pair.strip().partition("=") for pair in pairs) if each == name]
    return values[0] if len(values) == 1 else None


def set_cookie(name: str, value: str, *, over_tls: bool) -> Headers:
    """Lives as long as the browser does; an empty value takes the cookie away."""
    secure = "; Secure" if over_tls else ""
    gone = "" if value else "; Max-Age=0"
    return ((b"set-cookie", f"{name}={value}; Path={PATH}; HttpOnly; SameSite=Strict{secure}{gone}".encode()),)
