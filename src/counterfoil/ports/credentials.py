"""Who may call. Revocation is effective for every request that is sent after it, in every process."""

from typing import NamedTuple, Protocol, runtime_checkable

from counterfoil.model.principal import Principal, Role


class CredentialsUnavailable(Exception):
    """The credentials cannot be read now. Nobody is let in and nobody is refused: ask again."""


class Credentials(Protocol):
    """The credentials of this deployment. Both verbs may raise CredentialsUnavailable."""

    async def principal(self, presented: str) -> Principal | None:
        """Who presents this (a secret, or a subject that a gateway verified); None when it is nobody's, expired or revoked."""

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        """Whether that credential was revoked together with the passcodes that it issued."""


class ListedCredential(NamedTuple):
    """What may be told of a credential: never a secret or a digest of one."""

    credential_id: str
    name: str
    role: Role
    client_patterns: tuple[str, ...]
    created_at_us: int
    secret_created_at_us: int | None
    """When its newest secret was made; None once it is revoked, which forgets the secrets."""
    live_secrets: int
    """Two while a secret is being exchanged for another; none when all are expired or forgotten."""
    expires_at_us: int | None
    """The first microsecond at which none of its secrets is taken any more; None where no such time is set."""
    revoked_at_us: int | None
    are_passcodes_revoked: bool


@runtime_checkable
class ListsCredentials(Protocol):
    """What credentials are beside Credentials when they can tell which there are."""

    def listed(self) -> tuple[ListedCredential, ...]:
        """All of them, the revoked ones too. Raises CredentialsUnavailable."""
