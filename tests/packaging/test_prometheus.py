"""Alert rules, their tests and the dashboard: what they name is shown by real services, and they say what they are to say."""

import json
import re
import shutil
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.emulation.emulator import SDK_ENVIRONMENT

from counterfoil import Client
from counterfoil.aws.call_counts import OUTCOMES
from counterfoil.client import CounterfoilError
from tests.contract.engines import unless_missing
from tests.packaging.tools import PACKAGING, ROOT, linter, said
from tests.support.metrics import scraped
from tests.support.promql import Shown, names
from tests.support.service import made_deployment

FOLDER = PACKAGING / "prometheus"
RULES = yaml.safe_load((FOLDER / "counterfoil.rules.yml").read_text())
UNIT_TESTS = yaml.safe_load((FOLDER / "counterfoil.rules.test.yml").read_text())["tests"]
RECORDED = {rule["record"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
DASHBOARD = json.loads((PACKAGING / "grafana" / "counterfoil.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
QUERIES += [(each["name"], each["expr"], each["titleFormat"]) for each in DASHBOARD["annotations"]["list"] if "expr" in each]
# What Grafana puts in the place of its variables is as good as anything that can stand there.
VARIABLES = {"$__rate_interval": "1m", "$job": "counterfoil", "$instance": ".*"}
NOWHERE = "arn:aws:kms:eu-south-1:000000000000:key/00000000-0000-0000-0000-000000000000?table=keys&endpoint=http://127.0.0.1:1"


def _promtool() -> str:
    own = ROOT / ".engines" / "promtool" / "promtool"
    found = str(own) if own.exists() else shutil.which("promtool")
    unless_missing("promtool", None if found else "promtool is missing: run `make engines`, or install Debian's prometheus")
    return str(found)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """What two services show: one that has issued, accepted and refused, and one whose keys are where nobody answers."""
    deployment = made_deployment(tmp_path_factory.mktemp("shown") / "data")
    with deployment.serving() as running:
        with Client(running.url, deployment.issuer) as issuer, Client(running.url, deployment.validator) as validator:
            passcode = issuer.issue("shop-1").passcode
            for _ in range(2):
                _tried(lambda: validator.validate("shop-1", passcode))
        with Client(running.url, "cfi_nobodys") as nobody:
            _tried(lambda: nobody.issue("shop-1"))
        scraped(running.url)
        own_keys = scraped(running.url)
    with deployment.serving(**SDK_ENVIRONMENT, COUNTERFOIL_KEYS=f"aws-kms:{NOWHERE}", COUNTERFOIL_STORE="memory:") as running:
        with Client(running.url, deployment.issuer, tries=1) as issuer:
            _tried(lambda: issuer.issue("shop-1"))
        keys_of_aws = scraped(running.url)
    return Shown((own_keys, keys_of_aws), RECORDED, {"outcome": OUTCOMES})


def _tried(ask: Any) -> None:
    with suppress(CounterfoilError):
        ask()


def _as_query(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


# -- the rules --


def test_promtool_takes_configuration_and_rules() -> None:
    checked = said(_promtool(), "check", "config", str(FOLDER / "prometheus.yml"))
    assert f"{len(RECORDED) + len(ALERTS)} rules found" in checked


def test_the_rules_mean_the_job_that_the_configuration_names() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == "counterfoil"
    assert set(re.findall(r'job="([^"]+)"', " ".join(rule["expr"] for rule in ALERTS.values()))) == {"counterfoil"}


def test_promtool_finds_nothing_in_what_a_service_shows(shown: Shown) -> None:
    for exposition in shown.expositions:
        assert said(_promtool(), "check", "metrics", given=exposition.text) == ""


def test_control_promtool_finds_a_name_that_is_against_the_conventions(shown: Shown) -> None:
    spoilt = shown.expositions[0].text.replace(
        "counterfoil_commit_duration_seconds", "counterfoil_commit_duration_milliseconds"
    )
    assert "counterfoil_commit_duration_milliseconds" in said(_promtool(), "check", "metrics", given=spoilt, status=3)


def test_what_an_alert_reads_is_recorded_in_its_own_group_before_it() -> None:
    read = 0
    for group in RULES["groups"]:
        recorded: set[str] = set()
        for rule in group["rules"]:
            if "record" in rule:
                recorded.add(rule["record"])
                continue
            names = {name for name in RECORDED if name in rule["expr"]}
            assert names <= recorded, rule["alert"]
            read += len(names)
    assert read


def test_every_alert_comes_where_it_has_to_and_not_nearby() -> None:
    assert "SUCCESS" in said(_promtool(), "test", "rules", str(FOLDER / "counterfoil.rules.test.yml"))
    cases = [case for test in UNIT_TESTS for case in test.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == set(ALERTS)


def test_control_an_alert_that_does_not_come_is_missed(tmp_path: Path) -> None:
    rules = (FOLDER / "counterfoil.rules.yml").read_text()
    (tmp_path / "counterfoil.rules.yml").write_text(rules.replace("alert: ", "alert: Not"))
    shutil.copy(FOLDER / "counterfoil.rules.test.yml", tmp_path)
    failed = said(_promtool(), "test", "rules", str(tmp_path / "counterfoil.rules.test.yml"), status=1)
    assert set(re.findall(r"alertname: (\w+), time", failed)) == set(ALERTS)


@pytest.mark.parametrize("name", [*RECORDED, *ALERTS])
def test_a_rule_names_what_a_service_shows(shown: Shown, name: str) -> None:
    expression = RECORDED.get(name) or ALERTS[name]["expr"]
    assert shown.faults(expression) == []


@pytest.mark.parametrize("name", ALERTS)
def test_what_an_alert_says_can_be_filled_in(shown: Shown, name: str) -> None:
    says = ALERTS[name]["annotations"]
    assert sorted(says) == ["description", "summary"]
    assert set(re.findall(r"\$labels\.(\w+)", says["description"])) <= shown.labels(ALERTS[name]["expr"])
    # So that several deployments in one Prometheus are told apart.
    assert "job" in shown.labels(ALERTS[name]["expr"])
    assert ALERTS[name]["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(rate(counterfoil_request_total[5m]))", "no series counterfoil_request_total"),
        ('sum(rate(counterfoil_refusals_total{cause="locked"}[5m]))', "counterfoil_refusals_total has no label cause"),
        ('counterfoil_refusals_total{reason="transaction_altered"}', "no reason transaction_altered"),
        ('counterfoil_refusals_total{reason=~"locked|lokked"}', "no reason lokked"),
        ('counterfoil_faults_total{code!="internal"}', "no code internal"),
        ("sum by (client_id) (counterfoil_refusals_total)", "grouped by client_id"),
        ("sum by (reason) (sum by (job) (counterfoil_refusals_total))", "grouped by reason"),
        ("histogram_quantile(0.9, sum by (le) (rate(counterfoil_commit_duration_second_bucket[5m])))", "no series"),
        ("job:counterfoil_outstanding:max > 1", "no series job:counterfoil_outstanding:max"),
        ('job_reason:counterfoil_refusals:increase10m{route="/metrics"}', "has no label route"),
        ("avg_over_time(counterfoil_refusals[1d]) > 1 unless up", "no series counterfoil_refusals"),
    ],
)
def test_control_what_no_service_shows_is_found(shown: Shown, expression: str, fault: str) -> None:
    assert fault in shown.faults(expression)[0]


def test_yamllint_finds_nothing() -> None:
    configuration = PACKAGING / "kubernetes" / ".yamllint"
    assert said(linter("yamllint"), "--strict", "--config-file", str(configuration), str(FOLDER)) == ""


# -- the dashboard --


@pytest.mark.parametrize(("title", "expression", "legend"), QUERIES, ids=[title for title, _, _ in QUERIES])
def test_a_panel_names_what_a_service_shows(shown: Shown, title: str, expression: str, legend: str) -> None:
    query = _as_query(expression)
    assert shown.faults(query) == []
    assert set(re.findall(r"{{(\w+)}}", legend)) <= shown.labels(query)
    # A panel without the deployment's name would mix up all that a Prometheus knows.
    assert len(re.findall(r'job="\$job"', expression)) == len(
        re.findall(r"\b(?:counterfoil|process)_[a-z_]+{|\bup{", expression)
    )


def test_the_variables_ask_for_what_a_service_shows(shown: Shown) -> None:
    asked = [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    for query in asked:
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        assert shown.faults(_as_query(selector)) == []
        assert label in shown.labels(_as_query(selector))
    known = {each["name"] for each in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__all"} == known


def test_every_metric_has_a_panel(shown: Shown) -> None:
    panels = {re.sub(r"_(total|bucket|sum|count)$", "", name) for _, expr, _ in QUERIES for name in names(_as_query(expr))}
    families = {name for each in shown.expositions for name in each.families if name.startswith("counterfoil_")}
    told = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in families if not name.endswith("_created")}
    assert told - panels == set()


def test_the_dashboard_is_laid_out_without_gaps_over_each_other() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    boxes = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(box["x"] >= 0 and box["x"] + box["w"] <= 24 for box in boxes)
    for one, other in combinations(boxes, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y
    used = {target["datasource"]["uid"] for panel in PANELS for target in (panel, *panel["targets"])}
    # Whoever imports it says which Prometheus; no address and no name of ours is in it.
    assert used == {"${datasource}"}
