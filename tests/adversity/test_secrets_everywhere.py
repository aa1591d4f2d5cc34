"""Secrets off the beaten track: every command with bad input, every object's repr, process arguments, functions' lines, files.

The interface's own error paths are a campaign: tests/adversity/secrets_everywhere.py.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import rich_click as click

from counterfoil.api.app import Api
from counterfoil.api.callers import by_gateway_subject
from counterfoil.api.routes import v1_routes
from counterfoil.client import Client, CounterfoilError
from counterfoil.credentials.gateway_principals import GatewayPrincipals
from counterfoil.entrypoints.aws_lambda import Function
from counterfoil.entrypoints.cli import group
from counterfoil.entrypoints.lambda_log import MetricLines, log_json_lines
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.wiring import system_now_us
from tests.adversity.error_paths import FAULTS, SPOILT, Asked
from tests.aws.test_lambda import PRINCIPALS, event_1, event_2
from tests.support.canaries import leaks
from tests.support.command_line import CommandLine
from tests.support.load import Caller, connections
from tests.support.parts import decoded, made_parts
from tests.support.service import Deployment, made_deployment

CANARY = 'cän"ary/7f3a91e81b42'


def _standing(deployment: Deployment) -> dict[str, bytes]:
    """What is secret whatever happens."""
    keys = KeysetEditor(deployment.folder / "keyset.json", system_now_us, bytes).read()
    return {
        "canary": CANARY.encode(),
        "data key": keys.primary.material,
        "journal key": keys.journal_key.reveal(),
        **{role: getattr(deployment, role).encode() for role in ("issuer", "validator", "operator")},
    }


# -- every command with bad input --

_CUT = ("--data", "cut")
_ONLINE = ("--url", "http://127.0.0.1:1", "--credential-file", "credential")
_COMMANDS: dict[tuple[str, ...], list[tuple[str, ...]]] = {
    ("dev",): [(*_CUT, "--port", "0")],
    ("demo",): [("--no-such-option",)],
    ("serve",): [
        _CUT,
        ("--config", "bad.toml"),
        ("--data", "data", "--port", "70000"),
        ("--data", "data", "--tls-cert", "credential"),
    ],
    ("issue",): [("1234", "--transaction", "@bad.json", *_ONLINE), ("1234", "--transaction", "@good.json", *_ONLINE)],
    ("validate",): [
        ("1234", "-", *_ONLINE),
        ("1234", "-", "--transaction", "@bad.json", *_ONLINE),
        ("1234", "-", "--timestamp", "x"),
    ],
    ("revoke",): [("1234", "-", *_ONLINE), ("1234", "-", "--timestamp", "1", *_ONLINE)],
    ("context", "seal"): [("1234", "limit", *_ONLINE), ("1234", "limit=1", *_ONLINE)],
    ("credential", "create"): [("new", "--role", "validator", *_CUT), ("a b", "--role", "validator", "--data", "data")],
    ("credential", "list"): [_CUT, ("--config", "bad.toml")],
    ("credential", "exchange"): [("the-issuer", *_CUT), ("nobody", "--data", "data")],
    ("credential", "finish-exchange"): [("the-issuer", *_CUT), ("nobody", "--data", "data")],
    ("credential", "revoke"): [("the-issuer", *_CUT), ("nobody", "--data", "data")],
    ("keyset", "new"): [_CUT],
    ("keyset", "rotate"): [_CUT],
    ("keyset", "list"): [_CUT, ("--config", "bad.toml")],
    ("keyset", "retire"): [("00000000", *_CUT), ("xyz", "--data", "data")],
    ("keyset", "upgrade"): [_CUT],
    ("journal", "verify"): [
        _CUT,
        ("--export", "bad.json", "--data", "data"),
        ("--export", "credential", "--data", "data"),
        ("--checkpoint", CANARY, "--data", "data"),
    ],
    ("journal", "export"): [_CUT, ("--config", "bad.toml")],
    ("backup",): [("copy.db", *_CUT)],
    ("restore",): [("bad.json", *_CUT), ("bad.json", "--data", "data")],
    ("doctor",): [_CUT, ("--config", "bad.toml")],
    ("completion",): [("no-such-shell",)],
}


def _leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from _leaves(command.get_command(context, name), (*words, name))


def test_the_table_knows_every_command() -> None:
    assert sorted(_leaves(group)) == sorted(_COMMANDS)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[CommandLine, dict[str, bytes]]:
    """A folder of files with secrets in them, most of them spoilt; and what is secret."""
    folder = tmp_path_factory.mktemp("shelf")
    deployment = made_deployment(folder / "data")
    cut = made_deployment(folder / "cut")
    hidden = {**_standing(deployment), **{f"cut {name}": value for name, value in _standing(cut).items()}}
    for name in ("keyset.json", "credentials.json"):
        path = cut.folder / name
        path.write_bytes(path.read_bytes()[:-9])
    (cut.folder / "counterfoil.db").write_text(CANARY * 500)
    (folder / "credential").write_text(deployment.issuer)
    (folder / "bad.json").write_text(json.dumps({"payee": CANARY})[:-1])
    (folder / "good.json").write_text(json.dumps({"payee": CANARY}))
    (folder / "bad.toml").write_text(f"[counterfoil]\nservice_context = '''{{\"stage\": [\"{CANARY}\"]}}'''\n")
    return CommandLine(folder, {"COUNTERFOIL_CREDENTIAL": deployment.validator}), hidden


@pytest.mark.slow
@pytest.mark.parametrize("words", sorted(_COMMANDS), ids=" ".join)
def test_no_command_with_bad_input_prints_a_secret(shelf: tuple[CommandLine, dict[str, bytes]], words: tuple[str, ...]) -> None:
    line, hidden = shelf
    for arguments in _COMMANDS[words]:
        done = line.run(*words, *arguments, given=CANARY)
        assert done.status != 0, arguments
        assert leaks({"out": done.out.encode(), "err": done.err.encode()}, hidden) == [], arguments


# -- process arguments and environment --


def test_a_server_has_no_secret_in_its_arguments_or_environment(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    with deployment.serving() as running:
        proc = Path("/proc") / str(running.process.pid)
        if not proc.exists():
            pytest.skip("this system has no /proc")
        seen = {name: (proc / name).read_bytes() for name in ("cmdline", "environ")}
    assert leaks(seen, _standing(deployment)) == []


# -- repr --


@contextmanager
def _reprs() -> Iterator[dict[str, str]]:
    """The repr of every object of ours that any function holds when it ends, by type."""
    seen: dict[str, str] = {}

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and str(frame.f_globals.get("__name__", "")).startswith("counterfoil"):
            for value in list(frame.f_locals.values()):
                if type(value).__module__.startswith("counterfoil") and not isinstance(value, type):
                    try:
                        seen[type(value).__name__] = seen.get(type(value).__name__, "") + repr(value)
                    except AttributeError:
                        # It is being made just now.
                        continue

    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)


async def _played(folder: Path) -> dict[str, bytes]:
    """Every verb, its successes and its failures; the secrets in them."""
    parts = made_parts(folder, service_context=json.dumps({"stage": CANARY}))
    bound: dict[str, Any] = {"context": {"device": CANARY}, "transaction": {"payee": CANARY}}
    sealing = {"client_id": "1234", "sealed_pairs": {"limit": CANARY}}
    sealed = decoded(await parts.ask("POST", "/v1/contexts/seal", sealing, role="operator"))["sealed_context"]
    passcode = (await parts.issue(**bound, sealed_context=sealed))["passcode"]
    whole = {**bound, "sealed_pairs": {"limit": CANARY}}
    await parts.validate(passcode, **{**whole, "context": {"device": CANARY + "x"}})
    assert (await parts.validate(passcode, **whole)).status == 200
    await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", "passcode": passcode}, role="issuer")
    await parts.ask("POST", "/v1/journal/passcode", {"client_id": "1234", "passcode": passcode}, role="operator")
    generated = decoded(await parts.ask("GET", "/generateOtp", query="clientId=1234", role="issuer"))
    named = f"clientId=1234&timestamp={generated['timestamp']}&otp={generated['otp']}"
    redeemed = decoded(await parts.ask("GET", "/validateOtp", query=named, role="validator"))
    return {
        "canary": CANARY.encode(),
        "passcode": passcode[4:].encode(),
        "generated": generated["otp"][4:].encode(),
        "redeemed OTP": redeemed["otp"].encode(),
        "sealed context": sealed[5:].encode(),
        "data key": parts.keyset.read().primary.material,
        **{role: secret.encode() for role, secret in parts.secrets.items()},
    }


def test_no_repr_of_an_object_that_holds_a_secret_shows_it(tmp_path: Path) -> None:
    with _reprs() as seen:
        hidden = asyncio.run(_played(tmp_path))
    assert {
        *("Binding", "Counterfoil", "DataKey", "Header", "IssueBody", "IssueRequest", "IssuedAnswer", "Keyset", "Passcode"),
        *("Principal", "Request", "Response", "SealContextBody", "SeedAccepted", "SeedValidationRequest", "Tags"),
        *(
            "ValidateBody",
            "ValidationRequest",
            "SeedValidated",
            "SealedContextAnswer",
            "CredentialRecord",
            "Settings",
            "PasscodeStoryBody",
        ),
    } <= seen.keys()
    assert leaks({name: text.encode() for name, text in seen.items()}, hidden) == []


def test_no_repr_of_a_clients_object_shows_a_secret(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    with deployment.serving() as running, _reprs() as seen:
        with Client(running.url, deployment.issuer, tries=1) as issuer:
            passcode = issuer.issue("1234", context={"device": CANARY}).passcode
        with Client(running.url, deployment.validator, tries=1) as validator:
            for context in ({"device": CANARY + "x"}, {"device": CANARY}, {"device": CANARY}):
                try:
                    validator.validate("1234", passcode, context=context)
                except CounterfoilError as error:
                    seen[type(error).__name__] = repr(error) + str(error)
    assert {"Answer", "Client", "Exchange", "IssuedAnswer", "PasscodeRefused"} <= seen.keys()
    hidden = {**_standing(deployment), "passcode": passcode[4:].encode()}
    assert leaks({name: text.encode() for name, text in seen.items()}, hidden) == []


# -- functions --


def test_no_line_of_a_function_shows_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A function's logging is its process's; here it ends with the test.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    parts = made_parts(tmp_path)
    principals = GatewayPrincipals(json.dumps(PRINCIPALS))
    api = Api(v1_routes(parts.service.handlers), by_gateway_subject(principals), MetricLines("test"))
    function = Function(api, "jwt", asyncio.new_event_loop())
    log_json_lines("DEBUG")
    good = Asked(
        "POST", "/v1/passcodes/validate", {"client_id": "1234", "passcode": "x"}, headers={b"content-type": b"application/json"}
    )
    answered = 0
    for spoil in SPOILT.values():
        asked = spoil(good, CANARY)
        headers = {name.decode(): value.decode() for name, value in asked.headers.items()}
        body = asked.content().decode("utf-8", "surrogateescape")
        for made in (event_1, event_2):
            for subject in ("backend", CANARY, None):
                answer = function.answered(made(asked.method, asked.path, body, headers, {CANARY: CANARY}, subject))
                # A body that is too large is answered before anything is counted.
                answered += answer["statusCode"] != 413
                assert leaks({"answer": json.dumps(answer).encode()}, {"canary": CANARY.encode()}) == []
    for nonsense in ({}, {CANARY: CANARY}, {"version": "2.0", "requestContext": CANARY}, {"requestContext": {CANARY: 1}}):
        function.answered(nonsense)
    for port, fault in FAULTS.values():
        if port == "keys":
            parts.service.handlers.validation.keys.opening_key = _failing(fault(CANARY))  # type: ignore[method-assign]
            passcode = "cf1_" + "A" * 18 + "8" + "A" * 64
            body = json.dumps({"client_id": "1234", "passcode": passcode})
            json_type = {"content-type": "application/json"}
            function.answered(event_2("POST", "/v1/passcodes/validate", body, json_type, {}, "backend"))
    function.close()
    printed = capsys.readouterr()
    assert printed.out.count("\n") >= answered
    assert leaks({"out": printed.out.encode(), "err": printed.err.encode()}, {"canary": CANARY.encode()}) == []


def _failing(error: Exception) -> Any:
    async def fails(*_: Any) -> Any:
        raise error

    return fails


# -- files --


async def test_no_file_beside_the_keyset_holds_a_secret(tmp_path: Path) -> None:
    """Nor does the credential file hold a credential."""
    deployment = made_deployment(tmp_path / "data")
    hidden = _standing(deployment)
    with deployment.serving("--seed-routes") as running:
        async with connections(running.url, 2) as opened:
            issuer, validator = Caller(opened[0], deployment.issuer), Caller(opened[1], deployment.validator)
            passcodes = [(await issuer.issue(context={"device": CANARY})).json["passcode"] for _ in range(20)]
            for number, passcode in enumerate(passcodes):
                await validator.validate(passcode, f"{number}", context={"device": CANARY + "x" * (number % 2)})
                hidden[f"passcode {number}"] = passcode[4:].encode()
        files = {each.name: each.read_bytes() for each in deployment.folder.iterdir() if each.name != "keyset.json"}
    assert {"counterfoil.db", "counterfoil.db-wal", "credentials.json"} <= files.keys()
    assert leaks(files, hidden) == []
