"""The pages speak of the program as it is: what they name in code font is looked up in the program itself."""

import json
import re
from collections import Counter
from urllib.request import urlopen

import pytest

from counterfoil import Client
from counterfoil.client import PasscodeRefused
from counterfoil.console.cookies import PATH as CONSOLE
from tests.support.doc_claims import Page, claims
from tests.support.program import ROOT, Program
from tests.support.service import developing

PAGES = [
    Page(path, path.read_text())
    for path in (ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md")))
]

EXCEPTIONS = {
    ("docs/install.md", "option", "--format"): "an option of podman",
    ("docs/install.md", "route", "/data"): "a folder of the container",
    ("docs/install.md", "route", "/var/lib/counterfoil"): "a folder of the machine",
    ("docs/operations.md", "path", "infra/build/outputs.json"): "written by `make deploy`",
    ("docs/operations.md", "name", "parentbased_always_on"): "a sampler of OpenTelemetry's SDK",
}
"""Page, kind and text of what need not be found, each with its reason. One that no page claims any more fails too."""

WRONG = {
    "a command": ("Run `counterfoil keyset renew`.", "command"),
    "a command's option": ("```sh\ncounterfoil serve --prot 8080\n```", "command"),
    "an option in the middle of a line": ("```sh\nX=$(counterfoil issue c --transactoin '{}' | cat) && echo\n```", "command"),
    "an option on a further line": ("```sh\n.venv/bin/counterfoil issue c \\\n    --no-such\n```", "command"),
    "an argument too many": ("```sh\ncounterfoil backup one two\n```", "command"),
    "a choice": ("`counterfoil credential create NAME --role auditor`", "command"),
    "an option alone": ("The option `--no-such` helps.", "option"),
    "a variable": ("Set COUNTERFOIL_LIFETYME_S.", "variable"),
    "a setting": ("Raise `outstanding_maximum`.", "name"),
    "a setting in a file": ("```toml\n[counterfoil]\noutstanding_maximum = 1\n```", "settings file"),
    "a setting's value in a file": ("```toml\n[counterfoil]\nlifetime_max_s = 601\n```", "settings file"),
    "a route": ("`/v1/passcodes/check`", "route"),
    "a route's method": ("`PUT /v1/passcodes`", "route"),
    "a route in a command": ("```sh\ncurl http://127.0.0.1:8080/v2/passcodes\n```", "route"),
    "a metric": ("Watch counterfoil_no_such_total.", "metric"),
    "a path": ("`src/counterfoil/core/approve.py`", "path"),
    "a file": ("`approve.py`", "path"),
    "a link": ("[there](nowhere.md)", "link"),
    "a picture": ("![there](nowhere.svg)", "link"),
    "a picture in HTML": ('<picture>\n<img alt="x" src="nowhere.png">\n</picture>', "link"),
    "an anchor": ("[there](http.md#nowhere)", "link"),
    "an anchor of the page itself": ("# Here\n[there](#nowhere)", "link"),
    "a make target": ("`make everything`", "make"),
    "a test": ("`test_that_is_not_there`", "name"),
}
RIGHT = """# Here
```sh
X=$(.venv/bin/counterfoil issue c --transaction '{"a": "b"}' \\
    --lifetime 1) # a comment with --no-such
counterfoil credential revoke NAME [--with-passcodes]
issue() { counterfoil issue c "$@"; }
curl -s http://127.0.0.1:8080/healthz; curl "$COUNTERFOIL_URL/v1/passcodes?x=1"; make test
```
`counterfoil credential create …`, `--tls-cert`, COUNTERFOIL_PORT, `outstanding_max`, `GET /readyz`, `HEAD /healthz`, `/docs`,
`counterfoil_refusals_total`, counterfoil_request_duration_seconds_bucket, `core/judgement.py`, `docs/http.md`, `judgement.py`,
[there](http.md#problems), [here](#here), [out](https://example.com/x), `application/json`, `strict = true`, `make demo`.
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program, with the routes and metrics of a development service that has accepted and refused."""
    with developing(tmp_path_factory.mktemp("dev")) as service:
        with Client(service["url"], service["issuer"]) as issuer, Client(service["url"], service["validator"]) as validator:
            passcode = issuer.issue("shop-1").passcode
            validator.validate("shop-1", passcode)
            with pytest.raises(PasscodeRefused):
                validator.validate("shop-1", passcode)
        paths = json.loads(_read(f"{service['url']}/openapi.json"))["paths"]
        routes = frozenset((method.upper(), path) for path, methods in paths.items() for method in methods)
        # Not the API's, and so not in its document.
        assert "<h1>Log in</h1>" in _read(f"{service['url']}{CONSOLE}")
        exposition = _read(f"{service['url']}/metrics")
    return Program(routes | {("GET", CONSOLE)}, frozenset(re.findall(r"^(?:# TYPE )?([a-z_]+)", exposition, re.MULTILINE)))


def _read(url: str) -> str:
    with urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def _not_found(program: Program, page: Page) -> list[tuple[str, str, str]]:
    name = page.path.relative_to(ROOT).as_posix()
    return sorted({(name, claim.kind, claim.text) for claim in claims(page) if not program.has(claim, page)})


def test_what_the_pages_name_is_in_the_program(program: Program) -> None:
    found = [each for page in PAGES for each in _not_found(program, page)]
    assert [each for each in found if each not in EXCEPTIONS] == []


def test_every_exception_is_still_claimed_by_its_page() -> None:
    claimed = {(page.path.relative_to(ROOT).as_posix(), claim.kind, claim.text) for page in PAGES for claim in claims(page)}
    assert sorted(EXCEPTIONS.keys() - claimed) == []


def test_every_kind_of_claim_is_found_in_the_pages() -> None:
    """A reader that reads nothing would find nothing wrong."""
    counts = Counter(claim.kind for page in PAGES for claim in claims(page))
    few = {"variable": 5, "metric": 3, "make": 15, "option": 4, "settings file": 1}
    least = {**few, "command": 40, "name": 150, "path": 60, "route": 30, "link": 50}
    assert {kind: counts[kind] for kind, most in least.items() if counts[kind] < most} == {}


@pytest.mark.parametrize(("text", "kind"), WRONG.values(), ids=WRONG)
def test_control_a_wrong_name_is_found(program: Program, text: str, kind: str) -> None:
    found = _not_found(program, Page(ROOT / "docs" / "made-up.md", text))
    assert [each[1] for each in found] == [kind], found


def test_control_what_is_right_is_not_found_wrong(program: Program) -> None:
    assert _not_found(program, Page(ROOT / "docs" / "made-up.md", RIGHT)) == []
