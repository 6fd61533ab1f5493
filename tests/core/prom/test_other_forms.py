"""`[[inputs.etcd]]` and a pod's `datakit/prom.instances`: where they differ from `[[inputs.prom]]`.

The expectations follow DataKit 1.84.1's internal/plugins/inputs/etcd/input.go and
internal/plugins/inputs/container/kubernetes/k8s_pod_prom.go.
"""

from __future__ import annotations

from typing import Any

import pytest

from tui.core.prom.collector import Point, Round, Scrape, collect
from tui.core.prom.conf import ETCD_KEYS, Loaded, Pod, load, load_annotation
from tui.core.prom.settings import TLS

NOW_MS = 1_760_000_000_000
AGENT: dict[str, Any] = {"host_tags": {"host": "node-1", "c": "h"}, "election_tags": {"c": "e"}, "now_ms": NOW_MS}
POD = Pod(ip="10.1.2.3", namespace="prod", name="reviews-1", node="node-1")
BODY = f"""# TYPE etcd_server_has_leader gauge
etcd_server_has_leader{{host="label"}} 1 {NOW_MS - 5}
# TYPE etcd_server_version gauge
etcd_server_version{{server_version="3.5.9"}} 1
# TYPE go_info info
go_info{{go="1.19"}} 1
# TYPE d_s histogram
d_s_bucket{{le="+Inf"}} 2
d_s_sum 3
d_s_count 2
"""


def rounds(loaded: Loaded, bodies: dict[str, str | None]) -> Round:
    (settings,) = loaded.inputs

    def fetch(url: str) -> Scrape:
        body = bodies[url]
        return Scrape(None, error="refused") if body is None else Scrape(body.encode())

    return collect(settings, fetch, **AGENT)


def etcd(lines: str = "", urls: str = "'http://10.0.0.1:2379/m'") -> Loaded:
    return load(f"[[inputs.etcd]]\nurls = [{urls}]\n{lines}", {})


def annotation(lines: str = "", url: str = "http://$IP:15020/m") -> Loaded:
    return load_annotation(f"[[inputs.prom]]\nurl = '{url}'\n{lines}", POD)


def names(done: Round) -> list[tuple[str, list[str]]]:
    return [(point.measurement, list(point.fields)) for point in done.points]


# The etcd input


def test_an_etcd_input_keeps_the_full_names_and_adds_no_instance() -> None:
    done = rounds(etcd(), {"http://10.0.0.1:2379/m": BODY})
    first = done.points[0]
    assert first == Point("etcd", {"host": "label", "go": "1.19", "c": "e"}, {"etcd_server_has_leader": 1.0})
    assert names(done) == [
        ("etcd", ["etcd_server_has_leader"]),
        ("etcd", ["etcd_server_version"]),
        ("etcd", ["d_s_count", "d_s_sum"]),
        ("etcd", ["d_s_bucket"]),
    ]
    assert done.points[1].tags == {"server_version": "3.5.9", "go": "1.19", "host": "10.0.0.1", "c": "e"}
    assert done.ups == []
    assert [target.up for target in done.targets] == [None]


def test_an_etcd_input_without_election_gets_the_hosts_tags_and_its_own_before_them() -> None:
    loaded = etcd("election = false\n[inputs.etcd.tags]\nc = 'own'", "'http://127.0.0.1:2379/m'")
    assert rounds(loaded, {"http://127.0.0.1:2379/m": "etcd_x 1\n"}).points == [
        Point("etcd", {"host": "node-1", "c": "own"}, {"etcd_x": 1.0})
    ]


@pytest.mark.parametrize("broken", [None, "no exposition\n", "etcd_x 1\netcd_x"], ids=["refused", "text", "cut"])
def test_one_url_that_fails_loses_the_whole_round_of_an_etcd_input(broken: str | None) -> None:
    loaded = etcd(urls="'http://a/m', 'http://b/m', 'http://c/m'")
    done = rounds(loaded, {"http://a/m": "etcd_x 1\n", "http://b/m": broken, "http://c/m": "etcd_x 1\n"})
    assert (done.points, done.ups) == ([], [])
    assert [(target.url, bool(target.error)) for target in done.targets] == [
        ("http://a/m", False),
        ("http://b/m", True),
    ]


def test_an_etcd_input_has_no_other_settings() -> None:
    (settings,) = etcd(
        "source = 'x'\nmeasurement_name = 'y'\nurl = 'http://z/'\nmetric_types = 1\nstream_size = 9"
        "\ntags_ignore = ['a']\ncert = 'c'\ninterval = '1h'\ntimeout = '1h'"
        "\ntls_open = true\ntls_cert = 'c'\ntls_key = 'k'"
    ).inputs
    assert (settings.source, settings.measurement_name, settings.urls) == ("etcd", "etcd", ("http://10.0.0.1:2379/m",))
    assert (settings.interval_s, settings.timeout_s, settings.stream_size) == (3600.0, 3.0, 0)
    assert (settings.tags_ignore, settings.metric_types, settings.election) == (("a",), (), True)
    assert settings.tls == TLS(insecure=True, cert="c", key="k")
    assert settings.files() == ("c", "k")
    assert (settings.feed_name, settings.reports_up, settings.problem) == ("etcd/etcd", False, "")
    assert etcd("").inputs[0].interval_s == 30.0
    assert "urls" in ETCD_KEYS


@pytest.mark.parametrize("line", ["interval = '0s'", "interval = -1", "urls = ['10.0.0.1:2379/m']"])
def test_an_etcd_input_that_never_collects(line: str) -> None:
    (settings,) = load(f"[inputs.etcd]\n{line}", {}).inputs
    assert settings.problem
    assert collect(settings, lambda _url: Scrape(b"a 1\n"), **AGENT).points == []


def test_a_file_may_hold_both_kinds() -> None:
    loaded = load(
        "[[inputs.etcd]]\nurls = ['http://a/']\n[[inputs.prom]]\nurl = 'http://b/'\n[[inputs.etcd]]\nurls = 1\n"
        "[[inputs.prom]]\nsource = 1\n[[inputs.etcd]]\nelection = false",
        {},
    )
    assert [(one.kind, one.urls) for one in loaded.inputs] == [
        ("prom", ("http://b/",)),
        ("etcd", ("http://a/",)),
        ("etcd", ()),
    ]
    assert "block 2 is dropped" in loaded.error
    assert "block 2 of [[inputs.etcd]]" in loaded.error


# The annotation


def test_an_annotation_is_not_elected_reports_no_up_and_takes_no_host_from_the_url() -> None:
    loaded = annotation("source = 's'\nmetric_types = ['gauge']")
    done = rounds(loaded, {"http://10.1.2.3:15020/m": BODY})
    assert done.points == [
        Point(
            "etcd",
            {"host": "label", "instance": "10.1.2.3:15020", "c": "h"},
            {"server_has_leader": 1.0},
        ),
        Point(
            "etcd",
            {"server_version": "3.5.9", "host": "node-1", "instance": "10.1.2.3:15020", "c": "h"},
            {},
        ),
    ]
    assert done.ups == []
    (settings,) = loaded.inputs
    assert (settings.feed_name, settings.interval_s, settings.election, settings.stream_size) == ("s", 30.0, False, 1)


def test_an_annotations_tags_come_before_the_labels() -> None:
    loaded = annotation(
        "tags_ignore = ['pod']\n[inputs.prom.tags]\nnamespace = '$NAMESPACE'\npod = '$PODNAME'\nle = 'x'"
    )
    body = '# TYPE a_b gauge\na_b{namespace="other",x="y"} 1\n# TYPE h_s histogram\nh_s_bucket{le="1"} 1\n'
    done = rounds(loaded, {"http://10.1.2.3:15020/m": body})
    assert [point.tags["namespace"] for point in done.points] == ["prod"] * 3
    assert done.points[-1].tags["le"] == "x"
    assert not any("pod" in point.tags for point in done.points)
    collides = annotation("[inputs.prom.tags]\nb = 'x'")
    assert [point.fields for point in rounds(collides, {"http://10.1.2.3:15020/m": "a_b 1\n"}).points] == [{}]


def test_a_url_that_fails_loses_those_after_it_and_keeps_what_came_before() -> None:
    loaded = annotation("urls = ['http://a/', 'http://b/']", "http://c/")
    assert loaded.inputs[0].urls == ("http://a/", "http://b/", "http://c/")
    done = rounds(loaded, {"http://a/": "a_b 1\n", "http://b/": "# TYPE a_b gauge\na_b 2\n# TYPE a_c gauge\nwrong"})
    assert [point.fields["b"] for point in done.points] == [1.0, 2.0]
    assert [target.url for target in done.targets] == ["http://a/", "http://b/"]
    ignoring = annotation("urls = ['http://a/']\nignore_req_err = true", "/path")
    assert len(rounds(ignoring, {"http://a/": "a_b 1\n"}).points) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[inputs.prom]\nurl = 'http://a/'",
        "[[inputs.prom]]\nurl = 'http://a/'\n[[inputs.prom]]\nsource = 1",
        "[[inputs.prom]]\nurl = 'http://a/",
        "inputs = 1",
    ],
)
def test_an_error_loses_the_whole_annotation(text: str) -> None:
    loaded = load_annotation(text, POD)
    assert (loaded.inputs, bool(loaded.error)) == ((), True)


def test_one_bad_url_stops_all_blocks_of_an_annotation() -> None:
    loaded = load_annotation("[[inputs.prom]]\nurl = 'http://a/'\n[[Inputs.Prom]]\nurl = 'http://a:b/'", POD)
    assert all(one.problem for one in loaded.inputs)


def test_substitution_in_an_annotation_is_plain_text() -> None:
    (settings,) = load_annotation(
        "inputs.prom = [{url = 'http://$IP:$PODNAMES/${IP}', source = '$NODENAME'}]", POD
    ).inputs
    assert settings.urls == ("http://10.1.2.3:reviews-1S/${IP}",)
    assert settings.source == "node-1"
    (unnamed,) = annotation(
        "interval = '-5s'\nhonor_timestamps = true\nstream_size = 7\nkeep_exist_metric_name = 1"
    ).inputs
    assert (unnamed.source, unnamed.interval_s, unnamed.honor_timestamps) == ("prod/reviews-1", 30.0, False)
    (long,) = annotation("interval = '1h'\nbearer_token_file = '/t'\ntls_open = true\ntls_ca = 'ca'").inputs
    assert (long.interval_s, long.files(), long.tls) == (3600.0, ("ca", "/t"), TLS(ca=("ca",)))
    (insecure,) = annotation("tls_open = true\ntls_ca = 'ca'\ninsecure_skip_verify = true").inputs
    assert insecure.tls == TLS(insecure=True, ca=("ca",))
