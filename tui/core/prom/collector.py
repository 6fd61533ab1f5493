"""One round of `[[inputs.prom]]` as DataKit 1.84.1 does it: fetch, read, filter, name, tag, send."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tui.core.prom import exposition, patterns, urls
from tui.core.prom.conf import PromInput
from tui.core.prom.exposition import Exposition, Family, Labels, Series
from tui.core.prom.naming import name_of
from tui.i18n import _

Tags = dict[str, str]
Value = float | int | str

MAX_KEY = 256  # bytes
MAX_TAG_VALUE = 1024  # bytes
MAX_MEASUREMENT = 1024  # bytes
MAX_TAGS = 256
MAX_SKEW_MS = 2 * 3600 * 1000
BIGGEST = 1.8446744073709552e19  # what DataKit sends for +Inf …
SMALLEST = -9.223372036854775808e18  # … and for -Inf


@dataclass(frozen=True)
class Scrape:
    """What a target answered. `body` None: no answer, `error` says why. The collector never looks at the status."""

    body: bytes | None
    status: int = 200
    error: str = ""


@dataclass(slots=True)
class Point:
    """A point as it is sent. `time_ms` None: the time of the scrape. `category` is "metric" or "logging"."""

    measurement: str
    tags: Tags
    fields: dict[str, Value]
    time_ms: int | None = None
    category: str = "metric"


@dataclass
class Target:
    """How one URL of a round went: what was read of it, its last up (None: none was sent), what went wrong ("" nothing)."""

    url: str
    error: str = ""
    exposition: Exposition | None = None
    up: int | None = None


@dataclass
class Round:
    """What one input sends in one round: its points, its `collector up` points in order of time, and how it went."""

    points: list[Point] = field(default_factory=list)
    ups: list[Point] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)


def final_up(targets: Iterable[Target]) -> int | None:
    """1 if every target that sent an up point ended with 1, 0 if one ended with 0, None if none was sent."""
    ups = [target.up for target in targets if target.up is not None]
    return min(ups) if ups else None


def collect(
    settings: PromInput,
    fetch: Callable[[str], Scrape],
    *,
    host_tags: Mapping[str, str],
    election_tags: Mapping[str, str],
    now_ms: int,
) -> Round:
    """Scrape every URL of an input once, in order.

    `fetch` gets each URL as it stands in the conf (a plain path means a file) and does not raise. `host_tags` and
    `election_tags` are the agent's global tags in force; without an election in the agent they are equal. `now_ms` is
    the time of sending. Files of `settings.files()` are taken to be there and good.
    """

    def say(target: Target, up: int) -> None:
        target.up = up
        done.ups.append(up_point(settings, target.url, up, host_tags, election_tags))

    done = Round()
    if settings.problem or settings.output:  # Init fails, or the text goes to a file
        return done
    for url in settings.urls:
        is_http = urls.parse(url).scheme in ("http", "https")
        if is_http and settings.auth and "type" not in settings.auth:
            done.targets.append(Target(url, _("[inputs.prom.auth] without type makes the input crash")))
            return done
        target = Target(url)
        done.targets.append(target)
        scrape = fetch(url)
        if scrape.body is None:
            target.error = scrape.error or _("no answer")
            if not (is_http and settings.ignore_req_err):
                say(target, 0)
            continue
        target.exposition = exposition.parse(scrape.body, settings.stream_size)
        target.error = target.exposition.error
        for batch in points_of(
            settings, target.exposition, url, host_tags=host_tags, election_tags=election_tags, now_ms=now_ms
        ):
            done.points += batch
            say(target, 1)
        if target.error:
            say(target, 0)
    return done


def points_of(
    settings: PromInput,
    read: Exposition,
    url: str,
    *,
    host_tags: Mapping[str, str],
    election_tags: Mapping[str, str],
    now_ms: int,
) -> Iterator[list[Point]]:
    """The points of a scrape that was read already, a list for each batch that is sent (never an empty one).

    `read` must have been read with the `stream_size` of these settings.
    """
    builder = _Builder(settings, url, election_tags if settings.election else host_tags, now_ms)
    for batch in read.batches:
        points = builder.batch(batch)
        if points:
            yield points


def url_tags(settings: PromInput, url: str) -> Tags:
    """The tags that an input adds to all points of one URL: its own ones, then `host` and `instance` from the URL."""
    tags = dict(settings.tags)
    host = urls.host_tag(url)
    if host is not None:
        tags.setdefault("host", host)
    if not settings.disable_instance_tag:
        tags.setdefault("instance", urls.parse(url).host)
    return tags


def up_point(
    settings: PromInput, url: str, up: int, host_tags: Mapping[str, str], election_tags: Mapping[str, str]
) -> Point:
    """The point `collector up`. Its tags have an order of precedence of their own."""
    job = _mended({"job": settings.source, "instance": urls.up_instance(url)}, logging=False)
    own = settings.tags
    tags = {**own, **election_tags, **job} if settings.election else {**host_tags, **own, **job}
    tags.pop("up", None)
    return Point("collector", tags, {"up": up})


class Filters:
    """The filters of an input, compiled: which families pass."""

    def __init__(self, settings: PromInput) -> None:
        self.types = frozenset(word.lower() for word in settings.metric_types)
        self.wanted = patterns.matchers(settings.metric_name_filter)
        self.unwanted = patterns.matchers(settings.metric_name_filter_ignore)

    def dropped_by(self, name: str, type_: str) -> str:
        """The setting that drops a family, "" where it passes. The name filters see the family's name alone."""
        if any(found(name) for found in self.unwanted):
            return "metric_name_filter_ignore"
        if self.wanted and not any(found(name) for found in self.wanted):
            return "metric_name_filter"
        if self.types and ("" if type_ == "gauge_histogram" else type_) not in self.types:
            return "metric_types"
        return ""


class _Builder:
    """Makes the points of one target in one round; remembers what its info families said."""

    def __init__(self, settings: PromInput, url: str, global_tags: Mapping[str, str], now_ms: int) -> None:
        self.settings = settings
        self.filters = Filters(settings)
        self.added = {**global_tags, **url_tags(settings, url)}
        self.now_ms = now_ms
        self.info: Tags = {}
        self.ignored_values = {
            key: found for key, texts in settings.ignore_tag_kv_match.items() if (found := patterns.matchers(texts))
        }
        self.category = "logging" if settings.as_logging else "metric"
        self.plain = not (
            settings.tags_ignore or settings.tags_rename or self.ignored_values or settings.as_logging
        )

    def batch(self, families: Mapping[str, Family]) -> list[Point]:
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
                fields["status"] = "INFO"
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
        tags: Tags = {**series.labels}
        if le is not None:
            tags["le"] = le
        elif self.info:
            tags = {**self.info, **{key: value for key, value in tags.items() if key not in self.info}}
        if self.plain:
            return tags, series.raw or bool(self.info)
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
        """A point as it goes out. A field that has a tag's name is lost; tags of input and agent never replace one."""
        for key in [key for key in fields if key in tags]:
            del fields[key]
        if mend or len(tags) > MAX_TAGS:
            tags = _mended(tags, logging)
        _mend_fields(fields, tags, logging)
        sent: Tags = {**self.added, **tags}
        for key in fields:
            if key in sent:
                del sent[key]
        point = Point(measurement, sent, fields, None, self.category)
        if time_ms > 0 and self.settings.honor_timestamps:
            if abs(self.now_ms - time_ms) <= MAX_SKEW_MS:
                point.time_ms = time_ms
            elif "__orig_time" not in sent:
                fields.setdefault("__orig_time", time_ms * 1_000_000)
        return point


def _mended(tags: Labels, logging: bool) -> Tags:
    """Tags as DataKit's check lets them through: keys and values cut, line ends and closing backslashes taken out."""
    mended: Tags = {}
    for key, value in list(tags.items())[:MAX_TAGS]:
        new = _cut(key, MAX_KEY)
        if new != key and (new in tags or new in mended):
            continue
        key, before = new, new
        new = key.rstrip("\\").replace("\n", " ")
        if logging:
            new = new.replace(".", "_")
        if new != before and (new in tags or new in mended):
            continue
        if new and not (logging and new in ("source", "date")):
            mended[new] = _cut(value.rstrip("\\").replace("\n", " "), MAX_TAG_VALUE)
    return mended


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
