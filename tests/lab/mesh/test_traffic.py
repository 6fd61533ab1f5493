"""Traffic as numbers: the same at both ends of a call, shared by weight, started, stopped and shifted."""

from __future__ import annotations

import random

import pytest

from tui.core.errors import UsageError
from tui.lab.mesh.mesh import parse_weights
from tui.lab.mesh.traffic import EDGES, INGRESS, Traffic

WORKLOADS = (
    INGRESS,
    "productpage-v1",
    "details-v1",
    "reviews-v1",
    "reviews-v2",
    "reviews-v3",
    "ratings-v1",
    "mongodb-v1",
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic(clock: Clock) -> Traffic:
    """A pod of every workload, named like it, and requests coming in."""
    made = Traffic(random.Random(7), 1.0, clock)
    for workload in WORKLOADS:
        made.add(workload, workload)
    made.start()
    return made


def counted(traffic: Traffic, pod: str, edge: str, reporter: str, code: str = "") -> float:
    """Requests that a pod has counted of an edge, with one response code or with any."""
    return sum(
        count
        for (name, who, status, _flags), count in traffic.meter(pod).counts.items()
        if (name, who) == (edge, reporter) and code in ("", status)
    )


def test_both_ends_of_a_call_count_the_same(traffic: Traffic, clock: Clock) -> None:
    for _ in range(20):
        clock.now += 31.7
        traffic.advance()
    for name, edge in EDGES.items():
        if edge.source is None:
            continue
        sent = counted(traffic, edge.source.name, name, "source")
        assert sent == counted(traffic, edge.target.name, name, "destination")
        assert (sent > 0) is (name not in ("reviews-v3", "ratings-v3"))
        for code, _flags, share in edge.codes:
            assert counted(traffic, edge.source.name, name, "source", code) == pytest.approx(sent * share)


def test_versions_of_reviews_share_by_weight(traffic: Traffic, clock: Clock) -> None:
    clock.now += 600
    first, second = (counted(traffic, "productpage-v1", f"reviews-{v}", "source") for v in ("v1", "v2"))
    assert first / (first + second) == pytest.approx(0.9)
    traffic.shift({"v1": 50, "v3": 50})
    clock.now += 600
    now = {v: counted(traffic, "productpage-v1", f"reviews-{v}", "source") for v in ("v1", "v2", "v3")}
    assert now["v2"] == second
    assert now["v3"] == pytest.approx(now["v1"] - first)
    assert now["v3"] > 1000


def test_each_page_asks_details_and_one_reviews(traffic: Traffic, clock: Clock) -> None:
    clock.now += 300
    pages = counted(traffic, INGRESS, "page", "source")
    found = pages - counted(traffic, INGRESS, "page", "source", "404")
    assert counted(traffic, "details-v1", "details", "destination") == pytest.approx(found)
    reviews = sum(counted(traffic, "productpage-v1", f"reviews-{v}", "source") for v in ("v1", "v2", "v3"))
    assert reviews == pytest.approx(found)
    assert counted(traffic, "ratings-v1", "mongodb", "source") == pytest.approx(reviews * 0.1)


def test_the_rate_goes_up_and_down_and_never_back(traffic: Traffic, clock: Clock) -> None:
    rates, before = [], 0.0
    for _ in range(60):
        clock.now += 60
        after = counted(traffic, INGRESS, "page", "source")
        rates.append((after - before) / 60)
        before = after
    assert min(rates) > 4
    assert max(rates) < 17
    assert max(rates) / min(rates) > 1.3
    assert sum(rates) / len(rates) == pytest.approx(10, rel=0.2)


def test_stopped_nothing_comes_in_but_what_is_sent_by_hand(traffic: Traffic, clock: Clock) -> None:
    clock.now += 60
    traffic.stop()
    before = counted(traffic, INGRESS, "page", "source")
    clock.now += 600
    assert counted(traffic, INGRESS, "page", "source") == before
    traffic.send(5)
    assert counted(traffic, INGRESS, "page", "source") == pytest.approx(before + 5)
    traffic.start()
    clock.now += 1
    assert counted(traffic, INGRESS, "page", "source") > before + 5


def test_time_runs_faster_with_the_lab(clock: Clock) -> None:
    fast = Traffic(random.Random(7), 30.0, clock)
    slow = Traffic(random.Random(7), 1.0, clock)
    for each in (fast, slow):
        for workload in WORKLOADS:
            each.add(workload, workload)
        each.start()
    clock.now += 200
    assert counted(fast, INGRESS, "page", "source") > 20 * counted(slow, INGRESS, "page", "source")


def test_without_a_pod_to_serve_them_requests_end_as_503(traffic: Traffic, clock: Clock) -> None:
    clock.now += 60
    before = counted(traffic, "reviews-v1", "reviews-v1", "destination")
    traffic.leave("reviews-v1")
    clock.now += 60
    assert traffic.meter("productpage-v1").counts[("reviews-v1", "source", "503", "UH")] > 100
    assert counted(traffic, "reviews-v1", "reviews-v1", "destination") == before
    traffic.remove("reviews-v1")
    traffic.add("reviews-v1-new", "reviews-v1")
    clock.now += 60
    assert 0 < counted(traffic, "reviews-v1-new", "reviews-v1", "destination") < 2 * before


def test_a_gateway_that_is_down_lets_nothing_in(traffic: Traffic, clock: Clock) -> None:
    traffic.leave(INGRESS)
    clock.now += 60
    assert counted(traffic, "productpage-v1", "page", "destination") == 0
    assert counted(traffic, "details-v1", "details", "destination") == 0


def test_pods_of_one_workload_share_its_requests(traffic: Traffic, clock: Clock) -> None:
    traffic.add("productpage-v1-b", "productpage-v1")
    clock.now += 60
    shares = [counted(traffic, pod, "page", "destination") for pod in ("productpage-v1", "productpage-v1-b")]
    assert shares[0] == pytest.approx(shares[1])
    assert sum(shares) == pytest.approx(counted(traffic, INGRESS, "page", "source"))


def test_a_client_without_a_sidecar_is_counted_by_the_server_alone(traffic: Traffic, clock: Clock) -> None:
    clock.now += 60
    assert counted(traffic, "details-v1", "plain", "destination") == 0
    traffic.add_outsider("sleep")
    clock.now += 60
    assert counted(traffic, "details-v1", "plain", "destination") == pytest.approx(12)
    traffic.leave("sleep")
    clock.now += 60
    assert counted(traffic, "details-v1", "plain", "destination") == pytest.approx(12)


@pytest.mark.parametrize(
    ("text", "weights"),
    [("90:10", {"v1": 90, "v2": 10}), ("0:0:1", {"v1": 0, "v2": 0, "v3": 1}), ("1", {"v1": 1})],
)
def test_weights(text: str, weights: dict[str, int]) -> None:
    assert parse_weights(text) == weights


@pytest.mark.parametrize("text", ["", "90:", "a:b", "-1:2", "1:2:3:4", "0:0", "99999:1", "９0:10x"])
def test_what_are_no_weights(text: str) -> None:
    with pytest.raises(UsageError):
        parse_weights(text)
