"""The shape of a monitoring view, and the reader that checks a view's file against it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from tui.core.query import Condition, Query, expression

COLUMNS = 24
SOURCES = ("built-in", "grafana", "proposed")
CHARTS = ("sequence", "toplist", "singlestat")
PRESETS = ("tutorial", "recommended", "full")
LANGUAGES = ("zh", "en")
CODES = "ABCDEFGH"
# The studio's pair for each unit; a pair in two languages where it is a word.
UNITS: dict[str, tuple[str, str] | dict[str, tuple[str, str]]] = {
    "none": ("custom", ""),
    "count": {"zh": ("custom", "个"), "en": ("custom", "")},
    "times": {"zh": ("custom", "次"), "en": ("custom", "")},
    "bytes": ("digital", "B"),
    "bytes/s": ("traffic", "B/S"),
    "seconds": ("time", "s"),
    "requests/s": ("throughput", "reqps"),
    "operations/s": ("throughput", "ops"),
}

Text = Mapping[str, str]  # by language


def translation(text: Text, language: str) -> str:
    """The text in a language, English for those that are not ours."""
    return text["zh" if language == "zh" else "en"]


@dataclass(frozen=True)
class Variable:
    """A drop-down of the view: the values of the tag `code` in the last `lookback`, narrowed by the
    variables `within`.
    """

    code: str
    title: Text
    within: tuple[str, ...]
    lookback: str


@dataclass(frozen=True)
class Group:
    """A section of the view."""

    key: str
    title: Text


@dataclass(frozen=True)
class Line:
    """One query of a panel and the name of its lines (empty: the panel's title)."""

    query: Query
    label: Text


@dataclass(frozen=True)
class Panel:
    """One chart. `place` is (x, y, width, height); `preset` "" where no preset of etcd.conf feeds it."""

    key: str
    group: str
    title: Text
    note: Text
    source: str
    chart: str
    unit: str
    preset: str
    place: tuple[int, int, int, int]
    lines: tuple[Line, ...]
    formula: str = ""

    @property
    def histogram(self) -> bool:
        """Whether it needs the buckets of a histogram."""
        return any(line.query.quantile is not None for line in self.lines)

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The (measurement, field) pairs that must arrive for the panel to be filled."""
        return tuple(
            (query.measurement, query.field + ("_bucket" if query.quantile is not None else ""))
            for query in (line.query for line in self.lines)
        )

    def queries(self, values: Mapping[str, str] | None = None) -> list[str]:
        """Its texts, each DQL or (as PromQL) PromQL: with `#{variable}`, or with these values filled in.

        A variable without a value means all.
        """
        queries = [line.query if values is None else line.query.bound(values) for line in self.lines]
        if self.formula:
            return [expression(self.formula, dict(zip(CODES, queries, strict=False)))]
        return [query.text() for query in queries]


@dataclass(frozen=True)
class View:
    """One of the seven. `number` is the tutorial's section; a view that is `coming` has no panels yet."""

    key: str
    number: str
    measurement: str
    titles: Text
    names: Text
    coming: bool = False
    variables: tuple[Variable, ...] = ()
    groups: tuple[Group, ...] = ()
    panels: tuple[Panel, ...] = ()

    def title(self, language: str) -> str:
        """What the tutorial calls the view."""
        return translation(self.titles, language)

    def name(self, language: str) -> str:
        """What the tutorial calls the dashboard made from it: the name to propose."""
        return translation(self.names or self.titles, language)


# Reading a view's file


class SchemaError(Exception):
    """A file of the catalogue is wrong: which key of which part."""


class _Table:
    """A table of the file whose keys are all taken one by one, so that a misspelt key is found."""

    def __init__(self, table: Any, where: str) -> None:
        if not isinstance(table, dict):
            raise SchemaError(f"{where}: not a table")
        self._left = dict(table)
        self.where = where

    def take(self, key: str, kind: type, default: Any = ...) -> Any:
        value = self._left.pop(key, default)
        if value is ...:
            raise SchemaError(f"{self.where}: {key} is missing")
        if value is not default and not isinstance(value, kind):
            raise SchemaError(f"{self.where}: {key} is no {kind.__name__}")
        return value

    def one_of(self, key: str, allowed: Any) -> str:
        value: str = self.take(key, str)
        if value not in allowed:
            raise SchemaError(f"{self.where}: {key} is {value!r}")
        return value

    def texts(self, key: str, default: Any = ...) -> tuple[str, ...]:
        values = self.take(key, list, default)
        if not all(isinstance(value, str) for value in values):
            raise SchemaError(f"{self.where}: {key} holds more than texts")
        return tuple(values)

    def translated(self, key: str, default: Any = ...) -> Text:
        text: Text = self.take(key, dict, default)
        if text and (set(text) != set(LANGUAGES) or not all(isinstance(word, str) for word in text.values())):
            raise SchemaError(f"{self.where}: {key} needs {' and '.join(LANGUAGES)}")
        return text

    def tables(self, key: str, name: str) -> list[_Table]:
        rows = self.take(key, list, [])
        return [
            _Table(row, f"{self.where} {key} {row.get(name, at) if isinstance(row, dict) else at}")
            for at, row in enumerate(rows)
        ]

    def done(self) -> None:
        if self._left:
            raise SchemaError(f"{self.where}: unknown {', '.join(self._left)}")


def parse(text: str) -> View:
    """Read a view's file. Raises SchemaError for what does not fit, which a test finds before a person does."""
    raw = tomllib.loads(text)
    table = _Table(raw, str(raw.get("key", "view")))
    measurement = table.take("measurement", str)
    filter_, by = table.texts("filter", []), table.texts("by", [])
    variables = tuple(_parse_variable(row) for row in table.tables("variable", "code"))
    groups = tuple(_parse_group(row) for row in table.tables("group", "key"))
    codes, sections = {variable.code for variable in variables}, {group.key for group in groups}
    panels = []
    for row in table.tables("panel", "key"):
        panels.append(_parse_panel(row, measurement, filter_, by, codes))
        if panels[-1].group not in sections:
            raise SchemaError(f"{row.where}: there is no group {panels[-1].group}")
    found = View(
        table.take("key", str),
        table.take("number", str),
        measurement,
        table.translated("title"),
        table.translated("name", {}),
        table.take("coming", bool, False),
        variables,
        groups,
        tuple(panels),
    )
    table.done()
    _check(found)
    return found


def _parse_variable(table: _Table) -> Variable:
    found = Variable(
        table.take("code", str),
        table.translated("title"),
        table.texts("within", []),
        table.take("lookback", str),
    )
    table.done()
    return found


def _parse_group(table: _Table) -> Group:
    found = Group(table.take("key", str), table.translated("title"))
    table.done()
    return found


def _parse_panel(
    table: _Table, measurement: str, filter_: tuple[str, ...], by: tuple[str, ...], codes: Set[str]
) -> Panel:
    place = table.take("place", list)
    if len(place) != 4 or not all(isinstance(number, int) for number in place):
        raise SchemaError(f"{table.where}: place is not x, y, width, height")
    lines = tuple(_parse_line(row, measurement, filter_, by, codes) for row in table.tables("query", "field"))
    if not 1 <= len(lines) <= len(CODES):
        raise SchemaError(f"{table.where}: {len(lines)} queries")
    found = Panel(
        table.take("key", str),
        table.take("group", str),
        table.translated("title"),
        table.translated("note", {}),
        table.one_of("source", SOURCES),
        table.one_of("chart", CHARTS),
        table.one_of("unit", UNITS),
        table.one_of("preset", (*PRESETS, "")),
        (place[0], place[1], place[2], place[3]),
        lines,
        table.take("formula", str, ""),
    )
    table.done()
    return found


def _parse_line(
    table: _Table, measurement: str, filter_: tuple[str, ...], by: tuple[str, ...], codes: Set[str]
) -> Line:
    where = []
    for code in table.texts("filter", list(filter_)):
        if code not in codes:
            raise SchemaError(f"{table.where}: there is no variable {code}")
        where.append(Condition(code, code, variable=True))
    for key, op in (("where", "="), ("match", "=~")):
        where += [Condition(tag, str(value), op) for tag, value in table.take(key, dict, {}).items()]
    rollup = table.texts("rollup", ["", ""])
    if len(rollup) != 2:
        raise SchemaError(f"{table.where}: rollup is not a function and a window")
    query = Query(
        table.take("measurement", str, measurement),
        table.take("field", str),
        table.take("function", str, ""),
        tuple(where),
        table.texts("by", list(by)),
        rollup=rollup[0],
        window=rollup[1],
        lookback=table.take("lookback", str, ""),
        quantile=table.take("quantile", float, None),
    )
    found = Line(query, table.translated("label", {}))
    table.done()
    return found


def _check(view: View) -> None:
    """What no single table can tell: unique keys, panels that lie on the grid and on no other, texts that
    can be made.
    """
    keys = [panel.key for panel in view.panels]
    if len(set(keys)) != len(keys):
        raise SchemaError(f"{view.key}: a panel's key is there twice")
    if view.coming == bool(view.panels):
        raise SchemaError(f"{view.key}: a view is either coming or has panels")
    taken: dict[tuple[str, int, int], str] = {}
    for panel in view.panels:
        x, y, width, height = panel.place
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > COLUMNS:
            raise SchemaError(f"{view.key} {panel.key}: lies outside the grid")
        for cell in ((panel.group, column, row) for column in range(x, x + width) for row in range(y, y + height)):
            if cell in taken:
                raise SchemaError(f"{view.key} {panel.key}: lies on {taken[cell]}")
            taken[cell] = panel.key
        panel.queries()
