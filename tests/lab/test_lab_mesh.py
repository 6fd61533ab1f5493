"""The mesh of the lab: Istio and Bookinfo as they stand in the cluster, sidecars, addresses and names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lab_clients import MERGE, client_of
from lab_machines import until

from tui.core.prom import conf
from tui.core.prom.settings import Pod
from tui.lab.client import Client, Object
from tui.lab.mesh import injection, objects
from tui.lab.network import NetworkError
from tui.lab.world import Lab

PROD = "/api/v1/namespaces/prod/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/prod/deployments"


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab with its mesh, at 120 times the speed of the clock."""
    made = Lab(interval_s=0.5, seed=1, mesh=True)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def admin(lab: Lab, tmp_path: Path) -> AsyncIterator[Client]:
    made = client_of(lab, "admin", tmp_path)
    yield made
    await made.close()


def ready(pod: Object) -> str:
    """READY as kubectl shows it."""
    states = pod["status"]["containerStatuses"]
    return f"{sum(each['ready'] for each in states)}/{len(pod['spec']['containers'])}"


async def test_what_stands_in_the_two_namespaces(lab: Lab, admin: Client) -> None:
    assert lab.ready()["mesh"] == {"namespaces": ["istio-system", "prod"]}
    namespace = await admin.get("/api/v1/namespaces/prod")
    assert namespace["metadata"]["labels"]["istio-injection"] == "enabled"
    pods = (await admin.get(PROD))["items"]
    assert {pod["metadata"]["labels"]["app"]: ready(pod) for pod in pods} == {
        "details": "2/2",
        "mongodb": "2/2",
        "productpage": "2/2",
        "ratings": "2/2",
        "reviews": "2/2",
        "sleep": "1/1",
    }
    assert len(pods) == 8
    system = (await admin.get("/api/v1/namespaces/istio-system/pods"))["items"]
    names = sorted(pod["metadata"]["labels"]["app"] for pod in system)
    assert names == ["istio-egressgateway", "istio-ingressgateway", "istiod", "istiod"]
    nodes = {pod["spec"]["nodeName"] for pod in pods + system}
    assert nodes == {"worker-1", "worker-2", "worker-3"}
    assert len({pod["status"]["podIP"] for pod in pods + system}) == 12
    istiods = [pod["spec"]["nodeName"] for pod in system if pod["metadata"]["labels"]["app"] == "istiod"]
    assert len(set(istiods)) == 2
    item = await admin.get(f"{DEPLOYMENTS}/reviews-v1")
    assert "kubectl.kubernetes.io/last-applied-configuration" in item["metadata"]["annotations"]
    assert "istio-proxy" not in json.dumps(item["spec"])  # a sidecar is the pod's, never the template's


async def test_a_restart_through_the_template_brings_new_pods_with_sidecars(lab: Lab, admin: Client) -> None:
    (old,) = (await admin.get(PROD, labelSelector="app=details"))["items"]
    body = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    await admin.send("PATCH", f"{DEPLOYMENTS}/details-v1", body, content_type=MERGE)

    async def replaced() -> Object | None:
        pods = (await admin.get(PROD, labelSelector="app=details"))["items"]
        return pods[0] if len(pods) == 1 and pods[0]["metadata"]["uid"] != old["metadata"]["uid"] else None

    new = await until(replaced)
    assert ready(new) == "2/2"
    assert injection.STATUS in new["metadata"]["annotations"]
    with pytest.raises(NetworkError) as gone:
        lab.network.find("cp-1", old["status"]["podIP"], 15020)
    assert gone.value.kind == "resolve" or "refused" in gone.value.reason


async def test_names_of_services_lead_to_ready_pods_from_every_node(lab: Lab, admin: Client) -> None:
    names = lab.network.names
    assert names is not None
    for host in ("istiod.istio-system", "istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local"):
        service = names.find(host)
        assert service is not None
        assert service["metadata"]["name"] == "istiod"
        assert names.find(service["spec"]["clusterIP"]) == service
    assert names.find("istiod.elsewhere.svc.cluster.local") is None
    pods = (await admin.get("/api/v1/namespaces/istio-system/pods", labelSelector="app=istiod"))["items"]
    service = names.find("istiod.istio-system")
    assert service is not None
    reached = {names.endpoint(service, 15014) for _ in range(50)}
    assert reached == {(pod["status"]["podIP"], 15014) for pod in pods}
    assert names.endpoint(service, 1) is None
    with pytest.raises(NetworkError, match="no such host"):
        lab.network.find("cp-1", "istiod.elsewhere.svc.cluster.local", 15014)


async def test_the_viewer_sees_the_mesh_and_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    viewer = client_of(lab, "viewer", tmp_path)
    assert (await viewer.get(DEPLOYMENTS))["items"]
    assert (await viewer.get("/apis/apps/v1/namespaces/istio-system/deployments"))["items"]
    await viewer.close()


def test_one_annotation_does_not_parse_and_the_others_drop_every_histogram() -> None:
    pod = Pod("10.244.1.2", "prod", "details-v1-x", "worker-1")
    texts = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"][objects.INSTANCES]
        for path, item in objects.objects()
        if path == DEPLOYMENTS and item["spec"]["template"]["metadata"].get("annotations")
    }
    assert sorted(texts) == ["details-v1", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"]
    for name, text in texts.items():
        loaded = conf.load_annotation(text, pod)
        assert bool(loaded.error) == (name == objects.BROKEN)
        for each in loaded.inputs:
            assert each.metric_types == ("counter", "gauge")
            assert each.urls == ("http://10.244.1.2:15020/stats/prometheus",)
            assert each.tags == {"namespace": "prod"}


@pytest.mark.parametrize(
    ("pod_labels", "annotations", "namespace", "wanted"),
    [
        ({}, {}, {"istio-injection": "enabled"}, True),
        ({}, {}, {}, False),
        ({}, {}, {"istio.io/rev": "canary"}, True),
        ({"sidecar.istio.io/inject": "false"}, {}, {"istio-injection": "enabled"}, False),
        ({}, {"sidecar.istio.io/inject": "false"}, {"istio-injection": "enabled"}, False),
        ({"sidecar.istio.io/inject": "true"}, {}, {}, True),
        ({}, {}, {"istio-injection": "disabled"}, False),
    ],
)
def test_who_gets_a_sidecar(pod_labels: Object, annotations: Object, namespace: Object, wanted: bool) -> None:
    pod = {"metadata": {"labels": pod_labels, "annotations": annotations}, "spec": {"containers": [{"name": "a"}]}}
    assert injection.wants_sidecar(pod, namespace) is wanted


async def test_a_lab_whose_only_node_takes_no_pods_has_no_mesh(tmp_path: Path) -> None:
    lab = Lab(nodes=1, interval_s=0.5, seed=1, mesh=True)
    await lab.start()
    assert lab.ready()["mesh"] is None
    admin = client_of(lab, "admin", tmp_path)
    assert not (await admin.get("/apis/apps/v1/deployments"))["items"]
    await admin.close()
    await lab.stop()
