"""Mutants of what stands outside functions: constants, defaults, SQL, and the functions that mutmut leaves out for their
decorators. mutmut's own operators make them, and `sql`; each is a changed file, and all tests of its room run against it.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor, deep_replace
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import get_ignored_lines

from tests.adversity.mutants import sql
from tests.adversity.mutants.mutant import changed_line
from tests.adversity.mutants.twin import module_name

# Nothing reads them when the program runs.
_FOR_TYPES_ALONE = ("TypeAlias", "TypeVar(")
# None is as false as False.
_THE_SAME = ("init=None", "repr=None", "compare=None")
_TAKEN_BY_MUTMUT = ("classmethod", "staticmethod")


@dataclass(frozen=True, slots=True)
class Change:
    """A module's file with one change."""

    path: Path
    module: str
    where: str
    before: str
    after: str
    code: str


def changes(path: Path) -> Iterator[Change]:
    """Every change of that module, in its order."""
    code = path.read_text()
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = _Outside(mutation_operators, get_ignored_lines(str(path), code, wrapper))
    wrapper.visit(visitor)
    for mutated in dict.fromkeys(_replaced(wrapper.module, mutation) for mutation in visitor.mutations):
        before, after = changed_line(code, mutated)
        if any(option in after for option in _THE_SAME):
            continue
        yield Change(path, module_name(path), _place(code, mutated), before, after, mutated)


def _replaced(module: cst.Module, mutation: Mutation) -> str:
    mutated = deep_replace(module, mutation.original_node, mutation.mutated_node)
    assert isinstance(mutated, cst.Module)
    return mutated.code


class _Outside(MutationVisitor):
    """Visits what mutmut's own visitor does not change."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.SimpleString | cst.FormattedString) and sql.IS_SQL.search(_text(node)):
            self._change_sql(node)
            return False
        return super().on_visit(node)

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            return not node.decorators or _text(node.decorators[0].decorator) in _TAKEN_BY_MUTMUT
        if isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString):
            return True
        if isinstance(node, cst.Assign | cst.AnnAssign) and any(word in _text(node) for word in _FOR_TYPES_ALONE):
            return True
        return super()._skip_node_and_children(node)

    def _change_sql(self, node: cst.SimpleString | cst.FormattedString) -> None:
        parts = [node] if isinstance(node, cst.SimpleString) else node.parts
        for part in parts:
            if isinstance(part, cst.SimpleString):
                before, after = part.prefix + part.quote, part.quote
                self._change_text(part, (before + text + after for text in sql.changed(part.raw_value)))
            elif isinstance(part, cst.FormattedStringText):
                self._change_text(part, sql.changed(part.value))

    def _change_text(self, part: cst.SimpleString | cst.FormattedStringText, texts: Iterable[str]) -> None:
        self.mutations += [Mutation(part, part.with_changes(value=text), None) for text in texts]


def _text(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def _place(code: str, mutated: str) -> str:
    """The name of the class, function or constant in which two versions of a module first differ."""
    lines = zip(code.splitlines(), mutated.splitlines(), strict=False)
    number = next(number for number, (one, other) in enumerate(lines, 1) if one != other)
    for statement in ast.parse(code).body:
        if statement.lineno <= number <= (statement.end_lineno or statement.lineno):
            if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                return statement.name
            target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", statement)
            return ast.unparse(target)
    raise AssertionError(number)
