"""The scheduler, as a client of the API server: pods without a node get one.

Of the real one's rules it knows node selectors, taints, cordons and readiness; it spreads the pods of one owner first,
then all.
"""

from __future__ import annotations

from collections import Counter

from tui.lab.client import Cache, Client, Object
from tui.lab.controllers import Key, WorkQueue, tolerates
from tui.lab.events import Recorder, now

_NOT_READY = "node.kubernetes.io/not-ready"


class Scheduler:
    """Binds pods to nodes; both caches are shared with other controllers."""

    def __init__(self, client: Client, pods: Cache, nodes: Cache) -> None:
        self._client = client
        self._events = Recorder(client, "default-scheduler")
        self._queue = WorkQueue(self._sync)
        self._waiting: set[Key] = set()
        self._pods = pods
        self._nodes = nodes
        pods.listen(self._pod_changed)
        nodes.listen(self._node_changed)

    def _pod_changed(self, kind: str, item: Object) -> None:
        key = Cache.key(item)
        if kind == "DELETED" or item["spec"].get("nodeName"):
            self._waiting.discard(key)
        elif item["spec"].get("schedulerName", "default-scheduler") == "default-scheduler":
            self._waiting.add(key)
            self._queue.mark(key)

    def _node_changed(self, kind: str, item: Object) -> None:
        for key in self._waiting:
            self._queue.mark(key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._pods.synced.wait()
        await self._nodes.synced.wait()
        await self._queue.run()

    async def _sync(self, key: Key) -> None:
        pod = self._pods.objects.get(key)
        if pod is None or pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
            return
        pod = {"apiVersion": "v1", "kind": "Pod", **pod}
        path = f"/api/v1/namespaces/{key[0]}/pods/{key[1]}"
        obstacles = {name: _obstacle(pod, node) for (_, name), node in self._nodes.objects.items()}
        fit = [name for name, obstacle in obstacles.items() if not obstacle]
        if not fit:
            await self._unschedulable(pod, path, Counter(obstacles.values()))
            return
        node = self._best(pod, fit)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": key[1]}, "target": target}
        await self._client.send("POST", f"{path}/binding", body)
        if (known := self._pods.objects.get(key)) is not None:  # until the watch tells; parts of it are others' too
            self._pods.objects[key] = {**known, "spec": {**known["spec"], "nodeName": node}}
        message = f"Successfully assigned {key[0]}/{key[1]} to {node}"
        await self._events.record(pod, "Normal", "Scheduled", message)

    def _best(self, pod: Object, fit: list[str]) -> str:
        """The node with the fewest pods of the same owner, then the fewest pods that stay on none by rule."""
        owners = {each["uid"] for each in pod["metadata"].get("ownerReferences") or ()}
        siblings, all_pods = Counter[str](), Counter[str]()
        for each in self._pods.objects.values():
            node = each["spec"].get("nodeName", "")
            held = each["metadata"].get("ownerReferences") or ()
            siblings[node] += any(owner["uid"] in owners for owner in held)
            all_pods[node] += any(owner["kind"] == "ReplicaSet" for owner in held)
        return min(fit, key=lambda name: (siblings[name], all_pods[name], name))

    async def _unschedulable(self, pod: Object, path: str, obstacles: Counter[str]) -> None:
        total = sum(obstacles.values())
        why = ", ".join(f"{count} {text}" for text, count in sorted(obstacles.items()))
        message = f"0/{total} nodes are available: {why}." if total else "no nodes available to schedule pods"
        await self._events.record(pod, "Warning", "FailedScheduling", message)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": now(),
        }
        known = pod.get("status", {}).get("conditions") or []
        if not any(each["type"] == "PodScheduled" and each.get("message") == message for each in known):
            await self._client.patch_status(path, {"conditions": [condition]})


def _obstacle(pod: Object, node: Object) -> str:
    """Why a pod cannot be on a node, "" where it can."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return "node(s) didn't match Pod's node affinity/selector"
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions") or ()}
    ready = conditions.get("Ready") == "True"
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] == "PreferNoSchedule" or (taint["key"] == _NOT_READY and ready):
            continue  # who takes this taint off a node that has come up is the node controller, and there is none
        if not any(tolerates(each, taint) for each in spec.get("tolerations") or ()):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return "" if ready else "node(s) were not ready"
