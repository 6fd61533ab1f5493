"""Line protocol, the older of the two forms in which points travel (DataKit's `content_encoding = "v1"`)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from tui.core.prom.collector import Point, Value

_SPECIAL = re.compile("[,= ]")
_SPECIAL_IN_NAME = re.compile("[, ]")
_ESCAPED = re.compile(r"\\([,= ])")
_PART = r"(?:[^\\,= ]|\\[,= ]|\\(?![,= ]))+"
_NAME = re.compile(r"(?:[^\\, ]|\\[, ]|\\(?![, ]))+")
_TAG = re.compile(f",({_PART})=({_PART})")
_FIELD = re.compile(rf'({_PART})=(?:"((?:[^"\\]|\\.)*)"|([^", ]+))')


def encode(points: Iterable[Point]) -> str:
    """The points as lines, tags sorted, times in ns.

    What the form cannot hold is left out, as DataKit does: points without fields or with a NaN; empty tags; line ends
    and closing backslashes in texts.
    """
    lines = []
    for point in points:
        if not point.fields or any(isinstance(one, float) and not math.isfinite(one) for one in point.fields.values()):
            continue
        tags = [
            f",{_escape(key)}={text}" for key, value in sorted(point.tags.items()) if key and (text := _escape(value))
        ]
        fields = ",".join(f"{_escape(key)}={_value(value)}" for key, value in point.fields.items())
        name = _SPECIAL_IN_NAME.sub(r"\\\g<0>", _one_line(point.measurement))
        stamp = "" if point.time_ms is None else f" {point.time_ms * 1_000_000}"
        lines.append(f"{name}{''.join(tags)} {fields}{stamp}\n")
    return "".join(lines)


def decode(text: str) -> list[Point]:
    """The points of line protocol text with times in ns. Raises ValueError that names the line."""
    points = []
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.startswith("#"):
            try:
                points.append(_point(line.removesuffix("\r")))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return points


def _one_line(text: str) -> str:
    return text.rstrip("\\").replace("\n", " ")


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", _one_line(text))


def _value(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
    return f"{value}i" if isinstance(value, int) else repr(value)


def _point(line: str) -> Point:
    name = _NAME.match(line)
    if not name:
        raise ValueError("no measurement")
    tags: dict[str, str] = {}
    at = name.end()
    while tag := _TAG.match(line, at):
        tags[_unescape(tag[1])] = _unescape(tag[2])
        at = tag.end()
    fields: dict[str, Value] = {}
    separator = " "
    while line[at : at + 1] == separator:
        field = _FIELD.match(line, at + 1)
        if not field:
            raise ValueError("no good field")
        key, text, number = field.groups()
        fields[_unescape(key)] = _number(number) if text is None else re.sub(r"\\(.)", r"\1", text)
        at = field.end()
        separator = ","
    stamp = line[at:].strip()
    if not fields or not re.fullmatch("(?: -?[0-9]+)?", line[at:].rstrip()):
        raise ValueError("not measurement[,tags] fields [time]")
    return Point(re.sub(r"\\([, ])", r"\1", name[0]), tags, fields, int(stamp) // 1_000_000 if stamp else None)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _number(text: str) -> Value:
    if text in ("t", "T", "true", "True", "TRUE"):
        return 1
    if text in ("f", "F", "false", "False", "FALSE"):
        return 0
    return int(text[:-1]) if text[-1] in "iu" else float(text)
