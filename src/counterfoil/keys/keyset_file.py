"""A keyset in a private file: several data keys, one of them primary, the journal's key and the epoch. It makes no key unasked.

    {"format": 1, "epoch": 1, "primary": "5f0c6a21", "journal_key": "<base64>",
     "keys": [{"id": "5f0c6a21", "epoch": 1, "created_at_us": 1795410340123456, "material": "<base64>"}]}

A retired key stays as its id without material, so that the id is never given out again. The journal's key stays what it is
when keys are rotated or retired and when an epoch begins: the chain goes on.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import JOURNAL_KEY_BYTES, JournalKey
from counterfoil.model.limits import DATA_KEY_BYTES, KEY_ID_BYTES
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.keys import DataKey, KeyList, KeysUnavailable, ListedKey
from counterfoil.private_file import (
    PrivateFileProblem,
    Watched,
    exclusive,
    read_private_json,
    replace_private_json,
)

_FORMAT = 1
# As in the settings: every store holds it.
EPOCH_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key of the file. `material` is None once it is retired."""

    key_id: bytes
    epoch: int
    created_at_us: int
    material: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyset:
    """All keys of a file. Keys of an earlier epoch than the keyset's are retired, whatever they hold."""

    epoch: int
    primary_id: bytes
    records: tuple[KeyRecord, ...]
    journal_key: JournalKey
    usable: dict[bytes, DataKey] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        usable = {
            record.key_id: DataKey(record.key_id, record.material)
            for record in self.records
            if record.material is not None and record.epoch == self.epoch
        }
        object.__setattr__(self, "usable", usable)

    @property
    def primary(self) -> DataKey:
        """The key that new passcodes are sealed under."""
        return self.usable[self.primary_id]


class KeysetFile:
    """The key provider over a keyset file. Rotation and retirement reach a running service at its next request."""

    def __init__(self, path: Path, *, shares_looks: bool = False) -> None:
        self._watched = Watched(path, _keyset, shares_looks=shares_looks)

    def keyset(self) -> Keyset:
        """The keyset as the file has it now. Raises KeysUnavailable."""
        try:
            return self._watched.value()
        except PrivateFileProblem as cause:
            raise KeysUnavailable(str(cause)) from cause

    def primary_created_at_us(self) -> int | None:
        """As the file says it. Raises KeysUnavailable."""
        keyset = self.keyset()
        return next(record.created_at_us for record in keyset.records if record.key_id == keyset.primary_id)

    async def sealing_key(self) -> DataKey:
        return self.keyset().primary

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        return self.keyset().usable.get(key_id)

    async def listed(self) -> KeyList:
        keyset = self.keyset()
        return KeyList(
            keyset.epoch, tuple(_listed(keyset, record) for record in keyset.records), is_whole=True, rotates_itself=False
        )


@dataclass(frozen=True, slots=True)
class KeysetEditor:
    """Changes a keyset file: what the `keyset` commands and `restore` do. Raises PrivateFileProblem, Invalid."""

    path: Path
    now_us: NowUs
    token_bytes: TokenBytes

    def new(self) -> Keyset:
        """A file with one fresh primary key, epoch 1. Refuses to replace a file that is there."""
        with exclusive(self.path, makes_folder=True):
            if self.path.exists():
                raise PrivateFileProblem(f"{self.path} exists already; a keyset is never overwritten")
            record = self._fresh(epoch=1, taken=())
            return self._write(Keyset(1, record.key_id, (record,), JournalKey(self.token_bytes(JOURNAL_KEY_BYTES))))

    def rotate(self) -> Keyset:
        """A fresh primary key; the earlier keys go on opening what they sealed."""
        with exclusive(self.path):
            keyset = self.read()
            return self._write(self._with_fresh_primary(keyset))

    def retire(self, key_id: bytes) -> Keyset:
        """Forgets a key for good: what it sealed is refused as `key_retired` from now on."""
        with exclusive(self.path):
            keyset = self.read()
            if key_id == keyset.primary_id:
                raise Invalid("key id", "is the primary key's; rotate first")
            if key_id not in {record.key_id for record in keyset.records}:
                raise Invalid("key id", "is not in this keyset")
            records = tuple(replace(record, material=None) if record.key_id == key_id else record for record in keyset.records)
            return self._write(replace(keyset, records=records))

    def bump_epoch(self) -> Keyset:
        """The next epoch with a fresh primary key: every earlier key is retired and forgotten."""
        with exclusive(self.path):
            keyset = self.read()
            forgotten = tuple(replace(record, material=None) for record in keyset.records)
            return self._write(self._with_fresh_primary(replace(keyset, epoch=keyset.epoch + 1, records=forgotten)))

    def upgrade(self) -> Keyset:
        """Adds what an earlier version's file lacks: the journal's key. A file that lacks nothing stays as it is."""
        with exclusive(self.path):
            content = read_private_json(self.path)
            if isinstance(content, dict) and "journal_key" not in content:
                content["journal_key"] = b64encode(self.token_bytes(JOURNAL_KEY_BYTES)).decode()
            return self._write(_keyset(content))

    def read(self) -> Keyset:
        """The keyset as it is."""
        return _keyset(read_private_json(self.path))

    def _with_fresh_primary(self, keyset: Keyset) -> Keyset:
        record = self._fresh(keyset.epoch, keyset.records)
        return replace(keyset, primary_id=record.key_id, records=(*keyset.records, record))

    def _fresh(self, epoch: int, taken: tuple[KeyRecord, ...]) -> KeyRecord:
        # Unique because it is looked up under the file's lock, not by luck: 32 bits would collide some day.
        taken_ids = {record.key_id for record in taken}
        key_id = self.token_bytes(KEY_ID_BYTES)
        while key_id in taken_ids:
            key_id = self.token_bytes(KEY_ID_BYTES)
        return KeyRecord(key_id, epoch, self.now_us(), self.token_bytes(DATA_KEY_BYTES))

    def _write(self, keyset: Keyset) -> Keyset:
        replace_private_json(self.path, _as_json(keyset))
        return keyset


def _keyset(content: Any) -> Keyset:
    """The keyset in a file's content; raises PrivateFileProblem with a message that quotes nothing of it."""
    try:
        if content["format"] != _FORMAT:
            raise PrivateFileProblem("the keyset file has a format that this version does not know")
        if "journal_key" not in content:
            raise PrivateFileProblem("the keyset file is of a version that kept no journal", "counterfoil keyset upgrade")
        keyset = Keyset(
            epoch=int(content["epoch"]),
            primary_id=bytes.fromhex(content["primary"]),
            records=tuple(_record(entry) for entry in content["keys"]),
            journal_key=_journal_key(content["journal_key"]),
        )
        ids = [record.key_id for record in keyset.records]
        if len(set(ids)) != len(ids) or keyset.primary_id not in keyset.usable or not 1 <= keyset.epoch <= EPOCH_MAX:
            raise ValueError
        # One spelling, as for passcodes; as texts, since 1, 1.0 and true are equal as values.
        if json.dumps(_as_json(keyset), sort_keys=True) != json.dumps(content, sort_keys=True):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise PrivateFileProblem("the keyset file is not a valid keyset") from None
    return keyset


def _journal_key(text: Any) -> JournalKey:
    key = b64decode(text, validate=True)
    if len(key) != JOURNAL_KEY_BYTES:
        raise ValueError
    return JournalKey(key)


def _record(entry: Any) -> KeyRecord:
    material = entry["material"]
    record = KeyRecord(
        key_id=bytes.fromhex(entry["id"]),
        epoch=int(entry["epoch"]),
        created_at_us=int(entry["created_at_us"]),
        material=None if material is None else b64decode(material, validate=True),
    )
    # Held against None and not against false: an empty key is no retired one, and everybody knows it.
    if len(record.key_id) != KEY_ID_BYTES or (record.material is not None and len(record.material) != DATA_KEY_BYTES):
        raise ValueError
    return record


def _listed(keyset: Keyset, record: KeyRecord) -> ListedKey:
    if record.key_id not in keyset.usable:
        return ListedKey(record.key_id, "retired", record.created_at_us)
    return ListedKey(record.key_id, "primary" if record.key_id == keyset.primary_id else "opening", record.created_at_us)


def _as_json(keyset: Keyset) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "epoch": keyset.epoch,
        "primary": keyset.primary_id.hex(),
        "journal_key": b64encode(keyset.journal_key.reveal()).decode(),
        "keys": [
            {
                "id": record.key_id.hex(),
                "epoch": record.epoch,
                "created_at_us": record.created_at_us,
                "material": None if record.material is None else b64encode(record.material).decode(),
            }
            for record in keyset.records
        ],
    }
