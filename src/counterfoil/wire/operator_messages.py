"""What operators are told: journal, refusals, keys, credentials, health. No type here has room for a secret or a context."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from counterfoil.model.journal import Event
from counterfoil.model.principal import Role
from counterfoil.model.verdict import Reason
from counterfoil.wire.messages import Body, ClientId, PasscodeText, TimeUs

Cursor = Annotated[str, Meta(description="To be given as `cursor` with the same question, to look on; null when all was seen.")]
Count = Annotated[int, Meta(ge=0)]
By = Annotated[str, Meta(description="Who asked: of an issue the credential's id, of all else the credential's name.")]


class JournalEntry(Struct, frozen=True):
    """One decision, as the journal has it. `timestamp` is null where none could be read."""

    seq: int
    at: TimeUs
    event: Event
    client_id: ClientId
    timestamp: TimeUs | None
    by: By
    reason: Reason | None
    redemption_id: str | None


class JournalAnswer(Struct, frozen=True):
    """What one look found. It passed entries from `seen_from` to `seen_to`; both are null where there was none to pass."""

    entries: list[JournalEntry]
    next: Cursor | None
    seen_from: TimeUs | None
    seen_to: TimeUs | None


class PasscodeStoryBody(Body, frozen=True):
    """Whose story to tell: exactly one of `passcode` and `timestamp`."""

    client_id: ClientId
    passcode: PasscodeText | UnsetType = UNSET
    timestamp: TimeUs | UnsetType = UNSET


class CounterfoilNow(Struct, frozen=True):
    """How a counterfoil stands. `expired` is an issued one whose time is over."""

    state: Literal["issued", "expired", "redeemed", "revoked", "locked"]
    attempts: Count
    expires_at: TimeUs
    key_id: str


class PasscodeStory(Struct, frozen=True):
    """The story of a client's timestamp, from the oldest entry on; `next` looks on at `GET /v1/journal`.

    It is told of the timestamp: whether what was pasted is genuine is not looked at. `timestamp` is null for what is not
    spelled as a passcode, `counterfoil` where none is kept, or not any more.
    """

    client_id: ClientId
    well_formed: bool
    timestamp: TimeUs | None
    counterfoil: CounterfoilNow | None
    entries: list[JournalEntry]
    next: Cursor | None
    seen_from: TimeUs | None
    seen_to: TimeUs | None


class RefusalGroupAnswer(Struct, frozen=True):
    """Refusals of one client's passcodes, to one caller, for one reason."""

    client_id: ClientId
    by: By
    reason: Reason
    count: Count
    first_at: TimeUs
    last_at: TimeUs


class RefusalBins(Struct, frozen=True):
    """The same refusals over time: for each reason that occurs as many counts as there are `starts`."""

    width_us: Count
    starts: list[TimeUs]
    counts: dict[str, list[Count]]


class RefusalsAnswer(Struct, frozen=True):
    """The refusals from `since`, which is as far back as was looked, to before `until`."""

    since: TimeUs
    until: TimeUs
    groups: Annotated[list[RefusalGroupAnswer], Meta(description="The largest first, 200 at most.")]
    left_off: Annotated[int, Meta(description="Refusals that are in none of the groups.", ge=0)]
    bins: RefusalBins
    next: Cursor | None


class KeyAnswer(Struct, frozen=True):
    """A key, without its material. `rotation_due`: it seals, and is older than the setting `key_rotation_s`."""

    key_id: str
    state: Literal["primary", "opening", "retired"]
    created_at: TimeUs
    rotation_due: bool


class KeysAnswer(Struct, frozen=True):
    """The keys. Under a managed key the primary one alone, which the service replaces by itself."""

    epoch: int
    keys: list[KeyAnswer]
    whole: Annotated[bool, Meta(description="Whether all keys are listed.")]
    rotates_itself: bool


class CredentialAnswer(Struct, frozen=True):
    """A credential, without its secrets. `last_used_at` is null where no entry tells of it; operators' deeds have none."""

    id: str
    name: str
    role: Role
    client_patterns: list[str]
    created_at: TimeUs
    secret_created_at: Annotated[TimeUs | None, Meta(description="Of its newest secret.")]
    live_secrets: Annotated[int, Meta(description="2 while one secret is being exchanged for another.", ge=0)]
    expires_at: TimeUs | None
    revoked_at: TimeUs | None
    passcodes_revoked: bool
    last_used_at: TimeUs | None


class CredentialsAnswer(Struct, frozen=True):
    """The credentials. `looked_back_to` says how far back their last uses were looked for; null where there is no journal."""

    credentials: list[CredentialAnswer]
    looked_back_to: TimeUs | None


class HealthCheck(Struct, frozen=True):
    """One thing that was looked at, and what mends it. `ok` is false for a warning and for a problem."""

    name: str
    ok: bool
    level: Literal["ok", "warning", "problem"]
    says: str
    mend: str


class HealthChecksAnswer(Struct, frozen=True):
    """What `counterfoil doctor` would say, and whether the service takes writes and has keys."""

    checks: list[HealthCheck]
