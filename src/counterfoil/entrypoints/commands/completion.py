"""Completion scripts. It prints one; where it goes is the shell's business."""

import rich_click as click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Example: counterfoil completion bash > ~/.local/share/bash-completion/completions/counterfoil
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "counterfoil", "_COUNTERFOIL_COMPLETE").source())
