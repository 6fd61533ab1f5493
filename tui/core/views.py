"""The catalogue of the seven monitoring views, what each needs, and the templates made from them.

A view's file `assets/views/*.toml` is read when first asked for. The template is the studio's dashboard
JSON: groups, variables, and charts on a grid whose places count within their group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tui.core.errors import RefusedError, UsageError
from tui.core.query import Condition, PromQL, Query, expression, tag_values
from tui.core.view_schema import (
    CODES,
    UNITS,
    Group,
    Line,
    Panel,
    SchemaError,
    Text,
    Variable,
    View,
    parse,
    translation,
)
from tui.i18n import _, assets

__all__ = [
    "KEYS",
    "MAX_NAME",
    "Fill",
    "Group",
    "Line",
    "Panel",
    "SchemaError",
    "Text",
    "Variable",
    "View",
    "build",
    "catalogue",
    "dashboard_uuid",
    "fillable",
    "translation",
    "view",
]

KEYS = (
    "docker",
    "kubernetes",
    "etcd",
    "istio-mesh",
    "istio-control-plane",
    "istio-service",
    "istio-workload",
)  # in the tutorial's order
MAX_NAME = 128


@dataclass(frozen=True)
class Fill:
    """Whether what is collected can fill a panel, and which (measurement, field) pairs it lacks."""

    panel: Panel
    missing: tuple[tuple[str, str], ...]

    @property
    def ok(self) -> bool:
        """Nothing is missing."""
        return not self.missing


def catalogue() -> list[View]:
    """The seven views in the tutorial's order."""
    return [view(key) for key in KEYS]


def view(key: str) -> View:
    """One view. Raises UsageError for a key that is none of the seven."""
    if key not in KEYS:
        raise UsageError(
            _("There is no view {key}.").format(key=key),
            remedy=_("The views are: {keys}").format(keys=", ".join(KEYS)),
        )
    return _read(key)


@cache
def _read(key: str) -> View:
    return parse((assets() / "views" / f"{key}.toml").read_text(encoding="utf-8"))


def fillable(view: View, fields: Mapping[str, Set[str]]) -> list[Fill]:
    """Which panels a conf can fill, given the fields by measurement that it lets through (`collector` with
    `up` too).
    """
    return [
        Fill(panel, tuple(need for need in dict.fromkeys(panel.needs) if need[1] not in fields.get(need[0], ())))
        for panel in view.panels
    ]


def dashboard_uuid(workspace_uuid: str, view_key: str, cluster_name: str) -> str:
    """The uuid of our dashboard for this view and cluster: always the same, so that creating it twice makes one."""
    name = f"{workspace_uuid}:{view_key}:{cluster_name}"
    return f"dsbd_custom_{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}"


# Templates


def build(view: View, *, name: str, language: str) -> dict[str, Any]:
    """The view as the studio's template JSON. Raises UsageError for a bad name, RefusedError for a view
    that is coming.
    """
    if view.coming:
        raise RefusedError(
            _("{title} cannot be created yet.").format(title=view.title(language)),
            why=_("Its panels come in a later version."),
            remedy=_("Until then clone it from the console's built-in views."),
        )
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise UsageError(
            _("The dashboard's name cannot be used."),
            object=name[:MAX_NAME],
            why=_("A name has 1 to {most} printable characters.").format(most=MAX_NAME),
        )
    groups = {group.key: translation(group.title, language) for group in view.groups}
    return {
        "title": name,
        "summary": "",
        "dashboardType": "CUSTOM",
        "dashboardOwnerType": "node",
        "dashboardExtend": {"groupUnfoldStatus": dict.fromkeys(groups.values(), True)},
        "dashboardMapping": [],
        "dashboardBindSet": [],
        "iconSet": {},
        "thumbnail": "",
        "tagInfo": [],
        "tags": [],
        "main": {
            "type": "template",
            "groups": [{"name": title, "extend": {"bgColor": ""}} for title in groups.values()],
            "vars": [_variable(view, at, language) for at in range(len(view.variables))],
            "charts": [_chart(panel, groups[panel.group], language) for panel in view.panels],
        },
    }


def _variable(view: View, at: int, language: str) -> dict[str, Any]:
    variable = view.variables[at]
    where = tuple(Condition(code, code, variable=True) for code in variable.within)
    return {
        "name": translation(variable.title, language),
        "code": variable.code,
        "seq": at,
        "datasource": "dataflux",
        "type": "QUERY",
        "definition": {
            "tag": "",
            "field": "",
            "metric": "",
            "object": "",
            "value": tag_values(view.measurement, variable.code, where=where, lookback=variable.lookback),
            "defaultVal": {"label": "__all__", "value": "__all__"},
        },
        "valueSort": "default",
        "hide": 0,
        "isHiddenAsterisk": 0,
        "multiple": True,
        "includeStar": True,
        "extend": {},
    }


def _chart(panel: Panel, group: str, language: str) -> dict[str, Any]:
    title = translation(panel.title, language)
    x, y, width, height = panel.place
    labels = [translation(line.label, language) if line.label else title for line in panel.lines]
    if panel.formula:
        labels = [title]
    settings: dict[str, Any] = {
        "showTitle": True,
        "titleDesc": translation(panel.note, language) if panel.note else "",
        "isSampling": True,
        "precision": "2",
        "openThousandsSeparator": True,
        "timeInterval": "auto",
        "fixedTime": "1d" if any(line.query.lookback for line in panel.lines) else "",
        "currentChartType": "areaLine" if panel.chart == "sequence" else panel.chart,
        "alias": [],
        "colors": [],
        "levels": [],
        "unitType": "custom",
        "units": [_unit(panel.unit, label, language) for label in labels],
    }
    if panel.chart == "sequence":
        settings |= {
            "chartType": "line",
            "currentChartType": "sequence",
            "isTimeInterval": True,
            "xAxisShowType": "time",
            "legendPostion": "bottom",  # the studio's own spelling
            "legendValues": ["last"],
            "connectNulls": False,
        }
    return {
        "name": title,
        "type": panel.chart,
        "group": {"name": group},
        "pos": {"x": x, "y": y, "w": width, "h": height},
        "extend": {"fixedTime": settings["fixedTime"], "isRefresh": False, "links": [], "settings": settings},
        "queries": _queries(panel, labels),
    }


def _unit(unit: str, label: str, language: str) -> dict[str, Any]:
    pair = UNITS[unit]
    kind, word = pair["zh" if language == "zh" else "en"] if isinstance(pair, dict) else pair
    return {"key": label, "name": label, "unit": word if kind == "custom" else "", "units": [kind, word]}


def _queries(panel: Panel, labels: list[str]) -> list[dict[str, Any]]:
    found = []
    for at, text in enumerate(_texts(panel, labels)):
        if isinstance(text, PromQL):
            query: dict[str, Any] = {"q": text, "type": "promql", "code": CODES[at], "promqlCode": at + 1}
        elif panel.formula:
            query = {"q": text, "type": "dql", "code": CODES[at], "namespace": "metric", "alias": labels[at]}
        else:
            query = _editable(panel.lines[at].query, text, CODES[at], labels[at])
        found.append(
            {
                "name": labels[at],
                "type": panel.chart,
                "unit": "",
                "color": "",
                "datasource": "dataflux",
                "qtype": "promql" if isinstance(text, PromQL) else "dql",
                "query": query,
            }
        )
    return found


def _texts(panel: Panel, labels: list[str]) -> list[str]:
    """The panel's queries with the labels as the names of their columns."""
    if panel.formula:
        parts = dict(zip(CODES, (line.query for line in panel.lines), strict=False))
        return [expression(panel.formula, parts, alias=labels[0])]
    return [replace(line.query, alias=label).text() for line, label in zip(panel.lines, labels, strict=True)]


def _editable(query: Query, text: str, code: str, alias: str) -> dict[str, Any]:
    """A DQL query with what the studio's editor shows of it. A rollup is beyond the simple editor."""
    return {
        "q": text,
        "code": code,
        "type": "dql" if query.rollup or query.lookback else "simple",
        "namespace": "metric",
        "dataSource": query.measurement,
        "field": query.field,
        "fieldFunc": query.function,
        "fieldType": "float",
        "alias": alias,
        "fill": None,
        "fillNum": None,
        "groupBy": list(query.by),
        "groupByTime": "",
        "filters": [
            {
                "id": f"f{at}",
                "op": {"=~": "=", "!~": "!="}.get(condition.op, condition.op),
                "name": condition.tag,
                "type": "",
                "logic": "and",
                "value": f"#{{{condition.value}}}" if condition.variable else condition.value,
            }
            for at, condition in enumerate(query.where)
        ],
        "funcList": [],
        "queryFuncs": [],
    }
