"""What a panel shows: lines, numbers, bars or a table, made from the answers to its queries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tui.core.ports import Answer, Series
from tui.core.units import shown
from tui.core.view_schema import Line, Panel, translation
from tui.core.view_template import TOP
from tui.i18n import _

_LOCAL = ".svc.cluster.local"  # every service's name ends so; it takes room and tells nothing


@dataclass(frozen=True)
class Course:
    """One line over time: (unix ms, value), oldest first. `name` is "" where the panel's title says it."""

    name: str
    unit: str
    points: tuple[tuple[float, float], ...]

    @property
    def newest(self) -> float:
        """Its last value."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Share:
    """One row of a top list or piece of a pie."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class PanelData:
    """What there is to draw for a panel. Lines and numbers have `courses`, top lists and pies `shares`, the largest
    first, tables `heads` and `rows`. Without any of it `why` says what is lacking, or `error` why a query was refused.

    Two of these are equal exactly if they look the same.
    """

    key: str
    title: str
    group: str
    chart: str
    courses: tuple[Course, ...] = ()
    shares: tuple[Share, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    right: tuple[bool, ...] = ()  # which columns of a table are numbers
    more: int = 0  # how many rows of a top list are not shown
    why: str = ""
    error: str = ""
    newest_ms: float = 0.0

    @property
    def filled(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.courses or self.shares or self.rows)


def read(panel: Panel, answers: Sequence[Answer], language: str) -> PanelData:
    """A panel's data from the answers to its queries, in their order."""
    error = "\n".join(dict.fromkeys(answer.error for answer in answers if answer.error))
    lines = panel.lines[:1] if panel.formula else panel.lines
    found = [
        (line, series) for line, answer in zip(lines, answers, strict=True) for series in answer.series if series.rows
    ]
    newest = max((row[0] or 0.0 for _line, series in found for row in series.rows), default=0.0)
    title = translation(panel.title, language)
    made = PanelData(panel.key, title, panel.group, panel.chart, error=error, newest_ms=newest)
    if panel.chart == "table":
        return _table(made, panel, found, language)
    courses = [course for line, series in found if (course := _course(panel, line, series, language)).points]
    if panel.chart in ("sequence", "singlestat"):
        return replace(made, courses=tuple(sorted(courses, key=lambda course: course.name)))
    shares = sorted(
        (Share(course.name, course.newest, course.unit) for course in courses), key=lambda one: (-one.value, one.name)
    )
    most = TOP if panel.chart == "toplist" else len(shares)
    return replace(made, shares=tuple(shares[:most]), more=len(shares[most:]))


def _course(panel: Panel, line: Line, series: Series, language: str) -> Course:
    points = sorted(
        (row[0] or 0.0, value) for row in series.rows if len(row) > 1 and (value := row[1]) is not None and _real(value)
    )
    label = translation(line.label, language) if line.label and not panel.formula else ""
    return Course(_name(label, line, series.tags), line.unit or panel.unit, tuple(points))


def _real(value: float) -> bool:
    return math.isfinite(value)  # a quantile of nothing is not a number


def _name(label: str, line: Line, tags: Mapping[str, str]) -> str:
    parts = [label, *(tags.get(tag, "").removesuffix(_LOCAL) for tag in line.query.by)]
    return " ".join(part for part in parts if part)


def _table(made: PanelData, panel: Panel, found: Sequence[tuple[Line, Series]], language: str) -> PanelData:
    """One row for each combination of tags, one column for each line."""
    by = panel.lines[0].query.by
    lines = panel.lines[:1] if panel.formula else panel.lines
    cells: dict[tuple[str, ...], dict[int, tuple[float, str]]] = {}
    for line, series in found:
        row = cells.setdefault(tuple(series.tags.get(tag, "").removesuffix(_LOCAL) for tag in by), {})
        at = lines.index(line)
        text = next(iter(series.texts.values()), "")
        newest = max(series.rows, key=lambda one: one[0] or 0.0)
        value = newest[1] if len(newest) > 1 else None
        if text:
            row[at] = (0.0, text)
        elif value is not None and _real(value):
            row[at] = (value, shown(value, line.unit or panel.unit))
    kept = {tags: row for tags, row in cells.items() if row}
    order = sorted(kept, key=lambda tags: (-kept[tags].get(0, (0.0, ""))[0] if len(lines) == 1 else 0.0, tags))
    rows = tuple((*tags, *(kept[tags].get(at, (0.0, ""))[1] for at in range(len(lines)))) for tags in order)
    labels = [translation(line.label, language) if line.label else _("value") for line in lines]
    texts = {at for line, series in found if series.texts for at in [lines.index(line)]}
    right = (*(False for _tag in by), *(at not in texts for at in range(len(lines))))
    return replace(made, heads=(*by, *labels), rows=rows, right=right)
