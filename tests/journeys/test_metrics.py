"""Metrics of real processes: several on one file add up, one that dies takes nothing along, and no stranger makes them grow."""

import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from counterfoil import Client
from counterfoil.api.http import Request
from counterfoil.client import PasscodeRefused, ServiceUnavailable
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.server_wiring import Service, assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from tests.support.metrics import Exposition, Labels, added_up, exposition, scraped
from tests.support.parts import made_parts
from tests.support.service import Deployment, Running, made_deployment

SHARED: tuple[tuple[str, dict[str, str]], ...] = (
    ("counterfoil_outstanding_passcodes", {}),
    ("counterfoil_broom_lag_seconds", {"table": "counterfoils"}),
    ("counterfoil_broom_lag_seconds", {"table": "journal"}),
)
"""What tells of the store, and so is the same from each process that has it open."""


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


def _played(deployment: Deployment, running: list[Running], times: int) -> None:
    """Each process issues so many passcodes, which the next process accepts, and then one twice."""
    for issuing, validating in zip(running, [*running[1:], running[0]], strict=True):
        with Client(issuing.url, deployment.issuer) as issuer, Client(validating.url, deployment.validator) as validator:
            for number in range(times):
                passcode = issuer.issue(f"shop-{number}").passcode
                validator.validate(f"shop-{number}", passcode)
            with pytest.raises(PasscodeRefused):
                validator.validate(f"shop-{times - 1}", passcode)
            issuer.issue("outstanding")


def test_several_processes_on_one_file_add_up(deployment: Deployment) -> None:
    with ExitStack() as all_end:
        running = [all_end.enter_context(deployment.serving()) for _ in range(3)]
        _played(deployment, running, 5)
        shown = [scraped(each.url) for each in running]
        assert added_up(shown, "counterfoil_requests_total", route="/v1/passcodes", status="201") == 18
        assert added_up(shown, "counterfoil_requests_total", route="/v1/passcodes/validate") == 18
        assert added_up(shown, "counterfoil_request_duration_seconds_count", route="/v1/passcodes/validate") == 18
        assert added_up(shown, "counterfoil_refusals_total", reason="already_redeemed") == 3
        assert added_up(shown, "counterfoil_refusals_total") == 3
        # Every issue, every acceptance and the record of every refusal, whoever committed it.
        assert added_up(shown, "counterfoil_commit_writes_sum") == 36
        assert added_up(shown, "counterfoil_commit_writes_count") == added_up(
            shown, "counterfoil_commit_duration_seconds_count"
        )
        for each in shown:
            assert each.of("counterfoil_requests_total", status="201") == 6
            # Not 1 from each: what is shared is told whole by everybody, and not to be added up.
            assert each.of("counterfoil_outstanding_passcodes") == 3
            assert each.of("counterfoil_broom_lag_seconds") == 0
        ages_s = [each.of("counterfoil_primary_key_age_seconds") for each in shown]
        assert 0 < min(ages_s) <= max(ages_s) < 600


def test_a_process_that_dies_takes_its_own_counts_along_and_its_follower_begins_anew(deployment: Deployment) -> None:
    """Which is what `rate` and `increase` know a restart by: a counter that fell began again at 0."""
    with deployment.serving() as stays:
        with deployment.serving() as dies:
            _played(deployment, [stays, dies], 3)
            before = {"stays": scraped(stays.url), "dies": scraped(dies.url)}
            dies.kill()
            assert dies.process.returncode == -signal.SIGKILL
        with deployment.serving() as follows:
            after = {"stays": scraped(stays.url), "follows": scraped(follows.url)}
            assert after["follows"].of("counterfoil_requests_total") == 0
            assert after["follows"].of("counterfoil_commit_writes_count") == 0
            started = "process_start_time_seconds"
            assert after["follows"].of(started) > before["dies"].of(started)
            for name, labels in SHARED:
                assert after["follows"].of(name, **labels) == after["stays"].of(name, **labels)
            assert after["follows"].of("counterfoil_outstanding_passcodes") == 2
        counters = [sample for sample in before["stays"].samples if sample[0].endswith(("_total", "_count", "_sum", "_bucket"))]
        assert len(counters) > 50
        assert [sample for sample in counters if after["stays"].samples[sample] < before["stays"].samples[sample]] == []


def test_metrics_are_told_when_the_keys_are_gone(deployment: Deployment) -> None:
    with deployment.serving() as running:
        assert scraped(running.url).of("counterfoil_primary_key_age_seconds") > 0
        (deployment.folder / "keyset.json").unlink()
        with Client(running.url, deployment.issuer, tries=1) as issuer, pytest.raises(ServiceUnavailable):
            issuer.issue("shop-1")
        shown = scraped(running.url)
        assert shown.of("counterfoil_faults_total", code="keys_unavailable") >= 1
        assert ("counterfoil_primary_key_age_seconds", frozenset[tuple[str, str]]()) not in shown.samples


# -- nobody makes them grow --

ROUTES = ("/v1/passcodes", "/v1/passcodes/validate", "/v1/passcodes/revoke", "/metrics", "/healthz")
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get", "X")


def _odd_paths(mark: str) -> Iterator[str]:
    yield from (f"/{mark}", f"//{mark}", f"/v1/passcodes/{mark}", f"/v1/passcodes?client_id={mark}", f"/v1/passcodes;{mark}")
    yield from (f"/%2e%2e/{mark}", f"/console/{mark}", f"http://{mark}/metrics", f"/{mark * 50}", f"/V1/{mark}", "*")
    yield from (f"{route}/" for route in ROUTES)
    yield from ROUTES


def _odd_requests(mark: str) -> Iterator[tuple[str, str, bytes]]:
    """Methods, paths and bodies in which the mark stands wherever a stranger or a caller may put something."""
    for path in _odd_paths(mark):
        for method in METHODS:
            yield method, path, b'{"client_id": "%b", "passcode": "%b", "%b": 1}' % ((mark.encode(),) * 3)
    yield "POST", "/v1/passcodes", b'{"client_id": "%b"}' % mark.encode()
    yield "POST", "/v1/passcodes/validate", b'{"client_id": "%b", "passcode": "%b"}' % ((mark.encode(),) * 2)


def _sent(url: str, method: str, path: str, body: bytes, credential: str, mark: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {mark}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {credential}\r\nIdempotency-Key: {mark}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=30) as connection:
        connection.sendall(head.encode("latin-1") + body)
        while connection.recv(65536):
            pass


def _series(shown: Exposition) -> set[tuple[str, Labels]]:
    return set(shown.samples)


def test_no_path_method_or_client_id_makes_a_series(deployment: Deployment) -> None:
    # Nobody reads its log meanwhile, and a pipe that is full would stop it.
    with deployment.serving(COUNTERFOIL_LOG_LEVEL="ERROR") as running:

        def play(mark: str) -> Exposition:
            for method, path, body in _odd_requests(mark):
                for credential in (deployment.issuer, deployment.validator, f"cfi_{mark}"):
                    _sent(running.url, method, path, body, credential, mark)
            return scraped(running.url)

        # The first round brings the statuses that each route has; from then on nothing is new.
        play("m" + secrets.token_hex(8))
        marks = ["m" + secrets.token_hex(8) for _ in range(3)]
        known = _series(scraped(running.url))
        shown = [play(mark) for mark in marks]
        assert [_series(each) - known for each in shown] == [set()] * 3
        assert shown[-1].of("counterfoil_requests_total", route="other") > 500
        assert [mark for mark in marks if mark in shown[-1].text] == []
        assert len(known) < 500


async def _series_made(service: Service, observer: PrometheusObserver, rounds: int) -> list[int]:
    numbers = []
    for _ in range(rounds):
        for method, path, body in _odd_requests("m" + secrets.token_hex(8)):
            await service.api.handle(Request(method, path, b"", {b"content-type": b"application/json"}, body, "req_test"))
        numbers.append(len(exposition((await observer.exposition())[1].decode()).samples))
    return numbers


class _Everything(dict[str, list[str]]):
    """Says of every path that it is a route."""

    def __contains__(self, path: object) -> bool:
        return True


async def test_control_a_service_that_labels_by_path_is_seen_to_grow(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)

    def made() -> tuple[Service, PrometheusObserver]:
        observer = PrometheusObserver()
        service = assembled(
            store=MemoryStore(parts.clock),
            keys=KeysetFile(parts.keyset.path),
            credentials=CredentialFile(parts.credentials.path, parts.clock),
            settings=Settings(data=tmp_path),
            observer=observer,
        )
        return service, observer

    first, second, third = await _series_made(*made(), 3)
    assert first == second == third
    service, observer = made()
    service.api._methods = _Everything(service.api._methods)
    first, second, third = await _series_made(service, observer, 3)
    assert first < second < third
