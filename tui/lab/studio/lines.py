"""Reads line protocol, as far as agents send it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PART = re.compile(r"(?:[^\\, =]|\\.|\\$)+")


@dataclass(frozen=True)
class Line:
    """One point: a time in ms, or None where the line has none."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | str]
    time_ms: int | None


def decode(text: str) -> list[Line]:
    """The points of a text. Raises ValueError naming the line that is wrong."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.startswith("#"):
            try:
                found.append(_line(line))
            except (ValueError, IndexError, AttributeError) as error:
                raise ValueError(f"line {number}: {error}") from None
    return found


def _unescape(text: str) -> str:
    return re.sub(r"\\([, =\\])", r"\1", text)


def _line(line: str) -> Line:
    name = re.match(r"(?:[^\\, ]|\\.)+", line)
    if name is None:
        raise ValueError("no measurement")
    at, tags = name.end(), {}
    while line[at] == ",":
        key, value, at = _pair(line, at + 1)
        tags[key] = value
    fields: dict[str, float | str] = {}
    for key, field, end in _fields(line, at + 1):
        fields[key], at = field, end
    rest = line[at:].strip()
    return Line(_unescape(name[0]), tags, fields, int(rest) // 1_000_000 if rest else None)


def _pair(line: str, at: int) -> tuple[str, str, int]:
    key = _PART.match(line, at)
    if key is None or line[key.end()] != "=":
        raise ValueError("a tag without a value")
    value = _PART.match(line, key.end() + 1)
    end = value.end() if value else key.end() + 1
    return _unescape(key[0]), _unescape(value[0]) if value else "", end


def _fields(line: str, at: int) -> Iterator[tuple[str, float | str, int]]:
    while True:
        key = _PART.match(line, at)
        if key is None or line[key.end()] != "=":
            raise ValueError("a field without a value")
        at = key.end() + 1
        string = re.compile(r'"((?:[^"\\]|\\.)*)"').match(line, at)
        if string is not None:
            value: float | str = re.sub(r'\\(["\\])', r"\1", string[1])
            at = string.end()
        else:
            raw = re.compile(r"[^, ]+").match(line, at)
            if raw is None:
                raise ValueError("a field without a value")
            value, at = _number(raw[0]), raw.end()
        yield _unescape(key[0]), value, at
        if at >= len(line) or line[at] != ",":
            return
        at += 1


def _number(text: str) -> float:
    if text.lower() in ("t", "true"):
        return 1.0
    if text.lower() in ("f", "false"):
        return 0.0
    return float(text[:-1] if text[-1] in "iu" else text)
