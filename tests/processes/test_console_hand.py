"""The hand on a real terminal: filter, sort, mark, bulk abort, cancel, undo, freeze, palette; on a link that is cut."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import msgspec
import pytest

from core.protocol import AbortRun
from tests.end_to_end.proxy import Proxy
from tests.processes.processes import PATIENCE, House, Serving
from tests.processes.terminal import Terminal
from tests.processes.test_console_process import CTRL_Q, ENDLESS, ENTER, ESCAPE, body, is_cut_off

_SIZES = {"80x24": (80, 24), "160x50": (160, 50)}


@contextlib.contextmanager
def proxied(url: str) -> Iterator[Link]:
    """A proxy before a server, on a loop of its own."""
    link = Link(url)
    thread = threading.Thread(target=link.run, daemon=True)
    thread.start()
    try:
        assert link.ready.wait(PATIENCE)
        yield link
    finally:
        link.end()
        thread.join(PATIENCE)


class Link:
    """The way to a core, which is cut and mended from another thread."""

    def __init__(self, url: str) -> None:
        self.ready = threading.Event()
        self._proxy = Proxy(url, random.Random(1))
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()

    @property
    def url(self) -> str:
        return self._proxy.url

    def run(self) -> None:
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        async with self._proxy.running():
            self.ready.set()
            await self._over.wait()

    def cut(self) -> None:
        """Connections end, and new ones are taken by nobody."""
        self._loop.call_soon_threadsafe(self._break)

    def _break(self) -> None:
        self._proxy.half_open = True
        self._proxy.break_off()

    def mend(self) -> None:
        """As before."""

        def again() -> None:
            self._proxy.half_open = False
            self._proxy.break_off()

        self._loop.call_soon_threadsafe(again)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)


@contextlib.contextmanager
def turns(serving: Serving, *sessions: str) -> Iterator[dict[str, Future[bytes]]]:
    """Endless turns, each with what will have come of it; those that are left are aborted in the end."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(sessions)))
        reading = {}
        for session in sessions:
            http = stack.enter_context(serving.http(token=None, timeout=120))
            response: httpx.Response = stack.enter_context(
                http.stream(
                    "POST",
                    "/v1/chat/completions",
                    json=body(ENDLESS, stream=True),
                    headers={"x-session-id": session, "x-user-id": session},
                )
            )
            assert response.status_code == 200
            reading[session] = pool.submit(response.read)
        try:
            yield reading
        finally:
            with serving.http() as http:
                for row in serving.view():
                    if row["row"] == "run" and row["state"] == "running":
                        abort = AbortRun(command_id=row["runId"], run_id=row["runId"])
                        http.post("/v1/commands", json=msgspec.to_builtins(abort)).raise_for_status()


def rows(text: str, *sessions: str) -> list[str]:
    """Which of the sessions stand in the table, from the top; below it is the journal."""
    text = text.partition("TIME▾")[0]
    places = {session: text.find(f"api:{session}/") for session in sessions}
    return sorted((session for session in sessions if places[session] >= 0), key=lambda each: places[each])


@pytest.mark.parametrize("size", _SIZES)
def test_the_hand(house: House, size: str) -> None:
    with contextlib.ExitStack() as stack:
        serving = stack.enter_context(house.serve())
        with serving.http(token=None) as http:
            for session in ("done1", "done2"):
                headers = {"x-session-id": session, "x-user-id": session}
                http.post("/v1/chat/completions", json=body("echo", stream=False), headers=headers)
        running = stack.enter_context(turns(serving, "amy", "bea", "cyd"))
        link = stack.enter_context(proxied(serving.url))
        command = house.command("attach", link.url)
        console = stack.enter_context(Terminal(command, house, size=_SIZES[size]))
        everybody = ("amy", "bea", "cyd", "done1", "done2")
        console.until(lambda text: len(rows(text, *everybody)) == 5, "all runs")

        # filter, and sort what it shows
        console.press("/state:running" + ENTER)
        console.until(lambda text: rows(text, "done1", "done2") == [], "filter")
        console.press("s")
        console.shows("SESSION▴")
        console.until(lambda text: rows(text, *everybody) == ["amy", "bea", "cyd"], "order")
        console.press("o")
        console.until(lambda text: rows(text, *everybody) == ["cyd", "bea", "amy"], "the other order")

        # mark two, act, and think better of it
        console.press("\x1b[H" + "  ")
        console.shows("▪ 2 marked")
        console.press("X")
        console.shows("Abort 2 runs?")
        console.press(ESCAPE)
        console.until(lambda text: "the marks are still there" in text, "what was not done")
        assert not any(each.done() for each in running.values())

        # the link is cut: the rows stay, and nothing is sent
        link.cut()
        console.until(lambda text: "● live" not in text, "lost link", seconds=30)
        assert rows(console.text(), *everybody) == ["cyd", "bea", "amy"]
        console.press("X")
        console.shows("not sent: the link")
        link.mend()
        console.shows("● live", seconds=60)
        console.shows("▪ 2 marked")

        # now it goes through, for these two and no other
        console.press("X")
        console.shows("type 2 to go on")
        console.press("2" + ENTER)
        for session in ("cyd", "bea"):
            assert is_cut_off(running[session].result(PATIENCE))
        console.until(lambda text: rows(text, *everybody) == ["amy"], "who is left")
        assert not running["amy"].done()

        # freeze: what happens is counted, and shown when it is over
        console.press(ESCAPE)
        console.until(lambda text: len(rows(text, *everybody)) == 5, "all again")
        console.press("f")
        console.shows("‖ frozen")
        with serving.http(token=None) as http:
            headers = {"x-session-id": "late", "x-user-id": "late"}
            http.post("/v1/chat/completions", json=body("echo", stream=False), headers=headers)
        console.until(lambda text: "changed" in text and "0 changed" not in text, "count of changes")
        assert rows(console.text(), "late") == []
        console.press("f")
        console.until(lambda text: rows(text, "late") == ["late"], "what came meanwhile")

        # the palette leads to a session; a mark is made there and taken back
        console.press(":late")
        console.shows(": late")
        console.until(lambda text: "session" in text and "api:late/" in text, "what the palette found")
        console.press(ESCAPE)
        console.until(lambda text: ": late" not in text, "the panes again")
        console.press("3/late" + ENTER)
        console.shows("▸3")
        console.until(lambda text: rows(text, *everybody, "late") == ["late"], "one session")
        console.press("Do")
        console.until(lambda text: "◆" in text, "mark")
        console.press("Z")
        console.until(lambda text: "◆" not in text, "mark taken back")
        console.press(":journal" + ENTER)
        console.shows("▸6")

        console.press(CTRL_Q)
        assert console.finish() == 0
        console.check_given_back()
        acts = house.query("SELECT action, outcome FROM audit WHERE action NOT IN ('created', 'resumed')")
        wanted = [("abort", "done"), ("abort", "done"), ("dirty", "done"), ("clear-dirty", "done")]
        assert sorted(acts) == sorted(wanted)
