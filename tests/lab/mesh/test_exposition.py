"""What the mesh exposes: families, labels and numbers of series as istio 1.13 has them, read by the real parser."""

from __future__ import annotations

import math
import random

import pytest

from tui.core.prom import collector, conf
from tui.core.prom.collector import Scrape
from tui.core.prom.exposition import Family, parse
from tui.core.prom.settings import Pod
from tui.lab.mesh.exposition import Pilot, Proxy, traffic_text
from tui.lab.mesh.families import BOUNDS, Families, LogNormal, histogram_lines
from tui.lab.mesh.objects import tutorial_annotation
from tui.lab.mesh.traffic import INGRESS, Traffic

# facts of real istio 1.13.0: a sidecar of productpage with 6 request series has 821 samples, istiod 238.
REQUEST_SERIES = 67  # one counter and three histograms of 20 buckets, sum and count
SIDECAR, SIDECAR_REQUESTS, ISTIOD = 821, 6, 238
TOLD = {"proxies": 5.0, "services": 20.0, "virtual_services": 2.0, "injected": 7.0}
LEAN = """\
[[inputs.prom]]
  url = "http://$IP:15020/stats/prometheus"
  source = "bookinfo-istio-productpage"
  metric_types = ["counter", "gauge", "histogram"]
  interval = "60s"
  measurement_name = "istio_prom"
  metric_name_filter = ["^istio_requests_total$", "^istio_request_duration_milliseconds$", "^istio_tcp_",
    "^istio_build$", "^envoy_cluster_upstream_cx_(total|active|connect_fail|rx_bytes_total|tx_bytes_total)$"]
  [inputs.prom.tags]
    namespace = "$NAMESPACE"
    pod_name = "$PODNAME"
"""
POD = Pod("10.244.1.4", "prod", "productpage-v1-x", "worker-1")


@pytest.fixture
def traffic() -> Traffic:
    """An hour of requests through one pod of each workload, named like it."""
    now = [0.0]
    made = Traffic(random.Random(3), 1.0, lambda: now[0])
    names = ("productpage-v1", "details-v1", "reviews-v1", "reviews-v2", "ratings-v1", "mongodb-v1")
    for workload in (INGRESS, *names):
        made.add(workload, workload)
    made.start()
    now[0] += 3600
    made.advance()
    return made


def families(text: str, stream_size: int = 0) -> dict[str, Family]:
    read = parse(text.encode(), stream_size)
    assert not read.error
    found: dict[str, Family] = {}
    for batch in read.batches:
        for name, family in batch.items():
            assert name not in found  # a family lies in one piece
            found[name] = family
    return found


def samples(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("stream_size", [0, 1])
def test_a_sidecar_has_the_series_of_a_real_one(traffic: Traffic, stream_size: int) -> None:
    text = Proxy(random.Random(1), 1.0).text(traffic.meter("productpage-v1"), merged=True)
    found = families(text, stream_size)
    requests = len(found["istio_requests_total"].series)
    assert requests == 7
    assert len(samples(text)) == SIDECAR + (requests - SIDECAR_REQUESTS) * REQUEST_SERIES
    kinds = {name: family.type for name, family in found.items()}
    assert kinds["istio_requests_total"] == "counter"
    assert kinds["istio_request_duration_milliseconds"] == kinds["istio_response_bytes"] == "histogram"
    assert kinds["envoy_cluster_upstream_cx_active"] == kinds["envoy_server_hot_restart_epoch"] == "gauge"
    assert kinds["istio_agent_go_gc_duration_seconds"] == "summary"
    (build,) = found["istio_build"].series
    assert build.labels == {"component": "proxy", "tag": "1.13.2"}
    (xds,) = found["envoy_cluster_upstream_cx_total"].series
    assert xds.labels == {"cluster_name": "xds-grpc"}


def test_envoy_alone_says_nothing_of_the_agent(traffic: Traffic) -> None:
    proxy = Proxy(random.Random(1), 1.0)
    merged, alone = (families(proxy.text(traffic.meter("reviews-v1"), merged=merged)) for merged in (True, False))
    assert {name for name in merged if name not in alone} == {n for n in merged if n.startswith("istio_agent_")}
    assert set(alone) < set(merged)


def test_istiod_has_the_series_of_a_real_one() -> None:
    text = Pilot(random.Random(1), 1.0).text(TOLD)
    found = families(text)
    assert abs(len(samples(text)) - ISTIOD) <= 16  # with the policies' events and the errors, which only come later
    assert {each.labels["type"] for each in found["pilot_xds_pushes"].series} >= {"cds", "eds", "lds", "rds"}
    (xds,) = found["pilot_xds"].series
    assert (xds.labels, xds.value) == ({"version": "1.13.2"}, 5.0)
    assert [each.value for each in found["pilot_services"].series] == [20.0]
    assert [each.value for each in found["sidecar_injection_success_total"].series] == [7.0]
    events: dict[str, float] = {}
    for each in found["pilot_k8s_cfg_events"].series:
        sign = {"add": 1, "delete": -1}.get(each.labels["event"], 0)
        events[each.labels["type"]] = events.get(each.labels["type"], 0.0) + sign * each.value
    assert events["VirtualService"] == found["pilot_virt_services"].series[0].value == TOLD["virtual_services"]
    assert events["PeerAuthentication"] == events["Gateway"] == 1
    assert events["WorkloadEntry"] == 0


def test_labels_of_a_request_are_istios(traffic: Traffic) -> None:
    found = families(traffic_text(traffic.meter("productpage-v1")))["istio_requests_total"].series
    inbound = next(s for s in found if s.labels["reporter"] == "destination" and s.labels["response_code"] == "200")
    assert inbound.labels["source_workload"] == "istio-ingressgateway"
    assert inbound.labels["source_workload_namespace"] == "istio-system"
    assert inbound.labels["destination_service"] == "productpage.prod.svc.cluster.local"
    assert inbound.labels["destination_principal"] == "spiffe://cluster.local/ns/prod/sa/bookinfo-productpage"
    assert inbound.labels["connection_security_policy"] == "mutual_tls"
    outbound = next(s for s in found if s.labels["destination_workload"] == "reviews-v1")
    assert outbound.labels["connection_security_policy"] == "unknown"  # a client's sidecar does not know
    assert len(inbound.labels) == 25  # all but the empty grpc_response_status


def test_histograms_belong_to_their_counters(traffic: Traffic) -> None:
    found = families(traffic_text(traffic.meter("productpage-v1")))
    totals = {tuple(sorted(each.labels.items())): each.value for each in found["istio_requests_total"].series}
    for name in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
        for each in found[name].series:
            assert each.count == totals[tuple(sorted(each.labels.items()))]
            cumulative = [count for _bound, count in each.parts]
            assert cumulative == sorted(cumulative)
            assert cumulative[-1] == each.count
            assert len(each.parts) == 20


def test_tcp_is_counted_at_both_ends(traffic: Traffic) -> None:
    client, server = (families(traffic_text(traffic.meter(pod))) for pod in ("ratings-v1", "mongodb-v1"))
    for name in ("sent_bytes", "received_bytes", "connections_opened", "connections_closed"):
        full = f"istio_tcp_{name}_total"
        (here,), (there,) = client[full].series, server[full].series
        assert here.value == there.value > 0
        assert (here.labels["reporter"], there.labels["reporter"]) == ("source", "destination")
        assert here.labels["destination_service"] == "mongodb.prod.svc.cluster.local"
        assert here.labels["request_protocol"] == "tcp"


def test_before_the_first_request_there_is_no_series_of_requests() -> None:
    made = Traffic(random.Random(3), 1.0, lambda: 0.0)
    made.add("productpage-v1", "productpage-v1")
    assert traffic_text(made.meter("productpage-v1")) == ""


def test_the_tutorials_annotation_keeps_no_bucket_and_the_lean_one_does(traffic: Traffic) -> None:
    body = Proxy(random.Random(1), 1.0).text(traffic.meter("productpage-v1"), merged=True).encode()

    def fields(text: str) -> list[str]:
        (settings,) = conf.load_annotation(text, POD).inputs
        done = collector.collect(settings, lambda url: Scrape(body), host_tags={}, election_tags={}, now_ms=0)
        return [name for point in done.points for name in point.fields]

    tutorial, lean = fields(tutorial_annotation("x")), fields(LEAN)
    assert not any("bucket" in name for name in tutorial)
    assert len(tutorial) == 23 + 1  # as measured with 6 request series; here there are 7
    # 144 with 6 request series; each has its counter and 22 samples of the histogram.
    assert len(lean) == 144 + 23
    assert lean.count("istio_request_duration_milliseconds_bucket") == 7 * 20


@pytest.mark.parametrize("file", ["agent.txt", "envoy.txt", "istiod.txt"])
def test_counters_never_fall(file: str) -> None:
    clock = {"start": 0.0, "start_ms": 0.0, "now": 0.0, "uptime": 0.0, "root_expiry": 0.0}
    made = Families(file, random.Random(5))
    before: dict[str, float] = {}
    for minute in (0, 1, 7, 60, 5000):
        for name, family in families(made.text(minute, {**clock, **TOLD})).items():
            for each in family.series:
                if family.type == "counter":
                    key = f"{name}{sorted(each.labels.items())}"
                    assert each.value >= before.get(key, 0.0)
                    before[key] = each.value
    assert sum(value > 0 for value in before.values()) > 10


def test_a_spread_is_log_normal() -> None:
    spread = LogNormal(20, 0.5)
    assert spread.below(20) == pytest.approx(0.5)
    assert spread.below(20 * math.exp(0.5)) == pytest.approx(0.8413, abs=1e-4)
    assert spread.below(math.inf) == 1
    lines = histogram_lines("h", 'a="b"', 1000, spread)
    assert len(lines) == len(BOUNDS["proxy"]) + 2
    assert 'h_bucket{a="b",le="25"} 672' in lines
    assert lines[-1] == 'h_count{a="b"} 1000'
