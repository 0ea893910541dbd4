"""The history part: messages, configuration, search, transfer and audit, played on a real database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from core.clock import ManualClock
from core.settings import Settings
from core.store.audit import Audit
from core.store.configuration import Configuration
from core.store.database import Database
from core.store.history import History
from core.store.opening import backend_of
from core.store.search import Search
from core.store.transfer import Transfer


async def open_player(settings: Settings, clock: ManualClock, folder: Path) -> HistoryPlayer:
    """A player on an empty or used storage."""
    return HistoryPlayer(settings, clock, folder)


class HistoryPlayer:
    """Plays the operations of the history part; each `restart` is a new epoch."""

    def __init__(self, settings: Settings, clock: ManualClock, folder: Path) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = folder
        self._lives = 0
        self._open()

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """Carry out one operation and answer as the wire would."""
        operations = {
            "append": self._append,
            "list": self._list,
            "replace": self._replace,
            "clear": self._clear,
            "transfer": self._transfer,
            "setConfig": self._set_config,
            "getConfig": self._get_config,
            "deleteConfig": self._delete_config,
            "search": self._find,
            "reindex": self._reindex,
            "audit": self._entries,
            "restart": self._restart,
        }
        return await operations[op](args)

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.aclose()

    async def _append(self, args: dict[str, Any]) -> dict[str, Any]:
        seq = await self._history.append(
            args["sessionKey"], args["role"], args["content"], timestamp=args.get("timestamp")
        )
        return {"seq": seq}

    async def _list(self, args: dict[str, Any]) -> dict[str, Any]:
        page = await self._history.page(args["sessionKey"], args.get("before"), args.get("limit", 100))
        answer: dict[str, Any] = msgspec.to_builtins(page)
        return answer

    async def _replace(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"count": await self._history.replace(args["sessionKey"], args["messages"])}

    async def _clear(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"cleared": await self._history.clear(args["sessionKey"])}

    async def _transfer(self, args: dict[str, Any]) -> dict[str, Any]:
        count = await self._transfers.run(
            args["from"], args["to"], mode=args.get("mode", "copy"), with_config=args.get("withConfig", False)
        )
        return {"count": count}

    async def _set_config(self, args: dict[str, Any]) -> dict[str, Any]:
        await self._configuration.set(args["sessionKey"], args["key"], args["value"])
        return {}

    async def _get_config(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"value": await self._configuration.get(args["sessionKey"], args["key"])}

    async def _delete_config(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"deleted": await self._configuration.delete(args["sessionKey"], args["key"])}

    async def _find(self, args: dict[str, Any]) -> dict[str, Any]:
        hits = await self._search.search(
            args["query"], limit=args.get("limit", 20), session_key=args.get("sessionKey")
        )
        return {"hits": msgspec.to_builtins(hits)}

    async def _reindex(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"count": await self._search.reindex()}

    async def _entries(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"entries": msgspec.to_builtins(await self._audit.of_session(args["sessionKey"]))}

    async def _restart(self, _args: dict[str, Any]) -> dict[str, Any]:
        await self._database.aclose()
        self._open()
        return {}

    def _open(self) -> None:
        self._lives += 1
        epoch = f"life-{self._lives}"
        self._database = Database(backend_of(self._settings.storage.url, self._folder))
        self._history = History(self._database, self._clock, epoch)
        self._configuration = Configuration(self._database, self._clock, epoch)
        self._transfers = Transfer(self._database, self._clock, epoch)
        self._search = Search(self._database)
        self._audit = Audit(self._database)
