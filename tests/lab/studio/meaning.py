"""What a panel's queries mean, worked out from raw samples: a second time, and never from their texts.

The rules are those of the vendor's documents: a rollup joins each series' points within a window, then the function
joins the series; without one, the function joins all points. PromQL looks back from the end of the range: for a rate
over its window, for a value over five minutes. What counts is the newest value.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tui.core.query import Condition, Query
from tui.core.view_schema import CODES, Panel

Tags = tuple[tuple[str, str], ...]
Value = float | str
Points = tuple[tuple[int, Value], ...]

JOIN = {"sum": sum, "avg": statistics.fmean, "min": min, "max": max}
UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MINUTE = 60_000


@dataclass(frozen=True)
class Sample:
    """One series of raw samples; `source` is a measurement, or "O::class" and "L::source"."""

    source: str
    field: str
    tags: Mapping[str, str]
    points: Points


@dataclass(frozen=True)
class Frame:
    """The range that is looked at (unix ms), and how much faster than the clock the time of the queries runs."""

    start: float
    end: float
    scale: float = 1.0

    def window(self, text: str) -> float:
        """A window of a query in ms; `auto` is a minute, or a 360th of the range where that is longer."""
        if text == "auto":
            return max(MINUTE / self.scale, (self.end - self.start) / 360)
        return int(text[:-1]) * UNITS[text[-1]] / self.scale

    def before_the_end(self, points: Points, window: float) -> Points:
        """The points of the last so many ms of the range."""
        return tuple(point for point in points if self.end - window < point[0] <= self.end)

    def growing(self, points: Points, window: float) -> Points:
        """The same, with the point before them where one precedes within what is usual (MetricsQL)."""
        inside = self.before_the_end(points, window)
        earlier = [point for point in points if point[0] <= self.end - window]
        gaps = [after[0] - before[0] for before, after in itertools.pairwise(points)][:20]
        if not inside or not earlier or self.end - window - earlier[-1][0] >= usual(gaps) * 9 / 8:
            return inside
        return (earlier[-1], *inside)


def shown(panel: Panel, values: Mapping[str, str], samples: list[Sample], frame: Frame) -> list[dict[Tags, Value]]:
    """What a panel shows with these values of the view's variables: the newest values of each of its texts, by tags."""
    lines = [_meant(panel, line.query.bound(values), samples, frame) for line in panel.lines]
    return [_calculated(panel, lines)] if panel.formula else lines


def _meant(panel: Panel, query: Query, samples: list[Sample], frame: Frame) -> dict[Tags, Value]:
    if panel.formula and any(line.query.in_promql for line in panel.lines):
        query = replace(query, prom=True)
    if query.lookback:
        frame = replace(frame, start=frame.end - frame.window(query.lookback))
    whole = _joined(query, query.where, samples, frame)
    if not query.part:
        found = whole
    else:
        some = _joined(query, (*query.where, *query.part), samples, frame)
        found = {by: some.get(by, 0.0) for by in whole}
        if query.share:
            found = {by: value / whole[by] for by, value in found.items() if whole[by] > 0}
    if query.zero:
        found = {(): 0.0, **found}
    return {by: value - frame.end / 1000 if query.countdown else value for by, value in found.items()}


def _calculated(panel: Panel, lines: list[dict[Tags, Value]]) -> dict[Tags, Value]:
    shared = set.intersection(*(set(line) for line in lines))
    names = [dict(zip(CODES, (line[by] for line in lines), strict=False)) for by in shared]
    found = {}
    for by, own in zip(shared, names, strict=True):
        try:
            found[by] = eval(panel.formula, {"__builtins__": {}}, own)  # the formula is ours, and plain arithmetic
        except ZeroDivisionError:
            continue
    return found


def meets(condition: Condition, tags: Mapping[str, str]) -> bool:
    """Whether a series with these tags meets a condition; a tag that it lacks is empty."""
    value = tags.get(condition.tag, "")
    if "~" in condition.op:
        return (re.fullmatch(condition.value, value) is not None) == (condition.op == "=~")
    return (value == condition.value) == (condition.op == "=")


def _grouped(
    query: Query, where: tuple[Condition, ...], samples: list[Sample], frame: Frame
) -> dict[Tags, list[Sample]]:
    """The query's series by its tags. PromQL leaves out a tag that a series lacks, DQL has it empty."""
    found: dict[Tags, list[Sample]] = {}
    for sample in samples:
        of_field = query.field == "*" or sample.field == query.stored
        if query.function == "count_distinct":
            of_field = query.field in sample.tags  # of what objects are tagged with, whatever fields they have
        if sample.source != query.source or not of_field or not all(meets(each, sample.tags) for each in where):
            continue
        inside = tuple(point for point in sample.points if frame.start <= point[0] <= frame.end)
        if query.in_promql:
            by = tuple(sorted((tag, sample.tags[tag]) for tag in query.by if tag in sample.tags))
            inside = sample.points
        else:
            by = tuple(sorted((tag, sample.tags.get(tag, "")) for tag in query.by))
        if inside:
            found.setdefault(by, []).append(replace(sample, points=inside))
    return found


def usual(gaps: list[int]) -> float:
    """The gap that six of ten do not exceed."""
    return statistics.quantiles(gaps, n=10, method="inclusive")[5] if len(gaps) > 1 else float(gaps[0])


def rate(points: Points) -> float | None:
    """How much a counter grew a second; None of fewer than two points. Where it fell it started anew at 0."""
    if len(points) < 2:
        return None
    grown = sum(b - a if b >= a else b for (_t, a), (_u, b) in itertools.pairwise(points))
    return grown / ((points[-1][0] - points[0][0]) / 1000)


def quantile(wanted: float, buckets: dict[float, float]) -> float:
    """Prometheus' definition: straight within the bucket that holds the rank, the last finite bound beyond."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]]
    if not total:
        return math.nan
    lower = below = 0.0
    for bound in bounds:
        if buckets[bound] >= wanted * total:
            if math.isinf(bound):
                return lower
            share = (wanted * total - below) / (buckets[bound] - below) if buckets[bound] > below else 1.0
            return lower + (bound - lower) * share
        lower, below = bound, buckets[bound]
    raise AssertionError("the last bucket holds all")


def _joined(query: Query, where: tuple[Condition, ...], samples: list[Sample], frame: Frame) -> dict[Tags, Value]:
    found: dict[Tags, Value] = {}
    for by, own in _grouped(query, where, samples, frame).items():
        if query.quantile is not None:
            value = _quantile(query, own, frame)
        elif query.in_promql:
            value = _at_the_end(query, own, frame)
        elif query.rollup:
            value = _in_the_newest_window(query, own, frame)
        else:
            value = _over_all(query, own)
        if value is not None and not (isinstance(value, float) and math.isnan(value)):
            found[by] = value
    return found


def _quantile(query: Query, own: list[Sample], frame: Frame) -> float | None:
    buckets: dict[float, float] = {}
    for sample in own:
        one = rate(frame.growing(sample.points, frame.window(query.window)))
        if one is not None:
            bound = float(sample.tags["le"].replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0.0) + one
    return quantile(query.quantile or 0.0, buckets) if buckets else None


def _at_the_end(query: Query, own: list[Sample], frame: Frame) -> Value | None:
    if query.rollup in ("rate", "irate"):
        each = [rate(frame.growing(sample.points, frame.window(query.window))) for sample in own]
    else:
        recent = [frame.before_the_end(sample.points, frame.window("5m")) for sample in own]
        each = [points[-1][1] if points else None for points in recent]
    values = [value for value in each if value is not None]
    return JOIN[query.function](values) if values else None


def _in_the_newest_window(query: Query, own: list[Sample], frame: Frame) -> Value | None:
    """Of the windows, which follow each other from the epoch on, the newest in which any series has a value."""
    window = frame.window(query.window)
    found: dict[float, list[Value]] = {}
    for sample in own:
        for start, points in itertools.groupby(sample.points, key=lambda point: point[0] // window):
            inside = tuple(points)
            value = rate(inside) if query.rollup == "rate" else inside[-1][1]
            if value is not None:
                found.setdefault(start, []).append(value)
    return JOIN[query.function](found[max(found)]) if found else None


def _over_all(query: Query, own: list[Sample]) -> Value:
    if query.function == "count_distinct":
        return len({sample.tags[query.field] for sample in own})
    if query.function == "count":  # of logs: what was written at one moment under the same tags is one line
        return len({(time, tuple(sorted(sample.tags.items()))) for sample in own for time, _value in sample.points})
    values = [value for _time, value in sorted(point for sample in own for point in sample.points)]
    if query.function == "spread":
        return max(values) - min(values)
    return values[-1] if query.function == "last" else JOIN[query.function](values)
