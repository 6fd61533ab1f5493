"""The DaemonSet controller, as a client of the API server: one pod a node, rolled by ControllerRevisions.

Behaviour recorded from kube-controller-manager 1.36: the status follows each step with observedGeneration,
zero counts are absent, a rollout takes at most maxUnavailable pods down and stops silently where a new one
does not get ready, going back to an earlier template reuses its revision.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json

import aiohttp

from tui.lab.client import MERGE_PATCH, ApiStatusError, Cache, Client, Object
from tui.lab.controllers import owner_reference, ready_since, template_hash, template_of, tolerates
from tui.lab.events import Recorder

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"

_RETRY_S = 0.5
_GATHER_S = 0.001  # for each pod

# What the controller adds to the tolerations of a DaemonSet's pods (daemon/util/daemonset_util.go).
_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSets:
    """Keeps all DaemonSets of the cluster as they should be; the caches of pods and nodes are shared with others."""

    def __init__(self, client: Client, pods: Cache, nodes: Cache) -> None:
        self._client = client
        self._events = Recorder(client, "daemonset-controller")
        self._scheduler = Recorder(client, "default-scheduler")
        self._dirty: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        self._sets = Cache(client, "/apis/apps/v1/daemonsets", self._set_changed)
        self._pods = pods
        self._nodes = nodes
        pods.listen(self._pod_changed)
        nodes.listen(self._node_changed)
        self._revisions = Cache(client, "/apis/apps/v1/controllerrevisions", lambda kind, item: None)

    def _set_changed(self, kind: str, item: Object) -> None:
        self._mark(Cache.key(item))

    def _pod_changed(self, kind: str, item: Object) -> None:
        for owner in item["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "DaemonSet":
                self._mark((item["metadata"]["namespace"], owner["name"]))

    def _node_changed(self, kind: str, item: Object) -> None:
        for key in self._sets.objects:
            self._mark(key)

    def _mark(self, key: tuple[str, str]) -> None:
        self._dirty.add(key)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        own = (self._sets, self._revisions)
        async with asyncio.TaskGroup() as group:
            for cache in own:
                group.create_task(cache.run())
            for cache in (*own, self._pods, self._nodes):
                await cache.synced.wait()
            group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            keys, self._dirty = self._dirty, set()
            for key in sorted(keys):
                item = self._sets.objects.get(key)
                if item is not None and item["metadata"].get("deletionTimestamp"):
                    continue
                try:
                    await (self._collect_orphans() if item is None else self._sync(item))
                except (ApiStatusError, aiohttp.ClientError, OSError):
                    asyncio.get_running_loop().call_later(_RETRY_S, self._mark, key)
            # Each look goes over all pods: with many of them news is gathered for a moment.
            await asyncio.sleep(len(self._pods.objects) * _GATHER_S)

    async def _collect_orphans(self) -> None:
        """Take away the pods and revisions of DaemonSets that are gone (the garbage collector's work)."""
        alive = {item["metadata"]["uid"] for item in self._sets.objects.values()}
        revisions = "/apis/apps/v1/namespaces/{}/controllerrevisions/{}"
        for path, cache in (("/api/v1/namespaces/{}/pods/{}", self._pods), (revisions, self._revisions)):
            for item in list(cache.objects.values()):
                metadata = item["metadata"]
                owners = [o for o in metadata.get("ownerReferences") or () if o["kind"] == "DaemonSet"]
                if owners and not metadata.get("deletionTimestamp") and owners[0]["uid"] not in alive:
                    await self._client.send("DELETE", path.format(metadata["namespace"], metadata["name"]))

    async def _sync(self, item: Object) -> None:
        item = {"apiVersion": "apps/v1", "kind": "DaemonSet", **item}
        revision = await self._revision(item)
        wanted = {name for name, node in self._node_items() if _runs_on(item, node)}
        pods = self._pods_of(item)
        await self._manage(item, revision, wanted, pods)
        pods = self._pods_of(item)
        strategy = item["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") == "RollingUpdate":
            await self._roll(item, revision, wanted, pods)
        await self._report(item, revision, wanted, pods)

    def _node_items(self) -> list[tuple[str, Object]]:
        return sorted((name, node) for (_, name), node in self._nodes.objects.items())

    def _pods_of(self, item: Object) -> dict[str, list[Object]]:
        """The DaemonSet's pods by node, newest last."""
        found: dict[str, list[Object]] = {}
        uid = item["metadata"]["uid"]
        for pod in self._pods.objects.values():
            owners = pod["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == uid for owner in owners):
                found.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
        for pods in found.values():
            pods.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        return found

    # Revisions

    async def _revision(self, item: Object) -> str:
        """The hash of the current template's ControllerRevision, made or moved to the front where needed."""
        metadata = item["metadata"]
        # Sorted, as Go writes maps: a real API server takes a revision's data by its bytes, and lets none change.
        text = json.dumps({"spec": {"template": {"$patch": "replace", **template_of(item)}}}, sort_keys=True)
        data = json.loads(text)
        own = [
            each
            for each in self._revisions.objects.values()
            if any(owner["uid"] == metadata["uid"] for owner in each["metadata"].get("ownerReferences") or ())
        ]
        newest = max((each["revision"] for each in own), default=0)
        for each in own:
            if json.dumps(each["data"], sort_keys=True) == text:
                if each["revision"] < newest:
                    path = self._revision_path(metadata["namespace"], each["metadata"]["name"])
                    body = {"revision": newest + 1}
                    self._revisions.store(await self._client.send("PATCH", path, body, content_type=MERGE_PATCH))
                return str(each["metadata"]["labels"][HASH_LABEL])
        digest = template_hash(text)
        generation = (metadata.get("annotations") or {}).get(GENERATION_ANNOTATION, "1")
        body = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": {**(item["spec"]["template"]["metadata"].get("labels") or {}), HASH_LABEL: digest},
                "annotations": {GENERATION_ANNOTATION: generation},
                "ownerReferences": [owner_reference("DaemonSet", item)],
            },
            "data": data,
            "revision": newest + 1,
        }
        made = await self._client.send("POST", self._revision_path(metadata["namespace"]), body)
        self._revisions.store(made)
        await self._prune(item, own)
        return digest

    @staticmethod
    def _revision_path(namespace: str, name: str = "") -> str:
        return f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions" + (f"/{name}" if name else "")

    async def _prune(self, item: Object, own: list[Object]) -> None:
        """Keep as many old revisions as revisionHistoryLimit says, and those that pods still run."""
        limit = item["spec"].get("revisionHistoryLimit", 10)
        live = {p["metadata"]["labels"].get(HASH_LABEL) for pods in self._pods_of(item).values() for p in pods}
        old = sorted(own, key=lambda each: int(each["revision"]))
        unused = [each for each in old if each["metadata"]["labels"][HASH_LABEL] not in live]
        for each in unused[: max(0, len(old) - limit)]:
            path = self._revision_path(each["metadata"]["namespace"], each["metadata"]["name"])
            await self._client.send("DELETE", path)

    # Pods

    async def _manage(self, item: Object, revision: str, wanted: set[str], pods: dict[str, list[Object]]) -> None:
        """A pod on each wanted node, none elsewhere, failed ones replaced, one of several kept."""
        for node in sorted(wanted | set(pods)):
            here = [pod for pod in pods.get(node, []) if not pod["metadata"].get("deletionTimestamp")]
            failed = [pod for pod in here if pod.get("status", {}).get("phase") in ("Failed", "Succeeded")]
            kept = [pod for pod in here if pod not in failed]
            for pod in failed + (kept if node not in wanted else kept[1:]):
                await self._delete(item, pod)
            if node in wanted and not pods.get(node):
                await self._create(item, revision, node)

    async def _create(self, item: Object, revision: str, node: str) -> None:
        metadata = item["metadata"]
        template = json.loads(json.dumps(template_of(item)))
        generation = (metadata.get("annotations") or {}).get(GENERATION_ANNOTATION, "1")
        labels = {**(template.get("metadata", {}).get("labels") or {})}
        labels |= {HASH_LABEL: revision, GENERATION_LABEL: generation}
        spec = template["spec"]
        terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
        affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
        tolerations = [*(spec.get("tolerations") or [])]
        extra = [*_TOLERATIONS]
        if spec.get("hostNetwork"):
            extra.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
        tolerations += [{"key": key, "operator": "Exists", "effect": effect} for key, effect in extra]
        spec["tolerations"] = tolerations
        spec["nodeName"] = node  # there is no scheduler: the controller does its work too
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "namespace": metadata["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference("DaemonSet", item)],
            },
            "spec": spec,
        }
        if annotations := template.get("metadata", {}).get("annotations"):
            pod["metadata"]["annotations"] = annotations
        made = await self._client.send("POST", f"/api/v1/namespaces/{metadata['namespace']}/pods", pod)
        self._pods.store(made)
        name = made["metadata"]["name"]
        await self._events.record(item, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        message = f"Successfully assigned {metadata['namespace']}/{name} to {node}"
        await self._scheduler.record({"apiVersion": "v1", "kind": "Pod", **made}, "Normal", "Scheduled", message)

    async def _delete(self, item: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with contextlib.suppress(ApiStatusError):  # gone already, or another one of the same name
            await self._client.send("DELETE", path, {"preconditions": {"uid": metadata["uid"]}})
        metadata.setdefault("deletionTimestamp", datetime.datetime.now(datetime.UTC).isoformat())
        message = f"Deleted pod: {metadata['name']}"
        await self._events.record(item, "Normal", "SuccessfulDelete", message)

    async def _roll(self, item: Object, revision: str, wanted: set[str], pods: dict[str, list[Object]]) -> None:
        """Take old pods away, not more than maxUnavailable at a time (daemon/update.go, rollingUpdate)."""
        limit = _max_unavailable(item, len(wanted))
        unavailable = 0
        candidates: list[Object] = []
        replaceable: list[Object] = []
        for node in sorted(wanted):
            here = pods.get(node, [])
            new = [pod for pod in here if pod["metadata"]["labels"].get(HASH_LABEL) == revision]
            old = [pod for pod in here if pod not in new]
            leaving = any(pod["metadata"].get("deletionTimestamp") for pod in here)
            if not here or leaving:
                unavailable += 1
            elif new:
                unavailable += not self._available(item, new[-1])
            elif not self._available(item, old[-1]):
                unavailable += 1
                replaceable.append(old[-1])
            else:
                candidates.append(old[-1])
        room = max(0, limit - unavailable)
        for pod in [*replaceable, *candidates[:room]]:
            await self._delete(item, pod)

    def _available(self, item: Object, pod: Object) -> bool:
        """Ready for minReadySeconds."""
        if pod["metadata"].get("deletionTimestamp"):
            return False
        since = ready_since(pod)
        if since is None:
            return False
        least = float(item["spec"].get("minReadySeconds", 0))
        rest = least - (datetime.datetime.now(datetime.UTC) - since).total_seconds() if least else 0.0
        if rest > 0:
            key = Cache.key(item)
            asyncio.get_running_loop().call_later(rest, self._mark, key)
        return rest <= 0

    async def _report(self, item: Object, revision: str, wanted: set[str], pods: dict[str, list[Object]]) -> None:
        counts = dict.fromkeys(("current", "misscheduled", "ready", "available", "updated"), 0)
        for node, all_here in pods.items():
            here = [pod for pod in all_here if not pod["metadata"].get("deletionTimestamp")]
            if not all_here:
                continue
            if node not in wanted:
                counts["misscheduled"] += 1
                continue
            counts["current"] += 1
            pod = (here or all_here)[-1]
            counts["ready"] += bool(here) and ready_since(pod) is not None
            counts["available"] += bool(here) and self._available(item, pod)
            counts["updated"] += pod["metadata"]["labels"].get(HASH_LABEL) == revision
        status: Object = {
            "currentNumberScheduled": counts["current"],
            "numberMisscheduled": counts["misscheduled"],
            "desiredNumberScheduled": len(wanted),
            "numberReady": counts["ready"],
            "observedGeneration": item["metadata"].get("generation", 1),
            "updatedNumberScheduled": counts["updated"],
            "numberAvailable": counts["available"],
            "numberUnavailable": len(wanted) - counts["available"],
        }
        for name in ("updatedNumberScheduled", "numberAvailable", "numberUnavailable"):
            if not status[name]:
                del status[name]
        if status == item.get("status"):
            return
        metadata = item["metadata"]
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/daemonsets/{metadata['name']}/status"
        body = {**item, "status": status}
        try:
            self._sets.store(await self._client.send("PUT", path, body))
        except ApiStatusError as error:
            if error.code not in (404, 409):
                raise
            # A 409 means that a newer object is on its way through the watch, which marks the set again.


def _max_unavailable(item: Object, desired: int) -> int:
    rolling = (item["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    value = rolling.get("maxUnavailable", 1)
    if isinstance(value, str) and value.endswith("%"):
        return max(1, -(-desired * int(value[:-1]) // 100))
    return max(1, int(value))


def _runs_on(item: Object, node: Object) -> bool:
    """Whether the DaemonSet wants a pod on this node: its nodeSelector fits, and taints are tolerated."""
    spec = item["spec"]["template"]["spec"]
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    tolerations = [*(spec.get("tolerations") or [])]
    tolerations += [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATIONS]
    taints = node["spec"].get("taints") or []
    return all(
        taint["effect"] == "PreferNoSchedule" or any(tolerates(each, taint) for each in tolerations) for taint in taints
    )
