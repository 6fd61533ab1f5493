"""What happens to each family of a scrape under one input, and why: what an editor shows beside the conf."""

from __future__ import annotations

import math
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


def explain(settings: PromInput, read: Exposition) -> list[FamilyOutcome]:
    """One entry a family and type, in the order of the scrape. `read` must have these settings' `stream_size`.

    No points are made, so this is a small part of the cost of a round: it may run at every key press.
    """
    builder = Builder(settings, {}, 0)
    found: dict[tuple[str, str], FamilyOutcome] = {}
    for batch in read.batches:
        for family in batch.values():
            one = _outcome(builder, family)
            before = found.get((family.name, family.type))
            if before:
                better = before if before.kept else one
                one = replace(better, series=before.series + one.series, points=before.points + one.points)
            found[family.name, family.type] = one
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


def _outcome(builder: Builder, family: Family) -> FamilyOutcome:
    name = name_of(builder.settings, family.name)
    is_compound = family.type in ("histogram", "summary")
    series = sum(len(one.parts) + 2 for one in family.series) if is_compound else len(family.series)

    def result(outcome: str, points: int = 0, fields: tuple[str, ...] = ()) -> FamilyOutcome:
        return FamilyOutcome(family.name, family.type, outcome, series, points, name, fields)

    dropped = builder.filters.dropped_by(family.name, family.type)
    if dropped:
        return result(dropped)
    if family.type == "gauge_histogram":
        return result("unsupported")
    if family.type == "info":
        return result("info")
    if family.type == "histogram":
        points = sum(len(one.parts) + 1 for one in family.series)
        return result(KEPT, points, tuple(name.field + end for end in ("_bucket", "_count", "_sum")))
    if family.type == "summary":
        points = sum(1 + sum(not math.isnan(value) for _bound, value in one.parts) for one in family.series)
        return result(KEPT, points, (name.field, name.field + "_count", name.field + "_sum"))
    sent = [one for one in family.series if math.isfinite(one.value)]
    if not sent:
        return result("no_number")
    if all(_is_lost(builder, one, name) for one in sent):
        return result("lost", len(sent))
    return result(KEPT, len(sent), (name.field,))


def _is_lost(builder: Builder, series: Series, name: Name) -> bool:
    return not name.field or name.field in builder.tags(series, name.measurement)[0]
