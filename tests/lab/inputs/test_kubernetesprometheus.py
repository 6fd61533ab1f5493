"""The input kubernetesprometheus: which pods it finds, under which address and tags, and what it makes of a scrape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tui.core.prom.collector import Point
from tui.lab.inputs.kubernetesprometheus import Given, Scraper, matches, points_of
from tui.lab.network import NetworkError, Response

CONF = """\
[inputs.kubernetesprometheus]
  node_local = true
  scrape_interval = "60s"
  [inputs.kubernetesprometheus.global_tags]
    instance = "__kubernetes_mate_instance"
    host = "__kubernetes_mate_host"
  [[inputs.kubernetesprometheus.instances]]
    role = "pod"
    namespaces = ["prod"]
    selector = "security.istio.io/tlsMode=istio"
    port = "15020"
    path = "/stats/prometheus"
    [inputs.kubernetesprometheus.instances.custom]
      measurement = "istio_prom"
      [inputs.kubernetesprometheus.instances.custom.tags]
        namespace = "__kubernetes_pod_namespace"
        pod_name = "__kubernetes_pod_name"
        app = "__kubernetes_pod_label_app"
        missing = "__kubernetes_pod_label_missing"
        fixed = "yes"
"""
BODY = b"""\
# TYPE istio_requests_total counter
istio_requests_total{reporter="source",app="other"} 5
# TYPE h histogram
istio_h_bucket{le="1"} 2
istio_h_bucket{le="+Inf"} 3
istio_h_sum 4.5
istio_h_count 3
istio_bad NaN
single 1
"""


def pod(name: str = "a", namespace: str = "prod", **more: Any) -> dict[str, Any]:
    labels = {"app": "reviews", "security.istio.io/tlsMode": "istio", **more.get("labels", {})}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": more.get("annotations", {})}
    ports = [{"name": "http-envoy-prom", "containerPort": 15090}]
    spec = {"nodeName": "worker-1", "containers": [{"name": "istio-proxy", "ports": ports}]}
    status = {"phase": more.get("phase", "Running"), "podIP": more.get("ip", "10.244.1.5"), "hostIP": "172.16.0.230"}
    return {"metadata": metadata, "spec": spec, "status": status}


class World:
    """A scraper whose answers are given, and what it fed and said."""

    def __init__(self, given: Given) -> None:
        self.answers: dict[str, Response | NetworkError] = {}
        self.asked: list[str] = []
        self.fed: list[tuple[str, list[Point], bool]] = []
        self.said: list[str] = []
        self.scraper = Scraper(given, self._get, self._feed, self.said.append)

    async def _get(self, url: str, headers: Mapping[str, str]) -> Response:
        self.asked.append(url)
        found = self.answers.get(url, Response(200, BODY))
        if isinstance(found, NetworkError):
            raise found
        return found

    def _feed(self, source: str, points: Sequence[Point], elected: bool) -> None:
        self.fed.append((source, list(points), elected))


async def test_a_pod_that_fits_is_scraped_under_its_own_address_and_tags() -> None:
    world = World(Given.read(CONF, {}))
    others = [pod("b", "other"), pod("c", labels={"security.istio.io/tlsMode": "disabled"}), pod("d", phase="Pending")]
    await world.scraper.scrape([pod(), *others])
    assert world.asked == ["http://10.244.1.5:15020/stats/prometheus"]
    (source, points, elected), (up_source, ups, up_elected) = world.fed
    assert (source, elected) == ("kubernetesprometheus/pod::prod/a", False)
    requests = next(point for point in points if "istio_requests_total" in point.fields)
    assert requests.measurement == "istio_prom"
    assert requests.tags == {
        "instance": "10.244.1.5:15020",
        "host": "10.244.1.5",
        "namespace": "prod",
        "pod_name": "a",
        "app": "other",  # a label of the series comes before a tag of the conf
        "fixed": "yes",
        "reporter": "source",
    }
    assert (up_source, up_elected) == ("kubernetesprometheus-collector", True)
    (up,) = ups
    assert up.tags == {"job": "istio_prom", "instance": "10.244.1.5:15020", "host": "10.244.1.5"}
    assert up.fields == {"up": 1}


def test_every_sample_is_a_point_of_its_own() -> None:
    given = Given.read(CONF, {})
    points = points_of(BODY, given.instances[0].target(pod()), given)
    assert [name for point in points for name in point.fields] == [
        "istio_requests_total",
        "istio_h_bucket",
        "istio_h_bucket",
        "istio_h_sum",
        "istio_h_count",
        "unknown",  # no name without an underscore
    ]
    assert [point.tags["le"] for point in points if "istio_h_bucket" in point.fields] == ["1", "+Inf"]


def test_without_a_measurement_the_name_is_split() -> None:
    given = Given.read(CONF.replace('measurement = "istio_prom"', ""), {})
    points = points_of(BODY, given.instances[0].target(pod()), given)
    assert points[0].measurement == "istio"
    assert list(points[0].fields) == ["istio_requests_total"]


async def test_annotations_of_prometheus_io_are_followed_where_that_is_switched_on() -> None:
    noted = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15020",
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/param_measurement": "istio_prom",
        "prometheus.io/param_tags": "team=a,bad",
    }
    switch = "enable_discovery_of_prometheus_pod_annotations"
    assert not Given.read(None, {}).instances
    by_env = {"ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_POD_ANNOTATIONS": "true"}
    for given in (Given.read(f"[inputs.kubernetesprometheus]\n{switch} = true\n", {}), Given.read(None, by_env)):
        assert not given.left_out
        world = World(given)
        await world.scraper.scrape(
            [pod(annotations=noted), pod("b"), pod("c", annotations={"prometheus.io/port": "1"})]
        )
        assert world.asked == ["http://10.244.1.5:15020/stats/prometheus"]
        point = world.fed[0][1][0]
        assert point.measurement == "istio_prom"
        assert point.tags["team"] == "a"
        assert point.tags["pod_name"] == "a"
        assert point.tags["namespace"] == "prod"


async def test_a_port_by_name() -> None:
    conf = CONF.replace('port = "15020"', 'port = "__kubernetes_pod_container_istio-proxy_port_http-envoy-prom_number"')
    world = World(Given.read(conf, {}))
    await world.scraper.scrape([pod()])
    assert world.asked == ["http://10.244.1.5:15090/stats/prometheus"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (NetworkError("refused", "connect: connection refused"), "connection refused"),
        (Response(404, b"404 page not found\n"), "404"),
        (Response(200, b"istio_x one\n"), ""),
    ],
)
async def test_ten_failures_in_a_row_are_the_end_of_a_target(answer: Response | NetworkError, why: str) -> None:
    world = World(Given.read(CONF, {}))
    url = "http://10.244.1.5:15020/stats/prometheus"
    world.answers[url] = answer
    for _ in range(12):
        await world.scraper.scrape([pod()])
    assert len(world.asked) == 10
    assert [points[0].fields["up"] for _source, points, _elected in world.fed] == [0] * 10
    assert why in world.said[-1]
    assert world.said[-1].endswith("retry count 10 of 10")
    del world.answers[url]
    await world.scraper.scrape([])  # the pod is gone, and another one may come to its address
    await world.scraper.scrape([pod("b")])
    assert world.fed[-1][1][0].fields["up"] == 1


def test_what_the_lab_leaves_out_is_said() -> None:
    text = (
        "[inputs.kubernetesprometheus]\nenable_discovery_of_prometheus_pod_monitors = true\n"
        '[[inputs.kubernetesprometheus.instances]]\nrole = "service"\n'
    )
    world = World(Given.read(text, {}))
    assert len(world.said) == 2
    assert "role service" in world.said[0]


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10.0), ("10ms", 1.0), ("10m", 300.0)])
def test_the_interval_has_limits(text: str, seconds: float) -> None:
    given = Given.read(f'[inputs.kubernetesprometheus]\nscrape_interval = "{text}"\n', {})
    assert given.interval_s == seconds


@pytest.mark.parametrize(
    "text",
    [
        "[inputs.kubernetesprometheus\n",
        '[inputs]\nkubernetesprometheus = "x"\n',
        "[inputs.kubernetesprometheus]\ninstances = 3\n",
        '[[inputs.kubernetesprometheus.instances]]\nrole = "pod"\nnamespaces = "prod"\n',
        '[inputs.kubernetesprometheus]\nscrape_interval = "soon"\n',
    ],
)
def test_what_is_no_conf_of_it(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - TOML's own error is one
        Given.read(text, {})


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("", True),
        ("app=reviews", True),
        ("app==ratings", False),
        ("app=re*", True),
        ("app!=reviews", False),
        ("app!=ratings,version", True),
        ("!app", False),
        ("!missing", True),
        ("app in (ratings, reviews), version=v?", True),
        ("app notin (reviews)", False),
        ("app in", False),
        ("=x", False),
    ],
)
def test_selectors(selector: str, fits: bool) -> None:
    assert matches(selector, {"app": "reviews", "version": "v1"}) is fits
