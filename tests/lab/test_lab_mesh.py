"""The mesh of the lab: Istio and Bookinfo as they stand in the cluster, sidecars, addresses and names."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lab_clients import MAPS, MERGE, SETS, apply, client_of, config_map, daemon_set, points
from lab_machines import until

from tui.lab.agent import LOG_FILE
from tui.lab.client import Client, Object
from tui.lab.mesh import injection, objects
from tui.lab.network import NetworkError
from tui.lab.world import Lab

PROD = "/api/v1/namespaces/prod/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/prod/deployments"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    """A lab with its mesh, at 120 times the speed of the clock; the tests of this module share it."""
    made = Lab(interval_s=0.5, seed=1, mesh=True)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="module")
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

    new = await until(replaced, 60)
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


async def test_a_lab_whose_only_node_takes_no_pods_has_no_mesh(tmp_path: Path) -> None:
    lab = Lab(nodes=1, interval_s=0.5, seed=1, mesh=True)
    await lab.start()
    assert lab.ready()["mesh"] is None
    admin = client_of(lab, "admin", tmp_path)
    assert not (await admin.get("/apis/apps/v1/deployments"))["items"]
    await admin.close()
    await lab.stop()


async def scraped(lab: Lab, url: str, node: str = "cp-1") -> str:
    answer = await lab.network.request(node, "GET", url)
    assert answer.status == 200
    return answer.body.decode()


async def test_ports_of_the_mesh_answer_from_every_node(lab: Lab, admin: Client) -> None:
    for pod in (await admin.get(PROD))["items"]:
        address, app = pod["status"]["podIP"], pod["metadata"]["labels"]["app"]
        if app == objects.NO_SIDECAR:
            with pytest.raises(NetworkError, match="connection refused"):
                await scraped(lab, f"http://{address}:15020/stats/prometheus")
            continue
        merged = await scraped(lab, f"http://{address}:15020/stats/prometheus")
        alone = await scraped(lab, f"http://{address}:15090/stats/prometheus", "worker-2")
        assert "istio_agent_scrapes_total" in merged
        assert "istio_agent_scrapes_total" not in alone
        assert 'istio_build{component="proxy",tag="1.13.2"} 1' in alone
    for gateway in ("istio-ingressgateway", "istio-egressgateway"):
        selector = f"app={gateway}"
        (pod,) = (await admin.get("/api/v1/namespaces/istio-system/pods", labelSelector=selector))["items"]
        text = await scraped(lab, f"http://{pod['status']['podIP']}:15020/stats/prometheus")
        assert ("istio_requests_total{" in text) is (gateway == "istio-ingressgateway")


async def test_strict_mutual_tls_refuses_the_app_and_not_the_metrics(lab: Lab, admin: Client) -> None:
    (pod,) = (await admin.get(PROD, labelSelector="app=ratings"))["items"]
    address = pod["status"]["podIP"]
    with pytest.raises(NetworkError, match="connection reset by peer"):
        await lab.network.request("cp-1", "GET", f"http://{address}:9080/metrics")
    assert "istio_build" in await scraped(lab, f"http://{address}:15020/stats/prometheus")


async def test_istiods_service_answers_with_one_replica_or_the_other(lab: Lab, admin: Client) -> None:
    pods = (await admin.get("/api/v1/namespaces/istio-system/pods", labelSelector="app=istiod"))["items"]

    def connected(text: str) -> float:
        (line,) = [line for line in text.splitlines() if line.startswith("pilot_xds{")]
        return float(line.rpartition(" ")[2])

    each = [connected(await scraped(lab, f"http://{pod['status']['podIP']}:15014/metrics")) for pod in pods]
    assert sum(each) == 9  # seven sidecars and two gateways
    url = "http://istiod.istio-system.svc.cluster.local:15014/metrics"
    cpu = [await scraped(lab, url) for _ in range(20)]
    used = [float(text.rpartition("\nprocess_cpu_seconds_total ")[2].partition("\n")[0]) for text in cpu]
    assert used != sorted(used)  # two processes under one name: their counters jump back


async def test_requests_by_hand_are_counted_while_none_come_in(lab: Lab) -> None:
    assert lab.mesh is not None
    assert await lab._asked("traffic", "stop") == {"running": False, "weights": {"v1": 90, "v2": 10, "v3": 0}}
    url = "http://istio-ingressgateway.istio-system/productpage"
    meters = lab.mesh.traffic._meters.values()
    pages = next(meter for meter in meters if meter.workload == "istio-ingressgateway")
    before = sum(pages.counts.values())
    assert "Bookstore" in await scraped(lab, url)
    lab.mesh.traffic.advance()
    assert sum(pages.counts.values()) == pytest.approx(before + 1)
    assert (await lab._asked("shift", "80:20"))["weights"] == {"v1": 80, "v2": 20, "v3": 0}
    assert (await lab._asked("traffic", "start"))["running"]


LEAN = """\
[[inputs.prom]]
  url = "http://$IP:15020/stats/prometheus"
  source = "lean"
  metric_types = ["counter", "gauge", "histogram"]
  interval = "60s"
  measurement_name = "istio_prom"
  metric_name_filter = ["^istio_requests_total$", "^istio_request_duration_milliseconds$", "^istio_build$"]
  [inputs.prom.tags]
    namespace = "$NAMESPACE"
    pod_name = "$PODNAME"
"""


async def test_an_annotation_that_is_mended_brings_what_the_broken_one_did_not(lab: Lab, admin: Client) -> None:
    def arrived(field: str, **tags: str) -> list[dict[str, str]]:
        found = [each for each, _value in points(lab, "istio_prom", field)]
        return [each for each in found if tags.items() <= each.items()]

    await until(lambda: arrived("istio_requests_total"), 60)  # the tutorial's annotations, as far as they parse
    assert not arrived("istio_request_duration_milliseconds_bucket")
    text = LEAN
    body = {"spec": {"template": {"metadata": {"annotations": {objects.INSTANCES: text}}}}}
    item = await admin.send("PATCH", f"{DEPLOYMENTS}/{objects.BROKEN}", body, content_type=MERGE)
    began = time.monotonic()

    def bucket() -> dict[str, str] | None:
        found = arrived("istio_request_duration_milliseconds_bucket", destination_workload="details-v1")
        return found[0] if found else None

    tags = await until(bucket, 60)
    assert time.monotonic() - began >= 60 / lab.scale  # no sooner than one interval after it was picked up
    assert tags["namespace"] == "prod"
    assert tags["pod_name"].startswith("details-v1-")
    assert tags["cluster_name_k8s"] == "lab"
    assert tags["instance"].endswith(":15020")
    assert tags["host"].startswith("worker-")
    assert not [each for each, _value in points(lab, "collector", "up") if each.get("job") == "lean"]
    assert item["metadata"]["generation"] >= 3  # made, given its revision, changed
    log = "".join(agent.container.read(LOG_FILE).decode() for agent in lab.agents())
    assert "failed to new prom runner of pod details-v1-" in log


async def test_a_pods_metrics_can_be_had_through_the_api_server(lab: Lab, admin: Client) -> None:
    (pod,) = (await admin.get(PROD, labelSelector="app=ratings"))["items"]
    asked = ("prod", pod["metadata"]["name"], 15020, "GET", "/stats/prometheus", "", {})
    status, _headers, body = await lab.hooks.proxy(*asked)
    assert status == 200
    assert b"istio_tcp_sent_bytes_total" in body


ISTIOD = """\
[[inputs.prom]]
  url = "http://istiod.istio-system.svc.cluster.local:15014/metrics"
  source = "prom-istiod"
  metric_types = ["counter", "gauge", "histogram"]
  metric_name_filter = ["^pilot_(services|proxy_convergence_time)$"]
  measurement_name = "istio_prom"
  interval = "60s"
  [inputs.prom.tags]
    app_id = "istiod"
    cluster_name_k8s = "lab"
"""
BY_SELECTOR = """\
[inputs.kubernetesprometheus]
  scrape_interval = "5m"
  [[inputs.kubernetesprometheus.instances]]
    role = "pod"
    namespaces = ["prod"]
    selector = "app=mongodb"
    port = "15020"
    path = "/stats/prometheus"
    [inputs.kubernetesprometheus.instances.custom]
      measurement = "istio_prom"
      [inputs.kubernetesprometheus.instances.custom.tags]
        pod_name = "__kubernetes_pod_name"
"""


async def test_confs_reach_istiod_by_its_name_and_sidecars_by_a_selector(lab: Lab, admin: Client) -> None:
    names = {"prom_istiod.conf": ("prom", ISTIOD), "kubernetesprometheus.conf": ("kubernetesprometheus", BY_SELECTOR)}
    await apply(admin, f"{MAPS}/datakit-conf", config_map(**{key: text for key, (_, text) in names.items()}))
    folder = "/usr/local/datakit/conf.d"
    mounts = [
        {"name": "datakit-conf", "mountPath": f"{folder}/{place}/{key}", "subPath": key, "readOnly": True}
        for key, (place, _) in names.items()
    ]
    template = {"spec": {"containers": [{"name": "datakit", "volumeMounts": mounts}]}}
    await apply(admin, f"{SETS}/datakit", daemon_set({"template": template}))
    await until(lab.cluster.is_rolled_out, 60)

    def arrived(field: str, **tags: str) -> list[dict[str, str]]:
        return [each for each, _value in points(lab, "istio_prom", field) if tags.items() <= each.items()]

    (pilot, *_more) = await until(lambda: arrived("pilot_services", app_id="istiod"), 60)
    assert pilot["cluster_name_k8s"] == "lab"
    assert pilot["instance"] == "istiod.istio-system.svc.cluster.local:15014"
    assert arrived("pilot_proxy_convergence_time_bucket", app_id="istiod")
    ups = [each for each, value in points(lab, "collector", "up") if each["job"] == "prom-istiod" and value == 1]
    assert ups
    (pod,) = (await admin.get(PROD, labelSelector="app=mongodb"))["items"]
    name = pod["metadata"]["name"]
    (tcp, *_more) = await until(lambda: arrived("istio_tcp_sent_bytes_total", pod_name=name), 60)
    assert tcp["reporter"] == "destination"
    assert tcp["cluster_name_k8s"] == "lab"  # the host's tags
    assert tcp["host"] == pod["spec"]["nodeName"]
