"""The inputs at work in an agent: when each collects, which tags it adds, and under which name it feeds.

Of the input `container` two collectors run side by side, as in DataKit 1.84.1: one for the runtime's containers, with
the host's tags, and one for Kubernetes, with the election's. Both add the cluster's name from ENV_CLUSTER_NAME_K8S.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
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

# DataKit collects metrics each minute (those of the host each 10 s: views show minutes) and objects each five, and
# looks each 10 s whether it is to watch events. Here all of an agent's inputs take their turns together: what they
# collect then goes out in one upload, and hundreds of agents cost little.
_TURN_S = 60.0
_FIRST_S = 3.0  # DataKit waits so long before it looks for containers
_OBJECTS_EVERY = 5  # turns
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


async def run(
    names: Collection[str],
    given: ContainerInput | None,
    around: Around,
    delay_s: float,
    offer: Callable[[Sequence[Object]], object] = lambda found: None,
) -> None:
    """The inputs at work until cancelled: those of the host that are named, and `container` where it is `given`.

    They begin after `delay_s` seconds of the agent's time. As in DataKit, objects are collected at once, when nobody
    has been elected yet, and metrics from the first minute on. `offer` gets the pods of each look at the objects.
    """
    await asyncio.sleep((_FIRST_S + delay_s) / around.scale)
    collectors: list[_Containers | _Kubernetes] = []
    if given is not None:
        collectors = [_Kubernetes(given, around, offer)]
        if given.runtime(around.container):
            collectors.append(_Containers(given, around))
        else:
            _tell_what_was_sought(given, around)
    period, tick, turn = _TURN_S / around.scale, time.monotonic(), 0
    try:
        while True:
            now = around.clock()
            if turn:
                for name in HOST_INPUTS:
                    if name in names:
                        around.feed(name, host.points(name, around.load, around.machine, {}, now), now, election=False)
                for collector in collectors:
                    await collector.metrics(now)
            if turn % _OBJECTS_EVERY == 0:
                for collector in collectors:
                    await collector.objects(now)
            turn += 1
            tick = max(tick + period, time.monotonic())  # turns that passed meanwhile are lost
            await asyncio.sleep(tick - time.monotonic())
    finally:
        for collector in collectors:
            collector.stop()


def _tell_what_was_sought(given: ContainerInput, around: Around) -> None:
    for endpoint in given.endpoints:
        path = endpoint.removeprefix("unix://")
        message = f"failed to create collector for endpoint {endpoint}: endpoint {path} does not exist"
        around.log("WARN", "container", "container/impl.go:70", message)


class _Containers:
    """The collector of the runtime's containers."""

    def __init__(self, given: ContainerInput, around: Around) -> None:
        self._given = given
        self._around = around
        self._tags = {**around.settings.host_tags, **given.tags}

    async def metrics(self, now: float) -> None:
        if self._given.container_metric:
            around = self._around
            found = containers.metrics(around.load, around.machine.containers(), self._tags, now)
            around.feed("container-metric", found, now, election=False)

    async def objects(self, now: float) -> None:
        around = self._around
        found = containers.objects(around.load, around.machine.containers(), self._tags, now)
        around.feed("container-object", found, now, election=False)

    def stop(self) -> None:
        """Nothing runs beside the turns."""


class _Kubernetes:
    """The collector of Kubernetes: of its own node's pods on every agent, of everything else on the elected one."""

    def __init__(self, given: ContainerInput, around: Around, offer: Callable[[Sequence[Object]], object]) -> None:
        self._offer = offer
        self._given = given
        self._around = around
        self._watch: asyncio.Task[None] | None = None
        tags = {**around.settings.election_tags, **given.tags}
        if around.settings.cluster_name:
            tags["cluster_name_k8s"] = around.settings.cluster_name
        self._tags: Mapping[str, str] = tags

    async def metrics(self, now: float) -> None:
        around, given, tags = self._around, self._given, self._tags
        self._follow_events()
        if not given.k8s_metric:
            return
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

    async def objects(self, now: float) -> None:
        around, tags = self._around, self._tags
        if self._given.node_local:
            own = list(around.machine.pods())
            running = pods.running_by_pod(around.machine.containers())
            found = pods.objects(own, tags, now, load=around.load, running=running)
            around.feed("k8s-object", found, now, election=True)
            volumes = pods.volumes(own, tags, around.load, now, category="object")
            around.feed("k8s-object", volumes, now, election=False)
            self._offer(own)
        if around.elected():
            others = await self._other_pods()
            if not self._given.node_local:
                self._offer(others)
            found = pods.objects(others, tags, now)
            async for resource, items in self._lists():
                found += resource.objects(items, tags, now)
            around.feed("k8s-object", found, now, election=True)

    def stop(self) -> None:
        """End the watch of the events."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _follow_events(self) -> None:
        """Watch the events while elected; those of before are left alone."""
        if not self._around.elected():
            self.stop()
        elif self._given.k8s_event and (self._watch is None or self._watch.done()):
            self._watch = asyncio.create_task(self._watch_events())

    async def _watch_events(self) -> None:
        path, around = "/api/v1/events", self._around
        try:
            version = (await around.machine.api.get(path, limit="1"))["metadata"]["resourceVersion"]
            async for event in around.machine.api.watch(path, str(version), {}):
                if event["type"] in ("ADDED", "MODIFIED"):
                    line = _event(event["object"], around, self._tags)
                    around.feed("k8s-event", [line], around.clock(), election=True)
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
