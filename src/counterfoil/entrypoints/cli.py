"""The command line: names, help and exit statuses. Each command is a room of its own and is loaded when it is called."""

import sys
from importlib import import_module
from typing import Any

import rich_click as click

from counterfoil.entrypoints import click_version
from counterfoil.version import __version__

_COMMANDS = {
    "dev": ("developing", "dev", "Run a development service on loopback, with all that it needs."),
    "demo": ("demo", "demo", "Play honest and dishonest deliveries against a real service."),
    "serve": ("serving", "serve", "Run the service."),
    "issue": ("passcodes", "issue", "Issue a passcode for a transaction."),
    "validate": ("passcodes", "validate", "Validate a passcode and redeem it, once."),
    "revoke": ("passcodes", "revoke", "Withdraw a passcode before it is redeemed."),
    "context": ("passcodes", "context", "Seal context for a client to pass on unread."),
    "credential": ("credentials", "credential", "Create, list, exchange and revoke credentials."),
    "keyset": ("keysets", "keyset", "Create, rotate, list and retire data keys."),
    "journal": ("journals", "journal", "Verify and export the journal of every decision."),
    "backup": ("copies", "backup", "Copy the store while services run."),
    "restore": ("copies", "restore", "Put a copy of the store back; every earlier passcode is dead."),
    "doctor": ("doctor", "doctor", "Check settings, store, clock, keys and file modes, and say what to do."),
    "completion": ("completion", "completion", "Print the completion script of a shell."),
}

_LISTING = "counterfoil.listing"
EPILOG = """
Exit status: 0 done or accepted, 1 refused or something is wrong, 2 invalid input or set-up, 3 unknown (no answer, or 503:
ask again), 4 credential refused, 5 limit reached, 70 the store failed or something unforeseen happened, 130 interrupted.

Settings come from options, over COUNTERFOIL_… in the environment, over the file of --config.

`counterfoil COMMAND --help` tells of one command; the manual page, counterfoil(1), of all, with settings and files.
"""


class LazyGroup(click.RichGroup):
    """Knows its commands by name and one line of help; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, help_line = _COMMANDS[cmd_name]
        if ctx.meta.get(_LISTING):
            return click.RichCommand(name=cmd_name, help=help_line, short_help=help_line)
        return getattr(import_module(f"counterfoil.entrypoints.commands.{module}"), attribute)


def _show_help(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        # A command's one line is enough here: importing them all would take a second.
        ctx.meta[_LISTING] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    add_help_option=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option("-h", "--help", is_flag=True, is_eager=True, expose_value=False, callback=_show_help, help="Show this and exit.")
@click.version_option(__version__, prog_name="counterfoil")
@click.pass_context
def group(ctx: click.Context) -> None:
    """One-time passcodes for transactions: issued once, redeemed once.

    Begin with `counterfoil demo`, or with `counterfoil dev` and the lines that it prints.
    """
    if ctx.invoked_subcommand is None:
        _show_help(ctx, ctx.command.params[0], True)


def main() -> None:
    """Runs the command line and exits with its status. Only a command that says so ends with 0 or 1."""
    click_version.tell()
    try:
        status = group.main(prog_name="counterfoil", standalone_mode=False)
    except Exception as error:
        status = _told(error)
    sys.exit(status)


def _told(error: Exception) -> int:
    """Says what a command met, and gives the exit status."""
    # They bring the HTTP library with them, for which only what went wrong has a use.
    from counterfoil.entrypoints import exits
    from counterfoil.entrypoints.log_lines import told

    if isinstance(error, click.ClickException):
        error.show()
        return exits.INVALID
    if isinstance(error, click.Abort):
        # What was asked for may have happened: that is neither yes nor no.
        click.echo("counterfoil: interrupted", err=True)
        return exits.INTERRUPTED
    status, message = exits.status_of(error)
    if status is None:
        for line in told(error):
            click.echo(line, err=True)
        status, message = exits.FAILED, "met an unforeseen error; what was asked for may have happened"
    click.echo(f"counterfoil: {message}", err=True)
    return status
