"""A preview as text, as JSON and as line protocol."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tui.core.prom import lineprotocol
from tui.core.prom.against import Difference, filled
from tui.core.prom.collector import Point
from tui.core.prom.explain import FamilyOutcome, sentence
from tui.core.prom.preview import Preview
from tui.i18n import _, ngettext

SCHEMA = "datakit-wizard/preview/v1"
MOST_NAMES = 6  # in one line of text
MOST_POINTS = 20  # of each side of a comparison, in text


def to_json(made: Preview, difference: Difference | None = None) -> dict[str, Any]:
    """The preview by the schema datakit-wizard/preview/v1: strict JSON, a NaN written as the string "NaN".

    With a difference, what changes stands under "against".
    """
    record = {
        "schema": SCHEMA,
        "loaded": made.loaded,
        "up": made.up,
        "points": [_json_point(point) for point in made.points],
        "findings": [
            {"code": one.code, "severity": one.severity, "line": one.line, "message": one.message, "remedy": one.remedy}
            for one in made.findings
        ],
        "series": {"kept": made.picture.kept, "all": made.picture.all},
        "points_per_day": made.picture.points_per_day,
        "views": {one.view: {"panels": one.panels, "filled": list(one.filled)} for one in filled(made.picture.fields)},
    }
    return record if difference is None else {**record, "against": _json_difference(difference)}


def to_line_protocol(made: Preview) -> str:
    """The points as line protocol; what that cannot hold (NaN, points without fields) is left out."""
    return lineprotocol.encode(made.points)


def to_text(made: Preview) -> str:
    """The preview for people: what is kept and what it will be called, then what is dropped and why."""
    return "\n".join(_text(made)) + "\n"


def difference_text(difference: Difference, before: str, after: str) -> str:
    """What changes, for people. `before` and `after` name the two confs."""
    return "\n".join(_difference(difference, before, after)) + "\n"


def _json_point(point: Point) -> dict[str, Any]:
    fields = {
        key: "NaN" if isinstance(value, float) and math.isnan(value) else value for key, value in point.fields.items()
    }
    record: dict[str, Any] = {"measurement": point.measurement, "tags": point.tags, "fields": fields}
    if point.time_ms is not None:
        record["time_ms"] = point.time_ms
    if point.category != "metric":
        record["category"] = point.category
    return record


def _json_difference(found: Difference) -> dict[str, Any]:
    def name(one: FamilyOutcome) -> dict[str, Any]:
        return {"measurement": one.name.measurement, "fields": list(one.fields)}

    def family(one: FamilyOutcome) -> dict[str, Any]:
        return {"family": one.family, "type": one.type, "series": one.series, **name(one)}

    sides = {"before": found.before, "after": found.after}
    return {
        "same": found.same,
        "loaded": {side: made.loaded for side, made in sides.items()},
        "up": {side: made.up for side, made in sides.items()},
        "series": {
            **{side: made.picture.kept for side, made in sides.items()},
            "all": max(made.picture.all for made in sides.values()),
        },
        "points": {
            **{side: len(made.points) for side, made in sides.items()},
            "added": [_json_point(point) for point in found.added],
            "removed": [_json_point(point) for point in found.removed],
        },
        "points_per_day": {side: made.picture.points_per_day for side, made in sides.items()},
        "families": {"gained": list(map(family, found.gained)), "lost": list(map(family, found.lost))},
        "renamed": [
            {"family": one.family, "before": name(one.before), "after": name(one.after)} for one in found.renamed
        ],
        "tags": {"added": found.tags_added, "removed": found.tags_removed},
        "views": {
            one.view: {
                "panels": one.panels,
                "before": len(one.before),
                "after": len(one.after),
                "gained": one.gained,
                "lost": one.lost,
            }
            for one in found.views
        },
    }


def _text(made: Preview) -> Iterator[str]:
    for one in made.findings:
        place = _("line {line}: ").format(line=one.line) if one.line else ""
        told = "" if one.message.startswith(place) else place  # the loader's words begin with it
        yield f"{one.severity}: {told}{one.message}" + (f" {one.remedy}" if one.remedy else "")
    if not made.loaded:
        yield _("DataKit would load no input from this conf.")
        return
    yield _("up: {up}").format(up=_("nothing is reported") if made.up is None else made.up)
    count = len(made.points)
    summary = ngettext(
        "{kept} of {all} series kept, {n} point a round", "{kept} of {all} series kept, {n} points a round", count
    )
    yield summary.format(kept=made.picture.kept, all=made.picture.all, n=count)
    yield _("{n} points a day at this interval, from this address").format(n=f"{made.picture.points_per_day:,}")
    if made.ups:
        more = ngettext("and {n} point collector up a round", "and {n} points collector up a round", made.ups)
        yield more.format(n=made.ups)
    for view in filled(made.picture.fields):
        if view.filled:
            line = _("view {view}: {n} of {all} panels filled")
            yield line.format(view=view.view, n=len(view.filled), all=view.panels)
    for point in made.points:
        yield f"  {_point(point)}"
    families = made.picture.families
    dropped = Counter(sentence(one) for one in families if not one.kept)
    if dropped:
        yield _("Not kept:")
    for why, _count in dropped.most_common():
        yield f"  {why}: {_names([one.family for one in families if not one.kept and sentence(one) == why])}"


def _point(point: Point) -> str:
    tags = ", ".join(f"{key}={value}" for key, value in sorted(point.tags.items()))
    values = "  ".join(f"{key}={value}" for key, value in point.fields.items()) or _("(no value)")
    return f"{point.measurement}  {values}  {tags}"


def _names(names: list[str]) -> str:
    more = f", … (+{len(names) - MOST_NAMES})" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _difference(found: Difference, before: str, after: str) -> Iterator[str]:
    old, new = found.before, found.after
    yield _("From {before} to {after}:").format(before=before, after=after)
    for made, name in ((old, before), (new, after)):
        if not made.loaded:
            yield _("  {conf}: DataKit would load no input: {error}").format(conf=name, error=made.error or "–")
    if found.same:
        yield _("  the same points are sent")
        return
    rows = [
        (_("up"), old.up, new.up),
        (_("series kept"), old.picture.kept, new.picture.kept),
        (_("points a round"), len(old.points), len(new.points)),
        (_("points a day"), f"{old.picture.points_per_day:,}", f"{new.picture.points_per_day:,}"),
        *((_("panels of view {view}").format(view=v.view), len(v.before), len(v.after)) for v in found.views),
    ]
    for what, one, two in rows:
        if one != two:
            yield f"  {what}: {'–' if one is None else one} → {'–' if two is None else two}"
    for view in found.views:
        for sign, keys in (("+", view.gained), ("-", view.lost)):
            if keys:
                yield f"  {sign} " + _("panels of view {view}: {keys}").format(view=view.view, keys=", ".join(keys))
    for renamed in found.renamed:
        yield f"  ~ {renamed.family}: {_called(renamed.before)} → {_called(renamed.after)}"
    for sign, families in (("+", found.gained), ("-", found.lost)):
        for family in families:
            series = ngettext("{n} series", "{n} series", family.series).format(n=family.series)
            yield f"  {sign} {family.family} ({family.type}, {series}): {_called(family)}"
    for sign, tags in (("+", found.tags_added), ("-", found.tags_removed)):
        if tags:
            yield f"  {sign} " + _("tags: {tags}").format(tags=", ".join(tags))
    for title, points, sign in (
        (_("Points added: {n}"), found.added, "+"),
        (_("Points removed: {n}"), found.removed, "-"),
    ):
        yield title.format(n=len(points))
        for point in points[:MOST_POINTS]:
            yield f"  {sign} {_point(point)}"
        if len(points) > MOST_POINTS:
            yield f"  … (+{len(points) - MOST_POINTS})"


def _called(one: FamilyOutcome) -> str:
    return f"{one.name.measurement} " + ", ".join(one.fields)
