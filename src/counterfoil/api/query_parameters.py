"""Query parameters, read strictly: one spelling, each once, none that is not known. They are logged nowhere."""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl

from counterfoil.api.http import Request
from counterfoil.model.invalid import Invalid

E = TypeVar("E", bound=StrEnum)

_DIGITS_MAX = 19
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NO_OTHER_NAMES: Mapping[str, str] = {}


def read_parameters(
    request: Request,
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    other_names: Mapping[str, str] = _NO_OTHER_NAMES,
) -> dict[str, str]:
    """The parameters under their names. Raises Invalid, which names the rule and never what was sent."""
    if request.body:
        raise Invalid("body", "must be empty: this route takes query parameters")
    parameters: dict[str, str] = {}
    for name, value in _pairs(request.query):
        known_name = other_names.get(name, name)
        if known_name not in required and known_name not in optional:
            raise Invalid("query", "has a parameter that is not known here")
        if known_name in parameters:
            raise Invalid(known_name, "must be given once")
        parameters[known_name] = value
    for name in sorted(set(required) - parameters.keys()):
        raise Invalid(name, "is required")
    return parameters


def read_whole_number(parameters: Mapping[str, str], name: str, rule: str, most: int = 2**63 - 1) -> int | None:
    """The number in digits from 0 to `most`; None where none was given. Raises Invalid with the rule."""
    text = parameters.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX or int(text) > most:
        raise Invalid(name, rule)
    return int(text)


def read_choice(parameters: Mapping[str, str], name: str, kind: type[E]) -> E | None:
    """The member that was named; None where none was. Raises Invalid, which lists them."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Invalid(name, f"must be one of {', '.join(kind)}") from None


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if not query:
        return []
    if not _BAD_ESCAPE.search(query):
        # The library would take a bad escape as it stands, and one client id would have two spellings.
        try:
            return parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError:
            pass
    raise Invalid("query", "must be name=value pairs in URL encoding")
