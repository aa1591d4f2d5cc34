"""Every setting of a service: its default, its unit, and where it comes from. It opens nothing.

Settings come from `COUNTERFOIL_…` in the environment, over a TOML file (section `[counterfoil]`), over these defaults.
docs/settings.md is made from this file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from counterfoil.model.context import Context, checked_context
from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import (
    JOURNAL_RETENTION_S_DEFAULT,
    LIFETIME_S_DEFAULT,
    LIFETIME_S_MAX,
    LIFETIME_S_MIN,
    RETENTION_S_DEFAULT,
)
from counterfoil.model.usage import IssueLimits

ENVIRONMENT_PREFIX = "COUNTERFOIL_"
_SECTION = "counterfoil"
_KEY_REUSE_S_MAX = 24 * 3600
_RATE_MAX = 1_000_000
_RETENTION_S_MAX = 30 * 24 * 3600


@dataclass(frozen=True)
class Settings:
    """The settings of one service. `checked` says whether they make sense together."""

    data: Path = Path("counterfoil-data")
    """The folder of store, keyset and credentials, where these are not named one by one."""
    store: str = ""
    """URL of the store; by default `counterfoil.db` in `data`. `memory:` keeps nothing."""
    keys: str = ""
    """URL of the keys; by default `keyset.json` in `data`. `aws-kms:ARN?table=NAME` for keys that AWS KMS wraps."""
    stage: str = ""
    """Name of the deployment in the managed key's context, such as `prod`; readers of its audit log see it."""
    epoch: int = 1
    """Managed keys only: raising it retires every earlier key, so that a restored store accepts nothing issued before."""
    strict_keys: bool = False
    """Managed keys only: a key of its own for every passcode, one call to make it and one to open it."""
    key_reuse_s: int = 300
    """Managed keys only: how long one data key seals, in seconds."""
    key_reuse_max: int = 1_000_000
    """Managed keys only: how many passcodes one process seals under one data key."""
    key_rotation_s: int = 90 * 24 * 3600
    """Keyset files only: how old the primary key may be before `doctor` calls for a rotation, in seconds; 90 days."""
    credentials: str = ""
    """Path of the credential file; by default `credentials.json` in `data`."""
    host: str = "127.0.0.1"
    """Address to listen on. Any but a loopback address needs TLS, here or upstream."""
    port: int = 8080
    """TCP port to listen on; 0 takes a free one."""
    tls_cert: str = ""
    """Path of the certificate chain, PEM."""
    tls_key: str = ""
    """Path of the certificate's private key, PEM."""
    tls_terminated_upstream: bool = False
    """Says that a proxy in front speaks TLS, so that a non-loopback address may be listened on without."""
    lifetime_default_s: int = LIFETIME_S_DEFAULT
    """Lifetime of a passcode for which none is asked, in seconds."""
    lifetime_max_s: int = LIFETIME_S_MAX
    """The longest lifetime that may be asked for, in seconds; 600 at most."""
    retention_s: int = RETENTION_S_DEFAULT
    """How long a counterfoil is kept after its expiry, in seconds: so long can an acceptance be told again."""
    journal_retention_s: int = JOURNAL_RETENTION_S_DEFAULT
    """How long the journal of an SQLite store keeps an entry, in seconds; 90 days. Of several processes the shortest counts."""
    service_context: str = field(default="", repr=False)
    """Context bound at both ends and sent by nobody, as a JSON object of strings, such as `{"stage": "prod"}`."""
    issue_rate_per_s: float = 1000.0
    """Passcodes per second and client; 0 for no limit."""
    issue_burst: int = 1000
    """Passcodes that a client may issue at once before the rate applies."""
    outstanding_max: int = 100_000
    """Live passcodes per client; 0 for no limit."""
    seed_routes: bool = False
    """Whether `generateOtp`, `validateOtp` and `invalidateOtp` are served."""
    console: bool = False
    """Whether the console is served, at `/console`. It needs Jinja2: `pip install 'counterfoil[console]'`."""
    store_waiting_max: int = 4096
    """Writes that may wait for the store before further ones are answered 503."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR. No level logs a secret."""
    log_format: str = "auto"
    """How `serve` logs to stderr: `json`, one object a line; `text`; or `auto`: text on a terminal, JSON elsewhere."""
    access_log: bool = False
    """Whether the log has a line for each request, at INFO: method, route, status, duration, and why it was refused."""
    tracing: bool = False
    """Whether `serve` makes traces and hands them on as `OTEL_…` variables say. It needs `pip install 'counterfoil[otel]'`."""

    @property
    def store_url(self) -> str:
        """Where the counterfoils are."""
        return self.store or f"sqlite:{(self.data / 'counterfoil.db').absolute()}"

    @property
    def keys_url(self) -> str:
        """Where the data keys are."""
        return self.keys or f"file:{(self.data / 'keyset.json').absolute()}"

    @property
    def credentials_path(self) -> Path:
        """Where the credentials are."""
        return Path(self.credentials) if self.credentials else self.data / "credentials.json"

    def issue_limits(self) -> IssueLimits | None:
        """The limits per client; None when both are off."""
        if not self.issue_rate_per_s and not self.outstanding_max:
            return None
        return IssueLimits(self.issue_rate_per_s, self.issue_burst, self.outstanding_max)

    def parsed_service_context(self) -> Context | None:
        """The service context; None where there is none. Raises Invalid."""
        if not self.service_context:
            return None
        try:
            # As pairs, so that a name twice is seen.
            pairs: Any = json.loads(self.service_context, object_pairs_hook=tuple)
        except (ValueError, RecursionError):
            pairs = None
        if not isinstance(pairs, tuple) or not all(isinstance(value, str) for _, value in pairs):
            raise Invalid("service_context", "must be a JSON object of strings")
        if len(dict(pairs)) != len(pairs):
            raise Invalid("service_context", "must have no name twice")
        return checked_context(dict(pairs), "service_context")

    def checked(self) -> "Settings":
        """The same settings. Raises Invalid, naming the setting and its rule."""
        rules = {
            "lifetime_max_s": LIFETIME_S_MIN <= self.lifetime_max_s <= LIFETIME_S_MAX,
            "lifetime_default_s": LIFETIME_S_MIN <= self.lifetime_default_s <= self.lifetime_max_s,
            "retention_s": 0 <= self.retention_s <= _RETENTION_S_MAX,
            "journal_retention_s": self.journal_retention_s >= self.retention_s + self.lifetime_max_s,
            "port": 0 <= self.port <= 65535,
            "issue_rate_per_s": self.issue_rate_per_s == 0 or 0.001 <= self.issue_rate_per_s <= _RATE_MAX,
            "issue_burst": 1 <= self.issue_burst <= _RATE_MAX,
            "outstanding_max": self.outstanding_max >= 0,
            "epoch": 1 <= self.epoch < 2**31,
            "key_reuse_s": 1 <= self.key_reuse_s <= _KEY_REUSE_S_MAX,
            "key_reuse_max": self.key_reuse_max >= 1,
            "key_rotation_s": self.key_rotation_s >= 1,
            "store_waiting_max": self.store_waiting_max >= 1,
            "log_level": self.log_level in ("DEBUG", "INFO", "WARNING", "ERROR"),
            "log_format": self.log_format in ("auto", "json", "text"),
            "tls_cert and tls_key": bool(self.tls_cert) == bool(self.tls_key),
        }
        for name, holds in rules.items():
            if not holds:
                raise Invalid(name, _RULES[name])
        self.parsed_service_context()
        return self


_KINDS: Mapping[str, type] = {
    option.name: Path if option.name == "data" else type(option.default) for option in fields(Settings)
}

_RULES = {
    "lifetime_max_s": f"must be {LIFETIME_S_MIN} to {LIFETIME_S_MAX}",
    "lifetime_default_s": f"must be {LIFETIME_S_MIN} to lifetime_max_s",
    "retention_s": f"must be 0 to {_RETENTION_S_MAX}",
    "journal_retention_s": "must be at least retention_s and lifetime_max_s together",
    "port": "must be 0 to 65535",
    "issue_rate_per_s": f"must be 0, or 0.001 to {_RATE_MAX}",
    "issue_burst": f"must be 1 to {_RATE_MAX}",
    "outstanding_max": "must not be negative",
    "epoch": "must be 1 to 2147483647",
    "key_reuse_s": f"must be 1 to {_KEY_REUSE_S_MAX}",
    "key_reuse_max": "must be at least 1",
    "key_rotation_s": "must be at least 1",
    "store_waiting_max": "must be at least 1",
    "log_level": "must be DEBUG, INFO, WARNING or ERROR",
    "log_format": "must be auto, json or text",
    "tls_cert and tls_key": "must be given together",
}


def load_settings(config: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings from file and environment, with `overrides` (the command line) over both. Raises Invalid."""
    in_file = {} if config is None else _in_file(config)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    return Settings(**{**in_file, **_in_environment(environment), **given}).checked()


def _in_file(config: Path) -> dict[str, Any]:
    import tomllib

    try:
        content = tomllib.loads(config.read_text())
    except FileNotFoundError:
        raise Invalid("config", "names no file") from None
    except OSError as cause:
        raise Invalid("config", f"cannot be read: {cause.strerror}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("config", "is not a TOML file") from None
    section = content.get(_SECTION)
    if content.keys() != {_SECTION} or not isinstance(section, dict):
        raise Invalid("config", f"must have one section, [{_SECTION}], with the settings in it")
    values: dict[str, Any] = {}
    for name, value in section.items():
        kind = _KINDS.get(name)
        if kind is None:
            raise Invalid("config", "has a setting that is not known here; docs/settings.md lists them")
        if kind is Path and isinstance(value, str):
            value = Path(value)
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Invalid(name, _must_be(kind))
        values[name] = value
    return values


def _in_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        text = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            values[name] = _converted(name, text, kind)
    return values


def _converted(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise Invalid(name, _must_be(kind))
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise Invalid(name, _must_be(kind)) from None


def _must_be(kind: type) -> str:
    return {bool: "must be true or false", int: "must be a whole number", float: "must be a number"}.get(kind, "must be text")
