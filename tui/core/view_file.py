"""Reads a view's file, and says where it does not fit. A misspelt key is an error, never ignored."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tui.core.errors import UsageError
from tui.core.query import NAMESPACES, Condition, Query
from tui.core.view_schema import (
    CHARTS,
    CODES,
    COLUMNS,
    LANGUAGES,
    PRESETS,
    SETTINGS,
    SOURCES,
    UNITS,
    Group,
    Line,
    Panel,
    Text,
    Variable,
    View,
)


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

    def has(self, key: str) -> bool:
        return key in self._left

    def one_of(self, key: str, allowed: Any, default: Any = ...) -> str:
        value: str = self.take(key, str, default)
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


@dataclass(frozen=True)
class _Scope:
    """What the panels of a file share: conditions, tags to group by, and settings."""

    measurement: str
    variables: Mapping[str, Variable]
    where: tuple[Condition, ...] = ()
    by: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    named: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)


def parse(text: str) -> View:
    """Read a view's file. Raises SchemaError for what does not fit, which a test finds before a person does."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(str(error)) from None
    table = _Table(raw, str(raw.get("key", "view")))
    measurement = table.take("measurement", str)
    variables: dict[str, Variable] = {}
    for row in table.tables("variable", "code"):
        variable = _variable(row, measurement, variables)
        if variable.code in variables:
            raise SchemaError(f"{row.where}: it is there twice")
        variables[variable.code] = variable
    scope = _Scope(
        measurement,
        variables,
        _chosen(table, "filter", variables, []),
        table.texts("by", []),
        table.texts("settings", []),
    )
    named = {
        name: _conditions(_Table(body, f"{table.where} scope {name}"), scope, whole=True)
        for name, body in table.take("scope", dict, {}).items()
    }
    scope = replace(scope, named=named)
    groups = tuple(_group(row) for row in table.tables("group", "key"))
    sections = {group.key for group in groups}
    panels = []
    for row in table.tables("panel", "key"):
        panels.append(_panel(row, scope))
        if panels[-1].group not in sections:
            raise SchemaError(f"{row.where}: there is no group {panels[-1].group}")
    found = View(
        table.take("key", str),
        table.take("number", str),
        measurement,
        table.translated("title"),
        table.translated("name", {}),
        tuple(variables.values()),
        groups,
        tuple(panels),
    )
    table.done()
    _check(found)
    return found


def _variable(table: _Table, measurement: str, before: Mapping[str, Variable]) -> Variable:
    code = table.take("code", str)
    where = _chosen(table, "within", before, [])
    where += tuple(Condition(tag, str(value)) for tag, value in table.take("where", dict, {}).items())
    bound = table.take("bind", dict, {})
    found = Variable(
        code,
        table.translated("title"),
        table.take("measurement", str, measurement),
        table.take("tag", str, code),
        where + tuple(_known(table, other, before).chosen(tag) for tag, other in bound.items()),
        table.take("lookback", str),
        table.take("default", str, ""),
    )
    table.done()
    return found


def _known(table: _Table, code: str, variables: Mapping[str, Variable]) -> Variable:
    if code not in variables:
        raise SchemaError(f"{table.where}: there is no variable {code}")
    return variables[code]


def _chosen(table: _Table, key: str, variables: Mapping[str, Variable], default: list[str]) -> tuple[Condition, ...]:
    return tuple(_known(table, code, variables).chosen() for code in table.texts(key, default))


def _conditions(table: _Table, scope: _Scope, *, whole: bool = False) -> tuple[Condition, ...]:
    """`filter` (codes of variables), `bind` (tag = code), `where` (=), `match` (=~) and `unmatch` (!~)."""
    found = [_known(table, code, scope.variables).chosen() for code in table.texts("filter", [])]
    found += [_known(table, code, scope.variables).chosen(tag) for tag, code in table.take("bind", dict, {}).items()]
    for key, op in (("where", "="), ("match", "=~"), ("unmatch", "!~")):
        found += [Condition(tag, str(value), op) for tag, value in table.take(key, dict, {}).items()]
    if whole:
        table.done()
    return tuple(found)


def _group(table: _Table) -> Group:
    found = Group(table.take("key", str), table.translated("title"))
    table.done()
    return found


def _panel(table: _Table, scope: _Scope) -> Panel:
    place = table.take("place", list)
    if len(place) != 4 or not all(isinstance(number, int) for number in place):
        raise SchemaError(f"{table.where}: place is not x, y, width, height")
    lines = tuple(line for row in table.tables("query", "field") for line in _lines(row, scope))
    if not 1 <= len(lines) <= len(CODES):
        raise SchemaError(f"{table.where}: {len(lines)} queries")
    key = table.take("key", str)
    settings = (*scope.settings, *table.texts("settings", []))
    if unknown := set(settings) - set(SETTINGS):
        raise SchemaError(f"{table.where}: there is no setting {', '.join(sorted(unknown))}")
    found = Panel(
        key,
        table.take("group", str),
        table.translated("title"),
        table.translated("note", {}),
        table.one_of("source", SOURCES),
        table.one_of("chart", CHARTS),
        table.one_of("unit", UNITS),
        table.one_of("preset", (*PRESETS, ""), ""),
        (place[0], place[1], place[2], place[3]),
        lines,
        table.take("formula", str, ""),
        table.take("ref", str, key),
        settings,
    )
    table.done()
    return found


def _lines(table: _Table, scope: _Scope) -> list[Line]:
    """The lines of one query: one, or one for each of its quantiles."""
    name = table.take("scope", str, "")
    if name and name not in scope.named:
        raise SchemaError(f"{table.where}: there is no scope {name}")
    where = scope.named[name] if name else scope.where
    if table.has("filter"):
        where = ()
    where += _conditions(table, scope)
    part_of = {key: table.take(key, dict, {}) for key in ("part", "share")}
    if all(part_of.values()):
        raise SchemaError(f"{table.where}: part and share exclude each other")
    part = _Table(part_of["part"] or part_of["share"], f"{table.where} part")
    rollup = table.texts("rollup", ["", ""])
    if len(rollup) != 2:
        raise SchemaError(f"{table.where}: rollup is not a function and a window")
    try:
        query = Query(
            table.take("measurement", str, scope.measurement),
            table.take("field", str),
            table.take("function", str, ""),
            where,
            table.texts("by", list(scope.by)),
            rollup=rollup[0],
            window=rollup[1],
            lookback=table.take("lookback", str, ""),
            quantile=table.take("quantile", float, None),
            namespace=table.one_of("namespace", NAMESPACES, "M"),
            part=_conditions(part, scope, whole=True),
            share=bool(part_of["share"]),
            zero=table.take("zero", bool, False),
            countdown=table.take("countdown", bool, False),
            prom=table.take("prom", bool, False),
        )
        label, unit = table.translated("label", {}), table.one_of("unit", (*UNITS, ""), "")
        quantiles = table.take("quantiles", list, [])
        table.done()
        if not quantiles:
            return [Line(query, label, unit)]
        return [
            Line(replace(query, quantile=float(one)), _prefixed(label, f"P{one * 100:g}"), unit) for one in quantiles
        ]
    except UsageError as error:
        raise SchemaError(f"{table.where}: {error.what} {error.object}") from None


def _prefixed(label: Text, text: str) -> Text:
    return {language: f"{label[language]} {text}" if label else text for language in LANGUAGES}


def _check(view: View) -> None:
    """What no single table can tell: unique keys, panels that lie on the grid and on no other, texts that
    can be made.
    """
    keys = [panel.key for panel in view.panels]
    if len(set(keys)) != len(keys):
        raise SchemaError(f"{view.key}: a panel's key is there twice")
    if not view.panels:
        raise SchemaError(f"{view.key}: a view without panels")
    _check_titles(view)
    for at, panel in enumerate(view.panels):
        x, y, width, height = panel.place
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > COLUMNS:
            raise SchemaError(f"{view.key} {panel.key}: lies outside the grid")
        for other in view.panels[:at]:
            left, top, wide, high = other.place
            beside = x >= left + wide or left >= x + width or y >= top + high or top >= y + height
            if other.group == panel.group and not beside:
                raise SchemaError(f"{view.key} {panel.key}: lies on {other.key}")
        try:
            panel.queries()
            for language in LANGUAGES:
                _distinct(panel, language)
        except UsageError as error:
            raise SchemaError(f"{view.key} {panel.key}: {error.what} {error.object}") from None


def _check_titles(view: View) -> None:
    """A panel is found again by its group and title, so both must tell it from all others."""
    for language in LANGUAGES:
        titles = [(panel.group, panel.title[language]) for panel in view.panels]
        if len(set(titles)) < len(titles) or len({group.title[language] for group in view.groups}) < len(view.groups):
            raise SchemaError(f"{view.key}: a title is there twice in {language}")


def _distinct(panel: Panel, language: str) -> None:
    """A legend or a table's head that says the same twice says nothing."""
    labels = [line.label[language] if line.label else "" for line in panel.lines]
    if not panel.formula and len(set(labels)) < len(labels):
        raise UsageError("two lines have one label", object=language)
