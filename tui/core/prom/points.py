"""The points that a scrape turns into: filtered, named, tagged and mended as DataKit 1.84.1 does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tui.core.prom import patterns
from tui.core.prom.exposition import Family, Series
from tui.core.prom.naming import name_of
from tui.core.prom.settings import ANNOTATION, PromInput

Tags = dict[str, str]
Value = float | int | str

MAX_KEY = 256  # bytes
MAX_TAG_VALUE = 1024  # bytes
MAX_MEASUREMENT = 1024  # bytes
MAX_TAGS = 256
MAX_SKEW_NS = 2 * 3600 * 10**9
BIGGEST = 1.8446744073709552e19  # what DataKit sends for +Inf …
SMALLEST = -9.223372036854775808e18  # … and for -Inf


@dataclass(slots=True)
class Point:
    """A point as it is sent. `time_ms` None: the time of the scrape. `category` is "metric", "logging" or "object"."""

    measurement: str
    tags: Tags
    fields: dict[str, Value]
    time_ms: int | None = None
    category: str = "metric"


Finder = Callable[[patterns.Matcher, str], object]
"""Whether (truthy) a matcher finds its pattern in a name."""


def _search(matcher: patterns.Matcher, name: str) -> object:
    return matcher(name)


class Filters:
    """The filters of an input, compiled: which families pass. `finds` may remember what it found before."""

    def __init__(self, settings: PromInput, finds: Finder = _search) -> None:
        self.finds = finds
        self.types = frozenset(word.lower() for word in settings.metric_types)
        self.wanted = patterns.matchers(settings.metric_name_filter)
        self.unwanted = patterns.matchers(settings.metric_name_filter_ignore)

    def dropped_by(self, name: str, type_: str) -> str:
        """The setting that drops a family, "" where it passes. The name filters see the family's name alone."""
        if any(self.finds(one, name) for one in self.unwanted):
            return "metric_name_filter_ignore"
        if self.wanted and not any(self.finds(one, name) for one in self.wanted):
            return "metric_name_filter"
        if self.types and ("" if type_ == "gauge_histogram" else type_) not in self.types:
            return "metric_types"
        return ""


class Builder:
    """Makes the points of one target in one round; remembers what its info families said.

    `added` are the tags of input and agent; none of them replaces a tag or field that the target brings.
    """

    def __init__(self, settings: PromInput, added: Mapping[str, str], now_ms: int) -> None:
        self.settings = settings
        self.filters = Filters(settings)
        self.added = added
        self.now_ms = now_ms
        self.info: Tags = {}
        self.own = dict(settings.tags) if settings.kind == ANNOTATION else {}  # these come before the labels
        self.ignored_values = {
            key: found for key, texts in settings.ignore_tag_kv_match.items() if (found := patterns.matchers(texts))
        }
        self.category = "logging" if settings.as_logging else "metric"
        self.plain = not (settings.tags_ignore or settings.tags_rename or self.ignored_values or settings.as_logging)

    def batch(self, families: Mapping[str, Family]) -> list[Point]:
        """The points of one batch: its info families are heard first, whatever their place."""
        passed = [one for one in families.values() if not self.filters.dropped_by(one.name, one.type)]
        for family in passed:
            if family.type == "info" and not self.settings.disable_info_tag:
                for series in family.series:
                    self.info.update(series.labels)
        points: list[Point] = []
        for family in passed:
            name = name_of(self.settings, family.name)
            measurement = _cut(name.measurement, MAX_MEASUREMENT)
            if family.type in ("counter", "gauge", "untyped"):
                self.simple(points, family, measurement, name.field)
            elif family.type in ("histogram", "summary"):
                self.compound(points, family, measurement, name.field)
        return points

    def simple(self, points: list[Point], family: Family, measurement: str, key: str) -> None:
        for series in family.series:
            value = series.value if series.kind == family.type else 0.0
            if value - value != 0.0:  # NaN and the infinities
                continue
            tags, mend = self.tags(series, measurement)
            fields: dict[str, Value] = {key: value}
            if self.settings.as_logging:
                fields.setdefault("status", "INFO")
            points.append(self.point(measurement, tags, fields, series.time_ms, mend, self.settings.as_logging))

    def compound(self, points: list[Point], family: Family, measurement: str, key: str) -> None:
        is_histogram = family.type == "histogram"
        for series in family.series:
            fits = series.kind == family.type
            tags, mend = self.tags(series, measurement)
            fields: dict[str, Value] = {
                key + "_count": float(series.count) if fits else 0.0,
                key + "_sum": series.sum if fits else 0.0,
            }
            points.append(self.point(measurement, tags, fields, 0, mend))
            for bound, value in series.parts if fits else ():
                if is_histogram:
                    tags, mend = self.tags(series, measurement, le=go_float(bound))
                    fields = {key + "_bucket": float(value)}
                elif math.isnan(value):
                    continue
                else:
                    tags, mend = self.tags(series, measurement)
                    tags.setdefault("quantile", go_float(bound))
                    fields = {key: value}
                points.append(self.point(measurement, tags, fields, series.time_ms, mend))

    def tags(self, series: Series, measurement: str, le: str | None = None) -> tuple[Tags, bool]:
        """The tags that come from the target, and whether they may need mending. Buckets get no info labels."""
        tags: Tags = {**series.labels, **self.own}
        if le is not None:
            tags.setdefault("le", le)
        elif self.info:
            tags = {**self.info, **{key: value for key, value in tags.items() if key not in self.info}}
        if self.plain:
            return tags, series.raw or bool(self.info) or bool(self.own)
        settings = self.settings
        for key in settings.tags_ignore:
            tags.pop(key, None)
        for old, new in settings.tags_rename.items():
            if old in tags and (new not in tags or settings.overwrite_exist_tags):
                tags[new] = tags.pop(old)
        if settings.as_logging:
            tags.setdefault("service", settings.logging_service or measurement)
        for key, found in self.ignored_values.items():
            if key in tags and any(matches(tags[key]) for matches in found):
                del tags[key]
        return tags, True

    def point(
        self, measurement: str, tags: Tags, fields: dict[str, Value], time_ms: int, mend: bool, logging: bool = False
    ) -> Point:
        """A point as it goes out. A field that has a tag's name is lost, the point is sent all the same."""
        for key in [key for key in fields if key in tags]:
            del fields[key]
        if mend or len(tags) > MAX_TAGS:
            tags = mended(tags, logging)
        _mend_fields(fields, tags, logging)
        sent: Tags = {**self.added, **tags}
        for key in fields:
            if key in sent:
                del sent[key]
        point = Point(measurement, sent, fields, None, self.category)
        if time_ms > 0 and self.settings.honor_timestamps:
            time_ns = (time_ms * 1_000_000 + (1 << 63)) % (1 << 64) - (1 << 63)  # wraps around, as int64 does in Go
            if abs(self.now_ms * 1_000_000 - time_ns) <= MAX_SKEW_NS:
                point.time_ms = time_ns // 1_000_000
            elif "__orig_time" not in sent:
                fields.setdefault("__orig_time", time_ns)
        return point


def mended(tags: Tags, logging: bool = False) -> Tags:
    """Tags as DataKit's check lets them through: keys and values cut, line ends and closing backslashes taken out."""
    sound: Tags = {}
    for key, value in list(tags.items())[:MAX_TAGS]:
        new = _cut(key, MAX_KEY)
        if new != key and (new in tags or new in sound):
            continue
        key, before = new, new
        new = key.rstrip("\\").replace("\n", " ")
        if logging:
            new = new.replace(".", "_")
        if new != before and (new in tags or new in sound):
            continue
        if new and not (logging and new in ("source", "date")):
            sound[new] = _cut(value.rstrip("\\").replace("\n", " "), MAX_TAG_VALUE)
    return sound


def _mend_fields(fields: dict[str, Value], tags: Tags, logging: bool) -> None:
    for key, value in list(fields.items()):
        new = key
        if len(key) > MAX_KEY:
            new = key[:MAX_KEY]
            if new in fields or new in tags:
                del fields[key]
                continue
        if not new or (logging and new in ("source", "date")):
            del fields[key]
            continue
        if new != key:
            del fields[key]
            fields[new] = value
        if value in (math.inf, -math.inf):
            fields[new] = BIGGEST if value == math.inf else SMALLEST


def _cut(text: str, limit: int) -> str:
    """The first `limit` bytes, whole characters only."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode("utf-8", "surrogateescape")
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore")


def go_float(value: float) -> str:
    """A number as Go's fmt.Sprint writes it: the shortest digits, an exponent below 1e-04 and from 1e+06 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _e, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _dot, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return sign + "0"
    if -4 <= point - 1 < 6:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        head, tail = digits[:point].ljust(point, "0"), digits[point:]
        return sign + head + (f".{tail}" if tail else "")
    scale = point - 1
    tail = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{tail}e{'-' if scale < 0 else '+'}{abs(scale):02d}"
