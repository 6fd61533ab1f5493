"""What each agent reports of its own node's pods: `kube_pod`, how many there are, `kubelet_pod`, and their volumes.

Fields and tags are those of inputs/container/kubernetes k8s_pod.go, k8s_pod_metrics.go and k8s_dfpv.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tui.core.prom.collector import Point
from tui.lab.inputs.containers import Fields, against
from tui.lab.inputs.machine import Object, Running, owner, seconds
from tui.lab.inputs.usage import DISK_BYTES, VOLUME_BYTES, Load, Usage, resources
from tui.lab.nodes import CPUS, MEMORY_BYTES

Tags = Mapping[str, str]
By = Mapping[str, Sequence[Running]]  # a pod's uid -> its containers that run

_INODE_BYTES = 16_384


def running_by_pod(containers: Sequence[Running]) -> dict[str, list[Running]]:
    """The containers that run, by their pod's uid."""
    found: dict[str, list[Running]] = {}
    for running in containers:
        found.setdefault(running.pod["metadata"]["uid"], []).append(running)
    return found


def metrics(
    pods: Sequence[Object], tags: Tags, now: float, *, load: Load | None = None, running: By | None = None
) -> list[Point]:
    """A point for each pod; what it uses only with a `load`, as `enable_pod_metric` has it."""
    return [
        Point(
            "kube_pod",
            {**tags, **_tags(pod), "pod": pod["metadata"]["name"]},
            {**_counts(pod), **_used(pod, load, running, now)},
        )
        for pod in pods
    ]


def counts(pods: Sequence[Object], tags: Tags) -> list[Point]:
    """How many pods each namespace has on each node."""
    found = Counter((pod["metadata"]["namespace"], pod["spec"].get("nodeName", "")) for pod in pods)
    return [
        Point("kubernetes", {**tags, "namespace": namespace, "node_name": node}, {"pod": number})
        for (namespace, node), number in found.items()
    ]


def objects(
    pods: Sequence[Object], tags: Tags, now: float, *, load: Load | None = None, running: By | None = None
) -> list[Point]:
    """The state of each pod; what it uses is there whatever `enable_pod_metric` says."""
    return [
        Point(
            "kubelet_pod",
            {**tags, **_tags(pod), **_object_tags(pod)},
            {
                **_counts(pod),
                "age": int(now - seconds(pod["metadata"].get("creationTimestamp"), now)),
                "available": len(_statuses(pod)),
                **_used(pod, load, running, now),
            },
            category="object",
        )
        for pod in pods
    ]


def volumes(pods: Sequence[Object], tags: Tags, load: Load, now: float, *, category: str = "metric") -> list[Point]:
    """A point for each claim that a running pod has mounted: `kube_dfpv`, or `kubernetes_dfpv` as an object."""
    return [
        Point(
            "kube_dfpv" if category == "metric" else "kubernetes_dfpv",
            {
                **tags,
                "name": f"{claim}/{pod['metadata']['name']}",
                "pvc_name": claim,
                "node_name": load.node.name,
                "pod_name": pod["metadata"]["name"],
                "namespace": pod["metadata"]["namespace"],
                "volume_mount_name": volume,
            },
            _space(VOLUME_BYTES, load.volume(pod, claim, now)),
            category=category,
        )
        for pod, volume, claim in _claims(pods)
    ]


def _claims(pods: Sequence[Object]) -> Iterator[tuple[Object, str, str]]:
    """Each pod that runs with the volumes that claims give it: the volume's name and the claim's."""
    for pod in pods:
        if pod.get("status", {}).get("phase") == "Running":
            for volume in pod["spec"].get("volumes") or ():
                if "persistentVolumeClaim" in volume:
                    yield pod, volume["name"], volume["persistentVolumeClaim"]["claimName"]


def _space(capacity: int, used: int) -> Fields:
    inodes, taken = capacity // _INODE_BYTES, used // (8 * _INODE_BYTES)
    return {
        "available": capacity - used,
        "capacity": capacity,
        "used": used,
        "inodes": inodes,
        "inodes_used": taken,
        "inodes_free": inodes - taken,
        "used_percent": used / capacity * 100,
    }


def _statuses(pod: Object) -> Sequence[Object]:
    return pod.get("status", {}).get("containerStatuses") or ()


def _tags(pod: Object) -> dict[str, str]:
    metadata = pod["metadata"]
    kind, name = owner(pod)
    return {
        "uid": metadata["uid"],
        "pod_name": metadata["name"],
        "namespace": metadata["namespace"],
        "node_name": pod["spec"].get("nodeName", ""),
        **({kind: name} if kind else {}),
    }


def _object_tags(pod: Object) -> dict[str, str]:
    """`status` is the phase, or why the first container that waits does so. `host` is the pod's node."""
    state, name = pod.get("status", {}), owner(pod)[1]
    waiting = (each["state"]["waiting"].get("reason", "") for each in _statuses(pod) if "waiting" in each["state"])
    return {
        "name": pod["metadata"]["uid"],
        "pod_ip": state.get("podIP", ""),
        "host": pod["spec"].get("nodeName", ""),
        "phase": state.get("phase", ""),
        "qos_class": state.get("qosClass", ""),
        "status": next(waiting, state.get("phase", "")),
        **({"workload_name": name} if name else {}),
    }


def _counts(pod: Object) -> Fields:
    return {
        "ready": sum("running" in each["state"] for each in _statuses(pod)),
        "restarts": max((int(each["restartCount"]) for each in _statuses(pod)), default=0),
    }


def _used(pod: Object, load: Load | None, running: By | None, now: float) -> Fields:
    """What a running pod uses; nothing of a job's, and nothing without what the kubelet says (`load`)."""
    containers = (running or {}).get(pod["metadata"]["uid"], ())
    if load is None or not containers or pod.get("status", {}).get("phase") != "Running":
        return {}
    if owner(pod)[0] in ("job", "cronjob"):
        return {}
    each = [load.container(one, now) for one in containers]
    used = Usage(max(1, sum(one.millicores for one in each)), sum(one.memory for one in each))
    # The kubelet has no network of its own for pods on the host's, and DataKit makes that 0.
    on_host = bool(pod["spec"].get("hostNetwork"))
    started = min(one.started_s for one in containers)
    received, sent = (0, 0) if on_host else load.network(pod, started, now)
    stored = used.memory // 8
    return {
        "cpu_usage_millicores": used.millicores,
        "cpu_usage": used.millicores / 10,
        "cpu_number": CPUS,
        "cpu_usage_base100": used.millicores / 10 / CPUS,
        "mem_usage": used.memory,
        "mem_rss": round(used.memory * 0.86),
        "mem_capacity": MEMORY_BYTES,
        "memory_usage_bytes": used.memory,
        "memory_capacity": MEMORY_BYTES,
        "mem_used_percent": used.memory / MEMORY_BYTES * 100,
        "network_bytes_rcvd": received,
        "network_bytes_sent": sent,
        "ephemeral_storage_used_bytes": stored,
        "ephemeral_storage_available_bytes": DISK_BYTES - stored,
        "ephemeral_storage_capacity_bytes": DISK_BYTES,
        **against("limit", _sum(pod, "limits"), used),
        **against("request", _sum(pod, "requests"), used),
    }


def _sum(pod: Object, kind: str) -> tuple[int, int]:
    each = [resources(spec, kind) for spec in pod["spec"]["containers"]]
    return sum(cpu for cpu, _memory in each), sum(memory for _cpu, memory in each)
