"""Fuzzed: what a deployment is told from outside: its settings file, its environment, its list of principals."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from counterfoil.credentials.gateway_principals import GatewayPrincipals
from counterfoil.model.invalid import Invalid
from counterfoil.model.principal import Role
from counterfoil.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from tests.adversity.fuzzing.files import RewrittenFile
from tests.adversity.fuzzing.target import Check, Target, hold, hold_silent


def _settings(load: Callable[[Path], Settings] | None = None) -> Check:
    file = RewrittenFile("counterfoil.toml")

    def check(data: bytes) -> str:
        file.write(data)
        try:
            settings = load_settings(file.path, {}) if load is None else load(file.path)
        except Invalid as error:
            # Where the rule ends in the largest rate, a number in the file may begin as it does: " 1000000".
            hold_silent(str(error).removesuffix(" 1000000"), data)
            return "refused"
        hold(settings.checked() is settings, "settings that were taken hold together")
        hold(1 <= settings.lifetime_default_s <= settings.lifetime_max_s <= 600, "lifetimes are within bounds")
        return "accepted"

    return check


def _environments(load: Callable[[dict[str, str]], Settings] | None = None) -> Check:
    """Lines of NAME=value, as the environment has them."""

    def check(data: bytes) -> str:
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        environment = {ENVIRONMENT_PREFIX + name: value for name, equals, value in (line.partition("=") for line in lines)}
        try:
            settings = load_settings(None, environment) if load is None else load(environment)
        except Invalid as error:
            hold_silent(str(error), data)
            return "refused"
        hold(settings.checked() is settings, "settings that were taken hold together")
        hold(1 <= settings.lifetime_default_s <= settings.lifetime_max_s <= 600, "lifetimes are within bounds")
        return "accepted"

    return check


def _principals(read: Callable[[str], GatewayPrincipals] = GatewayPrincipals) -> Check:
    def check(data: bytes) -> str:
        try:
            read(data.decode("utf-8", "surrogateescape"))
        except Invalid as error:
            hold_silent(str(error), data)
            return "refused"
        for entry in json.loads(data.decode("utf-8", "surrogateescape")):
            hold(
                set(entry) <= {"subject", "name", "role", "clients", "revoked", "passcodes_revoked"}, "no field is passed over"
            )
            hold(entry["role"] in set(Role), "a role is one of three")
        return "accepted"

    return check


def _settings_quoting(path: Path) -> Settings:
    """Broken: the error shows the line that is wrong."""
    try:
        return load_settings(path, {})
    except Invalid as error:
        if "TOML" not in error.rule:
            raise
        raise Invalid("config", f"is not a TOML file: {path.read_bytes()[:80]!r}") from None


def _environment_converted(environment: dict[str, str]) -> Settings:
    """Broken: the port is converted without care."""
    int(environment.get(ENVIRONMENT_PREFIX + "PORT", "0"))
    return load_settings(None, environment)


def _principals_converted(text: str) -> GatewayPrincipals:
    """Broken: a role that is not known raises whatever it raises."""
    principals = GatewayPrincipals("[]")
    try:
        principals = GatewayPrincipals(text)
    except Invalid as error:
        if "roles are" not in error.rule:
            raise
        Role(text)
    return principals


def _setting_tokens(form: str) -> tuple[bytes, ...]:
    return tuple(form.format(option.name).encode() for option in fields(Settings))


_ENTRY = ("subject", "name", "role", "clients", "revoked", "passcodes_revoked")

TARGETS = (
    Target(
        "settings",
        "settings files",
        _settings,
        seeds=(
            b'[counterfoil]\nport = 80\nstrict_keys = false\nissue_rate_per_s = 1e3\nservice_context = \'{"stage":"prod"}\'\n',
            b'[counterfoil]\ndata = "x"\nepoch = 2\n',
            b"[other]\na = [[1], {b = 2}]\n",
            b"a = " + b"[" * 2500,
        ),
        tokens=(b"[counterfoil]\n", b"true", b"1e3", b'"""', b"1979-05-27", *_setting_tokens("{0} = ")),
        length_max=3000,
        broken={"an error quotes the file": lambda: _settings(_settings_quoting)},
    ),
    Target(
        "environment",
        "settings in the environment",
        _environments,
        seeds=(
            b'PORT=8080\nSTRICT_KEYS=true\nISSUE_RATE_PER_S=1e3\nSERVICE_CONTEXT={"stage":"prod"}',
            b"LIFETIME_MAX_S=60\nLIFETIME_DEFAULT_S=30\nEPOCH=2",
            b"SERVICE_CONTEXT=" + b"[" * 2500,
        ),
        tokens=(b"\n", b"true", b"1e3", b'{"stage":"prod"}', *(name.upper() for name in _setting_tokens("{0}="))),
        length_max=3000,
        broken={"a port is converted without care": lambda: _environments(_environment_converted)},
    ),
    Target(
        "principals",
        "lists of principals",
        _principals,
        seeds=(
            b'[{"subject":"jwt:payments","name":"backend","role":"validator"}]',
            b'[{"subject":"iam:arn:aws:sts::1:assumed-role/s","name":"s","role":"issuer","clients":["s-*"],"revoked":true}]',
            b"[" * 2500,
        ),
        tokens=(b'[{"', b'"jwt:', b'"iam:', b'"issuer"', b'"validator"', *(f'"{name}":'.encode() for name in _ENTRY)),
        length_max=3000,
        broken={"roles are converted without care": lambda: _principals(_principals_converted)},
    ),
)
