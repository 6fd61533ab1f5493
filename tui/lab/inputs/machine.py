"""What an agent sees of its machine: the pods that the kubelet runs, and their containers in the runtime."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tui.lab.client import Client

Object = dict[str, Any]


@dataclass(frozen=True)
class Running:
    """A container that runs: its id without the runtime's prefix, the pod that it belongs to, and when it started."""

    id: str
    name: str
    image: str
    pod: Object
    started_s: float


class Machine(Protocol):
    """One node, as the agent on it can look at it. `seed` makes what its containers use come out alike again."""

    @property
    def seed(self) -> str: ...

    @property
    def api(self) -> Client:
        """The API server, as DataKit's service account."""
        ...

    def pods(self) -> Sequence[Object]:
        """The pods of this node, static ones included, as their kubelet reports them."""
        ...

    def containers(self) -> Sequence[Running]:
        """The containers that run on it, without the pause containers."""
        ...


def seconds(stamp: str | None, default: float = 0.0) -> float:
    """A time of the API as unix seconds."""
    return datetime.datetime.fromisoformat(stamp).timestamp() if stamp else default


def owner(pod: Object) -> tuple[str, str]:
    """The workload that a pod belongs to, as tag and value ("deployment", "reviews-v1"); empty where it has none.

    A ReplicaSet's pod belongs to the Deployment that its name without the pod-template-hash names (podutil.PodOwner).
    """
    references = pod["metadata"].get("ownerReferences") or ()
    if not references:
        return "", ""
    kind, name = references[0]["kind"], references[0]["name"]
    if kind == "ReplicaSet":
        mark = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
        return ("deployment", name.removesuffix(f"-{mark}").lower()) if mark else ("", "")
    if kind in ("DaemonSet", "StatefulSet", "Job", "CronJob"):
        return kind.lower(), name.lower()
    return "", ""
