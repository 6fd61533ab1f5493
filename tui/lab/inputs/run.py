"""The inputs at work in an agent: when each collects, which tags it adds, and under which name it feeds.

Of the input `container` two collectors run side by side, as in DataKit 1.84.1: one for the runtime's containers, with
the host's tags, and one for Kubernetes, with the election's. Both add the cluster's name from ENV_CLUSTER_NAME_K8S.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import aiohttp

from tui.core.prom.collector import Point
from tui.lab.client import ApiStatusError
from tui.lab.container import Container
from tui.lab.feeds import Feeder, Log
from tui.lab.inputs import containers, host, pods, resources
from tui.lab.inputs.machine import Machine, Object, seconds
from tui.lab.inputs.settings import HOST_INPUTS, ContainerInput
from tui.lab.inputs.usage import Load
from tui.lab.settings import Settings

_METRICS_S, _OBJECTS_S = 60.0, 300.0
_FIRST_OBJECTS_S = 3.0
_EVENTS_S = 10.0  # how often an elected agent looks whether it watches the events
_FIRST_DELAY_S = 10.0
_HOST_S = 60.0  # DataKit's own is 10 s; that would be six times the points for views that show minutes
_PAGE = "500"


@dataclass(frozen=True)
class Around:
    """What the inputs get from their agent. `elected` tells whether it holds the election now."""

    container: Container
    machine: Machine
    settings: Settings
    feeder: Feeder
    log: Log
    scale: float
    elected: Callable[[], bool]
    clock: Callable[[], float] = time.time

    @property
    def load(self) -> Load:
        """What this machine and its containers use."""
        return Load(self.container.node, self.machine.seed, self.scale)

    def feed(self, source: str, points: Sequence[Point], now: float, *, election: bool) -> None:
        """Feed points with the time of their collection. What the agent adds to all of them never overwrites a tag."""
        tags = self.settings.election_tags if election else self.settings.host_tags
        stamp = int(now * 1000)
        made = [
            replace(point, tags={**tags, **point.tags}, time_ms=stamp if point.time_ms is None else point.time_ms)
            for point in points
        ]
        if made:
            self.feeder.feed(source, made)

    async def every(self, period_s: float, *, first: float | None = None) -> AsyncIterator[float]:
        """The agent's time at each tick; a tick that is missed is lost. `first`: seconds until the first one."""
        period = period_s / self.scale
        tick = time.monotonic() + (period if first is None else first / self.scale)
        while True:
            await asyncio.sleep(max(0.0, tick - time.monotonic()))
            yield self.clock()
            tick = max(tick + period, time.monotonic())


async def run_host(name: str, around: Around, delay: float) -> None:
    """One of HOST_INPUTS, until cancelled. `delay` is its share of the time within which inputs begin."""
    assert name in HOST_INPUTS
    async for now in around.every(_HOST_S, first=delay * _FIRST_DELAY_S):
        around.feed(name, host.points(name, around.load, around.machine, {}, now), now, election=False)


async def run_container(given: ContainerInput, around: Around, delay: float) -> None:
    """The input `container`, until cancelled."""
    await asyncio.sleep(delay * _FIRST_DELAY_S / around.scale)
    kubernetes = _Kubernetes(given, around)
    async with asyncio.TaskGroup() as group:
        if given.runtime(around.container):
            group.create_task(_containers(given, around))
        else:
            for endpoint in given.endpoints:
                path = endpoint.removeprefix("unix://")
                message = f"failed to create collector for endpoint {endpoint}: endpoint {path} does not exist"
                around.log("WARN", "container", "container/impl.go:70", message)
        group.create_task(kubernetes.metrics())
        group.create_task(kubernetes.objects())
        group.create_task(kubernetes.events())


async def _containers(given: ContainerInput, around: Around) -> None:
    tags = {**around.settings.host_tags, **given.tags}

    async def collect_metrics() -> None:
        async for now in around.every(_METRICS_S):
            if given.container_metric:
                found = containers.metrics(around.load, around.machine.containers(), tags, now)
                around.feed("container-metric", found, now, election=False)

    async def collect_objects() -> None:
        async for now in around.every(_OBJECTS_S, first=_FIRST_OBJECTS_S):
            found = containers.objects(around.load, around.machine.containers(), tags, now)
            around.feed("container-object", found, now, election=False)

    await asyncio.gather(collect_metrics(), collect_objects())


class _Kubernetes:
    """The collector of Kubernetes: of its own node's pods on every agent, of everything else on the elected one."""

    def __init__(self, given: ContainerInput, around: Around) -> None:
        self._given = given
        self._around = around
        tags = {**around.settings.election_tags, **given.tags}
        if around.settings.cluster_name:
            tags["cluster_name_k8s"] = around.settings.cluster_name
        self._tags: Mapping[str, str] = tags

    async def metrics(self) -> None:
        """Every minute, the first time a minute after the start."""
        around, given, tags = self._around, self._given, self._tags
        async for now in around.every(_METRICS_S):
            if not given.k8s_metric:
                continue
            if given.node_local:
                own = list(around.machine.pods())
                running = pods.running_by_pod(around.machine.containers())
                load = around.load if given.pod_metric else None
                found = pods.metrics(own, tags, now, load=load, running=running) + pods.counts(own, tags)
                around.feed("k8s-metric", found, now, election=True)
                around.feed("k8s-metric", pods.volumes(own, tags, around.load, now), now, election=False)
            if around.elected():
                others = await self._other_pods()
                found = pods.metrics(others, tags, now) + pods.counts(others, tags)
                async for resource, items in self._lists():
                    found += resource.metrics(items, tags)
                around.feed("k8s-metric", found, now, election=True)

    async def objects(self) -> None:
        """Every five minutes, the first time at the start, when no agent has been elected yet."""
        around, tags = self._around, self._tags
        async for now in around.every(_OBJECTS_S, first=0.0):
            if self._given.node_local:
                own = list(around.machine.pods())
                running = pods.running_by_pod(around.machine.containers())
                found = pods.objects(own, tags, now, load=around.load, running=running)
                around.feed("k8s-object", found, now, election=True)
                volumes = pods.volumes(own, tags, around.load, now, category="object")
                around.feed("k8s-object", volumes, now, election=False)
            if around.elected():
                found = pods.objects(await self._other_pods(), tags, now)
                async for resource, items in self._lists():
                    found += resource.objects(items, tags, now)
                around.feed("k8s-object", found, now, election=True)

    async def events(self) -> None:
        """What happens while this agent is elected; events of before are left alone."""
        watch: asyncio.Task[None] | None = None
        try:
            async for _now in self._around.every(_EVENTS_S):
                if not self._around.elected():
                    if watch is not None:
                        watch.cancel()
                        watch = None
                elif self._given.k8s_event and (watch is None or watch.done()):
                    watch = asyncio.create_task(self._watch_events())
        finally:
            if watch is not None:
                watch.cancel()

    async def _watch_events(self) -> None:
        path = "/api/v1/events"
        try:
            version = (await self._around.machine.api.get(path, limit="1"))["metadata"]["resourceVersion"]
            async for event in self._around.machine.api.watch(path, str(version), {}):
                if event["type"] in ("ADDED", "MODIFIED"):
                    now = self._around.clock()
                    self._around.feed(
                        "k8s-event", [_event(event["object"], self._around, self._tags)], now, election=True
                    )
        except (ApiStatusError, aiohttp.ClientError, OSError) as error:
            self._warn(f"watch events failed, err: {error}")

    async def _other_pods(self) -> list[Object]:
        """The pods that no agent reports of its own node: with `node_local` those that are pending, else all."""
        query = {"fieldSelector": "status.phase==Pending"} if self._given.node_local else {}
        return await self._list("/api/v1/pods", **query)

    async def _lists(self) -> AsyncIterator[tuple[resources.Resource, list[Object]]]:
        for resource in resources.RESOURCES:
            if resource is not resources.JOBS or self._given.jobs:
                yield resource, await self._list(resource.path)

    async def _list(self, path: str, **query: str) -> list[Object]:
        """All objects of a kind, page by page; what could be read where the API server refuses."""
        found: list[Object] = []
        following = ""
        while True:
            asked = {**query, "limit": _PAGE, **({"continue": following} if following else {})}
            try:
                answer = await self._around.machine.api.get(path, **asked)
            except (ApiStatusError, aiohttp.ClientError, OSError) as error:
                self._warn(str(error))
                return found
            found += answer["items"]
            following = answer["metadata"].get("continue", "")
            if not following:
                return found

    def _warn(self, text: str) -> None:
        self._around.log("WARN", "k8s", "kubernetes/gather.go:88", text)


def _event(item: Object, around: Around, tags: Mapping[str, str]) -> Point:
    """An event as a line of the log `kubernetes_events`."""
    involved, source = item.get("involvedObject") or {}, item.get("source") or {}
    kind = item.get("type", "")
    return Point(
        "kubernetes_events",
        {
            **tags,
            "uid": item["metadata"]["uid"],
            "type": kind,
            "reason": item.get("reason", ""),
            "from_node": around.container.node.name,
        },
        {
            "involved_kind": involved.get("kind", ""),
            "involved_uid": involved.get("uid", ""),
            "involved_name": involved.get("name", ""),
            "involved_namespace": involved.get("namespace", ""),
            "source_component": source.get("component", ""),
            "source_host": source.get("host", ""),
            "message": item.get("message", ""),
            "status": {"Normal": "info", "Warning": "warn"}.get(kind, "unknown"),
        },
        time_ms=int(seconds(item.get("lastTimestamp"), around.clock()) * 1000),
        category="logging",
    )
