"""Answers DQL statements from the store, in the shape of the Open API's `series`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tui.lab.studio.dql_ast import Arithmetic, Eval, Formula, Moment, QueryError, Range, Select, Show, Statement
from tui.lab.studio.store import SeriesKey, Store, Value

Answer = list[dict[str, Any]]
Points = Sequence[tuple[int, Value]]
Column = dict[float | None, Value | None]  # by time, None for an aggregate over the whole range

DEFAULT_SLIMIT = 20  # DataKit's raw API cuts at 20 groups unless told otherwise; so do we, that clients set it
AUTO_POINTS = 360
COLLECTION_MS = 60_000


@dataclass(frozen=True)
class Request:
    """One query's frame: the range asked for and the limits of its body. Times are unix ms.

    Durations inside a query are the lab's time: `time_scale` says how much faster than the clock it runs.
    """

    now_ms: float
    start_ms: float
    end_ms: float
    time_scale: float = 1.0
    interval_ms: float | None = None
    limit: int | None = None
    slimit: int = DEFAULT_SLIMIT

    def window(self, range_: Range) -> tuple[float, float]:
        """The range in unix ms: the query's text wins over the request's `timeRange`."""

        def at(moment: Moment) -> float:
            return self.now_ms - moment.ms / self.time_scale if moment.ago else moment.ms

        start = at(range_.start) if range_.start else self.start_ms
        end = at(range_.end) if range_.end else self.end_ms
        if range_.start and range_.start.ago and not range_.end:
            end = self.now_ms
        if start > end:
            raise QueryError("the range ends before it starts")
        return start, end

    def interval(self, range_: Range) -> float | None:
        """Length of a time bucket in ms, None for one bucket over all."""
        if range_.interval_ms:
            return range_.interval_ms / self.time_scale
        if range_.interval_ms is None and not range_.rollup:
            return self.interval_ms
        start, end = self.window(range_)
        return self.interval_ms or max(COLLECTION_MS / self.time_scale, (end - start) / AUTO_POINTS)


def answer(store: Store, query: Statement | Show | Eval, request: Request) -> Answer:
    """The series that answer a query; none is an empty list. Raises QueryError for what cannot be computed."""
    if isinstance(query, Show):
        return _show(store, query, request)
    if isinstance(query, Eval):
        return _eval(store, query, request)
    return _select(store, query, request)


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise QueryError("an aggregate needs numbers, the field holds text")
    return value


def _spread(values: list[float]) -> float:
    return max(values) - min(values)


# Over (time, value) pairs in order of time; sum over floats may be huge but never fails.
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "last": lambda values: values[-1],
    "first": lambda values: values[0],
    "avg": lambda values: math.fsum(values) / len(values),
    "sum": math.fsum,
    "min": min,
    "max": max,
    "count": len,
    "spread": _spread,
}
_ANY_VALUE = frozenset({"last", "first", "count", "count_distinct"})  # of texts too


def increase(points: Points) -> float:
    """How much a counter grew over its points; a fall means it started anew at zero."""
    grown, before = 0.0, _number(points[0][1])
    for _time, raw in points[1:]:
        value = _number(raw)
        grown += value - before if value >= before else value
        before = value
    return grown


def rolled(points: Points, rollup: str) -> float | None:
    """One series' points in one window as one value; None where a rate has fewer than two points."""
    if rollup in ("rate", "irate"):
        used = points[-2:] if rollup == "irate" else points
        if len(used) < 2:
            return None
        return increase(used) / ((used[-1][0] - used[0][0]) / 1000)
    return _AGGREGATES[rollup]([_number(value) for _time, value in points])


def _buckets(points: Points, interval: float | None) -> dict[float | None, list[tuple[int, Value]]]:
    """Points by the start of their bucket; without an interval all are in one, named None."""
    if interval is None:
        return {None: list(points)} if points else {}
    found: dict[float | None, list[tuple[int, Value]]] = {}
    for point in points:
        found.setdefault(point[0] // interval * interval, []).append(point)
    return found


def _groups(series: Sequence[SeriesKey], by: Sequence[str]) -> dict[tuple[str, ...], list[SeriesKey]]:
    found: dict[tuple[str, ...], list[SeriesKey]] = {}
    for key in series:
        found.setdefault(tuple(key.tags.get(tag, "") for tag in by), []).append(key)
    return dict(sorted(found.items()))


def _select(store: Store, query: Statement, request: Request) -> Answer:
    start, end = request.window(query.range)
    interval = request.interval(query.range)
    series = [
        key
        for key in store.series(query.measurement, namespace=query.namespace)
        if any(_holds(key, item) for item in query.select) and query.filter.holds(key.tags)
    ]
    limit = query.limit if query.limit is not None else request.limit
    found: Answer = []
    for tags, keys in _groups(series, query.by).items():
        points = {key: store.points(key, start, end) for key in keys}
        columns: list[Column] = []
        for item in query.select:
            own = {key: points[key] for key in keys if _holds(key, item)}
            columns.append(_aggregate(own, item, query.range.rollup, interval) if item.function else _raw(own))
        if query.select[0].function and interval is None:
            columns = _one_row(columns)
        times = sorted({at for column in columns for at in column}, key=lambda at: at or 0, reverse=query.descending)
        rows = [[_time(at), *(column.get(at) for column in columns)] for at in times]
        rows = rows[query.offset :][:limit]
        if rows:
            by = dict(zip(query.by, tags, strict=True))
            found.append(_series(query.measurement, by, [item.column for item in query.select], rows))
    slimit = query.slimit if query.slimit is not None else request.slimit
    return found[query.soffset :][:slimit]


def _holds(key: SeriesKey, item: Select) -> bool:
    """Whether a series has the column: its field; or, of objects and logs, a tag of that name."""
    if item.field == "*" or key.field == item.field:
        return True
    return key.namespace != "M" and item.function in _ANY_VALUE and item.field in key.tags


def _one_row(columns: list[Column]) -> list[Column]:
    """Aggregates over the whole range make one row; its time is that of a last or first among them."""
    newest = max((at for column in columns for at in column if at is not None), default=None)
    return [{newest: next(iter(column.values()))} if column else {} for column in columns]


def _time(time: float | None) -> int | None:
    return None if time is None else int(time)


def _series(name: str, tags: dict[str, str], columns: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "tags": tags,
        "columns": ["time", *columns],
        "units": [None] * (len(columns) + 1),
        "values": rows,
    }


def _raw(points: dict[SeriesKey, list[tuple[int, Value]]]) -> Column:
    return {time: value for own in points.values() for time, value in own}


def _merged(points: dict[SeriesKey, list[tuple[int, Value]]], field: str) -> list[tuple[int, Value]]:
    """The points of several series in order of time, each with the field's value, or the tag's of that name.

    A field "*" makes one point of all fields that were written together.
    """
    if field == "*":
        together = {(time, tuple(sorted(key.tags.items()))) for key, own in points.items() for time, _value in own}
        return sorted((time, 1.0) for time, _tags in together)
    return sorted(
        (time, value if key.field == field else key.tags[field]) for key, own in points.items() for time, value in own
    )


def _aggregate(
    points: dict[SeriesKey, list[tuple[int, Value]]], item: Select, rollup: str, interval: float | None
) -> Column:
    if rollup:
        windows: dict[float | None, list[float]] = {}
        for own in points.values():
            for time, inside in _buckets(own, interval).items():
                value = rolled(inside, rollup)
                if value is not None:
                    windows.setdefault(time, []).append(value)
        return {time: _AGGREGATES[item.function](values) for time, values in windows.items()}
    found: Column = {}
    for time, inside in _buckets(_merged(points, item.field), interval).items():
        if item.function in ("last", "first") and time is None:
            chosen = inside[-1] if item.function == "last" else inside[0]
            found[chosen[0]] = chosen[1]  # the point's own time, as in the vendor's sample answer
        elif item.function == "count":
            found[time] = len(inside)
        elif item.function == "count_distinct":
            found[time] = len({value for _moment, value in inside})
        else:
            found[time] = _AGGREGATES[item.function]([_number(value) for _moment, value in inside])
    return found


def _eval(store: Store, query: Eval, request: Request) -> Answer:
    answers = {code: _select(store, part, request) for code, part in query.parts.items()}
    tags_of = {
        code: {tuple(sorted(series["tags"].items())): series for series in found} for code, found in answers.items()
    }
    shared = set.intersection(*(set(by_tags) for by_tags in tags_of.values()))
    found: Answer = []
    for tags in sorted(shared):
        columns = {code: {row[0]: row[1] for row in by_tags[tags]["values"]} for code, by_tags in tags_of.items()}
        if all(len(column) == 1 for column in columns.values()):  # single values need not be of the same moment
            newest = max((time for column in columns.values() for time in column if time is not None), default=None)
            columns = {code: {newest: next(iter(column.values()))} for code, column in columns.items()}
        times = set.intersection(*(set(column) for column in columns.values()))
        rows: list[list[Any]] = []
        for time in sorted(times, key=lambda time: time or 0, reverse=True):
            rows.append([time, _compute(query.formula, {code: column[time] for code, column in columns.items()})])
        if rows:
            found.append(_series("eval", dict(tags), [query.alias or "eval"], rows))
    return found[: request.slimit]


def _compute(formula: Formula, values: dict[str, float]) -> float | None:
    if isinstance(formula, str):
        return values[formula]
    if not isinstance(formula, Arithmetic):
        return formula
    left, right = _compute(formula.left, values), _compute(formula.right, values)
    if left is None or right is None or (formula.op == "/" and right == 0):
        return None
    return {"+": left + right, "-": left - right, "*": left * right}[formula.op] if formula.op != "/" else left / right


def _show(store: Store, query: Show, request: Request) -> Answer:
    start, end = request.window(query.range)
    # The vendor's text says that show functions ignore the request's range; a range in the query itself is
    # honoured.
    bounded = query.range.start is not None

    def seen(key: SeriesKey) -> bool:
        if query.sources and key.measurement not in query.sources:
            return False
        return query.filter.holds(key.tags) and (not bounded or store.alive(key, start, end))

    series = [key for key in store.series() if seen(key)]
    cut = slice(query.offset, None if query.limit is None else query.offset + query.limit)
    if query.function == "show_measurement":
        rows: list[list[Any]] = [[name] for name in sorted({key.measurement for key in series})][cut]
        return [{"name": "measurements", "columns": ["name"], "values": rows}] if rows else []
    found: Answer = []
    for measurement in sorted({key.measurement for key in series}):
        own = [key for key in series if key.measurement == measurement]
        if query.function == "show_tag_value":
            columns = ["key", "value"]
            rows = [
                list(pair)
                for pair in sorted({(tag, key.tags[tag]) for key in own for tag in query.keyin if tag in key.tags})
            ]
        elif query.function == "show_tag_key":
            columns = ["tagKey"]
            rows = [[tag] for tag in sorted({tag for key in own for tag in key.tags})]
        else:
            columns = ["fieldKey", "fieldType"]
            rows = [[field, "float"] for field in sorted({key.field for key in own})]
        if rows[cut]:
            found.append({"name": measurement, "columns": columns, "values": rows[cut]})
    return found
