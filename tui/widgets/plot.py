"""A small plot for each metric: its newest value and the course so far, in one line of text."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from tui.widgets.glyphs import fit, glyph, muted, plain

Points = Sequence[tuple[float, float]]
_ROOMY = 76  # cells from which the time of the newest value stands at its end
_RATE, _TIME = 9, 10


class Plot(Static):
    """Lines for series that grow; it is painted again only when there is something new."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: dict[str, tuple[tuple[float, float], ...]] = {}
        self._head = ""

    def show(self, series: Mapping[str, Mapping[str, Points]], head: str = "") -> bool:
        """Show field → member → points (unix ms, value); True if that changed anything."""
        flat: dict[str, tuple[tuple[float, float], ...]] = {}
        for name, members in series.items():
            for member, points in members.items():
                flat[f"{name}  {member}" if len(members) > 1 else name] = tuple(points)
        if flat == self._shown:
            return False
        self._shown, self._head = flat, head
        self._draw()
        return True

    def on_resize(self) -> None:
        if self._shown:
            self._draw()

    def _draw(self) -> None:
        flat = self._shown
        width = max(self.size.width, 40)
        label = (
            min(max(cell_len(name) for name in flat) + 1, width - 22 - _RATE - _TIME * (width >= _ROOMY)) if flat else 0
        )
        parts: list[tuple[str, str]] = [(plain(self._head) + "\n", muted())] if self._head else []
        for name, points in flat.items():
            parts += line(name, points, label, width)
        self.update(Content.assemble(*parts[:-1]))


def line(name: str, points: Points, label: int, width: int) -> list[tuple[str, str]]:
    """One metric: name (in `label` cells), course, newest value, its rate, and where there is room when it was
    scraped; of a counter its increase is drawn.
    """
    value_width = 9
    values = [value for _time, value in points]
    counter = name.split("  ")[0].endswith("_total")
    more = _more(points, counter, width >= _ROOMY)
    room = max(width - label - value_width - 2 - len(more), 4)
    drawn = [after - before for before, after in pairwise(values)] if counter else values
    return [
        (fit(name, label - 1) + " ", ""),
        (fit(spark(drawn[-room:]), room) + " ", "$accent"),
        (number(values[-1]).rjust(value_width) if values else "", "bold"),
        (more, muted()),
        ("\n", ""),
    ]


def _more(points: Points, counter: bool, roomy: bool) -> str:
    """A counter's growth a second between its last two values, and the time of the newest; both in fixed columns."""
    if not points:
        return ""
    rate = ""
    if counter and len(points) > 1:
        (before, low), (then, high) = points[-2:]
        rate = f"+{number((high - low) / (then - before) * 1000)}/s" if high >= low and then > before else ""
    if not roomy:
        return rate.rjust(_RATE)
    return rate.rjust(_RATE) + time.strftime("  %H:%M:%S", time.localtime(points[-1][0] / 1000))


def spark(values: Sequence[float]) -> str:
    """The values as a row of bars, from the smallest to the largest; a constant is drawn low."""
    if not values:
        return ""
    levels = glyph("levels")
    low, high = min(values), max(values)
    span = high - low
    if not span:
        return levels[0 if not high else 2] * len(values)
    return "".join(levels[min(int((value - low) / span * len(levels)), len(levels) - 1)] for value in values)


def number(value: float) -> str:
    """A value in few characters."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{value / limit:.2f}{unit}"
    return f"{value:.4g}"
