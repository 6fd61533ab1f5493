"""The shape of a monitoring view: variables, groups and panels, and what each panel needs to fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tui.core.query import Condition, Query, expression
from tui.i18n import N_

COLUMNS = 24
SOURCES = ("built-in", "grafana", "proposed")
CHARTS = ("sequence", "singlestat", "toplist", "table", "pie")
# Of etcd.conf and of Istio's confs; "" where no preset has a say, or none suffices.
PRESETS = ("tutorial", "recommended", "lean", "full")
# What must be set, or be so, for a panel to fill, beyond its fields: msgids.
SETTINGS = {
    "container": N_("the input `container` is on"),
    "pod-metrics": N_("the input `container` collects pod metrics (ENV_INPUT_CONTAINER_ENABLE_POD_METRIC=true)"),
    "host-inputs": N_("the inputs `system`, `mem` and `disk` are on"),
    "limits": N_("the containers have limits"),
    "docker": N_("the containers run on Docker: containerd reports no block traffic"),
    "volumes": N_("pods use persistent volumes, and DataKit collects on each node (enable_k8s_node_local)"),
    "members": N_("etcd has at least two members"),
    "sidecars": N_("sidecars are scraped: the annotation `datakit/prom.instances` on their pods"),
    "istiod": N_("istiod is scraped, with the tag app_id=istiod"),
    "histogram": N_('histograms pass: "histogram" in metric_types, and names without _bucket in the filter'),
    "tcp": N_("the services talk TCP other than HTTP"),
}
LANGUAGES = ("zh", "en")
CODES = "ABCDEFGHIJKL"
# The studio's pair for each unit; a pair in two languages where it is a word.
UNITS: dict[str, tuple[str, str] | dict[str, tuple[str, str]]] = {
    "none": ("custom", ""),
    "count": {"zh": ("custom", "个"), "en": ("custom", "")},
    "times": {"zh": ("custom", "次"), "en": ("custom", "")},
    "bytes": ("digital", "B"),
    "bytes/s": ("traffic", "B/S"),
    "percent": ("percent", "percent"),
    "fraction": ("percent", "percent_decimal"),
    "cores": {"zh": ("custom", "核"), "en": ("custom", "cores")},
    "millicores": ("custom", "m"),
    "milliseconds": ("time", "ms"),
    "seconds": ("time", "s"),
    "days": {"zh": ("custom", "天"), "en": ("custom", "d")},
    "requests/s": ("throughput", "reqps"),
    "operations/s": ("throughput", "ops"),
}

Text = Mapping[str, str]  # by language


def translation(text: Text, language: str) -> str:
    """The text in a language, English for those that are not ours."""
    return text["zh" if language == "zh" else "en"]


@dataclass(frozen=True)
class Variable:
    """A drop-down of the view: the values of a tag of `measurement` in the last `lookback`, among the points
    that meet `where`.

    With `default` one value is always chosen; without, none means all.
    """

    code: str
    title: Text
    measurement: str
    tag: str
    where: tuple[Condition, ...]
    lookback: str
    default: str = ""

    def chosen(self, tag: str = "") -> Condition:
        """The condition that a tag (its own, unless another is given) has what was chosen."""
        return Condition(tag or self.tag, self.code, variable=True, default=self.default)


@dataclass(frozen=True)
class Group:
    """A section of the view."""

    key: str
    title: Text


@dataclass(frozen=True)
class Line:
    """One query of a panel, the name of its lines (empty: the panel's title) and its unit ("": the panel's)."""

    query: Query
    label: Text
    unit: str = ""


@dataclass(frozen=True)
class Panel:
    """One chart. `place` is (x, y, width, height) within its group.

    `ref` names the row of the project's panel list that it shows; several panels may share one. `preset` is
    the smallest preset of the conf that feeds it, `settings` what else must be so (keys of SETTINGS).
    """

    key: str
    group: str
    title: Text
    note: Text
    source: str
    chart: str
    unit: str
    preset: str
    place: tuple[int, int, int, int]
    lines: tuple[Line, ...]
    formula: str = ""
    ref: str = ""
    settings: tuple[str, ...] = ()

    @property
    def histogram(self) -> bool:
        """Whether it needs the buckets of a histogram."""
        return any(line.query.quantile is not None for line in self.lines)

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The (source, field) pairs that must arrive for the panel to be filled; a source is a measurement, or
        "O::class" and "L::source", whose field "*" is any.
        """
        return tuple(dict.fromkeys((line.query.source, line.query.stored) for line in self.lines))

    @property
    def tags(self) -> dict[str, tuple[str, ...]]:
        """The tags that the points of each source must carry."""
        found: dict[str, tuple[str, ...]] = {}
        for query in (line.query for line in self.lines):
            found[query.source] = tuple(dict.fromkeys((*found.get(query.source, ()), *query.tags)))
        return found

    def queries(self, values: Mapping[str, str] | None = None) -> list[str]:
        """Its texts, each DQL or (as PromQL) PromQL: with `#{variable}`, or with these values filled in.

        A variable without a value means its default, or all.
        """
        queries = [line.query if values is None else line.query.bound(values) for line in self.lines]
        if self.formula:
            return [expression(self.formula, dict(zip(CODES, queries, strict=False)))]
        return [query.text() for query in queries]


@dataclass(frozen=True)
class View:
    """One of the seven. `number` is the tutorial's section."""

    key: str
    number: str
    measurement: str
    titles: Text
    names: Text
    variables: tuple[Variable, ...] = ()
    groups: tuple[Group, ...] = ()
    panels: tuple[Panel, ...] = ()

    def title(self, language: str) -> str:
        """What the tutorial calls the view."""
        return translation(self.titles, language)

    def name(self, language: str) -> str:
        """What the tutorial calls the dashboard made from it: the name to propose."""
        return translation(self.names or self.titles, language)
