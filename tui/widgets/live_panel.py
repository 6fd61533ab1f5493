"""One panel of a live view: its title, and what its data is drawn as. It is painted again only when that changed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.core.panel_data import PanelData
from tui.i18n import _
from tui.widgets import bar_list, data_table, line_chart, number_card
from tui.widgets.glyphs import fit, glyph, muted, plain
from tui.widgets.line_chart import Part
from tui.widgets.prose import breaks


class LivePanel(Widget):
    """A panel of a fixed height, or with `grows` as high as its rows need. `data` None: not answered yet."""

    def __init__(self, title: str = "", *, grows: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.grows = grows
        self.data: PanelData | None = None
        self.note = ""
        self.chosen = False

    def show(self, data: PanelData | None, title: str, note: str = "") -> bool:
        """Show this from now on; True if that changed anything. `note` stands beside the title."""
        if (_seen(data), title, note) == (_seen(self.data), self.title, self.note):
            return False
        self.data, self.title, self.note = data, title, note
        self.refresh(layout=self.grows)
        return True

    def choose(self, chosen: bool) -> None:
        """Mark the panel as the one that the keys are about, or not."""
        if chosen != self.chosen:
            self.chosen = chosen
            self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        rows = 0
        if self.data is not None and not self.data.error:
            rows = max(len(self.data.rows) + 1 if self.data.rows else 0, len(self.data.shares))
        return max(container.height, rows + 1)

    def render(self) -> Content:
        width, height = self.size
        lines = [self._title(width), *drawn(self.data, width, height - 1)]
        parts = [part for line in lines for part in (*line, ("\n", ""))]
        return Content.assemble(*parts[:-1])

    def _title(self, width: int) -> list[Part]:
        name = (f"{glyph('pointer')} " if self.chosen else "") + plain(self.title)
        note = f" {plain(self.note)}" if self.note else ""
        title = fit(name, min(cell_len(name), width))
        rest = width - cell_len(title) - cell_len(note) - 1
        style = "bold $accent" if self.chosen else "bold"
        return (
            [(title, style)] if rest < 1 else [(title, style), (f" {glyph('rule') * rest}", "$rule"), (note, muted())]
        )


def _seen(data: PanelData | None) -> PanelData | None:
    """The data as far as it is seen: the time of the newest point is not."""
    return None if data is None else replace(data, newest_ms=0.0)


def drawn(data: PanelData | None, width: int, height: int) -> list[list[Part]]:
    """A panel's data as at most `height` lines of (text, style), each at most `width` cells wide."""
    if height < 1 or width < 1 or data is None:
        return []
    if data.error:
        return _sentences(_("The studio refused this query:") + "\n" + data.error, "$error", width, height)
    if not data.filled:
        return _sentences(data.why, muted(), width, height)
    if data.chart == "table":
        return data_table.draw(data.heads, data.rows, data.right, width, height)
    if data.chart in ("toplist", "pie"):
        return bar_list.draw(data.shares, width, height, pie=data.chart == "pie", more=data.more)
    if data.chart == "singlestat":
        return number_card.draw(data.courses, width, height)
    return line_chart.draw(data.courses, width, height)


def _sentences(text: str, style: str, width: int, height: int) -> list[list[Part]]:
    lines: list[list[Part]] = [[]]
    for sentence in plain(text).split("\n"):
        places = [0, *breaks(sentence, width), len(sentence)]
        lines += [[(sentence[start:end].rstrip(), style)] for start, end in pairwise(places)]
    return lines[:height]
