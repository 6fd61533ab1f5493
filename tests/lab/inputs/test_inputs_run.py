"""The inputs at work in an agent: what each reports, when, under which name and with which tags."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lab_machines import until
from machine_stubs import Stub, pod

from tui.core.prom.collector import Point
from tui.lab.client import ApiStatusError
from tui.lab.container import Container, Mount
from tui.lab.inputs.run import Around, run
from tui.lab.inputs.settings import ContainerInput
from tui.lab.nodes import Node
from tui.lab.settings import settings

SCALE = 600.0
EVENT = {
    "metadata": {"uid": "e1"},
    "type": "Warning",
    "reason": "BackOff",
    "message": "Back-off restarting failed container",
    "involvedObject": {"kind": "Pod", "name": "a", "namespace": "prod"},
    "source": {"component": "kubelet", "host": "worker-1"},
    "lastTimestamp": "2025-10-09T08:53:20Z",
}


class Api:
    """An API server with one node, one pending pod and one event; `denied` paths are 403."""

    def __init__(self, denied: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self._denied = denied

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        self.asked.append(path)
        if path in self._denied:
            raise ApiStatusError(403, "Forbidden", f"{path} is forbidden")
        items: list[dict[str, Any]] = []
        if path == "/api/v1/nodes":
            items = [{"metadata": {"name": "worker-1", "uid": "n1"}, "spec": {}, "status": {}}]
        if path == "/api/v1/pods" and query.get("fieldSelector") == "status.phase==Pending":
            items = [pod("waits", [], phase="Pending")]
        return {"metadata": {"resourceVersion": "7"}, "items": items}

    async def watch(self, path: str, version: str, selector: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        assert (path, version, selector) == ("/api/v1/events", "7", {})
        yield {"type": "BOOKMARK", "object": {}}
        yield {"type": "ADDED", "object": EVENT}
        await asyncio.get_running_loop().create_future()


class Fed:
    """What was fed, by source."""

    def __init__(self) -> None:
        self.by_source: dict[str, list[Point]] = {}

    def feed(self, name: str, points: Sequence[Point], *, feeds: int = 1) -> None:
        self.by_source.setdefault(name, []).extend(points)

    def of(self, measurement: str, source: str = "k8s-metric") -> list[Point]:
        return [point for point in self.by_source.get(source, ()) if point.measurement == measurement]


class Running:
    """The input of an agent on a worker whose runtime is containerd."""

    def __init__(self, folder: Path, api: Api, *, elected: bool = True, socket: bool = True, **env: str) -> None:
        node = Node("worker-1", "172.16.0.230", "worker", folder)
        if socket:
            node.path("/var/run/containerd").mkdir(parents=True)
            node.path("/var/run/containerd/containerd.sock").touch()
        mounts = (Mount("/var/run", node.path("/var/run")),)
        container = Container("p", "datakit", "datakit", "u", "", node, folder / "c", mounts, env)
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-a"}}
        self.machine = Stub([pod("a", [{"name": "app"}], volumes=[claim])], api=api)
        self.fed = Fed()
        self.log: list[str] = []
        self.elected = elected
        given = settings({"ENV_GLOBAL_HOST_TAGS": "host=__datakit_hostname", "ENV_ENABLE_ELECTION": "1", **env}, node)
        self.around = Around(
            container,
            self.machine,
            given,
            self.fed,
            lambda level, module, where, message: self.log.append(message),
            SCALE,
            lambda: self.elected,
        )
        self.given = ContainerInput.read(None, env)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        task = asyncio.create_task(run((), self.given, self.around, 0.0))
        yield self
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


Make = Callable[..., Running]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda api=None, **changes: Running(tmp_path, api or Api(), **changes)


async def test_every_agent_reports_its_containers_and_pods(make: Make) -> None:
    async with make(elected=False, ENV_CLUSTER_NAME_K8S="lab").running() as agent:
        await until(lambda: agent.fed.of("kube_dfpv") and agent.fed.of("docker_containers", "container-metric"))
        await until(lambda: agent.fed.of("docker_containers", "container-object"))
        await until(lambda: agent.fed.of("kubelet_pod", "k8s-object"))
    [first, *_more] = agent.fed.of("docker_containers", "container-metric")
    assert (first.tags["cluster_name_k8s"], first.tags["host"]) == ("lab", "worker-1")
    assert first.time_ms is not None
    counts = agent.fed.of("kubernetes", "container-metric")
    assert counts[0].tags == {
        "namespace": "prod",
        "node_name": "worker-1",
        "host": "worker-1",
        "cluster_name_k8s": "lab",
    }
    assert "host" not in agent.fed.of("kube_pod")[0].tags, "Kubernetes' data have the election's tags"
    assert agent.fed.of("kube_dfpv")[0].tags["host"] == "worker-1"
    assert agent.machine.api.asked == [], "nobody is elected"
    assert agent.fed.of("kube_node") == []


async def test_the_elected_agent_reports_the_cluster_too(make: Make) -> None:
    async with make(ENV_CLUSTER_NAME_K8S="lab").running() as agent:
        await until(lambda: agent.fed.of("kube_node"))
        await until(lambda: agent.fed.of("kubernetes_nodes", "k8s-object"))
        await until(lambda: agent.fed.of("kubernetes_events", "k8s-event"))
    assert {point.tags["pod_name"] for point in agent.fed.of("kube_pod")} == {"a", "waits"}
    assert {tuple(point.fields) for point in agent.fed.of("kubernetes")} == {("pod",), ("node",)}
    [event] = agent.fed.of("kubernetes_events", "k8s-event")
    assert (event.category, event.time_ms) == ("logging", 1_760_000_000_000)
    assert event.tags == {
        "uid": "e1",
        "type": "Warning",
        "reason": "BackOff",
        "from_node": "worker-1",
        "cluster_name_k8s": "lab",
    }
    assert (event.fields["involved_name"], event.fields["status"]) == ("a", "warn")


async def test_an_agent_that_loses_the_election_stops_and_one_that_wins_it_begins(make: Make) -> None:
    async with make(elected=False).running() as agent:
        await until(lambda: len(agent.fed.of("kube_pod")) >= 2)
        assert not agent.fed.of("kube_node")
        agent.elected = True
        await until(lambda: agent.fed.of("kube_node"))
        agent.elected = False
        await until(lambda: len(agent.fed.of("kube_pod")) >= 12)
        seen = len(agent.fed.of("kube_node"))
        await until(lambda: len(agent.fed.of("kube_pod")) >= 16)
        assert len(agent.fed.of("kube_node")) <= seen + 1


# Which data carry the cluster's name: facts of the environment, not of the input


@pytest.mark.parametrize(
    ("env", "containers", "kubernetes"),
    [
        ({"ENV_CLUSTER_NAME_K8S": "k"}, "k", "k"),
        ({"ENV_GLOBAL_HOST_TAGS": "cluster_name_k8s=mine"}, "mine", None),
        ({"ENV_GLOBAL_HOST_TAGS": "cluster_name_k8s=mine", "ENV_CLUSTER_NAME_K8S": "default"}, "default", "default"),
        ({"ENV_GLOBAL_ELECTION_TAGS": "cluster_name_k8s=e"}, None, "e"),
        ({"ENV_GLOBAL_ELECTION_TAGS": "cluster_name_k8s=e", "ENV_CLUSTER_NAME_K8S": "k"}, "k", "k"),
    ],
)
async def test_who_gets_the_clusters_name(
    make: Make, env: dict[str, str], containers: str | None, kubernetes: str | None
) -> None:
    async with make(**env).running() as agent:
        await until(lambda: agent.fed.of("kube_node") and agent.fed.of("docker_containers", "container-metric"))
        await until(lambda: agent.fed.of("kubernetes_events", "k8s-event"))
    for source, points in agent.fed.by_source.items():
        wanted = containers if source.startswith("container") else kubernetes
        for point in points:
            if point.measurement.endswith("_dfpv") and wanted is None:
                continue  # an election's data, fed with the host's tags
            assert point.tags.get("cluster_name_k8s") == wanted, (source, point.measurement)


# What turns parts of it off


async def test_without_a_runtime_there_are_pods_but_no_containers(make: Make) -> None:
    async with make(socket=False).running() as agent:
        await until(lambda: agent.fed.of("kube_pod"))
    assert not [name for name in agent.fed.by_source if name.startswith("container")]
    sought = "endpoint /var/run/containerd/containerd.sock does not exist"
    assert any(sought in line for line in agent.log)


async def test_switches_turn_their_part_off(make: Make) -> None:
    off = {f"ENV_INPUT_CONTAINER_ENABLE_{name}": "false" for name in ("CONTAINER_METRIC", "K8S_METRIC", "K8S_EVENT")}
    async with make(**off).running() as agent:
        await until(lambda: len(agent.fed.of("kubelet_pod", "k8s-object")) >= 3)
        await until(lambda: agent.fed.of("docker_containers", "container-object"))
    assert {"container-metric", "k8s-metric", "k8s-event"}.isdisjoint(agent.fed.by_source)


async def test_pods_use_something_only_with_pod_metrics(make: Make) -> None:
    async with make(elected=False, ENV_INPUT_CONTAINER_ENABLE_POD_METRIC="true").running() as agent:
        await until(lambda: agent.fed.of("kube_pod"))
    assert "cpu_usage_millicores" in agent.fed.of("kube_pod")[0].fields


async def test_without_node_local_the_elected_agent_reports_all_pods(make: Make) -> None:
    async with make(ENV_INPUT_CONTAINER_ENABLE_K8S_NODE_LOCAL="false").running() as agent:
        await until(lambda: agent.fed.of("kube_node"))
    assert not agent.fed.of("kube_dfpv")
    assert not agent.fed.of("kube_pod"), "this API server has none that is not pending"


async def test_what_the_account_may_not_list_is_missing_and_logged(make: Make) -> None:
    async with make(Api(denied=("/api/v1/nodes",))).running() as agent:
        await until(lambda: len(agent.fed.of("kube_pod")) >= 4)
    assert not agent.fed.of("kube_node")
    assert any("/api/v1/nodes is forbidden" in line for line in agent.log)


async def test_a_host_input_reports_under_its_name(make: Make) -> None:
    agent = make(ENV_CLUSTER_NAME_K8S="lab")
    task = asyncio.create_task(run(["mem", "container"], None, agent.around, 0.0))
    await until(lambda: len(agent.fed.of("mem", "mem")) >= 2)
    task.cancel()
    assert list(agent.fed.by_source) == ["mem"], "only what is named"
    assert agent.fed.of("mem", "mem")[0].tags == {"host": "worker-1", "cluster_name_k8s": "lab"}
