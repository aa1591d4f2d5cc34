"""Mutants of SQL, whose conditions are the promises: a condition dropped or turned, a bound moved, a guard left out."""

import re
from collections.abc import Iterator

IS_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|WHERE|CASE WHEN)\b")

_CHANGES = (
    # Bounds.
    (r"<=", "<"),
    (r">=", ">"),
    (r"(?<![<>])<(?![=>])", "<="),
    (r"(?<![<>])>(?!=)", ">="),
    (r"(?<= WHERE )(\S+) = ", r"\1 <> "),
    (r"(?<= AND )(\S+) = ", r"\1 <> "),
    (r"(?<=\w) \+ (?=\d)", " - "),
    (r"(?<=, )0\b", "1"),
    (r"(?<=\+ )1\b", "2"),
    # Conditions and order.
    (r"WHERE \S+ \S+ \S+ AND ", "WHERE "),
    (r" AND :timestamp_us <= :now_us \+ ", " AND 0 < 1 + "),
    (r" AND [^\s:]+ [=<>]+ [^\s)]+", ""),
    (r"WHERE (?!.* AND )\S+ \S+ \?", "WHERE ? IS NOT NULL"),
    (r"\bAND\b", "OR"),
    (r"\bNOT EXISTS\b", "EXISTS"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r" ORDER BY \w+", ""),
    (r"(ORDER BY \w+)", r"\1 DESC"),
    (r"\bmax\(", "min("),
    # What is written.
    (r"'(\w+)'", r"'XX\1XX'"),
    (r"x''", "x'00'"),
    (r"(?<=SET )\w+ = [^,\s]+, ", ""),
    (r" \w+ = [^,\s]+,(?=\s)", ""),
    (r"\bexcluded\.(\w+)", r"\1"),
    (r"ON CONFLICT DO NOTHING", ""),
    # The schema's own guards.
    (r" NOT NULL", ""),
    (r" CHECK \(.*\)\)", ""),
    (r"PRIMARY KEY \((\w+), (\w+)\)", r"PRIMARY KEY (\1)"),
    (r"\bSTRICT, ", ""),
    (r"\bSTRICT;", ";"),
    (r", WITHOUT ROWID", ""),
)


def changed(text: str) -> Iterator[str]:
    """The text with one change in one place, for every change and place."""
    for pattern, by in _CHANGES:
        for match in re.finditer(pattern, text):
            mutated = text[: match.start()] + match.expand(by) + text[match.end() :]
            if mutated != text:
                yield mutated
