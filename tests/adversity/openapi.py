"""The real HTTP service answers as its own OpenAPI document says: no fault, no undocumented status, content type or shape."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.support.service import made_deployment, unmeasured_environment

_ROOT = Path(__file__).parents[2]
_CONTROL_REQUESTS = 600
_STDERR_CHARS = 500
CREDENTIAL_VARIABLE = "OPENAPI_CREDENTIAL_"
Edit = Callable[[Any], None]


def _run(first: int, last: int, edit: Edit = lambda _: None) -> Figures:
    """As many requests as there are cases, from the seed that the first one gives; `edit` changes the document before."""
    with tempfile.TemporaryDirectory() as folder:
        deployment = made_deployment(Path(folder) / "data")
        secrets = {"ISSUER": deployment.issuer, "VALIDATOR": deployment.validator, "OPERATOR": deployment.operator}
        environment = {**unmeasured_environment(), **{CREDENTIAL_VARIABLE + role: secrets[role] for role in secrets}}
        with deployment.serving(COUNTERFOIL_SEED_ROUTES="true", COUNTERFOIL_ISSUE_RATE_PER_S="0") as running:
            with urlopen(f"{running.url}/openapi.json") as answer:
                document = json.load(answer)
            edit(document)
            path = Path(folder) / "openapi.json"
            path.write_text(json.dumps(document))
            command = ["-m", "tests.adversity.openapi_requests", str(path), running.url, str(last - first), str(first)]
            done = subprocess.run(
                [sys.executable, *command], cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
            )
            figures = Figures()
            if done.returncode:
                figures.fail(f"the run from {first} ended with {done.returncode}: {done.stderr[-_STDERR_CHARS:]}")
                return figures
            if running.process.poll() is not None:
                figures.fail(f"the service ended in the run from {first}")
    came_to = json.loads(done.stdout)
    figures.counts += Counter(came_to["counts"])
    figures.failures += came_to["failures"]
    return figures


def _missing() -> str | None:
    if importlib.util.find_spec("schemathesis") is None:
        return "schemathesis is not installed; it is among the locked tools"
    return None


def _operations(document: Any) -> list[Any]:
    return [operation for operations in document["paths"].values() for operation in operations.values()]


def _without_a_status(document: Any) -> None:
    for operation in _operations(document):
        operation["responses"].pop("401", None)


def _with_another_content_type(document: Any) -> None:
    for operation in _operations(document):
        refusal = operation["responses"].get("409")
        if refusal:
            refusal["content"] = {"application/json": refusal["content"].popitem()[1]}


def _with_another_shape(document: Any) -> None:
    document["components"]["schemas"]["IssuedAnswer"]["required"].append("otp")


def _caught(edit: Edit) -> int:
    return _run(0, _CONTROL_REQUESTS, edit).counts["failures"]


OPENAPI = Campaign(
    name="openapi",
    claim="Every answer of the HTTP service is one that its OpenAPI document tells of, and none is a fault.",
    unit="requests",
    sizes=Sizes(full=20_000, ci=1_000, laptop=400),
    run=_run,
    controls={
        "a status is not documented": partial(_caught, _without_a_status),
        "a content type is not documented": partial(_caught, _with_another_content_type),
        "a shape is not documented": partial(_caught, _with_another_shape),
    },
    per_chunk=20_000,
    missing=_missing,
)
