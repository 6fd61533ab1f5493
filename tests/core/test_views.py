"""The catalogue: seven files that fit their schema, the ETCD view's panels, and the templates made from them."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest

from tui.core import views
from tui.core.errors import UsageError
from tui.core.query import PromQL
from tui.core.views import SchemaError

TUTORIAL_FIELDS = {
    "server_has_leader",
    "server_leader_changes_seen_total",
    "server_proposals_applied_total",
    "server_proposals_committed_total",
    "server_proposals_failed_total",
    "server_proposals_pending",
    "network_client_grpc_received_bytes_total",
    "network_client_grpc_sent_bytes_total",
}
BUILT_IN = {"E1", "E2", "E3", "E4", "E5", "E5d", "E6", "E7", "E9", "E10", "E11", "E12", "E13"}
GRAFANA = {"E2r", "E3r", "E14", "E14f", "E15", "E16", "E16p"}


def test_seven_views_in_the_tutorials_order() -> None:
    catalogue = views.catalogue()
    assert [(view.key, view.number) for view in catalogue] == [
        ("docker", "1.1"),
        ("kubernetes", "1.2"),
        ("etcd", "1.3.3"),
        ("istio-mesh", "2.1"),
        ("istio-control-plane", "2.2"),
        ("istio-service", "2.3"),
        ("istio-workload", "2.4"),
    ]
    assert catalogue[0].title("zh") == "Docker 监控视图"
    assert catalogue[0].name("zh") == "Docker 监控视图1"  # as the tutorial fills it in
    assert catalogue[2].name("zh") == "ETCD 监控视图"
    assert catalogue[2].name("en") == "ETCD Monitoring View"


def test_no_such_view() -> None:
    with pytest.raises(UsageError, match="istio-mesh"):
        views.view("etc")
    with pytest.raises(UsageError):
        views.view("../etcd")


def test_etcd_has_every_built_in_and_grafana_panel() -> None:
    panels = {panel.key: panel for panel in views.view("etcd").panels}
    assert {key for key, panel in panels.items() if panel.source == "built-in"} == BUILT_IN
    assert {key for key, panel in panels.items() if panel.source == "grafana"} == GRAFANA
    assert {"E8", "E17", "E18"} <= set(panels)
    assert {key for key, panel in panels.items() if panel.histogram} == {"E10", "E16p"}


def test_every_panel_filters_on_the_cluster_and_is_shown_by_instance() -> None:
    for panel in views.view("etcd").panels:
        for line in panel.lines:
            assert "cluster_name_k8s" in [condition.value for condition in line.query.where if condition.variable]
            assert "instance" in line.query.by


def test_queries_with_values() -> None:
    panel = next(panel for panel in views.view("etcd").panels if panel.key == "E10")
    bound = panel.queries({"cluster_name_k8s": "lab"})
    assert len(bound) == 2
    assert all(isinstance(text, PromQL) for text in bound)
    assert bound[0] == (
        "histogram_quantile(0.99, sum by (instance, le) "
        '(rate(etcd:disk_wal_fsync_duration_seconds_bucket{cluster_name_k8s="lab"}[5m])))'
    )


def test_the_tutorials_filter_fills_the_panels_that_say_so() -> None:
    view = views.view("etcd")
    fills = views.fillable(view, {"etcd": TUTORIAL_FIELDS, "collector": {"up"}})
    assert [fill.panel.key for fill in fills if fill.ok] == [p.key for p in view.panels if p.preset == "tutorial"]
    missing = {fill.panel.key: fill.missing for fill in fills}
    assert missing["E10"] == (
        ("etcd", "disk_wal_fsync_duration_seconds_bucket"),
        ("etcd", "disk_backend_commit_duration_seconds_bucket"),
    )
    assert missing["E11"] == (("etcd", "process_resident_memory_bytes"),)
    assert not any(fill.ok for fill in views.fillable(view, {}))


def test_dashboard_uuid_is_the_studios_form_and_depends_on_all_three() -> None:
    uuid = views.dashboard_uuid("wksp_1", "etcd", "lab")
    assert uuid == "dsbd_custom_168e696471a8b53f913bb18640bf276b"
    assert re.fullmatch(r"dsbd_custom_[a-z0-9]{32}", uuid)
    others = {
        views.dashboard_uuid(*names)
        for names in [("wksp_2", "etcd", "lab"), ("wksp_1", "docker", "lab"), ("wksp_1", "etcd", "prod")]
    }
    assert len(others | {uuid}) == 4


@pytest.mark.parametrize("language", ["zh", "en"])
def test_template(language: str) -> None:
    view = views.view("etcd")
    template = views.build(view, name="my etcd", language=language)
    assert json.loads(json.dumps(template)) == template
    assert template["title"] == "my etcd"
    main = template["main"]
    assert [variable["code"] for variable in main["vars"]] == ["cluster_name_k8s", "instance"]
    assert main["vars"][1]["definition"]["value"] == (
        "show_tag_value(from=['etcd'], keyin=['instance']){`cluster_name_k8s` = '#{cluster_name_k8s}'}[10m]"
    )
    groups = [group["name"] for group in main["groups"]]
    assert template["dashboardExtend"]["groupUnfoldStatus"] == dict.fromkeys(groups, True)
    assert len(main["charts"]) == len(view.panels) == 24
    codes = {variable["code"] for variable in main["vars"]}
    for chart in main["charts"]:
        assert chart["name"]
        assert chart["type"] in ("sequence", "toplist", "singlestat")
        assert chart["group"]["name"] in groups
        assert set(chart["pos"]) == {"x", "y", "w", "h"}
        assert len(chart["extend"]["settings"]["units"]) == len(chart["queries"]) >= 1
        for query in chart["queries"]:
            assert query["datasource"] == "dataflux"
            assert query["qtype"] == ("promql" if query["query"]["type"] == "promql" else "dql")
            assert set(re.findall(r"#\{(\w+)\}", query["query"]["q"])) <= codes
            for condition in query["query"].get("filters", []):
                assert f"`{condition['name']}`" in query["query"]["q"]


def test_template_is_in_the_language_asked_for() -> None:
    def names(language: str) -> str:
        template = views.build(views.view("etcd"), name="x", language=language)
        return json.dumps(template, ensure_ascii=False)

    assert not re.search(r"[\u4e00-\u9fff]", names("en"))
    assert "领导者变更次数" in names("zh")
    assert '["custom", "次"]' in names("zh")


@pytest.mark.parametrize("name", ["", "   ", "x" * 129, "a\nb"])
def test_bad_names(name: str) -> None:
    with pytest.raises(UsageError):
        views.build(views.view("etcd"), name=name, language="en")


MINIMAL = """
key = "etcd"
number = "1"
measurement = "etcd"
title = { zh = "甲", en = "a" }
by = ["instance"]
[[variable]]
code = "instance"
title = { zh = "实例", en = "Instance" }
lookback = "10m"
[[group]]
key = "g"
title = { zh = "组", en = "Group" }
[[panel]]
key = "P1"
group = "g"
title = { zh = "一", en = "one" }
source = "proposed"
chart = "sequence"
unit = "count"
preset = "full"
place = [0, 0, 12, 5]
query = [{ field = "f", function = "avg" }]
"""
SECOND = MINIMAL[MINIMAL.index("[[panel]]") :].replace("P1", "P2").replace("[0, 0", "[12, 0")
SECOND = SECOND.replace("一", "二").replace('en = "one"', 'en = "two"')


def test_the_schema_takes_a_small_view() -> None:
    view = views.parse(MINIMAL + SECOND)
    assert [panel.queries() for panel in view.panels] == [["M::`etcd`:(avg(`f`)) BY `instance`"]] * 2


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('unit = "count"', 'unit = "apples"', "P1: unit is 'apples'"),
        ('chart = "sequence"', 'chart = "cake"', "P1: chart is 'cake'"),
        ('source = "proposed"', "", "P1: source is missing"),
        ('preset = "full"', 'preset = "some"', "P1: preset"),
        ('preset = "full"', 'preset = "full"\ntypo = 1', "P1: unknown typo"),
        ('group = "g"', 'group = "h"', "P1: there is no group h"),
        ("[0, 0, 12, 5]", "[0, 0, 12]", "P1: place"),
        ("[0, 0, 12, 5]", "[13, 0, 12, 5]", "outside the grid"),
        ("[0, 0, 12, 5]", "[0, 0, 13, 5]", "P2: lies on P1"),
        ('{ zh = "一", en = "one" }', '{ zh = "一" }', "P1: title needs zh and en"),
        ('{ zh = "一", en = "one" }', '"one"', "P1: title is no dict"),
        ('function = "avg" }', 'function = "avg", filter = ["cluster"] }', "no variable cluster"),
        ('function = "avg" }', 'function = "avg", wher = {} }', "unknown wher"),
        ('key = "P1"', 'key = "P2"', "twice"),
        ("key", "[key", "at line"),
        ('preset = "full"', 'preset = "full"\nsettings = ["x"]', "P1: there is no setting x"),
        ('function = "avg" }', 'function = "avg", scope = "x" }', "there is no scope x"),
        ('function = "avg" }', 'function = "mode" }', "This function is not known here. mode"),
        ('function = "avg" }', 'function = "avg", share = { match = { a = "x" }, typo = 1 } }', "part: unknown typo"),
        ('function = "avg" }', 'function = "avg" }, { field = "g", function = "avg" }', "one label"),
        ('lookback = "10m"', 'lookback = "10m"\nwithin = ["later"]', "variable instance: there is no variable later"),
        ('{ zh = "一", en = "one" }', '{ zh = "二", en = "two" }', "twice in zh"),
        ('number = "1"', "", "etcd: number is missing"),
        ('query = [{ field = "f", function = "avg" }]', "query = []", "P1: 0 queries"),
    ],
)
def test_the_schema_names_what_is_wrong(before: str, after: str, told: str) -> None:
    assert before in MINIMAL
    with pytest.raises(SchemaError, match=re.escape(told)):
        views.parse(MINIMAL.replace(before, after, 1) + SECOND)


def test_presets_of_the_panels_are_those_that_the_collector_confirms() -> None:
    """Each preset's filter over a real exposition (one member: no peers) fills what the catalogue says it does."""
    from tui.core.etcd_conf import render
    from tui.core.prom.collector import Scrape, collect
    from tui.core.prom.conf import load
    from tui.i18n import assets

    body = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
    view = views.view("etcd")
    order = ["tutorial", "recommended", "full"]
    for preset in order:
        conf = render("node-http", preset, urls=["http://127.0.0.1:2381/metrics"], cluster_name="lab")
        loaded = load(conf, {})
        assert not loaded.error
        got = collect(loaded.inputs[0], lambda _url: Scrape(body), host_tags={}, election_tags={}, now_ms=1)
        fields: dict[str, set[str]] = defaultdict(set)
        for point in [*got.points, *got.ups]:
            fields[point.measurement].update(point.fields)
        filled = {fill.panel.key for fill in views.fillable(view, fields) if fill.ok}
        said = {p.key for p in view.panels if p.preset and order.index(p.preset) <= order.index(preset)}
        assert filled == said - {"E16", "E16p"}, preset
