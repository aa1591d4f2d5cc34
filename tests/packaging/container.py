"""A container file without a container engine: its instructions, and its stages played in a mount namespace of their own.

What stands in for the base image is this machine's Python and C library, read-only like everything but `/data`.
"""

import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from tests.contract.engines import unless_missing
from tests.packaging.tools import PACKAGING, ROOT

FOLDER = PACKAGING / "container"
# Made anew by the stages, or not the base image's.
_OWN = {"build", "data", "opt", "tmp", "lost+found"}
_KERNELS = {"dev", "proc", "sys"}
_PYTHON = Path(sys.base_prefix)


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """Its words; those of the exec form where it has that."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, from its FROM on."""
    text = re.sub(r"(?m)^#.*\n", "", (FOLDER / "Containerfile").read_text()).replace("\\\n", "")
    found: list[list[Instruction]] = []
    for line in filter(None, text.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, rest.strip()))
    return found


def the(name: str, stage: Sequence[Instruction]) -> Instruction:
    """The one instruction of that name."""
    (found,) = [instruction for instruction in stage if instruction.name == name]
    return found


def environment(stage: Sequence[Instruction]) -> dict[str, str]:
    """What ENV sets."""
    pairs = [word.partition("=") for instruction in stage if instruction.name == "ENV" for word in instruction.words]
    return {name: value for name, _, value in pairs}


def unless_it_can_be_played() -> None:
    """Skips, and fails in CI, where this process may not make mount namespaces."""
    may = (
        shutil.which("unshare")
        and not subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
    )
    reason = "this user may not make one: run the tests as root where that is allowed, on Linux with util-linux"
    unless_missing("mount namespaces", None if may and (_PYTHON / "bin" / "python").exists() else reason)


def played(root: Path) -> None:
    """Makes `root` what the image would be: both stages, with their COPY and RUN, on this machine's Python."""
    build, final = stages()
    for name in ("build", "data", "opt", "tmp"):
        (root / name).mkdir(parents=True)
    for instruction in build:
        if instruction.name == "COPY":
            *sources, target = instruction.words
            for source in sources:
                _copy(ROOT / source, root / "build" / target, into=len(sources) > 1)
    runs = [_as_shell(each) for stage in (build, final) for each in stage if each.name == "RUN"]
    # What pip needs to find its registry is of this machine.
    inherited = {
        name: value for name, value in os.environ.items() if name.lower().startswith(("pip_", "http", "no_proxy", "ssl_"))
    }
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())}
    done = in_it(root, "set -e; cd /build; " + "; ".join(runs), {**inherited, **path, **environment(build)})
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(root / "build")
    (root / "build").mkdir()


def in_it(root: Path, script: str, variables: dict[str, str], *, as_image: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs a shell's script there, to its end."""
    command = command_in(root, script, variables, as_image=as_image)
    return subprocess.run(command, text=True, capture_output=True, timeout=300, check=False)


def command_in(root: Path, script: str, variables: dict[str, str], *, as_image: bool = False) -> list[str]:
    """The command that runs a shell's script there; `as_image`: as its user, with `/data` alone to write."""
    steps = ["mount --make-rprivate /", f"mount --bind {root} {root}", f"cd {root}"]
    for entry in sorted(Path("/").iterdir()):
        if entry.is_symlink():
            steps.append(f"ln -sfn {entry.readlink()} {root}{entry}")
        elif entry.is_dir() and entry.name not in _OWN:
            steps.append(f"mkdir -p {root}{entry} && mount --rbind {entry} {root}{entry}")
            if as_image and entry.name not in _KERNELS:
                steps.append(f"mount -o remount,bind,ro {root}{entry}")
    if _PYTHON not in (Path("/usr"), Path("/usr/local")):
        # The base image's Python is there, where every user may run it.
        steps.append(f"mount --bind {_PYTHON} {root}/usr/local")
    # Where a Python that was built with a shared library finds it; the base image's linker knows.
    variables = {"LD_LIBRARY_PATH": "/usr/local/lib", **variables}
    inside = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "/bin/sh", "-c", script]
    if as_image:
        user, group = the("USER", stages()[1]).rest.split(":")
        rights = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        inside = ["setpriv", f"--reuid={user}", f"--regid={group}", *rights, *inside]
        steps += [f"mount --bind {root}/data {root}/data", f"mount -o remount,bind,ro {root}"]
    steps.append(f"exec chroot {root} {shlex.join(inside)}")
    return ["unshare", "--mount", "sh", "-ec", "\n".join(steps)]


@contextmanager
def image_serving(root: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The image's own process, with what its container is given; killed, if it has not ended, when the block ends."""
    final = stages()[1]
    words = [*the("ENTRYPOINT", final).words, *the("CMD", final).words]
    command = command_in(root, f"exec {shlex.join(words)}", {**environment(final), **variables}, as_image=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def until_it_answers(url: str, process: subprocess.Popen[str], tls: ssl.SSLContext | bool = True) -> None:
    """Waits until the service there takes requests."""
    deadline_s = time.monotonic() + 180
    while True:
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline_s
        try:
            httpx2.get(url + "/healthz", verify=tls)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return


def _as_shell(instruction: Instruction) -> str:
    return shlex.join(instruction.words) if instruction.rest.startswith("[") else instruction.rest


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target / source.name if into else target)
