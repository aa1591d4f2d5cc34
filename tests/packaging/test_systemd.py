"""The systemd unit: what it promises, what systemd says of it, and that the service does nothing which it forbids."""

import os
import re
import resource
import signal
from dataclasses import fields
from pathlib import Path

import pytest

from counterfoil import Client
from counterfoil.entrypoints import exits
from counterfoil.settings import Settings, load_settings
from tests.contract.engines import unless_missing
from tests.packaging.tools import PACKAGING, program, said
from tests.support import strace
from tests.support.service import COUNTERFOIL, made_deployment

FOLDER = PACKAGING / "systemd"
UNIT = (FOLDER / "counterfoil.service").read_text()
TLS = (FOLDER / "tls.conf").read_text()
# systemd 252 says 0.9, for what a network service has to have; later versions look at more.
EXPOSURE_MAX = 1.0


def _values(name: str, text: str = UNIT) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def _value(name: str) -> str:
    (value,) = _values(name)
    return value


# -- what it promises --


def test_a_failed_store_is_started_again_and_a_wrong_setting_is_not() -> None:
    assert _value("RestartForceExitStatus") == str(exits.FAILED)
    assert _value("RestartPreventExitStatus") == str(exits.INVALID)
    assert _value("Restart") == "on-failure"
    # Within the interval the restarts reach the burst, so that a disk that always fails ends in a failed unit.
    assert int(_value("StartLimitBurst")) * int(_value("RestartSec").removesuffix("s")) < 5 * 60


def test_files_are_their_owners_alone_and_nothing_is_dumped() -> None:
    assert _value("StateDirectoryMode") == "0700"
    assert _value("UMask") == "0077"
    assert _value("LimitCORE") == "0"
    assert f"COUNTERFOIL_DATA=/var/lib/{_value('StateDirectory')}" in _values("Environment")
    user = re.search(r"^u (\S+) - ", (FOLDER / "counterfoil.sysusers").read_text(), re.MULTILINE)
    assert user is not None
    assert _value("User") == _value("Group") == user[1]


def test_the_settings_of_unit_drop_in_and_example_are_settings_and_no_secret() -> None:
    known = {f"COUNTERFOIL_{each.name.upper()}" for each in fields(Settings)} | {"COUNTERFOIL_CONFIG"}
    example = (FOLDER / "counterfoil.env").read_text()
    given = dict(re.findall(r"^(?:Environment=|#)?(COUNTERFOIL_[A-Z_]+)=(.*)$", f"{UNIT}\n{TLS}\n{example}", re.MULTILINE))
    assert len(given) >= 7
    assert given.keys() <= known
    assert "COUNTERFOIL_SERVICE_CONTEXT" not in given
    # Values that it shows are values that are taken.
    load_settings(None, {name: value for name, value in given.items() if name != "COUNTERFOIL_CONFIG"})


def test_the_tls_key_is_handed_over_and_the_network_opened_together() -> None:
    loaded = dict(value.split(":", 1) for value in _values("LoadCredential", TLS))
    assert {f"%d/{name}" for name in loaded} == set(re.findall(r"=(%d/\S+)", TLS))
    assert "COUNTERFOIL_HOST=0.0.0.0" in _values("Environment", TLS)
    assert (_values("IPAddressAllow"), _values("IPAddressAllow", TLS)) == (["localhost"], ["any"])


# -- what systemd says --


@pytest.mark.parametrize("drop_in", ["", TLS], ids=["unit", "unit with tls.conf"])
def test_systemd_reads_the_unit_without_a_word(tmp_path: Path, drop_in: str) -> None:
    started = tmp_path / "counterfoil"
    started.touch(0o755)
    unit = tmp_path / "counterfoil.service"
    unit.write_text(f"{UNIT}\n{drop_in}".replace("/opt/counterfoil/bin/counterfoil", str(started)))
    assert said(program("systemd-analyze", "systemd"), "verify", "--man=no", str(unit)) == ""


def test_control_systemd_finds_a_name_that_is_not_known(tmp_path: Path) -> None:
    unit = tmp_path / "counterfoil.service"
    unit.write_text(UNIT.replace("ProtectClock", "ProtectClocks"))
    assert "ProtectClocks" in said(program("systemd-analyze", "systemd"), "verify", "--man=no", str(unit), status=1)


def test_the_exposure_is_as_low_as_it_was() -> None:
    analysed = said(
        *(program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager"),
        f"--threshold={round(EXPOSURE_MAX * 10)}",
        str(FOLDER / "counterfoil.service"),
    )
    found = re.search(r"Overall exposure level for counterfoil.service: (\d+\.\d)", analysed)
    assert found is not None
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_user_is_made_by_systemd(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    said(program("systemd-sysusers", "systemd"), f"--root={tmp_path}", str(FOLDER / "counterfoil.sysusers"))
    made = (tmp_path / "etc" / "passwd").read_text()
    assert re.search(r"^counterfoil:x:\d+:\d+:Counterfoil:/var/lib/counterfoil:/usr/sbin/nologin$", made, re.MULTILINE)


# -- what the service does --


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Every system call of a service from start to end, with its arguments."""
    unless_missing("strace", strace.missing())
    folder = tmp_path_factory.mktemp("traced")
    deployment = made_deployment(folder / "data")
    record = folder / "calls"
    # As under the unit, where the soft limit is the hard one and need not be raised.
    limited = ("prlimit", f"--nofile={resource.getrlimit(resource.RLIMIT_NOFILE)[1]}")
    # A process whose coverage is measured would write its figures.
    bare = ("env", "-u", "COVERAGE_PROCESS_START", "-u", "COVERAGE_PROCESS_CONFIG", "PYTHONDONTWRITEBYTECODE=1")
    traced = ("strace", "-f", "-qq", "-s", "256", "-o", str(record))
    with deployment.serving(command=(*limited, *bare, *traced, *COUNTERFOIL)) as running:
        with Client(running.url, deployment.issuer) as issuing, Client(running.url, deployment.validator) as validating:
            validating.validate("shop-1", issuing.issue("shop-1").passcode)
        pid = int(record.read_text().partition(" ")[0])
        said("kill", f"-{int(signal.SIGTERM)}", str(pid))
        assert running.process.wait(timeout=30) == 0
    return re.findall(r"^\d+ +(\w+)\((.*)$", record.read_text(), re.MULTILINE)


def _allowed() -> set[str]:
    """The system calls that the unit allows, from systemd's own sets."""
    groups: dict[str, set[str]] = {}
    for line in said(program("systemd-analyze", "systemd"), "syscall-filter").splitlines():
        if line.startswith("@"):
            groups[line] = set()
            current = groups[line]
        elif line.startswith("    ") and not line.strip().startswith("#"):
            current.add(line.strip())

    def spelled(name: str) -> set[str]:
        return set().union(*map(spelled, groups[name])) if name in groups else {name}

    found: set[str] = set()
    for value in _values("SystemCallFilter"):
        named = set().union(*(spelled(name) for name in value.removeprefix("~").split()))
        found = found - named if value.startswith("~") else found | named
    # Allowed by every list, so that a process can begin and end.
    return found | spelled("@default")


def test_it_makes_no_call_that_the_unit_forbids(calls: list[tuple[str, str]]) -> None:
    made = {name for name, _ in calls}
    assert {"execve", "fdatasync", "accept4", "openat"} <= made
    # SQLite gives its files to the database's owner when it runs as root, and asks for nothing when it does not.
    roots_own = {"fchown"} if os.geteuid() == 0 else set()
    assert made - _allowed() - roots_own == set()


def test_it_needs_no_memory_that_is_written_and_run(calls: list[tuple[str, str]]) -> None:
    assert not [given for name, given in calls if name in ("mmap", "shmat") and "PROT_WRITE" in given and "PROT_EXEC" in given]
    assert not [given for name, given in calls if name in ("mprotect", "pkey_mprotect") and "PROT_EXEC" in given]


def test_it_opens_sockets_of_the_internet_alone(calls: list[tuple[str, str]]) -> None:
    families = {given.partition(",")[0] for name, given in calls if name == "socket"}
    assert families <= set(_value("RestrictAddressFamilies").split())
    assert "AF_INET" in families


def test_it_writes_below_its_state_directory_alone(calls: list[tuple[str, str]]) -> None:
    opened = [given for name, given in calls if name in ("open", "openat") and re.search("O_WRONLY|O_RDWR|O_CREAT", given)]
    paths = {match[1] for given in opened if (match := re.search(r'"([^"]+)"', given))}
    assert any(path.endswith("counterfoil.db") for path in paths)
    assert [path for path in paths if "/data/" not in path and path != "/dev/null"] == []
    assert _value("ProtectSystem") == "strict"
