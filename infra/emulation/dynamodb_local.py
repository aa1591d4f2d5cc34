"""DynamoDB Local, AWS's own emulator, as a second engine for the store's contract: only for who accepts its licence.

Its licence asks for an AWS account and forbids passing it on, so it is neither in the repository nor set up unasked:

    COUNTERFOIL_DYNAMODB_LOCAL_LICENCE=accepted make engines test
"""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from infra.emulation.emulator import ROOT, Emulator

LICENCE_VARIABLE = "COUNTERFOIL_DYNAMODB_LOCAL_LICENCE"
_FOLDER = ROOT / ".engines" / "dynamodb-local" / "node_modules" / "amplify-dynamodb-simulator" / "emulator"


def is_wanted() -> bool:
    """Whether its licence has been accepted."""
    return os.environ.get(LICENCE_VARIABLE) == "accepted"


def missing() -> str | None:
    """Why it cannot be used, or None."""
    return None if _FOLDER.exists() else f"DynamoDB Local is not installed: run `{LICENCE_VARIABLE}=accepted make engines`"


@contextmanager
def local_dynamodb() -> Iterator[Emulator]:
    """DynamoDB Local in memory on a free port, until the block ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        command = ["java", f"-Djava.library.path={_FOLDER}/DynamoDBLocal_lib", "-jar", str(_FOLDER / "DynamoDBLocal.jar")]
        command += ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline_s = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline_s:
                        log.seek(0)
                        raise RuntimeError(log.read().decode()) from None
                    time.sleep(0.1)
            running = Emulator(f"http://127.0.0.1:{port}")
            yield running
            running.close()
        finally:
            process.terminate()
            process.wait(timeout=10)
