"""The manual page, counterfoil(1), from the commands and settings themselves: what `--help` says of each, on one page.

python -m counterfoil.entrypoints.manual_page > packaging/man/counterfoil.1
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields

import rich_click as click

from counterfoil.entrypoints.cli import EPILOG, group
from counterfoil.settings import ENVIRONMENT_PREFIX, Settings
from counterfoil.settings_page import setting_sentences
from counterfoil.version import __version__

_NAME = "counterfoil"
_STATUS = re.compile(r"(\d+) (.+?)(?=, \d+ |\.$)", re.DOTALL)
_ELSEWHERE = (
    ("CONFIG", "Path of the TOML file, as with --config."),
    ("URL", "The service that issue, validate, revoke and context seal ask, as with --url."),
    ("CREDENTIAL", "The credential that they ask with; better in a file, with --credential-file."),
)
_SECTION = "The file is TOML with one section, [counterfoil], and the names below it in lower case without COUNTERFOIL_."
_FOLDER = "In the folder of --data, where settings name no other place:"
_FILES = (
    ("counterfoil.db", "The store, with counterfoil.db-wal and counterfoil.db-shm while a service runs."),
    ("keyset.json", "The data keys. Mode 0600 or 0400, or it is refused."),
    ("credentials.json", "Who may call, with digests of their secrets. Mode 0600 or 0400, or it is refused."),
)


def manual_page() -> str:
    """The page, in the man(7) macros. It has no date, so that the same code makes the same page."""
    statuses, settings, _ = EPILOG.strip().split("\n\n")
    lines = (
        f'.TH COUNTERFOIL 1 "" "Counterfoil {__version__}" "User Commands"',
        *_section("NAME", rf"{_NAME} \- one\-time passcodes for transactions"),
        *_section("SYNOPSIS", rf"\fB{_NAME}\fR", r"[\fB\-\-help\fR] [\fB\-\-version\fR]", r"\fICOMMAND\fR [\fIOPTIONS\fR] ..."),
        *_section("DESCRIPTION", *_paragraphs(group.help or "")),
        *_section("COMMANDS", *(line for words, command in leaves(group) for line in _command(words, command))),
        *_section("EXIT STATUS", *_entries(_STATUS.findall(" ".join(statuses.removeprefix("Exit status: ").split())))),
        *_section("SETTINGS", *_paragraphs(settings + "\n\n" + _SECTION), *_entries(_settings())),
        *_section("ENVIRONMENT", *_entries((ENVIRONMENT_PREFIX + name, sentence) for name, sentence in _ELSEWHERE)),
        *_section("FILES", *_paragraphs(_FOLDER), *_entries(_FILES)),
        *_section("SEE ALSO", *_paragraphs("A service that runs serves the documentation of its interface at the path /docs.")),
    )
    return "\n".join(lines) + "\n"


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*words, name))


def _section(title: str, *lines: str) -> Iterator[str]:
    yield f".SH {title}"
    # What follows a title begins a paragraph by itself.
    yield from lines[1:] if lines[0] == ".PP" else lines


def _command(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    yield f".SS {_escaped(' '.join((*words, *command.collect_usage_pieces(context))))}"
    for paragraph in list(_paragraphs(command.help or ""))[1:]:
        # An example is to be copied, so its lines are not filled.
        example = paragraph.startswith("Example:")
        yield from (".EX", paragraph, ".EE") if example else (paragraph,)
    yield from _entries(
        record
        for parameter in command.params
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)) is not None
    )


def _settings() -> Iterator[tuple[str, str]]:
    sentences = setting_sentences()
    for each in fields(Settings):
        default = str(each.default).lower() if isinstance(each.default, bool) else str(each.default)
        yield ENVIRONMENT_PREFIX + each.name.upper(), sentences[each.name] + (f" [default: {default}]" if default else "")


def _entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Terms in bold, each with its sentence set in below it."""
    for term, sentence in entries:
        yield from (".TP", rf"\fB{_escaped(term)}\fR", _line(sentence))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        yield from (".PP", _line(paragraph))


def _line(text: str) -> str:
    """A paragraph on one line, whose first character is no request to roff."""
    line = _escaped(" ".join(text.split()))
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _escaped(text: str) -> str:
    """What people copy is what they type: a bare hyphen or apostrophe would be printed as a typographer's."""
    return text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", "").replace("…", "...")


if __name__ == "__main__":
    print(manual_page(), end="")
