"""A model that needs no server: it says the last user message again, so that a first request has an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.agents.agent import AgentRequest
from core.agents.scripted import Report, Say, ScriptedAgent, Step, Wait
from core.clock import Clock
from core.store.prices import estimate

ECHO_MODEL = "maitred/echo"
_SILENCE = "There is no user message to repeat."
_PACE_SECONDS = 0.03
_MOST_PAUSES = 50
"""So that an answer, however long, takes at most a second and a half."""
_WORD = re.compile(r"\s*\S+|\s+\Z")


class Echo(ScriptedAgent):
    """Repeats the last user message word by word, with its usage estimated as for any other model."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("maitred", lambda request: list(_echoed(request)), clock)


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """What the user said last; of a message in parts, its texts. Empty when there is none."""
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            return content
        parts = content if isinstance(content, list) else []
        texts = [part.get("text") for part in parts if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def _echoed(request: AgentRequest) -> Iterator[Step]:
    text = last_user_text(request.messages) or _SILENCE
    words = _WORD.findall(text)
    # a client that takes the answer whole would only wait longer for it
    pauses = min(len(words) - 1, _MOST_PAUSES) if request.stream else 0
    for number, word in enumerate(words):
        if number and number * pauses // len(words) != (number - 1) * pauses // len(words):
            yield Wait(_PACE_SECONDS)
        yield Say(word)
    usage = estimate(request.messages, text)
    yield Report(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
