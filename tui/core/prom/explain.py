"""What happens to each family of a scrape under one input, and why: what an editor shows beside the conf."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tui.core.prom.exposition import Exposition, Family, Series
from tui.core.prom.naming import Name, name_of
from tui.core.prom.points import Builder
from tui.core.prom.settings import PromInput
from tui.i18n import _

KEPT = "kept"
OUTCOMES = (
    KEPT,
    "metric_types",
    "metric_name_filter",
    "metric_name_filter_ignore",
    "unsupported",  # TYPE gauge_histogram: DataKit passes over it
    "info",  # becomes tags of other families, or nothing with disable_info_tag
    "no_number",  # every value is NaN or infinite
    "lost",  # the field has the name of a tag: points without a value are sent
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


@dataclass(frozen=True, slots=True)
class Digest:
    """What is worth knowing of one family of one batch, whatever conf will judge it.

    `series` counts lines of the exposition, `points` what is sent of them if the family passes, `sent` are the series
    of a simple family that have a number to send.
    """

    batch: int
    name: str
    type: str
    series: int
    points: int
    sent: Sequence[Series]


def digest(read: Exposition) -> list[Digest]:
    """The families of a scrape, batch by batch: made once, judged after every edit."""
    return [_digest(number, one) for number, batch in enumerate(read.batches) for one in batch.values()]


def _digest(number: int, family: Family) -> Digest:
    # A second TYPE line makes the samples before it read as nothing: they are sent as 0.
    parts = [one.parts for one in family.series if one.kind in ("histogram", "summary")]
    lines = sum(map(len, parts)) + 2 * len(parts) + len(family.series) - len(parts)
    if family.type in ("histogram", "summary"):
        is_summary = family.type == "summary"
        points = len(family.series)
        for one in family.series:
            if one.kind == family.type:
                points += sum(1 for _bound, value in one.parts if not (is_summary and math.isnan(value)))
        return Digest(number, family.name, family.type, lines, points, ())
    sent = [one for one in family.series if one.kind != family.type or math.isfinite(one.value)]
    if len(sent) == len(family.series):
        return Digest(number, family.name, family.type, lines, len(sent), family.series)
    return Digest(number, family.name, family.type, lines, len(sent), sent)


def explain(settings: PromInput, read: Exposition) -> list[FamilyOutcome]:
    """One entry a family and type, in the order of the scrape. `read` must have these settings' `stream_size`."""
    return judge(settings, digest(read))


def judge(settings: PromInput, digests: Iterable[Digest]) -> list[FamilyOutcome]:
    """The same of a scrape that was digested before. No points are made, and hardly a series is looked at: this is a
    small part of the cost of a round, and may run at every key press.
    """
    builder = Builder(settings, {}, 0)
    found: dict[tuple[str, str], FamilyOutcome] = {}
    for one in digests:
        before = found.get((one.name, one.type))
        outcome = _outcome(builder, one)
        if before:
            better = before if before.kept else outcome
            series, points = before.series + outcome.series, before.points + outcome.points
            outcome = replace(better, series=series, points=points)
        found[one.name, one.type] = outcome
    return list(found.values())


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
        "no_number": _("dropped: no finite value"),
        "lost": _("value lost: the field {field} has the name of a tag").format(field=one.name.field or "''"),
    }[one.outcome]


def _outcome(builder: Builder, family: Digest) -> FamilyOutcome:
    name = name_of(builder.settings, family.name)

    def result(outcome: str, points: int = 0, fields: tuple[str, ...] = ()) -> FamilyOutcome:
        return FamilyOutcome(family.name, family.type, outcome, family.series, points, name, fields)

    dropped = builder.filters.dropped_by(family.name, family.type)
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
