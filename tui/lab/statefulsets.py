"""The StatefulSet controller, as a client of the API server: pods by number, one after the other, with their claims.

Behaviour: kubernetes pkg/controller/statefulset, 1.36. A changed template reaches pods only when they are made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from tui.lab.client import ApiStatusError, Cache, Client, Object
from tui.lab.controllers import Key, WorkQueue, owner_of, owner_reference, ready_since, template_hash, template_of
from tui.lab.events import Recorder

_CLASS = "standard"


class StatefulSets:
    """Keeps all StatefulSets of the cluster as they should be. `pods` is shared with other controllers."""

    def __init__(self, client: Client, pods: Cache) -> None:
        self._client = client
        self._events = Recorder(client, "statefulset-controller")
        self._queue = WorkQueue(self._sync)
        self._pods = pods
        pods.listen(self._pod_changed)
        self._sets = Cache(client, "/apis/apps/v1/statefulsets", self._set_changed)

    def _set_changed(self, kind: str, item: Object) -> None:
        self._queue.mark(Cache.key(item))

    def _pod_changed(self, kind: str, item: Object) -> None:
        owner = owner_of(item, "StatefulSet")
        if owner is not None:
            self._queue.mark((item["metadata"]["namespace"], owner["name"]))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sets.run())
            for cache in (self._sets, self._pods):
                await cache.synced.wait()
            group.create_task(self._queue.run())

    async def _sync(self, key: Key) -> None:
        item = self._sets.objects.get(key)
        pods = self._pods_of(key)
        wanted = 0 if item is None else int(item["spec"].get("replicas", 1))
        for number in sorted(pods, reverse=True):
            if number >= wanted and not pods[number]["metadata"].get("deletionTimestamp"):
                with contextlib.suppress(ApiStatusError):
                    await self._client.send("DELETE", f"/api/v1/namespaces/{key[0]}/pods/{key[1]}-{number}")
        if item is None:
            return
        for number in range(wanted):
            if number not in pods:
                await self._create(item, number)
                break
            if ready_since(pods[number]) is None and item["spec"]["podManagementPolicy"] == "OrderedReady":
                break
        await self._report(item, self._pods_of(key))

    def _pods_of(self, key: Key) -> dict[int, Object]:
        """Its pods by their number."""
        found = {}
        for (namespace, name), pod in self._pods.objects.items():
            owner = owner_of(pod, "StatefulSet")
            number = name.removeprefix(f"{key[1]}-")
            if owner and (namespace, owner["name"]) == key and number.isdigit():
                found[int(number)] = pod
        return found

    async def _create(self, item: Object, number: int) -> None:
        metadata, template = item["metadata"], json.loads(json.dumps(template_of(item)))
        name, space = f"{metadata['name']}-{number}", f"/api/v1/namespaces/{metadata['namespace']}"
        volumes = template["spec"].setdefault("volumes", [])
        for claim in item["spec"].get("volumeClaimTemplates") or ():
            await self._claim(space, claim, f"{claim['metadata']['name']}-{name}")
            mounted = {"claimName": f"{claim['metadata']['name']}-{name}"}
            volumes.append({"name": claim["metadata"]["name"], "persistentVolumeClaim": mounted})
        labels = {
            **(template["metadata"].get("labels") or {}),
            "apps.kubernetes.io/pod-index": str(number),
            "controller-revision-hash": self._revision(item),
            "statefulset.kubernetes.io/pod-name": name,
        }
        made: Object = {"name": name, "labels": labels, "ownerReferences": [owner_reference("StatefulSet", item)]}
        if annotations := template["metadata"].get("annotations"):
            made["annotations"] = annotations
        spec = {**template["spec"], "hostname": name, "subdomain": item["spec"]["serviceName"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}
        self._pods.store(await self._client.send("POST", f"{space}/pods", pod))
        about = {"apiVersion": "apps/v1", "kind": "StatefulSet", **item}
        text = f"create Pod {name} in StatefulSet {metadata['name']} successful"
        await self._events.record(about, "Normal", "SuccessfulCreate", text)

    async def _claim(self, space: str, template: Object, name: str) -> None:
        """Make a pod's claim and give it a volume, where it has none from before."""
        path = f"{space}/persistentvolumeclaims"
        if await self._client.find(f"{path}/{name}") is not None:
            return
        spec = {**template["spec"], "volumeName": f"pvc-{template_hash(f'{space}/{name}')}"}
        spec.setdefault("storageClassName", _CLASS)
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
        await self._client.send("POST", path, claim)
        bound = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["resources"]["requests"]}
        await self._client.patch_status(f"{path}/{name}", bound)

    def _revision(self, item: Object) -> str:
        return f"{item['metadata']['name']}-{template_hash(json.dumps(template_of(item), sort_keys=True))}"

    async def _report(self, item: Object, pods: dict[int, Object]) -> None:
        metadata, revision = item["metadata"], self._revision(item)
        there = [pod for pod in pods.values() if not pod["metadata"].get("deletionTimestamp")]
        ready = sum(ready_since(pod) is not None for pod in there)
        current = sum(pod["metadata"]["labels"].get("controller-revision-hash") == revision for pod in there)
        status = {
            "observedGeneration": metadata.get("generation", 1),
            "replicas": len(there),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": current,
            "updatedReplicas": current,
            "currentRevision": revision,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        known = item.get("status", {})
        if any(known.get(name, 0) != value for name, value in status.items()):
            path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/statefulsets/{metadata['name']}"
            self._sets.store(await self._client.patch_status(path, status))
