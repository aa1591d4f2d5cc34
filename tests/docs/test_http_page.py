"""docs/http.md lists what the code has: routes with who may call them, headers, problems, reasons in their order."""

import re
from pathlib import Path

import httpx2

from counterfoil.model.principal import Role
from counterfoil.model.verdict import Reason
from counterfoil.wire.problems import KINDS
from tests.support.parts import made_parts
from tests.support.service import made_deployment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http.md").read_text()
SECTIONS = {part.partition("\n")[0].lstrip("# "): part for part in re.split(r"\n(?=##)", PAGE)}
# What a route's requirement of roles is called on the page; nobody in particular is everybody.
_WHO: dict[tuple[Role, ...], str] = {
    (Role.ISSUER,): "issuer",
    (Role.VALIDATOR,): "validator",
    (Role.ISSUER, Role.VALIDATOR): "issuer of that client, validator",
    (Role.VALIDATOR, Role.OPERATOR): "validator, operator",
    (Role.OPERATOR,): "operator",
    tuple(Role): "every role",
    (): "anybody who reaches the port",
}


def _rows(section: str) -> list[list[str]]:
    """The cells of each row of the section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def _in_code_font(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_route_is_there_with_who_may_call_it_and_its_success(tmp_path: Path) -> None:
    listed = {
        tuple(route.split()): (who, success[:3]) for routes, who, success in _rows("Routes") for route in _in_code_font(routes)
    }
    found = {
        (route.method, route.path): (_WHO[route.roles], str(route.status))
        for route in made_parts(tmp_path).service.api.routes
        if not route.path.startswith("/docs/")
    }
    assert listed == found


def test_every_problem_is_there_with_its_status() -> None:
    listed = [(int(status), *_in_code_font(code)) for status, code, _ in _rows("Problems")]
    assert sorted(listed) == sorted((kind.status, kind.code) for kind in KINDS)


def test_every_reason_is_there_in_the_order_of_judgement() -> None:
    rows = _rows("Reasons, in the order of judgement")
    assert [reason for names, _, _ in rows for reason in _in_code_font(names)] == list(Reason)


def test_concepts_tells_what_each_reason_asks_of_a_backend() -> None:
    page = (ROOT / "docs" / "concepts.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", page.partition("## Refusals by reason")[2], re.MULTILINE)
    assert [name for name, _, _ in rows] == list(Reason)


async def test_the_headers_of_answers_are_those_that_a_service_sends(tmp_path: Path) -> None:
    listed = {name.lower() for names, *_ in _rows("Headers of answers") for name in _in_code_font(names)}
    assert await _sent_headers(tmp_path) == listed


async def _sent_headers(folder: Path) -> set[str]:
    """The names of all headers of one answer of each sort that a real service gives."""
    deployment = made_deployment(folder / "data")
    issuer = {"authorization": f"Bearer {deployment.issuer}"}
    # To a thread: a process is started and read from.
    with deployment.serving(COUNTERFOIL_OUTSTANDING_MAX="1") as running:
        async with httpx2.AsyncClient(base_url=running.url) as http:
            answers = [
                await http.post("/v1/passcodes", json={"client_id": "1"}, headers=issuer),
                await http.post("/v1/passcodes", json={"client_id": "1"}, headers=issuer),
                await http.post("/v1/passcodes", json={"client_id": "1"}),
                await http.post("/v1/passcodes", content=bytes(70_000), headers=issuer),
                await http.put("/v1/passcodes"),
                await http.get("/docs"),
                await http.get("/docs/swagger-ui.css", headers={"accept-encoding": "gzip"}),
                await http.get("/metrics"),
            ]
    assert [answer.status_code for answer in answers] == [201, 429, 401, 413, 405, 200, 200, 200]
    return {name.lower() for answer in answers for name in answer.headers}


def test_the_headers_of_requests_are_those_that_the_code_reads() -> None:
    listed = {name.lower() for names, *_ in _rows("Headers of requests") for name in _in_code_font(names)}
    rooms = (ROOT / "src" / "counterfoil" / room for room in ("api", "telemetry"))
    code = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    read = set(re.findall(r'headers\.get\(b"([a-z-]+)"', code))
    # Only whether an asset may be compressed: nothing that a caller of the interface needs.
    assert listed == read - {"accept-encoding"}
