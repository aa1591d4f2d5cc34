"""What a page of Markdown claims of the program: commands, settings, routes, metrics, paths, links. It judges nothing."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_SHELLS = frozenset({"sh", "bash", "console"})
# The program, also by its path in a checkout, where a command begins; what follows, up to the end of the command.
_PROGRAM = re.compile(r"(?:^|[(;|&{`])\s*(?:\w+=\S*\s+)*((?:[\w./$-]*/)?counterfoil)(?= )", re.MULTILINE)
_CODE_COMMAND = re.compile(r"(?:[\w./$-]*/)?counterfoil \S")
_VARIABLE = re.compile(r"\bCOUNTERFOIL_[A-Z][A-Z_]*[A-Z]\b")
_NAME = re.compile(r"(?!counterfoil_)[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_ROUTE = re.compile(r"(?:([A-Z]+) )?(/[A-Za-z0-9_./-]*)(?:\?\S*)?")
_ADDRESS = re.compile(r"(?:https?://(?:127\.0\.0\.1|localhost)(?::\d+)?|\$\{?COUNTERFOIL_URL\}?)(/[A-Za-z0-9_./-]*)")
_METRIC = re.compile(r"\bcounterfoil_[a-z_]*[a-z]\b")
_PATH = re.compile(r"[\w.-]+(?:/[\w.*-]+)+/?|[\w-]+\.(?:md|py|toml|yaml|yml|service)")
_OPTION = re.compile(r"--[a-z][a-z-]*")
_MAKE = re.compile(r"(?:^|[\s(`])make ([a-z][a-z-]*)")
_PICTURE = re.compile(r'<(?:img|source)\b[^>]*\b(?:src|srcset)="([^"]*)"')
_OPERATORS = frozenset("();<>|&\n")


@dataclass(frozen=True)
class Page:
    """A page by its path, which relative links start from."""

    path: Path
    text: str


@dataclass(frozen=True)
class Claim:
    """Something that a page says is there."""

    kind: str
    text: str


def claims(page: Page) -> Iterator[Claim]:
    """Every claim of the page, in its order; the same one may come more than once."""
    for token in _MARKDOWN.parse(page.text):
        if token.type == "fence":
            yield from _in_fence(token.info.split()[0] if token.info.strip() else "", token.content)
        elif token.type == "html_block":
            yield from (Claim("link", path) for path in _PICTURE.findall(token.content))
        for child in token.children or ():
            if child.type == "code_inline":
                yield from _in_code_font(child.content)
            elif child.type in ("link_open", "image"):
                yield Claim("link", str(child.attrs.get("href") or child.attrs.get("src")))
    for name in _VARIABLE.findall(page.text):
        yield Claim("variable", name)
    for name in _METRIC.findall(page.text):
        yield Claim("metric", name)


def words_of(command: str) -> list[str]:
    """The words of a command line as a shell would take them apart, without the program, up to an operator."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="".join(_OPERATORS))
    lexer.whitespace_split = True
    # A line's end ends a command too; a comment is looked for below, since the lexer would swallow the line's end with it.
    lexer.whitespace, lexer.commenters = " \t", ""
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= _OPERATORS or word.startswith("#"):
                break
            words.append(word)
    except ValueError:
        # A quote that the cut-off rest of the block closes: the words before it stand.
        pass
    return words[1:]


def _in_fence(language: str, content: str) -> Iterator[Claim]:
    for address in _ADDRESS.findall(content):
        yield Claim("route", address)
    if language == "toml" and "[counterfoil]" in content:
        yield Claim("settings file", content)
    if language not in _SHELLS:
        return
    joined = content.replace("\\\n", " ")
    for match in _PROGRAM.finditer(joined):
        yield Claim("command", joined[match.start(1) :])
    for target in _MAKE.findall(joined):
        yield Claim("make", target)


def _in_code_font(content: str) -> Iterator[Claim]:
    if _CODE_COMMAND.match(content):
        yield Claim("command", content)
        return
    for address in _ADDRESS.findall(content):
        yield Claim("route", address)
    if route := _ROUTE.fullmatch(content):
        yield Claim("route", " ".join(filter(None, route.groups())))
    elif _OPTION.fullmatch(content.partition(" ")[0]):
        yield Claim("option", content.partition(" ")[0])
    elif made := _MAKE.match(content):
        yield Claim("make", made[1])
    elif _PATH.fullmatch(content):
        yield Claim("path", content)
    elif name := _NAME.fullmatch(content.partition(" = ")[0]):
        yield Claim("name", name[0])
