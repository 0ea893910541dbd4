"""Why it is so: the core's explanation of a seat or a session, as a page that scrolls."""

from __future__ import annotations

import logging

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from console import units
from console.background import in_background
from console.cores import Attached
from console.desk import Desk
from console.panes.pane import Tone
from console.screens.closing import ClosesOnce
from console.widgets.log import Log, Paragraph
from core.errors import MaitredError
from core.protocol import Explained, Explanation, Origin

log = logging.getLogger(__name__)

_HEAD_CELLS = 15


class WhyScreen(ClosesOnce[None], ModalScreen[None]):
    """Asks the core when it opens; any of the keys that leave closes it."""

    CSS = """
    WhyScreen { align: center middle; background: $background 60%; }
    WhyScreen Log { width: 84; max-width: 96%; height: 70%; background: $panel; padding: 1 1; }
    """

    def __init__(self, desk: Desk, core: Attached, kind: Explained, key: str) -> None:
        super().__init__()
        self._core = core
        self._kind: Explained = kind
        self._key = key
        self._page = Log(desk.looks)

    def compose(self) -> ComposeResult:
        self._page.put([Paragraph("", f"asking why, for {self._key} …", "dim")], from_top=True)
        yield self._page

    def on_mount(self) -> None:
        """The page takes the keys that move; what it says comes when the core has answered."""
        self._page.focus()
        in_background(self, self._ask, "ask", alone=True)

    async def _ask(self) -> None:
        core = self._core.feed.core
        try:
            if core is None:
                shown = [Paragraph("", "not asked: there is no core yet", "warn")]
            else:
                shown = paragraphs(await core.explain(self._kind, self._key))
        except MaitredError as error:
            shown = [Paragraph("", f"cannot be told: {error.message}", "warn")]
        except Exception as error:
            log.exception("asking why failed")
            shown = [Paragraph("", f"cannot be told: {type(error).__name__}: {error}", "warn")]
        self._page.put(shown, from_top=True)

    def on_key(self, event: events.Key) -> None:
        """Escape, q, enter and i close."""
        if event.key in ("escape", "q", "enter", "i"):
            event.stop()
            _ = self.dismiss(None)


def paragraphs(told: Explanation) -> list[Paragraph]:
    """The explanation: what is so, then each rule with its figures and what would change it, then who is ahead."""
    shown = [Paragraph("", told.summary, "strong"), Paragraph("", "esc closes this", "dim")]
    for because in told.because:
        shown += [Paragraph("", ""), _line(because.rule.replace("_", " "), because.text, "accent")]
        figures = ", ".join(f"{name} {value}" for name, value in because.facts.items())
        if figures:
            shown.append(_line("by", figures))
        if because.helps:
            shown.append(_line("changed by", because.helps))
    if told.ahead_count:
        shown += [Paragraph("", ""), _line("ahead", f"{units.count(told.ahead_count)} in all", "accent")]
        shown += [_line(f"{place:>4}", user) for place, user in enumerate(told.ahead, 1)]
        left = told.ahead_count - len(told.ahead)
        if left > 0:
            shown.append(_line("", f"and {units.count(left)} more", "dim"))
    if told.origin is not None:
        shown += [Paragraph("", ""), *_origin(told.origin)]
    return shown


def _origin(origin: Origin) -> list[Paragraph]:
    """Where the request came from, and how many seats are held from there."""
    told = [origin.country_code or "an unknown country"]
    if origin.block_reason:
        told.append(f"blocked: {origin.block_reason}")
    if origin.privacy_signals:
        told.append(f"signals: {', '.join(origin.privacy_signals)}")
    shown = [_line("comes from", "; ".join(told), "accent")]
    if origin.address_hash:
        cap = f" of at most {units.count(origin.address_cap)}" if origin.address_cap else ""
        shown.append(_line("address", origin.address_hash))
        shown.append(_line("seats there", f"{units.count(origin.seats_there)}{cap}"))
    if origin.checked_at:
        shown.append(_line("checked", origin.checked_at))
    return shown


def _line(head: str, text: str, tone: Tone = "") -> Paragraph:
    return Paragraph(f"{head:<{_HEAD_CELLS}.{_HEAD_CELLS}} ", text, tone)
