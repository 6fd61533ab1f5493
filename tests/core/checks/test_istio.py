"""The checks of the mesh: what is required where we set it up, the countdown, no traffic told from not collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.core.mesh_objects import bookinfo, datakit, gateway, istiod, mesh, pod, survey
from tui.core import views
from tui.core.checks import istio
from tui.core.checks.finding import Finding
from tui.core.checks.mesh_facts import MeshFacts, needs
from tui.core.istio_conf import annotation
from tui.core.istio_cost import VIEWS, fills
from tui.core.mesh import Mesh, Seen
from tui.core.ports import Series
from tui.core.prom.collector import Scrape
from tui.i18n import assets

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # when the pods of the objects started
PROXY, ISTIOD = ((assets() / "samples" / name).read_bytes() for name in ("istio-proxy.txt", "istiod.txt"))


def annotated(preset: str = "lean") -> Seen:
    """The tutorial's mesh after an apply: istiod, the gateway and three workloads have our annotation."""
    seen = bookinfo()
    texts = {one.title: annotation(one, preset, "lab") for one in mesh(seen).targets}
    made, pods = [], []
    for item in seen.deployments:
        name = item["metadata"]["name"]
        title = f"Deployment {item['metadata']['namespace']}/{name}"
        mine = [one for one in seen.pods if one["metadata"]["name"].startswith(f"{name}-")]
        if name != "sleep":
            item["spec"]["template"]["metadata"]["annotations"] = {"datakit/prom.instances": texts[title]}
            fields = {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:datakit/prom.instances": {}}}}}}
            item["metadata"]["managedFields"] = [
                {"manager": "datakit-wizard", "operation": "Apply", "fieldsV1": fields}
            ]
        made.append(item)
        pods += mine
    return replace(seen, deployments=made, pods=pods)


@dataclass
class World:
    """What the checks ask: the mesh, what the sidecars expose, and what the studio has."""

    seen: Seen
    now: float = NOW
    scale: float = 1.0
    proxy: bytes = PROXY
    lacking: frozenset[str] = frozenset()
    may_exec: bool = True
    studio: bool = True
    asked: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> Any:
        found: Mesh = mesh(self.seen)
        look = survey(found)

        def once(name: str, read: Callable[[], Any]) -> Any:
            if name == "mesh":
                return found
            if name not in self.kept:
                self.kept[name] = read()
            return self.kept[name]

        return SimpleNamespace(
            survey=SimpleNamespace(
                mesh=found, may=lambda _access: self.may_exec, cluster_name="lab", datakit=look.datakit
            ),
            datakit=datakit(),
            cluster=SimpleNamespace(context="lab", time_scale=self.scale, get=lambda *_names: None),
            studio=SimpleNamespace(query=self.query) if self.studio else None,
            no_studio="",
            ready_pods=[SimpleNamespace(node="worker-1", name="datakit-a")],
            agent=lambda _pod: SimpleNamespace(scrape=self.scrape),
            once=once,
            now=lambda: self.now,
        )

    def scrape(self, url: str) -> Scrape:
        return Scrape(ISTIOD if ":15014" in url else self.proxy)

    def query(self, queries: Sequence[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        self.asked += queries
        row = ((self.now * 1000, 1.0),)
        there = [Series({"cluster_name_k8s": "lab"}, ("time", "value"), row)]
        return [[] if any(f"`{name}`" in text for name in self.lacking) else there for text in queries]


def look(check: Callable[[Any], Finding], **changes: Any) -> Finding:
    return check(World(**{"seen": annotated(), **changes}).facts())


@pytest.mark.parametrize("key", VIEWS)
@pytest.mark.parametrize("preset", ["tutorial", "lean", "full"])
def test_every_promised_panel_counts(key: str, preset: str) -> None:
    n = len(next(one.filled for one in fills(preset) if one.key == key))
    found = look(istio.arrives(key), seen=annotated(preset))
    assert (found.status, found.found) == ("pass", f"{n} of {n} panels have data")


def test_the_studio_is_asked_for_the_clusters_points_and_for_istiods_own() -> None:
    world = World(annotated())
    istio.arrives("istio-control-plane")(world.facts())
    assert world.asked
    assert all("`cluster_name_k8s` = 'lab'" in text for text in world.asked)
    assert any("`app_id` = 'istiod'" in text and "go_goroutines" in text for text in world.asked)
    assert not any("`app_id`" in text for text in world.asked if "istio_requests_total" in text)


def test_what_has_not_arrived_is_waited_for_until_it_is_due() -> None:
    lacking = frozenset({"istio_request_duration_milliseconds_bucket"})
    early = look(istio.arrives("istio-workload"), now=NOW + 60, lacking=lacking)
    assert early.status == "pending"
    assert early.due_s == pytest.approx(2 * 300 + 60 + 120 - 60)
    assert "at the latest in 12m" in early.found
    assert "istio_request_duration_milliseconds_bucket" in early.causes[0]
    late = look(istio.arrives("istio-workload"), now=NOW + 900, lacking=lacking)
    assert (late.status, late.due_s) == ("pending", 0)
    assert "latest" not in late.found
    fast = look(istio.arrives("istio-workload"), now=NOW, lacking=lacking, scale=30.0)
    assert fast.due_s == pytest.approx(780 / 30)


def test_no_traffic_is_told_apart_from_not_collected() -> None:
    quiet = b"\n".join(line for line in PROXY.splitlines() if b"istio_requests_total" not in line) + b"\n"
    nothing = b'# TYPE istio_build gauge\nistio_build{component="proxy",tag="1"} 1\n'
    lacking = frozenset({"istio_requests_total"})
    found = look(istio.arrives("istio-service"), proxy=quiet, lacking=lacking)
    assert found.status == "skip"
    assert "no traffic yet" in found.skipped_because
    assert "curl -sS http://productpage:9080/productpage" in found.command
    told = look(istio.traffic, proxy=nothing)
    assert told.status == "fail"
    assert "productpage" in told.command
    assert look(istio.traffic).status == "pass"
    # The sidecars have it and the studio has not: that is no lack of traffic.
    assert look(istio.arrives("istio-service"), lacking=lacking).status == "pending"


def test_what_nothing_exposes_yet_is_not_waited_for() -> None:
    rare = b"\n".join(line for line in PROXY.splitlines() if b"istio_tcp_" not in line) + b"\n"
    found = look(
        istio.arrives("istio-service"),
        proxy=rare,
        lacking=frozenset({"istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"}),
    )
    assert found.status == "pass"
    assert "12 of 16" in found.found
    assert "nothing has happened yet" in found.found


def test_without_the_right_to_look_into_pods_it_is_waited_for_all_the_same() -> None:
    found = look(istio.arrives("istio-mesh"), lacking=frozenset({"istio_requests_total"}), may_exec=False)
    assert found.status == "pending"
    assert look(istio.traffic, may_exec=False).needed is False


def test_what_somebody_else_set_up_is_warned_of_and_not_required() -> None:
    theirs = bookinfo()
    assert look(istio.collected, seen=theirs).status == "warn"  # istiod has no collector
    lacking = frozenset({"istio_requests_total"})
    found = look(istio.arrives("istio-mesh"), seen=theirs, lacking=lacking)
    assert (found.status, found.needed) == ("warn", False)
    nothing = replace(theirs, deployments=[istiod(replicas=2), gateway()])
    bare = look(istio.collected, seen=nothing)
    assert (bare.status, bare.needed) == ("warn", False)
    assert look(istio.arrives("istio-mesh"), seen=nothing, studio=False).needed is False
    assert look(istio.arrives("istio-mesh"), studio=False).needed is True


def test_broken_annotations_are_named_with_their_problem() -> None:
    found = look(istio.readable, seen=bookinfo())
    assert found.status == "fail"
    assert found.object == "Deployment prod/details-v1"
    assert "Deployment prod/details-v1: " in found.causes[0]
    assert look(istio.readable).status == "pass"


def test_a_target_of_two_collectors_is_told() -> None:
    assert look(istio.twice).status == "pass"
    doubled = annotated()
    switch = "ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_POD_ANNOTATIONS"
    world = World(doubled)
    facts = world.facts()
    found = mesh(doubled, datakit(**{switch: "true"}))
    facts.once = lambda name, read: found if name == "mesh" else read()
    told = istio.twice(facts)
    assert told.status == "fail"
    assert switch in told.causes[0]


def test_the_mesh_is_described_and_what_could_not_be_seen_is_a_cause() -> None:
    assert look(istio.found).found == "Istio 1.13.2: istiod ×2, gateways ×1, sidecars ×4"


def test_each_need_of_the_control_plane_is_istiods_where_its_panel_says_so() -> None:
    panels = {panel.key: panel for panel in views.view("istio-control-plane").panels}
    assert needs(panels["C4"]) == [("istio_prom", "go_goroutines", True)]
    assert needs(panels["C9"]) == [("istio_prom", "envoy_cluster_upstream_cx_active", False)]


def test_the_countdown_begins_with_the_youngest_pod() -> None:
    seen = annotated()
    young = pod(seen.deployments[0], 50)
    young["status"]["startTime"] = datetime.fromtimestamp(NOW + 100, UTC).isoformat().replace("+00:00", "Z")
    facts = World(replace(seen, pods=[*seen.pods, young]), now=NOW + 100).facts()
    assert MeshFacts(facts).due_s() == pytest.approx(780)
