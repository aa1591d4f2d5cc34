"""Keyset and credential files: private, whole after a crash, never telling their content."""

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop

from counterfoil.credentials.credential_file import CredentialEditor, CredentialFile
from counterfoil.keys.keyset_file import KeysetEditor, KeysetFile
from counterfoil.keys.open_keys import KeySettings, open_keys
from counterfoil.model.invalid import Invalid
from counterfoil.model.principal import Role
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.private_file import PrivateFileProblem, Watched, exclusive, read_private_json, replace_private_json
from tests.support.clock import START_US, Clock

DAY_US = 86_400_000_000
KEY_SETTINGS = KeySettings(stage="test", epoch=1, strict=False, reuse_s=300, reuse_max=1000)


@pytest.fixture
def keyset(tmp_path: Path) -> KeysetEditor:
    return KeysetEditor(tmp_path / "keyset.json", Clock(), secrets.token_bytes)


@pytest.fixture
def credentials(tmp_path: Path) -> CredentialEditor:
    return CredentialEditor(tmp_path / "credentials.json", Clock(), secrets.token_bytes)


# -- private files --


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    replace_private_json(path, {"a": 1})
    path.chmod(mode)
    assert read_private_json(path) == {"a": 1}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o700, 0o601])
def test_a_file_open_to_others_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    replace_private_json(path, {})
    path.chmod(mode)
    with pytest.raises(PrivateFileProblem, match="chmod 600"):
        read_private_json(path)


def test_what_is_no_readable_json_file_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(PrivateFileProblem, match="does not exist"):
        read_private_json(tmp_path / "nowhere")
    with pytest.raises(PrivateFileProblem, match="cannot be read"):
        read_private_json(tmp_path)
    path = tmp_path / "torn"
    path.touch(0o600)
    path.write_text('{"canary-secret')
    with pytest.raises(PrivateFileProblem, match="not valid JSON") as caught:
        read_private_json(path)
    assert "canary" not in repr(caught.value) + repr(caught.value.__cause__)
    assert caught.value.__suppress_context__


def test_a_file_that_is_nested_too_deeply_is_refused_like_any_other_noise(tmp_path: Path) -> None:
    path = tmp_path / "deep"
    path.touch(0o600)
    path.write_text("[" * 100_000)
    with pytest.raises(PrivateFileProblem, match="not valid JSON"):
        read_private_json(path)


def test_replacing_leaves_one_file_that_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for number in range(3):
        replace_private_json(path, number)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_replacement_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_private_json(path, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_editing_holds_a_lock_and_makes_the_folder_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with pytest.raises(PrivateFileProblem, match="does not exist"), exclusive(path):
        pass
    assert not path.parent.exists()
    with exclusive(path, makes_folder=True):
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_pipe_in_a_files_place_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    with pytest.raises(PrivateFileProblem, match="must be a file"):
        read_private_json(path)


# -- keysets --


def test_a_keyset_behind_a_link_is_changed_where_it_is(tmp_path: Path) -> None:
    real = KeysetEditor(tmp_path / "real.json", Clock(), secrets.token_bytes)
    before = real.new()
    link = tmp_path / "keyset.json"
    link.symlink_to("real.json")
    rotated = KeysetEditor(link, Clock(), secrets.token_bytes).rotate()
    assert link.is_symlink()
    assert real.read() == rotated != before


async def test_a_new_keyset_has_one_key_of_256_bits_and_is_never_overwritten(keyset: KeysetEditor) -> None:
    made = keyset.new()
    assert (made.epoch, len(made.records), len(made.primary.material)) == (1, 1, 32)
    with pytest.raises(PrivateFileProblem, match="exists already"):
        keyset.new()
    assert keyset.read() == made


async def test_a_provider_follows_its_file(keyset: KeysetEditor) -> None:
    provider = KeysetFile(keyset.path)
    with pytest.raises(KeysUnavailable, match="does not exist"):
        await provider.sealing_key()
    first = keyset.new().primary
    assert await provider.sealing_key() == first
    second = keyset.rotate().primary
    assert await provider.sealing_key() == second
    assert await provider.opening_key(first.key_id) == first
    keyset.retire(first.key_id)
    assert await provider.opening_key(first.key_id) is None
    keyset.path.chmod(0o644)
    with pytest.raises(KeysUnavailable, match="0600"):
        await provider.opening_key(second.key_id)


def test_a_keyset_never_gives_an_id_twice_not_even_a_retired_one(tmp_path: Path) -> None:
    drawn = iter([b"aaaa", bytes(32), bytes(32), b"aaaa", b"bbbb", bytes(32), b"aaaa", b"bbbb", b"cccc", bytes(32)])
    keyset = KeysetEditor(tmp_path / "k", Clock(), lambda _: next(drawn))
    keyset.new()
    keyset.rotate()
    keyset.retire(b"aaaa")
    ids = [record.key_id for record in keyset.rotate().records]
    assert ids == [b"aaaa", b"bbbb", b"cccc"]


def test_the_primary_key_and_unknown_ones_cannot_be_retired(keyset: KeysetEditor) -> None:
    made = keyset.new()
    for key_id in (made.primary_id, b"none"):
        with pytest.raises(Invalid):
            keyset.retire(key_id)
    assert keyset.read() == made


def test_a_new_epoch_forgets_the_material_of_every_earlier_key(keyset: KeysetEditor) -> None:
    keyset.new()
    bumped = keyset.bump_epoch()
    assert (bumped.epoch, list(bumped.usable)) == (2, [bumped.primary_id])
    assert [entry["material"] is None for entry in json.loads(keyset.path.read_text())["keys"]] == [True, False]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content.update(format=2), "does not know"),
        (lambda content: content.pop("epoch"), "not a valid"),
        (lambda content: content.update(primary="00000000"), "not a valid"),
        (lambda content: content.update(keys=content["keys"] * 2), "not a valid"),
        (lambda content: content["keys"][0].update(material="c2hvcnQ="), "not a valid"),
        (lambda content: content["keys"][0].update(material=""), "not a valid"),
        (lambda content: (content.update(epoch=0), content["keys"][0].update(epoch=0)), "not a valid"),
        (lambda content: (content.update(epoch=2**31), content["keys"][0].update(epoch=2**31)), "not a valid"),
        (lambda content: content["keys"][0].update(id="00"), "not a valid"),
        (lambda content: content["keys"][0].update(material="!"), "not a valid"),
        (lambda content: content.update(keys=[7]), "not a valid"),
        (lambda content: content.update(epoch=2), "not a valid"),
    ],
)
def test_a_keyset_that_is_not_one_is_refused_without_showing_it(
    keyset: KeysetEditor, change: Callable[[Any], None], says: str
) -> None:
    keyset.new()
    content = json.loads(keyset.path.read_text())
    material = content["keys"][0]["material"]
    change(content)
    replace_private_json(keyset.path, content)
    with pytest.raises(PrivateFileProblem, match=says) as caught:
        keyset.read()
    assert material not in str(caught.value)
    with pytest.raises(KeysUnavailable):
        KeysetFile(keyset.path).keyset()


@pytest.mark.parametrize("url", ["", "file:", "file://host/path", "https://example.org/k", "keyset.json"])
def test_keys_are_named_by_a_file_url(url: str) -> None:
    with pytest.raises(Invalid):
        open_keys(url, KEY_SETTINGS, Clock())


def test_no_repr_shows_key_material(keyset: KeysetEditor) -> None:
    made = keyset.new()
    assert repr(made.primary.material) not in repr((made, made.primary, KeysetFile(keyset.path)))


# -- credentials --


async def test_a_secret_is_its_credentials_and_nobody_elses(credentials: CredentialEditor) -> None:
    file = CredentialFile(credentials.path, Clock())
    with pytest.raises(CredentialsUnavailable, match="does not exist"):
        await file.principal("x")
    secret = credentials.create("web", Role.ISSUER, ("shop-*",))
    assert secret.startswith("cfi_")
    assert len(secret) == 47
    principal = await file.principal(secret)
    assert principal is not None
    assert (principal.name, principal.role, principal.client_patterns) == ("web", Role.ISSUER, ("shop-*",))
    assert await file.principal(secret[:-1]) is None
    assert await file.principal("") is None


def test_only_a_digest_is_kept(credentials: CredentialEditor) -> None:
    secret = credentials.create("backend", Role.VALIDATOR)
    assert secret not in credentials.path.read_text()
    assert secret[4:] not in credentials.path.read_text()


async def test_two_secrets_live_while_one_is_exchanged(credentials: CredentialEditor) -> None:
    file = CredentialFile(credentials.path, Clock())
    old = credentials.create("backend", Role.VALIDATOR)
    new = credentials.exchange("backend")
    assert await file.principal(old) == await file.principal(new) != None  # noqa: E711
    with pytest.raises(Invalid, match="two live"):
        credentials.exchange("backend")
    credentials.finish_exchange("backend")
    assert await file.principal(old) is None
    assert await file.principal(new) is not None


async def test_a_secret_expires_to_the_microsecond(tmp_path: Path) -> None:
    clock = Clock()
    credentials = CredentialEditor(tmp_path / "c", clock, secrets.token_bytes)
    secret = credentials.create("backend", Role.VALIDATOR, expires_at_us=START_US + DAY_US)
    file = CredentialFile(credentials.path, clock)
    clock.now_us += DAY_US - 1
    assert await file.principal(secret) is not None
    clock.now_us += 1
    assert await file.principal(secret) is None
    assert await file.principal(credentials.exchange("backend")) is not None


async def test_a_revoked_credential_is_nobody_at_once_and_for_ever(credentials: CredentialEditor) -> None:
    file = CredentialFile(credentials.path, Clock())
    secret = credentials.create("web", Role.ISSUER, ("*",))
    principal = await file.principal(secret)
    assert principal is not None
    assert await file.passcodes_are_revoked(principal.credential_id) is False
    credentials.revoke("web")
    assert await file.principal(secret) is None
    assert await file.passcodes_are_revoked(principal.credential_id) is False
    credentials.revoke("web", with_passcodes=True)
    credentials.revoke("web")
    assert await file.passcodes_are_revoked(principal.credential_id) is True
    for change in (credentials.exchange, credentials.finish_exchange):
        with pytest.raises(Invalid, match="revoked"):
            change("web")
    with pytest.raises(Invalid, match="not used twice"):
        credentials.create("web", Role.ISSUER, ("*",))


async def test_a_credential_that_the_file_does_not_know_vouches_for_nothing(credentials: CredentialEditor) -> None:
    credentials.create("known", Role.VALIDATOR)
    assert await CredentialFile(credentials.path, Clock()).passcodes_are_revoked("gone") is True


@pytest.mark.parametrize(("role", "patterns"), [(Role.ISSUER, ()), (Role.VALIDATOR, ("*",)), (Role.ISSUER, ("[",))])
def test_issuers_and_nobody_else_have_client_patterns(
    credentials: CredentialEditor, role: Role, patterns: tuple[str, ...]
) -> None:
    with pytest.raises(Invalid):
        credentials.create("x", role, patterns)


def test_what_is_no_credential_cannot_be_changed(credentials: CredentialEditor) -> None:
    credentials.create("x", Role.OPERATOR)
    for change in (credentials.exchange, credentials.finish_exchange, credentials.revoke):
        with pytest.raises(Invalid, match="no credential"):
            change("y")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(format=2),
        lambda content: content.pop("credentials"),
        lambda content: content["credentials"][0].update(role="king"),
        lambda content: content["credentials"][0].update(clients=["?"]),
        lambda content: content["credentials"][0]["secrets"][0].update(sha256="canary"),
        lambda content: content["credentials"][0]["secrets"][0].update(sha256="00"),
        # Each character would be a pattern, the last of them every client's.
        lambda content: content["credentials"][0].update(clients="shop-*"),
        lambda content: content["credentials"][0].update(passcodes_revoked="false"),
        lambda content: content["credentials"][0].update(id="\ud800"),
        lambda content: content["credentials"].append({**content["credentials"][0], "id": "canary"}),
        lambda content: content["credentials"].append({**content["credentials"][0], "name": "canary"}),
        lambda content: content.update(credentials=""),
    ],
)
async def test_a_credential_file_that_is_not_one_lets_nobody_in_and_refuses_nobody(
    credentials: CredentialEditor, change: Callable[[Any], None]
) -> None:
    secret = credentials.create("web", Role.ISSUER, ("*",))
    content = json.loads(credentials.path.read_text())
    change(content)
    replace_private_json(credentials.path, content)
    with pytest.raises(CredentialsUnavailable) as caught:
        await CredentialFile(credentials.path, Clock()).principal(secret)
    assert "canary" not in str(caught.value)


async def test_a_change_by_another_process_is_seen_at_the_next_call(credentials: CredentialEditor) -> None:
    file = CredentialFile(credentials.path, Clock())
    for number in range(30):
        secret = credentials.create(f"c{number}", Role.VALIDATOR)
        assert await file.principal(secret) is not None
    assert len(file.records()) == 30


def test_a_keyset_of_a_version_without_a_journal_says_how_it_is_upgraded(keyset: KeysetEditor) -> None:
    made = keyset.new()
    content = json.loads(keyset.path.read_text())
    del content["journal_key"]
    keyset.path.write_text(json.dumps(content))
    with pytest.raises(PrivateFileProblem, match="keyset upgrade"):
        keyset.read()
    upgraded = keyset.upgrade()
    assert (upgraded.records, upgraded.primary_id) == (made.records, made.primary_id)
    assert keyset.upgrade().journal_key.reveal() == upgraded.journal_key.reveal() == keyset.read().journal_key.reveal()


@pytest.mark.parametrize("change", [{"epoch": "1"}, {"epoch": 1.0}, {"epoch": True}, {"format": 1.0}, {"note": "x"}])
def test_a_keyset_has_one_spelling(keyset: KeysetEditor, change: dict[str, Any]) -> None:
    keyset.new()
    keyset.path.write_text(json.dumps(json.loads(keyset.path.read_text()) | change))
    with pytest.raises(PrivateFileProblem):
        keyset.read()


# -- looks that are shared --


class _Looking:
    """A private file and a watched one that counts its looks."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, shares_looks: bool = True) -> None:
        self.path = path
        self.looks = 0
        self.change(0)
        self.watched: Watched[Any] = Watched(path, lambda content: content, shares_looks=shares_looks)
        look = Watched._look

        def counted(watched: Watched[Any]) -> Any:
            self.looks += 1
            return look(watched)

        monkeypatch.setattr(Watched, "_look", counted)

    def change(self, content: int) -> None:
        replace_private_json(self.path, content)


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def _run(new_loop: Callable[[], asyncio.AbstractEventLoop], asked: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asked)


@LOOPS
def test_a_look_serves_one_round_of_the_loop_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    file = _Looking(tmp_path / "file", monkeypatch)

    async def looked() -> Any:
        return file.watched.value()

    async def rounds() -> None:
        for number in range(1, 20):
            file.change(number)
            await asyncio.sleep(0)
            assert await asyncio.gather(*(looked() for _ in range(10))) == [number] * 10
            assert file.looks == number
            await asyncio.sleep(0)

    _run(new_loop, rounds())


@LOOPS
def test_whatever_is_queued_after_a_look_looks_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    file = _Looking(tmp_path / "file", monkeypatch)

    async def looked() -> Any:
        return file.watched.value()

    async def request_after_change() -> None:
        assert file.watched.value() == 0
        file.change(1)
        # As a server does it with what it has read.
        assert await asyncio.create_task(looked()) == 1

    _run(new_loop, request_after_change())


def test_without_a_loop_and_unless_told_every_look_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = _Looking(tmp_path / "shared", monkeypatch)
    own = _Looking(tmp_path / "own", monkeypatch, shares_looks=False)

    async def both() -> None:
        for number in range(5):
            own.change(number)
            assert own.watched.value() == number

    for number in range(5):
        shared.change(number)
        assert shared.watched.value() == number
    asyncio.run(both())


@LOOPS
def test_a_look_is_not_shared_between_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    file = _Looking(tmp_path / "file", monkeypatch)

    async def looked() -> Any:
        return file.watched.value()

    async def other_loop_while_this_one_is_busy() -> None:
        assert file.watched.value() == 0
        file.change(1)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(lambda: asyncio.run(looked())).result() == 1

    _run(new_loop, other_loop_while_this_one_is_busy())


@LOOPS
def test_a_fault_is_not_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    file = _Looking(tmp_path / "file", monkeypatch)

    async def gone_and_back() -> None:
        file.path.unlink()
        with pytest.raises(PrivateFileProblem):
            file.watched.value()
        file.change(1)
        assert file.watched.value() == 1

    _run(new_loop, gone_and_back())
