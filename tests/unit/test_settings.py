"""Settings from file and environment: every mistake is named by its setting and its rule, and nothing is ignored."""

from pathlib import Path
from typing import Any

import pytest

from counterfoil.model.canonical import encoded_service_context
from counterfoil.model.invalid import Invalid
from counterfoil.settings import Settings, load_settings
from counterfoil.settings_page import settings_page
from tests.support.parts import made_parts

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_the_page_is_what_the_code_makes() -> None:
    assert PAGE.read_text() == settings_page(), "run `make settings-page`"


def test_options_are_over_the_environment_over_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = _file(
        tmp_path, "[counterfoil]\nport = 1\nlifetime_default_s = 2\nissue_burst = 3\ndata = 'kept'\nissue_rate_per_s = 4\n"
    )
    environment = {"COUNTERFOIL_LIFETIME_DEFAULT_S": "20", "COUNTERFOIL_ISSUE_BURST": "30", "COUNTERFOIL_UNKNOWN": "x"}
    loaded = load_settings(path, environment, {"issue_burst": 300, "port": None})
    assert (loaded.port, loaded.lifetime_default_s, loaded.issue_burst, loaded.data) == (1, 20, 300, Path("kept"))
    assert (loaded.retention_s, loaded.issue_rate_per_s) == (3600, 4.0)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = 1234\n", "config: must have one section"),
        ("[counterfoil]\n[other]\n", "config: must have one section"),
        ("counterfoil = 1\n", "config: must have one section"),
        ("[counterfoil\n", "config: is not a TOML file"),
        ("counterfoil = " + "[" * 5000, "config: is not a TOML file"),
        ("[counterfoil]\nlifetyme = 7\n", "config: has a setting that is not known"),
        ("[counterfoil]\nport = 'canary'\n", "port: must be a whole number"),
        ("[counterfoil]\nport = true\n", "port: must be a whole number"),
        ("[counterfoil]\nseed_routes = 'canary'\n", "seed_routes: must be true or false"),
        ("[counterfoil]\nissue_rate_per_s = 'canary'\n", "issue_rate_per_s: must be a number"),
        ("[counterfoil]\nhost = 1\n", "host: must be text"),
        ("[counterfoil]\nport = 99999\n", "port: must be 0 to 65535"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_by_the_rule(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_settings(_file(tmp_path, text), {})
    assert str(caught.value).startswith(named)
    assert "canary" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    for path, rule in ((tmp_path / "nowhere", "names no file"), (tmp_path, "cannot be read")):
        with pytest.raises(Invalid, match=rule):
            load_settings(path, {})
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff")
    with pytest.raises(Invalid, match="not a TOML file"):
        load_settings(noise, {})


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("PORT", "canary", "whole number"),
        ("SEED_ROUTES", "yes", "true or false"),
        ("ISSUE_RATE_PER_S", "canary", "a number"),
        ("SERVICE_CONTEXT", "[" * 5000, "JSON object of strings"),
        ("EPOCH", "0", "1 to"),
        ("KEY_REUSE_S", "0", "1 to"),
        ("KEY_REUSE_MAX", "0", "at least 1"),
    ],
)
def test_a_variable_that_breaks_a_rule_is_named(name: str, text: str, rule: str) -> None:
    with pytest.raises(Invalid, match=rule) as caught:
        load_settings(None, {f"COUNTERFOIL_{name}": text})
    assert str(caught.value).startswith(name.lower())
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_yes_and_no_are_true_and_false(text: str, value: Any) -> None:
    assert load_settings(None, {"COUNTERFOIL_SEED_ROUTES": text}).seed_routes is value


def test_no_repr_shows_the_service_context(tmp_path: Path) -> None:
    handlers = made_parts(tmp_path, service_context='{"stage": "canary"}').service.handlers
    assert handlers.validation.service_context == encoded_service_context({"stage": "canary"})
    assert "canary" not in repr(handlers) + repr(Settings(service_context='{"stage": "canary"}'))
