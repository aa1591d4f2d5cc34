"""Checks a set-up and says what to do. It makes no file and changes no setting, key, credential or counterfoil."""

import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import rich_click as click

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.entrypoints.commands.options import as_json, settings_from, show_json, with_settings
from counterfoil.entrypoints.exits import DONE, REFUSED
from counterfoil.entrypoints.http_server import refuse_clear_text
from counterfoil.keys.keyset_file import Keyset, KeysetEditor
from counterfoil.keys.open_keys import keyset_path
from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import JournalBroken
from counterfoil.model.limits import CLOCK_TOLERANCE_US, MICROSECONDS_PER_S
from counterfoil.model.principal import Role
from counterfoil.ports.store import StoreUnfit
from counterfoil.private_file import PrivateFileProblem
from counterfoil.settings import Settings
from counterfoil.stores.inspect_sqlite import Inspection, inspected
from counterfoil.stores.open_store import sqlite_path
from counterfoil.stores.sqlite_file import MIGRATIONS
from counterfoil.stores.sqlite_journal import stored_journal
from counterfoil.wiring import system_now_us

_DAY_US = 86_400 * MICROSECONDS_PER_S
_KEY_AGE_DAYS = 90
_EXPIRING_DAYS = 7
_FREE_BYTES_MIN = 256 * 1024 * 1024
# 2026-01-01: before this program was written, so no clock that is right says less.
_EARLIEST_US = 1_767_225_600 * MICROSECONDS_PER_S

_CORRECT_SETTING = "correct it in the environment or in the file of --config"
_PUT_BACK = "put the file back from its copy"

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    level: Level
    says: str
    mend: str = ""


@click.command()
@with_settings
@as_json
def doctor(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Check settings, store, durability, clock, keys, credentials and file modes. Exit status 1 when there is a problem.

    Example: counterfoil doctor --data my-counterfoil
    """
    findings = examined(config, data, system_now_us())
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mend = f"  -> {finding.mend}" if finding.mend else ""
            click.echo(f"{finding.level:8} {finding.what}: {finding.says}{mend}")
    sys.exit(REFUSED if any(finding.level == "problem" for finding in findings) else DONE)


def examined(config: Path | None, data: Path | None, now_us: int) -> list[Finding]:
    """All findings. Where the settings cannot be read there is nothing more to look at."""
    try:
        settings = settings_from(config, data)
    except Invalid as error:
        return [Finding("settings", "problem", str(error), _CORRECT_SETTING)]
    checks: tuple[Callable[[Settings, int], Iterator[Finding]], ...] = (
        _settings,
        _folder,
        _keys,
        _credentials,
        _store,
        _clock,
    )
    return [finding for check in checks for finding in _checked(check, settings, now_us)]


def _checked(check: Callable[[Settings, int], Iterator[Finding]], settings: Settings, now_us: int) -> Iterator[Finding]:
    try:
        yield from check(settings, now_us)
    except Invalid as error:
        yield Finding(error.field, "problem", error.rule, _CORRECT_SETTING)
    except PrivateFileProblem as problem:
        yield Finding(check.__name__.removeprefix("_"), "problem", problem.says, problem.mend or _PUT_BACK)


def _settings(settings: Settings, _: int) -> Iterator[Finding]:
    try:
        refuse_clear_text(settings)
    except Invalid as error:
        yield Finding("settings", "problem", str(error), "set tls_cert and tls_key, or tls_terminated_upstream")
    else:
        yield Finding("settings", "ok", f"listen on {settings.host}:{settings.port}, lifetime {settings.lifetime_default_s} s")


def _folder(settings: Settings, _: int) -> Iterator[Finding]:
    folder = settings.data
    if settings.store and settings.keys and settings.credentials:
        # Each is named by itself; nothing is in the folder.
        return
    if not folder.is_dir():
        yield Finding("folder", "problem", f"{folder} does not exist", f"counterfoil keyset new --data {folder}")
        return
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Finding("folder", "problem", f"{folder} is open to other users", f"chmod 700 {folder}")
    else:
        yield Finding("folder", "ok", f"{folder} is its owner's alone")
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_MIN:
        yield Finding("disk", "warning", f"{free // 1024 // 1024} MiB are free", "make room; a full disk answers 503")


def _keys(settings: Settings, now_us: int) -> Iterator[Finding]:
    if settings.keys_url.startswith("aws-kms:"):
        yield Finding("keys", "ok", "AWS KMS: not looked at here; /readyz asks for a key")
        return
    path = keyset_path(settings.keys_url)
    if not path.exists():
        has_store = _newest_us(settings) is not None
        lost = "put the keyset back from its copy: passcodes are in the store" if has_store else ""
        yield Finding("keys", "problem", f"{path} does not exist", lost or f"counterfoil keyset new --data {settings.data}")
        return
    keyset = KeysetEditor(path, system_now_us, secrets.token_bytes).read()
    primary = next(record for record in keyset.records if record.key_id == keyset.primary_id)
    age_days = (now_us - primary.created_at_us) // _DAY_US
    if age_days > _KEY_AGE_DAYS:
        yield Finding("keys", "warning", f"the primary key is {age_days} days old", "counterfoil keyset rotate")
    else:
        yield Finding("keys", "ok", f"epoch {keyset.epoch}, {len(keyset.usable)} usable, primary {age_days} days old")


def _credentials(settings: Settings, now_us: int) -> Iterator[Finding]:
    records = CredentialEditor(settings.credentials_path, system_now_us, secrets.token_bytes).read()
    live = [
        (record, secret)
        for record in records
        if record.revoked_at_us is None
        for secret in record.secrets
        if secret.is_live(now_us)
    ]
    for role in (Role.ISSUER, Role.VALIDATOR):
        if not any(record.role is role for record, _ in live):
            clients = " --client '*'" if role is Role.ISSUER else ""
            create = f"counterfoil credential create NAME --role {role.value}{clients}"
            yield Finding("credentials", "problem", f"no live {role.value}", create)
    for record, secret in live:
        if secret.expires_at_us is not None and secret.expires_at_us - now_us < _EXPIRING_DAYS * _DAY_US:
            exchange = f"counterfoil credential exchange {record.name}"
            yield Finding("credentials", "warning", f"a secret of {record.name} expires within {_EXPIRING_DAYS} days", exchange)
    yield Finding("credentials", "ok", f"{len(live)} live")


def _store(settings: Settings, _: int) -> Iterator[Finding]:
    inspection = _inspection(settings)
    if inspection is None:
        elsewhere = "memory: nothing is kept" if settings.store_url == "memory:" else "not looked at here; /readyz asks it"
        yield Finding("store", "ok", elsewhere)
        return
    if inspection.fault:
        yield Finding("store", "problem", inspection.fault, inspection.mend)
        return
    if inspection.schema_version is None:
        yield Finding("store", "ok", "not there yet; the service makes it")
        return
    if inspection.mode & 0o077:
        yield Finding("store", "problem", f"{inspection.path} is open to other users", f"chmod 600 {inspection.path}")
    keyset = _keyset(settings)
    if keyset is not None and inspection.epoch not in (None, keyset.epoch):
        says = f"is of epoch {inspection.epoch}, the keyset of epoch {keyset.epoch}: one of them is a copy put back by hand"
        yield Finding("store", "problem", says, "counterfoil restore COPY")
        return
    yield Finding("store", "ok", f"schema {inspection.schema_version}, {inspection.rows} counterfoils, sound")
    yield from _journal(settings, inspection)
    yield Finding(
        "durability", "ok", f"journal_mode {inspection.journal_mode}; the service sets synchronous=FULL and reads it back"
    )


def _journal(settings: Settings, inspection: Inspection) -> Iterator[Finding]:
    """Its ends alone: `journal verify` walks all of it."""
    keyset = _keyset(settings)
    if keyset is None or inspection.schema_version != len(MIGRATIONS):
        return
    try:
        with stored_journal(inspection.path) as found:
            keyset.journal_key.check_start(found.start)
            keyset.journal_key.check_head(found.head)
            entries = found.head.link.seq - found.start.link.seq
    except (JournalBroken, StoreUnfit) as problem:
        yield Finding("journal", "problem", str(problem), "counterfoil journal verify")
        return
    yield Finding("journal", "ok", f"{entries} entries between its ends, which this keyset sealed")


def _clock(settings: Settings, now_us: int) -> Iterator[Finding]:
    newest_us = _newest_us(settings)
    if now_us < _EARLIEST_US:
        yield Finding("clock", "problem", "is before 2026", "set the clock, and have NTP keep it")
    elif newest_us is not None and newest_us > now_us + CLOCK_TOLERANCE_US:
        ahead_s = (newest_us - now_us) // MICROSECONDS_PER_S
        says = f"the newest counterfoil is stamped {ahead_s} s ahead: the clock went back"
        yield Finding("clock", "problem", says, "set the clock, and have NTP keep it")
    else:
        yield Finding("clock", "ok", "agrees with the newest counterfoil" if newest_us else "nothing speaks against it")


def _inspection(settings: Settings) -> Inspection | None:
    """What the store's file is like; None for a store without one."""
    if settings.store_url == "memory:" or settings.store_url.startswith("dynamodb:"):
        return None
    return inspected(sqlite_path(settings.store_url))


def _newest_us(settings: Settings) -> int | None:
    """The latest timestamp in the store; None when there is none, or `_store` has said what is wrong with it."""
    try:
        inspection = _inspection(settings)
    except Invalid:
        return None
    return inspection.newest_us if inspection else None


def _keyset(settings: Settings) -> Keyset | None:
    """The keyset; None when `_keys` has said what is wrong with it."""
    try:
        return KeysetEditor(keyset_path(settings.keys_url), system_now_us, secrets.token_bytes).read()
    except (PrivateFileProblem, Invalid):
        return None
