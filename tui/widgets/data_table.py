"""Rows and columns of text; numbers stand on the right, and what is wider than the panel is cut where it is widest."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from tui.i18n import _
from tui.widgets.glyphs import fit, muted, plain
from tui.widgets.line_chart import Part

_GAP = 2
_LEAST = 4


def draw(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], width: int, height: int
) -> list[list[Part]]:
    """At most `height` lines, each at most `width` cells wide; the last says how many rows have no place."""
    room = max(height - 1, 1)
    kept = rows if len(rows) <= room else rows[: max(room - 1, 0)]
    cells = [[plain(cell) for cell in row] for row in (heads, *kept)]
    widths = _widths([[cell_len(cell) for cell in row] for row in cells], width)
    lines: list[list[Part]] = []
    for number, row in enumerate(cells):
        texts = [
            _right(cell, size) if on_right else fit(cell, size)
            for cell, size, on_right in zip(row, widths, right, strict=True)
        ]
        lines.append([((" " * _GAP).join(texts), muted() if number == 0 else "")])
    if len(kept) < len(rows):
        lines.append([(fit(plain(_("and {n} more").format(n=len(rows) - len(kept))), width), muted())])
    return lines[:height]


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text if cell_len(text) <= width else fit(text, width)


def _widths(sizes: Sequence[Sequence[int]], width: int) -> list[int]:
    """The columns' widths: as wide as their texts, the widest made narrower until all fit."""
    found = [max(column) for column in zip(*sizes, strict=True)]
    spare = width - _GAP * (len(found) - 1)
    while sum(found) > spare and max(found) > _LEAST:
        found[found.index(max(found))] -= 1
    return found
