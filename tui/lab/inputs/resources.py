"""What the elected agent reports of the cluster's objects: metrics `kube_*` and `kubernetes`, objects `kubernetes_*`.

Fields and tags are those of inputs/container/kubernetes k8s_*.go of DataKit 1.84.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tui.core.prom.collector import Point
from tui.lab.inputs.containers import Fields
from tui.lab.inputs.machine import Object, seconds
from tui.lab.inputs.usage import amount

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Resource:
    """One kind: where it is listed, how its count, its metric and its object are called, and what they hold.

    `name` is the tag with an object's name in metrics, `object_name` in objects ("" where it has none of them).
    """

    path: str
    count: str
    measurement: str
    name: str
    metric: Callable[[Object], Fields]
    object_class: str = ""
    object_name: str = ""
    state: Callable[[Object], Fields] = lambda item: {}
    tags: Callable[[Object], dict[str, str]] = lambda item: {}
    metric_tags: Callable[[Object], dict[str, str]] = lambda item: {}

    def metrics(self, items: Sequence[Object], tags: Tags) -> list[Point]:
        """A point for each object, and how many each namespace has; nodes are counted without one."""
        found = [
            Point(
                self.measurement,
                {**tags, **_identity(item), self.name: item["metadata"]["name"], **self.metric_tags(item)},
                self.metric(item),
            )
            for item in items
        ]
        counts = Counter(item["metadata"].get("namespace", "") for item in items)
        return found + [
            Point("kubernetes", {**tags, "namespace": space}, {self.count: n}) for space, n in counts.items()
        ]

    def objects(self, items: Sequence[Object], tags: Tags, now: float) -> list[Point]:
        """The state of each object, known by its uid."""
        return [
            Point(
                self.object_class,
                {
                    **tags,
                    **_identity(item),
                    "name": item["metadata"]["uid"],
                    "workload_name": item["metadata"]["name"],
                    self.object_name: item["metadata"]["name"],
                    **self.tags(item),
                },
                {"age": int(now - seconds(item["metadata"].get("creationTimestamp"), now)), **self.state(item)},
                category="object",
            )
            for item in items
            if self.object_class
        ]


def _identity(item: Object) -> dict[str, str]:
    return {"uid": item["metadata"]["uid"], "namespace": item["metadata"].get("namespace", "")}


def _numbers(item: Object, **fields: str) -> Fields:
    """Counts of the status by the names that fields give them, 0 where the API leaves a zero out."""
    status = item.get("status", {})
    return {field: int(status.get(name) or 0) for field, name in fields.items()}


def _desired(item: Object) -> Fields:
    return {"replicas_desired": int(item["spec"].get("replicas", 1))}


def _deployment(item: Object) -> Fields:
    return _desired(item) | _numbers(
        item,
        replicas="replicas",
        replicas_updated="updatedReplicas",
        replicas_ready="readyReplicas",
        replicas_available="availableReplicas",
        replicas_unavailable="unavailableReplicas",
    )


def _deployment_state(item: Object) -> Fields:
    fields = _deployment(item)
    old = {"up_dated": "replicas_updated"} | {
        name: f"replicas_{name}" for name in ("ready", "available", "unavailable")
    }
    strategy = item["spec"].get("strategy", {}).get("type", "")
    return {**fields, "strategy": strategy, **{name: fields[field] for name, field in old.items()}}


def _replica_set(item: Object) -> Fields:
    return _desired(item) | _numbers(
        item, replicas="replicas", replicas_ready="readyReplicas", replicas_available="availableReplicas"
    )


def _replica_set_metric(item: Object) -> Fields:
    return _replica_set(item) | _numbers(item, fully_labeled_replicas="fullyLabeledReplicas")


def _owner_of_set(item: Object) -> dict[str, str]:
    references = item["metadata"].get("ownerReferences") or ()
    if references and references[0]["kind"] in ("Deployment", "StatefulSet"):
        return {references[0]["kind"].lower(): references[0]["name"]}
    return {}


def _stateful_set(item: Object) -> Fields:
    return _desired(item) | _numbers(
        item,
        replicas="replicas",
        replicas_updated="updatedReplicas",
        replicas_ready="readyReplicas",
        replicas_current="currentReplicas",
        replicas_available="availableReplicas",
    )


def _daemon_set(item: Object) -> Fields:
    return _numbers(
        item,
        desired="desiredNumberScheduled",
        scheduled="currentNumberScheduled",
        misscheduled="numberMisscheduled",
        ready="numberReady",
        updated="updatedNumberScheduled",
        daemons_available="numberAvailable",
        daemons_unavailable="numberUnavailable",
    )


def _job_state(item: Object) -> Fields:
    fields = _numbers(item, active="active", failed="failed", succeeded="succeeded")
    for field, key in (
        ("parallelism", "parallelism"),
        ("completions", "completions"),
        ("backoff_limit", "backoffLimit"),
    ):
        if key in item["spec"]:
            fields[field] = int(item["spec"][key])
    return fields


def _job(item: Object) -> Fields:
    """`completion_*` count the conditions that say how the whole job ended."""
    kinds = [each["type"] for each in item.get("status", {}).get("conditions") or ()]
    ended: Fields = {"completion_succeeded": kinds.count("Complete"), "completion_failed": kinds.count("Failed")}
    return _numbers(item, active="active", failed="failed", succeeded="succeeded") | ended


def _cron_job_state(item: Object) -> Fields:
    spec, active = item["spec"], item.get("status", {}).get("active") or ()
    return {"schedule": spec.get("schedule", ""), "active_jobs": len(active), "suspend": int(bool(spec.get("suspend")))}


def _endpoints(item: Object) -> Fields:
    subsets = item.get("subsets") or ()
    return {
        "address_available": sum(len(each.get("addresses") or ()) for each in subsets),
        "address_not_ready": sum(len(each.get("notReadyAddresses") or ()) for each in subsets),
    }


def _service_state(item: Object) -> Fields:
    spec = item["spec"]
    return {
        "cluster_ip": spec.get("clusterIP", ""),
        "external_name": spec.get("externalName", ""),
        "external_ips": ",".join(spec.get("externalIPs") or ()),
        "session_affinity": spec.get("sessionAffinity", ""),
    }


_SHARES = (("cpu", "cpu"), ("memory", "memory"), ("pods", "pods"), ("ephemeral-storage", "ephemeral_storage"))


def _node(item: Object) -> Fields:
    status = item.get("status", {})
    return {
        f"{field}_{kind}": amount(str((status.get(kind) or {}).get(name, "0")))
        for name, field in _SHARES
        for kind in ("allocatable", "capacity")
    }


def _node_state(item: Object) -> Fields:
    status = item.get("status", {})
    ready = [each["status"].lower() for each in status.get("conditions") or () if each["type"] == "Ready"]
    return {
        "kubelet_version": status.get("nodeInfo", {}).get("kubeletVersion", ""),
        "unschedulable": "yes" if item["spec"].get("unschedulable") else "no",
        **({"node_ready": ready[0]} if ready else {}),
    }


def _node_tags(item: Object) -> dict[str, str]:
    """`role` goes by the label that kubeadm gave up in 1.24, as DataKit still does."""
    status = item.get("status", {})
    addresses = [each["address"] for each in status.get("addresses") or () if each["type"] == "InternalIP"]
    well = any(each.get("reason") == "KubeletReady" for each in status.get("conditions") or ())
    master = "node-role.kubernetes.io/master" in (item["metadata"].get("labels") or {})
    return {
        "role": "master" if master else "node",
        **({"status": "Ready"} if well else {}),
        **({"internal_ip": addresses[0]} if addresses else {}),
    }


def _called(key: str) -> Callable[[Object], dict[str, str]]:
    """An older name of the tag with the object's name, which DataKit still sends."""
    return lambda item: {key: item["metadata"]["name"]}


NODES = Resource(
    "/api/v1/nodes", "node", "kube_node", "node", _node, "kubernetes_nodes", "node_name", _node_state, _node_tags
)
JOBS = Resource("/apis/batch/v1/jobs", "job", "kube_job", "job", _job, "kubernetes_jobs", "job_name", _job_state)
RESOURCES = (
    NODES,
    Resource(
        "/apis/apps/v1/deployments",
        "deployment",
        "kube_deployment",
        "deployment",
        _deployment,
        "kubernetes_deployments",
        "deployment_name",
        _deployment_state,
    ),
    Resource(
        "/apis/apps/v1/replicasets",
        "replicaset",
        "kube_replicaset",
        "replicaset",
        _replica_set_metric,
        "kubernetes_replica_sets",
        "replicaset_name",
        _replica_set,
        lambda item: {**_called("replica_set_name")(item), **_owner_of_set(item)},
        _called("replica_set"),
    ),
    Resource(
        "/apis/apps/v1/statefulsets",
        "statefulset",
        "kube_statefulset",
        "statefulset",
        _stateful_set,
        "kubernetes_statefulsets",
        "statefulset_name",
        _stateful_set,
    ),
    Resource(
        "/apis/apps/v1/daemonsets",
        "daemonset",
        "kube_daemonset",
        "daemonset",
        _daemon_set,
        "kubernetes_daemonset",
        "daemonset_name",
        _daemon_set,
    ),
    JOBS,
    Resource(
        "/apis/batch/v1/cronjobs",
        "cronjob",
        "kube_cronjob",
        "cronjob",
        lambda item: {"spec_suspend": int(bool(item["spec"].get("suspend")))},
        "kubernetes_cron_jobs",
        "cron_job_name",
        _cron_job_state,
    ),
    Resource(
        "/api/v1/services",
        "service",
        "kube_service",
        "service",
        lambda item: {"ports": len(item["spec"].get("ports") or ())},
        "kubernetes_services",
        "service_name",
        _service_state,
        lambda item: {"type": item["spec"].get("type", "")},
    ),
    Resource("/api/v1/endpoints", "endpoint", "kube_endpoint", "endpoint", _endpoints),
)
