"""Single numbers: the newest value, large enough to be found, with its course below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.renderables.digits import DIGITS, DIGITS3X3_BOLD

from tui.core.panel_data import Course
from tui.core.units import shown
from tui.widgets import line_chart
from tui.widgets.glyphs import fit, is_ascii, plain
from tui.widgets.line_chart import Part, colour, mark
from tui.widgets.plot import spark

_CHART = 9  # lines that a chart below needs


def draw(courses: Sequence[Course], width: int, height: int) -> list[list[Part]]:
    """At most `height` lines, each at most `width` cells wide."""
    if len(courses) > 1:
        return _several(courses, width, height)
    course = courses[0]
    value = shown(course.newest, course.unit)
    large = large_text(value)
    if height < 4 or cell_len(large[0]) > width:
        large = [value]
    lines = [_centred(text, "bold", width) for text in large]
    if height >= len(lines) + _CHART and width >= 40 and len(course.points) > 1:
        return [[], *lines, *line_chart.draw(courses, width, height - len(lines) - 1)]
    if len(course.points) > 1 and height > len(lines):
        drawn = spark([point for _time, point in course.points[-min(width - 2, 24) :]])
        lines += [*([[]] if height > len(lines) + 2 else []), _centred(drawn, colour(0), width)]
    return ([[], *lines] if height > len(lines) else lines)[:height]


def _centred(text: str, style: str, width: int) -> list[Part]:
    return [(" " * max((width - cell_len(text)) // 2, 0), ""), (text, style)]


def large_text(text: str) -> list[str]:
    """A number in three lines; its unit keeps its size. One line where only ASCII may be drawn."""
    if is_ascii():
        return [text]
    number, space, unit = text.partition(" ")
    lines = ["", "", ""]
    for character in number:
        at = DIGITS.find(character) * 3
        drawn = [line.ljust(3) for line in DIGITS3X3_BOLD[at : at + 3]] if at > 0 else [" ", " ", character]
        lines = [line + part for line, part in zip(lines, drawn, strict=True)]
    rest = space + unit
    return [line + (rest if at == 2 else " " * cell_len(rest)) for at, line in enumerate(lines)]


def _several(courses: Sequence[Course], width: int, height: int) -> list[list[Part]]:
    values = [shown(course.newest, course.unit) for course in courses]
    room = width - max(cell_len(value) for value in values) - 3
    lines: list[list[Part]] = []
    for index, (course, value) in enumerate(zip(courses, values, strict=True)):
        name = fit(plain(course.name), min(room, max(cell_len(plain(one.name)) for one in courses)))
        lines.append([(mark(index) + " ", colour(index)), (name + " ", ""), (value, "bold")])
    return lines[:height]
