"""The commands of the command line; each imports what it needs when it runs, so that the others start fast."""

from __future__ import annotations

import sys

import click

from console.commands.completion import NAME, completion
from console.commands.doctor import doctor
from console.commands.history import export, import_
from console.commands.init import init
from console.commands.live import attach, open_console
from console.commands.paper import config, info
from console.commands.sandbox import play, sandbox
from console.commands.script import do, view, watch
from console.commands.serve import serve
from console.commands.storage import backup, reindex
from console.commands.token import token
from core.errors import CoreUnreachable, MaitredError


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="maitred", message="maitred %(version)s")
@click.option("--config", "config_file", type=click.Path(), help="The settings file to use.")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0 takes any free one.")
@click.pass_context
def cli(context: click.Context, config_file: str | None, host: str | None, port: int | None) -> None:
    """The front of house for LLM-agent sessions.

    Without a command: the console over an embedded core, which also listens on 127.0.0.1:8484 for real clients.
    """
    if context.invoked_subcommand is None:
        ended = open_console(config_file, host, port)
        context.exit(play(config_file=config_file) if ended.play else ended.code)


for command in (
    *(sandbox, serve, attach, view, watch, do),
    *(export, import_, backup, reindex),
    *(init, doctor, info, config, token, completion),
):
    cli.add_command(command)


def run() -> None:
    """Run the command line with the exit codes of the house: 0 done, 1 refused or failed, 2 usage, 3 unreachable."""
    try:
        sys.exit(cli(prog_name=NAME, standalone_mode=False) or 0)
    except CoreUnreachable as error:
        _tell(error)
        sys.exit(3)
    except MaitredError as error:
        _tell(error)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(1)
    except OSError as error:
        click.echo(f"maitred: {error.filename or 'standard output'}: {error.strerror or error}", err=True)
        sys.exit(1)


def _tell(error: MaitredError) -> None:
    click.echo(f"maitred: {error.message}", err=True)
