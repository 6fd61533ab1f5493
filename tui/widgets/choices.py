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

from tui.i18n import N_
from tui.widgets.glyphs import fit, glyph, plain


@dataclass(frozen=True)
class Choice:
    """One row: `key` names it to the program, `note` stands dim behind the label."""

    key: str
    label: str
    note: str = ""
    problem: str = ""  # why it cannot be used; shown in place of the note


class Choices(Widget, can_focus=True):
    """Rows of which one is chosen. Up and down move the cursor, Enter or Space chooses the row under it.

    With `follow` the row under the cursor is the choice: for a list that stands alone, where passing through changes
    nothing else. At its ends the arrows are left to the screen, which moves the focus.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "choices--chosen",
        "choices--row",
        "choices--note",
        "choices--focus",
        "choices--problem",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("home", "jump(0)", show=False),
        Binding("end", "jump(-1)", show=False),
        Binding("enter", "pick", N_("Choose"), tooltip=N_("Choose the row under the cursor")),
        Binding("space", "pick", show=False),
    ]

    cursor = reactive(0, repaint=False)

    class Changed(Message):
        """Another row is chosen now."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

        @property
        def control(self) -> Choices:
            return self.choices

    class Moved(Message):
        """The cursor is on another row now, which is not chosen by that."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

    def __init__(
        self, rows: Sequence[Choice] = (), chosen: str = "", *, follow: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.rows = tuple(rows)
        self.follow = follow
        self.index = self._find(chosen)
        self.set_reactive(Choices.cursor, self.index)

    def _find(self, key: str) -> int:
        return next((number for number, row in enumerate(self.rows) if row.key == key), 0)

    @property
    def chosen(self) -> Choice | None:
        """The chosen row, None while there is none."""
        return self.rows[self.index] if self.rows else None

    @property
    def under_cursor(self) -> Choice | None:
        """The row that Enter would choose, None while there is none."""
        return self.rows[self.cursor] if self.rows else None

    @property
    def undecided(self) -> bool:
        """Whether Enter would choose: the cursor is on a row that is not chosen and can be."""
        row = self.under_cursor
        return self.has_focus and self.cursor != self.index and row is not None and not row.problem

    def show(self, rows: Sequence[Choice], chosen: str = "") -> None:
        """Offer these rows, with `chosen` preselected."""
        self.rows = tuple(rows)
        self.index = self._find(chosen)
        self.set_reactive(Choices.cursor, self.index)
        self.refresh(layout=True)

    def choose(self, key: str) -> None:
        """Move the choice to this row without a message: the model changed, not the person's mind."""
        old, self.index = self.index, self._find(key)
        if old != self.index:
            self.cursor = self.index
            self._repaint(old)
            self._repaint(self.index)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.rows)

    def _repaint(self, index: int) -> None:
        self.refresh(Region(0, index, self.size.width, 1))

    def watch_cursor(self, old: int, new: int) -> None:
        if not self.is_mounted or old == new:
            return
        if self.follow and self.has_focus:
            self.index = new
        self._repaint(old)
        self._repaint(new)
        if self.has_focus:
            self._reveal()
            self.post_message(self.Changed(self) if self.follow else self.Moved(self))

    def _reveal(self) -> None:
        parent = self.parent
        if isinstance(parent, Widget):
            region = self.virtual_region
            parent.scroll_to_region(Region(0, region.y + self.cursor, region.width, 1), animate=False)

    def action_move(self, by: int) -> None:
        wanted = self.cursor + by
        if not 0 <= wanted < len(self.rows):
            raise SkipAction
        self.cursor = wanted

    def action_jump(self, where: int) -> None:
        self.cursor = range(len(self.rows))[where] if self.rows else 0

    def action_pick(self) -> None:
        if not self.undecided:
            raise SkipAction
        old, self.index = self.index, self.cursor
        self._repaint(old)
        self._repaint(self.index)
        self.post_message(self.Changed(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.undecided if action == "pick" else True

    def on_focus(self) -> None:
        self._repaint(self.cursor)

    def on_blur(self) -> None:
        if self.cursor != self.index:
            self.cursor = self.index
            self.post_message(self.Moved(self))
        self._repaint(self.cursor)

    def is_chosen(self, index: int) -> bool:
        """Whether this row is chosen."""
        return index == self.index

    def mark(self, index: int) -> str:
        """What stands before a row."""
        return glyph("chosen") if self.is_chosen(index) else glyph("open")

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        row = self.rows[y]
        chosen = self.is_chosen(y)
        focused = self.has_focus and y == self.cursor
        style = self.get_component_rich_style(
            "choices--focus" if focused else "choices--chosen" if chosen else "choices--row"
        )
        note_style = (
            style if focused else self.get_component_rich_style("choices--problem" if row.problem else "choices--note")
        )
        mark = f" {self.mark(y)} "
        label, note = plain(row.label), plain(row.problem or row.note)
        room = width - cell_len(mark)
        notes = max(cell_len(plain(each.problem or each.note)) for each in self.rows)
        column = min(max(cell_len(plain(each.label)) for each in self.rows) + 2, max(room - notes, room // 2))
        label = fit(label, min(column, room) - 1) + " " if note else fit(label, room)
        note = fit(note, room - cell_len(label)) if note else ""
        return Strip([Segment(mark + label, style), Segment(note, note_style)], width)
