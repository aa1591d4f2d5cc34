"""counterfoil(1): as the code is, every command and setting on it, and readable by the programs that read such pages."""

import re
from dataclasses import fields

import pytest
import rich_click as click

from counterfoil.entrypoints import exits
from counterfoil.entrypoints.cli import group
from counterfoil.entrypoints.manual_page import leaves, manual_page
from counterfoil.settings import Settings
from tests.packaging.tools import PACKAGING, program, said

PAGE = PACKAGING / "man" / "counterfoil.1"


@pytest.fixture(scope="module")
def shown() -> str:
    """The page as a terminal shows it, on lines that are long enough, without what makes letters bold."""
    return re.sub(".\b", "", said(program("mandoc", "mandoc"), "-Tascii", "-Owidth=300", str(PAGE)))


def test_the_manual_page_is_what_the_code_makes() -> None:
    assert PAGE.read_text() == manual_page(), "run `make manual-page`"


def test_the_page_names_every_command_with_every_option(shown: str) -> None:
    commands = list(leaves(group))
    assert len(commands) > 20
    for words, command in commands:
        context = click.Context(command)
        title = " ".join((*words, *command.collect_usage_pieces(context)))
        assert f"\n   {title}\n" in shown, title
        section = re.split(r"\n(?:   )?(?=\S)", shown.partition(f"\n   {title}\n")[2])[0]
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(name in section for name in option.opts), (words, option.opts)


def test_the_page_names_every_setting_and_every_exit_status(shown: str) -> None:
    for each in fields(Settings):
        assert f"\n       COUNTERFOIL_{each.name.upper()}\n" in shown
    statuses = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    assert len(statuses) == 8
    for status in statuses:
        assert f"\n       {status} " in shown.partition("EXIT STATUS")[2].partition("SETTINGS")[0]


def test_the_linter_finds_nothing_but_the_date_that_is_left_out() -> None:
    found = said(program("mandoc", "mandoc"), "-T", "lint", "-W", "warning", str(PAGE), status=2).splitlines()
    assert [line.partition("WARNING: ")[2] for line in found] == ['missing date, using "": TH']
