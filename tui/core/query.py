"""Queries to the studio: from data to DQL and PromQL text.

Names and values come from clusters, conf files and people, so nothing goes into a query unchecked: DQL's
rules for backslashes inside quotes are not documented, hence what would need one is refused rather than
escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from tui.core.errors import UsageError
from tui.i18n import _

_CLUSTER = re.compile(r"[A-Za-z0-9._-]{1,128}")
_DURATION = re.compile(r"[1-9][0-9]*(ms|s|m|h|d|w)")
# The aggregates and rollups that metrics accept (DQL "define" and "funcs" pages), as far as the views use
# them.
FUNCTIONS = frozenset({"last", "first", "avg", "sum", "min", "max", "count", "count_distinct", "spread"})
# M metrics, O the newest state of each object, L logs and events.
NAMESPACES = {"M": "metric", "O": "object", "L": "logging"}
ROLLUPS = frozenset({"last", "first", "avg", "sum", "min", "max", "count", "rate", "irate"})
_PROMQL_AGGREGATES = {"last": "avg", "first": "avg", "spread": "max"}


class PromQL(str):
    """The text of a query in PromQL; a plain str is DQL."""

    __slots__ = ()


def cluster_name(value: str) -> str:
    """`value` if it can name a cluster in queries and tags: letters, digits, dot, underscore and hyphen.
    Else UsageError.
    """
    if not _CLUSTER.fullmatch(value):
        raise UsageError(
            _("The cluster's name cannot be used."),
            object=repr(value)[:140],
            why=_("It goes into the queries of all views as it is."),
            remedy=_("Use letters, digits, dots, underscores and hyphens, at most 128."),
        )
    return value


@lru_cache(maxsize=1024)
def identifier(name: str) -> str:
    """A measurement, field or tag in backticks. Raises UsageError for a name that could break out of them."""
    if not name or any(character in "`#\\" or not character.isprintable() for character in name):
        raise UsageError(_("This name cannot stand in a query."), object=repr(name)[:140])
    return f"`{name}`"


@lru_cache(maxsize=1024)
def literal(value: str) -> str:
    """A tag's value in single quotes. Raises UsageError for a value that could break out, or be taken for
    a variable.
    """
    if any(character in "'\"`\\" or not character.isprintable() for character in value) or "#{" in value:
        raise UsageError(_("This value cannot stand in a query."), object=repr(value)[:140])
    return f"'{value}'"


@dataclass(frozen=True)
class Condition:
    """One condition on a tag. `op` is "=", "!=", "=~" or "!~"; with `variable`, `value` is the code of a
    view's variable, and `default` what it is where nothing was chosen ("" all).
    """

    tag: str
    value: str
    op: str = "="
    variable: bool = False
    default: str = ""

    def dql(self) -> str:
        """The condition as DQL writes it."""
        name = identifier(self.tag)
        if self.variable:
            return f"{name} = '#{{{_code(self.value)}}}'"
        if self.op in ("=~", "!~"):
            return f"{name} {'=' if self.op == '=~' else '!='} re({literal(self.value)})"
        return f"{name} {self.op} {literal(self.value)}"

    def promql(self) -> str:
        """The condition as a label matcher; variables match as patterns, because "all" is one."""
        if self.variable:
            return f'{_label(self.tag)}=~"#{{{_code(self.value)}}}"'
        return f'{_label(self.tag)}{self.op}"{literal(self.value)[1:-1]}"'

    def bound(self, values: Mapping[str, str]) -> Condition | None:
        """The condition with its variable's value; None where it has none, which means all."""
        if not self.variable:
            return self
        value = values.get(self.value) or self.default
        return Condition(self.tag, value) if value else None


def _code(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise UsageError(_("This is not a variable's code."), object=repr(text)[:140])
    return text


_label = _code


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise UsageError(
            _("This is not a duration of a query."), object=repr(text)[:140], remedy=_("Write it like 5m.")
        )
    return text


@dataclass(frozen=True)
class Query:
    """A query of one field. Without `function` it selects the points themselves.

    `lookback` ("1d") is a time range in the text, else the request's holds. `rollup` is applied to each
    series before `function` joins them, in windows of `window` ("5m", or "auto"): a counter's rate is
    ("rate", "5m"), and a sum over series of gauges is ("last", "auto").

    These make it PromQL, because DQL lacks them or leaves open what they answer where nothing was counted:
    `quantile`, histogram_quantile over the field's buckets; `part`, what of all also meets these conditions
    (0 where none does, nothing where there is nothing at all), with `share` as a fraction of all; `zero`, 0
    instead of nothing; `countdown`, the seconds from now until the value, a unix time; `prom`, nothing else.
    """

    measurement: str
    field: str
    function: str = ""
    where: tuple[Condition, ...] = ()
    by: tuple[str, ...] = ()
    rollup: str = ""
    window: str = ""
    lookback: str = ""
    alias: str = ""
    quantile: float | None = None
    namespace: str = "M"
    part: tuple[Condition, ...] = ()
    share: bool = False
    zero: bool = False
    countdown: bool = False
    prom: bool = False

    def __post_init__(self) -> None:
        if self.function and self.function not in FUNCTIONS:
            raise UsageError(_("This function is not known here."), object=self.function)
        if self.rollup and self.rollup not in ROLLUPS:
            raise UsageError(_("This rollup is not known here."), object=self.rollup)
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise UsageError(_("A quantile lies between 0 and 1."), object=str(self.quantile))
        if self.namespace not in NAMESPACES:
            raise UsageError(_("This namespace is not known here."), object=self.namespace)
        if self.namespace != "M" and (self.rollup or self.in_promql):
            raise UsageError(_("Only metrics have rollups and PromQL."), object=self.field)
        if (self.field == "*") != (self.function == "count" and self.namespace == "L"):
            raise UsageError(_("Logs are counted as a whole, and nothing else is."), object=self.field)
        if self.share and not self.part:
            raise UsageError(_("A share needs the conditions of its part."), object=self.field)

    @property
    def in_promql(self) -> bool:
        """Whether only PromQL can say it."""
        return self.quantile is not None or bool(self.part) or self.zero or self.countdown or self.prom

    @property
    def source(self) -> str:
        """Where its points are: a measurement, or "O::class" and "L::source"."""
        return self.measurement if self.namespace == "M" else f"{self.namespace}::{self.measurement}"

    @property
    def stored(self) -> str:
        """The field that must have arrived: of a histogram its buckets, "*" where any will do."""
        return self.field + ("_bucket" if self.quantile is not None else "")

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that its points must carry."""
        return tuple(dict.fromkeys([*(c.tag for c in (*self.where, *self.part)), *self.by]))

    def dql(self) -> str:
        """The query as DQL. Raises UsageError for a quantile, which DQL does not have for metrics."""
        if self.in_promql:
            raise UsageError(_("DQL cannot say this query."), object=self.field)
        select = identifier(self.field)
        if self.function:
            select = f"{self.function}({select})"
        if self.alias:
            select += f" AS {identifier(self.alias)}"
        text = f"{self.namespace}::{identifier(self.measurement)}:({select})"
        if self.where:
            text += " { " + " and ".join(condition.dql() for condition in self.where) + " }"
        if self.rollup:
            window = self.window if self.window == "auto" else _duration(self.window)
            text += f" [{_duration(self.lookback) if self.lookback else ''}::{window}:{self.rollup}]"
        elif self.lookback:
            text += f" [{_duration(self.lookback)}]"
        if self.by:
            text += " BY " + ", ".join(identifier(tag) for tag in self.by)
        return text

    def promql(self) -> PromQL:
        """The query as PromQL, with metrics named `measurement:field` as the studio names them."""
        if self.namespace != "M":
            raise UsageError(_("PromQL knows metrics only."), object=self.source)
        text = everything = self._joined(self.where)
        if self.part:
            text = f"{self._joined((*self.where, *self.part))} or {everything} * 0"
        if self.share:
            text = f"({text}) / ({everything} > 0)"
        if self.zero:
            text = f"{text} or vector(0)"
        return PromQL(f"{text} - time()" if self.countdown else text)

    def _joined(self, where: tuple[Condition, ...]) -> str:
        """The series that meet these conditions, rolled up and joined by the query's tags."""
        matchers = ",".join(condition.promql() for condition in where)
        selector = f"{_metric(self.measurement)}:{_metric(self.stored)}" + (f"{{{matchers}}}" if matchers else "")
        if self.rollup in ("rate", "irate"):
            selector = f"{self.rollup}({selector}[{_duration(self.window)}])"
        by = [_label(tag) for tag in self.by]
        if self.quantile is not None:
            labels = ", ".join([*by, "le"])
            return f"histogram_quantile({self.quantile:g}, sum by ({labels}) ({selector}))"
        if not self.function:
            return selector
        function = _PROMQL_AGGREGATES.get(self.function, self.function)
        return f"{function} by ({', '.join(by)}) ({selector})" if by else f"{function}({selector})"

    def text(self) -> str:
        """The query in the language it needs: PromQL where only that can say it, else DQL."""
        return self.promql() if self.in_promql else self.dql()

    def bound(self, values: Mapping[str, str]) -> Query:
        """The query with the view's variables filled in; conditions on variables that are not given fall away."""
        where = tuple(bound for condition in self.where if (bound := condition.bound(values)) is not None)
        return replace(self, where=where)


def _metric(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(_("This name cannot stand in PromQL."), object=repr(name)[:140])
    return name


def expression(formula: str, queries: Mapping[str, Query], *, alias: str = "") -> str:
    """Arithmetic over several queries: `formula` is over their codes, e.g. "A-B" with {"A": …, "B": …}.

    DQL's `eval`, or PromQL as soon as one of the queries needs it.
    """
    if not re.fullmatch(r"[A-Z0-9+\-*/(). ]+", formula) or not set(re.findall(r"[A-Z]", formula)) == set(queries):
        raise UsageError(_("This formula does not fit its queries."), object=formula)
    if any(query.in_promql for query in queries.values()):
        return PromQL(re.sub(r"[A-Z]", lambda code: f"({queries[code[0]].promql()})", formula))
    parts = [formula]
    if alias:
        parts.append(f"alias={literal(alias)}")
    for code, query in queries.items():
        text = query.dql()
        if '"' in text:
            raise UsageError(_("This name cannot stand in a formula's query."), object=text[:140])
        parts.append(f'{code}="{text}"')
    return f"eval({', '.join(parts)})"


def newest(measurement: str, field: str, where: tuple[Condition, ...] = (), by: tuple[str, ...] = ()) -> str:
    """The newest point of each group with its time: an aggregate's time may be missing, a point's never is."""
    return Query(measurement, field, where=where, by=by).dql() + " ORDER BY time DESC LIMIT 1"


def latest(measurement: str, field: str, most: int, by: tuple[str, ...] = (), where: tuple[Condition, ...] = ()) -> str:
    """The newest points of each group, the newest first, at most so many."""
    return Query(measurement, field, where=where, by=by).dql() + f" ORDER BY time DESC LIMIT {int(most)}"


def tag_values(measurement: str, tag: str, *, where: tuple[Condition, ...] = (), lookback: str = "10m") -> str:
    """The values of a tag, as a view's variable asks for them."""
    text = f"show_tag_value(from=[{literal(measurement)}], keyin=[{literal(tag)}])"
    if where:
        text += "{" + " and ".join(condition.dql() for condition in where) + "}"
    return f"{text}[{_duration(lookback)}]"
