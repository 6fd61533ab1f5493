"""A short list of which exactly one is chosen: the row under the cursor is the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.glyphs import fit, glyph, plain


@dataclass(frozen=True)
class Choice:
    """One row: `key` names it to the program, `note` stands dim behind the label."""

    key: str
    label: str
    note: str = ""
    problem: str = ""  # why it cannot be used; shown in place of the note


class Choices(Widget, can_focus=True):
    """Rows to choose from with up and down. At its ends the arrows are left to the screen, which moves the focus."""

    COMPONENT_CLASSES = frozenset(
        {"choices--chosen", "choices--row", "choices--note", "choices--focus", "choices--problem"}
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("home", "jump(0)", show=False),
        Binding("end", "jump(-1)", show=False),
    ]

    index = reactive(0, repaint=False)

    class Changed(Message):
        """Another row is chosen now."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

        @property
        def control(self) -> Choices:
            return self.choices

    def __init__(self, rows: Sequence[Choice] = (), chosen: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows = tuple(rows)
        self.set_reactive(Choices.index, self._find(chosen))

    def _find(self, key: str) -> int:
        return next((number for number, row in enumerate(self.rows) if row.key == key), 0)

    @property
    def chosen(self) -> Choice | None:
        """The chosen row, None while there is none."""
        return self.rows[self.index] if self.rows else None

    def show(self, rows: Sequence[Choice], chosen: str = "") -> None:
        """Offer these rows, with `chosen` preselected."""
        self.rows = tuple(rows)
        self.set_reactive(Choices.index, self._find(chosen))
        self.refresh(layout=True)

    def choose(self, key: str) -> None:
        """Move the choice to this row without a message: the model changed, not the person's mind."""
        index = self._find(key)
        if index != self.index:
            old = self.index
            self.set_reactive(Choices.index, index)
            self._repaint(old)
            self._repaint(index)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.rows)

    def _repaint(self, index: int) -> None:
        self.refresh(Region(0, index, self.size.width, 1))

    def watch_index(self, old: int, new: int) -> None:
        if not self.is_mounted or old == new:
            return
        self._repaint(old)
        self._repaint(new)
        self._reveal()
        self.post_message(self.Changed(self))

    def _reveal(self) -> None:
        parent = self.parent
        if isinstance(parent, Widget):
            region = self.virtual_region
            parent.scroll_to_region(Region(0, region.y + self.index, region.width, 1), animate=False)

    def action_move(self, by: int) -> None:
        wanted = self.index + by
        if not 0 <= wanted < len(self.rows):
            raise SkipAction
        self.index = wanted

    def action_jump(self, where: int) -> None:
        self.index = range(len(self.rows))[where] if self.rows else 0

    def on_click(self, event: object) -> None:
        row = getattr(event, "y", -1)
        if 0 <= row < len(self.rows):
            self.index = row

    def on_focus(self) -> None:
        self._repaint(self.index)

    def on_blur(self) -> None:
        self._repaint(self.index)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self.rows):
            return Strip.blank(width)
        row = self.rows[y]
        chosen = y == self.index
        focused = chosen and self.has_focus
        style = self.get_component_rich_style(
            "choices--focus" if focused else "choices--chosen" if chosen else "choices--row"
        )
        note_style = (
            style if focused else self.get_component_rich_style("choices--problem" if row.problem else "choices--note")
        )
        mark = f" {glyph('chosen') if chosen else glyph('open')} "
        label, note = plain(row.label), plain(row.problem or row.note)
        room = width - cell_len(mark)
        notes = max(cell_len(plain(each.problem or each.note)) for each in self.rows)
        column = min(max(cell_len(plain(each.label)) for each in self.rows) + 2, max(room - notes, room // 2))
        label = fit(label, min(column, room) if note else room)
        note = fit(note, room - cell_len(label)) if note else ""
        return Strip([Segment(mark + label, style), Segment(note, note_style)], width)
