"""``maitred export`` and ``import``: the history of a session as a file, and a file as the history of a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from console.commands.progress import Progress, interruptible
from console.commands.way import Way, remote_core, way_to_a_core
from console.output import write_line

if TYPE_CHECKING:
    from console.commands.transcript import Checked, Growing, Head, Place, Transcript
    from core.protocol import Message, SessionDetail
    from core.remote import RemoteCore

_PAGE = 500
"""Messages that are asked for, or sent, at once."""
_PART_BYTES = 4 * 2**20
"""A part that is sent ends with the message that reaches so many bytes."""


@click.command()
@click.argument("key")
@click.argument("url", required=False)
@click.option(
    "--output", type=click.Path(path_type=Path), help="The file to make; else standard output is written to."
)
@way_to_a_core
def export(key: str, url: str | None, output: Path | None, way: Way) -> None:
    """Write the history of session KEY as JSON Lines: a head, then a message a line.

    An export into a file that is interrupted goes on where it stopped when the same command is run again.
    """
    with interruptible("the same command goes on from here" if output else "what was written is not whole"):
        asyncio.run(_export(key, url, output, way))


async def _export(key: str, url: str | None, output: Path | None, way: Way) -> None:
    from console.commands.transcript import Growing

    core = remote_core(url, way)
    try:
        detail = await core.session(key)
        if output is None:
            await _print(core, detail)
        else:
            with closing(Growing(output)) as file:
                await _save(core, detail, file)
    finally:
        await core.aclose()


async def _print(core: RemoteCore, detail: SessionDetail) -> None:
    from console.commands.transcript import changed_meanwhile
    from core.store.lines import line_of_message

    written = 0
    if not write_line(_head(detail).line()[:-1]):
        return
    with Progress("exporting", "messages") as progress:
        async for page in _pages(core, detail.session_key, 0, detail.next_seq):
            written += len(page)
            if not write_line(b"".join(map(line_of_message, page))[:-1]):
                return
            progress.tell(written, detail.messages)
    if written != detail.messages:
        raise changed_meanwhile(detail.messages, written)


async def _save(core: RemoteCore, detail: SessionDetail, file: Growing) -> None:
    from core.store.lines import line_of_message

    place = file.left(detail.session_key)
    if place is not None and await _is_still_so(core, place):
        file.go_on(place)
        click.echo(f"maitred: going on after {place.written:,} messages that are there", err=True)
    else:
        place = file.begin(_head(detail), detail.next_seq)
    with Progress("exporting", "messages") as progress:
        async for page in _pages(core, detail.session_key, place.seq, place.until):
            place = file.add(place, [line_of_message(message) for message in page], page[-1].seq)
            progress.tell(place.written, place.head.messages)
    file.finish(place)
    write_line(
        msgspec.json.encode({"file": str(file.target), "messages": place.written, "bytes": place.bytes})
    )


async def _is_still_so(core: RemoteCore, place: Place) -> bool:
    """Whether what an earlier export has written last is what stands there: it was this core, and this history."""
    from core.store.lines import line_of_message

    page = await core.history(place.head.session_key, after=place.seq - 1, limit=1)
    return any(line_of_message(message) == place.last.encode() for message in page.messages)


def _head(detail: SessionDetail) -> Head:
    from console.commands.transcript import VERSION, Head

    return Head(
        maitred_session=VERSION,
        session_key=detail.session_key,
        owner=detail.owner,
        messages=detail.messages,
    )


async def _pages(core: RemoteCore, key: str, after: int, until: int) -> AsyncIterator[list[Message]]:
    """The messages with numbers above `after` and below `until`, oldest first."""
    following: int | None = after
    while following is not None:
        page = await core.history(key, after=following, limit=_PAGE)
        wanted = [message for message in page.messages if message.seq < until]
        if wanted:
            yield wanted
        following = page.after if len(wanted) == len(page.messages) else None


@click.command("import")
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("url", required=False)
@click.option("--replace", is_flag=True, help="Also where the session has messages already, which are lost.")
@click.option("--user", help="Whose the session becomes, where nobody has it; else who had the exported one.")
@way_to_a_core
def import_(key: str, file: Path, url: str | None, replace: bool, user: str | None, way: Way) -> None:
    """Make the messages of FILE the history of session KEY: all of them, or none.

    FILE is what `maitred export` wrote, or JSON Lines with a message each: {"role": "user", "content": "..."}, a
    timestamp where it is known. It is checked before anything is sent. An import that is interrupted goes on where it
    stopped when the same command is run again.
    """
    from console.commands.transcript import Transcript

    with (
        interruptible("the history is as it was; the same command goes on from here"),
        closing(Transcript(file)) as transcript,
    ):
        checked = _check(transcript)
        asyncio.run(_import(key, transcript, checked, url, replace, user, way))


def _check(transcript: Transcript) -> Checked:
    with Progress("checking", "bytes") as progress:
        for so_far in transcript.check():
            if not isinstance(so_far, int):
                return so_far
            progress.tell(so_far, transcript.bytes)
    raise AssertionError("a check ends with what it found")


async def _import(
    key: str,
    transcript: Transcript,
    checked: Checked,
    url: str | None,
    replace: bool,
    user: str | None,
    way: Way,
) -> None:
    from core.errors import Conflict

    core = remote_core(url, way)
    try:
        there = await _messages_of(core, key)
        if there and not replace:
            raise Conflict(
                f"session {key!r} has {there:,} messages; --replace puts those of the file in their place"
            )
        head = checked.head
        if user is None and head is not None and head.session_key == key:
            user = head.owner
        begun = await core.begin_import(key, checked.digest, checked.messages, user)
        if begun.staged:
            click.echo(f"maitred: going on after {begun.staged:,} messages that are there", err=True)
        with Progress("sending", "messages") as progress:
            staged = begun.staged
            for part in _parts(transcript.lines(staged)):
                staged = (await core.stage(begun.import_id, staged, part)).staged
                progress.tell(staged, checked.messages)
        imported = await core.complete_import(begun.import_id)
    finally:
        await core.aclose()
    write_line(msgspec.json.encode(imported))


async def _messages_of(core: RemoteCore, key: str) -> int:
    from core.errors import SessionNotFound

    try:
        return (await core.session(key)).messages
    except SessionNotFound:
        return 0


def _parts(lines: Iterator[bytes]) -> Iterator[list[msgspec.Raw]]:
    part: list[msgspec.Raw] = []
    size = 0
    for line in lines:
        part.append(msgspec.Raw(line))
        size += len(line)
        if len(part) == _PAGE or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
