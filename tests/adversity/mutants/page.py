"""docs/mutants.md: how many mutants there were, how many lived, and why."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

from tests.adversity.mutants.mutant import Fate, Mutant
from tests.adversity.mutants.reasons import Reasons

KILLED_MIN = 0.95
NO_REASON = "no reason given"


def killed_share(mutants: Sequence[Mutant]) -> float:
    """How many of them do not live, of 1."""
    return sum(mutant.fate is not Fate.SURVIVED for mutant in mutants) / len(mutants)


def page(mutants: Sequence[Mutant], reasons: Reasons, commit: str, date: str) -> str:
    """The whole page."""
    fates = Counter(mutant.fate for mutant in mutants)
    killed, endless, survived = len(mutants) - fates[Fate.SURVIVED], fates[Fate.TIMED_OUT], fates[Fate.SURVIVED]
    share = f"{killed_share(mutants):.1%}"
    lines = [
        "# Mutants",
        "",
        "Made by `make mutants`; do not edit. A mutant is the code with one small change: a comparison turned, a constant",
        "moved, an argument dropped, a condition of an SQL statement left out. Tests are to fail on every one of them. Those",
        "on which none fails are listed with the reason why they may live, which a person wrote (`survivors.toml`).",
        "",
        f"Commit `{commit}`, {date}; mutmut {version('mutmut')}. What functions do is changed and tried by `mutmut run`; what",
        "stands outside functions (constants, defaults, SQL, decorated functions) by mutmut's operators and some of our own",
        "for SQL (`tests/adversity/mutants`). Left out are annotations, type variables, decorators and docstrings.",
        "",
        f"**{len(mutants):,} mutants, {killed:,} killed ({share}; {endless} of them by not ending), {survived:,} survived.**",
        "",
        "| module | mutants | killed | survived | killed |",
        "|---|---:|---:|---:|---:|",
    ]
    for module in sorted({mutant.module for mutant in mutants}):
        of_it = [mutant for mutant in mutants if mutant.module == module]
        survived = sum(mutant.fate is Fate.SURVIVED for mutant in of_it)
        lines.append(f"| {module} | {len(of_it)} | {len(of_it) - survived} | {survived} | {killed_share(of_it):.1%} |")
    lines += ["", "## Survivors", ""]
    for module in sorted({mutant.module for mutant in mutants}):
        lines += _survivors([mutant for mutant in mutants if mutant.module == module], reasons)
    return "\n".join(lines).rstrip() + "\n"


def _survivors(mutants: Sequence[Mutant], reasons: Reasons) -> list[str]:
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in mutants:
        if mutant.fate is Fate.SURVIVED:
            groups.setdefault((mutant.where, reasons.why(mutant) or NO_REASON), []).append(mutant)
    lines = []
    for (where, why), survivors in groups.items():
        lines += [f"**{survivors[0].module}, `{where}`**: {why}", ""]
        lines += [f"* {_code(mutant.before)} → {_code(mutant.after)}" for mutant in survivors]
        lines.append("")
    return lines


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
