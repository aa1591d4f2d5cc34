"""What is made of code and SQL, and what the page says of it. The mutants themselves: `make mutants`."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.adversity.mutants import __main__ as command
from tests.adversity.mutants import inside, sql, trial, twin
from tests.adversity.mutants.mutant import Fate, Mutant, changed_line
from tests.adversity.mutants.outside import Change, changes
from tests.adversity.mutants.page import NO_REASON, killed_share, page
from tests.adversity.mutants.reasons import Reasons
from tests.adversity.mutants.twin import Tried, read, tried, written
from tests.adversity.progress import ROOT

THREAD_FAILED = "pytest.PytestUnhandledThreadExceptionWarning"
PLUGIN = "tests.adversity.mutants.plugin"
REDEEM = "UPDATE t SET a = 1 WHERE id = ? AND state = 'issued' AND expires_at > :now"
MODULE = '''"""A module."""

from typing import TypeAlias

LIMIT = 5
Name: TypeAlias = str
_TAKE = """DELETE FROM t WHERE id <= ?"""
_DROP = "DELETE FROM t WHERE id = 1 AND a = b"


class Thing:
    """With a decorated method, and one that is not."""

    @property
    def more(self) -> int:
        return LIMIT + 1

    def taken_by_mutmut(self) -> int:
        return LIMIT - 1
'''


def _changes(folder: Path) -> list[Change]:
    path = folder / "room" / "module.py"
    path.parent.mkdir()
    path.write_text(MODULE)
    return list(changes(path))


def test_every_condition_of_a_statement_is_left_out_turned_and_moved() -> None:
    made = set(sql.changed(REDEEM))
    for text in (
        "UPDATE t SET a = 1 WHERE state = 'issued' AND expires_at > :now",
        "UPDATE t SET a = 1 WHERE id = ? AND expires_at > :now",
        "UPDATE t SET a = 1 WHERE id = ? AND state = 'issued'",
        REDEEM.replace("state =", "state <>"),
        REDEEM.replace(">", ">="),
        REDEEM.replace("'issued'", "'XXissuedXX'"),
        REDEEM.replace("AND state", "OR state"),
    ):
        assert text in made
    assert REDEEM not in made


def test_constants_sql_and_decorated_functions_are_changed_and_nothing_else(tmp_path: Path) -> None:
    made = _changes(tmp_path)
    assert {change.where for change in made} == {"LIMIT", "_TAKE", "_DROP", "Thing"}
    assert {change.after for change in made if change.where == "Thing"} == {"return LIMIT - 1", "return LIMIT + 2"}
    assert {change.module for change in made} == {"room.module"}
    afters = {change.after for change in made}
    assert '_TAKE = """DELETE FROM t WHERE id < ?"""' in afters
    assert '_DROP = "DELETE FROM t WHERE id = 1"' in afters


def test_a_change_is_told_in_one_line(tmp_path: Path) -> None:
    assert changed_line("a\n  b = 1\nc", "a\n  b = 2\nc") == ("b = 1", "b = 2")
    assert all("\n" not in change.before + change.after for change in _changes(tmp_path))


MUTANTS = [
    Mutant("core.a", "f", "x < 1", "x <= 1", Fate.KILLED),
    Mutant("core.a", "f", "x < 1", "x < 2", Fate.TIMED_OUT),
    Mutant("core.a", "f", 'log("a")', "log(None)", Fate.SURVIVED),
    Mutant("core.b", "C.g", "y = 1", "y = None", Fate.SURVIVED),
]
REASONS = Reasons('[["core.a:f"]]\nwhy = "Words."\nlines = ["log(None)", "gone"]\n')


def _entries(folder: Path) -> list[Tried]:
    path = folder / "a.py"
    path.write_text(MODULE)
    return [
        tried(module, path, "c0ffee" * 6, [mutant for mutant in MUTANTS if mutant.module == module])
        for module in ("core.a", "core.b")
    ]


def test_the_page_counts_and_says_where_a_reason_is_missing(tmp_path: Path) -> None:
    entries = _entries(tmp_path)
    text = page(entries, ["core.c"], REASONS)
    assert killed_share(entries) == 0.5
    assert "4 mutants, 2 killed (50.0%; 1 of them by not ending), 2 survived." in text
    assert "| core.a | 3 | 2 | 1 | 66.7% | `c0ffeec0ff` |" in text
    assert "Not tried to the end yet, and not counted: core.c." in text
    # Of two killed one has a reason to live.
    assert "Of 1 that were killed a reason says" in text
    assert "\n25.0%.\n" in text
    assert "**core.a, `f`**: Words." in text
    assert f"**core.b, `C.g`**: {NO_REASON}" in text
    assert [REASONS.is_missing(mutant) for mutant in MUTANTS] == [False, False, False, True]
    assert REASONS.unused(entries[0].survivors) == [("core.a", "f", "gone")]


def test_what_is_known_of_a_module_is_read_back(tmp_path: Path) -> None:
    entries = _entries(tmp_path)
    assert list(read(written(entries)).values()) == entries


def test_a_module_is_tried_again_when_its_source_changes_or_a_survivor_has_no_reason(tmp_path: Path) -> None:
    explained, unexplained = _entries(tmp_path)
    path = tmp_path / "a.py"
    assert explained.holds(path, REASONS)
    assert not unexplained.holds(path, REASONS)
    path.write_text(MODULE + "# changed")
    assert not explained.holds(path, REASONS)


class Bench:
    """Stands for mutmut and for trials: whatever is tried is killed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cut_off = False
        self.tried_outside = 0
        self.runs_inside = 0
        self.path = folder / "room" / "module.py"
        self.path.parent.mkdir()
        self.path.write_text(MODULE)
        self.twin, self.page = folder / "mutants.json", folder / "mutants.md"
        monkeypatch.setattr(twin, "modules", lambda: {"room.module": self.path})
        monkeypatch.setattr(twin, "TWIN", self.twin)
        monkeypatch.setattr(command, "_PAGE", self.page)
        monkeypatch.setattr(command, "_NOTE", folder / "note.json")
        monkeypatch.setattr(command, "_OF_MUTMUT", folder / "mutants")
        monkeypatch.setattr(command, "NOTES", folder)
        monkeypatch.setattr(inside, "run", self._run)
        monkeypatch.setattr(inside, "run_again", lambda *_: None)
        monkeypatch.setattr(inside, "found", self._found)
        monkeypatch.setattr(trial, "tried", self._tried)
        monkeypatch.setattr(trial, "confirm_whole", lambda: None)

    def _run(self, workers: int, modules: object) -> None:
        self.runs_inside += 1
        if self.cut_off:
            raise KeyboardInterrupt

    def _found(self) -> dict[str, list[Mutant | None]]:
        return {"room.module": [None if self.cut_off else Mutant("room.module", "f", "x", "y", Fate.KILLED)]}

    def _tried(self, changes: Sequence[Change], workers: int, say: object) -> Iterator[Mutant]:
        for change in changes:
            self.tried_outside += 1
            yield Mutant(change.module, change.where, change.before, change.after, Fate.KILLED)


def test_a_run_that_was_cut_off_is_gone_on_with_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    made = len(list(changes(bench.path)))
    bench.cut_off = True
    assert command.main([]) == 1
    assert "Not tried to the end yet, and not counted: room.module." in bench.page.read_text()
    bench.cut_off = False
    assert command.main([]) == 0
    assert f"**{made + 1} mutants, {made + 1} killed (100.0%" in bench.page.read_text()
    assert bench.tried_outside == made


def test_a_module_is_left_alone_until_it_changes_or_all_is_to_be_tried_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    assert command.main([]) == 0
    (tmp_path / "note.json").unlink()
    assert command.main([]) == 0
    assert bench.runs_inside == 1
    bench.path.write_text(MODULE + "# changed")
    assert command.main([]) == 0
    assert bench.runs_inside == 2
    assert command.main(["--anew"]) == 0
    assert bench.runs_inside == 3


def test_one_mutant_has_one_reason() -> None:
    with pytest.raises(AssertionError, match="two reasons"):
        Reasons('[["a:f"]]\nwhy = "x"\nlines = ["l"]\n[["a:f"]]\nwhy = "y"\nlines = ["l"]\n')


def test_every_written_reason_is_a_sentence() -> None:
    assert all(why.endswith(".") and len(why) > 20 for why in Reasons.written().sentences())


def test_a_thread_that_fails_after_the_last_test_ends_in_a_failed_run_and_not_in_an_exception(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from threading import Thread\n"
        "def pytest_sessionfinish():\n"
        "    thread = Thread(target=lambda: 1 / 0)\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    words = ["-p", "no:cacheprovider", "-p", PLUGIN, "-W", f"error::{THREAD_FAILED}", "--rootdir", str(tmp_path), str(tmp_path)]
    program = f"import pytest; print('ended with', int(pytest.main({words})))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "ended with 1", done.stderr
