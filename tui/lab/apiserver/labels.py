"""The grammar of label selectors, with the messages that the server refuses a bad one with (Kubernetes 1.36)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tui.lab.apiserver import names
from tui.lab.apiserver.errors import bad_request, quoted

Matches = Callable[[Mapping[str, str]], bool]
_SYMBOLS = {")", ",", "!", "(", "==", "=", "!=", ">", "<"}
_SPECIAL = set("=!(),><")
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


class SelectorError(ValueError):
    """A selector that cannot be read."""


@dataclass
class _Tokens:
    text: str
    at: int = 0

    def peek(self) -> str:
        """The next token, empty at the end."""
        before = self.at
        token = self.take()
        self.at = before
        return token

    def take(self) -> str:
        """The next token, and go behind it."""
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1
        start = self.at
        if start < len(self.text) and self.text[start] in _SPECIAL:
            end = start + 1
            while end < len(self.text) and self.text[start : end + 1] in _SYMBOLS:
                end += 1
            self.at = end
            return self.text[start:end]
        while self.at < len(self.text) and self.text[self.at] not in _SPECIAL and self.text[self.at] not in " \t\r\n":
            self.at += 1
        return self.text[start : self.at]


def _is_name(token: str) -> bool:
    return bool(token) and token not in _SYMBOLS


def parse(text: str) -> Matches:
    """The predicate of a `labelSelector` parameter; ApiError 400 where it cannot be read."""
    tokens = _Tokens(text)
    checks: list[Matches] = []
    try:
        while token := tokens.peek():
            if not _is_name(token) and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                checks.append(_requirement(tokens))
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from error
            following = tokens.take()
            if not following:
                break
            if following != ",":
                raise SelectorError(f"found '{following}', expected: ',' or 'end of string'")
            after = tokens.peek()
            if not _is_name(after) and after != "!":
                raise SelectorError(f"found '{after}', expected: identifier after ','")
    except SelectorError as error:
        raise bad_request(str(error)) from error
    return lambda labels: all(check(labels) for check in checks)


def _requirement(tokens: _Tokens) -> Matches:
    negated = tokens.peek() == "!"
    if negated:
        tokens.take()
    key = tokens.take()
    if not _is_name(key):
        raise SelectorError(f"found '{key}', expected: identifier")
    for problem in names.qualified_name(key):
        raise SelectorError(f"key: Invalid value: {quoted(key)}: {problem}")
    if negated:
        return lambda labels: key not in labels
    if tokens.peek() in ("", ","):
        return lambda labels: key in labels
    operator = tokens.take()
    if operator in ("in", "notin"):
        return _membership(key, _values(tokens), operator == "in")
    if operator not in ("=", "==", "!=", ">", "<"):
        raise SelectorError(f"found '{operator}', expected: {_OPERATORS}")
    value = "" if tokens.peek() in ("", ",") else tokens.take()
    if value and not _is_name(value):
        raise SelectorError(f"found '{value}', expected: identifier")
    if operator in (">", "<"):
        return _comparison(key, operator, value)
    return _membership(key, [value], operator != "!=")


def _membership(key: str, values: list[str], wanted: bool) -> Matches:
    for index, value in enumerate(values):
        for problem in names.label_value(value):
            raise SelectorError(f"values[{index}][{key}]: Invalid value: {quoted(value)}: {problem}")
    return lambda labels: (labels.get(key) in values) is wanted


def _comparison(key: str, operator: str, value: str) -> Matches:
    if not value.lstrip("-").isdigit():
        text = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise SelectorError(f"values[0]: Invalid value: {quoted(value)}: {text}")
    bound = int(value)

    def matches(labels: Mapping[str, str]) -> bool:
        found = labels.get(key, "")
        if not found.lstrip("-").isdigit():
            return False
        return int(found) > bound if operator == ">" else int(found) < bound

    return matches


def _values(tokens: _Tokens) -> list[str]:
    opening = tokens.take()
    if opening != "(":
        raise SelectorError(f"found '{opening}' expected: '('")
    found: set[str] = set()
    while True:
        token = tokens.take()
        if _is_name(token):
            found.add(token)
            following = tokens.take()
            if following == ")":
                return sorted(found)
            if following != ",":
                raise SelectorError(f"found '{following}', expected: ',' or ')'")
        elif token in (")", ","):
            found.add("")
            if token == ")":
                return sorted(found)
        else:
            raise SelectorError(f"found '{token}', expected: ',', ')' or identifier")
