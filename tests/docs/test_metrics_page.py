"""docs/operations.md has every metric that a service shows, with its labels, and every alert, with what to do."""

import re
from pathlib import Path

import pytest
import yaml

from counterfoil import Client
from counterfoil.client import PasscodeRefused
from tests.support.metrics import Exposition, scraped
from tests.support.service import made_deployment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
RULES = yaml.safe_load((ROOT / "packaging" / "prometheus" / "counterfoil.rules.yml").read_text())
ALERTS = {rule["alert"]: rule["labels"]["severity"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
_ROW = re.compile(r"^\| `(counterfoil_[a-z_]+)`[^|]*\|([^|]*)\|([^|]+)\|$", re.MULTILINE)
METRICS = {name: frozenset(re.findall(r"`(\w+)`", labels)) for name, labels, _ in _ROW.findall(PAGE)}
# Their samples come with the first call.
OF_AWS = {"counterfoil_aws_calls_total", "counterfoil_aws_call_duration_seconds"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Exposition:
    """What a service shows that has issued and refused."""
    deployment = made_deployment(tmp_path_factory.mktemp("shown") / "data")
    with deployment.serving() as running:
        with Client(running.url, deployment.issuer) as issuer, Client(running.url, deployment.validator) as validator:
            issuer.issue("shop-1")
            with pytest.raises(PasscodeRefused):
                validator.validate("shop-1", "no passcode")
        return scraped(running.url)


def _metrics(shown: Exposition) -> set[str]:
    """Each metric once: a counter as its sample is called, a histogram without `_bucket` and the like."""
    named = {name for name in shown.families if name.startswith("counterfoil_") and not name.endswith("_created")}
    parts = {f"{name}_{part}" for name in named for part in ("bucket", "sum", "count")}
    return {name for name in named - parts if f"{name}_total" not in named}


def test_the_table_has_every_metric_and_no_other(shown: Exposition) -> None:
    assert sorted(METRICS) == sorted(_metrics(shown))
    assert len(METRICS) > 10


def test_the_table_has_the_labels_that_are_shown(shown: Exposition) -> None:
    for name in METRICS.keys() - OF_AWS:
        found = shown.labels_of(name) or shown.labels_of(f"{name}_bucket") - {"le"}
        assert METRICS[name] == found, name


def test_the_table_of_alerts_has_every_one_with_what_to_do() -> None:
    rows = re.findall(r"^\| `(Counterfoil\w+)` \| (\w+) \| ([^|]{10,}) \| ([^|]{10,}) \|$", PAGE, re.MULTILINE)
    assert {name: severity for name, severity, _, _ in rows} == ALERTS
    assert len(rows) == len(ALERTS)
