"""Nodes: each a name, an address, a role and a folder that is its file system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tui.i18n import _

CONTROL_PLANE = "control-plane"
WORKER = "worker"

# The tutorial's first node is 172.16.0.229; the others follow.
_NETWORK = "172.16.0."
_FIRST = 229
_LAST = 254

KUBELET_VERSION = "v1.36.2"


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
    if not 1 <= control_planes <= count or count > _LAST - _FIRST + 1:
        most = _LAST - _FIRST + 1
        raise ValueError(_("A lab has 1 to {most} nodes, the first of them control plane.").format(most=most))
    nodes = []
    for index in range(count):
        control = index < control_planes
        name = f"cp-{index + 1}" if control else f"worker-{index - control_planes + 1}"
        node = Node(name, f"{_NETWORK}{_FIRST + index}", CONTROL_PLANE if control else WORKER, folder / name)
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
            "capacity": {"cpu": "4", "memory": "8131412Ki", "pods": "110"},
            "allocatable": {"cpu": "4", "memory": "8029012Ki", "pods": "110"},
            "conditions": [_condition(*each, now) for each in _CONDITIONS],
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


def _condition(kind: str, status: str, reason: str, message: str, now: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
