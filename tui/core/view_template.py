"""The studio's dashboard JSON, made from a view: groups, variables, and charts on a grid.

Places count within their group. The shape is that of the studio's own export.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tui.core.errors import UsageError
from tui.core.query import NAMESPACES, PromQL, Query, expression, tag_values
from tui.core.view_schema import CODES, UNITS, Panel, View, translation
from tui.i18n import _

MAX_NAME = 128
TOP = 10  # how many a top list shows


def build(view: View, *, name: str, language: str) -> dict[str, Any]:
    """The view as the studio's template JSON. Raises UsageError for a bad name."""
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
    everything = not variable.default
    chosen = variable.default or "__all__"
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
            "value": tag_values(variable.measurement, variable.tag, where=variable.where, lookback=variable.lookback),
            "defaultVal": {"label": chosen, "value": chosen},
        },
        "valueSort": "default",
        "hide": 0,
        "isHiddenAsterisk": 0 if everything else 1,
        "multiple": everything,
        "includeStar": everything,
        "extend": {},
    }


def _chart(panel: Panel, group: str, language: str) -> dict[str, Any]:
    title = translation(panel.title, language)
    x, y, width, height = panel.place
    lines = panel.lines[:1] if panel.formula else panel.lines
    labels = [translation(line.label, language) if line.label and not panel.formula else title for line in lines]
    settings: dict[str, Any] = {
        "showTitle": True,
        "titleDesc": translation(panel.note, language) if panel.note else "",
        "isSampling": True,
        "precision": "2",
        "openThousandsSeparator": True,
        "timeInterval": "auto",
        "fixedTime": "1d" if any(line.query.lookback for line in panel.lines) else "",
        "currentChartType": panel.chart,
        "alias": [],
        "colors": [],
        "levels": [],
        "unitType": "custom",
        "units": [_unit(line.unit or panel.unit, label, language) for line, label in zip(lines, labels, strict=True)],
        **_SETTINGS[panel.chart],
    }
    return {
        "name": title,
        "type": panel.chart,
        "group": {"name": group},
        "pos": {"x": x, "y": y, "w": width, "h": height},
        "extend": {"fixedTime": settings["fixedTime"], "isRefresh": False, "links": [], "settings": settings},
        "queries": _queries(panel, labels),
    }


# What each kind of chart has beside the common settings, as exports of the studio's own views show it.
_SETTINGS: dict[str, dict[str, Any]] = {
    "sequence": {
        "chartType": "line",
        "isTimeInterval": True,
        "xAxisShowType": "time",
        "legendPostion": "bottom",  # the studio's own spelling
        "legendValues": ["last"],
        "connectNulls": False,
    },
    "singlestat": {"isTimeInterval": True, "downsample": "last", "showLineAxis": False, "mappings": []},
    "toplist": {
        "chartType": "bar",
        "isTimeInterval": False,
        "bar": {"direction": "horizontal", "xAxisShowType": "groupBy"},
        "showTopSize": True,
        "topSize": TOP,
        "tableSortType": "top",
    },
    "table": {"isTimeInterval": False, "queryMode": "toGroupColumn", "pageSize": 0, "valMappings": []},
    "pie": {"chartType": "pie", "isTimeInterval": False, "showLabel": True, "legendPostion": "right"},
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
        "namespace": NAMESPACES[query.namespace],
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
