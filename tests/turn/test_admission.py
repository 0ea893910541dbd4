"""What admission refuses, as an OpenAI client sees it."""

from __future__ import annotations

from typing import Any

import pytest

from core.settings import Admission, Model
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_chat import HELLO
from tests.upstream.server import Upstream


async def ask(house: House, model: str, user: str = "ann", stream: bool = False, **headers: str) -> Any:
    async with house.http(timeout=10) as http:
        return await http.post(
            "/v1/chat/completions",
            json={"model": model, "messages": HELLO, "user": user, "stream": stream},
            headers=headers,
        )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_says_whether_to_try_again(
    open_house: Opening, upstream: Upstream, stream: bool
) -> None:
    models = [
        Model(id="echo", instant_admit_capacity=0, max_active=1),
        Model(id="count-3", companions=["count-4"]),
        Model(id="count-4", instant_admit_capacity=0),
    ]
    async with open_house(admission=Admission(models=models, tick_seconds=3600)) as house:
        room = house.core.waiting_room
        await room.ban("bad", actor="me", reason="r")

        def told(answer: Any) -> tuple[int, str, bool, bool]:
            error = answer.json()["error"]
            assert error["message"]
            return (
                answer.status_code,
                error["code"],
                answer.headers.get("x-should-retry") == "false",
                "retry-after-ms" in answer.headers,
            )

        assert told(await ask(house, "echo", "bad", stream)) == (403, "banned", True, False)
        assert told(await ask(house, "echo", stream=stream)) == (429, "waiting_room_queued", False, True)
        assert told(await ask(house, "nope", "bob", stream=stream)) == (400, "model_unknown", True, False)
        assert told(await ask(house, "echo", "eve", stream, **{"x-instance-id": "i"})) == (
            428,
            "waiting_room_required",
            True,
            False,
        )
        assert upstream.requests == []
        assert (await ask(house, "count-3", "bob", stream)).status_code == 200
        assert (await ask(house, "count-4", "bob", stream)).status_code == 200, "a companion"
        assert told(await ask(house, "count-3", "bob", stream, **{"x-instance-id": "other"})) == (
            409,
            "session_superseded",
            True,
            False,
        )
        assert list(room.seat_rows())
        assert not [run for run in house.core.runs.rows() if run.user_id != "bob"]
