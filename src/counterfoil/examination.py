"""Looks a set-up over: settings, store, durability, clock, keys, credentials and file modes, and what mends each.

It makes no file and changes no setting, key, credential or counterfoil. `doctor` asks it, and so does a service of itself.
"""

import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TypeAlias

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.keys.keyset_file import Keyset, KeysetEditor
from counterfoil.keys.open_keys import keyset_path
from counterfoil.listening import refuse_clear_text
from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import JournalBroken
from counterfoil.model.limits import CLOCK_TOLERANCE_US, MICROSECONDS_PER_S
from counterfoil.model.principal import Role
from counterfoil.ports.examination import Finding
from counterfoil.ports.store import StoreUnfit
from counterfoil.private_file import PrivateFileProblem
from counterfoil.settings import Settings
from counterfoil.stores.inspect_sqlite import Inspection, inspected
from counterfoil.stores.open_store import sqlite_path
from counterfoil.stores.sqlite_file import MIGRATIONS
from counterfoil.stores.sqlite_journal import stored_journal

_DAY_US = 86_400 * MICROSECONDS_PER_S
_EXPIRING_DAYS = 7
_FREE_BYTES_MIN = 256 * 1024 * 1024
# 2026-01-01: before this program was written, so no clock that is right says less.
_EARLIEST_US = 1_767_225_600 * MICROSECONDS_PER_S

CORRECT_SETTING = "correct it in the environment or in the file of --config"
_PUT_BACK = "put the file back from its copy"
_LOOK_AGAIN = "look at the disk and its file system, then again"
_PUT_BACK_STORE = "stop the service and run `counterfoil restore COPY`"


def examined(settings: Settings, now_us: int, *, is_serving: bool = False) -> list[Finding]:
    """All findings. Of a service that is running, its store is not read page by page, so that this takes a moment only."""
    set_up = _SetUp(settings, now_us, is_serving=is_serving)
    checks = (_settings, _folder, _keys, _credentials, _store, _clock)
    return [finding for check in checks for finding in _checked(check, set_up)]


class _SetUp:
    """What is looked over. Each of its parts is opened once, when it is asked for."""

    def __init__(self, settings: Settings, now_us: int, *, is_serving: bool) -> None:
        self.settings = settings
        self.now_us = now_us
        self.is_serving = is_serving

    @cached_property
    def inspection(self) -> Inspection | None:
        """What the store's file is like; None for a store without one. Raises Invalid."""
        url = self.settings.store_url
        if url == "memory:" or url.startswith("dynamodb:"):
            return None
        return inspected(sqlite_path(url), is_thorough=not self.is_serving)

    @property
    def newest_us(self) -> int | None:
        """The latest timestamp in the store; None when there is none, or `_store` says what is wrong with it."""
        try:
            return self.inspection.newest_us if self.inspection else None
        except Invalid:
            return None

    @cached_property
    def keyset(self) -> Keyset | None:
        """The keyset; None when `_keys` says what is wrong with it."""
        try:
            return self.read_keyset()
        except (PrivateFileProblem, Invalid):
            return None

    def read_keyset(self) -> Keyset:
        """The keyset. Raises PrivateFileProblem, Invalid."""
        return KeysetEditor(keyset_path(self.settings.keys_url), lambda: self.now_us, secrets.token_bytes).read()


_Check: TypeAlias = Callable[[_SetUp], Iterator[Finding]]


def _checked(check: _Check, set_up: _SetUp) -> Iterator[Finding]:
    try:
        yield from check(set_up)
    except Invalid as error:
        yield Finding(error.field, "problem", error.rule, CORRECT_SETTING)
    except PrivateFileProblem as problem:
        yield Finding(check.__name__.removeprefix("_"), "problem", problem.says, problem.mend or _PUT_BACK)
    except OSError as error:
        # The machine's, or of a file that went away while it was looked at.
        yield Finding(check.__name__.removeprefix("_"), "problem", f"cannot be looked at: {error.strerror}", _LOOK_AGAIN)


def _settings(set_up: _SetUp) -> Iterator[Finding]:
    settings = set_up.settings
    try:
        refuse_clear_text(settings)
    except Invalid as error:
        yield Finding("settings", "problem", str(error), "set tls_cert and tls_key, or tls_terminated_upstream")
    else:
        yield Finding("settings", "ok", f"listen on {settings.host}:{settings.port}, lifetime {settings.lifetime_default_s} s")


def _folder(set_up: _SetUp) -> Iterator[Finding]:
    settings, folder = set_up.settings, set_up.settings.data
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


def _keys(set_up: _SetUp) -> Iterator[Finding]:
    settings = set_up.settings
    if settings.keys_url.startswith("aws-kms:"):
        yield Finding("keys", "ok", "AWS KMS: not looked at here; /readyz asks for a key")
        return
    path = keyset_path(settings.keys_url)
    if not path.exists():
        has_store = set_up.newest_us is not None
        lost = "put the keyset back from its copy: passcodes are in the store" if has_store else ""
        yield Finding("keys", "problem", f"{path} does not exist", lost or f"counterfoil keyset new --data {settings.data}")
        return
    keyset = set_up.read_keyset()
    primary = next(record for record in keyset.records if record.key_id == keyset.primary_id)
    age_us = set_up.now_us - primary.created_at_us
    age_days = age_us // _DAY_US
    if age_us > settings.key_rotation_s * MICROSECONDS_PER_S:
        yield Finding("keys", "warning", f"the primary key is {age_days} days old", "counterfoil keyset rotate")
    else:
        yield Finding("keys", "ok", f"epoch {keyset.epoch}, {len(keyset.usable)} usable, primary {age_days} days old")


def _credentials(set_up: _SetUp) -> Iterator[Finding]:
    now_us = set_up.now_us
    records = CredentialEditor(set_up.settings.credentials_path, lambda: now_us, secrets.token_bytes).read()
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


def _store(set_up: _SetUp) -> Iterator[Finding]:
    inspection = set_up.inspection
    if inspection is None:
        elsewhere = (
            "memory: nothing is kept" if set_up.settings.store_url == "memory:" else "not looked at here; /readyz asks it"
        )
        yield Finding("store", "ok", elsewhere)
        return
    if inspection.fault:
        yield Finding("store", "problem", inspection.fault, inspection.mend)
        return
    if inspection.schema_version is None:
        if set_up.is_serving:
            yield Finding("store", "problem", f"{inspection.path} is gone", _PUT_BACK_STORE)
        else:
            yield Finding("store", "ok", "not there yet; the service makes it")
        return
    if inspection.mode & 0o077:
        yield Finding("store", "problem", f"{inspection.path} is open to other users", f"chmod 600 {inspection.path}")
    keyset = set_up.keyset
    if keyset is not None and inspection.epoch not in (None, keyset.epoch):
        says = f"is of epoch {inspection.epoch}, the keyset of epoch {keyset.epoch}: one of them is a copy put back by hand"
        yield Finding("store", "problem", says, "counterfoil restore COPY")
        return
    looked = "not read through: `counterfoil doctor` does" if set_up.is_serving else f"{inspection.rows} counterfoils, sound"
    yield Finding("store", "ok", f"schema {inspection.schema_version}, {looked}")
    yield from _journal(set_up, inspection)
    yield Finding(
        "durability", "ok", f"journal_mode {inspection.journal_mode}; the service sets synchronous=FULL and reads it back"
    )


def _journal(set_up: _SetUp, inspection: Inspection) -> Iterator[Finding]:
    """Its ends alone: `journal verify` walks all of it."""
    keyset = set_up.keyset
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


def _clock(set_up: _SetUp) -> Iterator[Finding]:
    now_us, newest_us = set_up.now_us, set_up.newest_us
    if now_us < _EARLIEST_US:
        yield Finding("clock", "problem", "is before 2026", "set the clock, and have NTP keep it")
    elif newest_us is not None and newest_us > now_us + CLOCK_TOLERANCE_US:
        ahead_s = (newest_us - now_us) // MICROSECONDS_PER_S
        says = f"the newest counterfoil is stamped {ahead_s} s ahead: the clock went back"
        yield Finding("clock", "problem", says, "set the clock, and have NTP keep it")
    else:
        yield Finding("clock", "ok", "agrees with the newest counterfoil" if newest_us else "nothing speaks against it")
