"""The catalogue as a whole: every panel of the project's list is there, and every template fits the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest

from tui.core import views
from tui.core.query import PromQL
from tui.core.view_schema import CHARTS, SETTINGS, Panel, View
from tui.i18n import assets

BUILT_IN, GRAFANA, PROPOSED = "built-in", "grafana", "proposed"


def rows(prefix: str, **marks: str) -> dict[str, str]:
    """The rows of a view's list: "1-6, 8" for each mark."""
    found = {}
    for mark, text in marks.items():
        for part in text.replace(" ", "").split(","):
            first, _, last = part.partition("-")
            names = range(int(first), int(last) + 1) if last else [first]
            found.update({f"{prefix}{name}": mark for name in names})
    return found


# The panels of the built-in views (their public export of 2023), those of Grafana's dashboards for the same
# systems, and those proposed beside them, by their numbers in the project's list.
LISTED = {
    "docker": rows("D", B="1-6, 8, 9", G="10-12", X="7, 13"),
    "kubernetes": rows("K", B="1-7, 9-21", G="22-29", X="8, 30"),
    "etcd": rows("E", B="1-7, 5d, 9-13", G="2r, 3r, 14, 14f, 15, 16", X="8, 17, 18"),
    "istio-mesh": rows("M", B="1-13", G="5b, 5c, 14, 15", X="16"),
    "istio-control-plane": rows("C", B="1-12", G="13-16", X="17"),
    "istio-service": rows("S", B="1, 2, 4, 5, 8, 9, 11, 12", G="3, 6, 7, 10, 13"),
    "istio-workload": rows("W", B="1, 2, 5-11", G="3, 4, 12"),
}
SOURCES = {"B": BUILT_IN, "G": GRAFANA, "X": PROPOSED}
# Parts of a row that are shown otherwise, and why.
OTHERWISE = {
    "C16": "a heatmap of buckets becomes quantiles: what a bucket counts says little to a reader",
    "M16": "not Bookinfo's reviews alone: the service is a variable",
    "W4": "one number of both directions, as Grafana has it",
}

ALL = [(view, panel) for view in views.catalogue() for panel in view.panels]
IDS = [f"{view.key}-{panel.key}" for view, panel in ALL]


def test_every_listed_panel_is_there_and_none_is_left_out() -> None:
    assert sum(len(listed) for listed in LISTED.values()) == 125
    for view in views.catalogue():
        listed = LISTED[view.key]
        shown = {panel.ref for panel in view.panels}
        assert shown == set(listed), view.key
        for panel in view.panels:
            if panel.key == panel.ref:
                assert panel.source == SOURCES[listed[panel.ref]], panel.key
    assert set(OTHERWISE) <= {panel.ref for _view, panel in ALL}
    assert len(ALL) == 161


def test_keys_are_unique_over_all_views() -> None:
    keys = [panel.key for _view, panel in ALL]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("view", "panel"), ALL, ids=IDS)
def test_a_panel_is_of_one_cluster_and_of_one_reporter(view: View, panel: Panel) -> None:
    for line in panel.lines:
        conditions = {condition.tag: condition for condition in line.query.where}
        assert conditions["cluster_name_k8s"].variable
        if re.match("istio_(requests|request_|response_|tcp_)", line.query.field):
            reporter = conditions["reporter"]
            assert (reporter.default if reporter.variable else reporter.value) in ("source", "destination")
        if view.key == "istio-control-plane":
            assert {"app_id", "cluster_name", "namespace"} & set(conditions), "of istiod, or of the proxies"


@pytest.mark.parametrize(("view", "panel"), ALL, ids=IDS)
def test_counters_are_shown_as_rates_and_gauges_added_up_once(view: View, panel: Panel) -> None:
    """A sum without a rollup would add every sample of a bucket; a percentile of bucket counts is no latency."""
    for line in panel.lines:
        query = line.query
        assert query.function != "sum" or query.rollup or query.in_promql
        assert "_bucket" not in query.field
        if query.quantile is not None:
            assert query.rollup == "rate"
        if re.search("(_total|pushes|_events|_bytes_(rcvd|sent)|block_\\w+_byte)$", query.field):
            counter_as_is = query.function in ("max", "avg", "spread") and view.key in ("etcd", "istio-mesh")
            # These are gauges in spite of their names.
            gauge = re.search("(keys|watcher|stream)_total$|proposals_(applied|committed)", query.field)
            assert query.rollup == "rate" or counter_as_is or gauge, query.field


@pytest.mark.parametrize(("view", "panel"), ALL, ids=IDS)
def test_the_settings_that_a_panel_needs_are_named(view: View, panel: Panel) -> None:
    assert set(panel.settings) <= set(SETTINGS)
    assert panel.histogram == ("histogram" in panel.settings)
    fields = {field for _source, field in panel.needs}
    if view.key in ("docker", "kubernetes"):
        assert "container" in panel.settings
    if any(source == "kube_pod" and field != "restarts" for source, field in panel.needs):
        assert "pod-metrics" in panel.settings
    if view.key.startswith("istio"):
        assert panel.preset in ("tutorial", "lean", "full")
        assert ("tcp" in panel.settings) == any(field.startswith("istio_tcp_") for field in fields)
        assert {"sidecars", "istiod"} & set(panel.settings)
    assert panel.chart in CHARTS


def test_what_a_panel_needs() -> None:
    panels = {panel.key: panel for _view, panel in ALL}
    assert panels["K30"].needs == (("L::kubernetes_events", "*"),)
    assert panels["K12"].needs[0] == ("O::kubelet_pod", "age")
    assert panels["K12"].tags["O::kubelet_pod"] == (
        "cluster_name_k8s", "namespace", "node_name", "pod_name", "status",
    )  # fmt: skip
    assert panels["M5b"].needs == (("istio_prom", "istio_request_duration_milliseconds_bucket"),)
    assert "response_code" in panels["M2"].tags["istio_prom"]
    [fill] = [
        fill for fill in views.fillable(views.view("kubernetes"), {"L::kubernetes_events": {"message"}}) if fill.ok
    ]
    assert fill.panel.key == "K30"


# Templates


def built(view: View, language: str) -> dict[str, Any]:
    return views.build(view, name=view.name(language), language=language)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((assets() / "views" / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("key", views.KEYS)
def test_templates_fit_the_schema(key: str, language: str, validator: jsonschema.Draft202012Validator) -> None:
    view = views.view(key)
    template = built(view, language)
    validator.validate(template)
    assert json.loads(json.dumps(template)) == template
    codes = {variable["code"] for variable in template["main"]["vars"]}
    groups = {group["name"] for group in template["main"]["groups"]}
    assert len(template["main"]["charts"]) == len(view.panels)
    for chart in template["main"]["charts"]:
        assert chart["group"]["name"] in groups
        for query in chart["queries"]:
            assert set(re.findall(r"#\{(\w+)\}", query["query"]["q"])) <= codes
    if language == "en":
        assert not re.search("[\u2e80-\uffef]", json.dumps(template, ensure_ascii=False))
    else:
        own = {panel.title["zh"] for panel in view.panels} - {panel.title["en"] for panel in view.panels}
        assert len(own) >= len(view.panels) - 6  # CPU, 4xx and the like are the same in both


def chart_of(template: Mapping[str, Any]) -> dict[str, Any]:
    return template["main"]["charts"][0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda template: template.pop("main"),
        lambda template: template.update(titel="x"),
        lambda template: chart_of(template).update(type="cake"),
        lambda template: chart_of(template)["pos"].update(x=24),
        lambda template: chart_of(template)["queries"][0].update(qtype="sql"),
        lambda template: chart_of(template)["queries"][0].update(qtype="promql"),
        lambda template: chart_of(template)["queries"][0]["query"].pop("q"),
        lambda template: chart_of(template)["extend"]["settings"].update(legendPosition="bottom"),
        lambda template: template["main"]["vars"][0].update(type="LIST"),
        lambda template: template["main"]["vars"][0]["definition"].update(value=""),
        lambda template: template["main"].update(charts=[]),
    ],
)
def test_the_schema_refuses_what_is_wrong(spoil: Any, validator: jsonschema.Draft202012Validator) -> None:
    template = built(views.view("docker"), "en")
    validator.validate(template)
    spoil(template)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(template)


def test_what_only_promql_can_say_is_promql_in_the_template() -> None:
    for view in views.catalogue():
        for panel, chart in zip(view.panels, built(view, "en")["main"]["charts"], strict=True):
            assert len(chart["queries"]) == len(panel.queries())
            for text, query in zip(panel.queries(), chart["queries"], strict=True):
                assert query["qtype"] == ("promql" if isinstance(text, PromQL) else "dql")


def test_a_reporter_is_one_and_cannot_be_all() -> None:
    for key, default in (("istio-service", "source"), ("istio-workload", "destination")):
        [reporter] = [v for v in built(views.view(key), "en")["main"]["vars"] if v["code"] == "qrep"]
        assert reporter["definition"]["defaultVal"] == {"label": default, "value": default}
        assert (reporter["multiple"], reporter["includeStar"], reporter["isHiddenAsterisk"]) == (False, False, 1)


def test_variables_cascade() -> None:
    asked = {v["code"]: v["definition"]["value"] for v in built(views.view("istio-workload"), "en")["main"]["vars"]}
    assert asked["workload"] == (
        "show_tag_value(from=['istio_prom'], keyin=['destination_workload']){`cluster_name_k8s` = "
        "'#{cluster_name_k8s}' and `destination_workload_namespace` = '#{namespace}'}[10m]"
    )
    assert asked["dstsvc"] == (
        "show_tag_value(from=['istio_prom'], keyin=['destination_service']){`cluster_name_k8s` = "
        "'#{cluster_name_k8s}' and `reporter` = 'source' and `source_workload_namespace` = '#{namespace}' and "
        "`source_workload` = '#{workload}'}[10m]"
    )
