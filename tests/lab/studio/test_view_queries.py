"""Every query of the seven views on the practice studio: read, and answered with the numbers that the raw samples
give, which are worked out a second time from the query's meaning (`meaning`), never from its text.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from meaning import Frame, Sample, shown

from tui.core import views
from tui.core.query import PromQL, Query
from tui.core.view_schema import Panel, View
from tui.lab.studio import dql, evaluate, promql, promql_answer
from tui.lab.studio.store import Row, Store

BASE = 1_760_000_100_000  # on a bucket of five minutes
NOW = BASE + 250_000
CODES_SEEN = ("200", "302", "404", "503")
BOUNDS = ("0.005", "0.1", "1", "25", "+Inf")
CHOSEN = "one"
QUARTER = Frame(NOW - 900_000, NOW)

PANELS = [(view, panel) for view in views.catalogue() for panel in view.panels]
IDS = [f"{view.key}-{panel.key}" for view, panel in PANELS]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.sqlite"), "wksp_x")
    yield opened
    opened.close()


def keep(store: Store, samples: list[Sample]) -> None:
    rows = []
    for sample in samples:
        namespace, _, name = sample.source.rpartition("::")
        field = "message" if sample.field == "*" else sample.field
        rows += [Row(name, sample.tags, field, value, time, namespace or "M") for time, value in sample.points]
    store.write(rows)


def ask(
    store: Store, text: str, frame: Frame = QUARTER, *, promql: bool | None = None
) -> dict[tuple[tuple[str, str], ...], float]:
    """The newest value of each series that answers, over the quarter of an hour before NOW."""
    request = evaluate.Request(frame.end, frame.start, frame.end, frame.scale, slimit=10_000)
    if isinstance(text, PromQL) if promql is None else promql:
        found = promql_answer.answer(store, text, request, instant=True)
    else:
        found = evaluate.answer(store, dql.parse(text), request)
    newest = {tuple(sorted(series["tags"].items())): series["values"][0][1] for series in found}
    return {tags: value for tags, value in newest.items() if value is not None}


def test_every_query_is_read_with_its_variables_and_with_values() -> None:
    read = 0
    for view, panel in PANELS:
        given = {variable.code: "a-b.c_1" for variable in view.variables}
        for text in (*panel.queries(), *panel.queries(given), *panel.queries({})):
            parsed = promql.parse(text) if isinstance(text, PromQL) else dql.parse(text)
            assert parsed is not None
            read += 1
    assert read >= 3 * 270


def test_every_variable_is_read_and_looks_back_ten_minutes() -> None:
    for view in views.catalogue():
        template = views.build(view, name="x", language="en")
        for variable in template["main"]["vars"]:
            text = variable["definition"]["value"]
            assert text.isascii(), text
            assert text.endswith("[10m]"), text
            assert isinstance(dql.parse(text), dql.Show)


# Raw samples for a panel


def values_of(tag: str, queries: list[Query]) -> list[str]:
    """What a tag is in the samples: what the panel looks for, and what it does not."""
    conditions = [condition for query in queries for condition in (*query.where, *query.part) if condition.tag == tag]
    if any("~" in condition.op for condition in conditions):
        return [*CODES_SEEN, "Unavailable"]
    wanted = [CHOSEN if condition.variable else condition.value for condition in conditions]
    return sorted({*(wanted or ["x", "y"]), "elsewhere"})


def raw(panel: Panel) -> list[Sample]:
    """Samples for all that the panel needs: several series for each value it looks for, and some of others."""
    chance = random.Random(panel.key)
    found: list[Sample] = []
    for source, stored in panel.needs:
        queries = [line.query for line in panel.lines if (line.query.source, line.query.stored) == (source, stored)]
        tags = sorted({tag for query in queries for tag in query.tags} | {"spare"} - {"le"})
        combinations = list(itertools.product(*(values_of(tag, queries) for tag in tags)))
        looked_for = [one for one in combinations if "elsewhere" not in one]
        chosen = [chance.sample(some, min(len(some), 30)) for some in (looked_for, combinations)]
        for number, combination in enumerate(dict.fromkeys(itertools.chain(*chosen))):
            series = dict(zip(tags, combination, strict=True))
            if source.startswith("O::"):
                series["name"] = f"{stored}-{number}"
            if queries[0].function == "count_distinct":  # of tags, of which objects share some
                series[stored] = f"{stored}-{number // 2}"
                found.append(Sample(source, "age", series, points(chance, len(found))))
            elif queries[0].quantile is None:
                found.append(Sample(source, stored, series, points(chance, len(found))))
            else:
                found += histogram(chance, source, stored, series, len(found))
    return found


def points(chance: random.Random, offset: int) -> tuple[tuple[int, float], ...]:
    """Four points a minute apart, each series at moments of its own; some counters start anew."""
    value, found = float(chance.randrange(100)), []
    for step in range(4):
        found.append((BASE + step * 60_000 + offset, value))
        value = 0.0 if chance.random() < 0.1 else value + chance.randrange(1, 50)
    return tuple(found)


def histogram(chance: random.Random, source: str, field: str, tags: Mapping[str, str], offset: int) -> list[Sample]:
    counts = [0.0] * len(BOUNDS)
    found: list[list[tuple[int, float]]] = [[] for _ in BOUNDS]
    for step in range(4):
        for at in range(len(BOUNDS)):
            found[at].append((BASE + step * 60_000 + offset, sum(counts[: at + 1])))
        counts = [count + chance.randrange(20) for count in counts]
    return [Sample(source, field, {**tags, "le": le}, tuple(own)) for le, own in zip(BOUNDS, found, strict=True)]


@pytest.mark.parametrize(("view", "panel"), PANELS, ids=IDS)
def test_a_panel_shows_what_the_samples_say(store: Store, view: View, panel: Panel) -> None:
    samples = raw(panel)
    keep(store, samples)
    given = {variable.code: CHOSEN for variable in view.variables}
    expected = shown(panel, given, samples, QUARTER)
    texts = panel.queries(given)
    assert len(texts) == len(expected)
    filled = 0
    for text, wanted in zip(texts, expected, strict=True):
        got = ask(store, text)
        assert got == {by: pytest.approx(value) for by, value in wanted.items()}, text
        filled += len(wanted)
    assert filled, "the samples fill the panel"
    elsewhere = panel.queries({**given, "cluster_name_k8s": "nowhere"})
    empty = [ask(store, text) for text in elsewhere]
    assert empty == [{}] * len(texts)


@pytest.mark.parametrize(("view", "panel"), PANELS, ids=IDS)
def test_a_panel_without_data_is_empty(store: Store, view: View, panel: Panel) -> None:
    assert [ask(store, text) for text in panel.queries({})] == [{}] * len(panel.queries({}))


# By hand


def panel(view: str, key: str) -> Panel:
    return next(panel for panel in views.view(view).panels if panel.key == key)


def counter(field: str, per_minute: float, **tags: str) -> Sample:
    """A counter of the mesh that grows by so much a minute, for four minutes."""
    own = tuple((BASE + step * 60_000, 1000 + step * per_minute) for step in range(4))
    return Sample("istio_prom", field, {"cluster_name_k8s": "lab", **tags}, own)


def requests(code: str, per_minute: float, workload: str = "reviews-v1", reporter: str = "source") -> Sample:
    return counter(
        "istio_requests_total",
        per_minute,
        reporter=reporter,
        response_code=code,
        destination_workload=workload,
        destination_workload_namespace="prod",
        destination_service="reviews.prod.svc.cluster.local",
        destination_service_namespace="prod",
    )


def answered(store: Store, view: str, key: str, **values: str) -> list[dict[tuple[tuple[str, str], ...], float]]:
    return [ask(store, text) for text in panel(view, key).queries({"cluster_name_k8s": "lab", **values})]


def test_requests_are_counted_once_where_they_were_sent(store: Store) -> None:
    keep(store, [requests("200", 54), requests("503", 6), requests("200", 54, reporter="destination")])
    assert answered(store, "istio-mesh", "M1") == [{(): pytest.approx(1.0)}]
    assert answered(store, "istio-mesh", "M2") == [{(): pytest.approx(0.9)}]
    assert answered(store, "istio-mesh", "M3") == [{(): 0.0}]
    assert answered(store, "istio-mesh", "M4") == [{(): pytest.approx(0.1)}]
    assert answered(store, "istio-service", "S4") == [{(): pytest.approx(0.9)}]


@pytest.mark.parametrize("reporter", ["", "source", "destination"])
def test_a_view_with_a_reporter_never_adds_both(store: Store, reporter: str) -> None:
    keep(store, [requests("200", 60), requests("200", 60, reporter="destination")])
    assert answered(store, "istio-service", "S1", qrep=reporter) == [{(): pytest.approx(1.0)}]
    assert answered(store, "istio-workload", "W1", qrep=reporter) == [{(): pytest.approx(1.0)}]


SHARES = [("istio-mesh", "M2"), ("istio-mesh", "M5c"), ("istio-service", "S2"), ("istio-workload", "W2")]


@pytest.mark.parametrize(("view", "key"), SHARES)
def test_a_success_rate_without_traffic_is_empty(store: Store, view: str, key: str) -> None:
    both = ("source", "destination")
    keep(store, [requests(code, 0, reporter=reporter) for code in ("200", "503") for reporter in both])
    assert answered(store, view, key) == [{}]


@pytest.mark.parametrize(("view", "key"), SHARES)
def test_a_success_rate_when_everything_fails_is_zero(store: Store, view: str, key: str) -> None:
    """Nothing that succeeded has a series then: the rate is 0, not missing."""
    keep(store, [requests("503", 60, reporter=reporter) for reporter in ("source", "destination")])
    assert [list(series.values()) for series in answered(store, view, key)] == [[0.0]]


def test_a_success_rate_by_workload_is_empty_only_where_nothing_went(store: Store) -> None:
    keep(store, [requests("200", 30), requests("500", 90), requests("200", 0, "reviews-v2")])
    v1 = (("destination_workload", "reviews-v1"), ("destination_workload_namespace", "prod"))
    assert answered(store, "istio-mesh", "M5c") == [{v1: pytest.approx(0.25)}]


def test_the_canary_is_nine_to_one(store: Store) -> None:
    keep(store, [requests("200", 54), requests("200", 6, "reviews-v2")])
    [split] = answered(store, "istio-mesh", "M16", service="reviews.prod.svc.cluster.local")
    assert {dict(tags)["destination_workload"]: value for tags, value in split.items()} == {
        "reviews-v1": pytest.approx(0.9),
        "reviews-v2": pytest.approx(0.1),
    }
    assert answered(store, "istio-mesh", "M16", service="ratings.prod.svc.cluster.local") == [{}]


def test_latencies_are_quantiles_of_what_happened_not_of_counts(store: Store) -> None:
    """Sixty requests a minute: thirty up to 10 ms, twenty-four up to 100, six up to 1000."""
    common = {"reporter": "destination", "destination_workload": "reviews-v1", "destination_workload_namespace": "prod"}
    for le, below in (("10", 30), ("100", 54), ("1000", 60), ("+Inf", 60)):
        keep(store, [counter("istio_request_duration_milliseconds_bucket", below, le=le, **common)])
    half, ninety, ninety_nine = answered(store, "istio-workload", "W3")
    assert (half[()], ninety[()]) == (pytest.approx(10), pytest.approx(100))
    assert ninety_nine[()] == pytest.approx(100 + 900 * (59.4 - 54) / 6)


def test_configuration_is_what_was_added_minus_what_was_deleted(store: Store) -> None:
    def events(kind: str, event: str, number: float) -> Sample:
        tags = {"cluster_name_k8s": "lab", "type": kind, "event": event}
        return Sample("istio_prom", "pilot_k8s_cfg_events", tags, ((NOW, number),))

    keep(
        store,
        [events("Gateway", "add", 3), events("DestinationRule", "add", 5), events("DestinationRule", "delete", 2)],
    )
    assert answered(store, "istio-mesh", "M8") == [{(): 3.0}]
    assert answered(store, "istio-mesh", "M7") == [{(): 3.0}]
    assert answered(store, "istio-mesh", "M9") == [{}]


def test_days_of_the_root_certificate(store: Store) -> None:
    tags = {"cluster_name_k8s": "lab", "app_id": "istiod"}
    expiry = Sample("istio_prom", "citadel_server_root_cert_expiry_timestamp", tags, ((NOW, NOW / 1000 + 864_000),))
    keep(store, [expiry])
    assert answered(store, "istio-control-plane", "C17") == [{(): pytest.approx(10)}]


def test_requests_of_pods_against_what_nodes_have(store: Store) -> None:
    def one(source: str, field: str, value: float, **tags: str) -> Sample:
        return Sample(source, field, {"cluster_name_k8s": "lab", **tags}, ((NOW, value),))

    keep(store, [one("kube_pod", "cpu_request_millicores", 500, pod_name="a"), one("kube_node", "cpu_allocatable", 4)])
    assert answered(store, "kubernetes", "K25") == [{(): pytest.approx(0.125)}]
    keep(store, [one("kube_pod", "cpu_request_millicores", 1500, pod_name="b")])
    assert answered(store, "kubernetes", "K25") == [{(): pytest.approx(0.5)}]


def test_an_object_is_counted_in_its_newest_state_alone(store: Store) -> None:
    def pod(name: str, phase: str, ago: int) -> Sample:
        tags = {"cluster_name_k8s": "lab", "namespace": "prod", "name": name, "phase": phase}
        return Sample("O::kubelet_pod", "age", tags, ((NOW - ago, 1.0),))

    keep(store, [pod("a", "Pending", 600_000), pod("b", "Running", 600_000)])
    keep(store, [pod("a", "Running", 300_000)])
    assert answered(store, "kubernetes", "K28") == [{(("phase", "Running"),): 2}]


def test_events_are_counted_whatever_fields_they_have(store: Store) -> None:
    rows = []
    for number, reason in enumerate(("BackOff", "BackOff", "FailedMount")):
        tags = {"cluster_name_k8s": "lab", "type": "Warning", "reason": reason, "uid": str(number)}
        rows += [Row("kubernetes_events", tags, field, "x", NOW, "L") for field in ("message", "status")]
    rows.append(Row("kubernetes_events", {"cluster_name_k8s": "lab", "type": "Normal"}, "message", "x", NOW, "L"))
    store.write(rows)
    assert answered(store, "kubernetes", "K30") == [{(("reason", "BackOff"),): 2, (("reason", "FailedMount"),): 1}]
