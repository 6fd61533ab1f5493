"""What a DQL query says, once it is read: statements, show functions and arithmetic over statements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


class QueryError(Exception):
    """The query cannot be read, or asks for what this studio does not have."""


@dataclass(frozen=True)
class Condition:
    """`tag op values`; op is "=", "!=", "in", "not in", "=~" or "!~"."""

    tag: str
    op: str
    values: tuple[str, ...]

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether a series with these tags passes; a tag it lacks counts as empty."""
        value = tags.get(self.tag, "")
        if self.op in ("=~", "!~"):
            return (re.search(self.values[0], value) is not None) == (self.op == "=~")
        return (value in self.values) == (self.op in ("=", "in"))


@dataclass(frozen=True)
class Both:
    """All (`all` true) or any of some filters."""

    all: bool
    parts: tuple[Filter, ...]

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether a series with these tags passes."""
        return (all if self.all else any)(part.holds(tags) for part in self.parts)


Filter = Condition | Both
EVERYTHING = Both(True, ())


@dataclass(frozen=True)
class Select:
    """A column: a field, or an aggregate of one (`function` "" for the points themselves).

    The field "*", which only count() takes, is the points themselves, whatever fields they have.
    """

    field: str
    function: str = ""
    alias: str = ""

    @property
    def column(self) -> str:
        """The column's name in the answer."""
        return self.alias or (f"{self.function}({self.field})" if self.function else self.field)


@dataclass(frozen=True)
class Moment:
    """A bound of the range: a duration before now (ms of the studio's own time), or an epoch in ms."""

    ms: float
    ago: bool


@dataclass(frozen=True)
class Range:
    """`[start:end:interval:rollup]`; interval in ms, 0 for auto, None where absent."""

    start: Moment | None = None
    end: Moment | None = None
    interval_ms: float | None = None
    rollup: str = ""


@dataclass(frozen=True)
class Statement:
    """`M::source:(select) {filter} [range] BY tags ORDER BY time LIMIT SLIMIT`; O:: and L:: likewise."""

    measurement: str
    select: tuple[Select, ...]
    filter: Filter = EVERYTHING
    range: Range = Range()
    by: tuple[str, ...] = ()
    descending: bool = True
    limit: int | None = None
    offset: int = 0
    slimit: int | None = None
    soffset: int = 0
    namespace: str = "M"


@dataclass(frozen=True)
class Show:
    """A show function: `keyin` is a tag or None, `sources` the measurements or () for all."""

    function: str
    sources: tuple[str, ...]
    keyin: tuple[str, ...]
    filter: Filter = EVERYTHING
    range: Range = Range()
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class Arithmetic:
    """`left op right`, leaves being codes ("A") or numbers."""

    op: str
    left: Formula
    right: Formula


Formula = Arithmetic | str | float


@dataclass(frozen=True)
class Eval:
    """`eval(formula, alias='…', A="…", …)`."""

    formula: Formula
    alias: str
    parts: Mapping[str, Statement]
