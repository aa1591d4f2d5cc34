"""Whose credentials sign: the environment's as it is now, or else the SDK's, and a clear word where there are none."""

import builtins
import importlib.util
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError

from counterfoil.aws import credentials
from counterfoil.aws.client import aws_client
from counterfoil.aws.credentials import Credentials, NoCredentials, check_there_is_a_source, current_credentials
from counterfoil.model.invalid import Invalid

KEY = {"AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-secret"}


def test_the_environments_are_read_each_time() -> None:
    environment = dict(KEY)
    assert current_credentials(environment) == Credentials("canary-id", "canary-secret")
    environment |= {"AWS_SECRET_ACCESS_KEY": "renewed", "AWS_SESSION_TOKEN": "token"}
    assert current_credentials(environment) == Credentials("canary-id", "renewed", "token")
    environment["AWS_SESSION_TOKEN"] = ""
    assert current_credentials(environment) == Credentials("canary-id", "renewed")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "canary\n"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "canary\r\nx-canary: 1"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_SESSION_TOKEN": "canary\n"}, "AWS_SESSION_TOKEN"),
        ({"AWS_SESSION_TOKEN": "canär"}, "AWS_SESSION_TOKEN"),
    ],
)
def test_half_a_credential_or_one_that_would_end_its_header_is_none(changed: dict[str, str], named: str) -> None:
    with pytest.raises(NoCredentials, match=named) as caught:
        current_credentials({**KEY, **changed})
    assert "can" not in str(caught.value).replace("cannot", "")


def test_no_part_of_them_is_shown() -> None:
    shown = repr(Credentials("canary-id", "canary-secret", "canary-token"))
    assert shown == "Credentials(...)"


class _Session:
    """As much of the SDK's session as is used."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.looks = 0
        self.at_once_max = 0
        self._at_once = 0

    def get_credentials(self) -> Any:
        self.looks += 1
        self._at_once += 1
        self.at_once_max = max(self.at_once_max, self._at_once)
        threading.Event().wait(0.01)
        self._at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class _Found:
    """What the SDK gives: whole credentials, which it renews by itself."""

    access_key, secret_key, token = "id", "secret", "token"

    def get_frozen_credentials(self) -> Any:
        return self


class _Empty(_Found):
    """What there is where a role has been taken away."""

    access_key = secret_key = ""


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> _Session:
    made = _Session(_Found())
    monkeypatch.setattr(credentials, "_session", lambda: made)
    return made


def test_without_any_in_the_environment_the_sdk_looks_elsewhere(session: _Session) -> None:
    assert current_credentials({}) == Credentials("id", "secret", "token")
    assert current_credentials(KEY).access_key_id == "canary-id"
    assert session.looks == 1


def test_the_sdk_looks_once_at_a_time(session: _Session) -> None:
    threads = [threading.Thread(target=current_credentials, args=({},)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (session.looks, session.at_once_max) == (8, 1)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        _Empty(),
        CredentialRetrievalError(provider="custom-process", error_msg="canary"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "canary"}}, "AssumeRole"),
    ],
)
def test_what_the_sdk_does_not_find_is_said_without_its_words(session: _Session, answer: Any) -> None:
    session.answer = answer
    with pytest.raises(NoCredentials, match="SDK found none") as caught:
        current_credentials({})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_real_session_finds_a_profile(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[other]\naws_access_key_id = of-the-profile\naws_secret_access_key = s\n")
    for name in KEY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "other")
    credentials._session.cache_clear()
    try:
        assert current_credentials().access_key_id == "of-the-profile"
    finally:
        credentials._session.cache_clear()


@pytest.fixture
def without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed."""
    imported, found = builtins.__import__, importlib.util.find_spec

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "botocore":
            raise ModuleNotFoundError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "botocore" else found(name, *rest))


@pytest.mark.usefixtures("without_the_sdk")
def test_without_the_extra_the_start_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    check_there_is_a_source(KEY)
    with pytest.raises(Invalid, match=r"AWS_ACCESS_KEY_ID: must be set, .* or the extra `aws` be installed"):
        check_there_is_a_source({})
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(Invalid, match="extra `aws`"):
        aws_client("kms", "eu-south-1", None)
    # And where they went away later:
    with pytest.raises(NoCredentials, match="extra `aws` is not installed"):
        current_credentials({})


def test_with_the_extra_there_may_be_some_elsewhere() -> None:
    """A control."""
    check_there_is_a_source({})
