"""The ladders of the mesh: what is required where we set it up, the countdown, no traffic told from not collected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.core.mesh_objects import (
    BROKEN,
    TUTORIAL,
    bookinfo,
    config_map,
    datakit,
    deployment,
    gateway,
    istiod,
    mesh,
    mounting,
    pod,
    survey,
)
from tui.core import views
from tui.core.checks import CHECKS, MESH, panel, run
from tui.core.checks.arrivals import Arrivals
from tui.core.checks.finding import Finding
from tui.core.checks.mesh_facts import PARTS, MeshFacts, needs
from tui.core.checks.shared import Shared
from tui.core.istio_conf import annotation
from tui.core.istio_cost import VIEWS, fills
from tui.core.mesh import Seen
from tui.core.ports import AgentInputs, Feed, Series
from tui.core.prom.collector import Scrape
from tui.core.survey import DataKit
from tui.core.view_fill import PanelFill
from tui.i18n import assets

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # when the pods of the objects started
PROXY, ISTIOD = ((assets() / "samples" / name).read_bytes() for name in ("istio-proxy.txt", "istiod.txt"))
QUIET = b"\n".join(line for line in PROXY.splitlines() if b"istio_requests_total" not in line) + b"\n"
CONF = "/usr/local/datakit/conf.d/prom/prom_istiod.conf"


def annotated(preset: str = "lean", **texts: str) -> Seen:
    """The tutorial's mesh after an apply: istiod, the gateway and the workloads have our annotation, or one of `texts`
    by somebody else; "" is none.
    """
    seen = bookinfo()
    ours = {one.title: annotation(one, preset, "lab") for one in mesh(seen).targets}
    for item in seen.deployments:
        name = item["metadata"]["name"]
        text = texts.get(name.replace("-", "_"), ours.get(f"Deployment {item['metadata']['namespace']}/{name}", ""))
        template = item["spec"]["template"]["metadata"]
        template.pop("annotations", None)
        if name == "sleep" or not text:
            continue
        template["annotations"] = {"datakit/prom.instances": text}
        fields = {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:datakit/prom.instances": {}}}}}}
        who = "datakit-wizard" if text in ours.values() else "kubectl-edit"
        how = "Apply" if text in ours.values() else "Update"
        item["metadata"]["managedFields"] = [{"manager": who, "operation": how, "fieldsV1": fields}]
    return seen


@dataclass
class World:
    """What the checks ask: the mesh, DataKit's agents, what the targets expose, and what the studio has."""

    seen: Seen
    now: float = NOW
    scale: float = 1.0
    proxy: bytes = PROXY
    refused: tuple[str, ...] = ()  # addresses that do not answer
    lacking: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()  # instances of which nothing has arrived
    age_s: float = 0.0
    tag: str = "lab"
    may_exec: bool = True
    has_fed: bool = True
    studio: bool = True
    every_node: bool = False
    env: dict[str, str] = field(default_factory=lambda: {"ENV_DEFAULT_ENABLED_INPUTS": "cpu,container"})
    confs: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def facts(self) -> Any:
        config = config_map(**self.confs)
        kit: DataKit = mounting(datakit(ENV_CLUSTER_NAME_K8S="lab", **self.env), *config["data"])
        found = mesh(self.seen, kit, config)
        pods = [SimpleNamespace(node="worker-1", name="datakit-a")]
        agent = SimpleNamespace(scrape=self.scrape, feeds=self.feeds)
        facts = SimpleNamespace(
            survey=survey(found, kit, config),
            datakit=kit,
            cluster=SimpleNamespace(context="lab", time_scale=self.scale, get=lambda *_names: config),
            studio=SimpleNamespace(query=self.query) if self.studio else None,
            no_studio="",
            ready_pods=pods,
            asked_pods=pods,
            confs=[],
            may_exec=self.may_exec,
            every_node=self.every_node,
            leader="",
            agent=lambda _pod: agent,
            inputs_of=lambda _pod: AgentInputs(self.loaded, {}, "defeat", "cp-1"),
            load=lambda text: __import__("tui.core.prom.conf", fromlist=["load"]).load(text, {}),
            shared=Shared(),
            arrivals=Arrivals(),
            forget=lambda: None,
            now=lambda: self.now,
        )
        facts.fork = lambda: facts
        here = MeshFacts.of(facts)
        here._shared.once("mesh", lambda: found)
        return facts

    def feeds(self) -> dict[str, Feed]:
        if not self.has_fed:
            return {}
        texts = [one.text for one in self._targets() if one]
        sources = {name for text in texts for name in re.findall(r'source = "([^"]+)"', text)}
        sources |= {f"prom.{name}" for text in self.confs.values() for name in re.findall(r'source = "([^"]+)"', text)}
        return {name: Feed(1, 10, self.now) for name in sources}

    def _targets(self) -> list[Any]:
        return [one.annotation for one in mesh(self.seen).targets]

    def scrape(self, url: str) -> Scrape:
        if any(address in url for address in self.refused):
            return Scrape(None, error="connection refused")
        return Scrape(ISTIOD if ":15014" in url else self.proxy)

    def query(self, queries: Sequence[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        self.asked += queries
        row = (((self.now - self.age_s) * 1000, 1.0),)
        tags = {"cluster_name_k8s": self.tag}
        instances = [f"10.0.0.{n + 1}:15020" for n in (0, 1, 2, 3, 30)] + [f"10.0.0.{n + 1}:15014" for n in (20, 21)]
        instances.append("istiod.istio-system.svc:15014")
        here = [Series({**tags, "instance": name}, ("time", "value"), row) for name in instances]
        there = [one for one in here if one.tags["instance"] not in self.absent]
        plain = [Series(tags, ("time", "value"), row)]
        return [
            [] if any(f"`{name}`" in text for name in self.lacking) else there if "BY `instance`" in text else plain
            for text in queries
        ]


def look(id: str, **changes: Any) -> Finding:
    check = next(one for one in CHECKS if one.id == id)
    return check.test(World(**{"seen": annotated(), **changes}).facts())


def not_well(**changes: Any) -> list[str]:
    """The ids that did not pass in a whole run over the three routes, in order; what was blocked is left out."""
    facts = World(**{"seen": annotated(), **changes}).facts()
    wanted = [one for one in CHECKS if one.route in MESH]
    blocked = {need: True for one in wanted for need in one.needs if not need.startswith(MESH)}
    checks = [replace(one, needs=tuple(n for n in one.needs if n not in blocked)) for one in wanted]
    found = run(facts, checks=checks, wait_s=0.0)
    return [one.id for one in found.results if one.status != "pass" and not one.blocked_by and one.severity != "info"]


def test_each_part_has_a_ladder_of_its_own_in_the_same_order() -> None:
    ladders = {key: [one.id.removeprefix(f"{key}/") for one in CHECKS if one.route == key] for key in MESH}
    assert ladders["gateways"] == ladders["sidecars"]
    assert ladders["istiod"] == [rung for rung in ladders["sidecars"] if rung != "traffic"]
    before = "found readable declared twice filter histograms picked-up answers traffic fed"
    assert " ".join(ladders["sidecars"]) == f"{before} series cluster-tag fresh panels"
    known = {one.id for one in CHECKS}
    assert {need for one in CHECKS for need in one.needs} <= known


@pytest.mark.parametrize("preset", ["lean", "full"])
def test_all_is_well_after_an_apply(preset: str) -> None:
    assert not_well(seen=annotated(preset)) == []


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"seen": annotated(istiod="")}, "istiod/declared"),
        ({"seen": annotated(istio_ingressgateway="")}, "gateways/declared"),
        ({"seen": annotated(details_v1=BROKEN)}, "sidecars/readable"),
        ({"seen": annotated(ratings_v1=TUTORIAL)}, "sidecars/histograms"),
        ({"seen": annotated("tutorial")}, "istiod/histograms"),
        ({"refused": ("10.0.0.1:15020",)}, "sidecars/answers"),
        ({"refused": (":15014",)}, "istiod/answers"),
        ({"proxy": QUIET}, "gateways/traffic"),
        ({"has_fed": False, "now": NOW + 900}, "istiod/fed"),
        ({"has_fed": False, "now": NOW + 60}, "istiod/picked-up"),
        ({"absent": ("10.0.0.31:15020",), "now": NOW + 900}, "gateways/series"),
        ({"tag": "default"}, "istiod/cluster-tag"),
        ({"tag": ""}, "istiod/cluster-tag"),
        ({"age_s": 400.0, "now": NOW + 900}, "istiod/series"),
        ({"lacking": frozenset({"istio_requests_total"}), "now": NOW + 900}, "gateways/panels"),
        ({"env": {"ENV_DEFAULT_ENABLED_INPUTS": "cpu,-container"}}, "istiod/picked-up"),
    ],
)
def test_what_breaks_is_the_first_rung_that_is_not_well(changes: dict[str, Any], first: str) -> None:
    assert not_well(**changes)[0] == first


@pytest.mark.parametrize("preset", ["tutorial", "lean", "full"])
def test_every_promised_panel_counts_in_one_part(preset: str) -> None:
    seen = annotated(preset)
    facts = World(seen).facts()
    counted: dict[str, int] = {}
    for part in PARTS:
        if part.key != "gateways":  # their panels are those of sidecars
            for key in VIEWS:
                counted[key] = counted.get(key, 0) + len(MeshFacts.of(facts).part(part).panels(key))
    assert counted == {one.key: len(one.filled) for one in fills(preset)}
    found = look("istiod/panels", seen=seen)
    assert found.status == "pass"
    assert re.fullmatch(r"(\d+) of \1 panels have data", found.found)


def test_the_studio_is_asked_once_for_all_parts_for_the_clusters_points_and_for_istiods_own() -> None:
    world = World(annotated())
    facts = world.facts()
    for id in ("istiod/series", "sidecars/fresh", "gateways/panels", "istiod/panels"):
        assert next(one for one in CHECKS if one.id == id).test(facts).status == "pass"
    assert len(world.asked) == len(set(world.asked))
    needed = [text for text in world.asked if "BY `instance`" not in text]
    assert all("`cluster_name_k8s` = 'lab'" in text for text in needed)
    assert any("`app_id` = 'istiod'" in text and "go_goroutines" in text for text in needed)
    assert not any("`app_id`" in text for text in needed if "istio_requests_total" in text)
    assert any("`instance` = re('^(10.0.0.31:15020)$')" in text for text in needed if "istio_requests_total" in text)


def test_what_has_not_arrived_is_waited_for_until_it_is_due() -> None:
    lacking = frozenset({"istio_request_duration_milliseconds_bucket"})
    early = look("sidecars/panels", now=NOW + 60, lacking=lacking)
    assert early.status == "pending"
    assert early.due_s == pytest.approx(2 * 300 + 60 + 120 - 60)
    assert "istio_request_duration_milliseconds_bucket" in early.causes[0]
    late = look("sidecars/panels", now=NOW + 900, lacking=lacking)
    assert (late.status, late.due_s) == ("pending", 0)
    fast = look("sidecars/panels", now=NOW, lacking=lacking, scale=30.0)
    assert fast.due_s == pytest.approx(780 / 30)


def test_an_annotation_is_counted_down_until_an_agent_has_fed_its_points() -> None:
    waiting = look("sidecars/picked-up", now=NOW + 60, has_fed=False)
    assert (waiting.status, waiting.due_s) == ("pending", pytest.approx(720))
    assert "at the latest in 12m" in waiting.found
    assert look("sidecars/picked-up", now=NOW + 60).status == "pass"
    assert look("sidecars/picked-up", now=NOW + 900, has_fed=False).status == "pass"
    # Nobody may ask the agents: the time alone tells.
    assert look("sidecars/picked-up", now=NOW + 60, may_exec=False).status == "pending"


CONF_OF_ISTIOD = (
    '[[inputs.prom]]\n  urls = ["http://istiod.istio-system.svc:15014/metrics"]\n  source = "prom-istiod"\n'
    '  measurement_name = "istio_prom"\n  [inputs.prom.tags]\n    app_id = "istiod"\n'
)


def test_a_conf_of_istiod_must_be_loaded_and_its_series_are_told_by_the_urls_host() -> None:
    by_conf: dict[str, Any] = {"seen": annotated(istiod=""), "confs": {"prom_istiod_conf": CONF_OF_ISTIOD}}
    there = {CONF: 1}
    assert not_well(**by_conf, loaded=there) == []
    waiting = look("istiod/picked-up", **by_conf)
    assert waiting.status == "warn"  # it is not ours
    assert CONF in waiting.causes[0]
    lost = look("istiod/series", **by_conf, loaded=there, absent=("istiod.istio-system.svc:15014",))
    assert lost.object == "Deployment istio-system/istiod"
    unsound = {"prom_istiod_conf": CONF_OF_ISTIOD.replace('"prom-istiod"', '"prom-\n')}
    assert look("istiod/readable", seen=annotated(istiod=""), confs=unsound).object == (
        "ConfigMap datakit/datakit-conf, prom_istiod.conf"
    )


def test_no_traffic_is_told_apart_from_not_collected() -> None:
    lacking = frozenset({"istio_requests_total"})
    found = look("sidecars/panels", proxy=QUIET, lacking=lacking)
    assert found.status == "skip"
    assert "no traffic yet" in found.skipped_because
    assert "curl -sS http://productpage:9080/productpage" in found.command
    told = look("sidecars/traffic", proxy=QUIET)
    assert told.status == "fail"
    assert "productpage" in told.command
    at_the_gate = look("gateways/traffic", proxy=QUIET)
    assert "curl -sS http://istio-ingressgateway.istio-system/productpage" in at_the_gate.command
    assert look("sidecars/traffic").status == "pass"
    # The sidecars have it and the studio has not: that is no lack of traffic.
    assert look("sidecars/panels", lacking=lacking).status == "pending"


def test_what_nothing_exposes_yet_is_not_waited_for() -> None:
    rare = b"\n".join(line for line in PROXY.splitlines() if b"istio_tcp_" not in line) + b"\n"
    lacking = frozenset({"istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"})
    found = look("sidecars/panels", proxy=rare, lacking=lacking)
    assert found.status == "pass"
    assert "33 of 42" in found.found
    assert "nothing has happened yet" in found.found


def test_without_the_right_to_look_into_pods_the_studio_tells_all_the_same() -> None:
    assert look("sidecars/answers", may_exec=False).status == "skip"
    assert look("sidecars/panels", lacking=frozenset({"istio_requests_total"}), may_exec=False).status == "pending"
    assert look("sidecars/panels", may_exec=False).status == "pass"
    assert look("sidecars/traffic", may_exec=False).needed is False


def test_what_somebody_else_set_up_is_warned_of_and_not_required() -> None:
    theirs: dict[str, Any] = {"seen": bookinfo()}
    assert look("sidecars/panels", **theirs, lacking=frozenset({"istio_requests_total"})).status == "warn"
    found = look("sidecars/series", **theirs, absent=("10.0.0.3:15020",))
    assert (found.status, found.needed, found.object) == ("warn", False, "Deployment prod/ratings-v1")
    nothing = look("istiod/panels", **theirs)
    assert (nothing.status, nothing.needed, nothing.blocked_by) == ("skip", False, "istiod/declared")
    assert look("sidecars/panels", **theirs, studio=False).needed is False
    assert look("sidecars/panels", studio=False).needed is True


def test_a_part_that_the_mesh_has_not_is_not_missed() -> None:
    alone = replace(annotated(), deployments=[istiod(replicas=2)], pods=[])
    assert look("gateways/declared", seen=alone).needed is False
    assert "none" in look("sidecars/panels", seen=alone).skipped_because


def test_which_workloads_are_collected_is_for_people_to_say_but_each_istiod_counts() -> None:
    few = look("sidecars/declared", seen=annotated(details_v1="", ratings_v1=""))
    assert (few.status, few.found) == ("pass", "2 of 4 are collected; not: prod/details-v1, prod/ratings-v1")
    seen = annotated()
    both = replace(seen, deployments=[*seen.deployments, istiod("istiod-canary", "canary")])
    found = look("istiod/declared", seen=both)
    assert (found.status, found.object) == ("fail", "Deployment istio-system/istiod-canary")


def test_broken_annotations_are_named_with_their_problem() -> None:
    found = look("sidecars/readable", seen=bookinfo())
    assert found.status == "fail"
    assert found.object == "Deployment prod/details-v1"
    assert "Deployment prod/details-v1: " in found.causes[0]
    only = replace(bookinfo(), deployments=[istiod(), gateway(), deployment("details-v1", annotation=BROKEN)])
    lone = look("sidecars/declared", seen=only)
    assert "ignores" in lone.causes[0]


def test_a_target_of_two_collectors_is_told() -> None:
    assert look("istiod/twice").status == "pass"
    switch = "ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_POD_ANNOTATIONS"
    told = look("sidecars/twice", env={switch: "true"})
    assert told.status == "fail"
    assert switch in told.causes[0]


def test_the_parts_are_described() -> None:
    assert look("istiod/found").found == "Istio 1.13.2, 2 of 2 pods ready"
    assert look("sidecars/found").found == "4 workloads, 4 of 4 sidecars ready"


def test_each_need_of_the_control_plane_is_istiods_where_its_panel_says_so() -> None:
    panels = {panel.key: panel for panel in views.view("istio-control-plane").panels}
    assert needs(panels["C4"]) == [("istio_prom", "go_goroutines", True)]
    assert needs(panels["C9"]) == [("istio_prom", "envoy_cluster_upstream_cx_active", False)]


def test_the_countdown_begins_with_the_youngest_pod() -> None:
    seen = annotated()
    young = pod(seen.deployments[0], 50)
    young["status"]["startTime"] = datetime.fromtimestamp(NOW + 100, UTC).isoformat().replace("+00:00", "Z")
    facts = World(replace(seen, pods=[*seen.pods, young]), now=NOW + 100).facts()
    due = {part.key: MeshFacts.of(facts).part(part).due_s() for part in PARTS}
    assert due == {"istiod": pytest.approx(680), "gateways": pytest.approx(680), "sidecars": pytest.approx(780)}


def test_an_empty_panel_is_told_when_what_collects_it_drops_its_field() -> None:
    narrow = TUTORIAL + '  metric_name_filter = ["istio_build"]\n'
    texts = dict.fromkeys(("details_v1", "ratings_v1", "reviews_v1"), "")
    facts = World(annotated(productpage_v1=narrow, **texts)).facts()
    requests = next(one for one in views.view("istio-mesh").panels if one.key == "M1")
    told = panel._dropped_of_mesh(facts, PanelFill(requests, (("istio_prom", "istio_requests_total"),)))
    assert told is not None
    assert told.found == "what collects it drops istio_prom.istio_requests_total"
    assert told.object == "Deployment prod/productpage-v1"
    versions = next(one for one in views.view("istio-mesh").panels if one.key == "M15")
    assert panel._dropped_of_mesh(facts, PanelFill(versions, (("istio_prom", "istio_build"),))) is None


def test_a_large_mesh_is_sampled_and_says_so() -> None:
    seen = annotated()
    many = [pod(seen.deployments[0], number) for number in range(100, 140)]
    large: dict[str, Any] = {"seen": replace(seen, pods=[*seen.pods, *many])}
    found = look("sidecars/answers", **large)
    assert found.found == "12 addresses answer (a sample of 44; --every-node asks all)"
    assert look("sidecars/answers", **large, every_node=True).found == "44 addresses answer"
    assert "sample" in look("sidecars/fed", **large, now=NOW + 900).found
    # Each target is among those that are asked, whatever the number of its pods.
    facts = World(**large).facts()
    sampled = MeshFacts.of(facts).part(PARTS[2]).sampled
    assert {target.name for target, _proxy in sampled} == {"productpage-v1", "details-v1", "ratings-v1", "reviews-v1"}
