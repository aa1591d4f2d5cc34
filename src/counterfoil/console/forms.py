"""Forms: what a page sent, read within bounds, and the token that says that the page was ours."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl

from counterfoil.api.http import Request

Form: TypeAlias = Mapping[str, str]

HIDDEN_FIELD = "form_token"
FIELDS_MAX = 64
# Far more than any form of ours needs. Decoding costs time by the byte, and a stranger's login form is decoded too.
FORM_BYTES_MAX = 8 * 1024
_CONTENT_TYPE = b"application/x-www-form-urlencoded"


class FormRefused(ValueError):
    """What came is no form of ours. The message names the rule, and repeats nothing of what came."""


def read_form(request: Request) -> Form:
    """The fields by name. Raises FormRefused."""
    if request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _CONTENT_TYPE:
        raise FormRefused("The body must be a form.")
    if len(request.body) > FORM_BYTES_MAX:
        raise FormRefused(f"The form must have at most {FORM_BYTES_MAX} bytes.")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise FormRefused(f"The form must be UTF-8 and have at most {FIELDS_MAX} fields.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise FormRefused("The form must have no field twice.")
    return fields


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Ties forms to the cookie of whoever was shown them: another site can make a browser send one, and not the other."""

    key: bytes = field(repr=False)

    def token(self, cookie: str) -> str:
        """What the forms of this visitor carry."""
        return hmac.digest(self.key, cookie.encode(), "sha256").hex()

    def check(self, cookie: str | None, form: Form) -> None:
        """Raises FormRefused unless the form was shown to this visitor."""
        presented = form.get(HIDDEN_FIELD, "").encode()
        if cookie is None or not hmac.compare_digest(self.token(cookie).encode(), presented):
            raise FormRefused("This form is out of date, or not from this page. Load the page again and repeat.")
