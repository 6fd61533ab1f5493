"""A machine with a few pods, for the inputs' own tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui.lab.inputs.machine import Running
from tui.lab.nodes import Node

NOW = 1_760_000_000.0
NODE = Node("worker-1", "172.16.0.230", "worker", Path("/nonexistent"))


def pod(name: str, containers: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A pod of a Deployment on NODE, each of its containers running for an hour."""
    statuses = [{"name": each["name"], "state": {"running": {}}, "restartCount": 2} for each in containers]
    found: dict[str, Any] = {
        "metadata": {
            "name": name,
            "namespace": "prod",
            "uid": f"uid-{name}",
            "creationTimestamp": "2025-10-09T07:53:20Z",
            "labels": {"pod-template-hash": "6f5b8c9d7"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "reviews-6f5b8c9d7"}],
        },
        "spec": {"nodeName": NODE.name, "containers": containers},
        "status": {"phase": "Running", "podIP": "10.244.1.7", "qosClass": "Burstable", "containerStatuses": statuses},
    }
    for path, value in changes.items():
        found["spec" if path in ("hostNetwork", "volumes") else "status"][path] = value
    return found


def limited(name: str, cpu: str, memory: str) -> dict[str, Any]:
    """A container that may use this much, and asks for half of it."""
    return {"name": name, "image": f"{name}:1", "resources": {"limits": {"cpu": cpu, "memory": memory}}}


def running(item: dict[str, Any]) -> list[Running]:
    """The containers of a pod in the runtime."""
    return [Running(f"id-{each['name']}", each["name"], "i:1", item, NOW - 3600) for each in item["spec"]["containers"]]


@dataclass
class Stub:
    """What an agent sees; `api` is not asked."""

    items: list[dict[str, Any]] = field(default_factory=list)
    seed: str = "s"
    api: Any = None

    def pods(self) -> list[dict[str, Any]]:
        return self.items

    def containers(self) -> list[Running]:
        return [each for item in self.items for each in running(item)]
