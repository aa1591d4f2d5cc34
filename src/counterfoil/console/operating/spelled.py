"""Numbers and times as people read them. Times are UTC, as in the log and the journal."""

from datetime import UTC, datetime, timedelta

_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Times go further than calendars do here: a passcode that somebody made up may say any.
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_NOTHING = "–"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def rate(per_s: float | None) -> str:
    """A number of things in a second, with as many digits as mean something."""
    if per_s is None:
        return _NOTHING
    return f"{per_s:,.0f}".replace(",", " ") if per_s >= 100 else f"{per_s:.1f}" if per_s >= 0.095 or not per_s else "< 0.1"


def count(number: float) -> str:
    """A whole number, in groups of three digits."""
    return f"{number:,.0f}".replace(",", " ")


def took(seconds: float | None) -> str:
    """How long something took."""
    if seconds is None:
        return _NOTHING
    ms = seconds * 1000
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.0f} ms" if ms < 1000 else f"{seconds:.1f} s"


def share(part: float | None) -> str:
    """A part of one in per cent. All but all is not all: 100 % is said of exactly that."""
    if part is None:
        return _NOTHING
    return f"{100 * part:.0f} %" if part in (0.0, 1.0) else f"{min(max(100 * part, 0.1), 99.9):.1f} %"


def moment(us: int) -> str:
    """Date and time to the second."""
    return f"{_beyond(us)}{_at(us):%Y-%m-%d %H:%M:%S} UTC"


def exactly(us: int) -> str:
    """Date and time to the microsecond."""
    return f"{_beyond(us)}{_at(us):%Y-%m-%d %H:%M:%S.%f} UTC"


def machine(us: int) -> str:
    """The same for programs that read the page."""
    return f"{_at(us):%Y-%m-%dT%H:%M:%S.%fZ}"


def clock(us: int) -> str:
    """The time of day."""
    return f"{_at(us):%H:%M:%S}"


def ago(us: int, now_us: int) -> str:
    """How long ago it was, or how soon it will be, in the largest unit that fits."""
    passed_s = abs(now_us - us) // _US
    if not passed_s:
        return "just now"
    return f"{lasting(passed_s)} ago" if us < now_us else f"in {lasting(passed_s)}"


def lasting(seconds: float) -> str:
    """A length of time in the largest unit that fits."""
    for unit_s, name in _UNITS:
        number = int(seconds // unit_s)
        if number:
            return f"{number} {name}{'s' * (number != 1)}"
    return "less than a second"


def after(us: int, start_us: int) -> str:
    """How long after something began."""
    passed_s = (us - start_us) / _US
    sign = "+" if passed_s >= 0 else "−"
    passed_s = abs(passed_s)
    return f"{sign}{passed_s:.3f} s" if passed_s < 120 else f"{sign}{lasting(passed_s)}"


def _at(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(us, _LAST_US))


def _beyond(us: int) -> str:
    return "after " if us > _LAST_US else ""
