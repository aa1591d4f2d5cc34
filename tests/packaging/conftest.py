"""The wheel and the sdist, built once; the wheel installed alone; the image played."""

import os
import shutil
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.container import played, unless_it_can_be_played
from tests.packaging.tools import PACKAGING, ROOT, said

BARE_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, as the pinned builder makes them."""
    folder = tmp_path_factory.mktemp("dist")
    said(sys.executable, "-m", "hatchling", "build", "--directory", str(folder))
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    """The wheel."""
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    """The sdist."""
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and the locked versions of what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(folder, with_pip=True)
    install = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    said(*install, "--require-hashes", "--requirement", str(PACKAGING / "runtime.lock"), cwd=folder)
    said(*install, str(wheel), cwd=folder)
    assert ROOT not in folder.parents
    return folder


@pytest.fixture(scope="session")
def _played_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    unless_it_can_be_played()
    folder = tmp_path_factory.mktemp("image")
    # A user that is not this one has to get through.
    for above in (folder, *folder.parents[:-2]):
        above.chmod(above.stat().st_mode | 0o011)
    played(folder / "root")
    yield folder / "root"
    shutil.rmtree(folder / "root", ignore_errors=True)


@pytest.fixture
def image(_played_image: Path) -> Iterator[Path]:
    """The file system of the image, on this machine's Python, with an empty `/data`."""
    yield _played_image
    for entry in (_played_image / "data").iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
