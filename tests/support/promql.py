"""What a PromQL expression names, and what it gives: held against what services really show. It evaluates nothing."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import promql_parser
from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    VectorSelector,
)

from tests.support.metrics import Exposition

SCRAPED = frozenset({"job", "instance"})
"""The labels that Prometheus gives to what it scrapes."""


@dataclass(frozen=True)
class Shown:
    """What real services show, what rules record of it, and `up`, which Prometheus adds."""

    expositions: tuple[Exposition, ...]
    recorded: Mapping[str, str] = field(default_factory=dict)
    """Expressions by the names under which rules record them."""
    possible: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Values by the names of labels, beside those that are shown: what is seen only when something goes wrong."""

    def faults(self, expression: str) -> list[str]:
        """What the expression names and what is not there: series, labels, values, and labels to group by."""
        return list(self._faults(promql_parser.parse(expression)))

    def labels(self, expression: str) -> frozenset[str]:
        """The labels of what the expression gives."""
        return self._labels(promql_parser.parse(expression)) or frozenset()

    def _faults(self, expr: Expr) -> Iterator[str]:
        match expr:
            case VectorSelector():
                yield from self._faults_of_selector(expr)
            case MatrixSelector():
                yield from self._faults(expr.vector_selector)
            case Call():
                for argument in expr.args:
                    yield from self._faults(argument)
            case ParenExpr():
                yield from self._faults(expr.expr)
            case AggregateExpr():
                yield from self._faults(expr.expr)
                unknown = set(_grouped_by(expr)) - (self._labels(expr.expr) or frozenset())
                yield from (f"grouped by {label}, which is no label there" for label in sorted(unknown))
            case BinaryExpr():
                assert expr.modifier is None or expr.modifier.matching is None, "not needed so far"
                yield from self._faults(expr.lhs)
                yield from self._faults(expr.rhs)
            case NumberLiteral():
                pass
            case _:
                raise AssertionError(type(expr))

    def _faults_of_selector(self, selector: VectorSelector) -> Iterator[str]:
        name = selector.name or ""
        rows = list(self._rows(name))
        if not rows:
            yield f"no series {name}"
            return
        for matcher in selector.matchers.matchers:
            label = matcher.name
            if label in SCRAPED:
                continue
            if label not in self._labels_of_series(name):
                yield f"{name} has no label {label}"
                continue
            values = {row[label] for row in rows if label in row}.union(self.possible.get(label, ()))
            for wanted in _alternatives(matcher):
                if not any(re.fullmatch(wanted, value) for value in values):
                    yield f"{name} has no {label} {wanted}"

    def _rows(self, name: str) -> Iterator[Mapping[str, str]]:
        """The labels of each sample; of what is recorded, the samples that it is recorded from."""
        if name == "up":
            yield {}
        elif name in self.recorded:
            yield from (row for inner in _selectors(promql_parser.parse(self.recorded[name])) for row in self._rows(inner))
        for shown in self.expositions:
            yield from (dict(labels) for each, labels in shown.samples if each == name)

    def _labels_of_series(self, name: str) -> frozenset[str]:
        if name in self.recorded:
            return self.labels(self.recorded[name])
        return SCRAPED.union(*(row for row in self._rows(name)))

    def _labels(self, expr: Expr) -> frozenset[str] | None:
        """None for a number."""
        match expr:
            case VectorSelector():
                return self._labels_of_series(expr.name or "")
            case MatrixSelector():
                return self._labels(expr.vector_selector)
            case Call(func=function) if function.name == "absent":
                (selector,) = expr.args
                return frozenset(matcher.name for matcher in selector.matchers.matchers if matcher.op == MatchOp.Equal)
            case Call(func=function) if function.name in ("scalar", "time"):
                return None
            case Call():
                found = [labels for labels in map(self._labels, expr.args) if labels is not None]
                return found[0] - {"le"} if expr.func.name == "histogram_quantile" else found[0]
            case ParenExpr():
                return self._labels(expr.expr)
            case AggregateExpr():
                return frozenset(_grouped_by(expr))
            case BinaryExpr():
                left = self._labels(expr.lhs)
                return self._labels(expr.rhs) if left is None else left
            case NumberLiteral():
                return None
        raise AssertionError(type(expr))


def names(expression: str) -> set[str]:
    """The series that the expression reads."""
    return set(_selectors(promql_parser.parse(expression)))


def names_without(expression: str, label: str) -> set[str]:
    """The series that the expression reads whatever they have under that label."""
    selectors = _vectors(promql_parser.parse(expression))
    return {each.name or "" for each in selectors if label not in {matcher.name for matcher in each.matchers.matchers}}


def _selectors(expr: Expr) -> list[str]:
    return [each.name or "" for each in _vectors(expr)]


def _vectors(expr: Expr) -> list[VectorSelector]:
    found: list[VectorSelector] = []

    def visit(each: Expr) -> None:
        if isinstance(each, VectorSelector):
            found.append(each)

    promql_parser.walk(expr, visit)
    return found


def _grouped_by(expr: AggregateExpr) -> list[str]:
    if expr.modifier is None:
        return []
    assert expr.modifier.type == AggModifierType.By, "not needed so far"
    return expr.modifier.labels


def _alternatives(matcher: Matcher) -> list[str]:
    """What a matcher wants to be there, each as a regular expression: what it leaves out is wanted as well as what it takes."""
    if matcher.op in (MatchOp.Equal, MatchOp.NotEqual):
        return [re.escape(matcher.value)]
    assert "(" not in matcher.value, "an alternative is a whole value"
    return matcher.value.split("|")
