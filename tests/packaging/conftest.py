"""The wheel and the sdist, built once, and the wheel installed alone."""

import os
import sys
import venv
from pathlib import Path

import pytest

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
