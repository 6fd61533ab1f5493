"""Nodes: each a name, an address, a role and a folder that is its file system."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tui.i18n import _

CONTROL_PLANE = "control-plane"
WORKER = "worker"

# The tutorial's first node is 172.16.0.229; the others follow, in this network.
_FIRST = ipaddress.IPv4Address("172.16.0.229")
_MOST_NODES = 1000

KUBELET_VERSION = "v1.36.2"

# Every machine is as large as every other.
CPUS = 4
MEMORY_BYTES = 8131412 << 10


@dataclass(frozen=True)
class Node:
    """One machine. `root` is the folder that holds what the machine has at `/`."""

    name: str
    ip: str
    role: str
    root: Path

    @property
    def is_control_plane(self) -> bool:
        return self.role == CONTROL_PLANE

    def path(self, absolute: str) -> Path:
        """Where the node's file `absolute` really lies."""
        parts = PurePosixPath(absolute).parts
        if not parts or parts[0] != "/" or ".." in parts:
            raise ValueError(f"not an absolute path on a node: {absolute}")
        return self.root.joinpath(*parts[1:])


def make_nodes(folder: Path, count: int, control_planes: int = 1) -> tuple[Node, ...]:
    """`count` nodes with empty file systems below `folder`, the first `control_planes` of them control plane.

    Raises ValueError where the numbers make no cluster.
    """
    if not 1 <= control_planes <= count or count > _MOST_NODES:
        text = _("A lab has 1 to {most} nodes, the first of them control plane.")
        raise ValueError(text.format(most=_MOST_NODES))
    nodes = []
    for node in name_nodes(folder, count, control_planes):
        for directory in (
            "etc/kubernetes",
            "root",
            "sys/kernel/debug",
            "var/lib/kubelet/pods",
            "var/log",
            "var/run",
        ):
            (node.root / directory).mkdir(parents=True, exist_ok=True)
        (node.root / "etc/hostname").write_text(node.name + "\n")
        nodes.append(node)
    return tuple(nodes)


def name_nodes(folder: Path, count: int, control_planes: int) -> list[Node]:
    """Nodes with names, addresses and roles, and nothing on disk."""
    nodes, address = [], _FIRST
    for index in range(count):
        control = index < control_planes
        name = f"cp-{index + 1}" if control else f"worker-{index - control_planes + 1}"
        nodes.append(Node(name, str(address), CONTROL_PLANE if control else WORKER, folder / name))
        address += 1
        while address.packed[3] in (0, 255):
            address += 1
    return nodes


def node_object(node: Node, now: str) -> dict[str, Any]:
    """The node as its kubelet registers it. `now` is the time of its conditions (RFC 3339)."""
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
    }
    spec: dict[str, Any] = {}
    if node.is_control_plane:
        labels["node-role.kubernetes.io/control-plane"] = ""
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
        spec["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": spec,
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": node.ip},
                {"type": "Hostname", "address": node.name},
            ],
            "capacity": {
                "cpu": str(CPUS),
                "ephemeral-storage": "104857600Ki",
                "memory": f"{MEMORY_BYTES >> 10}Ki",
                "pods": "110",
            },
            "allocatable": {"cpu": str(CPUS), "ephemeral-storage": "96636764160", "memory": "8029012Ki", "pods": "110"},
            "conditions": node_conditions(now),
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.1.0",
                "kubeProxyVersion": "",
                "kubeletVersion": KUBELET_VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "DataKit Wizard practice lab",
                "systemUUID": "",
            },
        },
    }


_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node_conditions(now: str) -> list[dict[str, Any]]:
    """The conditions of a node that is well."""
    return [_condition(*each, now) for each in _CONDITIONS]


def _condition(kind: str, status: str, reason: str, message: str, now: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
