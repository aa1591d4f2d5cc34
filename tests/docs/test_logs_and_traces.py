"""docs/operations.md on logs and traces: its tables have every field, span and attribute that there is, and no other."""

import json
import re
from pathlib import Path

from counterfoil.entrypoints.json_lines import FIELDS
from counterfoil.server_wiring import assembled
from counterfoil.settings import Settings, load_settings
from counterfoil.stores.sqlite import SqliteStore
from tests.support.clock import Clock
from tests.support.journal import JOURNAL_KEY
from tests.support.parts import Parts, made_parts
from tests.support.tracing import Recorder, attributes, recorder
from tests.unit.test_strict_mode import ManagedKey

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
SECTIONS = {part.partition("\n")[0].lstrip("# "): part for part in re.split(r"\n(?=##)", PAGE)}


def _first_cells(section: str, head: str) -> set[str]:
    """The names in the first column of the table with that head."""
    lines = SECTIONS[section].splitlines()
    rows = iter(lines[lines.index(next(line for line in lines if line.startswith(f"| {head} |"))) + 2 :])
    names: set[str] = set()
    while (row := next(rows, "")).startswith("|"):
        names |= set(re.findall(r"`([^`]+)`", row.split("|")[1]))
    return names


async def _lived(parts: Parts) -> None:
    passcode = (await parts.issue(context={"device": "a"}))["passcode"]
    for device in ("b", "a", "a"):
        await parts.validate(passcode, context={"device": device})
    await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", "timestamp": 7}, role="issuer")
    await parts.ask("GET", "/readyz")


async def _all_there_is(tmp_path: Path) -> Recorder:
    """Spans of everything that is traced, over SQLite, in both modes, with a fault."""
    recorded, clock = recorder(), Clock()
    store = SqliteStore(tmp_path / "counterfoil.db", clock, journal_key=JOURNAL_KEY, commit_watch=recorded.tracing.commits())
    parts = made_parts(tmp_path, store=store, clock=clock, tracing=recorded.tracing)
    await _lived(parts)
    handlers = parts.service.handlers
    parts.service = assembled(
        store=store,
        keys=parts.service.keys,
        credentials=handlers.validation.credentials,
        settings=Settings(data=tmp_path).checked(),
        own_keys=ManagedKey(),
        issues_own_keys=True,
        now_us=clock,
        tracing=recorded.tracing,
    )
    await _lived(parts)
    parts.keyset.path.unlink()
    await parts.ask("GET", "/readyz")
    await parts.service.close()
    return recorded


def test_every_field_of_a_line_is_in_the_table() -> None:
    always = {"time", "level", "logger", "message", "exception", "causes"}
    assert _first_cells("Logs", "field") == always | set(FIELDS)


def test_the_line_that_is_shown_is_one() -> None:
    (shown,) = (line for line in SECTIONS["Logs"].splitlines() if line.startswith("{"))
    assert json.loads(shown).keys() < {"time", "level", "logger", "message", *FIELDS}


async def test_every_span_and_every_attribute_is_in_its_table(tmp_path: Path) -> None:
    recorded = await _all_there_is(tmp_path)
    steps = {span.name for span in recorded.spans if "/" not in span.name}
    assert {name for name in _first_cells("Traces", "span") if "/" not in name} == steps
    assert _first_cells("Traces", "attribute") == {name for span in recorded.spans for name in attributes(span)}


def test_the_settings_file_that_is_shown_switches_it_on(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", SECTIONS["Traces"], re.DOTALL)
    (tmp_path / "x.toml").write_text(shown)
    assert load_settings(tmp_path / "x.toml", {}).tracing
