"""What is found of a mesh, by its objects alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.mesh_objects import (
    BROKEN,
    TUTORIAL,
    bookinfo,
    budget,
    config_map,
    datakit,
    deployment,
    gateway,
    istiod,
    mesh,
    mounting,
    namespace,
    pod,
    service,
)
from tests.core.objects import Object
from tui.core.errors import ForbiddenError, NotFoundError
from tui.core.mesh import Seen, Target, discover, look
from tui.core.ports import DEPLOYMENT, Kind


def found(key: str, seen: Seen | None = None) -> Target:
    target = next((one for one in mesh(seen).targets if one.key == key), None)
    assert target is not None
    return target


def test_istiod_gateways_and_workloads_are_told_apart() -> None:
    whole = mesh()
    assert [one.key for one in whole.control] == ["istio-system/istiod"]
    assert [one.key for one in whole.gateways] == ["istio-system/istio-ingressgateway"]
    names = ["details-v1", "productpage-v1", "ratings-v1", "reviews-v1", "sleep"]
    assert [one.name for one in whole.workloads] == names
    assert (whole.version, whole.control[0].revision, whole.injected) == ("1.13.2", "default", {"prod": "label"})
    assert whole.sidecars == 4
    assert not mesh(Seen(deployments=[deployment("web")]))


def test_several_revisions_of_istiod_are_all_there() -> None:
    seen = Seen(deployments=[istiod(), istiod("istiod-canary", "canary", replicas=3)])
    assert [(one.name, one.revision, one.replicas) for one in mesh(seen).control] == [
        ("istiod", "default", 1),
        ("istiod-canary", "canary", 3),
    ]


@pytest.mark.parametrize(
    ("labels", "how"),
    [
        ({"istio-injection": "enabled"}, "label"),
        ({"istio.io/rev": "canary"}, "canary"),
        ({"istio.io/rev": "canary", "istio-injection": "disabled"}, ""),
        ({"istio.io/dataplane-mode": "ambient"}, ""),
        ({}, ""),
    ],
)
def test_injection_is_by_label_or_by_revision(labels: dict[str, str], how: str) -> None:
    space = {"metadata": {"name": "prod", "labels": labels}}
    assert mesh(replace(bookinfo(), namespaces=[space])).injected == ({"prod": how} if how else {})


def test_ambient_namespaces_are_named_and_out_of_scope() -> None:
    space = {"metadata": {"name": "calm", "labels": {"istio.io/dataplane-mode": "ambient"}}}
    seen = replace(bookinfo(), namespaces=[space], deployments=[istiod(), deployment("web", "calm")])
    assert mesh(seen).ambient == ("calm",)
    assert "calm/web" not in {one.key for one in mesh(seen).workloads}


def test_a_sidecar_counts_when_it_is_ready_native_or_not() -> None:
    web = deployment("web", replicas=3)
    pods = [pod(web, 0), pod(web, 1, ready=False), pod(web, 2, native=True), pod(web, 3, sidecar=False)]
    pods[3]["status"]["phase"] = "Succeeded"
    target = found("prod/web", replace(bookinfo(), deployments=[istiod(), web], pods=pods))
    assert (target.pods, len(target.proxies), target.ready) == (3, 3, 2)
    assert found("prod/sleep").ready == 0


def test_pods_of_other_kinds_are_rows_without_an_object() -> None:
    web = deployment("web")
    rollout, bare, stateful = pod(web, 1), pod(web, 2), pod(web, 3)
    rollout["metadata"]["labels"] = {"rollouts-pod-template-hash": "5d8"}
    bare["metadata"]["ownerReferences"] = []
    stateful["metadata"]["ownerReferences"] = [{"kind": "StatefulSet", "name": "db", "controller": True}]
    seen = replace(bookinfo(), deployments=[istiod()], pods=[rollout, bare, stateful])
    assert [(one.kind, one.name, one.object) for one in mesh(seen).workloads] == [
        ("StatefulSet", "db", None),
        ("Rollout", "web", None),
        ("Pod", "web-5d8-2", None),
    ]


def test_annotations_are_judged_as_datakit_reads_them() -> None:
    broken, valid, other = (found(f"prod/{name}").annotation for name in ("details-v1", "ratings-v1", "reviews-v1"))
    assert broken is not None
    assert broken.problem.count("line ") == 1
    assert not broken.ours
    assert valid is not None
    assert (valid.problem, valid.of_mesh) == ("", True)
    assert other is not None
    assert not other.of_mesh
    assert found("prod/productpage-v1").annotation is None
    assert [one.how for one in found("prod/ratings-v1").collected] == ["annotation"]
    assert found("prod/details-v1").collected == ()


def test_an_annotation_of_ours_is_known_by_its_owner() -> None:
    seen = Seen([], [istiod(), deployment("web", annotation=TUTORIAL, ours=True)], [], [], [], [])
    seen = replace(seen, namespaces=[namespace("prod", istio_injection="enabled")])
    annotation = found("prod/web", seen).annotation
    assert annotation is not None
    assert annotation.ours


@pytest.mark.parametrize(
    ("conf", "who"),
    [
        ('[[inputs.prom]]\nurls = ["http://istiod.istio-system.svc.cluster.local:15014/metrics"]\n', ["istiod"]),
        ('[[inputs.prom]]\nurl = "http://istiod.istio-system:15014/metrics"\n', ["istiod"]),
        (
            '[[inputs.prom]]\nurl = "http://istio-ingressgateway-ext.istio-system.svc:15020/stats/prometheus"\n',
            ["istio-ingressgateway"],
        ),
        ('[[inputs.prom]]\nurl = "http://istiod.elsewhere.svc:15014/metrics"\n', []),
        ('[[inputs.prom]]\nurl = "http://istiod.istio-system.svc:8080/metrics"\n', []),
        ("not toml [", []),
    ],
)
def test_a_mounted_conf_that_scrapes_the_mesh_is_seen(conf: str, who: list[str]) -> None:
    whole = mesh(None, mounting(datakit(), "x.conf"), config_map(x_conf=conf))
    assert [one.name for one in (*whole.control, *whole.gateways) if one.collected] == who
    unmounted = mesh(None, datakit(), config_map(x_conf=conf))
    assert not [one for one in (*unmounted.control, *unmounted.gateways) if one.collected]


INSTANCE = '[[inputs.kubernetesprometheus.instances]]\nrole = "pod"\nport = "15020"\nnamespaces = ["prod"]\n'


def test_kubernetesprometheus_is_seen_by_its_conf_and_by_the_environment() -> None:
    by_conf = mesh(None, mounting(datakit(), "k.conf"), config_map(k_conf=INSTANCE))
    assert {one.name for one in by_conf.workloads if one.collected} == {one.name for one in by_conf.workloads}
    assert not by_conf.gateways[0].collected
    elsewhere = config_map(k_conf=INSTANCE.replace("prod", "shop"))
    assert not mesh(None, mounting(datakit(), "k.conf"), elsewhere).workload("prod/sleep").collected
    switch = "ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_POD_ANNOTATIONS"
    assert all(one.collected for one in mesh(None, datakit(**{switch: "true"})).targets)


def monitor(kind: str, port: str, **spec: object) -> Object:
    ends = {"PodMonitor": "podMetricsEndpoints", "ServiceMonitor": "endpoints"}[kind]
    return {"kind": kind, "metadata": {"name": port, "namespace": "prod"}, "spec": {ends: [{"port": port}], **spec}}


def test_monitors_are_named_and_count_only_where_datakit_reads_them() -> None:
    monitors = [monitor("PodMonitor", "http-envoy-prom"), monitor("ServiceMonitor", "web")]
    seen = replace(bookinfo(), monitors=monitors)
    assert mesh(seen).monitors == ("PodMonitor prod/http-envoy-prom",)
    assert not mesh(seen).workload("prod/sleep").collected
    switch = "ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_POD_MONITORS"
    assert mesh(seen, datakit(**{switch: "true"})).workload("prod/sleep").collected


@pytest.mark.parametrize(
    ("replicas", "strategy", "missing"),
    [
        (1, {}, 0),
        (4, {}, 1),
        (4, {"type": "Recreate"}, 4),
        (2, {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "25%"}}, 0),
        (3, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"}}, 1),
        (3, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}, 2),
    ],
)
def test_how_many_pods_a_rollout_takes_away(replicas: int, strategy: Object, missing: int) -> None:
    web = deployment("web", replicas=replicas, strategy=strategy)
    assert found("prod/web", replace(bookinfo(), deployments=[istiod(), web])).missing_at_once == missing


def test_the_tightest_budget_over_the_pods_counts() -> None:
    tight = budget("tight", 0)
    tight["spec"]["selector"] = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}
    everywhere = budget("all", 3)
    everywhere["spec"]["selector"] = {}
    seen = replace(bookinfo(), deployments=[istiod(), deployment("web")], budgets=[budget("web", 1), tight, everywhere])
    target = found("prod/web", seen)
    assert target.budget is not None
    assert (target.budget.name, target.budget.allowed) == ("tight", 0)
    others = replace(seen, budgets=[budget("web", 1, "shop"), budget("other", 0)])
    assert found("prod/web", others).budget is None


def test_a_service_counts_only_with_the_port_and_these_pods() -> None:
    assert found("istio-system/istiod").service == "istiod"
    assert found("istio-system/istio-ingressgateway").service == ""
    ext = service("istio-ingressgateway-ext", 15020, app="istio-ingressgateway")
    seen = bookinfo()
    whole = replace(seen, services=[*seen.services, ext])
    assert found("istio-system/istio-ingressgateway", whole).service == "istio-ingressgateway-ext"


class Listing:
    """A cluster that lists, as far as it is allowed to."""

    def __init__(self, seen: Seen, denied: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.seen, self.denied, self.asked = seen, denied, 0

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        self.asked += 1
        if (kind.plural, namespace) in self.denied or (kind.plural, "*") in self.denied:
            raise ForbiddenError(f"{kind.plural} {namespace}")
        if kind.plural.endswith("monitors"):
            raise NotFoundError(kind.plural)
        names = {"poddisruptionbudgets": "budgets"}
        items: list[Object] = list(getattr(self.seen, names.get(kind.plural, kind.plural)))
        if kind == DEPLOYMENT and labels:
            items = [i for i in items if i["metadata"]["labels"].get("app") == "istiod"]
        return [i for i in items if not namespace or i["metadata"].get("namespace") == namespace]


def test_without_a_mesh_one_request_says_so() -> None:
    cluster = Listing(Seen())
    assert not look(cluster, datakit(), None)
    assert cluster.asked == 1


def test_the_mesh_is_read_namespace_by_namespace() -> None:
    cluster = Listing(bookinfo())
    assert look(cluster, datakit(), None) == discover(bookinfo(), datakit(), None)
    assert cluster.asked == 2 + 2 * 4 + 2


def test_what_may_not_be_read_is_said_and_the_rest_is_there() -> None:
    cluster = Listing(bookinfo(), frozenset({("pods", "prod"), ("deployments", "")}))
    seen = look(cluster, datakit(), None)
    assert len(seen.control) == 1
    assert [note for note in seen.notes if "pods" in note and "prod" in note]
    nothing = look(Listing(bookinfo(), frozenset({("deployments", "*")})), datakit(), None)
    assert not nothing
    assert nothing.notes


def test_a_gateway_is_known_by_its_injection_template_too() -> None:
    one = deployment("edge", "prod")
    one["spec"]["template"]["metadata"]["annotations"] = {"inject.istio.io/templates": "gateway"}
    of_api = deployment("api", "prod")
    of_api["spec"]["template"]["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"] = "api"
    seen = replace(bookinfo(), deployments=[istiod(), one, of_api, gateway()])
    assert [target.name for target in mesh(seen).gateways] == ["istio-ingressgateway", "api", "edge"]


def test_the_broken_annotation_is_told_with_its_line() -> None:
    annotation = found("prod/details-v1").annotation
    assert annotation is not None
    assert annotation.text == BROKEN
    assert "4" in annotation.problem
