"""The Job controller, as a client of the API server: pods until one has ended well, or too many have not.

Behaviour: kubernetes pkg/controller/job, 1.36, for jobs of one pod at a time. Nothing starts the jobs of CronJobs.
"""

from __future__ import annotations

import asyncio

from tui.lab.client import Cache, Client, Object
from tui.lab.controllers import Key, WorkQueue, owner_of, owner_reference, template_of
from tui.lab.events import Recorder, now

_BACKOFF_S, _MOST_BACKOFF_S = 10.0, 600.0


class Jobs:
    """Sees all Jobs of the cluster through. `pods` is shared with other controllers."""

    def __init__(self, client: Client, pods: Cache, scale: float) -> None:
        self._client = client
        self._scale = scale
        self._events = Recorder(client, "job-controller")
        self._queue = WorkQueue(self._sync)
        self._waiting: set[Key] = set()
        self._pods = pods
        pods.listen(self._pod_changed)
        self._jobs = Cache(client, "/apis/batch/v1/jobs", self._job_changed)

    def _job_changed(self, kind: str, item: Object) -> None:
        self._queue.mark(Cache.key(item))

    def _pod_changed(self, kind: str, item: Object) -> None:
        owner = owner_of(item, "Job")
        if owner is not None:
            self._queue.mark((item["metadata"]["namespace"], owner["name"]))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._jobs.run())
            for cache in (self._jobs, self._pods):
                await cache.synced.wait()
            group.create_task(self._queue.run())

    async def _sync(self, key: Key) -> None:
        item = self._jobs.objects.get(key)
        if item is None or any(
            each["type"] in ("Complete", "Failed") for each in item["status"].get("conditions") or ()
        ):
            return
        phases = [pod.get("status", {}).get("phase") for pod in self._pods_of(item)]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        active, spec = len(phases) - succeeded - failed, item["spec"]
        status: Object = {"active": active, "succeeded": succeeded, "failed": failed, "ready": phases.count("Running")}
        status |= {"startTime": item["status"].get("startTime") or now(), "terminating": 0}
        if succeeded >= int(spec.get("completions", 1)):
            status |= {"completionTime": now(), "conditions": self._ended("Complete", "CompletionsReached", "")}
        elif failed > int(spec.get("backoffLimit", 6)):
            text = "Job has reached the specified backoff limit"
            status |= {"conditions": self._ended("Failed", "BackoffLimitExceeded", text)}
            about = {"apiVersion": "batch/v1", "kind": "Job", **item}
            await self._events.record(about, "Warning", "BackoffLimitExceeded", text)
        elif not active and not spec.get("suspend") and not self._wait(key, failed):
            await self._create(item)
            status["active"] = 1
        known = item["status"]
        if any(known.get(name, 0) != value for name, value in status.items()):
            path = f"/apis/batch/v1/namespaces/{key[0]}/jobs/{key[1]}"
            self._jobs.store(await self._client.patch_status(path, status))

    def _wait(self, key: Key, failed: int) -> bool:
        """Whether the next pod has to wait: the longer, the more have failed."""
        if not failed:
            return False
        if key in self._waiting:
            self._waiting.discard(key)
            return False
        self._waiting.add(key)
        self._queue.mark_after(min(_BACKOFF_S * 2 ** (failed - 1), _MOST_BACKOFF_S) / self._scale, key)
        return True

    def _pods_of(self, item: Object) -> list[Object]:
        uid = item["metadata"]["uid"]
        found = []
        for pod in self._pods.objects.values():
            owner = owner_of(pod, "Job")
            if owner and owner["uid"] == uid:
                found.append(pod)
        return found

    @staticmethod
    def _ended(kind: str, reason: str, message: str) -> list[Object]:
        stamp = now()
        condition = {"type": kind, "status": "True", "reason": reason, "lastProbeTime": stamp}
        return [{**condition, "lastTransitionTime": stamp, **({"message": message} if message else {})}]

    async def _create(self, item: Object) -> None:
        metadata, template = item["metadata"], template_of(item)
        reference = {**owner_reference("Job", item), "apiVersion": "batch/v1"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "labels": template["metadata"].get("labels") or {},
                "ownerReferences": [reference],
            },
            "spec": template["spec"],
        }
        made = await self._client.send("POST", f"/api/v1/namespaces/{metadata['namespace']}/pods", pod)
        self._pods.store(made)
        about = {"apiVersion": "batch/v1", "kind": "Job", **item}
        await self._events.record(about, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
