"""docs/install.md: its commands are run as pasted, in a folder and a namespace of their own, as far as this machine can.

What is missing here (a container engine, a cluster, systemd as the first process) is stood in for by a program that writes down
how it was called; what it was called with is then held to the files that it names and to our own commands.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest
import rich_click as click
import yaml

from counterfoil.entrypoints.cli import group
from counterfoil.settings import Settings
from tests.packaging.container import unless_it_can_be_played
from tests.packaging.tools import PACKAGING, ROOT, linter, program, said
from tests.support.certificate import made_certificate
from tests.support.service import clean_environment

PAGE = (ROOT / "docs" / "install.md").read_text()
_TITLES = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
BLOCKS = {part.partition("\n")[0]: re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE) for part in _TITLES}
SETTINGS = {f"COUNTERFOIL_{each.name.upper()}" for each in fields(Settings)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as links, with a `dist` of its own from the page's first command."""
    folder = tmp_path_factory.mktemp("checkout")
    for entry in ROOT.iterdir():
        if entry.name not in (".git", "dist", "counterfoil-data"):
            (folder / entry.name).symlink_to(entry)
    _run(BLOCKS["A wheel"][0], folder)
    return folder


def _run(block: str, folder: Path, *first_on_path: Path | str, **environment: str) -> str:
    inherited = {
        name: value for name, value in clean_environment().items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST", "COV"))
    }
    path = ":".join([*map(str, first_on_path), inherited["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env={**inherited, "HOME": str(folder / "home"), "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout


def _standing_in(folder: Path, *names: str) -> Path:
    """A folder of programs that write down their words, one call a line, and do nothing."""
    made = folder / "standing-in"
    made.mkdir(exist_ok=True)
    for name in names:
        (made / name).write_text(f'#!/bin/sh\nprintf "%s\\0" {name} "$@" >> {made}/calls\nprintf "\\n" >> {made}/calls\n')
        (made / name).chmod(0o755)
    (made / "calls").unlink(missing_ok=True)
    return made


def _calls(folder: Path) -> list[list[str]]:
    return [line.split("\0")[:-1] for line in (folder / "calls").read_text().splitlines()]


def _is_a_command_of_ours(words: Sequence[str]) -> None:
    command: click.Command = group
    left = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), left.pop(0))
        assert found is not None, words
        command = found
    command.make_context(command.name, left)


def test_every_block_is_looked_at_here() -> None:
    assert {title: len(blocks) for title, blocks in BLOCKS.items()} == {
        "A wheel": 4,
        "systemd": 3,
        "Container": 1,
        "Kubernetes": 1,
        "Completion and manual page": 2,
    }


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"packaging/[\w./-]*\w", PAGE))
    assert len(named) >= 8
    assert [name for name in named if not (ROOT / name).exists()] == []


# -- a wheel --


@pytest.mark.slow
def test_make_package_leaves_wheel_sdist_and_lock(checkout: Path) -> None:
    assert sorted(path.suffix for path in (checkout / "dist").iterdir()) == [".gz", ".lock", ".lock", ".whl"]


@pytest.mark.slow
def test_the_wheel_is_installed_as_pasted_with_its_manual_page_and_completion(checkout: Path) -> None:
    assert "counterfoil, version" in _run(BLOCKS["A wheel"][1], checkout)
    python = str(checkout / "counterfoil-env" / "bin" / "python")
    said(python, "-c", "import jinja2", status=1)
    _run(BLOCKS["A wheel"][2], checkout)
    said(python, "-c", "import counterfoil.console.rendering")
    completion, manual = BLOCKS["Completion and manual page"]
    _run(completion, checkout, checkout / "counterfoil-env" / "bin")
    for name in (
        ".local/share/bash-completion/completions/counterfoil",
        ".config/fish/completions/counterfoil.fish",
        ".zfunc/_counterfoil",
    ):
        assert "_COUNTERFOIL_COMPLETE" in (checkout / "home" / name).read_text()
    program("man", "man-db")
    assert "COUNTERFOIL_TLS_CERT" in _run(manual, checkout, MANPAGER="cat", MANWIDTH="100")


@pytest.mark.slow
def test_pipx_and_uvx_take_the_wheel(checkout: Path) -> None:
    tools = Path(linter("pipx")).parent
    elsewhere = {
        "PIPX_HOME": str(checkout / "pipx"),
        "PIPX_BIN_DIR": str(checkout / "bin"),
        "UV_CACHE_DIR": str(checkout / "uv"),
    }
    shown = _run(BLOCKS["A wheel"][3], checkout, tools, UV_PYTHON=sys.executable, **elsewhere)
    assert shown.count("✔ yes") >= 10
    assert "counterfoil, version" in said(str(checkout / "bin" / "counterfoil"), "--version")


# -- systemd --


@pytest.mark.slow
def test_the_systemd_blocks_install_and_make_what_the_service_needs(checkout: Path, tmp_path: Path) -> None:
    unless_it_can_be_played()
    program("systemd-sysusers", "systemd")
    systemctl = _standing_in(tmp_path, "systemctl")
    # Its own /opt, /etc and /var, gone with the namespace; and a Python that every user may run.
    own = [
        "mount --make-rprivate /",
        "mount -t tmpfs tmpfs /mnt",
        "mkdir /mnt/etc /mnt/etc-work /mnt/var /mnt/var-work",
        *(
            f"mount -t overlay overlay -o lowerdir=/{name},upperdir=/mnt/{name},workdir=/mnt/{name}-work /{name}"
            for name in ("etc", "var")
        ),
        "mount -t tmpfs tmpfs /opt",
        *([] if sys.base_prefix.startswith("/usr") else [f"mount --bind {sys.base_prefix} /usr/local"]),
        "export LD_LIBRARY_PATH=/usr/local/lib",
    ]
    seen = ("/var/lib/counterfoil", "/var/lib/counterfoil/*.json", "/etc/counterfoil/*", "/etc/systemd/system/counterfoil.*")
    shows = f"stat -c '%a %U %n' {' '.join(seen)}; ls /etc/systemd/system/counterfoil.service.d"
    script = "\n".join([*own, *BLOCKS["systemd"], shows])
    path = f"{systemctl}:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
    shown = _run(f"exec unshare --mount bash -euo pipefail -c {shlex.quote(script)}", checkout, path)
    for expected in (
        "700 counterfoil /var/lib/counterfoil\n",
        "600 counterfoil /var/lib/counterfoil/keyset.json\n",
        "600 counterfoil /var/lib/counterfoil/credentials.json\n",
        "644 root /etc/counterfoil/counterfoil.env\n",
        "644 root /etc/systemd/system/counterfoil.service\n",
        "tls.conf\n",
    ):
        assert expected in shown
    assert "problem " not in shown
    reloaded = ["systemctl", "daemon-reload"]
    assert _calls(systemctl) == [
        reloaded,
        ["systemctl", "enable", "--now", "counterfoil"],
        reloaded,
        ["systemctl", "restart", "counterfoil"],
    ]
    for role in ("issuer", "validator"):
        assert re.fullmatch(r"cf[iv]_\S{43}\n", (checkout / f"{role}.credential").read_text())
        assert (checkout / f"{role}.credential").stat().st_mode & 0o777 == 0o600


# -- container --


def test_the_container_block_asks_for_what_there_is(tmp_path: Path) -> None:
    podman = _standing_in(tmp_path, "podman")
    _run(BLOCKS["Container"][0], tmp_path, podman)
    built, *runs = _calls(podman)
    assert (ROOT / built[built.index("-f") + 1]).is_file()
    assert (built[-1], built[built.index("--format") + 1]) == (".", "docker")
    image = built[built.index("-t") + 1]
    for call in runs:
        assert call[1] == "run"
        given = {call[at + 1].partition("=")[0] for at, word in enumerate(call) if word == "-e"}
        assert given <= SETTINGS
        assert call[call.index("-v") + 1] == "counterfoil:/data"
        # What stands behind the image's name are our own words; it is the name's last mention.
        words = call[len(call) - 1 - call[::-1].index(image) + 1 :]
        if words:
            _is_a_command_of_ours(words)
    assert {"--read-only", "no-new-privileges"} <= set(runs[-1])


# -- Kubernetes --


def test_the_kubernetes_block_makes_the_secrets_that_the_pod_mounts(tmp_path: Path) -> None:
    kubectl = program("kubectl", "kubernetes-client")
    certificate, key = made_certificate(tmp_path)
    shutil.copy(certificate, tmp_path / "tls.crt")
    shutil.copy(key, tmp_path / "tls.key")
    (tmp_path / "packaging").symlink_to(PACKAGING)
    standing_in = _standing_in(tmp_path, "kubectl")
    _run(BLOCKS["Kubernetes"][0], tmp_path, standing_in, Path(sys.executable).parent)
    pod = yaml.safe_load((PACKAGING / "kubernetes" / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    made = {}
    for call in _calls(standing_in):
        if call[1] == "create":
            # kubectl makes a Secret without a cluster when it is only to show it.
            shown = yaml.safe_load(said(kubectl, *call[1:], "--dry-run=client", "--output=yaml", cwd=tmp_path))
            made[shown["metadata"]["name"]] = set(shown["data"])
        elif call[1] == "apply":
            assert (ROOT / call[3]).exists()
    assert made == {"counterfoil": {"keyset.json", "credentials.json"}, "counterfoil-tls": {"tls.crt", "tls.key"}}
    assert made.keys() == {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert os.path.commonpath([path for path in pod["initContainers"][0]["command"] if path.endswith(".json")]) == "/secrets"
