"""The container file: its rules, its linters, and its stages played: built, then served as nobody with everything read-only."""

import re
import shutil
import signal
import socket
from pathlib import Path

import httpx2
import pytest

from counterfoil.entrypoints.health import lives
from counterfoil.settings import Settings
from tests.packaging.container import FOLDER, environment, image_serving, in_it, stages, the, until_it_answers
from tests.packaging.tools import PACKAGING, ROOT, linter, said
from tests.support.service import made_deployment

BUILD, FINAL = stages()
SLIM = r"docker\.io/library/python:\d+\.\d+-slim-\w+"
IGNORED = (FOLDER / "Containerfile.dockerignore").read_text()


# -- rules --


def test_both_stages_come_from_one_slim_python_by_tag() -> None:
    assert the("FROM", BUILD).rest == the("FROM", FINAL).rest + " AS build"
    assert re.fullmatch(SLIM, the("FROM", FINAL).rest)
    assert ":3.11-" in the("FROM", FINAL).rest


def test_it_runs_as_a_number_that_is_not_root_and_is_not_changed_after() -> None:
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", the("USER", FINAL).rest)
    after = FINAL[FINAL.index(the("USER", FINAL)) + 1 :]
    assert not {instruction.name for instruction in after} & {"RUN", "COPY", "ADD", "USER", "ENV"}


def test_what_is_run_is_in_exec_form_and_by_whole_paths() -> None:
    for name in ("ENTRYPOINT", "CMD"):
        assert the(name, FINAL).rest.startswith("[")
    assert the("ENTRYPOINT", FINAL).words == ["/opt/counterfoil/bin/counterfoil"]
    assert re.search(r' CMD \["/opt/counterfoil/bin/python", ', the("HEALTHCHECK", FINAL).rest)
    assert the("STOPSIGNAL", FINAL).rest == "SIGTERM"
    assert the("VOLUME", FINAL).words == [environment(FINAL)["COUNTERFOIL_DATA"]] == ["/data"]


def test_no_secret_gets_into_a_layer() -> None:
    copied = {word for each in BUILD if each.name == "COPY" for word in each.words[:-1]}
    # One by one and never the folder, in which a keyset or a credential may lie about.
    assert not copied & {".", "./", "*"}
    assert not {"ADD", "ARG"} & {each.name for each in (*BUILD, *FINAL)}
    allowed = {line.removeprefix("!") for line in IGNORED.splitlines() if line.startswith("!")}
    assert "*" in IGNORED.splitlines()
    assert allowed == copied
    assert all((ROOT / name).exists() for name in copied)
    given = {*environment(BUILD), *environment(FINAL)}
    assert not [name for name in given if re.search("SECRET|TOKEN|PASSWORD|CREDENTIAL|KEY|SERVICE_CONTEXT", name)]
    assert [each.words for each in FINAL if each.name == "COPY"] == [["--from=build", "/opt/counterfoil", "/opt/counterfoil"]]


def test_everything_is_installed_from_a_lock() -> None:
    runs = " && ".join(each.rest for each in BUILD if each.name == "RUN")
    installs = [step for step in runs.split(" && ") if " install " in step]
    assert [("--require-hashes" in step, step.split()[-1]) for step in installs] == [
        (True, "builder.lock"),
        (True, "runtime.lock"),
        (True, "console.lock"),
        (False, "dist/*.whl"),
    ]
    assert environment(BUILD)["PIP_NO_DEPS"] == "1"
    builder = re.findall(r"^([a-z-]+)==(\S+)", (PACKAGING / "builder.lock").read_text(), re.MULTILINE)
    tested = re.findall(r"^([a-z-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert ("hatchling", "1.33.0") in builder
    assert set(builder) <= set(tested), "run `make lock`"


# -- linters --


def test_hadolint_finds_nothing() -> None:
    assert said(linter("hadolint"), str(FOLDER / "Containerfile")) == ""


def test_control_hadolint_finds_a_shell_form(tmp_path: Path) -> None:
    spoilt = tmp_path / "Containerfile"
    spoilt.write_text((FOLDER / "Containerfile").read_text().replace('CMD ["serve"]', "CMD serve"))
    assert "DL3025" in said(linter("hadolint"), str(spoilt), status=1)


@pytest.mark.slow
def test_checkov_finds_nothing(tmp_path: Path) -> None:
    # It knows a container file by Docker's name for it.
    shutil.copy(FOLDER / "Containerfile", tmp_path / "Dockerfile")
    checked = (linter("checkov"), "--framework", "dockerfile", "--directory", str(tmp_path), "--compact", "--skip-download")
    assert re.search(r"Passed checks: \d{2,}, Failed checks: 0, Skipped checks: 0", said(*checked))


# -- the health check --


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_health_check_says_whether_the_service_lives(tmp_path: Path, host: str) -> None:
    deployment = made_deployment(tmp_path / "data")
    with deployment.serving("--host", host, "--tls-terminated-upstream") as running:
        asked = Settings(host=host, port=int(running.url.rpartition(":")[2]))
        assert lives(asked)
    assert not lives(asked)


def test_a_service_that_answers_otherwise_does_not_live() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Nobody accepts; and with TLS the same port is no service that speaks it.
        port = listening.getsockname()[1]
        assert not lives(Settings(port=port))
        assert not lives(Settings(port=port, tls_cert="cert.pem", tls_key="key.pem"))


# -- played --


@pytest.mark.slow
def test_the_image_serves_as_nobody_with_a_read_only_root_and_stops_when_told(image: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    variables = {**environment(FINAL), "COUNTERFOIL_PORT": port, "COUNTERFOIL_TLS_TERMINATED_UPSTREAM": "true"}

    def within(script: str) -> str:
        done = in_it(image, script, variables, as_image=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert within("id -u; touch /opt/x /etc/x /tmp/x /var/tmp/x /x 2>&1 | grep -c 'Read-only'") == "10001\n5\n"
    within("counterfoil keyset new")
    issuer = within("counterfoil credential create shop --role issuer --client '*'").strip()
    validator = within("counterfoil credential create backend --role validator").strip()
    check = the("HEALTHCHECK", FINAL).rest.partition(" CMD ")[2]
    healthy = "exec " + " ".join(re.findall(r'"([^"]+)"', check))
    assert in_it(image, healthy, variables, as_image=True).returncode == 1
    with image_serving(image, **{name: variables[name] for name in variables if name.startswith("COUNTERFOIL_")}) as process:
        url = f"http://127.0.0.1:{port}"
        until_it_answers(url, process)
        within(healthy)
        issued = httpx2.post(
            f"{url}/v1/passcodes", json={"client_id": "shop-1"}, headers={"Authorization": f"Bearer {issuer}"}
        ).json()
        asked = {"client_id": "shop-1", "passcode": issued["passcode"]}
        statuses = [
            httpx2.post(
                f"{url}/v1/passcodes/validate", json=asked, headers={"Authorization": f"Bearer {validator}"}
            ).status_code
            for _ in range(2)
        ]
        assert statuses == [200, 409]
        assert " problem" not in within("counterfoil doctor")
        process.send_signal(getattr(signal, the("STOPSIGNAL", FINAL).rest))
        assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_the_image_serves_the_console_where_it_is_switched_on(image: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    variables = {"COUNTERFOIL_PORT": port, "COUNTERFOIL_TLS_TERMINATED_UPSTREAM": "true"}
    for command in ("keyset new", "credential create shop --role issuer --client '*'"):
        done = in_it(image, f"counterfoil {command}", {**environment(FINAL), **variables}, as_image=True)
        assert done.returncode == 0, done.stdout + done.stderr
    for switched_on, status in (("true", 200), ("false", 404)):
        with image_serving(image, **variables, COUNTERFOIL_CONSOLE=switched_on) as process:
            url = f"http://127.0.0.1:{port}"
            until_it_answers(url, process)
            assert httpx2.get(f"{url}/console/login").status_code == status
            process.terminate()
            assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_the_image_does_not_start_before_it_is_told_who_speaks_tls(image: Path) -> None:
    with image_serving(image) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "host: is not a loopback address" in output


@pytest.mark.slow
def test_the_image_holds_no_builder_and_no_secret(image: Path) -> None:
    held = [path.name for path in (image / "opt" / "counterfoil" / "bin").iterdir()]
    assert "counterfoil" in held
    assert not {"pip", "hatchling"} & set(held)
    for path in (image / "opt").rglob("*"):
        assert path.suffix not in {".credential", ".db"}
        assert path.name not in {"keyset.json", "credentials.json"}
    assert (image / "data").stat().st_mode & 0o777 == 0o700
