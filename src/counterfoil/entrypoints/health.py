"""Whether the service of this environment's settings lives: status 0 or 1, for a container's health check. It changes nothing.

python -m counterfoil.entrypoints.health
"""

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from counterfoil.settings import Settings, load_settings

_PATIENCE_S = 3
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what it is asked at, not what it listens on


def lives(settings: Settings) -> bool:
    """Whether it answers 200 at /healthz."""
    connection = _connection(settings)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _connection(settings: Settings) -> HTTPConnection:
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    if not settings.tls_cert:
        return HTTPConnection(host, settings.port, timeout=_PATIENCE_S)
    # The certificate is for the name that callers use. Nothing is told here, and only a status is heard.
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(host, settings.port, timeout=_PATIENCE_S, context=unverified)


if __name__ == "__main__":
    config = os.environ.get("COUNTERFOIL_CONFIG")
    sys.exit(not lives(load_settings(Path(config) if config else None, os.environ)))
