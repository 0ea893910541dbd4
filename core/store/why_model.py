"""Why a session is on its model, from its pin. Pure. behaviours/pins.md, decisions 2 to 6."""

from __future__ import annotations

from core.protocol import Because, Explanation, PinRow


def why_model(pin: PinRow) -> Explanation:
    """The rules behind a session's model, the one that decided first."""
    because = [_decided(pin)]
    if not pin.explicit:
        because.append(_strikes(pin))
    return Explanation(
        kind="session",
        key=pin.session_key,
        summary=f"{pin.session_key} is on {pin.model} ({pin.tier}): {because[0].text}",
        because=because,
    )


def _decided(pin: PinRow) -> Because:
    facts = {"model": pin.model, "tier": pin.tier, "requests": str(pin.request_count)}
    if pin.explicit:
        return Because(
            rule="explicit",
            text="a request named this model, and nothing but another name or a release changes that",
            facts=facts,
            helps="naming another model, or releasing the pin",
        )
    if pin.escalated:
        return Because(
            rule="escalated",
            text=f"{pin.repeat_limit} equal requests in a row lifted it to a higher tier",
            facts=facts,
            helps="releasing the pin, or letting it expire",
        )
    return Because(
        rule="pinned",
        text="it was chosen with the first request, and the session stays on it",
        facts=facts,
        helps="equal requests in a row, naming a model, or releasing the pin",
    )


def _strikes(pin: PinRow) -> Because:
    left = pin.repeat_limit - pin.run
    if left > 0:
        text = (
            f"{left} more equal requests in a row would lift it"
            if left > 1
            else "the next equal request lifts it"
        )
    else:
        text = "its requests go on being equal"
    return Because(
        rule="strikes",
        text=text,
        facts={
            "equalInARow": str(pin.run),
            "repeatLimit": str(pin.repeat_limit),
            "strikes": str(pin.strikes),
        },
        helps="a request that differs forgives; an operator resets",
    )
