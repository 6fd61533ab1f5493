"""Where things stand in a TOML text: tomllib gives values without places, this gives places without values.

The scan expects text that tomllib reads; of any other text it finds what it can and never fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_PATH = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_LINE = re.compile(
    rf"""[ \t]*(?:
        (?P<comment>\#[^\n]*)
      | (?P<open>\[\[?)[ \t]*(?P<header>{_PATH})[ \t]*\]\]?
      | (?P<key>{_PATH})[ \t]*=[ \t]*
      | (?P<other>[^\n]*)
    )""",
    re.X,
)
_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'|\#[^\n]*|[\[\]{},]|\n'''
    r"""|[^\s"'#\[\]{},]+|[^\S\n]+|.""",
    re.S,
)
_NAMES = re.compile(_NAME)


@dataclass(frozen=True)
class Comment:
    """A comment that has its line for itself: from `start` to `end` (the line's end)."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Header:
    """`[a.b]` or (array) `[[a.b]]`: `start` is the bracket, `end` is after the closing one."""

    start: int
    end: int
    path: tuple[str, ...]
    array: bool


@dataclass(frozen=True)
class Entry:
    """`key = value` below `header` (None: above the first one). `path` is the key's dotted parts."""

    start: int
    value_start: int
    end: int
    path: tuple[str, ...]
    header: Header | None

    @property
    def full_path(self) -> tuple[str, ...]:
        """The path from the root of the document."""
        return (*(self.header.path if self.header else ()), *self.path)


Statement = Comment | Header | Entry


def scan(text: str) -> list[Statement]:
    """The statements of a TOML text, in order."""
    found: list[Statement] = []
    header: Header | None = None
    at = 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        match = _LINE.match(text, at)
        assert match is not None
        if match["comment"] is not None:
            found.append(Comment(match.start("comment"), match.end(), match["comment"].rstrip("\r")))
        elif match["header"] is not None:
            header = Header(match.start("open"), match.end(), _parts(match["header"]), match["open"] == "[[")
            found.append(header)
        elif match["key"] is not None:
            end = _value_end(text, match.end())
            found.append(Entry(match.start("key"), match.end(), end, _parts(match["key"]), header))
            at = _next_line(text, end)
            continue
        at = _next_line(text, match.end())
    return found


def _parts(path: str) -> tuple[str, ...]:
    return tuple(_unquoted(name) for name in _NAMES.findall(path))


def _unquoted(name: str) -> str:
    if name.startswith("'"):
        return name[1:-1]
    if name.startswith('"'):
        try:
            return str(json.loads(name))
        except ValueError:  # \U00000000 is TOML's alone
            return name[1:-1]
    return name


def _next_line(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _value_end(text: str, at: int) -> int:
    """Where the value that begins at `at` ends: before a line end or comment outside all brackets."""
    depth, end = 0, at
    for match in _TOKEN.finditer(text, at):
        token = match[0]
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        elif depth <= 0 and (token == "\n" or token[0] == "#"):
            break
        if not token.isspace():
            end = match.end()
    return end


def items(text: str, entry: Entry) -> list[tuple[int, int]]:
    """The spans of an array's elements; empty where the value is no array."""
    if text[entry.value_start : entry.value_start + 1] != "[":
        return []
    spans: list[tuple[int, int]] = []
    depth, start, end = 0, -1, -1
    for match in _TOKEN.finditer(text, entry.value_start, entry.end):
        token = match[0]
        if token in ("]", "}"):
            depth -= 1
        if (depth == 1 and token == ",") or depth == 0:
            if start >= 0:
                spans.append((start, end))
                start = -1
        elif not token.isspace() and token[0] != "#":
            start = match.start() if start < 0 else start
            end = match.end()
        if token in ("[", "{"):
            depth += 1
    return spans


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def literal(value: Any) -> str:
    """A Python value as TOML: strings, booleans, integers, and lists of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return str(value)


_SECRET = re.compile(r"(?:^|[_.-])(?:token|password|passwd|secret|authorization|api[_-]?key|cert_key_base64)$", re.I)
_INLINE = re.compile(rf"({_NAME})[ \t]*=[ \t]*(?=([\"'][^\n]*))")
_IN_URL = re.compile(r"[a-z]+://[^/\s\"'$]+:[^/\s\"'$]+@|[?&](?:token|key|password|secret)=(?!\$)[^&\s\"']", re.I)
_FROM_ENV = re.compile(r"""["']+(?:Bearer )?\$\{?\w+\}?["']*""")


def secrets(text: str) -> list[tuple[str, int]]:
    """The keys (and their lines) whose value is a secret written out: tokens, keys, passwords in URLs.

    A value that is only an environment variable is none, nor is what stands in a comment.
    """
    found = []
    for entry in scan(text):
        if not isinstance(entry, Entry):
            continue
        value = text[entry.value_start : entry.end]
        pairs = [(entry.path[-1], value)]
        if value[:1] in ("{", "["):
            pairs = [(_unquoted(name), rest) for name, rest in _INLINE.findall(value)]
        for name, written in pairs:
            if (_SECRET.search(name) and written[:3] not in ('""', "''") and not _FROM_ENV.match(written)) or (
                _IN_URL.search(written)
            ):
                found.append((name, position(text, entry.start)[0]))
        if value[:1] == "[" and _IN_URL.search(value):
            found.append((entry.path[-1], position(text, entry.start)[0]))
    return found
