"""The wheel serves where nothing else is installed; the sdist holds what its own tests need."""

import re
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.packaging.conftest import BARE_ENVIRONMENT
from tests.packaging.tools import PACKAGING, ROOT, said
from tests.support.command_line import CommandLine
from tests.support.service import Deployment, made_deployment

pytestmark = pytest.mark.slow

# Dropped by an engine into the working folder; no part of the project.
_NOT_HANDED_OUT = {"dynamodb-local-metadata.json"}
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def test_the_wheel_alone_serves_a_passcode_once(installed: Path, tmp_path: Path) -> None:
    command = (str(installed / "bin" / "counterfoil"),)
    line = CommandLine(tmp_path, {"COUNTERFOIL_DATA": str(tmp_path / "data")}, command)
    line.succeed("keyset", "new")
    issuer = line.succeed("credential", "create", "shop", "--role", "issuer", "--client", "*").out.strip()
    validator = line.succeed("credential", "create", "backend", "--role", "validator").out.strip()

    with Deployment(tmp_path / "data", issuer, validator, operator="").serving(command=command) as running:
        bound = {"client_id": "shop-1", "transaction": {"amount": "10.00"}}

        def asked(path: str, credential: str, body: dict[str, Any]) -> httpx2.Response:
            return httpx2.post(running.url + path, json=body, headers={"Authorization": f"Bearer {credential}"})

        issued = asked("/v1/passcodes", issuer, bound)
        assert issued.status_code == 201
        presented = {**bound, "passcode": issued.json()["passcode"]}
        answers = [asked("/v1/passcodes/validate", validator, presented) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 409]
        assert answers[1].json()["reason"] == "already_redeemed"
        # Data of the package beside its code: the documentation page.
        assert httpx2.get(running.url + "/docs/swagger-ui-bundle.js").status_code == 200
        assert line.succeed("doctor").out.count("problem") == 0
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=30) == 0


def test_the_wheel_plays_the_demo_with_its_own_examples(installed: Path, tmp_path: Path) -> None:
    shown = said(str(installed / "bin" / "counterfoil"), "demo", cwd=tmp_path, environment=BARE_ENVIRONMENT)
    assert re.search(r"(\d+) of \1 verdicts are the expected ones", shown)


def test_nothing_is_installed_but_what_is_locked(installed: Path) -> None:
    python = str(installed / "bin" / "python")
    listed = said(python, "-m", "pip", "--disable-pip-version-check", "freeze", "--exclude", "counterfoil", cwd=installed)
    locked = dict(_PIN.findall((PACKAGING / "runtime.lock").read_text()))
    found = dict(_PIN.findall(listed.lower().replace("_", "-")))
    assert found.items() <= locked.items()
    assert len(found) <= 25
    said(python, "-m", "pip", "--disable-pip-version-check", "check", cwd=installed)
    where = said(python, "-c", "import counterfoil; print(counterfoil.__file__)", cwd=installed, environment=BARE_ENVIRONMENT)
    assert Path(where).is_relative_to(installed)


def test_what_is_locked_for_use_is_what_is_locked_for_the_tests() -> None:
    used = dict(_PIN.findall((PACKAGING / "runtime.lock").read_text()))
    tested = dict(_PIN.findall((ROOT / "requirements.lock").read_text()))
    assert used.items() <= tested.items(), "run `make lock`"
    assert not used.keys() & {"pytest", "mypy", "hatchling", "botocore"}


def test_what_is_locked_for_the_console_is_its_extra_and_what_the_tests_use() -> None:
    used = dict(_PIN.findall((PACKAGING / "console.lock").read_text()))
    assert used.items() <= dict(_PIN.findall((ROOT / "requirements.lock").read_text())).items(), "run `make lock`"
    assert sorted(used) == ["jinja2", "markupsafe"]
    wanted = [line for line in (PACKAGING / "console.in").read_text().splitlines() if not line.startswith("#")]
    assert wanted == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["console"]


def test_the_manual_page_comes_with_the_wheel(installed: Path) -> None:
    page = installed / "share" / "man" / "man1" / "counterfoil.1"
    assert page.read_text() == (PACKAGING / "man" / "counterfoil.1").read_text()


def test_the_wheel_holds_code_and_its_data_and_no_test(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"counterfoil"}
    assert not [name for name in names if "test" in name or name.endswith((".pyc", ".db", ".credential"))]
    assert "counterfoil/py.typed" in names
    assert "counterfoil/examples/card-payment.json" in names


def test_the_wheel_holds_the_console_with_its_templates_and_assets(wheel: Path) -> None:
    source = ROOT / "src"
    paths = [path for path in (source / "counterfoil" / "console").rglob("*") if path.is_file()]
    here = {str(path.relative_to(source)): path.read_bytes() for path in paths if "__pycache__" not in path.parts}
    archive = zipfile.ZipFile(wheel)
    assert {name: archive.read(name) for name in archive.namelist() if name.startswith("counterfoil/console/")} == here
    # What is vendored comes with the list that says where it is from.
    assert {Path(name).suffix for name in here} == {".py", ".html", ".css", ".js", ".svg", ".toml", ".txt"}


def test_the_wheel_asks_for_the_consoles_library_as_an_extra_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    wanted = [line for line in archive.read(name).decode().splitlines() if line.lower().startswith("requires-dist: jinja2")]
    assert [line.partition(";")[2].strip() for line in wanted] == ["extra == 'console'"]


def test_the_wheel_asks_for_opentelemetry_as_an_extra_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    lines = archive.read(name).decode().lower().splitlines()
    wanted = [line for line in lines if line.startswith("requires-dist: opentelemetry")]
    assert len(wanted) == 3
    assert {line.partition(";")[2].strip() for line in wanted} == {"extra == 'otel'"}


def test_the_wheel_serves_the_console_with_its_extra_and_names_it_without(installed: Path, tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    command = (str(installed / "bin" / "counterfoil"),)
    without = CommandLine(tmp_path, command=command).run("serve", "--console", "--port", "0", "--data", str(deployment.folder))
    assert (without.status, without.err) == (2, "counterfoil: console: needs Jinja2: pip install 'counterfoil[console]'\n")

    lock = tmp_path / "console.lock"
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    lock.write_text("\n".join(entry for entry in entries if entry.startswith(("jinja2==", "markupsafe=="))))
    extra = tmp_path / "extra"
    install = (str(installed / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    said(*install, "--require-hashes", "--requirement", str(lock), "--target", str(extra), cwd=tmp_path)
    with deployment.serving("--console", command=command, PYTHONPATH=str(extra)) as running:
        page = httpx2.get(running.url + "/console/login")
        assert (page.status_code, "<h1>Log in</h1>" in page.text) == (200, True)
        assets = re.findall(r'(?:href|src)="(/console/assets/[^"]+)"', page.text)
        assert {path.rpartition(".")[2] for path in assets} == {"css", "js", "svg"}
        assert [httpx2.get(running.url + path).status_code for path in assets] == [200] * len(assets)


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside


def test_the_sdist_holds_every_file_of_the_project(unpacked: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout: what the project's files are is not known here")
    tracked = set(said("git", "ls-files").splitlines()) - _NOT_HANDED_OUT
    held = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert {name for name in tracked if (ROOT / name).exists()} - held == set()
    assert held - tracked - set(said("git", "ls-files", "--others", "--exclude-standard").splitlines()) == {"PKG-INFO"}


def test_the_sdist_makes_the_same_wheel(unpacked: Path, wheel: Path, tmp_path: Path) -> None:
    said(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path), cwd=unpacked)
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()


def test_the_tests_of_the_sdist_run_in_it(unpacked: Path) -> None:
    environment = {**BARE_ENVIRONMENT, "PYTHONPATH": str(unpacked / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    pytest_ = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    collected = said(*pytest_, "tests", "--collect-only", cwd=unpacked, environment=environment)
    assert re.search(r"^\d{3,} tests collected", collected, re.MULTILINE)
    # Of the others, those that read what is beside the code.
    some = ("tests/vectors", "tests/unit/test_settings.py", "tests/unit/test_security_page.py", "tests/unit/test_api.py")
    passed = said(*pytest_, *some, cwd=unpacked, environment=environment)
    assert re.search(r"^\d{2,} passed", passed, re.MULTILINE), passed[-500:]


def test_control_what_is_not_in_the_wheel_is_not_found(installed: Path) -> None:
    done = subprocess.run(
        [installed / "bin" / "python", "-c", "import tests"],
        cwd=installed,
        env=BARE_ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert b"ModuleNotFoundError" in done.stderr
