"""The Prometheus text format as DataKit 1.84.1 reads it: expfmt's parser, strict, with batches of its own.

With `stream_size` > 0 (the default is 1) a comment that follows samples ends a batch once that many families are in it.
What a name means (its TYPE, histogram or not) is forgotten then: that is why batches are part of the result.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from tui.i18n import _

MAX_BYTES = 64 * 1024 * 1024
MAX_LINES = 2_000_000
"""Larger bodies are refused: DataKit has no such limit, a preview on a small machine needs one."""

TYPES = ("counter", "gauge", "summary", "untyped", "histogram", "gauge_histogram", "info")

Labels = dict[str, str]


class Series:
    """One series. `kind` is the family's type when the line was read: a later TYPE line can change the family's alone.

    Simple kinds have `value`; histograms `count`, `sum` and `parts` (upper bound, cumulative count), summaries the same
    with (quantile, value). `raw` marks labels that DataKit will have to mend. Labels must not be changed.
    """

    __slots__ = ("count", "kind", "labels", "parts", "raw", "sum", "time_ms", "value")

    def __init__(self, labels: Labels, kind: str, raw: bool) -> None:
        self.labels = labels
        self.kind = kind
        self.raw = raw
        self.value = 0.0
        self.time_ms = 0
        if kind in ("histogram", "summary"):
            self.count = 0
            self.sum = 0.0
            self.parts: list[tuple[float, float]] = []


@dataclass(slots=True)
class Family:
    """The series of one name in one batch. `type` is one of TYPES."""

    name: str
    type: str = ""
    series: list[Series] = field(default_factory=list)


@dataclass(slots=True)
class Exposition:
    """A scrape, read. Each batch maps names to families that have series.

    `error` ("" for none) says what ended the reading, `line` (from 1) where; with batches, those before it hold. `size`
    is the body's length in bytes.
    """

    batches: list[dict[str, Family]]
    stream_size: int
    error: str = ""
    line: int = 0
    size: int = 0


class _SyntaxError(ValueError):
    pass


_BLANKS = r"[ \t]*+"
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*+"
_TEXT = r'[^"\\]*+(?:\\["\\n][^"\\]*+)*+'
_PAIR = rf'{_LABEL}{_BLANKS}={_BLANKS}"{_TEXT}"{_BLANKS}'
_FLOAT = (
    r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
    r"|[+-]?(?:[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)|[nN][aA][nN]"
)
_sample = re.compile(
    rf"({_NAME}){_BLANKS}"
    rf"(?:\{{{_BLANKS}((?:{_PAIR}(?:,{_BLANKS}{_PAIR})*+(?:,{_BLANKS})?)?)\}}{_BLANKS})?"
    rf"({_FLOAT})(?:[ \t]++([+-]?[0-9]++))?"
).fullmatch
_pairs = re.compile(rf'({_LABEL}){_BLANKS}={_BLANKS}"({_TEXT})"').findall
_float = re.compile(_FLOAT).fullmatch
_comment = re.compile(rf"#{_BLANKS}(HELP|TYPE)[ \t]++({_NAME})?+(.*)", re.DOTALL).fullmatch
_help = re.compile(r"[^\\]*+(?:\\[\\n][^\\]*+)*+").fullmatch
_escape = re.compile(r"\\(.)")
_LONG = 255  # no label block up to this length can hold a key or value that is cut


def parse(body: bytes, stream_size: int) -> Exposition:
    """Read a scrape. Never raises: what is no exposition gives `error`, quickly, whatever its size."""
    reading = _Reader(stream_size)
    if len(body) > MAX_BYTES:
        reading.result.error = _("the body is larger than {limit} MiB").format(limit=MAX_BYTES >> 20)
    elif body:
        reading.read(body)
    reading.result.size = len(body)
    return reading.result


def parse_float(text: str) -> float:
    """A number as Go's strconv.ParseFloat takes it, without hexadecimal and underscores. Raises ValueError."""
    if not _float(text):
        raise ValueError(text)
    value = float(text)
    if math.isinf(value) and text.lstrip("+-")[:1] not in ("i", "I"):
        raise ValueError(text)
    return value


def to_uint64(value: float) -> int:
    """A float cut to an unsigned integer as Go does on amd64: what does not fit comes out odd, never as an error."""
    if value < 9223372036854775808.0:  # NaN goes the other way
        return int(value) % (1 << 64) if value >= -9223372036854775808.0 else 1 << 63
    rest = value - 9223372036854775808.0
    return (1 << 63) | (int(rest) if rest < 9223372036854775808.0 else 0)


class _Reader:
    def __init__(self, stream_size: int) -> None:
        self.result = Exposition([], stream_size)
        self.stream_size = stream_size
        self.start_batch()

    def start_batch(self) -> None:
        self.families: dict[str, Family] = {}
        self.known: dict[str, tuple[Family, str]] = {}  # sample name -> its family and part ("count", "sum" or "")
        self.compound: dict[tuple[str, str, frozenset[tuple[str, str]]], Series] = {}

    def end_batch(self) -> None:
        filled = {name: family for name, family in self.families.items() if family.series}
        if filled:
            self.result.batches.append(filled)
        self.start_batch()

    def read(self, body: bytes) -> None:
        try:
            text = body.decode()
            self.valid = True
        except UnicodeDecodeError:  # allowed everywhere but in label values
            text = body.decode(errors="surrogateescape")
            self.valid = False
        start, number, after_comment = 0, 0, False
        try:
            while True:
                end = text.find("\n", start)
                number += 1
                if number > MAX_LINES:
                    raise _SyntaxError(_("more than {limit} lines").format(limit=MAX_LINES))
                line = text[start:end] if end >= 0 else text[start:]
                first = line[:1]
                if first in (" ", "\t", ""):
                    line = line.lstrip(" \t")
                    first = line[:1]
                if first == "#" and not after_comment and 0 < self.stream_size <= len(self.families):
                    self.end_batch()
                if end < 0:
                    if first:
                        raise _SyntaxError(_("the last line has no end: the text is cut off"))
                    break
                if first == "#":
                    self.comment(line)
                elif first:
                    self.sample(line)
                after_comment = first == "#"
                start = end + 1
        except _SyntaxError as error:
            if self.stream_size <= 0:
                self.result.batches.clear()
            self.result.error = _("line {line}: {message}").format(line=number, message=error)
            self.result.line = number
        else:
            self.end_batch()

    def comment(self, line: str) -> None:
        match = _comment(line)
        if not match:
            return
        keyword, name, rest = match.groups()
        if not rest:
            return
        if name is None or rest[0] not in " \t":
            raise _SyntaxError(_("no metric name after {keyword}").format(keyword=keyword))
        family = self.find(name)[0]
        rest = rest.lstrip(" \t")
        if not rest:
            return
        if keyword == "HELP":
            if not _help(rest):
                raise _SyntaxError(_("an escape other than \\\\ and \\n in HELP"))
            return
        word = rest.replace("\\", "").upper().lower()
        if word not in TYPES:
            raise _SyntaxError(_("unknown TYPE {word}").format(word=ascii(rest[:40])))
        family.type = word
        if word == "info" and not family.name.endswith("_info"):
            del self.families[family.name]
            family.name += "_info"
            self.families[family.name] = family
        self.known.clear()

    def find(self, name: str) -> tuple[Family, str]:
        """The family that a name belongs to, made where there is none, and which part of it the name is."""
        family = self.families.get(name)
        if family:
            return family, ""
        for suffix in ("_count", "_sum", "_bucket"):
            if name.endswith(suffix) and len(name) > len(suffix):
                family = self.families.get(name[: -len(suffix)])
                if family and (family.type == "histogram" or (family.type == "summary" and suffix != "_bucket")):
                    return family, suffix[1:] if suffix != "_bucket" else ""
        family = self.families[name] = Family(name)
        return family, ""

    def sample(self, line: str) -> None:
        match = _sample(line)
        if not match:
            raise _SyntaxError(_complaint(line))
        name, block, number, stamp = match.groups()
        known = self.known.get(name)
        if not known:
            known = self.known[name] = self.find(name)
        family, part = known
        kind = family.type
        if not kind:
            kind = family.type = "untyped"
        raw = False
        labels: Labels = {}
        bound = math.nan
        if block:
            pairs = _pairs(block)
            labels = dict(pairs)
            if len(labels) != len(pairs) or "__name__" in labels:
                self.check_names(pairs, kind)
            raw = len(block) > _LONG
            if "\\" in block:
                raw = True
                labels = {key: _escape.sub(_unescape, value) for key, value in labels.items()}
            if not self.valid and any("\udc80" <= char <= "\udcff" for char in block):
                raise _SyntaxError(_("a label value is not UTF-8"))
            if kind == "histogram" or kind == "summary":
                special = "le" if kind == "histogram" else "quantile"
                if special in labels:
                    bound = self.bound(special, pairs)
                    del labels[special]
        value = float(number)
        if value in (math.inf, -math.inf):
            value = self.number(number)
        if kind == "histogram" or kind == "summary":
            # The name is the family's by now: an info line may have renamed it.
            key = (kind, family.name, frozenset(labels.items()))
            series = self.compound.get(key)
            if not series:
                series = self.compound[key] = Series(labels, kind, raw)
                family.series.append(series)
            if part == "count":
                series.count = to_uint64(value)
            elif part == "sum":
                series.sum = value
            elif bound == bound:
                series.parts.append((bound, to_uint64(value) if kind == "histogram" else value))
        else:
            series = Series(labels, kind, raw)
            series.value = value
            family.series.append(series)
        if stamp:
            series.time_ms = int(stamp)
            if not -(1 << 63) <= series.time_ms < 1 << 63:
                raise _SyntaxError(_("the timestamp is out of range"))

    def number(self, text: str) -> float:
        try:
            return parse_float(text)
        except ValueError:
            raise _SyntaxError(_("no number: {text}").format(text=ascii(text[:40]))) from None

    def check_names(self, pairs: list[tuple[str, str]], kind: str) -> None:
        special = {"histogram": "le", "summary": "quantile"}.get(kind)
        names = [name for name, _value in pairs if name != special]
        if "__name__" in names:
            raise _SyntaxError(_("the label name __name__ is reserved"))
        if len(set(names)) != len(names):
            raise _SyntaxError(_("the same label twice"))

    def bound(self, special: str, pairs: list[tuple[str, str]]) -> float:
        bound = math.nan
        for name, value in pairs:
            if name == special:
                bound = self.number(value)
        return bound


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _complaint(line: str) -> str:
    """Why a line is no sample."""
    shown = ascii(line[:60]) + ("…" if len(line) > 60 else "")
    name = re.match(_NAME, line)
    if not name:
        return _("no metric name: {line}").format(line=shown)
    if line[name.end() :].lstrip(" \t").startswith("{") and not re.match(
        rf"{_NAME}{_BLANKS}\{{{_BLANKS}(?:{_PAIR}(?:,{_BLANKS}{_PAIR})*+(?:,{_BLANKS})?)?\}}", line
    ):
        return _("no good labels: {line}").format(line=shown)
    if line.endswith("\r"):
        return _("the line ends with CR LF instead of LF: {line}").format(line=shown)
    if line.endswith((" ", "\t")):
        return _("a blank at the end: {line}").format(line=shown)
    return _("no good value or timestamp: {line}").format(line=shown)
