"""The query parameters of the routes: what each is called, what it means, what it may be.

The table names those that a route takes; `core.server.routes.Call` reads them by that, and `core.server.openapi` tells
of them. So none can be read that is not told of, or be told of otherwise than it is read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from core.protocol import Explained
from core.server.fields import Key, Name, Text

PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter. `kind` is what its text is read as, with its bounds; `default` stands for one that is left out."""

    name: str
    meaning: str
    kind: Any = Key
    default: Any = ""
    required: bool = False

    @property
    def allowed(self) -> str:
        """What may stand there, in words."""
        if get_origin(self.kind) is Literal:
            return " or ".join(filter(None, get_args(self.kind)))
        kind, *bounds = get_args(self.kind) or (self.kind,)
        word = {int: "a whole number", float: "a number"}.get(kind, "text")
        ends = [f" from {each.ge} to {each.le}" for each in bounds if each.ge is not None]
        ends += [
            f" of at most {each.max_length} characters" for each in bounds if each.max_length is not None
        ]
        return word + "".join(ends)


WAIT = Query(
    name="wait",
    meaning="How many seconds to wait for something to tell: a minute at most, and below 0 is 0.",
    kind=float,
    default=25.0,
)
TICKET = (
    Query(name="instanceId", meaning="The instance that asks, as POST /v1/seats named it.", kind=Text),
    Query(
        name="accessTier",
        meaning="What the caller may have; only a service says that of a user. Empty is not said.",
        kind=Literal["", "full", "limited"],
    ),
    Query(name="email", meaning="The user's address; only a service says that of a user.", kind=Text),
)
FRAMES = (
    Query(
        name="after",
        meaning="The number of the last event that is known already. What is no number counts as 0.",
    ),
    WAIT,
)
CURRENT = (
    Query(name="run", meaning="The run that `after` is of; from its beginning when it is another by now."),
    *FRAMES,
)
SESSIONS = (
    Query(name="userId", meaning="Only this owner's; a user's token sees its own alone."),
    Query(name="after", meaning="The session key that the last page ended with."),
    Query(name="limit", meaning="How many at most.", kind=PageSize, default=100),
)
MESSAGES = (
    Query(name="before", meaning="Those before this number; 0 is as if left out.", kind=int, default=0),
    Query(
        name="after",
        meaning="Those after this number, from 0; not together with `before`.",
        kind=int,
        default=None,
    ),
    Query(name="limit", meaning="How many at most.", kind=PageSize, default=100),
)
SEARCH = (
    Query(name="q", meaning="The words, every one of which a message must hold."),
    Query(name="sessionKey", meaning="Only messages of this session."),
    Query(name="limit", meaning="How many at most.", kind=PageSize, default=20),
)
EVENTS = (
    Query(name="after", meaning="The cursor of a view or batch; empty is the oldest event that is kept."),
    WAIT,
    Query(
        name="limit",
        meaning="How many at most: 1 to 10,000, the nearest of which counts.",
        kind=int,
        default=1000,
    ),
)
AUDIT = (
    Query(name="before", meaning="Entries before this id; 0 is as if left out.", kind=int, default=0),
    Query(name="limit", meaning="How many at most.", kind=PageSize, default=100),
    Query(name="target", meaning="Only entries on this target."),
)
EXPLAIN = (
    Query(
        name="kind",
        meaning="What is to be explained: why a user waits, a session is on its model, live or gone, a run ended so.",
        kind=Explained,
        required=True,
    ),
    Query(name="key", meaning="The user's id, the session's key, or the run's id.", kind=Name, required=True),
)
