"""The Deployment controller, as a client of the API server: a ReplicaSet for each template, rolled over step by step.

Behaviour: kubernetes pkg/controller/deployment (sync.go, rolling.go, recreate.go, progress.go), 1.36.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tui.lab.client import MERGE_PATCH, ApiStatusError, Cache, Client, Object
from tui.lab.controllers import Key, WorkQueue, owner_of, owner_reference, template_hash, template_of
from tui.lab.events import Recorder, now
from tui.lab.replicasets import ReplicaSets

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_HISTORY = "deployment.kubernetes.io/revision-history"
_DESIRED = "deployment.kubernetes.io/desired-replicas"
_MOST = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, _HISTORY, _DESIRED, _MOST)


class Deployments:
    """Keeps all Deployments of the cluster as they should be. `scale` is how much faster than the clock time runs."""

    def __init__(self, client: Client, sets: ReplicaSets, scale: float) -> None:
        self._client = client
        self._scale = scale
        self._events = Recorder(client, "deployment-controller")
        self._queue = WorkQueue(self._sync)
        self._sets = sets.cache
        self._sets.listen(self._set_changed)
        self.cache = Cache(client, "/apis/apps/v1/deployments", self._deployment_changed)
        self._progressed: dict[Key, float] = {}

    def _deployment_changed(self, kind: str, item: Object) -> None:
        self._queue.mark(Cache.key(item))

    def _set_changed(self, kind: str, item: Object) -> None:
        owner = owner_of(item, "Deployment")
        if owner is not None:
            self._queue.mark((item["metadata"]["namespace"], owner["name"]))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cache.run())
            await self.cache.synced.wait()
            await self._sets.synced.wait()
            group.create_task(self._queue.run())

    async def _sync(self, key: Key) -> None:
        item = self.cache.objects.get(key)
        if item is None:
            await self._collect_orphans(key)
            return
        if item["metadata"].get("deletionTimestamp"):
            return
        item = {"apiVersion": "apps/v1", "kind": "Deployment", **item}
        old = self._sets_of(item)
        new = _find_new(item, old)
        if not item["spec"].get("paused"):
            new = await self._roll(item, new, [each for each in old if each is not new])
        elif new is not None:
            await self._scale_to(item, new, int(item["spec"]["replicas"]))
        sets = self._sets_of(item)
        await self._report(item, _find_new(item, sets), sets)

    def _sets_of(self, item: Object) -> list[Object]:
        """The Deployment's ReplicaSets, oldest first."""
        uid, namespace = item["metadata"]["uid"], item["metadata"]["namespace"]
        found = [
            each
            for (space, _), each in self._sets.objects.items()
            if space == namespace and any(o["uid"] == uid for o in each["metadata"].get("ownerReferences") or ())
        ]
        return sorted(found, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))

    async def _collect_orphans(self, key: Key) -> None:
        """Take away the ReplicaSets of a Deployment that is gone (the garbage collector's work)."""
        for (namespace, name), each in list(self._sets.objects.items()):
            owner = owner_of(each, "Deployment")
            if owner and (namespace, owner["name"]) == key:
                try:
                    await self._client.send("DELETE", _path("replicasets", namespace, name))
                except ApiStatusError as error:
                    if error.code != 404:
                        raise

    # The ReplicaSets

    async def _roll(self, item: Object, new: Object | None, old: list[Object]) -> Object | None:
        """One step of a rollout; the changes that it makes bring the next."""
        recreate = item["spec"]["strategy"].get("type") == "Recreate"
        if recreate:
            for each in old:
                await self._scale_to(item, each, 0)
            if any(each.get("status", {}).get("replicas") for each in old) or any(
                each.get("status", {}).get("terminatingReplicas") for each in old
            ):
                return new
        new = await self._current_set(item, new, old)
        wanted = int(item["spec"]["replicas"])
        new = await self._scale_to(item, new, wanted if recreate else _new_replicas(item, new, old))
        if not recreate:
            await self._scale_down_old(item, new, old)
        await self._prune(item, new, old)
        return new

    async def _current_set(self, item: Object, new: Object | None, old: list[Object]) -> Object:
        """The ReplicaSet of the current template, made where there is none, with the highest revision."""
        revision = max((_revision(each) for each in old), default=0) + 1
        metadata = item["metadata"]
        if new is not None:
            if _revision(new) < revision:
                notes = new["metadata"].get("annotations") or {}
                past = [each for each in (notes.get(_HISTORY, ""), notes.get(REVISION, "")) if each]
                changed = {REVISION: str(revision), _HISTORY: ",".join(past)}
                new = await self._patch_set(new, {"metadata": {"annotations": changed}})
            revision = _revision(new)
        else:
            new = await self._create_set(item, old, revision)
        if (metadata.get("annotations") or {}).get(REVISION) != str(revision):
            body = {"metadata": {"annotations": {REVISION: str(revision)}}}
            path = _path("deployments", metadata["namespace"], metadata["name"])
            stored = await self._client.send("PATCH", path, body, content_type=MERGE_PATCH)
            self.cache.store(stored)
            item["metadata"] = stored["metadata"]
        return new

    async def _create_set(self, item: Object, old: list[Object], revision: int) -> Object:
        metadata, spec = item["metadata"], item["spec"]
        template = json.loads(json.dumps(template_of(item)))
        collisions = item.get("status", {}).get("collisionCount", 0)
        digest = template_hash(json.dumps(template, sort_keys=True) + (str(collisions) if collisions else ""))
        labels = {**(template["metadata"].get("labels") or {}), HASH_LABEL: digest}
        template["metadata"]["labels"] = labels
        selector = {**spec["selector"], "matchLabels": {**spec["selector"].get("matchLabels", {}), HASH_LABEL: digest}}
        copied = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _NOT_COPIED}
        wanted = int(spec["replicas"])
        body: Object = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {**copied, REVISION: str(revision), **_sizes(item)},
                "ownerReferences": [owner_reference("Deployment", item)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        if least := spec.get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = least
        recreate = spec["strategy"].get("type") == "Recreate"
        body["spec"]["replicas"] = wanted if recreate else _new_replicas(item, body, old)
        made = await self._client.send("POST", _path("replicasets", metadata["namespace"]), body)
        self._sets.store(made)
        self._progressed[Cache.key(item)] = time.monotonic()
        await self._tell_scaled(item, made, 0, int(made["spec"].get("replicas", 0)))
        return made

    async def _patch_set(self, each: Object, body: Object) -> Object:
        metadata = each["metadata"]
        path = _path("replicasets", metadata["namespace"], metadata["name"])
        changed = await self._client.send("PATCH", path, body, content_type=MERGE_PATCH)
        self._sets.store(changed)
        return changed

    async def _scale_to(self, item: Object, each: Object, count: int) -> Object:
        """Give a ReplicaSet this size; returns it as it is then."""
        before = int(each["spec"].get("replicas", 0))
        notes = each["metadata"].get("annotations") or {}
        sizes = {key: value for key, value in _sizes(item).items() if notes.get(key) != value}
        if before == count and (not sizes or not count):
            return each
        body: Object = {"spec": {"replicas": count}}
        if sizes:
            body["metadata"] = {"annotations": sizes}
        changed = await self._patch_set(each, body)
        if before != count:
            await self._tell_scaled(item, changed, before, count)
        return changed

    async def _tell_scaled(self, item: Object, each: Object, before: int, after: int) -> None:
        if before != after:
            way, name = "up" if after > before else "down", each["metadata"]["name"]
            message = f"Scaled {way} replica set {name} from {before} to {after}"
            await self._events.record(item, "Normal", "ScalingReplicaSet", message)

    async def _scale_down_old(self, item: Object, new: Object, old: list[Object]) -> None:
        """Take old pods away: those that are not available first, then as many as maxUnavailable leaves room for."""
        running = [each for each in old if each["spec"].get("replicas", 0)]
        if not running:
            return
        wanted = int(item["spec"]["replicas"])
        least = wanted - _room(item)[1]
        total = sum(int(each["spec"].get("replicas", 0)) for each in [*running, new])
        waiting = int(new["spec"].get("replicas", 0)) - _count(new, "availableReplicas")
        most = total - least - waiting
        sizes = {each["metadata"]["name"]: int(each["spec"]["replicas"]) for each in running}
        removed = 0
        for each in running:
            name = each["metadata"]["name"]
            sick = max(0, sizes[name] - _count(each, "availableReplicas"))
            take = max(0, min(sick, most - removed))
            sizes[name] -= take
            removed += take
        available = sum(_count(each, "availableReplicas") for each in [*running, new])
        # The statuses may lag behind the sizes; together the two counts never let too many go.
        room = min(available - least, most - removed)
        for each in running:
            name = each["metadata"]["name"]
            take = max(0, min(sizes[name], room))
            sizes[name] -= take
            room -= take
        for each in running:
            await self._scale_to(item, each, sizes[each["metadata"]["name"]])

    async def _prune(self, item: Object, new: Object, old: list[Object]) -> None:
        """Keep as many old ReplicaSets as revisionHistoryLimit says, once the rollout is complete."""
        if not _complete(item, new, [new, *old]):
            return
        limit = int(item["spec"].get("revisionHistoryLimit", 10))
        empty = [each for each in old if not each["spec"].get("replicas") and not _count(each, "replicas")]
        for each in sorted(empty, key=_revision)[: max(0, len(empty) - limit)]:
            metadata = each["metadata"]
            await self._client.send("DELETE", _path("replicasets", metadata["namespace"], metadata["name"]))

    # The status

    async def _report(self, item: Object, new: Object | None, sets: list[Object]) -> None:
        before = item.get("status", {})
        total, available = _sum(sets, "replicas"), _sum(sets, "availableReplicas")
        unavailable = max(0, sum(int(each["spec"].get("replicas", 0)) for each in sets) - available)
        status: Object = {
            "observedGeneration": item["metadata"].get("generation", 1),
            "replicas": total,
            "updatedReplicas": _count(new, "replicas") if new else 0,
            "readyReplicas": _sum(sets, "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": unavailable,
            "terminatingReplicas": _sum(sets, "terminatingReplicas"),
        }
        for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"):
            if not status[name]:
                del status[name]
        if "collisionCount" in before:
            status["collisionCount"] = before["collisionCount"]
        status["conditions"] = self._conditions(item, new, sets, status)
        if status == before:
            return
        metadata = item["metadata"]
        path = _path("deployments", metadata["namespace"], metadata["name"]) + "/status"
        try:
            self.cache.store(await self._client.send("PUT", path, {**item, "status": status}))
        except ApiStatusError as error:
            if error.code not in (404, 409):
                raise
            # A 409 means that a newer object is on its way through the watch, which marks the Deployment again.

    def _conditions(self, item: Object, new: Object | None, sets: list[Object], status: Object) -> list[Object]:
        known = {each["type"]: each for each in item.get("status", {}).get("conditions") or ()}
        least = int(item["spec"]["replicas"]) - _room(item)[1]
        if status.get("availableReplicas", 0) >= least:
            told = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        else:
            told = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        known["Available"] = _condition("Available", *told, known.get("Available"))
        progress = self._progress(item, new, sets, status, known.get("Progressing", {}))
        if progress is not None:
            known["Progressing"] = _condition("Progressing", *progress, known.get("Progressing"))
        return sorted(known.values(), key=lambda each: str(each["type"]))

    def _progress(
        self, item: Object, new: Object | None, sets: list[Object], status: Object, known: Object
    ) -> tuple[str, str, str] | None:
        """The condition Progressing as (status, reason, message); None keeps it as it is."""
        key, reason = Cache.key(item), known.get("reason", "")
        if item["spec"].get("paused"):
            return None if reason == "DeploymentPaused" else ("Unknown", "DeploymentPaused", "Deployment is paused")
        if new is None:
            return None
        name = new["metadata"]["name"]
        if _complete(item, new, sets):
            self._progressed.pop(key, None)
            text = f'ReplicaSet "{name}" has successfully progressed.'
            return "True", "NewReplicaSetAvailable", text
        before = item.get("status", {})
        moved = any(
            status.get(each, 0) != before.get(each, 0) for each in ("updatedReplicas", "readyReplicas", "replicas")
        )
        if moved or key not in self._progressed or reason in ("", "NewReplicaSetAvailable", "DeploymentPaused"):
            self._progressed[key] = time.monotonic()
            if reason == "DeploymentPaused":
                return "Unknown", "DeploymentResumed", "Deployment is resumed"
            if not before.get("replicas"):
                return "True", "NewReplicaSetCreated", f'Created new replica set "{name}"'
            return "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
        deadline = float(item["spec"].get("progressDeadlineSeconds", 600)) / self._scale
        rest = deadline - (time.monotonic() - self._progressed[key])
        if rest > 0:
            self._queue.mark_after(rest + 0.01, key)
            return None
        return "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.'


def _path(plural: str, namespace: str, name: str = "") -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def _find_new(item: Object, sets: list[Object]) -> Object | None:
    """The oldest ReplicaSet whose template is the Deployment's but for the hash."""
    wanted = json.dumps(template_of(item), sort_keys=True)
    for each in sets:
        template = json.loads(json.dumps(template_of(each)))
        (template["metadata"].get("labels") or {}).pop(HASH_LABEL, None)
        if json.dumps(template, sort_keys=True) == wanted:
            return each
    return None


def _revision(each: Object) -> int:
    text = (each["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _count(each: Object, name: str) -> int:
    return int(each.get("status", {}).get(name, 0))


def _sum(sets: list[Object], name: str) -> int:
    return sum(_count(each, name) for each in sets)


def _room(item: Object) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down) as numbers; not both are 0 (ResolveFenceposts)."""
    strategy, wanted = item["spec"]["strategy"], int(item["spec"]["replicas"])
    if strategy.get("type") == "Recreate":
        return 0, wanted
    rolling = strategy.get("rollingUpdate") or {}
    surge, unavailable = rolling.get("maxSurge", "25%"), rolling.get("maxUnavailable", "25%")
    up = -(-wanted * _percent(surge) // 100) if isinstance(surge, str) else int(surge)
    down = wanted * _percent(unavailable) // 100 if isinstance(unavailable, str) else int(unavailable)
    if not up and not down:
        down = 1
    return up, min(down, wanted)


def _percent(text: str) -> int:
    return int(text.rstrip("%"))


def _sizes(item: Object) -> dict[str, str]:
    wanted = int(item["spec"]["replicas"])
    return {_DESIRED: str(wanted), _MOST: str(wanted + _room(item)[0])}


def _new_replicas(item: Object, new: Object, old: list[Object]) -> int:
    """How many pods the new ReplicaSet may have now (NewRSNewReplicas)."""
    wanted, now_there = int(item["spec"]["replicas"]), int(new["spec"].get("replicas", 0))
    if now_there >= wanted:
        return wanted
    total = now_there + sum(int(each["spec"].get("replicas", 0)) for each in old)
    most = wanted + _room(item)[0]
    return now_there if total >= most else now_there + min(most - total, wanted - now_there)


def _complete(item: Object, new: Object, sets: list[Object]) -> bool:
    """Whether only the new ReplicaSet has pods, all of them available."""
    wanted = int(item["spec"]["replicas"])
    return _count(new, "replicas") == wanted == _sum(sets, "replicas") == _sum(sets, "availableReplicas") and _count(
        new, "observedGeneration"
    ) >= new["metadata"].get("generation", 1)


def _condition(kind: str, status: str, reason: str, message: str, known: Object | None) -> Object:
    before: dict[str, Any] = known or {}
    stamp = now()
    if before.get("status") == status and before.get("reason") == reason and before.get("message") == message:
        return before
    moved = before.get("lastTransitionTime", stamp) if before.get("status") == status else stamp
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": stamp,
        "lastTransitionTime": moved,
        "reason": reason,
        "message": message,
    }
