"""What a live view asks for, and what is read from the answers."""

from __future__ import annotations

import pytest

from tests.screens import live_answers
from tui.core import live, panel_data, view_fill, views
from tui.core.errors import UsageError
from tui.core.live import Live
from tui.core.ports import Answer, Ask, Series
from tui.core.query import PromQL
from tui.core.view_fill import PanelFill, explained
from tui.core.view_spelling import Spelling

NOW_MS = 1_760_000_040_000
LAB = live.begin(views.view("etcd"), "lab")


def picture(wanted: Live = LAB, language: str = "en") -> live.Picture:
    return live.read(wanted, live_answers.answers(live.asks(wanted), NOW_MS), language)


def test_a_view_begins_with_the_wizards_cluster() -> None:
    for view in views.catalogue():
        assert live.begin(view, "lab").chosen == {"cluster_name_k8s": "lab"}
        assert live.begin(view, "").chosen == {}


@pytest.mark.parametrize("key", views.KEYS)
def test_one_request_holds_all_of_a_view(key: str) -> None:
    wanted = live.begin(views.view(key), "lab")
    asked = live.asks(wanted)
    assert len(asked) <= 100  # what one request carries
    texts = [ask.text for ask in asked]
    assert all("#{" not in text for text in texts)
    for panel in wanted.view.panels:
        assert set(panel.queries(wanted.chosen)) <= set(texts)


def test_lines_have_points_and_tables_one_value() -> None:
    wanted = live.begin(views.view("docker"), "lab")
    intervals = {ask.text: ask.interval_s for ask in live.asks(wanted)}
    for panel in wanted.view.panels:
        for text in panel.queries(wanted.chosen):
            course = panel.chart == "sequence"  # the one single number counts objects, which have no course
            assert intervals[text] == (60 if course else 0), panel.key


def test_a_longer_range_has_points_farther_apart() -> None:
    assert [Live(LAB.view, {}, range_s).interval_s for range_s in live.RANGES_S] == [60, 60, 180, 720]


def test_points_of_etcd_come_as_often_as_its_conf_says() -> None:
    conf = '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  interval = "{}"\n'
    assert live.begin(LAB.view, "lab", conf.format("10s")).interval_s == 10
    assert live.begin(LAB.view, "lab", conf.format("5m")).interval_s == 300
    assert live.begin(LAB.view, "lab", "no conf").collection_s == 60
    assert live.begin(views.view("docker"), "lab", conf.format("10s")).collection_s == 60


def test_what_depends_on_a_variable_falls_back_with_it() -> None:
    wanted = live.begin(views.view("istio-service"), "lab")
    for code, value in {"service": "a", "qrep": "destination", "srcns": "n", "srcwl": "w", "dstwl": "d"}.items():
        wanted = wanted.choose(code, value)
    assert wanted.choose("srcns", "other").chosen == {
        **{k: v for k, v in wanted.chosen.items() if k != "srcwl"},
        "srcns": "other",
    }
    assert wanted.choose("service", "b").chosen == {"cluster_name_k8s": "lab", "service": "b"}
    assert wanted.choose("cluster_name_k8s", "").chosen == {}


def test_variables_are_asked_within_what_is_chosen() -> None:
    wanted = live.begin(views.view("docker"), "lab").choose("host", "worker-1")
    asked = [ask.text for ask in live.asks(wanted) if "container_name'" in ask.text]
    assert asked == [
        "show_tag_value(from=['docker_containers'], keyin=['container_name'])"
        "{`cluster_name_k8s` = 'lab' and `host` = 'worker-1'}[10m]"
    ]


@pytest.mark.parametrize("value", ["a' or `x`='", 'a"} or up{', "a\\", "#{x}", "a\nb"])
def test_a_value_that_could_break_out_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a query"):
        LAB.choose("instance", value)
    assert LAB.choose("instance", "").chosen == {"cluster_name_k8s": "lab"}


def test_the_range_ends_before_the_interval_that_is_under_way() -> None:
    assert live.window(900, 1000.5, 60) == (60_000, 959_999)
    assert live.window(30, 1000.5, 2) == (970_000, 999_999)
    assert live.window(900, 1019.9, 60) == live.window(900, 1000.5, 60)  # so that the same data answers the same


@pytest.mark.parametrize("key", views.KEYS)
def test_every_panel_of_every_view_is_read(key: str) -> None:
    wanted = live.begin(views.view(key), "lab")
    found = picture(wanted)
    assert [panel.key for panel in found.panels] == [panel.key for panel in wanted.view.panels]
    assert not [panel.key for panel in found.panels if not panel.filled]
    assert set(found.values) == {variable.code for variable in wanted.view.variables}
    assert found.newest_ms == NOW_MS - 60_000


def test_the_same_answers_look_the_same() -> None:
    assert picture() == picture()


def test_a_workspace_with_the_other_names_gets_the_view_in_them() -> None:
    def full(ask: Ask) -> Answer:
        if "show_field_key" in ask.text:
            return Answer((Series({"fieldKey": "etcd_server_has_leader"}, (), ()),))
        if "show_tag_key" in ask.text:
            return Answer((Series({"tagKey": "host"}, (), ()),))
        return Answer()

    found = live.read(LAB, [full(ask) for ask in live.asks(LAB)], "en")
    assert found.spelling == Spelling(True, "host")
    fitted = LAB.fitted(found)
    assert "etcd_server_has_leader" in fitted.view.panels[0].queries({})[0]
    assert fitted.fitted(found) == fitted


# Panels


def answered(key: str, panel_key: str, *answers: Answer) -> panel_data.PanelData:
    panel = next(panel for panel in views.view(key).panels if panel.key == panel_key)
    return panel_data.read(panel, answers, "en")


def series(rows: list[tuple[float | None, float | None]], texts: dict[str, str] | None = None, **tags: str) -> Series:
    return Series(tags, ("time", "value"), tuple(rows), texts or {})


def test_a_line_is_sorted_by_time_and_leaves_out_what_is_no_number() -> None:
    found = answered("etcd", "E1", Answer((series([(3, 1.0), (1, 0.0), (2, None), (4, float("nan"))], instance="a"),)))
    assert found.courses[0].points == ((1, 0.0), (3, 1.0))
    assert (found.courses[0].name, found.courses[0].newest, found.newest_ms) == ("a", 1.0, 4)


def test_lines_are_told_apart_by_label_and_tags() -> None:
    rows: list[tuple[float | None, float | None]] = [(1, 1.0)]
    one = series(rows, container_name="nginx")
    found = answered("docker", "D3", Answer((one,)), Answer((one,)))
    assert [course.name for course in found.courses] == ["received nginx", "sent nginx"]


def test_a_services_name_is_shortened() -> None:
    rows: list[tuple[float | None, float | None]] = [(1, 1.0)]
    tags = {"destination_service": "reviews.prod.svc.cluster.local", "response_code": "200"}
    found = answered("istio-workload", "W9", Answer((series(rows, **tags),)))
    assert found.courses[0].name == "reviews.prod 200"


def test_a_top_list_has_the_largest_ten() -> None:
    some = [series([(None, float(n))], container_name=f"c{n}", pod_name="p") for n in range(12)]
    found = answered("docker", "D8", Answer(tuple(some)))
    assert [share.value for share in found.shares] == [float(n) for n in range(11, 1, -1)]
    assert found.more == 2


def test_a_table_joins_its_lines_by_tags() -> None:
    tags = {"node_name": "cp-1", "internal_ip": "172.16.0.10"}
    age = Answer((series([(1, 7200.0)], **tags), series([(1, 60.0)], node_name="w", internal_ip="")))
    version = Answer((series([(1, None)], {"value": "v1.36.2"}, **tags),))
    found = answered("kubernetes", "K10", age, version)
    assert found.heads == ("node_name", "internal_ip", "age", "version")
    assert found.rows == (("cp-1", "172.16.0.10", "2 h", "v1.36.2"), ("w", "", "1 min", ""))
    assert found.right == (False, False, True, False)


def test_a_table_of_one_number_has_the_largest_first() -> None:
    some = [series([(None, value)], reason=reason) for reason, value in (("A", 1.0), ("B", 5.0))]
    assert [row[0] for row in answered("kubernetes", "K30", Answer(tuple(some))).rows] == ["B", "A"]


def test_an_error_is_the_panels_own() -> None:
    panels = [panel.key for panel in LAB.view.panels]
    asked = live.asks(LAB)
    refused = LAB.view.panels[1].queries(LAB.chosen)[0]
    answers = [
        Answer(error="no such function") if ask.text == refused else answer
        for ask, answer in zip(asked, live_answers.answers(asked, NOW_MS), strict=True)
    ]
    found = live.read(LAB, answers, "en")
    assert [panel.key for panel in found.panels if panel.error] == [panels[1]]
    assert found.panels[1].error == "no such function"
    assert all(panel.filled for panel in found.panels if not panel.error)


# What is lacking


def why(key: str, panel_key: str, fields: dict[str, set[str]]) -> str:
    view = views.view(key)
    fills = [PanelFill(fill.panel, fill.missing) for fill in views.fillable(view, fields)]
    one = next(one for one in explained({key: fills})[key] if one.panel.key == panel_key)
    return "\n".join(view_fill.why(one, "en", {source for source, _field in one.lacking if source not in fields}))


def test_an_empty_panel_names_the_measurement_and_the_setting() -> None:
    told = why("kubernetes", "K23", {"kubernetes": {"pod"}})
    assert "Nothing has arrived of kube_pod." in told
    assert "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC=true" in told


def test_an_empty_panel_names_the_field() -> None:
    told = why("kubernetes", "K23", {"kube_pod": {"ready"}})
    assert "Nothing has arrived of kube_pod.cpu_usage." in told
    assert "histograms pass" in why("istio-service", "S3", {"istio_prom": {"istio_requests_total"}})


def test_an_empty_etcd_panel_names_the_preset() -> None:
    assert "as preset recommended does" in why("etcd", "E9", {"etcd": {"server_has_leader"}})


def test_where_all_has_arrived_it_is_the_choice() -> None:
    fields = {"etcd": {"server_has_leader"}}
    assert why("etcd", "E1", fields) == "No points in this time range for what is chosen."


def test_answers_without_anything_say_why_on_each_panel() -> None:
    for key in views.KEYS:
        wanted = live.begin(views.view(key), "lab")
        found = live.read(wanted, [Answer() for _ask in live.asks(wanted)], "en")
        assert all(panel.why and not panel.filled for panel in found.panels)


def test_titles_follow_the_language() -> None:
    assert picture(LAB, "zh").panels[0].title == LAB.view.panels[0].title["zh"]


def test_promql_stays_promql() -> None:
    wanted = live.begin(views.view("istio-service"), "lab")
    assert any(isinstance(ask.text, PromQL) for ask in live.asks(wanted))
