"""DQL as far as the views and checks use it: text in, a statement out, and an error for everything else.

The grammar follows the vendor's "define" and "funcs" pages. What this parser does not know it refuses with
the place, so that a query which the real studio might answer differently is never answered with nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.lab.studio.dql_ast import (
    EVERYTHING,
    Arithmetic,
    Both,
    Condition,
    Eval,
    Filter,
    Formula,
    Moment,
    QueryError,
    Range,
    Select,
    Show,
    Statement,
)

__all__ = ["Both", "Condition", "Eval", "QueryError", "Select", "Show", "Statement", "duration_ms", "parse", "tokens"]

AGGREGATES = frozenset({"last", "first", "avg", "mean", "sum", "min", "max", "count", "count_distinct", "spread"})
NAMESPACES = {"m": "M", "metric": "M", "o": "O", "object": "O", "l": "L", "logging": "L"}
ROLLUPS = frozenset({"last", "first", "avg", "sum", "min", "max", "count", "rate", "irate"})
SHOW = frozenset({"show_measurement", "show_tag_key", "show_tag_value", "show_field_key"})
_UNITS_MS = {
    "ns": 1e-6,
    "us": 1e-3,
    "ms": 1.0,
    "s": 1e3,
    "m": 6e4,
    "h": 3.6e6,
    "d": 8.64e7,
    "w": 6.048e8,
    "y": 3.1536e10,
}

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<name>`[^`\\]*`)
    |(?P<string>'[^'\\]*'|"[^"\\]*")
    |(?P<number>\d+(?:\.\d+)?(?P<unit>[a-z]+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>::|!=|<=|>=|&&|\|\||[=<>:(){}\[\],+\-*/.])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A piece of a query. `kind` is name, string, number, duration, word, sign or end."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> list[Token]:
    """Split a query. Raises QueryError at the first character that starts nothing, and at an unclosed quote."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError(f"unexpected {text[at]!r} at {at}")
        kind = match.lastgroup if match.lastgroup != "unit" else "number"
        if kind == "number":
            unit = match["unit"]
            if unit and unit not in _UNITS_MS:
                raise QueryError(f"unknown unit {unit!r} at {at}")
            found.append(Token("duration" if unit else "number", match["number"], at))
        elif kind in ("name", "string"):
            found.append(Token(kind, match[kind][1:-1], at))
        elif kind:
            found.append(Token(kind, match[kind], at))
        at = match.end()
    found.append(Token("end", "", at))
    return found


def duration_ms(text: str) -> float:
    """A duration such as "5m" in milliseconds."""
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS_MS[unit]


def parse(text: str) -> Statement | Show | Eval:
    """Read one query. Raises QueryError with what was not understood and where."""
    parser = _Parser(text)
    query = parser.query()
    parser.expect_end()
    return query


class _Parser:
    """Recursive descent over the tokens of one query."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._next = 0

    # Reading tokens

    def peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self._next += 1
        return token

    def sign(self, text: str) -> bool:
        """Take this sign if it is next."""
        if self.peek().kind == "sign" and self.peek().text == text:
            self._next += 1
            return True
        return False

    def word(self, *words: str) -> bool:
        """Take these keywords, in any case, if they are next."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if token.kind != "word" or token.text.lower() != word:
                return False
        self._next += len(words)
        return True

    def expect(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.unexpected(f"'{sign}'")

    def expect_end(self) -> None:
        if self.peek().kind != "end":
            raise self.unexpected("the end of the query")

    def unexpected(self, wanted: str) -> QueryError:
        token = self.peek()
        found = "the end" if token.kind == "end" else f"{token.text!r} at {token.at}"
        return QueryError(f"expected {wanted}, found {found}")

    def identifier(self) -> str:
        if self.peek().kind in ("name", "word"):
            return self.take().text
        raise self.unexpected("a name")

    def string(self) -> str:
        if self.peek().kind == "string":
            return self.take().text
        raise self.unexpected("a quoted string")

    def count(self) -> int:
        token = self.peek()
        if token.kind == "number" and token.text.isdigit():
            return int(self.take().text)
        raise self.unexpected("a whole number")

    # The grammar

    def query(self) -> Statement | Show | Eval:
        token = self.peek()
        if token.kind == "word" and self.peek(1).text == "(" and self.peek(1).kind == "sign":
            name = token.text.lower()
            if name == "eval":
                return self.eval()
            if name in SHOW:
                return self.show()
            raise QueryError(f"the practice studio does not know the function {token.text}()")
        return self.statement()

    def statement(self) -> Statement:
        namespace = "M"
        if self.peek().kind == "word" and self.peek(1).text == "::":
            given = self.take().text
            self.take()
            if given.lower() not in NAMESPACES:
                raise QueryError(f"the practice studio keeps metrics (M), objects (O) and logs (L), not {given}")
            namespace = NAMESPACES[given.lower()]
        measurement = self.identifier()
        self.expect(":")
        self.expect("(")
        select = [self.select()]
        while self.sign(","):
            select.append(self.select())
        self.expect(")")
        if len({bool(item.function) for item in select}) > 1:
            raise QueryError("fields and aggregates cannot be selected together")
        filter_ = self.braces()
        range_ = self.range()
        by: list[str] = []
        if self.word("by"):
            by.append(self.identifier())
            while self.sign(","):
                by.append(self.identifier())
        descending = True
        if self.word("order", "by"):
            if self.identifier() != "time":
                raise QueryError("metrics can be ordered by time only")
            descending = not self.word("asc")
            self.word("desc")
        limits = self.limits()
        if range_.rollup and not select[0].function:
            raise QueryError("a rollup needs an aggregate")
        if namespace != "M" and (range_.rollup or any(item.function == "spread" for item in select)):
            raise QueryError("rollups and spread() are for metrics")
        if range_.rollup and any(item.function == "count_distinct" for item in select):
            raise QueryError("a rollup gives numbers, which count_distinct() does not take")
        return Statement(
            measurement, tuple(select), filter_, range_, tuple(by), descending, namespace=namespace, **limits  # type: ignore[arg-type]
        )  # fmt: skip

    def limits(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for word in ("limit", "offset", "slimit", "soffset"):
            if self.word(word):
                found[word] = self.count()
        return found

    def select(self) -> Select:
        if self.peek().kind == "word" and self.peek(1).text == "(":
            function = self.take().text.lower()
            if function not in AGGREGATES:
                raise QueryError(f"the practice studio does not know the aggregate {function}()")
            self.expect("(")
            field = self.field(function)
            self.expect(")")
        else:
            function, field = "", self.identifier()
        alias = ""
        if self.word("as"):
            alias = self.string() if self.peek().kind == "string" else self.identifier()
        return Select(field, "avg" if function == "mean" else function, alias)

    def field(self, function: str) -> str:
        """What an aggregate is of; `count(*)`, also with backticks, counts points."""
        name = "*" if self.sign("*") else self.identifier()
        if name == "*" and function != "count":
            raise QueryError(f"{function}() needs a field")
        return name

    def braces(self) -> Filter:
        if not self.sign("{"):
            return EVERYTHING
        if self.sign("}"):
            return EVERYTHING
        found = self.any_of()
        self.expect("}")
        return found

    def any_of(self) -> Filter:
        parts = [self.all_of()]
        while self.sign("||") or self.word("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Both(False, tuple(parts))

    def all_of(self) -> Filter:
        parts = [self.condition()]
        while self.sign(",") or self.sign("&&") or self.word("and"):
            parts.append(self.condition())
        return parts[0] if len(parts) == 1 else Both(True, tuple(parts))

    def condition(self) -> Filter:
        if self.sign("("):
            found = self.any_of()
            self.expect(")")
            return found
        tag = self.identifier()
        if self.word("in") or self.word("not", "in"):
            negated = self._tokens[self._next - 2].text.lower() == "not"
            self.expect("[")
            values = [self.string()]
            while self.sign(","):
                values.append(self.string())
            self.expect("]")
            return Condition(tag, "not in" if negated else "in", tuple(values))
        for op in ("=", "!="):
            if self.sign(op):
                if self.word("re"):
                    return Condition(tag, "=~" if op == "=" else "!~", (self.pattern(),))
                return Condition(tag, op, (self.string(),))
        raise self.unexpected("=, != or in (the practice studio filters by tags)")

    def pattern(self) -> str:
        parenthesis = self.sign("(")
        token = self.take()
        if token.kind not in ("string", "name"):
            raise QueryError(f"expected a pattern at {token.at}")
        if parenthesis:
            self.expect(")")
        try:
            re.compile(token.text)
        except re.error as error:
            raise QueryError(f"bad pattern {token.text!r}: {error}") from None
        return token.text

    def range(self) -> Range:
        if not self.sign("["):
            return Range()
        parts: list[list[Token]] = [[]]
        while not self.sign("]"):
            token = self.take()
            if token.kind == "end":
                raise QueryError("the range is not closed")
            if token.kind == "sign" and set(token.text) == {":"}:
                parts += [[] for _ in token.text]
            else:
                parts[-1].append(token)
        if len(parts) > 4 or any(len(part) > 1 for part in parts):
            raise QueryError("a range is [start:end:interval:rollup]")
        start, end, interval, rollup = [part[0] if part else None for part in parts] + [None] * (4 - len(parts))
        if rollup is not None and rollup.text.lower() not in ROLLUPS:
            raise QueryError(f"the practice studio does not know the rollup {rollup.text}")
        return Range(_moment(start), _moment(end), _interval(interval), rollup.text.lower() if rollup else "")

    def show(self) -> Show:
        function = self.take().text.lower()
        self.expect("(")
        arguments: dict[str, tuple[str, ...]] = {}
        while not self.sign(")"):
            if arguments:
                self.expect(",")
            name = self.identifier()
            self.expect("=")
            self.expect("[")
            values = [self.string()]
            while self.sign(","):
                values.append(self.string())
            self.expect("]")
            if name not in ("from", "keyin"):
                raise QueryError(f"{function}() has no argument {name}")
            arguments[name] = tuple(values)
        if function == "show_tag_value" and "keyin" not in arguments:
            raise QueryError("show_tag_value() needs keyin")
        filter_, range_ = self.braces(), self.range()
        limits = self.limits()
        return Show(
            function, arguments.get("from", ()), arguments.get("keyin", ()), filter_, range_,
            limits.get("limit"), limits.get("offset") or 0,
        )  # fmt: skip

    def eval(self) -> Eval:
        self.take()
        self.expect("(")
        formula = self.sum()
        alias = ""
        parts: dict[str, Statement] = {}
        while self.sign(","):
            name = self.identifier()
            self.expect("=")
            text = self.string()
            if name == "alias":
                alias = text
                continue
            inner = parse(text)
            if not isinstance(inner, Statement):
                raise QueryError("eval() cannot be chained")
            parts[name] = inner
        self.expect(")")
        missing = sorted(_codes(formula) - set(parts))
        if missing or not parts:
            raise QueryError(f"eval() lacks {', '.join(missing) or 'its queries'}")
        return Eval(formula, alias, parts)

    def sum(self) -> Formula:
        left = self.product()
        while self.peek().kind == "sign" and self.peek().text in ("+", "-"):
            left = Arithmetic(self.take().text, left, self.product())
        return left

    def product(self) -> Formula:
        left = self.factor()
        while self.peek().kind == "sign" and self.peek().text in ("*", "/"):
            left = Arithmetic(self.take().text, left, self.factor())
        return left

    def factor(self) -> Formula:
        if self.sign("("):
            found = self.sum()
            self.expect(")")
            return found
        if self.peek().kind == "number":
            return float(self.take().text)
        return self.identifier()


def _codes(formula: Formula) -> set[str]:
    if isinstance(formula, Arithmetic):
        return _codes(formula.left) | _codes(formula.right)
    return {formula} if isinstance(formula, str) else set()


def _moment(token: Token | None) -> Moment | None:
    if token is None:
        return None
    if token.kind == "duration":
        return Moment(duration_ms(token.text), ago=True)
    if token.kind == "number":
        value = float(token.text)
        return Moment(value if value >= 1e11 else value * 1000, ago=False)  # seconds are accepted too
    raise QueryError(f"{token.text!r} is no time at {token.at}")


def _interval(token: Token | None) -> float | None:
    if token is None:
        return None
    if token.kind == "word" and token.text.lower() == "auto":
        return 0
    if token.kind == "duration":
        return duration_ms(token.text)
    raise QueryError(f"{token.text!r} is no interval at {token.at}")
