"""What happens to each family of a scrape under one input, and why: what an editor shows beside the conf."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from tui.core.prom import patterns
from tui.core.prom.exposition import Exposition, Family, Series
from tui.core.prom.naming import Name, name_of
from tui.core.prom.points import Builder, Filters
from tui.core.prom.settings import ANNOTATION, PromInput
from tui.i18n import _

KEPT = "kept"
NO_INPUT = "no_input"
OUTCOMES = (
    KEPT,
    "metric_types",
    "metric_name_filter",
    "metric_name_filter_ignore",
    "unsupported",  # TYPE gauge_histogram: DataKit passes over it
    "info",  # becomes tags of other families, or nothing with disable_info_tag
    "no_number",  # every value is NaN or infinite
    "lost",  # the field has the name of a tag: points without a value are sent
    NO_INPUT,  # the conf has no input that works
)


@dataclass(frozen=True)
class FamilyOutcome:
    """One family of a scrape. `outcome` is one of OUTCOMES; settings are named as in the conf.

    `series` counts lines of the exposition, `points` what is sent of them. `name` is the new name also where the family
    is dropped, `fields` are the fields that its points have, none where it sends none.
    """

    family: str
    type: str
    outcome: str
    series: int
    points: int
    name: Name
    fields: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether values of it arrive."""
        return self.outcome == KEPT


def explain(settings: PromInput, read: Exposition) -> list[FamilyOutcome]:
    """One entry a family and type, in the order of the scrape. `read` must have these settings' `stream_size`."""
    return Judge(read).outcomes(settings)


@dataclass(frozen=True, slots=True)
class _Digest:
    """One family of one batch. `points` is what is sent if it passes, `sent` the series of a simple family that have a
    number to send."""

    name: str
    type: str
    series: int
    points: int
    sent: Sequence[Series]


class Judge:
    """Judges one scrape under conf after conf. No points are made, and what an edit does not touch is not looked at
    again: it may run at every key press.
    """

    def __init__(self, read: Exposition) -> None:
        self._digests = [_digest(one) for batch in read.batches for one in batch.values()]
        self._names = {one.name for one in self._digests}
        self._found: dict[patterns.Matcher, frozenset[str]] = {}
        self._known: dict[Hashable, dict[tuple[int, str], FamilyOutcome]] = {}

    def outcomes(self, settings: PromInput) -> list[FamilyOutcome]:
        """One entry a family and type, in the order of the scrape."""
        filters = Filters(settings, self._finds)
        known = self._known.pop(_rest(settings), {})
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[_rest(settings)] = known
        builder: Builder | None = None
        found: dict[tuple[str, str], FamilyOutcome] = {}
        for number, one in enumerate(self._digests):
            dropped = filters.dropped_by(one.name, one.type)
            outcome = known.get((number, dropped))
            if not outcome:
                builder = builder or Builder(settings, {}, 0)
                outcome = known[number, dropped] = _outcome(builder, one, dropped)
            before = found.get((one.name, one.type))
            if before:
                better = before if before.kept else outcome
                series, points = before.series + outcome.series, before.points + outcome.points
                outcome = replace(better, series=series, points=points)
            found[one.name, one.type] = outcome
        return list(found.values())

    def _finds(self, matcher: patterns.Matcher, name: str) -> bool:
        found = self._found.get(matcher)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[matcher] = frozenset(filter(matcher, self._names))
        return name in found


_REMEMBERED = 64  # patterns and namings: more than a conf has, and no more than an hour of typing may cost


def _rest(settings: PromInput) -> Hashable:
    """All settings that an outcome depends on, besides the filters."""
    ignored = tuple(settings.ignore_tag_kv_match.items())
    naming = (settings.measurement_prefix, settings.measurement_name, settings.measurements)
    tags = (settings.tags_ignore, tuple(settings.tags_rename.items()), settings.overwrite_exist_tags, ignored)
    own = tuple(settings.tags.items()) if settings.kind == ANNOTATION else ()
    return (*naming, settings.keep_exist_metric_name, *tags, own, settings.as_logging, settings.logging_service)


def _digest(family: Family) -> _Digest:
    # A second TYPE line makes the samples before it read as nothing: they are sent as 0.
    parts = [one.parts for one in family.series if one.kind in ("histogram", "summary")]
    lines = sum(map(len, parts)) + len(parts) + len(family.series)
    if family.type in ("histogram", "summary"):
        is_summary = family.type == "summary"
        points = len(family.series)
        for one in family.series:
            if one.kind == family.type:
                points += sum(1 for _bound, value in one.parts if not (is_summary and math.isnan(value)))
        return _Digest(family.name, family.type, lines, points, ())
    sent = [one for one in family.series if one.kind != family.type or math.isfinite(one.value)]
    if len(sent) == len(family.series):
        sent = family.series  # no second list in memory
    return _Digest(family.name, family.type, lines, len(sent), sent)


def sentence(one: FamilyOutcome) -> str:
    """The outcome in words, in the person's language."""
    if one.outcome == KEPT:
        ways = {
            "rule": _("name by rule {prefix}").format(prefix=one.name.rule.prefix if one.name.rule else ""),
            "measurement_name": _("name by measurement_name"),
            "split": _("name split at the first underscore"),
            "whole": _("name without an underscore to split at"),
            "unknown": _("name too short to split"),
        }
        return ways[one.name.how]
    return {
        "metric_types": _("dropped by metric_types ({type})").format(type=one.type),
        "metric_name_filter": _("dropped by metric_name_filter"),
        "metric_name_filter_ignore": _("dropped by metric_name_filter_ignore"),
        "unsupported": _("dropped: DataKit does not read this type"),
        "info": _("its labels become tags of other series"),
        NO_INPUT: _("no input of the conf works"),
        "no_number": _("dropped: no finite value"),
        "lost": _("value lost: the field {field} has the name of a tag").format(field=one.name.field or "''"),
    }[one.outcome]


def _outcome(builder: Builder, family: _Digest, dropped: str) -> FamilyOutcome:
    name = name_of(builder.settings, family.name)

    def result(outcome: str, points: int = 0, fields: tuple[str, ...] = ()) -> FamilyOutcome:
        return FamilyOutcome(family.name, family.type, outcome, family.series, points, name, fields)

    if dropped:
        return result(dropped)
    if family.type == "gauge_histogram":
        return result("unsupported")
    if family.type == "info":
        return result("info")
    if family.type == "histogram":
        return result(KEPT, family.points, tuple(name.field + end for end in ("_bucket", "_count", "_sum")))
    if family.type == "summary":
        return result(KEPT, family.points, (name.field, name.field + "_count", name.field + "_sum"))
    if not family.sent:
        return result("no_number")
    if all(_is_lost(builder, one, name) for one in family.sent):
        return result("lost", family.points)
    return result(KEPT, family.points, (name.field,))


def _is_lost(builder: Builder, series: Series, name: Name) -> bool:
    return not name.field or name.field in builder.tags(series, name.measurement)[0]
