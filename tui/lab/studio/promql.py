"""PromQL as far as the views use it: text in, a tree out, and an error for everything else.

Metrics are named `measurement:field`, as the studio names them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.lab.studio.dql import QueryError, duration_ms

COMPARISONS = (">", "<", ">=", "<=", "==", "!=")
RANGE_FUNCTIONS = frozenset({"rate", "irate", "increase", "delta", "max_over_time", "min_over_time", "avg_over_time"})
AGGREGATES = frozenset({"sum", "avg", "min", "max", "count"})

_TOKEN = re.compile(
    r"""\s+
    |(?P<duration>\d+(?:\.\d+)?(?:ms|[smhdwy]))
    |(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*(?::[A-Za-z0-9_]+)*)
    |(?P<string>"[^"\\]*"|'[^'\\]*')
    |(?P<sign>=~|!~|!=|==|>=|<=|[=<>(){}\[\],+\-*/])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Selector:
    """`measurement:field{matchers}`, with `[window]` under a range function."""

    measurement: str
    field: str
    matchers: tuple[tuple[str, str, str], ...]
    window_ms: float | None = None


@dataclass(frozen=True)
class Call:
    """A function over its arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Aggregate:
    """`sum by (labels) (node)`."""

    name: str
    by: tuple[str, ...]
    node: Node


@dataclass(frozen=True)
class Binary:
    """Arithmetic, a comparison (which keeps what it holds for) or `or`: series are matched by equal labels, a
    number goes with each.
    """

    op: str
    left: Node
    right: Node


Node = Selector | Call | Aggregate | Binary | float


def parse(text: str) -> Node:
    """Read a query. Raises QueryError."""
    parser = _Parser(text)
    node = parser.either()
    if parser.peek() is not None:
        raise parser.unexpected("the end of the query")
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise QueryError(f"unexpected {text[at]!r} at {at}")
            if match.lastgroup:
                self._tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self._next = 0

    def peek(self) -> tuple[str, str] | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self, kind: str, text: str = "") -> str:
        token = self.peek()
        if token is None or token[0] != kind or (text and token[1] != text):
            raise self.unexpected(text or kind)
        self._next += 1
        return token[1]

    def sign(self, *texts: str) -> str:
        token = self.peek()
        if token is not None and token[0] == "sign" and token[1] in texts:
            self._next += 1
            return token[1]
        return ""

    def unexpected(self, wanted: str) -> QueryError:
        token = self.peek()
        return QueryError(f"expected {wanted}, found {token[1] if token else 'the end'}")

    def either(self) -> Node:
        left = self.comparison()
        while self.peek() == ("word", "or"):
            self._next += 1
            left = Binary("or", left, self.comparison())
        return left

    def comparison(self) -> Node:
        left = self.sum()
        while op := self.sign(*COMPARISONS):
            left = Binary(op, left, self.sum())
        return left

    def sum(self) -> Node:
        left = self.product()
        while op := self.sign("+", "-"):
            left = Binary(op, left, self.product())
        return left

    def product(self) -> Node:
        left = self.factor()
        while op := self.sign("*", "/"):
            left = Binary(op, left, self.factor())
        return left

    def factor(self) -> Node:
        if self.sign("("):
            node = self.either()
            self.take("sign", ")")
            return node
        token = self.peek()
        if token is not None and token[0] == "number":
            return float(self.take("number"))
        name = self.take("word")
        if name in AGGREGATES:
            return self.aggregate(name)
        if self.sign("("):
            return self.call(name)
        return self.selector(name)

    def aggregate(self, name: str) -> Node:
        by = self.by()
        self.take("sign", "(")
        node = self.either()
        self.take("sign", ")")
        return Aggregate(name, by or self.by(), node)

    def by(self) -> tuple[str, ...]:
        token = self.peek()
        if token is None or token != ("word", "by"):
            return ()
        self._next += 1
        self.take("sign", "(")
        labels: list[str] = []
        while not self.sign(")"):
            if labels:
                self.take("sign", ",")
            labels.append(self.take("word"))
        return tuple(labels)

    def call(self, name: str) -> Node:
        arguments: list[Node] = []
        while not self.sign(")"):
            if arguments:
                self.take("sign", ",")
            arguments.append(self.either())
        if name in RANGE_FUNCTIONS:
            if len(arguments) != 1 or not isinstance(arguments[0], Selector):
                raise QueryError(f"{name}() takes one selector")
        elif name == "histogram_quantile":
            if len(arguments) != 2 or not isinstance(arguments[0], float):
                raise QueryError("histogram_quantile() takes a number and buckets")
        elif name in ("topk", "bottomk"):
            if len(arguments) != 2 or not isinstance(arguments[0], float):
                raise QueryError(f"{name}() takes a number and series")
        elif name == "vector":
            if len(arguments) != 1 or not isinstance(arguments[0], float):
                raise QueryError("vector() takes a number")
        elif name == "time":
            if arguments:
                raise QueryError("time() takes nothing")
        else:
            raise QueryError(f"the practice studio does not know the function {name}()")
        return Call(name, tuple(arguments))

    def selector(self, name: str) -> Node:
        measurement, colon, field = name.partition(":")
        if not colon:
            raise QueryError(f"a metric is named measurement:field, not {name}")
        matchers: list[tuple[str, str, str]] = []
        if self.sign("{"):
            while not self.sign("}"):
                if matchers:
                    self.take("sign", ",")
                label = self.take("word")
                op = self.sign("=", "!=", "=~", "!~")
                if not op:
                    raise self.unexpected("a matcher")
                value = self.take("string")[1:-1]
                if "~" in op:
                    compiled(value)
                matchers.append((label, op, value))
        window = None
        if self.sign("["):
            window = duration_ms(self.take("duration"))
            self.take("sign", "]")
        return Selector(measurement, field, tuple(matchers), window)


def compiled(pattern: str) -> re.Pattern[str]:
    """A matcher's pattern. Raises QueryError."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise QueryError(f"bad pattern {pattern!r}: {error}") from None
