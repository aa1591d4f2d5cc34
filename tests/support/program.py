"""What the program has: its commands, settings, routes, metrics, and the repository's own files. Held against the pages."""

import re
import tempfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

import click

from counterfoil.entrypoints.cli import group
from counterfoil.model.invalid import Invalid
from counterfoil.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from tests.support.doc_claims import Claim, Page, words_of

ROOT = Path(__file__).parents[2]
# Where a page may name a path from, beside its own folder.
_ROOTS = (ROOT, ROOT / "src" / "counterfoil", ROOT / "docs")
_CODE = ("src", "infra", "scripts", "bench", "tests", "examples", "Makefile", "pyproject.toml")
_MADE = frozenset({"__pycache__", "build", "node_modules"})
_READ = frozenset({".py", ".toml", ".json", ".xml", ""})
_SETTINGS = frozenset(each.name for each in fields(Settings))
_PLACEHOLDER = re.compile(r"…|\.\.\.|[A-Z]+|<[^>]*>")


@dataclass(frozen=True, eq=False)
class Program:
    """The program as it is; `routes` and `metrics` are asked of a real service."""

    routes: frozenset[tuple[str, str]]
    metrics: frozenset[str]

    def has(self, claim: Claim, page: Page) -> bool:
        """Whether what the page says is there."""
        match claim.kind:
            case "command":
                return not fault_of_command(words_of(claim.text))
            case "variable":
                return claim.text.removeprefix(ENVIRONMENT_PREFIX).lower() in _SETTINGS or claim.text in self._words
            case "settings file":
                return self._is_settings_file(claim.text)
            case "route":
                return self._has_route(claim.text)
            case "metric":
                return claim.text in self.metrics
            case "option":
                return claim.text in self._options
            case "make":
                return re.search(rf"^{claim.text}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None
            case "path":
                return self._is_path(claim.text, page)
            case "name":
                return claim.text in (self._tests if claim.text.startswith("test_") else self._words)
            case "link":
                return is_link(claim.text, page)
        raise AssertionError(claim.kind)

    def _has_route(self, text: str) -> bool:
        method, _, path = text.rpartition(" ")
        return any(path == known and method in ("", of, "HEAD" if of == "GET" else of) for of, known in self.routes)

    def _is_path(self, text: str, page: Page) -> bool:
        if "/" in text and "." not in text and not (ROOT / text.partition("/")[0]).exists():
            # Neither a file's name nor in one of the repository's folders: two words with a stroke between.
            return True
        if "/" not in text and any(path.name == text for path in self._files):
            return True
        return any(list(root.glob(text.rstrip("/"))) for root in (page.path.parent, *_ROOTS))

    def _is_settings_file(self, text: str) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            try:
                load_settings(Path(file.name), {})
            except Invalid:
                return False
        return True

    @cached_property
    def _words(self) -> frozenset[str]:
        """Every word of the code: a name in code font that is nowhere in it is a name of nothing."""
        # Not of the tests: there a name may stand because it must not be there.
        paths = (path for path in self._files if path.suffix in _READ and ROOT / "tests" not in path.parents)
        texts = (path.read_text(errors="replace") for path in paths)
        return frozenset(word for text in texts for word in re.findall(r"[A-Za-z][A-Za-z0-9_]+", text))

    @cached_property
    def _tests(self) -> frozenset[str]:
        texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
        return frozenset(name for text in texts for name in re.findall(r"def (test_\w+)", text))

    @cached_property
    def _files(self) -> tuple[Path, ...]:
        found = [ROOT / start for start in _CODE if (ROOT / start).is_file()]
        for folder in (ROOT / start for start in _CODE if (ROOT / start).is_dir()):
            found += [path for path in folder.rglob("*") if path.is_file() and not _MADE & set(path.parts)]
        return tuple(found)

    @cached_property
    def _options(self) -> frozenset[str]:
        return frozenset(option for command in _commands(group) for option in _options_of(command))


def fault_of_command(words: list[str]) -> str:
    """What is wrong with a command line; nothing when click would take its names. Values are not looked at, choices are."""
    command: click.Command = group
    positional = 0
    left = [word for word in (word.strip("[]…") for word in words) if word and word != "$@"]
    while left:
        word = left.pop(0)
        if word.startswith("-") and word != "-":
            name, equals, value = word.partition("=")
            option = _options_of(command).get(name)
            if option is None:
                return f"{command.name} has no option {name}"
            if not option.is_flag and not option.count:
                given = value if equals else left.pop(0) if left else ""
                choices = option.type.choices if isinstance(option.type, click.Choice) else (given,)
                if given not in choices and not _PLACEHOLDER.fullmatch(given):
                    return f"{name} does not take {given}"
        elif isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), word)
            if inner is None:
                return f"{command.name} has no command {word}"
            command = inner
        else:
            positional += 1
    most = sum(parameter.nargs if parameter.nargs > 0 else 10**6 for parameter in command.params if _is_argument(parameter))
    return f"{command.name} takes {most} arguments" if positional > most else ""


def is_link(target: str, page: Page) -> bool:
    """Whether a relative link leads to a file that is there, and to a heading that is in it."""
    if re.match(r"[a-z]+:", target):
        return True
    name, _, anchor = unquote(target).partition("#")
    path = (page.path.parent / name) if name else page.path
    if not path.exists() and name:
        return False
    text = page.text if not name else path.read_text() if path.suffix == ".md" else ""
    return not anchor or anchor in anchors(text)


def anchors(text: str) -> set[str]:
    """The anchors that headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def _commands(command: click.Command) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    inner = [found for each in command.list_commands(context) if (found := command.get_command(context, each))]
    return [command, *(found for each in inner for found in _commands(each))]


def _options_of(command: click.Command) -> dict[str, click.Option]:
    context = click.Context(command, help_option_names=["-h", "--help"])
    options = [parameter for parameter in command.get_params(context) if isinstance(parameter, click.Option)]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)
