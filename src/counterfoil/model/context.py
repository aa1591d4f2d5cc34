"""Context: string pairs that must be the same at both ends. It never trims, folds case or normalises."""

import re
from collections.abc import Mapping
from typing import TypeAlias

from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import CONTEXT_NAME_CHARS_MAX, CONTEXT_PAIRS_MAX, CONTEXT_VALUE_CHARS_MAX

Context: TypeAlias = Mapping[str, str]
"""At most 16 pairs. `None` where a context may stand means absent, which differs from empty."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def checked_context(pairs: Mapping[str, str], field: str = "context") -> Context:
    """The same pairs, within their bounds: names of 1 to 64 printable characters, values of at most 512."""
    if len(pairs) > CONTEXT_PAIRS_MAX:
        raise Invalid(field, f"must have at most {CONTEXT_PAIRS_MAX} pairs")
    for name, value in pairs.items():
        if not 1 <= len(name) <= CONTEXT_NAME_CHARS_MAX or not name.isprintable():
            raise Invalid(field, f"names must be 1 to {CONTEXT_NAME_CHARS_MAX} printable characters")
        if len(value) > CONTEXT_VALUE_CHARS_MAX:
            raise Invalid(field, f"values must have at most {CONTEXT_VALUE_CHARS_MAX} characters")
        if _CONTROL.search(value):
            raise Invalid(field, "values must have no control characters")
    return pairs
