"""What the runtime's containers report: measurement `docker_containers`, as metrics and as objects.

Fields and tags are those of inputs/container/container_gather.go. On containerd there is no block traffic, and what is
called request there is the limit: DataKit 1.84.1 takes both from the pod's limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tui.core.prom.collector import Point
from tui.lab.inputs.machine import Running, owner
from tui.lab.inputs.usage import Load, Usage, container_spec, resources
from tui.lab.nodes import CPUS, MEMORY_BYTES

MEASUREMENT = "docker_containers"
_RUNTIME, _VERSION = "containerd", "v2.1.4"

Tags = Mapping[str, str]
Fields = dict[str, float | int | str]


def metrics(load: Load, containers: Sequence[Running], tags: Tags, now: float) -> list[Point]:
    """A point for each container, and how many there are in each namespace (`kubernetes.container`)."""
    points = [Point(MEASUREMENT, {**tags, **_tags(running)}, _fields(load, running, now)) for running in containers]
    counts = Counter(running.pod["metadata"]["namespace"] for running in containers)
    node = {"node_name": load.node.name}
    points += [Point("kubernetes", {"namespace": space, **node}, {"container": n}) for space, n in counts.items()]
    return points


def objects(load: Load, containers: Sequence[Running], tags: Tags, now: float) -> list[Point]:
    """The state of each container; it is known by its id."""
    return [
        Point(
            MEASUREMENT,
            {**tags, **_tags(running), **_workload(running), "name": running.id},
            {"age": int(now - running.started_s), **_fields(load, running, now)},
            category="object",
        )
        for running in containers
    ]


def _tags(running: Running) -> dict[str, str]:
    metadata = running.pod["metadata"]
    kind, name = owner(running.pod)
    return {
        "container_id": running.id,
        "container_name": running.name,
        "container_runtime": _RUNTIME,
        "container_runtime_name": running.name,
        "container_runtime_version": _VERSION,
        "container_type": "kubernetes",
        "image": running.image,
        "namespace": metadata["namespace"],
        "pod_name": metadata["name"],
        "pod_uid": metadata["uid"],
        "state": "Running",
        **({kind: name} if kind else {}),
    }


def _workload(running: Running) -> dict[str, str]:
    name = owner(running.pod)[1]
    return {"workload_name": name} if name else {}


def _fields(load: Load, running: Running, now: float) -> Fields:
    used = load.container(running, now)
    received, sent = load.network(running.pod, running.started_s, now)
    fields: Fields = {
        "cpu_usage": used.millicores / 10,
        "cpu_usage_millicores": used.millicores,
        "cpu_numbers": CPUS,
        "cpu_usage_base100": used.millicores / 10 / CPUS,
        "mem_usage": used.memory,
        "mem_capacity": MEMORY_BYTES,
        "mem_used_percent": used.memory / MEMORY_BYTES * 100,
        "network_bytes_rcvd": received,
        "network_bytes_sent": sent,
    }
    limits = resources(container_spec(running.pod, running.name), "limits")
    return fields | against("limit", limits, used) | against("request", limits, used)


def against(kind: str, allowed: tuple[int, int], used: Usage) -> Fields:
    """A limit or a request (millicores and bytes), and what is used of it in percent; nothing where none is set."""
    millicores, memory = allowed
    fields: Fields = {}
    if millicores:
        fields[f"cpu_{kind}_millicores"] = millicores
        fields[f"cpu_usage_base_{kind}"] = used.millicores / millicores * 100
    if memory:
        fields[f"mem_{kind}"] = memory
        fields[f"mem_used_percent_base_{kind}"] = used.memory / memory * 100
    return fields
