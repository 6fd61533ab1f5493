"""What each rule of an input did to one family, in sentences and in the order in which DataKit 1.84.1 goes about it."""

from __future__ import annotations

from collections.abc import Iterator

from tui.core.prom import patterns
from tui.core.prom.explain import FamilyOutcome, sentence
from tui.core.prom.live import Picture, Share
from tui.core.prom.settings import PromInput
from tui.i18n import _, ngettext


def tell(picture: Picture, name: str) -> list[str]:
    """The story of a family under the input that keeps it, else under the first one. None of it in the scrape: []."""
    family = picture.family(name)
    if family is None:
        return []
    share = next((share for share in picture.shares if family in share.families), None)
    return story(share, family) if share else [sentence(family)]


def story(share: Share, family: FamilyOutcome) -> list[str]:
    """One sentence a rule. It ends where the family is dropped; else with the names of its fields and what it costs."""
    settings = share.settings
    return [*_ignored(settings, family), *_named(settings, family), *_typed(settings, family), *_kept(share, family)]


def matching(texts: tuple[str, ...], name: str) -> tuple[list[str], list[str]]:
    """The patterns of a list that are found in a name, and those that are no patterns to Go."""
    found, bad = [], []
    for text in texts:
        matcher = patterns.compile_filter(text)
        if matcher is None:
            bad.append(text)
        elif matcher(name):
            found.append(text)
    return found, bad


def _ignored(settings: PromInput, family: FamilyOutcome) -> Iterator[str]:
    found, bad = matching(settings.metric_name_filter_ignore, family.family)
    yield from _left_out("metric_name_filter_ignore", bad)
    if found:
        yield _("metric_name_filter_ignore: {pattern} is found in the name: dropped").format(pattern=repr(found[0]))
    elif settings.metric_name_filter_ignore:
        yield _("metric_name_filter_ignore: nothing is found in the name")


def _named(settings: PromInput, family: FamilyOutcome) -> Iterator[str]:
    if family.outcome == "metric_name_filter_ignore":
        return
    found, bad = matching(settings.metric_name_filter, family.family)
    yield from _left_out("metric_name_filter", bad)
    if found:
        yield _("metric_name_filter: {pattern} is found in the name").format(pattern=repr(found[0]))
    elif len(bad) == len(settings.metric_name_filter):
        yield _("metric_name_filter: empty, every name passes")
    else:
        yield _("metric_name_filter: nothing is found in the name: dropped")


def _left_out(key: str, bad: list[str]) -> Iterator[str]:
    for text in bad:
        yield _("{key}: {pattern} is no regular expression and is left out").format(key=key, pattern=repr(text))


def _typed(settings: PromInput, family: FamilyOutcome) -> Iterator[str]:
    if family.outcome in ("metric_name_filter_ignore", "metric_name_filter"):
        return
    if not settings.metric_types:
        yield _("metric_types: empty, every type passes")
    elif family.outcome == "metric_types":
        yield _("metric_types: {type} is not among them: dropped").format(type=family.type)
    else:
        yield _("metric_types: {type} is among them").format(type=family.type)


def _kept(share: Share, family: FamilyOutcome) -> Iterator[str]:
    if family.outcome in ("metric_name_filter_ignore", "metric_name_filter", "metric_types"):
        return
    yield sentence(family)
    if not family.kept:
        return
    prefix = share.settings.measurement_prefix
    if prefix:
        yield _("measurement_prefix: {prefix} is put before the measurement").format(prefix=prefix)
    yield _("measurement {measurement}, fields {fields}").format(
        measurement=family.name.measurement, fields=", ".join(family.fields)
    )
    series = ngettext("{n} series of one member", "{n} series of one member", family.series)
    interval = share.settings.interval_s
    day = round(family.points * 86400 / interval) if interval > 0 else 0
    points = ngettext("{n} point a round", "{n} points a round", family.points)
    cost = _("{series}: {points}, {day} a day")
    yield cost.format(series=series.format(n=family.series), points=points.format(n=family.points), day=f"{day:,}")
