"""The disruption controller, as a client of the API server: how many pods each disruption budget would let go.

Behaviour: kubernetes pkg/controller/disruption/disruption.go, 1.36.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tui.lab.client import ApiStatusError, Cache, Client, Object
from tui.lab.controllers import Key, WorkQueue, ready_since
from tui.lab.events import now


class DisruptionBudgets:
    """Keeps the status of all budgets; `pods` and `sets` (ReplicaSets) are shared with other controllers."""

    def __init__(self, client: Client, pods: Cache, sets: Cache) -> None:
        self._client = client
        self._queue = WorkQueue(self._sync)
        self._budgets = Cache(client, "/apis/policy/v1/poddisruptionbudgets", self._budget_changed)
        self._pods = pods
        self._sets = sets
        pods.listen(self._pod_changed)

    def _budget_changed(self, kind: str, item: Object) -> None:
        self._queue.mark(Cache.key(item))

    def _pod_changed(self, kind: str, item: Object) -> None:
        for key, budget in self._budgets.objects.items():
            if key[0] == item["metadata"]["namespace"] and _selects(budget, item):
                self._queue.mark(key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._budgets.run())
            for cache in (self._budgets, self._pods, self._sets):
                await cache.synced.wait()
            group.create_task(self._queue.run())

    async def _sync(self, key: Key) -> None:
        item = self._budgets.objects.get(key)
        if item is None:
            return
        pods = [pod for (space, _), pod in self._pods.objects.items() if space == key[0] and _selects(item, pod)]
        healthy = sum(ready_since(pod) is not None and not pod["metadata"].get("deletionTimestamp") for pod in pods)
        expected = self._expected(key[0], pods)
        spec = item["spec"]
        if "maxUnavailable" in spec:
            desired = max(0, expected - _number(spec["maxUnavailable"], expected))
        else:
            desired = _number(spec.get("minAvailable", 1), expected)
        allowed = max(0, healthy - desired) if expected else 0
        generation = item["metadata"].get("generation", 1)
        before = {each["type"]: each for each in item["status"].get("conditions") or ()}.get("DisruptionAllowed", {})
        condition: Object = {
            "type": "DisruptionAllowed",
            "status": "True" if allowed else "False",
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
            "observedGeneration": generation,
        }
        same = before.get("status") == condition["status"]
        condition["lastTransitionTime"] = before["lastTransitionTime"] if same else now()
        status: Object = {
            "conditions": [condition],
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "observedGeneration": generation,
        }
        if status == item["status"]:
            return
        path = f"/apis/policy/v1/namespaces/{key[0]}/poddisruptionbudgets/{key[1]}/status"
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", **item, "status": status}
        try:
            self._budgets.store(await self._client.send("PUT", path, body))
        except ApiStatusError as error:
            if error.code not in (404, 409):
                raise

    def _expected(self, namespace: str, pods: Iterable[Object]) -> int:
        """How many pods their ReplicaSets want."""
        names = {
            owner["name"]
            for pod in pods
            for owner in pod["metadata"].get("ownerReferences") or ()
            if owner["kind"] == "ReplicaSet"
        }
        found = [self._sets.objects.get((namespace, name)) for name in names]
        return sum(int(each["spec"].get("replicas", 0)) for each in found if each is not None)


def _selects(budget: Object, pod: Object) -> bool:
    wanted = ((budget["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    return wanted <= (pod["metadata"].get("labels") or {}).items()


def _number(value: int | str, total: int) -> int:
    """A number, or that share of `total`, rounded up."""
    return -(-total * int(value.rstrip("%")) // 100) if isinstance(value, str) else value
