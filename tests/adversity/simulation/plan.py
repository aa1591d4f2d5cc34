"""A run as data: who calls what when, how long each message and step takes, and what goes wrong. It plays nothing.

Nothing is drawn while a plan is played, so that a run is its plan, and leaving a step out leaves all others as they were.
"""

from enum import IntEnum, StrEnum
from typing import NamedTuple

from tests.adversity.simulation.history import Kind, Misfit

ISSUERS = ("shop", "kiosk")
VALIDATORS = ("bank", "desk", "gate")
PROCESSES = 3


class Site(IntEnum):
    """Where an execution pauses, so that others may run, the clock may step, and faults may strike."""

    BEFORE_FIND = 0
    AFTER_FIND = 1
    BEFORE_WRITE = 2
    AFTER_WRITE = 3
    CREDENTIALS = 4
    KEYS = 5


class Fault(StrEnum):
    """What goes wrong with one message, or in one execution."""

    LOST_REQUEST = "lost request"
    LATE_REQUEST = "late request"
    LOST_ANSWER = "lost answer"
    LATE_ANSWER = "late answer"
    READ_FAILS = "store fault in a read"
    FAILS_BEFORE_EFFECT = "store fault before the effect"
    FAILS_AFTER_EFFECT = "store fault after the effect"
    KEYS_UNAVAILABLE = "keys unavailable"
    CREDENTIALS_UNAVAILABLE = "credentials unavailable"
    CRASH_AT_CREDENTIALS = "crash before the credentials are read"
    CRASH_AT_KEYS = "crash before the keys are read"
    CRASH_BEFORE_READ = "crash before a read"
    CRASH_AFTER_READ = "crash after a read"
    CRASH_BEFORE_EFFECT = "crash before the effect"
    CRASH_AFTER_EFFECT = "crash after the effect"


FAILS_AT = {
    Fault.READ_FAILS: Site.AFTER_FIND,
    Fault.FAILS_BEFORE_EFFECT: Site.BEFORE_WRITE,
    Fault.FAILS_AFTER_EFFECT: Site.AFTER_WRITE,
    Fault.KEYS_UNAVAILABLE: Site.KEYS,
    Fault.CREDENTIALS_UNAVAILABLE: Site.CREDENTIALS,
}
CRASHES_AT = {
    Fault.CRASH_AT_CREDENTIALS: Site.CREDENTIALS,
    Fault.CRASH_AT_KEYS: Site.KEYS,
    Fault.CRASH_BEFORE_READ: Site.BEFORE_FIND,
    Fault.CRASH_AFTER_READ: Site.AFTER_FIND,
    Fault.CRASH_BEFORE_EFFECT: Site.BEFORE_WRITE,
    Fault.CRASH_AFTER_EFFECT: Site.AFTER_WRITE,
}


class Anchor(StrEnum):
    """What a call's time is counted from."""

    START = "start"
    ISSUED = "issued"
    """When the passcode reached who asked for it."""
    EXPIRY = "expiry"
    """When the clock of the process that is asked first reads the passcode's expiry."""


class Delivery(NamedTuple):
    """One message to one process, and its answer."""

    process: int
    travel_us: int
    pace_us: tuple[int, ...]
    """How long the execution waits at each site."""
    back_us: int
    fault: Fault | None = None


class Terms(NamedTuple):
    """What a passcode is issued for; context and transaction by their number in `requests`."""

    client_id: str
    lifetime_s: int
    context: int
    transaction: int


class Call(NamedTuple):
    """What one caller sets out to do: one message, and further ones while it knows no answer."""

    kind: Kind
    caller: str
    passcode: int
    """Which issue of the plan it is about, or is."""
    anchor: Anchor
    offset_us: int
    tries: tuple[Delivery, ...]
    twin: Delivery | None = None
    """The first message once more, where the network delivers it twice."""
    redemption_id: str = ""
    misfit: Misfit | None = None
    turn: int = 0
    """Which of several ways to present, to alter or to name it."""
    terms: Terms | None = None


class Happening(StrEnum):
    """What befalls the world at its time, whoever calls."""

    CLOCK_FORWARD = "clock step forward"
    CLOCK_BACK = "clock step back"
    CRASH = "crash while others call"
    ROTATION = "key rotation"
    RETIREMENT = "key retirement"
    CREDENTIAL_REVOKED = "credential revoked with its passcodes"
    BACKUP = "backup"
    RESTORE = "epoch bump"
    SWEEP = "swept by the broom"


class Incident(NamedTuple):
    """One happening: when, and to which process or issuer."""

    what: Happening
    at_us: int
    number: int = 0


class Plan(NamedTuple):
    """All of one run. `seed` also gives the service its randomness."""

    seed: int
    skews_us: tuple[int, ...]
    """How far each process's clock is off at the start."""
    broom_lag_us: int
    calls: tuple[Call, ...]
    incidents: tuple[Incident, ...]
