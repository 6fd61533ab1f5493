"""The variables of a view in a row: each with its name and what is chosen; left and right move, Enter opens one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.i18n import N_, _
from tui.widgets.glyphs import fit, glyph, plain

Row = tuple[str, str, str, bool]  # code, title, chosen value ("" all), whether there are values to choose from
_VALUE = 26  # cells of a value at most


class Selectors(Widget, can_focus=True):
    """Flows over as many lines as it needs."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"selectors--name", "selectors--value", "selectors--focus"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", show=False),
        Binding("right", "move(1)", show=False),
        Binding("enter", "open", N_("Choose"), id="selectors-open", tooltip=N_("The values of this variable")),
    ]

    class Opened(Message):
        """The person wants to choose a value."""

        def __init__(self, code: str) -> None:
            super().__init__()
            self.code = code

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[Row, ...] = ()
        self.at = 0

    def show(self, rows: Sequence[Row]) -> None:
        """Show these variables; painted again only when something is new."""
        if tuple(rows) != self.rows:
            self.rows = tuple(rows)
            self.at = min(self.at, max(len(rows) - 1, 0))
            self.refresh(layout=True)

    def _lines(self, width: int) -> list[list[tuple[int, str, str]]]:
        """(index, name, value) of the variables of each line."""
        lines: list[list[tuple[int, str, str]]] = [[]]
        used = 0
        for index, (_code, title, chosen, _some) in enumerate(self.rows):
            value = plain(chosen or _("all"))
            value = fit(value, min(cell_len(value), _VALUE))
            size = cell_len(plain(title)) + cell_len(value) + 5
            if used and used + size > width:
                lines.append([])
                used = 0
            lines[-1].append((index, plain(title), value))
            used += size
        return lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        lines = self._lines(width)
        name_style = self.get_component_rich_style("selectors--name")
        segments: list[Segment] = []
        for index, name, value in lines[y] if y < len(lines) else []:
            here = self.has_focus and index == self.at
            style = self.get_component_rich_style("selectors--focus" if here else "selectors--value")
            pointer = glyph("pointer") if here else " "
            segments += [Segment(f"{name} ", name_style), Segment(f"{pointer}{value} ", style)]
            segments.append(Segment("  ", self.rich_style))
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def action_move(self, by: int) -> None:
        if self.rows:
            self.at = (self.at + by) % len(self.rows)
            self.refresh()

    def action_open(self) -> None:
        if self.rows:
            self.post_message(self.Opened(self.rows[self.at][0]))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
