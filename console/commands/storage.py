"""``maitred backup`` and ``reindex``: what is stored, copied; and what is found in it, found anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import assert_never

import click
import msgspec

from console.commands.common import load_settings
from console.commands.progress import Progress, interruptible
from console.commands.way import Way, remote_core, way_to_a_core
from console.output import write_line


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--config", "config_file", type=click.Path(), help="The settings file to use.")
def backup(file: Path, config_file: str | None) -> None:
    """Copy the database into FILE, as it stands at one moment, while maitred works on or rests.

    FILE is a whole SQLite database, from PostgreSQL too: in an empty data folder, as maitred.db, maitred starts on it.
    """
    from core.settings import folders
    from core.store.backup import back_up

    storage = load_settings(config_file, with_keys=False).settings.storage
    with interruptible("nothing was left"), Progress("copying", "parts") as progress:
        made = back_up(storage.url, folders().data, file, progress.tell)
    write_line(msgspec.json.encode(made))


@click.command()
@click.argument("url", required=False)
@way_to_a_core
def reindex(url: str | None, way: Way) -> None:
    """Have a running core index every stored message anew; it works on meanwhile, and so do searches."""
    with interruptible("what was indexed stays; run it again"):
        asyncio.run(_reindex(url, way))


async def _reindex(url: str | None, way: Way) -> None:
    from core.errors import StorageFailed
    from core.protocol import Reindexed, ReindexFailed, ReindexProgress

    messages = 0
    core = remote_core(url, way)
    try:
        with Progress("indexing", "messages") as progress:
            async for part in core.reindex():
                match part:
                    case ReindexProgress(done=done, of=of):
                        progress.tell(done, of)
                    case ReindexFailed(message=message):
                        raise StorageFailed(message)
                    case Reindexed(messages=messages):
                        pass
                    case _ as never:
                        assert_never(never)
    finally:
        await core.aclose()
    write_line(msgspec.json.encode({"messages": messages}))
