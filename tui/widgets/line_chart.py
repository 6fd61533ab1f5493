"""Lines over time with axes, drawn by plotext, and a legend of our own, which counts cells and not characters.

A line is told by its colour and by its letter, which stands at its end and in the legend; in ASCII by its sign.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from rich.cells import cell_len

from tui.core.panel_data import Course
from tui.core.units import Axis, axis, shown, time_axis
from tui.i18n import _
from tui.widgets.glyphs import fit, is_ansi, is_ascii, muted, plain

COLOURS = ("#5ec4d4", "#e5b567", "#8cc98f", "#e8778a", "#b39df3", "#f2a272", "#7fa7f2", "#c3cad3")
ANSI_COLOURS = (
    "ansi_cyan",
    "ansi_yellow",
    "ansi_green",
    "ansi_red",
    "ansi_magenta",
    "ansi_bright_yellow",
    "ansi_blue",
    "ansi_default",
)
LETTERS = "ABCDEFGH"
SIGNS = "*o+x#@%&"
_BOX = str.maketrans("│─┤├└┘┌┐┬┴┼", "|-+++++++++")
_CODE = re.compile(r"\x1b\[([0-9;]*)m")
_ENDS = 3  # columns on the right, for the marks of lines that end there
_GAP = 2.5  # a line is broken where points are that many times farther apart than they usually are

Part = tuple[str, str]


def colour(index: int) -> str:
    """The colour of a line, or of a row."""
    return (ANSI_COLOURS if is_ansi() else COLOURS)[index % len(COLOURS)]


def mark(index: int) -> str:
    """What tells a line apart without colour: its letter, in ASCII its sign."""
    return _marks()[index % len(LETTERS)]


def _marks() -> str:
    return SIGNS if is_ascii() else LETTERS


def draw(courses: Sequence[Course], width: int, height: int) -> list[list[Part]]:
    """The chart as at most `height` lines of (text, style), each at most `width` cells wide.

    Of many lines those with the highest newest values are drawn, as many as the legend can name.
    """
    chosen = _largest(courses, len(LETTERS))
    most = max(min(height // 3, height - 7), 1)
    chosen = _largest(chosen, _columns(chosen, width) * most)
    legend = _legend(chosen, width)
    rows = height - len(legend) - 1
    if rows < 4 or width < 24:
        return (legend or [[(shown(chosen[0].newest, chosen[0].unit), "bold")]])[:height]
    values = [value for course in chosen for _time, value in course.points]
    upright = axis(min(values), max(values), chosen[0].unit, max(rows * 2 // 5, 3))
    start = min(course.points[0][0] for course in chosen)
    end = max(course.points[-1][0] for course in chosen)
    level = time_axis(start, end, max((width - 8) // 12, 2))
    margin = _ENDS if len(chosen) > 1 else 0
    lines = _plot(chosen, width - margin, rows, upright, level)
    if margin:
        _add_ends(lines, chosen, upright, rows - 2, width)
    return [_head(upright.word, courses, len(chosen), width), *lines, *legend]


def _largest(courses: Sequence[Course], most: int) -> list[Course]:
    """The lines with the highest newest values, in the order given."""
    kept = sorted(courses, key=lambda course: -course.newest)[:most]
    return [course for course in courses if course in kept]


def _head(unit: str, courses: Sequence[Course], drawn: int, width: int) -> list[Part]:
    """Above the upright axis its unit; on the right what no legend says."""
    if len(courses) == 1 and not courses[0].name:
        value = shown(courses[0].newest, courses[0].unit)
        return [(fit(unit, width - cell_len(value)), muted()), (value, "bold")]
    text = plain(_("the highest {n} of {all}").format(n=drawn, all=len(courses))) if drawn < len(courses) else ""
    return [(fit(unit, width - cell_len(text)) + text, muted())]


def _plot(courses: Sequence[Course], width: int, height: int, upright: Axis, level: Axis) -> list[list[Part]]:
    import plotext  # the first chart pays for it, no other screen does

    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(width, height)
    plotext.theme("clear")
    plotext.frame(False)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for index, course in enumerate(courses):
        for piece in _pieces(course.points):
            plotext.plot(
                [time for time, _value in piece],
                [value for _time, value in piece],
                marker=mark(index) if is_ascii() else "braille",
                color=index + 1,
            )
    plotext.ylim(upright.low, upright.high)
    plotext.xlim(level.low, max(level.high, level.low + 1))
    plotext.yticks([value for value, _text in upright.marks], [text for _value, text in upright.marks])
    plotext.xticks([value for value, _text in level.marks], [text for _value, text in level.marks])
    return [_parts(line) for line in plotext.build().rstrip("\n").split("\n")]


def _pieces(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """A line's points, divided where some are missing."""
    if len(points) < 3:
        return [list(points)]
    far = _GAP * median(after[0] - before[0] for before, after in pairwise(points))
    found = [[points[0]]]
    for before, after in pairwise(points):
        if after[0] - before[0] > far:
            found.append([])
        found[-1].append(after)
    return found


def _parts(line: str) -> list[Part]:
    """One line of plotext's output: its colour codes are the numbers of our lines."""
    pieces = _CODE.split(line)
    style = muted()
    found: list[Part] = []
    for at, piece in enumerate(pieces):
        if at % 2:
            codes = piece.split(";")
            style = colour(int(codes[2]) - 1) if codes[:2] == ["38", "5"] else muted()
        elif piece:
            found.append((piece.translate(_BOX) if is_ascii() else piece, style))
    return found


def _add_ends(lines: list[list[Part]], courses: Sequence[Course], upright: Axis, rows: int, width: int) -> None:
    """Each line's mark beside its last point; where several end in one row they share it."""
    ends: dict[int, list[int]] = {}
    for index, course in enumerate(courses):
        share = (course.newest - upright.low) / (upright.high - upright.low)
        ends.setdefault(rows - 1 - round(share * (rows - 1)), []).append(index)
    for row, indexes in ends.items():
        if 0 <= row < rows and row < len(lines):
            used = sum(cell_len(text) for text, _style in lines[row])
            lines[row].append((" " * max(width - _ENDS - used, 0), ""))
            lines[row] += [(mark(index), colour(index)) for index in indexes[:_ENDS]]


def _columns(courses: Sequence[Course], width: int) -> int:
    """How many entries of the legend stand side by side."""
    widest = max(cell_len(plain(course.name)) + cell_len(shown(course.newest, course.unit)) for course in courses) + 5
    return max(min(width // widest, len(courses)), 1)


def _legend(courses: Sequence[Course], width: int) -> list[list[Part]]:
    """Mark, name and newest value of each line, in columns; nothing for a single line that the title names."""
    if len(courses) == 1 and not courses[0].name:
        return []
    columns = _columns(courses, width)
    each = width // columns
    entries: list[list[Part]] = []
    for index, course in enumerate(courses):
        value = shown(course.newest, course.unit)
        name = plain(course.name)
        name = fit(name, min(cell_len(name), max(each - cell_len(value) - 5, 4)))
        rest = each - cell_len(name) - cell_len(value) - 3
        entries.append(
            [(f"{mark(index)} ", colour(index)), (f"{name} ", ""), (value, "bold"), (" " * max(rest, 0), "")]
        )
    rows = [entries[at : at + columns] for at in range(0, len(entries), columns)]
    return [[part for entry in row for part in entry] for row in rows]
