"""docs/mutants.md: how many mutants there were, how many lived, and why."""

from collections.abc import Collection, Iterable
from importlib.metadata import version

from tests.adversity.mutants.mutant import Mutant
from tests.adversity.mutants.reasons import Name, Reasons
from tests.adversity.mutants.twin import Tried

KILLED_MIN = 0.95
NO_REASON = "no reason given"
_COMMIT_DIGITS = 10


def killed_share(entries: Collection[Tried]) -> float:
    """How many of all mutants do not live, of 1."""
    total = sum(entry.total for entry in entries)
    return 1 - sum(len(entry.survivors) for entry in entries) / total if total else 1.0


def doubted(entries: Collection[Tried], reasons: Reasons) -> list[Name]:
    """Reasons given for what does not survive in these modules: it was killed by chance, or they are to be taken out."""
    modules = {entry.module for entry in entries}
    unused = reasons.unused(mutant for entry in entries for mutant in entry.survivors)
    return [name for name in unused if name[0] in modules]


def page(entries: Collection[Tried], untried: Collection[str], reasons: Reasons) -> str:
    """The whole page; `untried` are modules of whose mutants some have not been tried yet."""
    total, survived = sum(entry.total for entry in entries), sum(len(entry.survivors) for entry in entries)
    endless = sum(entry.timed_out for entry in entries)
    killed, share = f"{total - survived:,} killed", f"{killed_share(entries):.1%}"
    in_doubt = len(doubted(entries, reasons))
    lines = [
        "# Mutants",
        "",
        "Made by `make mutants`; do not edit. A mutant is the code with one small change: a comparison turned, a constant",
        "moved, an argument dropped, a condition of an SQL statement left out. Tests are to fail on every one of them. Those",
        "on which none fails are listed with the reason why they may live, which a person wrote (`survivors.toml`).",
        "",
        f"mutmut {version('mutmut')}. What functions do is changed and tried by `mutmut run`; what stands outside functions",
        "(constants, defaults, SQL, decorated functions) by mutmut's operators and some of our own for SQL",
        "(`tests/adversity/mutants`). Left out are annotations, type variables, decorators and docstrings. Each row names the",
        "commit at which its figures were noted, with the source as it was tried; tests may have been added since the trial.",
        "[mutants.json](mutants.json) has the same for machines, and the digest of each module.",
        "",
        f"**{total:,} mutants, {killed} ({share}; {endless} of them by not ending), {survived:,} survived.**",
        "",
        *(_doubt(in_doubt, total - survived, total) if in_doubt else []),
        *([f"Not tried to the end yet, and not counted: {', '.join(sorted(untried))}.", ""] if untried else []),
        "| module | mutants | killed | survived | killed | commit |",
        "|---|---:|---:|---:|---:|---|",
        *(_row(entry) for entry in entries if entry.total),
        "",
        "## Survivors",
        "",
    ]
    for entry in entries:
        lines += _survivors(entry.survivors, reasons)
    return "\n".join(lines).rstrip() + "\n"


def _doubt(many: int, killed: int, total: int) -> list[str]:
    return [
        f"Of {many} that were killed a reason says that they may live: a busy machine can fail a test, too. Without them it is",
        f"{(killed - many) / total:.1%}.",
        "",
    ]


def _row(entry: Tried) -> str:
    survived, commit = len(entry.survivors), entry.commit[:_COMMIT_DIGITS]
    share = f"{killed_share([entry]):.1%}"
    return f"| {entry.module} | {entry.total} | {entry.total - survived} | {survived} | {share} | `{commit}` |"


def _survivors(mutants: Iterable[Mutant], reasons: Reasons) -> list[str]:
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in mutants:
        groups.setdefault((mutant.where, reasons.why(mutant) or NO_REASON), []).append(mutant)
    lines = []
    for (where, why), survivors in groups.items():
        lines += [f"**{survivors[0].module}, `{where}`**: {why}", ""]
        lines += [f"* {_code(mutant.before)} → {_code(mutant.after)}" for mutant in survivors]
        lines.append("")
    return lines


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
