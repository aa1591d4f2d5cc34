"""Plays campaigns chunk by chunk and notes each chunk in a file, so that a run that is cut off goes on where it was.

A note belongs to the source that it was made with: of the service, of the campaign, of the frame. Change one, and it is
played anew.
"""

import ast
import json
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.adversity.campaign import FAILURES_KEPT, Campaign, Figures
from tests.adversity.fuzzing.target import Target

ROOT = Path(__file__).parents[2]
NOTES = ROOT / ".adversity"
DIGEST_CHARS = 16
_SERVICE = "src"
Say = Callable[[str], None]


@dataclass
class Result:
    """A campaign at one size: all its chunks together."""

    name: str
    claim: str
    unit: str
    cases: int
    source: str = ""
    """The hash of what its figures come from."""
    seconds: float = 0.0
    """Of computing, summed over the workers."""
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    """One for each chunk, in order, where the campaign is deterministic."""
    per_chunk: int = 0
    controls: dict[str, int] = field(default_factory=dict)
    """In how many of its cases the harness caught each broken variant."""


def played(
    campaign: Campaign, cases: int, workers: int, say: Say, notes: Path = NOTES, pool: Callable[[int], Executor] | None = None
) -> Result:
    """The campaign's result, of what was noted before and what is played now."""
    folder = notes / source_of(campaign) / campaign.name
    folder.mkdir(parents=True, exist_ok=True)
    chunks = list(_chunks(cases, campaign.per_chunk))
    missing = [chunk for chunk in chunks if not _note(folder, chunk).exists()]
    controls = [name for name in campaign.controls if not _note(folder, name).exists()]
    done, started_s = 0, time.monotonic()
    with (pool or _processes)(1 if campaign.alone else workers) as workers_pool:
        running: dict[Future[dict[str, Any]], Chunk | str] = {
            workers_pool.submit(_play, _Named(campaign), chunk): chunk for chunk in missing
        }
        running |= {workers_pool.submit(_control, _Named(campaign), name): name for name in controls}
        for finished in as_completed(running):
            _write(_note(folder, running[finished]), finished.result())
            done += 1
            left_s = (time.monotonic() - started_s) / done * (len(running) - done)
            say(f"{campaign.name}: {done} of {len(running)} chunks and controls that were left, about {left_s:.0f} s more")
    return _result(campaign, cases, [_read(_note(folder, chunk)) for chunk in chunks], folder)


def source_of(campaign: Campaign) -> str:
    """A hash of all that the campaign's figures come from, as git has it."""
    run, given = (campaign.run.func, campaign.run.args) if isinstance(campaign.run, partial) else (campaign.run, ())
    paths = {_SERVICE} | _imported(run.__module__, set())
    for target in given:
        # A campaign of its own for each: a change of one leaves what is known of the others.
        if isinstance(target, Target):
            paths |= _imported(target.opened.__module__, set())
    return sha256("\n".join(git("rev-parse", f"HEAD:{path}") for path in sorted(paths)).encode()).hexdigest()[:16]


def _imported(module: str, seen: set[str]) -> set[str]:
    """The files of the module and of all that it imports of the tests."""
    path = Path(*module.split(".")).with_suffix(".py")
    if not (ROOT / path).exists():
        path = Path(*module.split("."), "__init__.py")
    if not module.startswith("tests.") or path.as_posix() in seen or not (ROOT / path).exists():
        return seen
    seen.add(path.as_posix())
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                _imported(name, seen)
    return seen


def git(*words: str) -> str:
    """What git says, without the line's end."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


Chunk = tuple[int, int]


def _chunks(cases: int, size: int) -> Iterator[Chunk]:
    for first in range(0, cases, size):
        yield first, min(first + size, cases)


def _note(folder: Path, what: Chunk | str) -> Path:
    # A control is named in plain words, and a word such as I/O is no folder.
    return folder / (f"control {quote(what, safe=' ')}.json" if isinstance(what, str) else f"{what[0]}-{what[1]}.json")


class _Named:
    """A campaign on its way to a worker: functions do not travel, a name does."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    def __reduce__(self) -> tuple[Callable[[str], "_Named"], tuple[str]]:
        return _by_name, (self.campaign.name,)


def _by_name(name: str) -> _Named:
    from tests.adversity.campaigns import campaign_named

    return _Named(campaign_named(name))


def _processes(workers: int) -> ProcessPoolExecutor:
    # Spawned: a fork would share what the parent has opened.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _play(named: _Named, chunk: Chunk) -> dict[str, Any]:
    started_s = _cpu_s()
    figures: Figures = named.campaign.run(*chunk)
    return {
        "counts": dict(figures.counts),
        "failures": figures.failures,
        "digest": figures.digest,
        "seconds": _cpu_s() - started_s,
    }


def _cpu_s() -> float:
    """Of this process, and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _control(named: _Named, name: str) -> dict[str, Any]:
    return {"caught": named.campaign.controls[name]()}


def _write(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content))
    beside.replace(path)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _result(campaign: Campaign, cases: int, chunks: Sequence[dict[str, Any]], folder: Path) -> Result:
    result = Result(campaign.name, campaign.claim, campaign.unit, cases, source_of(campaign), per_chunk=campaign.per_chunk)
    for chunk in chunks:
        result.seconds += chunk["seconds"]
        result.failures += chunk["failures"][: FAILURES_KEPT - len(result.failures)]
        if chunk["digest"]:
            result.digests.append(chunk["digest"][:DIGEST_CHARS])
        for name, count in chunk["counts"].items():
            result.counts[name] = result.counts.get(name, 0) + count
    result.controls = {name: _read(_note(folder, name))["caught"] for name in campaign.controls}
    return result
