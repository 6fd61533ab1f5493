"""The rail on the left: one row a step, in order, with a truthful state; it is the index too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.i18n import N_
from tui.widgets.glyphs import fit, glyph


@dataclass(frozen=True)
class Row:
    """One row: the step's key, its number in the tutorial, its titles, and its state as sign, word and style class."""

    key: str
    number: str
    title: str
    short: str
    sign: str
    word: str
    tone: str  # "ok", "warn", "fail", "quiet" or "plain"


class StepRail(Widget, can_focus=True):
    """The list of steps. Narrow it shows signs and short names; wide also the numbers and words."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "step-rail--current",
        "step-rail--cursor",
        "step-rail--quiet",
        "step-rail--plain",
        "step-rail--ok",
        "step-rail--warn",
        "step-rail--fail",
        "step-rail--line",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "open", N_("Open"), tooltip=N_("Open the step under the cursor")),
    ]
    HELP = N_(
        "## The steps\n\nOne row for each step, numbered as in the tutorial. The sign before it says how far it is:"
        " √ done, ‼ changed since, × failed, – skipped, … comes in a later version."
    )

    cursor = reactive(0, repaint=False)

    class Opened(Message):
        """The person wants to go to this step."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, current: str) -> None:
        super().__init__()
        self.current = current
        self.rows: tuple[Row, ...] = ()

    def show(self, rows: tuple[Row, ...]) -> None:
        """Show these rows; only those that differ are painted again."""
        old, self.rows = self.rows, rows
        if len(old) != len(rows):
            self.set_reactive(StepRail.cursor, self._index(self.current))
            self.refresh()
            return
        for index, (before, after) in enumerate(zip(old, rows, strict=True)):
            if before != after:
                self._repaint(index)

    def _index(self, key: str) -> int:
        return next((index for index, row in enumerate(self.rows) if row.key == key), 0)

    def _repaint(self, index: int) -> None:
        self.refresh(Region(0, index, self.size.width, 1))

    def watch_cursor(self, old: int, new: int) -> None:
        if self.is_mounted:
            self._repaint(old)
            self._repaint(new)

    def action_move(self, by: int) -> None:
        if self.rows:
            self.cursor = max(0, min(len(self.rows) - 1, self.cursor + by))

    def action_open(self) -> None:
        if self.rows:
            self.post_message(self.Opened(self.rows[self.cursor].key))

    def on_focus(self) -> None:
        self._repaint(self.cursor)

    def on_blur(self) -> None:
        self.cursor = self._index(self.current)
        self._repaint(self.cursor)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = Segment(glyph("bar"), self.get_component_rich_style("step-rail--line"))
        if y >= len(self.rows):
            return Strip([Segment(" " * (width - 1), self.rich_style), line], width)
        row = self.rows[y]
        name = "plain" if row.key == self.current else row.tone
        style = self.get_component_rich_style(f"step-rail--{'quiet' if name == 'quiet' else 'plain'}")
        sign_style = self.get_component_rich_style(f"step-rail--{row.tone}")
        if row.key == self.current:
            style = self.get_component_rich_style("step-rail--current")
            sign_style = style
        if self.has_focus and y == self.cursor:
            style = sign_style = self.get_component_rich_style("step-rail--cursor")
        mark = glyph("pointer") if row.key == self.current else " "
        sign = fit(row.sign, 2)
        room = width - cell_len(mark) - cell_len(sign) - 2
        if width < 24:
            text = fit(row.short, room)
        elif width < 34:
            text = fit(f"{row.number:<5} {row.title}" if row.number else f"      {row.title}", room)
        else:
            word = row.word[: room // 2]
            gap = room - cell_len(word) - 1
            text = fit(f"{row.number:<5} {row.title}" if row.number else f"      {row.title}", gap) + " " + word
            text = fit(text, room)
        return Strip(
            [Segment(mark, style), Segment(sign, sign_style), Segment(text + " ", style), line],
            width,
        )
