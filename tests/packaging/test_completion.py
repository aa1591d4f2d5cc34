"""Completion in the shells themselves: the script is loaded as its user would, and completes commands, options and choices."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.packaging.tools import program, said
from tests.support.service import clean_environment

# The shell's own program runs the script that `completion` prints, and shows what it would offer for `words`.
_ASKING = {
    "bash": r"""
        source /dev/stdin <<< "$(counterfoil completion bash)"
        complete -p counterfoil >/dev/null
        COMP_WORDS=({words}) COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _counterfoil_completion counterfoil
        printf '%s\n' "${{COMPREPLY[@]}}"
    """,
    # Without a terminal there is no line to edit: what offers the matches prints them here.
    "zsh": r"""
        compdef() {{ completing=$1 }}
        _describe() {{ print -l -- ${{(P)3}} }}
        compadd() {{ print -l -- ${{(P)5}} }}
        source <(counterfoil completion zsh)
        words=({words}) CURRENT=$#words
        $completing
    """,
    "fish": r"""
        counterfoil completion fish | source
        complete -C {line}
    """,
}


def _offered(shell: str, line: str) -> set[str]:
    words = line.split(" ")
    script = _ASKING[shell].format(words=" ".join(map(shlex.quote, words)), line=shlex.quote(line))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    options = {"bash": ("--norc",), "zsh": ("-f",), "fish": ("--no-config",)}[shell]
    environment = {**clean_environment(), "PATH": path, "NO_COLOR": "1"}
    shown = said(program(shell, shell), *options, "-c", script, environment=environment)
    # zsh and fish show a description beside each.
    return {offer.replace("\\:", "\x00").split("\t")[0].split(":")[0] for offer in shown.splitlines() if offer}


@pytest.mark.parametrize("shell", _ASKING)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("counterfoil ke", {"keyset"}),
        ("counterfoil credential ", {"create", "exchange", "finish-exchange", "list", "revoke"}),
        ("counterfoil serve --po", {"--port"}),
        ("counterfoil completion ", {"bash", "zsh", "fish"}),
        ("counterfoil credential create x --role va", {"validator"}),
        ("counterfoil no-such", set()),
    ],
)
def test_the_shell_offers_what_fits(shell: str, line: str, offered: set[str]) -> None:
    assert _offered(shell, line) == offered


def test_every_shell_that_has_a_script_is_asked() -> None:
    from counterfoil.entrypoints.commands.completion import completion

    (shells,) = [getattr(parameter.type, "choices", ()) for parameter in completion.params]
    assert set(shells) == _ASKING.keys()
