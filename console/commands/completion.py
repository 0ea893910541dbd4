"""``maitred completion``: what a shell must be told, so that the tab key knows commands, options and actions."""

from __future__ import annotations

import click

from console.output import write_line

NAME = "maitred"
_VARIABLE = "_MAITRED_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write the completion of a shell to standard output.

    bash: eval "$(maitred completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc; fish: maitred completion
    fish > ~/.config/fish/completions/maitred.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    source = kind(context.find_root().command, {}, NAME, _VARIABLE).source()
    write_line(source.rstrip("\n").encode())
