"""``maitred view``, ``watch`` and ``do``: a running core, from scripts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
import msgspec

from console.commands.way import Way, remote_core, way_to_a_core
from console.output import write_line

if TYPE_CHECKING:
    from core.protocol import AnyCommand

_BY_FIELD = {
    "abort": "runId",
    "evict": "sessionKey",
    "close": "sessionKey",
    "clear-dirty": "sessionKey",
    "unpin": "sessionKey",
    "reset-strikes": "sessionKey",
    "pin-model": "sessionKey",
    "admit": "userId",
    "end": "userId",
    "ban": "userId",
    "unban": "userId",
}
ACTIONS = (*_BY_FIELD, "dirty", "pause", "resume")


@click.command()
@click.argument("url", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document (this is also the default).")
@way_to_a_core
def view(url: str | None, as_json: bool, way: Way) -> None:
    """Write one view of a core to standard output, as JSON."""
    asyncio.run(_view(url, way))


async def _view(url: str | None, way: Way) -> None:
    from core.protocol import ViewHead, ViewRows, ViewTail

    core = remote_core(url, way)
    whole: dict[str, Any] = {}
    rows: list[Any] = []
    try:
        async for part in core.view():
            match part:
                case ViewHead():
                    whole = msgspec.to_builtins(part)
                    whole.pop("part")
                case ViewRows():
                    rows.extend(part.rows)
                case ViewTail(cursor=cursor):
                    whole |= {"cursor": cursor, "rows": rows}
    finally:
        await core.aclose()
    write_line(msgspec.json.encode(whole))


@click.command()
@click.argument("url", required=False)
@click.option("--jsonl", is_flag=True, help="One JSON object a line (this is also the default).")
@click.option(
    "--new", is_flag=True, help="Only what comes from now on; else first what the journal still holds."
)
@way_to_a_core
def watch(url: str | None, jsonl: bool, new: bool, way: Way) -> None:
    """Write the journal of a core to standard output, line by line, until it ends or ctrl+c."""
    with contextlib.suppress(KeyboardInterrupt):  # ctrl+c is how watching ends
        asyncio.run(_watch(url, new, way))


async def _watch(url: str | None, new: bool, way: Way) -> None:
    from core.errors import CoreUnreachable, ShuttingDown

    core = remote_core(url, way)
    cursor = ""
    try:
        if new:
            # a cursor that nobody gave out is answered with a gap, and with where the journal stands
            cursor = (await core.events("now", wait=0)).cursor
        while True:
            batch = await core.events(cursor)
            if batch.gap:
                click.echo("maitred: events are missing here: the journal has moved past them", err=True)
            for event in batch.events:
                if not write_line(msgspec.json.encode(event)):
                    return
            cursor = batch.cursor
    except ShuttingDown as error:
        # whether it is leaving or has left: to whoever watches it is gone
        raise CoreUnreachable(f"{core.url}: {error.message}") from error
    finally:
        await core.aclose()


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("target")
@click.argument("url", required=False)
@click.option("--reason", default="", help="Why; it is kept in the audit.")
@click.option("--generation", type=int, help="Only this generation of a session.")
@click.option("--model", help="The model of pin-model.")
@click.pass_context
@way_to_a_core
def do(
    context: click.Context,
    action: str,
    target: str,
    url: str | None,
    reason: str,
    generation: int | None,
    model: str | None,
    way: Way,
) -> None:
    """Carry out one operator command: the same rules, the same audit as in the console.

    TARGET is a run id (abort), a session key (evict, close, dirty, clear-dirty, unpin, reset-strikes, pin-model), a
    user id (admit, end, ban, unban), or a model (pause, resume). dirty also takes project:NAME; dirty, pause and
    resume take all.
    """
    command = _command(action, target, reason, generation, model)
    context.exit(asyncio.run(_do(command, url, way)))


def _command(
    action: str, target: str, reason: str, generation: int | None, model: str | None = None
) -> AnyCommand:
    from core.protocol import AnyCommand

    if not target.removeprefix("project:"):
        # a script's variable that happens to be empty must never reach further than a named target
        raise click.UsageError("TARGET is empty; name what to act on")
    if (model is not None) != (action == "pin-model"):
        raise click.UsageError("--model NAME belongs to pin-model, which needs it")
    fields: dict[str, Any] = {"action": action, "commandId": str(uuid4()), "reason": reason}
    if action in _BY_FIELD:
        fields[_BY_FIELD[action]] = target
        if model is not None:
            fields["model"] = model
    elif action == "dirty":
        if target == "all":
            fields["all"] = True
        elif target.startswith("project:"):
            fields["project"] = target.removeprefix("project:")
        else:
            fields["sessionKey"] = target
    elif target != "all":
        fields["model"] = target
    if generation is not None:
        fields["generation"] = generation
    command: AnyCommand = msgspec.convert(fields, AnyCommand)
    return command


async def _do(command: AnyCommand, url: str | None, way: Way) -> int:
    from core.protocol import Done

    core = remote_core(url, way)
    try:
        outcome = await core.execute(command)
    finally:
        await core.aclose()
    write_line(msgspec.json.encode(outcome))
    return 0 if isinstance(outcome, Done) else 1
