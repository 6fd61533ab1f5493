"""The kubelet of one node, as a client of the API server: it starts, restarts and stops the node's pods.

Sequence, conditions and messages are those recorded from a real kubelet of Kubernetes 1.36. A container whose
image is DataKit's runs an agent; any other just runs, or ends as its command says.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tui.lab import probes, volumes
from tui.lab.agent import Agent
from tui.lab.client import ApiStatusError, Cache, Client, Object
from tui.lab.container import Container
from tui.lab.events import Recorder, now
from tui.lab.inputs.machine import Running, seconds
from tui.lab.network import Network
from tui.lab.nodes import Node
from tui.lab.podstatus import Run, pod_status, program, pull_problem

# How long things take on a real node, divided by the time scale.
_START_S = 0.9
_STOP_S = 0.6
_RETRY_S = 4.0
_SYNC_S = 60.0
_BACKOFF_S, _MOST_BACKOFF_S = 10.0, 300.0
_CALM_S = 600.0  # a container that ran so long starts again without back-off
_LEAST_S = 0.02

_CRASH_LOG = b"panic: runtime error: invalid memory address or nil pointer dereference\n"

MakeAgent = Callable[[Container], Agent]


@dataclass
class _Pod:
    """A pod on this node: what runs of it."""

    item: Object
    runs: list[Run]
    task: asyncio.Task[None] | None = None
    volumes: dict[str, Path] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    conditions: dict[str, Object] = field(default_factory=dict)
    killed: dict[str, asyncio.Event] = field(default_factory=dict)
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)
    sandbox: bool = False
    ip: str = ""  # once it has its network
    started: str = ""


class Kubelet:
    """Runs the pods that the API server assigns to `node`.

    `crashing` makes DataKit's container end with an error whenever it starts (a fault).
    """

    def __init__(self, node: Node, client: Client, make_agent: MakeAgent, network: Network, scale: float) -> None:
        self.node = node
        self._network = network
        self.crashing = False
        self._client = client
        self._make_agent = make_agent
        self._scale = scale
        self._off = False
        self._events = Recorder(client, "kubelet", node.name)
        self._pods: dict[str, _Pod] = {}
        self._static: dict[str, Object] = {}
        self._cleanups: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled, then stop what runs. Somebody else calls `changed`: `watch_pods`, `its_pods`."""
        try:
            await self._refresh()
        finally:
            for task in self._cleanups:
                task.cancel()
            await asyncio.gather(*self._cleanups, return_exceptions=True)
            for pod in list(self._pods.values()):
                await self._halt(pod)  # the files go with the lab's folder

    def find(self, namespace: str, name: str) -> tuple[Mapping[str, Container], Mapping[str, Agent]] | None:
        """The running containers and agents of a pod of this node, None where there is no such pod."""
        for pod in self._pods.values():
            if Cache.key(pod.item) == (namespace, name) and not self._off:
                return pod.containers, pod.agents
        return None

    def address(self, namespace: str, name: str) -> str | None:
        """The address of a pod of this node, None where there is no such pod or it has no network."""
        for pod in self._pods.values():
            if Cache.key(pod.item) == (namespace, name) and not self._off:
                return pod.ip or None
        return None

    def previous_log(self, namespace: str, name: str, container: str) -> bytes | None:
        """What the run of a container before this one wrote to stdout, None where there was none."""
        for pod in self._pods.values():
            if Cache.key(pod.item) == (namespace, name):
                for run in pod.runs:
                    if run.name == container and (run.restarts or run.last):
                        return run.log
        return None

    def agents(self) -> list[Agent]:
        """The agents that run on this node."""
        return [agent for pod in self._pods.values() for agent in pod.agents.values()]

    def pods(self) -> list[Object]:
        """The pods of this node with their status, static ones included."""
        return [*self._static.values(), *(pod.item for pod in self._pods.values())]

    def containers(self) -> list[Running]:
        """The containers that run on this node, as its runtime lists them."""
        found = [
            Running(
                run.container_id.rpartition("/")[2],
                run.name,
                run.spec.get("image", ""),
                pod.item,
                seconds(run.state["running"]["startedAt"]),
            )
            for pod in self._pods.values()
            for run in pod.runs
            if "running" in run.state
        ]
        for pod in self._static.values():
            began = seconds(pod["metadata"].get("creationTimestamp"))
            for spec in pod["spec"]["containers"]:
                made_up = hashlib.sha256(f"{pod['metadata']['uid']}/{spec['name']}".encode()).hexdigest()
                found.append(Running(made_up, spec["name"], spec.get("image", ""), pod, began))
        return found

    def changed(self, kind: str, item: Object) -> None:
        """A pod of this node has appeared, changed or gone (`kind` as in watch events)."""
        metadata = item["metadata"]
        uid = metadata["uid"]
        if "kubernetes.io/config.mirror" in (metadata.get("annotations") or {}):
            self._static[metadata["name"]] = item  # static pods are there, but nothing of them runs in the lab
            return
        known = self._pods.get(uid)
        item = {"apiVersion": "v1", "kind": "Pod", **item}
        if kind == "DELETED":
            if known:
                self._in_background(self._end(uid))
        elif known is None:
            if not metadata.get("deletionTimestamp"):
                inits = [Run(spec, init=True) for spec in item["spec"].get("initContainers") or ()]
                pod = self._pods[uid] = _Pod(item, inits + [Run(spec) for spec in item["spec"]["containers"]])
                pod.task = asyncio.create_task(self._start(pod))
            else:
                self._in_background(self._confirm_deletion(item))
        else:
            leaving = metadata.get("deletionTimestamp") and not known.item["metadata"].get("deletionTimestamp")
            known.item = item
            if leaving and not self._off:
                self._in_background(self._terminate(known))

    def _in_background(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    # Faults

    def kill_datakit(self) -> None:
        """End DataKit's containers as a crash does; they start again by the rules (or not, while `crashing`)."""
        for pod in self._pods.values():
            for name in pod.agents:
                if name in pod.killed:
                    pod.killed[name].set()

    async def power_off(self) -> None:
        """The machine goes off: nothing of it runs or answers, and nobody says so."""
        self._off = True
        for pod in list(self._pods.values()):
            await self._halt(pod)

    async def power_on(self) -> None:
        """The machine is back: the pods that are still its own start anew, each container a restart older."""
        self._off = False
        for pod in list(self._pods.values()):
            if pod.item["metadata"].get("deletionTimestamp"):
                self._in_background(self._terminate(pod))
                continue
            for run in pod.runs:
                if not run.init and run.started:
                    run.end(255, "Unknown")
                    run.restarts += 1
            pod.task = asyncio.create_task(self._start(pod))

    async def _halt(self, pod: _Pod) -> None:
        if pod.task is not None:
            pod.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pod.task
        for agent in list(pod.agents.values()):
            await agent.stop()
        pod.agents.clear()
        pod.containers.clear()

    # Start

    async def _start(self, pod: _Pod) -> None:
        pod.started = now()
        if any(run.init for run in pod.runs):
            for run in pod.runs:
                if not run.init:
                    run.wait("PodInitializing")
        if not self._client.quiet:
            await self._report(pod)
        await self._mount(pod)
        await self._pause(_START_S)
        pod.sandbox = True
        if not pod.ip:
            shared = pod.item["spec"].get("hostNetwork")
            pod.ip = self.node.ip if shared else self._network.add_pod(self.node.name)
        for run in [run for run in pod.runs if run.init]:
            await self._supervise(pod, run)
        main = [run for run in pod.runs if not run.init]
        if len(main) == 1:
            await self._supervise(pod, main[0])
        else:
            async with asyncio.TaskGroup() as group:
                for run in main:
                    group.create_task(self._supervise(pod, run))

    async def _mount(self, pod: _Pod) -> None:
        while True:
            try:
                pod.volumes = await volumes.mount_volumes(self.node, pod.item, self._source(pod))
                return
            except volumes.MountError as error:
                await self._event(pod, "Warning", "FailedMount", str(error))
            except (ApiStatusError, aiohttp.ClientError, OSError):
                pass  # the API server was out of reach for a moment
            await self._pause(_RETRY_S)

    async def _supervise(self, pod: _Pod, run: Run) -> None:
        """Start a container and start it again, until it need not run any more."""
        policy = pod.item["spec"].get("restartPolicy", "Always")
        backoff = 0.0
        while True:
            await self._pull(pod, run)
            container = await self._create(pod, run)
            began = asyncio.get_running_loop().time()
            code = await self._live(pod, run, container)
            if (code == 0 and (run.init or policy != "Always")) or policy == "Never":
                await self._report(pod)
                return
            if asyncio.get_running_loop().time() - began > _CALM_S / self._scale:
                backoff = 0.0
            await self._report(pod)
            if backoff:
                await self._back_off(pod, run, backoff)
            backoff = min(max(_BACKOFF_S, 2 * backoff), _MOST_BACKOFF_S)
            run.restarts += 1

    async def _back_off(self, pod: _Pod, run: Run, seconds: float) -> None:
        metadata = pod.item["metadata"]
        where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        text = f"Back-off restarting failed container {run.name} in pod {where}"
        await self._event(pod, "Warning", "BackOff", text, run.field_path)
        if "waiting" not in run.state:  # a container that never started keeps its RunContainerError
            await self._pause(seconds / 4)
            run.wait("CrashLoopBackOff", f"back-off {seconds:.0f}s restarting failed container={run.name} pod={where}")
            await self._report(pod)
        await self._pause(seconds)

    async def _pull(self, pod: _Pod, run: Run) -> None:
        image, backoff = run.spec.get("image", ""), _BACKOFF_S
        text = f'Container image "{image}" already present on machine and can be accessed by the pod'
        while (problem := pull_problem(image)) != "":
            if run.spec.get("imagePullPolicy") == "Never":
                message = f'Container image "{image}" is not present with pull policy of Never'
                await self._event(pod, "Warning", "ErrImageNeverPull", message, run.field_path)
                await self._failed(pod, run, "ErrImageNeverPull", message)
            else:
                await self._event(pod, "Normal", "Pulling", f'Pulling image "{image}"', run.field_path)
                message = f'Failed to pull image "{image}": {problem}'
                await self._event(pod, "Warning", "Failed", message, run.field_path)
                await self._failed(pod, run, "ErrImagePull", problem)
                message = f'Back-off pulling image "{image}"'
                await self._event(pod, "Normal", "BackOff", message, run.field_path)
                await self._failed(pod, run, "ImagePullBackOff", f"{message}: ErrImagePull: {problem}")
            await self._pause(backoff)
            backoff = min(2 * backoff, _MOST_BACKOFF_S)
        await self._event(pod, "Normal", "Pulled", text, run.field_path)

    async def _failed(self, pod: _Pod, run: Run, reason: str, message: str) -> None:
        await self._event(pod, "Warning", "Failed", f"Error: {reason}", run.field_path)
        if run.wait(reason, message):
            await self._report(pod)

    async def _create(self, pod: _Pod, run: Run) -> Container:
        while True:
            try:
                env = await volumes.container_env(self.node, pod.item, run.spec, self._source(pod), pod.ip)
                break
            except volumes.ConfigError as error:
                if run.wait("CreateContainerConfigError", str(error)):
                    await self._report(pod)
                await self._event(pod, "Warning", "Failed", f"Error: {error}", run.field_path)
            except (ApiStatusError, aiohttp.ClientError, OSError):
                pass
            await self._pause(_RETRY_S)
        metadata = pod.item["metadata"]
        container = Container(
            pod=metadata["name"],
            namespace=metadata["namespace"],
            name=run.name,
            uid=metadata["uid"],
            image=run.spec.get("image", ""),
            node=self.node,
            folder=volumes.container_folder(self.node, metadata["uid"], run.name),
            mounts=volumes.container_mounts(self.node, pod.item, run.spec, pod.volumes),
            env=env,
            ip=pod.ip,
            working_directory=run.spec.get("workingDir") or "/",
        )
        await self._event(pod, "Normal", "Created", "Container created", run.field_path)
        return container

    async def _live(self, pod: _Pod, run: Run, container: Container) -> int:
        """One run of a container from its start to its end; returns its exit status."""
        plan = program(run.spec)
        if plan.missing:
            why = (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
                f'failed: unable to start container process: exec: "{plan.missing}": stat {plan.missing}: no such '
                "file or directory"
            )
            run.begin()
            run.end(128, "StartError", why)
            run.wait("RunContainerError", why)
            await self._event(pod, "Warning", "Failed", f"Error: {why}", run.field_path)
            return 128
        killed = pod.killed[run.name] = asyncio.Event()
        crashes = self.crashing and is_datakit(container.image)
        pod.containers[run.name] = container
        if is_datakit(container.image) and not crashes:
            agent = pod.agents[run.name] = self._make_agent(container)
            agent.start()
        await self._event(pod, "Normal", "Started", "Container started", run.field_path)
        run.begin()
        probe = run.spec.get("readinessProbe")
        # Nothing of the lab listens in containers other than DataKit's: what asks their ports finds them ready.
        asked = probe if probe and ("exec" in probe or run.name in pod.agents) else None
        run.ready = not asked and not run.init and not crashes
        prober = asyncio.create_task(self._probe(pod, run, container, asked)) if asked else None
        try:
            if crashes:
                run.log = _CRASH_LOG
                return await self._finished(pod, run, 2)
            if plan.code is not None:
                await self._pause(plan.after_s)
                return await self._finished(pod, run, plan.code)
            await self._report(pod)
            await killed.wait()
            run.log = _CRASH_LOG
            return await self._finished(pod, run, 2)
        finally:
            if prober is not None:
                prober.cancel()

    async def _finished(self, pod: _Pod, run: Run, code: int) -> int:
        agent = pod.agents.pop(run.name, None)
        if agent is not None:
            await agent.stop()
        pod.containers.pop(run.name, None)
        run.end(code)
        return code

    async def _probe(self, pod: _Pod, run: Run, container: Container, probe: Object) -> None:
        failures = successes = 0
        await self._pause(float(probe.get("initialDelaySeconds") or 0))
        while True:
            problem = await probes.look(probe, container, pod.agents.get(run.name))
            failures, successes = (failures + 1, 0) if problem else (0, successes + 1)
            if problem:
                message = f"Readiness probe failed: {problem}"
                await self._event(pod, "Warning", "Unhealthy", message, run.field_path)
            ready = run.ready
            if successes >= int(probe.get("successThreshold") or 1):
                ready = True
            elif failures >= int(probe.get("failureThreshold") or 3):
                ready = False
            if ready != run.ready:
                run.ready = ready
                await self._report(pod)
            await self._pause(float(probe.get("periodSeconds") or 10))

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
        for name in list(pod.containers):  # one that crashes comes and goes meanwhile
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
        await self._halt(pod)
        if pod.ip and pod.ip != self.node.ip:
            self._network.remove_pod(pod.ip)
        shutil.rmtree(volumes.pod_folder(self.node, uid), ignore_errors=True)
        for run in pod.runs:
            folder = volumes.container_folder(self.node, uid, run.name)
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

    # What it says

    async def _event(self, pod: _Pod, kind: str, reason: str, message: str, field: str = "") -> None:
        with contextlib.suppress(ApiStatusError, aiohttp.ClientError, OSError):
            await self._events.record(pod.item, kind, reason, message, field=field)

    async def _report(self, pod: _Pod) -> None:
        """Tell the API server how a pod is: one report after another, or an older one might arrive last."""
        async with pod.reporting:
            status = pod_status(
                pod.item,
                pod.runs,
                ip=pod.ip,
                host_ip=self.node.ip,
                sandbox=pod.sandbox,
                started=pod.started,
                before=pod.conditions,
            )
            pod.conditions = {each["type"]: each for each in status["conditions"]}
            metadata = pod.item["metadata"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            with contextlib.suppress(ApiStatusError, aiohttp.ClientError, OSError):  # deleted meanwhile
                await self._client.patch_status(path, status)


def its_pods(kubelets: Mapping[str, Kubelet]) -> Callable[[str, Object], None]:
    """Tells each kubelet of its own pods, as the listener of a cache that has those of many nodes."""

    def changed(kind: str, item: Object) -> None:
        kubelet = kubelets.get(item["spec"].get("nodeName", ""))
        if kubelet is not None:
            kubelet.changed(kind, item)

    return changed


async def watch_pods(client: Client, kubelet: Kubelet) -> None:
    """Tell a kubelet of the pods of its node, until cancelled."""
    selector = {"fieldSelector": f"spec.nodeName={kubelet.node.name}"}
    await Cache(client, "/api/v1/pods", kubelet.changed, selector, lean=True).run()


def is_datakit(image: str) -> bool:
    """Whether an image is DataKit's, by its repository's last part."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0] == "datakit"
