"""Builds the functions' package: the product's rooms that a function uses, and locked wheels for its architecture. No Docker.

python infra/package.py OUT [--architecture arm64 --python 3.13]     without options: for this machine and this Python
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("cffi", "cryptography", "msgspec", "pycparser", "rfc8785")
"""What the functions import. The runtime has an SDK of its own, which looks for credentials where the environment has none."""
_PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}
# What a function never imports: the other entrypoints, the other engines, the client, the documentation page.
_LEFT_OUT = (
    "api/docs_assets",
    "api/docs_page.py",
    "api/openapi.py",
    "api/service_routes.py",
    "client",
    "console",
    "credentials/credential_file.py",
    "dev_mode",
    "entrypoints/asgi.py",
    "entrypoints/bounded_http.py",
    "entrypoints/cli.py",
    "entrypoints/commands",
    "entrypoints/exits.py",
    "entrypoints/health.py",
    "entrypoints/http_server.py",
    "entrypoints/json_lines.py",
    "entrypoints/manual_page.py",
    "entrypoints/prometheus.py",
    "entrypoints/prometheus_parts.py",
    "entrypoints/server_log.py",
    "keys/keyset_file.py",
    "private_file.py",
    "py.typed",
    "server_wiring.py",
    "settings_page.py",
    "stores/group_commit.py",
    "stores/inspect_sqlite.py",
    "stores/memory.py",
    "stores/sqlite.py",
    "stores/sqlite_accounts.py",
    "stores/sqlite_broom.py",
    "stores/sqlite_contents.py",
    "stores/sqlite_file.py",
    "stores/sqlite_journal.py",
    "stores/sqlite_journal_reader.py",
    "stores/sqlite_journal_walk.py",
    "stores/watched_commit.py",
    "telemetry",
    "__main__.py",
)


def build(out: Path, architecture: str | None, version: str, *, python: Path | str = sys.executable) -> None:
    """A folder that Lambda can import from. `architecture=None` takes wheels for this machine and for that `python`."""
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder, "lock")
        lock.write_text(_locked(NEEDED))
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-compile",
        ]
        command += ["--require-hashes", "--requirement", str(lock), "--target", str(out), "--only-binary", ":all:"]
        if architecture is not None:
            # Two names of what Amazon Linux 2023 runs: wheels are built for the older or the newer.
            for platform in ("manylinux2014", "manylinux_2_28"):
                command += ["--platform", f"{platform}_{_PLATFORMS[architecture]}"]
            command += ["--implementation", "cp", "--python-version", version]
        subprocess.run(command, check=True)
    shutil.rmtree(out / "bin", ignore_errors=True)
    shutil.copytree(ROOT / "src" / "counterfoil", out / "counterfoil", ignore=shutil.ignore_patterns("__pycache__"))
    for name in _LEFT_OUT:
        unwanted = out / "counterfoil" / name
        shutil.rmtree(unwanted) if unwanted.is_dir() else unwanted.unlink()


def _locked(names: tuple[str, ...]) -> str:
    """The lock's entries of these packages, with their hashes."""
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    wanted = [entry for entry in entries if entry.partition("==")[0] in names]
    assert len(wanted) == len(names), "the lock lacks a package that the functions need"
    return "\n".join(wanted) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--architecture", choices=sorted(_PLATFORMS))
    parser.add_argument("--python", default="3.13")
    arguments = parser.parse_args()
    build(arguments.out, arguments.architecture, arguments.python)
