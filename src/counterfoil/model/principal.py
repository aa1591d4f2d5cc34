"""Who is calling: a credential's name, role and reach. It never holds the secret."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import CLIENT_ID_CHARS_MAX


class Role(StrEnum):
    """What a credential may do. Intermediaries have none."""

    ISSUER = "issuer"
    VALIDATOR = "validator"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `name` survives the exchange of its secret; `credential_id` is never used again."""

    name: str
    credential_id: str
    role: Role
    client_patterns: tuple[str, ...] = ()

    def covers(self, client_id: str) -> bool:
        """Whether this issuer may act for that client. Other roles act for every client."""
        if self.role is not Role.ISSUER:
            return True
        return "*" in self.client_patterns or any(fnmatchcase(client_id, pattern) for pattern in self.client_patterns)


def checked_client_pattern(text: str) -> str:
    """The pattern itself: a client id in which `*` stands for any characters and nothing else is special."""
    if not 1 <= len(text) <= CLIENT_ID_CHARS_MAX or not text.isprintable():
        raise Invalid("client", f"patterns must be 1 to {CLIENT_ID_CHARS_MAX} printable characters")
    if any(special in text for special in "?[]"):
        raise Invalid("client", "patterns know no wildcard but *")
    return text
