"""Makes the pictures of the README: the real console over a real core, asked by real clients.

python -m tests.screenshots
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import httpx

from console.app import ConsoleApp
from core.embedded import EmbeddedCore
from core.server.listener import bind
from core.settings import Admission, Folders, Loaded, Model, Server, Settings, Upstream
from tests.upstream.server import Upstream as ModelServer

TARGET = Path(__file__).parent.parent / "screenshots"
SIZE = (120, 34)

MODELS = [
    Model(id="echo", name="Small", tier="SIMPLE", input_usd_per_million=150.0, output_usd_per_million=600.0),
    Model(
        id="count-400",
        name="Medium",
        tier="MEDIUM",
        input_usd_per_million=800.0,
        output_usd_per_million=2400.0,
    ),
    Model(
        id="slow-between?s=0.05", name="Large", tier="COMPLEX", premium=True, output_usd_per_million=9000.0
    ),
]
WORK = [
    # user, project, model, what is asked, how often
    ("ann", "billing", "echo", "which invoices of March are open", 1),
    ("ben", "billing", "count-400", "list the customers without an address", 1),
    ("cleo", "search", "echo", "fix the failing test", 2),
    ("dana", "search", "status-500", "summarise the incident of last night", 1),
    ("eli", "", "broken-mid", "translate the release notes", 1),
]
RUNNING = [
    ("fay", "billing", "explain the ledger"),
    ("gus", "search", "rewrite the tokenizer in small steps"),
]


async def ask(http: httpx.AsyncClient, user: str, project: str, model: str, text: str) -> None:
    """One streamed chat completion; however it ends."""
    with contextlib.suppress(httpx.HTTPError):
        await http.post(
            "/v1/chat/completions",
            json={"model": model, "stream": True, "messages": [{"role": "user", "content": text}]},
            headers={"x-user-id": user, "x-project": project, "x-session-id": f"{user}-1"},
        )


async def pictures(folder: Path, upstream: ModelServer) -> None:
    """Open the house, let people work in it, and take the pictures."""
    settings = Settings(
        server=Server(port=0),
        admission=Admission(models=MODELS, fallback_model="echo"),
        upstreams=[Upstream(name="models", base_url=upstream.base_url)],
    )
    folders = Folders(config=folder, data=folder, state=folder, log=folder)
    loaded = Loaded(settings=settings, origins={}, path=folder / "maitred.toml", api_keys={})
    with contextlib.closing(bind(settings.server)) as listener:
        core = await EmbeddedCore.start(loaded, folders, listener=listener, actor="operator")
        async with httpx.AsyncClient(base_url=str(core.url), trust_env=False, timeout=60) as http:
            app = ConsoleApp(core, title="maitred 127.0.0.1:8484")
            async with app.run_test(size=SIZE) as pilot:
                for user, project, model, text, times in WORK:
                    for _ in range(times):
                        await ask(http, user, project, model, text)
                slow = "slow-between?s=0.05"
                running = [
                    asyncio.create_task(ask(http, user, project, slow, f"{text} " * 200))
                    for user, project, text in RUNNING
                ]
                await pilot.pause(3.5)
                save(app, "runs")
                await pilot.press("3")
                await pilot.pause(0.5)
                save(app, "sessions")
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await core.aclose()


def save(app: ConsoleApp, name: str) -> None:
    """Write what the console shows."""
    TARGET.mkdir(exist_ok=True)
    (TARGET / f"{name}.svg").write_text(app.export_screenshot(title="maitred"), encoding="utf-8")


def main() -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as folder, ModelServer() as upstream:
        asyncio.run(pictures(Path(folder), upstream))


if __name__ == "__main__":
    main()
