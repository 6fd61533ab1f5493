"""One line that says what is being waited for: after 0.1 s, for at least 1 s, and with no motion when nothing works."""

from __future__ import annotations

import time

from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from tui.widgets.glyphs import glyph, plain

DELAY_S = 0.1
AT_LEAST_S = 1.0
TICK_S = 0.25
FRAMES = "|/-\\"


class Working(Widget):
    """Blank at rest; while working the spinner, the text and the seconds; then the outcome."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.text = ""
        self.outcome: tuple[str, str] = ("", "")  # (sign, text)
        self.busy = False
        self._since = 0.0
        self._shown_at = 0.0
        self._frame = 0
        self._ticks: Timer | None = None
        self._delay: Timer | None = None

    def start(self, text: str) -> None:
        """Something is under way; the line appears if it takes longer than DELAY_S."""
        self.text, self.busy, self._since = text, True, time.monotonic()
        self._stop_timers()
        if self._shown_at:
            self._appear()
        else:
            self._delay = self.set_timer(DELAY_S, self._appear)

    def update(self, text: str) -> None:
        """The same work, another sentence."""
        self.text = text
        if self._shown_at:
            self.refresh()

    def finish(self, sign: str = "", text: str = "") -> None:
        """The work is over: show this outcome (a glyph's name, a sentence) once the line has stood for AT_LEAST_S."""
        if not self.busy:
            self.outcome = (sign, text)
            self.refresh()
            return
        self.busy = False
        self.outcome = (sign, text)
        self._stop_timers()
        shown = time.monotonic() - self._shown_at if self._shown_at else AT_LEAST_S
        if text or shown >= AT_LEAST_S:
            self._settle()
        else:
            self._delay = self.set_timer(AT_LEAST_S - shown, self._settle)

    def _appear(self) -> None:
        self._shown_at = self._shown_at or time.monotonic()
        self._ticks = self.set_interval(TICK_S, self._tick)
        self.refresh()

    def _tick(self) -> None:
        self._frame = (self._frame + 1) % len(FRAMES)
        self.refresh()

    def _settle(self) -> None:
        self._shown_at = 0.0
        self.refresh()

    def _stop_timers(self) -> None:
        for timer in (self._ticks, self._delay):
            if timer is not None:
                timer.stop()
        self._ticks = self._delay = None

    def render(self) -> Content:
        if self._shown_at:
            seconds = int(time.monotonic() - self._since)
            tail = f" {glyph('dot')} {seconds} s" if seconds and self.busy else ""
            return Content.assemble((FRAMES[self._frame] + " ", "$accent"), plain(self.text) + tail)
        sign, text = self.outcome
        if self.busy or not text:
            return Content("")
        return Content.assemble((glyph(sign) + " " if sign else "", TONES.get(sign, "")), plain(text))


TONES = {"ok": "$success", "warn": "$warning", "fail": "$error"}
