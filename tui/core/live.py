"""A view, live: what the studio is asked for its panels and variables, and what is read from the answers.

One request holds it all: the values of each variable, the fields that have arrived, and every panel's queries. What was
chosen goes into the queries as the query model writes it; a value that cannot stand in one is refused there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tui.core import panel_data
from tui.core.panel_data import PanelData
from tui.core.ports import Answer, Ask
from tui.core.query import literal, tag_values
from tui.core.survey import CLUSTER_TAG
from tui.core.view_fill import PanelFill, explained, why
from tui.core.view_schema import Panel, Variable, View
from tui.core.view_spelling import TUTORIAL, Spelling, spelled, spelling
from tui.core.views import fillable
from tui.core.views import view as catalogued

COLLECTION_S = 60  # of every input that feeds the views, unless a conf says otherwise
RANGES_S = (15 * 60, 3600, 6 * 3600, 24 * 3600)
_POINTS = 120  # of a line at most; a terminal shows hardly more
_OVER_TIME = ("sequence", "singlestat")


@dataclass(frozen=True)
class Live:
    """What is asked for: a view, what is chosen in it ("" or missing: the default, or all), and the time range."""

    view: View
    chosen: Mapping[str, str]
    range_s: int = RANGES_S[0]
    collection_s: int = COLLECTION_S  # how often a point comes
    spelling: Spelling = TUTORIAL  # of the view's names

    @property
    def interval_s(self) -> int:
        """How far apart the points of a line are, in seconds."""
        return max(self.collection_s, self.range_s // _POINTS // self.collection_s * self.collection_s)

    def choose(self, code: str, value: str) -> Live:
        """With another value for a variable; those that depend on it fall back. Raises UsageError for a value that
        cannot stand in a query.
        """
        if value:
            literal(value)
        below = _below(self.view, code)
        kept = {name: old for name, old in self.chosen.items() if name != code and name not in below}
        return replace(self, chosen={**kept, code: value} if value else kept)

    def fitted(self, picture: Picture) -> Live:
        """With the view in the names that the workspace's data has."""
        if picture.spelling == self.spelling:
            return self
        return replace(self, view=spelled(catalogued(self.view.key), picture.spelling), spelling=picture.spelling)


@dataclass(frozen=True)
class Picture:
    """What was answered: the values that each variable offers, and each panel's data in the view's order."""

    values: Mapping[str, tuple[str, ...]]
    panels: tuple[PanelData, ...]
    spelling: Spelling = TUTORIAL

    @property
    def newest_ms(self) -> float:
        """The time of the newest point of all panels, unix ms; 0 where there is none."""
        return max((panel.newest_ms for panel in self.panels), default=0.0)


def begin(view: View, cluster_name: str, etcd_conf: str = "") -> Live:
    """The view with the cluster that the wizard works on; of ETCD the points come as often as its conf says."""
    live = Live(view, {}, collection_s=_collection_s(etcd_conf) if view.key == "etcd" and etcd_conf else COLLECTION_S)
    codes = [variable.code for variable in view.variables if variable.tag == CLUSTER_TAG]
    for code in codes if cluster_name else []:
        live = live.choose(code, cluster_name)
    return live


def _collection_s(conf: str) -> int:
    from tui.core.prom.conf import load

    return max(int(max((found.interval_s for found in load(conf, {}).inputs), default=COLLECTION_S)), 1)


def window(range_s: float, now_s: float, interval_s: float) -> tuple[int, int]:
    """The range to ask for, unix ms. It ends before the interval that is under way: a sum over what has arrived of that
    one would fall short. So the same data gives the same answer until the next interval begins.
    """
    end = now_s // interval_s * interval_s
    return int((end - range_s) * 1000), int(end * 1000) - 1


def asks(live: Live) -> list[Ask]:
    """Every query of the view, in the order in which `read` takes the answers. Raises UsageError."""
    view = live.view
    texts = [Ask(_values_text(variable, live.chosen)) for variable in view.variables]
    texts += [Ask(f"show_field_key(from=[{literal(name)}])") for name in _measurements(view)]
    if view.key == "etcd":
        texts.append(Ask(f"show_tag_key(from=[{literal(view.measurement)}])"))
    for panel in view.panels:
        interval = live.interval_s if _over_time(panel) else 0
        texts += [Ask(text, interval) for text in panel.queries(live.chosen)]
    return texts


def read(live: Live, answers: Sequence[Answer], language: str) -> Picture:
    """The answers to `asks(live)` as what is drawn."""
    view, rest = live.view, iter(answers)
    values = {variable.code: _texts(next(rest), "value") for variable in view.variables}
    fields = {name: set(_texts(next(rest), "fieldKey")) for name in _measurements(view)}
    found = TUTORIAL
    if view.key == "etcd":
        tags = set(_texts(next(rest), "tagKey")) or {"instance"}
        found = spelling(fields.get(view.measurement, set()), tags)
    panels, fills = [], []
    for fill in fillable(view, fields):
        given = [next(rest) for _text in fill.panel.queries({})]
        data = panel_data.read(fill.panel, given, language)
        panels.append(data)
        fills.append(PanelFill(fill.panel, () if data.filled else fill.missing, refused=data.error))
    absent = {name for name, own in fields.items() if not own}
    told = [
        data if data.filled or data.error else replace(data, why="\n".join(why(one, language, absent)))
        for data, one in zip(panels, explained({view.key: fills})[view.key], strict=True)
    ]
    return Picture(values, tuple(told), found)


def _over_time(panel: Panel) -> bool:
    """Whether a panel shows a course: lines, and numbers of metrics. Objects have no course, tables one moment."""
    return panel.chart in _OVER_TIME and all(line.query.namespace == "M" for line in panel.lines)


def _measurements(view: View) -> list[str]:
    """The measurements that the view's panels show."""
    return sorted(
        {line.query.measurement for panel in view.panels for line in panel.lines if line.query.namespace == "M"}
    )


def _values_text(variable: Variable, chosen: Mapping[str, str]) -> str:
    where = tuple(bound for condition in variable.where if (bound := condition.bound(chosen)) is not None)
    return tag_values(variable.measurement, variable.tag, where=where, lookback=variable.lookback)


def _below(view: View, code: str) -> set[str]:
    """The variables whose values depend on this one, directly or not."""
    found: set[str] = set()
    for variable in view.variables:  # a variable stands after those that it depends on
        if {condition.value for condition in variable.where if condition.variable} & ({code} | found):
            found.add(variable.code)
    return found


def _texts(answer: Answer, column: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for series in answer.series if (value := series.tags.get(column))))


def clock(ms: float) -> str:
    """A moment as the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(ms / 1000))
