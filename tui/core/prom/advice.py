"""What the panels of the chosen views need and a conf drops, each with the one edit that would keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tui.core import etcd_edits
from tui.core.errors import UsageError
from tui.core.prom.explain import FamilyOutcome, sentence
from tui.core.prom.live import LivePreview, Picture, Share
from tui.core.prom.settings import PROM
from tui.core.prom.story import matching
from tui.core.view_schema import Panel, View
from tui.i18n import N_, _

_ENDS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


@dataclass(frozen=True)
class Step:
    """One call of an edit function of `tui.core.etcd_edits`: its name, and the values it takes before `block`."""

    function: str
    values: tuple[str, ...]

    def apply(self, text: str, block: int) -> str:
        """The text after it. Raises UsageError where the text cannot be edited."""
        return _FUNCTIONS[self.function](text, self.values, block)

    def sentence(self) -> str:
        """What it does, in words."""
        return _(_SENTENCES[self.function]).format(*map(repr, self.values))


_FUNCTIONS: Mapping[str, Callable[[str, tuple[str, ...], int], str]] = {
    "remove_item": lambda text, values, block: etcd_edits.remove_item(text, *values, block=block),
    "add_filter": lambda text, values, block: etcd_edits.add_filter(text, *values, block=block),
    "add_type": lambda text, values, block: etcd_edits.add_type(text, *values, block=block),
    "set_key": lambda text, values, block: etcd_edits.set_key(text, values[0], values[1], block=block),
    "add_rule": lambda text, values, block: etcd_edits.add_rule(text, *values, block=block),
}
# Msgids. {0} and {1} are the values, in quotes.
_SENTENCES = {
    "remove_item": N_("take {1} out of {0}"),
    "add_filter": N_("add {0} to metric_name_filter"),
    "add_type": N_("add {0} to metric_types"),
    "set_key": N_("set {0} to {1}"),
    "add_rule": N_("add a rule that calls what begins with {0} measurement {1}"),
}


@dataclass(frozen=True)
class Edit:
    """One change of a conf, made of few steps in one block. It may be applied to a later text as well."""

    steps: tuple[Step, ...]
    block: int = 0

    def apply(self, text: str) -> str:
        """The text after the edit; all else in it stays. Raises UsageError where it cannot be edited."""
        for step in self.steps:
            text = step.apply(text, self.block)
        return text

    def sentence(self) -> str:
        """What it does, in words."""
        return "; ".join(step.sentence() for step in self.steps)


@dataclass
class Advice:
    """A family that panels need and that does not arrive as they need it.

    `needs` are the (measurement, field) pairs wanted of it. `edit` None: no edit of ours would do. `series` is what it
    adds for each member.
    """

    family: FamilyOutcome
    edit: Edit | None
    needs: list[tuple[str, str]] = field(default_factory=list)
    panels: list[tuple[View, Panel]] = field(default_factory=list)

    @property
    def series(self) -> int:
        """Its series of one member."""
        return self.family.series

    def why(self) -> str:
        """Why it does not arrive, in words."""
        if not self.family.kept:
            return sentence(self.family)
        return _("arrives as {field} of {measurement}; the panel asks for {need}").format(
            field=self.family.fields[0], measurement=self.family.name.measurement, need=self.needs[0][1]
        )


def advise(live: LivePreview, text: str, views: Iterable[View]) -> list[Advice]:
    """The families of the scrape that panels of these views need and `text` does not deliver, in the panels' order.

    Each edit was tried: with it, every need of the family is met, and every need that was met before still is. What the
    scrape itself lacks is not listed. Takes milliseconds for each family: not for every key press.
    """
    picture = live.look(text)
    measurements = _measurements(picture)
    found: dict[str, Advice] = {}
    met: set[tuple[str, str]] = set()
    for view in views:
        for panel in view.panels:
            for need in panel.needs:
                if _has(picture, need):
                    met.add(need)
                if need in met or need[0] not in measurements:
                    continue
                family = _family(picture, *need)
                if family is None:
                    continue
                one = found.setdefault(family.family, Advice(family, None))
                if need not in one.needs:
                    one.needs.append(need)
                if (view, panel) not in one.panels:
                    one.panels.append((view, panel))
    for one in found.values():
        one.edit = _edit(live, text, one, met)
    return list(found.values())


def _measurements(picture: Picture) -> set[str]:
    """The measurements that this conf and scrape are about: views of others ask for other targets."""
    named = {share.settings.measurement_name for share in picture.shares}
    heads = {one.family.partition("_")[0] for one in picture.families}
    return {*named, *heads, *(one.name.measurement for one in picture.families)}


def _has(picture: Picture, need: tuple[str, str]) -> bool:
    return need[1] in picture.fields.get(need[0], ())


def _family(picture: Picture, measurement: str, wanted: str) -> FamilyOutcome | None:
    """The family that a field comes from: it has the field's name, or the measurement before it."""
    for one in picture.families:
        for end in _ENDS.get(one.type, ("",)):
            if one.family + end in (wanted, f"{measurement}_{wanted}"):
                return one
    return None


def _edit(live: LivePreview, text: str, advice: Advice, met: Iterable[tuple[str, str]]) -> Edit | None:
    """The edit that meets the needs, found by mending one thing after the other and looking at the outcome."""
    block = _block(live, text)
    steps: list[Step] = []
    while block is not None and len(steps) < 8:
        try:
            edited = Edit(tuple(steps), block).apply(text)
        except UsageError:
            return None
        picture = live.look(edited)
        if picture.error:
            return None
        if all(_has(picture, need) for need in advice.needs):
            return Edit(tuple(steps), block) if all(_has(picture, need) for need in met) else None
        more = _next_steps(picture.shares[block], advice)
        if not more or any(step in steps for step in more):
            return None
        steps += more
    return None


def _block(live: LivePreview, text: str) -> int | None:
    """The block to edit: the first, if the text's blocks are all there as inputs."""
    shares = live.look(text).shares
    prom = [share for share in shares if share.settings.kind == PROM]
    return 0 if prom and shares[0] is prom[0] and len(prom) == len(etcd_edits.blocks(text)) else None


def _next_steps(share: Share, advice: Advice) -> list[Step]:
    """What is to be changed next for a family under one input; nothing where we know no way."""
    name = advice.family.family
    outcome = next((one for one in share.families if one.family == name and one.type == advice.family.type), None)
    if outcome is None:
        return []
    settings = share.settings
    if outcome.outcome == "metric_name_filter_ignore":
        found, _bad = matching(settings.metric_name_filter_ignore, name)
        return [Step("remove_item", ("metric_name_filter_ignore", pattern)) for pattern in found]
    if outcome.outcome == "metric_name_filter":
        return [Step("add_filter", (f"^{name}$",))]
    if outcome.outcome == "metric_types":
        return [Step("add_type", (advice.family.type,))]
    if not outcome.kept:
        return []
    measurement, wanted = advice.needs[0]
    if settings.measurement_prefix:
        return [Step("set_key", ("measurement_prefix", ""))]
    if outcome.name.rule:
        return []
    rule = Step("add_rule", (f"{measurement}_", measurement))
    if not wanted.startswith(name):
        return [rule]
    # The panel wants the full name. What the split at the first underscore calls as wanted must not change.
    has_rule = any(one.prefix == f"{measurement}_" for one in settings.measurements)
    splits = not settings.measurement_name and not settings.keep_exist_metric_name and not has_rule
    return [*([rule] if splits else []), Step("set_key", ("measurement_name", measurement))]
