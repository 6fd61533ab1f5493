"""The kubelet of one node, as a client of the API server: it starts and stops the node's pods.

Sequence, conditions and messages are those recorded from a real kubelet of Kubernetes 1.36. A container whose
image is DataKit's runs an agent; any other just runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tui.lab import volumes
from tui.lab.agent import Agent
from tui.lab.client import ApiStatusError, Cache, Client, Object
from tui.lab.container import Container
from tui.lab.events import Recorder, now
from tui.lab.nodes import Node

# How long things take on a real node, divided by the time scale.
_START_S = 0.9
_STOP_S = 0.6
_MOUNT_RETRY_S = 4.0
_SYNC_S = 60.0
_LEAST_S = 0.02

MakeAgent = Callable[[Container], Agent]


@dataclass
class _Pod:
    """A pod on this node: what runs of it."""

    item: Object
    task: asyncio.Task[None] | None = None
    volumes: dict[str, Path] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    started: str = ""


class Kubelet:
    """Runs the pods that the API server assigns to `node`."""

    def __init__(self, node: Node, client: Client, make_agent: MakeAgent, scale: float) -> None:
        self.node = node
        self._client = client
        self._make_agent = make_agent
        self._scale = scale
        self._events = Recorder(client, "kubelet", node.name)
        self._pods: dict[str, _Pod] = {}
        self._cleanups: set[asyncio.Task[None]] = set()
        selector = {"fieldSelector": f"spec.nodeName={node.name}"}
        self._cache = Cache(client, "/api/v1/pods", self._changed, selector)

    async def run(self) -> None:
        """Work until cancelled, then stop all pods."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._cache.run())
                group.create_task(self._refresh())
        finally:
            for task in self._cleanups:
                task.cancel()
            await asyncio.gather(*self._cleanups, return_exceptions=True)
            for uid in list(self._pods):
                await self._end(uid)

    def find(self, namespace: str, name: str) -> tuple[Mapping[str, Container], Mapping[str, Agent]] | None:
        """The running containers and agents of a pod of this node, None where there is no such pod."""
        for pod in self._pods.values():
            if Cache.key(pod.item) == (namespace, name):
                return pod.containers, pod.agents
        return None

    def _changed(self, kind: str, item: Object) -> None:
        metadata = item["metadata"]
        uid = metadata["uid"]
        if "kubernetes.io/config.mirror" in (metadata.get("annotations") or {}):
            return  # static pods are there, but nothing of them runs in the lab
        known = self._pods.get(uid)
        if kind == "DELETED":
            if known:
                self._in_background(self._end(uid))
        elif known is None:
            if not metadata.get("deletionTimestamp"):
                pod = self._pods[uid] = _Pod({"apiVersion": "v1", "kind": "Pod", **item})
                pod.task = asyncio.create_task(self._start(pod))
            else:
                self._in_background(self._confirm_deletion(item))
        else:
            leaving = metadata.get("deletionTimestamp") and not known.item["metadata"].get("deletionTimestamp")
            known.item = {"apiVersion": "v1", "kind": "Pod", **item}
            if leaving:
                self._in_background(self._terminate(known))

    def _in_background(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    # Start

    async def _start(self, pod: _Pod) -> None:
        pod.started = now()
        waiting = "ContainerCreating"
        await self._report(pod, self._pending(pod, waiting))
        while True:
            try:
                pod.volumes = await volumes.mount_volumes(self.node, pod.item, self._source(pod))
                await self._pause(_START_S)
                await self._run(pod)
                return
            except volumes.MountError as error:
                await self._event(pod, "Warning", "FailedMount", str(error))
            except volumes.ConfigError as error:
                if waiting != "CreateContainerConfigError":
                    waiting = "CreateContainerConfigError"
                    await self._report(pod, self._pending(pod, waiting, str(error)))
                await self._event(pod, "Warning", "Failed", f"Error: {error}")
            except (ApiStatusError, aiohttp.ClientError, OSError):
                pass  # the API server was out of reach for a moment
            await self._pause(_MOUNT_RETRY_S)

    async def _run(self, pod: _Pod) -> None:
        for spec in pod.item["spec"]["containers"]:
            if spec["name"] in pod.containers:
                continue  # runs since an earlier try
            env = await volumes.container_env(self.node, pod.item, spec, self._source(pod))
            metadata = pod.item["metadata"]
            mounts = volumes.container_mounts(self.node, pod.item, spec, pod.volumes)
            container = Container(
                pod=metadata["name"],
                namespace=metadata["namespace"],
                name=spec["name"],
                uid=metadata["uid"],
                image=spec.get("image", ""),
                node=self.node,
                folder=volumes.container_folder(self.node, metadata["uid"], spec["name"]),
                mounts=mounts,
                env=env,
                working_directory=spec.get("workingDir") or "/",
            )
            field_path = f"spec.containers{{{spec['name']}}}"
            text = f'Container image "{container.image}" already present on machine and can be accessed by the pod'
            await self._event(pod, "Normal", "Pulled", text, field_path)
            await self._event(pod, "Normal", "Created", "Container created", field_path)
            pod.containers[spec["name"]] = container
            if is_datakit(container.image):
                agent = pod.agents[spec["name"]] = self._make_agent(container)
                agent.start()
            await self._event(pod, "Normal", "Started", "Container started", field_path)
        await self._report(pod, self._running(pod))

    def _source(self, pod: _Pod) -> volumes.Source:
        namespace = pod.item["metadata"]["namespace"]

        async def read(kind: str, name: str) -> Object | None:
            plural = {"ConfigMap": "configmaps", "Secret": "secrets"}[kind]
            found = await self._client.find(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
            return None if found is None else {"kind": kind, **found}

        return read

    async def _refresh(self) -> None:
        """Directory mounts follow their ConfigMap; files mounted by subPath do not."""
        while True:
            await asyncio.sleep(max(_SYNC_S / self._scale, 1.0))
            for pod in list(self._pods.values()):
                if not pod.containers:
                    continue
                mounted = {
                    mount["name"]
                    for spec in pod.item["spec"]["containers"]
                    for mount in spec.get("volumeMounts") or ()
                    if not mount.get("subPath")
                }
                for volume in pod.item["spec"].get("volumes") or ():
                    if volume["name"] in mounted and ("configMap" in volume or "secret" in volume):
                        with contextlib.suppress(volumes.MountError, ApiStatusError, aiohttp.ClientError, OSError):
                            files = await volumes.volume_files(volume, self._source(pod))
                            volumes.write_atomically(pod.volumes[volume["name"]], files)

    # Stop

    async def _terminate(self, pod: _Pod) -> None:
        for name in pod.containers:
            path = f"spec.containers{{{name}}}"
            await self._event(pod, "Normal", "Killing", f"Stopping container {name}", path)
        if pod.containers:
            await self._pause(_STOP_S)
        await self._end(pod.item["metadata"]["uid"])
        await self._confirm_deletion(pod.item)

    async def _end(self, uid: str) -> None:
        """Stop what runs of a pod, and remove its files."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        if pod.task is not None:
            pod.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pod.task
        for agent in pod.agents.values():
            await agent.stop()
        shutil.rmtree(volumes.pod_folder(self.node, uid), ignore_errors=True)
        for name in pod.containers:
            folder = volumes.container_folder(self.node, uid, name)
            shutil.rmtree(folder.parent, ignore_errors=True)

    async def _confirm_deletion(self, item: Object) -> None:
        """Tell the API server that nothing of the pod runs any more."""
        metadata = item["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with contextlib.suppress(ApiStatusError):
            await self._client.send("DELETE", path, body)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds / self._scale, _LEAST_S))

    # Status

    async def _event(self, pod: _Pod, kind: str, reason: str, message: str, field: str = "") -> None:
        with contextlib.suppress(ApiStatusError, aiohttp.ClientError, OSError):
            await self._events.record(pod.item, kind, reason, message, field=field)

    async def _report(self, pod: _Pod, status: Object) -> None:
        metadata = pod.item["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with contextlib.suppress(ApiStatusError):  # deleted meanwhile
            await self._client.patch_status(path, status)

    def _common(self, pod: _Pod, phase: str, *, ready: bool) -> Object:
        generation = pod.item["metadata"].get("generation", 1)
        names = [spec["name"] for spec in pod.item["spec"]["containers"]]
        conditions = []
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"):
            holds = ready or kind in ("Initialized", "PodScheduled")
            condition: Object = {
                "type": kind,
                "observedGeneration": generation,
                "status": "True" if holds else "False",
                "lastProbeTime": None,
                "lastTransitionTime": now(),
            }
            if not holds and kind != "PodReadyToStartContainers":
                condition["reason"] = "ContainersNotReady"
                condition["message"] = f"containers with unready status: [{' '.join(names)}]"
            conditions.append(condition)
        ip = self.node.ip
        return {
            "observedGeneration": generation,
            "phase": phase,
            "conditions": conditions,
            "hostIP": ip,
            "hostIPs": [{"ip": ip}],
            **({"podIP": ip, "podIPs": [{"ip": ip}]} if ready else {}),
            "startTime": pod.started,
        }

    def _pending(self, pod: _Pod, reason: str, message: str = "") -> Object:
        waiting = {"reason": reason, **({"message": message} if message else {})}
        statuses = [
            _container_status(spec, {"waiting": waiting}, ready=False, image_id="", container_id="")
            for spec in pod.item["spec"]["containers"]
        ]
        return {**self._common(pod, "Pending", ready=False), "containerStatuses": statuses}

    def _running(self, pod: _Pod) -> Object:
        running = {"running": {"startedAt": now()}}
        statuses = [
            _container_status(
                spec,
                running,
                ready=True,
                image_id=f"sha256:{secrets.token_hex(32)}",
                container_id=f"containerd://{secrets.token_hex(32)}",
            )
            for spec in pod.item["spec"]["containers"]
        ]
        return {**self._common(pod, "Running", ready=True), "containerStatuses": statuses}


def is_datakit(image: str) -> bool:
    """Whether an image is DataKit's, by its repository's last part."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0] == "datakit"


def _container_status(spec: Object, state: Object, *, ready: bool, image_id: str, container_id: str) -> Object:
    mounts = []
    for mount in spec.get("volumeMounts") or ():
        shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
        mounts.append(shown)
    status: Object = {
        "name": spec["name"],
        "state": state,
        "lastState": {},
        "ready": ready,
        "restartCount": 0,
        "image": spec.get("image", ""),
        "imageID": image_id,
        "started": ready,
    }
    if container_id:
        status["containerID"] = container_id
    if mounts:
        status["volumeMounts"] = mounts
    return status
