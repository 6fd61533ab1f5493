"""Answers PromQL from the store, in the shape of the Open API's `series`.

A query is evaluated at steps over the request's range, as a range query is. Rates are those of MetricsQL, the studio's
own dialect.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tui.lab.studio.dql import QueryError
from tui.lab.studio.evaluate import COLLECTION_MS, Answer, Points, Request, increase, rolled
from tui.lab.studio.promql import Aggregate, Binary, Call, Node, Selector, compiled, parse
from tui.lab.studio.store import Store, Value

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum,
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "count": len,
}
_DEFAULT_WINDOW_MS = 5 * 60_000  # MetricsQL lets rate() go without a window
_LOOKBACK_MS = 5 * 60_000  # a series without a newer point is stale
_MAX_STEPS = 1000


def answer(store: Store, text: str, request: Request, *, instant: bool = False) -> Answer:
    """The series that answer a query over the request's range, newest first. Raises QueryError."""
    node = parse(text)
    start, end = request.start_ms, request.end_ms
    if start > end:
        raise QueryError("the range ends before it starts")
    step = request.interval_ms or max(COLLECTION_MS / request.time_scale, (end - start) / _MAX_STEPS, 1)
    times = [end] if instant else [end - step * at for at in range(int((end - start) // step) + 1)]
    reader = _Reader(store, start, end, request.time_scale)
    rows: dict[Labels, list[list[Any]]] = {}
    for time in times[:_MAX_STEPS]:
        value = reader.at(node, time)
        if isinstance(value, float):
            value = {(): value}
        for labels, number in value.items():
            if math.isfinite(number):
                rows.setdefault(labels, []).append([int(time), number])
    name = text.strip()
    return [
        {"name": name, "tags": dict(labels), "columns": ["time", "value"], "values": values}
        for labels, values in sorted(rows.items())
    ][: request.slimit]


class _Reader:
    """Evaluates nodes at moments; the points of each series are read once."""

    def __init__(self, store: Store, start_ms: float, end_ms: float, time_scale: float) -> None:
        self._store = store
        self._start = start_ms
        self._end = end_ms
        self._scale = time_scale
        self._points: dict[Selector, list[tuple[Labels, Points]]] = {}

    def at(self, node: Node, time: float) -> Vector | float:
        """The value at one moment: a vector by labels, or a number."""
        if isinstance(node, float):
            return node
        if isinstance(node, Selector):
            return self._selected(node, time)
        if isinstance(node, Aggregate):
            return self._aggregated(node, time)
        if isinstance(node, Call):
            return self._called(node, time)
        return self._combined(node, time)

    def _windows(self, selector: Selector, time: float, window: float) -> Iterator[tuple[Labels, Points, Points]]:
        """Each selected series that has points in the window that ends at this time: those, and the one before them if
        it is near enough.
        """
        if selector not in self._points:
            self._points[selector] = [
                (_labels(key.tags), self._store.points(key, self._start - 2 * window, self._end))
                for key in self._store.series(selector.measurement, selector.field)
                if all(_matches(key.tags, matcher) for matcher in selector.matchers)
            ]
        for labels, points in self._points[selector]:
            first = bisect_right(points, time - window, key=_time_of)
            inside = points[first : bisect_right(points, time, key=_time_of)]
            if inside:
                near = first > 0 and points[first - 1][0] > time - window - _usual_gap(points)
                yield labels, inside, points[first - 1 : first] if near else []

    def _selected(self, selector: Selector, time: float) -> Vector:
        if selector.window_ms is not None:
            raise QueryError("a window needs a function over it, as in rate(…[5m])")
        window = _LOOKBACK_MS / self._scale
        found: Vector = {}
        for labels, inside, _before in self._windows(selector, time, window):
            if not isinstance(inside[-1][1], str):
                found[labels] = inside[-1][1]
        return found

    def _called(self, call: Call, time: float) -> Vector | float:
        if call.name == "histogram_quantile":
            return self._quantile(call, time)
        if call.name in ("topk", "bottomk"):
            return self._most(call, time)
        if call.name == "time":
            return time / 1000
        if call.name == "vector":
            assert isinstance(call.arguments[0], float)
            return {(): call.arguments[0]}
        selector = call.arguments[0]
        assert isinstance(selector, Selector)
        window = (selector.window_ms or _DEFAULT_WINDOW_MS) / self._scale
        found: Vector = {}
        for labels, inside, before in self._windows(selector, time, window):
            # As MetricsQL has it, a counter's growth begins with the point before the window.
            value = _over_time(call.name, [*before, *inside] if call.name in ("rate", "irate") else inside)
            if value is not None:
                found[labels] = value
        return found

    def _aggregated(self, node: Aggregate, time: float) -> Vector:
        vector = self.at(node.node, time)
        if isinstance(vector, float):
            raise QueryError(f"{node.name}() takes series, not a number")
        groups: dict[Labels, list[float]] = {}
        for labels, value in vector.items():
            kept = dict(labels)
            groups.setdefault(_labels({tag: kept[tag] for tag in node.by if tag in kept}), []).append(value)
        return {labels: float(_AGGREGATES[node.name](values)) for labels, values in groups.items()}

    def _most(self, call: Call, time: float) -> Vector:
        number, vector = call.arguments[0], self.at(call.arguments[1], time)
        if isinstance(vector, float) or not isinstance(number, float):
            raise QueryError(f"{call.name}() takes a number and series")
        ranked = sorted(vector.items(), key=lambda item: item[1], reverse=call.name == "topk")
        return dict(ranked[: int(number)])

    def _combined(self, node: Binary, time: float) -> Vector | float:
        left, right = self.at(node.left, time), self.at(node.right, time)
        if node.op == "or":
            if isinstance(left, float) or isinstance(right, float):
                raise QueryError("or joins series, not numbers")
            return {**right, **left}
        if node.op in _COMPARISONS:
            return self._kept(_COMPARISONS[node.op], left, right)
        if isinstance(left, float) and isinstance(right, float):
            return _arithmetic(node.op, left, right)
        if isinstance(left, float):
            assert isinstance(right, dict)
            return {labels: _arithmetic(node.op, left, value) for labels, value in right.items()}
        if isinstance(right, float):
            return {labels: _arithmetic(node.op, value, right) for labels, value in left.items()}
        return {labels: _arithmetic(node.op, left[labels], right[labels]) for labels in left if labels in right}

    def _kept(
        self, holds: Callable[[float, float], bool], left: Vector | float, right: Vector | float
    ) -> Vector | float:
        """The values of the side that is series (of the left if both are) for which the comparison holds."""
        if isinstance(left, float):
            if isinstance(right, float):
                raise QueryError("a comparison needs series")
            return {labels: value for labels, value in right.items() if holds(left, value)}
        if isinstance(right, float):
            return {labels: value for labels, value in left.items() if holds(value, right)}
        return {labels: value for labels, value in left.items() if labels in right and holds(value, right[labels])}

    def _quantile(self, call: Call, time: float) -> Vector:
        quantile, buckets = call.arguments[0], self.at(call.arguments[1], time)
        assert isinstance(quantile, float)
        if isinstance(buckets, float):
            raise QueryError("histogram_quantile() takes buckets, not a number")
        groups: dict[Labels, list[tuple[float, float]]] = {}
        for labels, value in buckets.items():
            tags = dict(labels)
            try:
                bound = float(tags.pop("le").replace("+Inf", "inf"))
            except (KeyError, ValueError):
                continue  # as Prometheus does with series that are no buckets
            groups.setdefault(_labels(tags), []).append((bound, value))
        return {labels: quantile_of(sorted(pairs), quantile) for labels, pairs in groups.items()}


def quantile_of(buckets: Sequence[tuple[float, float]], quantile: float) -> float:
    """The quantile of cumulative buckets (upper bound, count), straight between bounds; NaN where nothing
    was counted.
    """
    total = buckets[-1][1]
    if len(buckets) < 2 or not math.isinf(buckets[-1][0]) or total <= 0:
        return math.nan
    rank = quantile * total
    at = next(index for index, (_bound, count) in enumerate(buckets) if count >= rank)
    if at == len(buckets) - 1:
        return buckets[-2][0]
    lower, before = buckets[at - 1] if at else (0.0, 0.0)
    upper, count = buckets[at]
    return upper if count == before else lower + (upper - lower) * (rank - before) / (count - before)


def _time_of(point: tuple[int, Value]) -> int:
    return point[0]


def _usual_gap(points: Points) -> float:
    """How far apart a series' points may be and still follow each other: an eighth more than 6 of 10 are
    (VictoriaMetrics, app/vmselect/promql/rollup.go: getScrapeInterval, getMaxPrevInterval).
    """
    gaps = sorted(after[0] - before[0] for before, after in pairwise(points[:21]))
    if not gaps:
        return 0.0
    at = 0.6 * (len(gaps) - 1)
    lower, upper = gaps[math.floor(at)], gaps[math.ceil(at)]
    return (lower + (upper - lower) * (at % 1)) * 9 / 8


def _over_time(name: str, points: Points) -> float | None:
    if name in ("rate", "irate"):
        return rolled(points, name)
    if name == "increase":
        return increase(points) if len(points) > 1 else None
    if name == "delta":
        first, last = rolled(points, "first"), rolled(points, "last")
        return None if first is None or last is None else last - first
    return rolled(points, name.removesuffix("_over_time"))


def _arithmetic(op: str, left: float, right: float) -> float:
    if op == "/":
        return left / right if right else math.nan
    return {"+": left + right, "-": left - right, "*": left * right}[op]


def _matches(tags: Mapping[str, str], matcher: tuple[str, str, str]) -> bool:
    label, op, value = matcher
    given = tags.get(label, "")
    if op in ("=", "!="):
        return (given == value) == (op == "=")
    return (compiled(value).fullmatch(given) is not None) == (op == "=~")


def _labels(tags: Mapping[str, str]) -> Labels:
    return tuple(sorted(tags.items()))
