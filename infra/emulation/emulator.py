"""The AWS emulator (ministack) as a process of its own on loopback. It stands in for DynamoDB, KMS, Lambda and API Gateway."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from counterfoil.aws.client import AwsClient
from counterfoil.aws.credentials import Credentials
from counterfoil.aws.endpoint import endpoint_of
from counterfoil.aws.json_protocol import DYNAMODB, KMS

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".engines" / "emulator" / "bin" / "python"
REGION = "eu-south-1"
ACCOUNT = "000000000000"
MISSING = "the AWS emulator is not installed: run `make engines`"
# What the SDK needs to sign with; the emulator takes anything.
SDK_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_TEST_CREDENTIALS = Credentials("test", "test")


def missing() -> str | None:
    """Why it cannot be used, or None."""
    return None if PYTHON.exists() else MISSING


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    url: str
    _clients: list[Any] = field(default_factory=list, repr=False)

    def client(self, service: str, url: str | None = None, **config: Any) -> Any:
        """An SDK client of one service, straight or through a proxy at `url`; closed with the emulator."""
        settings = {"connect_timeout": 10, "read_timeout": 30, "max_pool_connections": 64, **config}
        client = _session().create_client(
            service,
            region_name=REGION,
            endpoint_url=url or self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(**settings),
        )
        self._clients.append(client)
        return client

    def product_client(self, service: str, url: str | None = None, **options: Any) -> AwsClient:
        """The product's own client of `dynamodb` or `kms`, straight or through a proxy at `url`; closed with the emulator."""
        named = {"dynamodb": DYNAMODB, "kms": KMS}[service]
        client = AwsClient(
            named, REGION, endpoint_of(service, REGION, url or self.url), credentials=lambda: _TEST_CREDENTIALS, **options
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Ends the clients' connections."""
        for client in self._clients:
            client.close()

    def create_table(self, name: str, kind: str = "B") -> None:
        """A table as the stack makes them: one partition key, on demand."""
        self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": kind}],
            BillingMode="PAY_PER_REQUEST",
        )


@cache
def _session() -> Any:
    """One for all clients: each would read the services' descriptions anew, ten megabytes of them, and keep them."""
    return botocore.session.get_session()


@contextmanager
def emulated(**environment: str) -> Iterator[Emulator]:
    """An emulator on a free port, forgotten with all its processes when the block ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="counterfoil-emulator-")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COVERAGE_", "PYTHON"))}
    with Path(folder, "log").open("w") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "ministack"],
            env={
                **inherited,
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "MINISTACK_REGION": REGION,
                "TMPDIR": folder,
                **environment,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its functions are processes of its group: a busy one would outlive it.
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, Path(folder, "log"))
        running = Emulator(url)
        yield running
        running.close()
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/_ministack/ready", timeout=1).close()
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)
        else:
            return
