"""The command line as scripts and people meet it: exit statuses, JSON, help, completion; secrets on stdout alone."""

import json
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from counterfoil import Client
from counterfoil.client import LimitReached
from counterfoil.entrypoints.cli import group
from tests.support.command_line import CommandLine
from tests.support.scripted_server import Reply, scripted_server
from tests.support.service import Running, made_deployment

PAYMENT = '{"amount": "10.00", "payee": "Anna"}'


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(tmp_path / "data")})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, CommandLine]]:
    """A service, and a command line that has its URL and two credential files."""
    folder = tmp_path_factory.mktemp("commands")
    deployment = made_deployment(folder / "data")
    for name in ("issuer", "validator", "operator"):
        (folder / name).write_text(getattr(deployment, name) + "\n")
    limits = {"COUNTERFOIL_ISSUE_RATE_PER_S": "0.001", "COUNTERFOIL_ISSUE_BURST": "30"}
    with deployment.serving(**limits) as service:
        yield service, CommandLine(folder, {"COUNTERFOIL_URL": service.url})


def _as(role: str) -> tuple[str, str]:
    return "--credential-file", role


def test_a_passcode_goes_from_issue_to_acceptance_once(running: tuple[Running, CommandLine]) -> None:
    _, line = running
    bound = ("--transaction", PAYMENT, "--context", "device_id=d-9")
    issued = line.succeed("issue", "shop-1", *bound, "--json", *_as("issuer")).json
    assert issued["expires_at"] == issued["timestamp"] + 60_000_000
    asked = ("validate", "shop-1", issued["passcode"], *bound, *_as("validator"))
    accepted = line.succeed(*asked, "--redemption-id", "first", "--json").json
    assert accepted == {
        "client_id": "shop-1",
        "timestamp": issued["timestamp"],
        "redeemed_at": accepted["redeemed_at"],
        "redemption_id": "first",
        "replayed": False,
    }
    assert line.succeed(*asked, "--redemption-id", "first").out == "accepted (told again)\n"
    second = line.run(*asked)
    assert (second.status, second.out) == (1, "")
    assert "already_redeemed" in second.err


def test_a_transaction_is_given_as_json_as_a_file_or_as_a_digest(running: tuple[Running, CommandLine]) -> None:
    _, line = running
    (line.folder / "payment.json").write_text('{"payee":"Anna","amount":"10.00"}')
    (line.folder / "payment.xml").write_text("<payment/>")
    digest = "d14f8a8a9a2b3c1cfc8e7ee3ff5c0bf1dc1d40d8ab5b5a5bdbf2a6a8f8a7cbbd"
    for issued_with, validated_with in (
        (("--transaction", PAYMENT), ("--transaction", "@payment.json")),
        (("--transaction-file", "payment.xml"), ("--transaction-file", "payment.xml")),
        (("--transaction-digest", digest), ("--transaction-digest", digest.upper())),
    ):
        passcode = line.succeed("issue", "shop-1", *issued_with, *_as("issuer")).out
        assert line.succeed("validate", "shop-1", "-", *validated_with, *_as("validator"), given=passcode).out == "accepted\n"
    two_ways = line.run("issue", "shop-1", "--transaction", "1", "--transaction-digest", digest, *_as("issuer"))
    assert two_ways.status == 2


def test_a_sealed_context_goes_through_issue_unread(running: tuple[Running, CommandLine]) -> None:
    _, line = running
    sealed = line.succeed("context", "seal", "shop-1", "limit=500", *_as("operator")).out.strip()
    assert sealed.startswith("cfx1_")
    passcode = line.succeed("issue", "shop-1", "--sealed-context", sealed, *_as("issuer")).out.strip()
    wrong = line.run("validate", "shop-1", passcode, "--sealed-pair", "limit=501", *_as("validator"))
    assert (wrong.status, "context_mismatch" in wrong.err) == (1, True)
    line.succeed("validate", "shop-1", passcode, "--sealed-pair", "limit=500", *_as("validator"))
    as_json = line.succeed("context", "seal", "shop-1", "limit=500", "--lifetime", "60", "--json", *_as("validator")).json
    assert set(as_json) == {"client_id", "sealed_context", "expires_at"}


def test_a_revoked_passcode_is_refused(running: tuple[Running, CommandLine]) -> None:
    _, line = running
    first, second = (line.succeed("issue", "shop-1", "--json", *_as("issuer")).json for _ in range(2))
    line.succeed("revoke", "shop-1", "--timestamp", str(first["timestamp"]), *_as("issuer"))
    assert line.succeed("revoke", "shop-1", "-", "--json", *_as("validator"), given=second["passcode"]).json == {
        "revoked": True
    }
    for issued in (first, second):
        refused = line.run("validate", "shop-1", issued["passcode"], *_as("validator"))
        assert (refused.status, "revoked" in refused.err) == (1, True)


def test_each_way_to_fail_has_a_status_of_its_own(running: tuple[Running, CommandLine]) -> None:
    service, line = running
    assert line.run("issue", "shop-1", *_as("validator")).status == 4
    assert line.run("issue", "shop-1", COUNTERFOIL_CREDENTIAL="cfi_wrong").status == 4
    assert line.run("issue", "shop-1").status == 2
    assert line.run("issue", "shop-1", "--context", "no-equals-sign", *_as("issuer")).status == 2
    assert line.run("issue", "shop-1", "--context", "a=1", "--context", "a=2", *_as("issuer")).status == 2
    assert line.run("issue", "shop-1", "--transaction", '{"a":1,"a":2}', *_as("issuer")).status == 2
    assert line.run("issue", "shop-1", "--lifetime", "601", *_as("issuer")).status == 2
    assert line.run("issue", "shop-1", "--url", "http://127.0.0.1:1", *_as("issuer")).status == 3
    assert line.run("issue", "shop-1", "--no-such-option").status == 2
    assert line.run("no-such-command").status == 2
    with Client(service.url, (line.folder / "issuer").read_text().strip(), tries=1) as client, suppress(LimitReached):
        for _ in range(40):
            client.issue("busy")
    limited = line.run("issue", "busy", *_as("issuer"))
    assert limited.status == 5
    assert "too fast" in limited.err


def test_an_answer_that_never_comes_is_unknown_and_names_the_redemption_id(tmp_path: Path) -> None:
    with scripted_server(Reply(status=503)) as server:
        line = CommandLine(tmp_path, {"COUNTERFOIL_URL": server.url, "COUNTERFOIL_CREDENTIAL": "cfv_x"})
        unknown = line.run("validate", "shop-1", "cf1_x")
    assert unknown.status == 3
    asked_with = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(asked_with) == 1
    assert f"--redemption-id {asked_with.pop()}" in unknown.err


def test_a_command_that_fails_repeats_no_secret(running: tuple[Running, CommandLine]) -> None:
    _, line = running
    passcode = line.succeed("issue", "shop-1", "--context", "card=canary-card", *_as("issuer")).out.strip()
    refused = line.run("validate", "shop-1", passcode, "--context", "card=canary-other", *_as("validator"))
    assert refused.status == 1
    credential = (line.folder / "validator").read_text().strip()
    for secret in (passcode, credential, "canary"):
        assert secret not in refused.out + refused.err


def test_credentials_are_made_listed_exchanged_and_revoked(line: CommandLine) -> None:
    secret = line.succeed("credential", "create", "shop", "--role", "issuer", "--client", "shop-*", "--expires-in", "90d")
    assert re.fullmatch(r"cfi_[A-Za-z0-9_-]{43}\n", secret.out)
    assert secret.out.strip() not in secret.err
    line.succeed("credential", "create", "backend", "--role", "validator")
    (shop, backend) = line.succeed("credential", "list", "--json").json
    assert (shop["name"], shop["role"], shop["clients"], shop["state"]) == ("shop", "issuer", ["shop-*"], "live")
    assert round((shop["expires_at"] - shop["created_at"]) / 86_400_000_000) == 90
    assert backend["expires_at"] is None
    second = line.succeed("credential", "exchange", "shop").out
    assert second != secret.out
    assert line.run("credential", "exchange", "shop").status == 2
    assert "shop  issuer  live  2 live  clients shop-*" in line.succeed("credential", "list").out
    line.succeed("credential", "finish-exchange", "shop")
    line.succeed("credential", "revoke", "shop", "--with-passcodes")
    states = [row["state"] for row in line.succeed("credential", "list", "--json").json]
    assert states == ["revoked", "live"]
    for wrong in (
        ("create", "shop", "--role", "issuer", "--client", "*"),
        ("create", "no-clients", "--role", "issuer"),
        ("create", "spaced name", "--role", "validator"),
        ("create", "later", "--role", "validator", "--expires-in", "soon"),
        ("create", "later", "--role", "emperor"),
        ("revoke", "nobody"),
    ):
        assert line.run("credential", *wrong).status == 2, wrong


def test_keys_are_made_listed_rotated_and_retired(line: CommandLine) -> None:
    assert line.run("keyset", "list").status == 2
    assert line.run("keyset", "rotate").status == 2
    line.succeed("keyset", "new")
    path = Path(line.environment["COUNTERFOIL_DATA"]) / "keyset.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert line.run("keyset", "new").status == 2
    assert path.read_bytes() == content
    first = json.loads(content)["primary"]
    line.succeed("keyset", "rotate")
    listed = line.succeed("keyset", "list", "--json").json
    assert [(key["id"] == first, key["state"]) for key in listed["keys"]] == [(True, "opens"), (False, "primary")]
    assert line.run("keyset", "retire", listed["keys"][1]["id"]).status == 2
    assert line.run("keyset", "retire", "not-hex").status == 2
    line.succeed("keyset", "retire", first)
    shown = line.succeed("keyset", "list").out
    assert f"{first}  retired " in shown
    assert shown.startswith("epoch 1\n")
    for material in re.findall(r'"material": "([^"]+)"', path.read_text() + content.decode()):
        assert material not in shown


def test_a_service_does_not_start_without_keys_or_credentials_and_makes_none(line: CommandLine) -> None:
    without_keys = line.run("serve", "--port", "0")
    assert without_keys.status == 2
    assert "counterfoil keyset new" in without_keys.err
    line.succeed("keyset", "new")
    without_credentials = line.run("serve", "--port", "0")
    assert without_credentials.status == 2
    assert "counterfoil credential create" in without_credentials.err
    assert sorted(path.name for path in Path(line.environment["COUNTERFOIL_DATA"]).iterdir()) == [
        ".keyset.json.lock",
        "keyset.json",
    ]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"COUNTERFOIL_LIFETIME_MAX_S": "601"}, "lifetime_max_s"),
        ({"COUNTERFOIL_LIFETIME_DEFAULT_S": "0"}, "lifetime_default_s"),
        ({"COUNTERFOIL_PORT": "many"}, "port"),
        ({"COUNTERFOIL_SERVICE_CONTEXT": "{"}, "service_context"),
        ({"COUNTERFOIL_SERVICE_CONTEXT": '{"stage": 1}'}, "service_context"),
        ({"COUNTERFOIL_STORE": "redis://x"}, "store"),
        ({"COUNTERFOIL_CONFIG": "nowhere.toml"}, "config"),
        ({"COUNTERFOIL_TLS_CERT": "cert.pem"}, "tls_cert"),
        ({"COUNTERFOIL_TLS_CERT": "no.pem", "COUNTERFOIL_TLS_KEY": "no.pem"}, "tls_cert: names no file"),
        ({"COUNTERFOIL_SERVICE_CONTEXT": '{"stage": "a", "stage": "b"}'}, "service_context"),
        ({"COUNTERFOIL_ISSUE_RATE_PER_S": "1e-10"}, "issue_rate_per_s"),
        ({"COUNTERFOIL_CONFIG": "/dev/null/settings.toml"}, "config"),
        ({"COUNTERFOIL_HOST": "0.0.0.0"}, "host"),
        ({"COUNTERFOIL_HOST": "payments.example"}, "host"),
    ],
)
def test_a_setting_that_breaks_a_rule_stops_the_start_and_is_named(
    line: CommandLine, environment: dict[str, str], named: str
) -> None:
    made_deployment(Path(line.environment["COUNTERFOIL_DATA"]))
    refused = (
        line.run("serve", "--port", "0", **environment) if "PORT" not in str(environment) else line.run("serve", **environment)
    )
    assert refused.status == 2
    assert refused.err.startswith(f"counterfoil: {named}")


def test_settings_come_from_a_file_below_the_environment(line: CommandLine) -> None:
    made_deployment(Path(line.environment["COUNTERFOIL_DATA"]))
    (line.folder / "settings.toml").write_text("[counterfoil]\nlifetime_default_s = 7\n")
    settings = [
        next(found["says"] for found in line.succeed("doctor", "--json", **environment).json if found["what"] == "settings")
        for environment in (
            {},
            {"COUNTERFOIL_CONFIG": "settings.toml"},
            {"COUNTERFOIL_CONFIG": "settings.toml", "COUNTERFOIL_LIFETIME_DEFAULT_S": "8"},
        )
    ]
    assert [says.rpartition("lifetime ")[2] for says in settings] == ["60 s", "7 s", "8 s"]
    (line.folder / "wrong.toml").write_text("[counterfoil]\nlifetyme = 7\n")
    assert line.run("keyset", "list", "--config", "wrong.toml").status == 2


def test_what_cannot_be_read_is_invalid_and_no_traceback(line: CommandLine) -> None:
    made_deployment(Path(line.environment["COUNTERFOIL_DATA"]))
    (line.folder / "noise").write_bytes(b"\xff\xfe")
    (line.folder / "broken.toml").write_text("[counterfoil\n")
    at = {"COUNTERFOIL_URL": "http://127.0.0.1:1", "COUNTERFOIL_CREDENTIAL": "cfi_x"}
    for words in (
        ("serve", "--port", "0", "--tls-cert", "noise", "--tls-key", "noise"),
        ("keyset", "list", "--config", "broken.toml"),
        ("backup", "/etc/passwd/x"),
        ("issue", "1234", "--transaction", "@."),
        ("issue", "1234", "--credential-file", "noise"),
    ):
        refused = line.run(*words, **at)
        assert (refused.status, "Traceback" in refused.err) == (2, False), (words, refused)


def _all_commands() -> list[tuple[str, ...]]:
    import rich_click as click

    found: list[tuple[str, ...]] = []

    def visit(command: click.Command, words: tuple[str, ...]) -> None:
        found.append(words)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                visit(below, (*words, name))

    visit(group, ())
    return found


COMMANDS = _all_commands()


def test_help_lists_every_command(line: CommandLine) -> None:
    shown = line.succeed("--help").out
    assert line.succeed().out == shown
    for words in COMMANDS:
        if len(words) == 1:
            assert re.search(rf"\b{words[0]}\b", shown)
    assert "Exit status" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("words", [words for words in COMMANDS if words], ids=" ".join)
def test_the_help_of_a_command_has_an_example_that_the_command_takes(words: tuple[str, ...]) -> None:
    """Run in this process: help is text, and forty processes would take half a minute to print it."""
    import shlex

    import rich_click as click
    from click.testing import CliRunner

    shown = CliRunner().invoke(group, [*words, "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    example = re.search(r"Example: counterfoil (.*)", shown.output)
    assert example is not None, shown.output
    # The shell's part (a pipe, a redirection) is not the command's.
    tokens = shlex.split(re.split(r" [|>] ", example[1].rstrip(" │"))[0])
    assert tuple(tokens[: len(words)]) == words
    command: click.Command = group
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), tokens.pop(0))
        assert found is not None
        command = found
    environment = {"COUNTERFOIL_URL": "http://127.0.0.1:1"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COUNTERFOIL_URL", environment["COUNTERFOIL_URL"])
        # Parses options and arguments as written; a wrong name or a missing argument raises.
        command.make_context(command.name, tokens)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(line: CommandLine, shell: str) -> None:
    assert "_COUNTERFOIL_COMPLETE" in line.succeed("completion", shell).out


def test_completion_knows_the_commands(line: CommandLine) -> None:
    asked = {"_COUNTERFOIL_COMPLETE": "bash_complete", "COMP_WORDS": "counterfoil ke", "COMP_CWORD": "1"}
    assert "keyset" in line.run(**asked).out
