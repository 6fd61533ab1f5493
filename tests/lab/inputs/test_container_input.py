"""The input `container`: its switches, and the points it makes of containers, pods and the cluster's objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from machine_stubs import NODE, NOW, limited, pod, running

from tui.lab.container import Container, Mount
from tui.lab.inputs import containers, pods
from tui.lab.inputs.resources import RESOURCES, Resource
from tui.lab.inputs.settings import ContainerInput
from tui.lab.inputs.usage import Load
from tui.lab.nodes import Node
from tui.lab.vendor import CONTAINER_CONF

LOAD = Load(NODE, "s", 1.0)
TAGS = {"cluster_name_k8s": "lab"}
POD_METRIC = "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"


# Switches


def test_the_vendors_conf_and_no_conf_mean_the_same() -> None:
    assert ContainerInput.read(CONTAINER_CONF, {}) == ContainerInput.read(None, {}) == ContainerInput()


@pytest.mark.parametrize(
    ("conf", "env", "on"),
    [
        ("enable_pod_metric = true", {}, True),
        ("enable_pod_metric = false", {POD_METRIC: "true"}, True),
        ("enable_pod_metric = true", {POD_METRIC: "false"}, False),
        ("enable_pod_metric = true", {POD_METRIC: "yes"}, True),  # which strconv.ParseBool does not take
        ("", {POD_METRIC: "1"}, True),
        ("", {}, False),
    ],
)
def test_the_environment_wins_over_the_conf(conf: str, env: dict[str, str], on: bool) -> None:
    assert ContainerInput.read(f"[inputs.container]\n{conf}\n", env).pod_metric is on


def test_each_switch_has_its_variable() -> None:
    off = {
        f"ENV_INPUT_CONTAINER_ENABLE_{name}": "false"
        for name in ("CONTAINER_METRIC", "K8S_METRIC", "K8S_EVENT", "K8S_NODE_LOCAL", "COLLECT_KUBE_JOB")
    }
    found = ContainerInput.read(None, off)
    switches = (found.container_metric, found.k8s_metric, found.k8s_event, found.node_local, found.jobs)
    assert switches == (False,) * 5


def test_endpoints_are_added_to_each_other() -> None:
    conf = '[inputs.container]\nendpoints = ["unix:///a"]\ndocker_endpoint = "unix:///b"\ncontainerd_address = "/c"\n'
    env = {"ENV_INPUT_CONTAINER_ENDPOINTS": "unix:///d,unix:///a"}
    assert ContainerInput.read(conf, env).endpoints == ("unix:///a", "unix:///b", "unix:///c", "unix:///d")


@pytest.mark.parametrize(
    "text", ["[inputs.container\n", "[inputs]\ncontainer = 1\n", "[inputs.container]\nendpoints = 1\n"]
)
def test_a_conf_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ContainerInput.read(text, {})


def test_a_conf_with_a_switch_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="boolean"):
        ContainerInput.read('[inputs.container]\nenable_pod_metric = "true"\n', {})


@pytest.mark.parametrize(
    ("place", "env", "found"),
    [
        ("run/containerd/containerd.sock", {}, "unix:///var/run/containerd/containerd.sock"),
        ("run/k3s/containerd/containerd.sock", {}, ""),
        (
            "run/k3s/containerd/containerd.sock",
            {"ENV_INPUT_CONTAINER_ENDPOINTS": "unix:///run/k3s/containerd/containerd.sock"},
            "unix:///run/k3s/containerd/containerd.sock",
        ),
    ],
)
def test_the_runtime_is_found_by_its_socket(tmp_path: Path, place: str, env: dict[str, str], found: str) -> None:
    node = Node("n", "10.0.0.1", "worker", tmp_path)
    socket = node.path(f"/var/{place}")
    socket.parent.mkdir(parents=True)
    socket.touch()
    mounts = (Mount("/var/run", node.path("/var/run")),)
    container = Container("p", "datakit", "datakit", "u", "", node, tmp_path / "c", mounts)
    assert ContainerInput.read(None, env).runtime(container) == found


# Containers


def test_a_containers_tags_and_fields() -> None:
    item = pod("reviews-6f5b8c9d7-x", [limited("app", "200m", "256Mi"), {"name": "proxy", "image": "p:1"}])
    points = containers.metrics(LOAD, running(item), {**TAGS, "host": "worker-1"}, NOW)
    app, proxy, count = points
    assert app.measurement == "docker_containers"
    assert {
        key: app.tags[key] for key in ("container_name", "pod_name", "namespace", "deployment", "host", "state")
    } == {
        "container_name": "app",
        "pod_name": "reviews-6f5b8c9d7-x",
        "namespace": "prod",
        "deployment": "reviews",
        "host": "worker-1",
        "state": "Running",
    }
    assert app.fields["cpu_limit_millicores"] == app.fields["cpu_request_millicores"] == 200
    assert app.fields["mem_limit"] == 256 << 20
    assert app.fields["cpu_usage"] == float(app.fields["cpu_usage_millicores"]) / 10
    assert app.fields["mem_used_percent_base_limit"] == pytest.approx(
        float(app.fields["mem_usage"]) / (256 << 20) * 100
    )
    limits = {"mem_limit", "cpu_limit_millicores", "cpu_usage_base_limit", "mem_used_percent_base_limit"}
    assert not limits & set(proxy.fields), "absent without a limit"
    assert not {"block_read_byte", "block_write_byte"} & (set(app.fields) | set(proxy.fields)), "Docker alone has them"
    assert (count.measurement, count.tags, count.fields) == (
        "kubernetes",
        {"namespace": "prod", "node_name": "worker-1"},
        {"container": 2},
    )


def test_a_container_as_an_object_is_known_by_its_id() -> None:
    [one] = containers.objects(LOAD, running(pod("a", [{"name": "app"}])), TAGS, NOW)
    assert (one.category, one.tags["name"], one.tags["container_id"]) == ("object", "id-app", "id-app")
    assert one.fields["age"] == 3600
    assert float(one.fields["cpu_usage"]) > 0


# Pods


def test_what_a_pod_uses_is_there_only_where_it_is_asked_for() -> None:
    item = pod("a", [limited("app", "1", "1Gi"), {"name": "proxy"}])
    by_pod = pods.running_by_pod(running(item))
    [plain] = pods.metrics([item], TAGS, NOW)
    assert plain.fields == {"ready": 2, "restarts": 2}
    assert plain.tags["pod"] == plain.tags["pod_name"] == "a"
    assert plain.tags["deployment"] == "reviews"
    [full] = pods.metrics([item], TAGS, NOW, load=LOAD, running=by_pod)
    each = [LOAD.container(one, NOW) for one in running(item)]
    assert full.fields["cpu_usage_millicores"] == sum(one.millicores for one in each)
    assert full.fields["mem_usage"] == sum(one.memory for one in each)
    assert full.fields["cpu_limit_millicores"] == 1000
    assert "cpu_request_millicores" not in full.fields
    [stored] = pods.objects([item], TAGS, NOW, load=LOAD, running=by_pod)
    assert stored.fields["cpu_usage_millicores"] == full.fields["cpu_usage_millicores"]
    assert (stored.fields["available"], stored.tags["phase"], stored.tags["host"]) == (2, "Running", "worker-1")


def test_pods_of_jobs_and_pods_that_do_not_run_have_no_usage() -> None:
    job, pending = pod("a", [{"name": "app"}]), pod("b", [{"name": "app"}], phase="Pending")
    job["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "Nightly"}]
    by_pod = pods.running_by_pod([*running(job), *running(pending)])
    first, second = pods.metrics([job, pending], TAGS, NOW, load=LOAD, running=by_pod)
    assert first.tags["job"] == "nightly"
    assert first.fields.keys() == second.fields.keys() == {"ready", "restarts"}


def test_a_pod_that_waits_says_why() -> None:
    item = pod("a", [{"name": "app"}], phase="Pending")
    item["status"]["containerStatuses"] = [
        {"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 0}
    ]
    [one] = pods.objects([item], TAGS, NOW)
    assert (one.tags["status"], one.tags["phase"], one.fields["ready"]) == ("ImagePullBackOff", "Pending", 0)


def test_pods_are_counted_by_namespace_and_node() -> None:
    points = pods.counts([pod("a", []), pod("b", [])], TAGS)
    assert [(point.measurement, point.tags, point.fields) for point in points] == [
        ("kubernetes", {**TAGS, "namespace": "prod", "node_name": "worker-1"}, {"pod": 2})
    ]


def test_volumes_are_those_of_claims() -> None:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-redis-0"}}
    item = pod("redis-0", [{"name": "redis"}], volumes=[claim, {"name": "tmp", "emptyDir": {}}])
    [one] = pods.volumes([item, pod("other", [])], TAGS, LOAD, NOW)
    assert (one.measurement, one.tags["pvc_name"], one.tags["volume_mount_name"]) == (
        "kube_dfpv",
        "data-redis-0",
        "data",
    )
    assert one.fields["used_percent"] == pytest.approx(float(one.fields["used"]) / float(one.fields["capacity"]) * 100)
    [stored] = pods.volumes([item], TAGS, LOAD, NOW, category="object")
    assert (stored.measurement, stored.category) == ("kubernetes_dfpv", "object")


# What the elected agent reports


def resource(count: str) -> Resource:
    return next(each for each in RESOURCES if each.count == count)


def item(
    name: str, spec: dict[str, Any], status: dict[str, Any], namespace: str = "prod", **metadata: Any
) -> dict[str, Any]:
    found = {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2025-10-09T08:53:10Z", **metadata}
    return {"metadata": {**found, **({"namespace": namespace} if namespace else {})}, "spec": spec, "status": status}


def test_a_deployment() -> None:
    one = item("reviews", {"replicas": 3}, {"replicas": 3, "readyReplicas": 2, "unavailableReplicas": 1})
    metric, count = resource("deployment").metrics([one], TAGS)
    assert (metric.measurement, metric.tags["deployment"]) == ("kube_deployment", "reviews")
    wanted = {"replicas_desired": 3, "replicas_ready": 2, "replicas_available": 0, "replicas_unavailable": 1}
    assert {key: metric.fields[key] for key in wanted} == wanted
    assert (count.tags, count.fields) == ({**TAGS, "namespace": "prod"}, {"deployment": 1})
    [stored] = resource("deployment").objects([one], TAGS, NOW)
    assert (stored.measurement, stored.tags["deployment_name"]) == ("kubernetes_deployments", "reviews")
    assert (stored.tags["name"], stored.fields["age"], stored.fields["ready"]) == ("uid-reviews", 10, 2)


def test_a_replica_set_names_its_deployment_as_an_object_alone() -> None:
    one = item("reviews-6f", {"replicas": 1}, {}, ownerReferences=[{"kind": "Deployment", "name": "reviews"}])
    metric, _count = resource("replicaset").metrics([one], TAGS)
    assert "deployment" not in metric.tags
    assert metric.tags["replica_set"] == metric.tags["replicaset"] == "reviews-6f"
    [stored] = resource("replicaset").objects([one], TAGS, NOW)
    assert (stored.tags["deployment"], stored.tags["replicaset_name"]) == ("reviews", "reviews-6f")


def test_nodes_are_counted_as_a_whole() -> None:
    quantities = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    addresses = [{"type": "InternalIP", "address": "172.16.0.230"}]
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    status = {"allocatable": quantities, "capacity": quantities, "addresses": addresses, "conditions": conditions}
    one = item("worker-1", {}, {**status, "nodeInfo": {"kubeletVersion": "v1.36.2"}}, namespace="")
    metric, count = resource("node").metrics([one], TAGS)
    assert (metric.tags["node"], metric.fields["cpu_allocatable"], metric.fields["memory_capacity"]) == (
        "worker-1",
        4,
        8 << 30,
    )
    assert (count.tags["namespace"], count.fields) == ("", {"node": 1})
    [stored] = resource("node").objects([one], TAGS, NOW)
    assert (stored.tags["internal_ip"], stored.tags["status"], stored.fields["node_ready"]) == (
        "172.16.0.230",
        "Ready",
        "true",
    )
    assert stored.fields["kubelet_version"] == "v1.36.2"


def test_jobs_and_cron_jobs() -> None:
    done = item("a", {"completions": 1}, {"succeeded": 1, "conditions": [{"type": "Complete"}]})
    failed = item("b", {}, {"failed": 3, "conditions": [{"type": "Failed"}]})
    first, second, count = resource("job").metrics([done, failed], TAGS)
    assert first.fields == {
        "active": 0,
        "failed": 0,
        "succeeded": 1,
        "completion_succeeded": 1,
        "completion_failed": 0,
    }
    assert (second.fields["failed"], second.fields["completion_failed"], count.fields) == (3, 1, {"job": 2})
    nightly = item("n", {"schedule": "0 3 * * *", "suspend": True}, {})
    metric, _count = resource("cronjob").metrics([nightly], TAGS)
    assert metric.fields == {"spec_suspend": 1}
    [stored] = resource("cronjob").objects([nightly], TAGS, NOW)
    assert (stored.measurement, stored.fields["schedule"]) == ("kubernetes_cron_jobs", "0 3 * * *")


def test_services_and_their_endpoints() -> None:
    one = item("reviews", {"clusterIP": "10.96.0.9", "type": "ClusterIP", "ports": [{}, {}]}, {})
    metric, _count = resource("service").metrics([one], TAGS)
    assert (metric.measurement, metric.fields) == ("kube_service", {"ports": 2})
    [stored] = resource("service").objects([one], TAGS, NOW)
    assert (stored.tags["type"], stored.fields["cluster_ip"], stored.fields["external_ips"]) == (
        "ClusterIP",
        "10.96.0.9",
        "",
    )
    ends = {**item("reviews", {}, {}), "subsets": [{"addresses": [{}, {}], "notReadyAddresses": [{}]}]}
    metric, _count = resource("endpoint").metrics([ends], TAGS)
    assert metric.fields == {"address_available": 2, "address_not_ready": 1}
    assert resource("endpoint").objects([ends], TAGS, NOW) == []
