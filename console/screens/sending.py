"""The last step of an act: the command goes to its core, and what the console itself has to note of it is noted."""

from __future__ import annotations

from console.cores import Attached
from console.desk import Desk
from console.state import refuse_abort, send_abort
from core.protocol import AbortRun, AnyCommand, Outcome, Refused, target_of


async def carry_out(desk: Desk, command: AnyCommand, core: Attached, *, more: bool = False) -> Outcome:
    """Have the core carry it out; with `more` it is taken back together with the one before."""
    if isinstance(command, AbortRun):
        send_abort(core.state, command.run_id, core.now())
    pin = core.state.rows.pins.get(target_of(command))
    outcome = await desk.acting.perform(command, core.feed, pin=pin, more=more)
    if isinstance(outcome, Refused) and isinstance(command, AbortRun):
        refuse_abort(core.state, command.run_id)
    return outcome
