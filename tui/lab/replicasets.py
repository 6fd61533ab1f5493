"""The ReplicaSet controller, as a client of the API server: as many pods of a template as are wanted.

Behaviour: kubernetes pkg/controller/replicaset/replica_set.go, 1.36.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from collections.abc import Awaitable, Callable

from tui.lab.client import ApiStatusError, Cache, Client, Object
from tui.lab.controllers import Key, WorkQueue, available_in, owner_of, owner_reference, ready_since, template_of
from tui.lab.events import Recorder

# What a webhook makes of a pod that is about to be created.
Admit = Callable[[Object], Awaitable[Object]]


class ReplicaSets:
    """Keeps all ReplicaSets of the cluster as they should be. `pods` is shared with other controllers."""

    def __init__(self, client: Client, pods: Cache, admit: Admit | None = None) -> None:
        self._client = client
        self._admit = admit
        self._events = Recorder(client, "replicaset-controller")
        self._queue = WorkQueue(self._sync)
        self._pods = pods
        pods.listen(self._pod_changed)
        self.cache = Cache(client, "/apis/apps/v1/replicasets", self._set_changed)

    def _set_changed(self, kind: str, item: Object) -> None:
        self._queue.mark(Cache.key(item))

    def _pod_changed(self, kind: str, item: Object) -> None:
        owner = owner_of(item, "ReplicaSet")
        if owner is not None:
            self._queue.mark((item["metadata"]["namespace"], owner["name"]))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cache.run())
            await self.cache.synced.wait()
            await self._pods.synced.wait()
            group.create_task(self._queue.run())

    async def _sync(self, key: Key) -> None:
        item = self.cache.objects.get(key)
        if item is None:
            await self._collect_orphans(key)
            return
        pods = self._pods_of(item)
        active = [pod for pod in pods if _is_active(pod)]
        if not item["metadata"].get("deletionTimestamp"):
            missing = int(item["spec"].get("replicas", 1)) - len(active)
            if missing > 0:
                await asyncio.gather(*(self._create(item) for _ in range(missing)))
            for pod in sorted(active, key=_worth)[: max(0, -missing)]:
                await self._delete(item, pod)
        await self._report(item, self._pods_of(item))

    def _pods_of(self, item: Object) -> list[Object]:
        uid, namespace = item["metadata"]["uid"], item["metadata"]["namespace"]
        return [
            pod
            for (space, _), pod in self._pods.objects.items()
            if space == namespace and any(o["uid"] == uid for o in pod["metadata"].get("ownerReferences") or ())
        ]

    async def _collect_orphans(self, key: Key) -> None:
        """Take away the pods of a ReplicaSet that is gone (the garbage collector's work)."""
        for (namespace, name), pod in list(self._pods.objects.items()):
            owner = owner_of(pod, "ReplicaSet")
            if owner and (namespace, owner["name"]) == key and not pod["metadata"].get("deletionTimestamp"):
                with contextlib.suppress(ApiStatusError):
                    await self._client.send("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")

    async def _create(self, item: Object) -> None:
        metadata = item["metadata"]
        template = json.loads(json.dumps(template_of(item)))
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "namespace": metadata["namespace"],
                "labels": template["metadata"].get("labels") or {},
                "ownerReferences": [owner_reference("ReplicaSet", item)],
            },
            "spec": template["spec"],
        }
        if annotations := template["metadata"].get("annotations"):
            pod["metadata"]["annotations"] = annotations
        if self._admit is not None:
            pod = await self._admit(pod)
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", **item}
        try:
            made = await self._client.send("POST", f"/api/v1/namespaces/{metadata['namespace']}/pods", pod)
        except ApiStatusError as error:
            await self._events.record(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._pods.store(made)
        await self._events.record(owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    async def _delete(self, item: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with contextlib.suppress(ApiStatusError):  # gone already, or another one of the same name
            await self._client.send("DELETE", path, {"preconditions": {"uid": metadata["uid"]}})
        metadata.setdefault("deletionTimestamp", datetime.datetime.now(datetime.UTC).isoformat())
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", **item}
        await self._events.record(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}")

    async def _report(self, item: Object, pods: list[Object]) -> None:
        active = [pod for pod in pods if _is_active(pod)]
        labels = (item["spec"]["template"]["metadata"].get("labels") or {}).items()
        least = float(item["spec"].get("minReadySeconds", 0))
        waits = [wait for pod in active if (wait := available_in(pod, least)) is not None]
        if later := [wait for wait in waits if wait > 0]:
            self._queue.mark_after(min(later), Cache.key(item))
        status: Object = {
            "replicas": len(active),
            "fullyLabeledReplicas": sum(labels <= (pod["metadata"].get("labels") or {}).items() for pod in active),
            "readyReplicas": sum(ready_since(pod) is not None for pod in active),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "terminatingReplicas": len([pod for pod in pods if pod["metadata"].get("deletionTimestamp")]),
            "observedGeneration": item["metadata"].get("generation", 1),
        }
        for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
            if not status[name]:
                del status[name]
        if status == item.get("status"):
            return
        metadata = item["metadata"]
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/replicasets/{metadata['name']}/status"
        body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", **item, "status": status}
        try:
            self.cache.store(await self._client.send("PUT", path, body))
        except ApiStatusError as error:
            if error.code not in (404, 409):
                raise
            # A 409 means that a newer object is on its way through the watch, which marks the set again.


def _is_active(pod: Object) -> bool:
    phase = pod.get("status", {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in ("Failed", "Succeeded")


def _worth(pod: Object) -> tuple[bool, bool, str]:
    """The order in which pods go where there are too many: unassigned, unready, then the youngest first."""
    stamp = pod["metadata"].get("creationTimestamp", "")
    younger = "".join(chr(255 - ord(char)) for char in stamp)
    return bool(pod["spec"].get("nodeName")), ready_since(pod) is not None, younger
