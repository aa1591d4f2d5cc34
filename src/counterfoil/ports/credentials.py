"""Who may call. Revocation is effective for every request that is sent after it, in every process."""

from typing import Protocol

from counterfoil.model.principal import Principal


class CredentialsUnavailable(Exception):
    """The credentials cannot be read now. Nobody is let in and nobody is refused: ask again."""


class Credentials(Protocol):
    """The credentials of this deployment. Both verbs may raise CredentialsUnavailable."""

    async def principal(self, presented: str) -> Principal | None:
        """Who presents this (a secret, or a subject that a gateway verified); None when it is nobody's, expired or revoked."""

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        """Whether that credential was revoked together with the passcodes that it issued."""
