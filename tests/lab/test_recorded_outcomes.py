"""Rollouts and mounts, recorded with controllers and a kubelet: the lab comes to the same outcomes.

Order and number of the status updates depend on timing, so what is held against the recordings (04e, 04f, 08f, 09a; 08e
is test_lab_kubelet's, 01f test_replay's, 01i to 01l test_recorded_kubectl's) is where a rollout begins and ends, what
holds all the way, which revisions, states, reasons and events there are at the end, and which file a container sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lab_clients import APPLY, MERGE, client_of, rolled_out
from lab_machines import until

from tui.lab.client import Client
from tui.lab.world import Lab

Obj = dict[str, Any]
DATA = Path(__file__).parent.parent / "data" / "kubernetes"
ROLLOUTS: dict[str, dict[str, list[Obj]]] = json.loads((DATA / "rollouts.json").read_text())
FAILING: Obj = json.loads((DATA / "pod_states.json").read_text())["failing"]
SPACE = "/api/v1/namespaces/dk"
PODS, EVENTS = f"{SPACE}/pods", f"{SPACE}/events"
SETS = "/apis/apps/v1/namespaces/dk/daemonsets"
REVISIONS = "/apis/apps/v1/namespaces/dk/controllerrevisions"
LABELS = {"app": "daemonset-datakit"}
CONF = "/usr/local/datakit/conf.d"


def test_how_much_was_recorded(record_property: Callable[[str, object], None]) -> None:
    phases = sum(len(found) for found in ROLLOUTS.values())
    told = f"5 scenarios, {phases} rollouts, 15 pods, 7 looks at files"
    record_property("figure", f"outcomes held against recordings: {told}")
    assert (len(ROLLOUTS), phases, len(FAILING)) == (3, 14, 4)


def daemon_set() -> Obj:
    mount = {"name": "datakit-conf", "mountPath": f"{CONF}/container.conf", "subPath": "container.conf"}
    container = {"name": "datakit", "image": "busybox:1.35", "command": ["sleep", "3600"], "volumeMounts": [mount]}
    spec = {
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "datakit-conf", "configMap": {"name": "datakit-conf"}}],
    }
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    body = {"selector": {"matchLabels": LABELS}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "datakit"}, "spec": body}


class Place:
    """A lab with a DaemonSet of its own, rolled out."""

    def __init__(self, lab: Lab, admin: Client) -> None:
        self.lab, self.admin = lab, admin

    async def item(self) -> Obj:
        return await self.admin.get(f"{SETS}/datakit")

    async def complete(self) -> bool:
        item = await self.item()
        return "observedGeneration" in item["status"] and rolled_out(item)

    async def apply(
        self, container: Obj | None = None, pod: Obj | None = None, spec: Obj | None = None, **template: Any
    ) -> Obj:
        """A partial apply of the pod template: its container, the rest of its pod; and of `spec`."""
        body: Obj = {"template": dict(template), **(spec or {})}
        if container is not None:
            body["template"]["spec"] = {"containers": [{"name": "datakit", **container}], **(pod or {})}
        whole = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "datakit"}, "spec": body}
        query = {"fieldManager": "alice", "force": "true"}
        return await self.admin.send("PATCH", f"{SETS}/datakit", whole, query=query, content_type=APPLY)

    @contextlib.asynccontextmanager
    async def statuses(self) -> AsyncIterator[list[Obj]]:
        """The DaemonSet's statuses that a watch sees, from the next change on."""
        seen: list[Obj] = []
        version = (await self.item())["metadata"]["resourceVersion"]

        async def watch() -> None:
            async for event in self.admin.watch(SETS, version, {"fieldSelector": "metadata.name=datakit"}):
                if event["type"] == "MODIFIED":
                    seen.append({"generation": event["object"]["metadata"]["generation"], **event["object"]["status"]})

        task = asyncio.create_task(watch())
        try:
            yield seen
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def newest_pods(self) -> list[Obj]:
        """The pods of the newest revision."""
        revisions = (await self.admin.get(REVISIONS))["items"]
        newest = max(revisions, key=lambda each: each["revision"])["metadata"]["labels"]["controller-revision-hash"]
        return (await self.admin.get(PODS, labelSelector=f"controller-revision-hash={newest}"))["items"]

    async def events(self, name: str) -> set[tuple[str, str]]:
        found = (await self.admin.get(EVENTS, fieldSelector=f"involvedObject.name={name}"))["items"]
        return {(each["type"], each["reason"]) for each in found}

    def read(self, pod: str, container: str, path: str) -> str:
        """A file as a container sees it."""
        for kubelet in self.lab.kubelets.values():
            if (found := kubelet.find("dk", pod)) is not None:
                return found[0][container].read(path).decode()
        raise FileNotFoundError(pod)


async def _place(nodes: int, folder: Path) -> AsyncIterator[Place]:
    lab = Lab(nodes=nodes, interval_s=0.5, mesh=False)
    await lab.start()
    place = Place(lab, client_of(lab, "admin", folder))
    try:
        await place.admin.send("POST", "/api/v1/namespaces", {"metadata": {"name": "dk"}})

        async def account() -> bool:
            return await place.admin.find(f"{SPACE}/serviceaccounts/default") is not None

        await until(account)
        body = {"metadata": {"name": "datakit-conf"}, "data": {"container.conf": "[inputs.container]\n"}}
        await place.admin.send("POST", f"{SPACE}/configmaps", body)
        await place.admin.send("POST", SETS, daemon_set())
        await until(place.complete, 30)
        yield place
    finally:
        await place.admin.close()
        await lab.stop()


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[Place]:
    async for place in _place(4, tmp_path):
        yield place


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Place]:
    async for place in _place(1, tmp_path):
        yield place


def outcome(status: Obj) -> Obj:
    """A status without how often the DaemonSet was changed before."""
    return {name: value for name, value in status.items() if name not in ("observedGeneration", "generation")}


def assert_rolls_like(recorded: list[Obj], seen: list[Obj], *, behind: int = 0) -> None:
    """Begin and end are the recorded ones, and on the way no more pods are away than in the recording."""
    statuses = [each["status"] for each in recorded]
    assert outcome(seen[0]) == outcome(statuses[0])
    assert outcome(seen[-1]) == outcome(statuses[-1])
    # At first the status is the old one, which looks complete.
    assert seen[0]["observedGeneration"] < seen[0]["generation"]
    assert statuses[0]["observedGeneration"] < recorded[0]["generation"]
    assert seen[-1]["observedGeneration"] == seen[-1]["generation"]
    for name in ("numberReady", "numberAvailable"):
        least = min(each.get(name, 0) for each in statuses)
        assert min(each.get(name, 0) for each in seen) >= least - behind
    assert max(each.get("numberUnavailable", 0) for each in seen) <= max(
        each.get("numberUnavailable", 0) for each in statuses
    )


async def test_rollouts_begin_and_end_as_recorded(four: Place) -> None:
    recorded = ROLLOUTS["04e-ds-rollout-status"]
    phases = list(recorded.values())

    async def rolls(phase: list[Obj], change: Any) -> None:
        async with four.statuses() as seen:
            await change
            await until(lambda: bool(seen) and seen[-1]["observedGeneration"] == seen[-1]["generation"])
            await until(four.complete, 30)
            final = outcome(phase[-1]["status"])
            await until(lambda: outcome(seen[-1]) == final, 30)
        assert_rolls_like(phase, seen)

    assert sorted(each["revision"] for each in (await four.admin.get(REVISIONS))["items"]) == [1]
    hashed = {"metadata": {"annotations": {"datakit/conf-hash": "aaaa"}}}
    await rolls(phases[0], four.apply(**hashed))
    revisions = {each["revision"]: each["metadata"]["name"] for each in (await four.admin.get(REVISIONS))["items"]}
    assert sorted(revisions) == [1, 2]
    events = (await four.admin.get(EVENTS, fieldSelector="involvedObject.kind=DaemonSet"))["items"]
    reasons = [each["reason"] for each in events for _ in range(each.get("count") or 1)]
    assert (reasons.count("SuccessfulCreate"), reasons.count("SuccessfulDelete")) == (8, 4)

    before = (await four.item())["metadata"]
    await four.apply(**hashed)  # the same again: nothing happens
    after = (await four.item())["metadata"]
    assert (after["generation"], after["resourceVersion"]) == (before["generation"], before["resourceVersion"])

    await rolls(phases[1], four.apply())  # the old template comes back, its revision with the highest number
    revisions_now = {each["metadata"]["name"]: each["revision"] for each in (await four.admin.get(REVISIONS))["items"]}
    assert revisions_now == {revisions[1]: 3, revisions[2]: 2}

    async def calm() -> bool:
        """Whether the pods have been ready for longer than minReadySeconds is going to be, as they had been there."""
        conditions = [
            each
            for pod in (await four.admin.get(PODS))["items"]
            for each in pod["status"]["conditions"]
            if each["type"] == "Ready"
        ]
        latest = max(datetime.fromisoformat(each["lastTransitionTime"]) for each in conditions)
        return (datetime.now(UTC) - latest).total_seconds() > 2

    await until(calm)
    slow = {"metadata": {"annotations": {"datakit/conf-hash": "bbbb"}}}
    await rolls(phases[2], four.apply(spec={"minReadySeconds": 1}, **slow))


FAILURES: dict[str, Obj] = {
    "CrashLoopBackOff": {"command": ["sh", "-c", "exit 1"]},
    "ImagePullBackOff": {"image": "registry.invalid/datakit:1.84.1"},
    "Unready": {"readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1}},
    "Pending": {"volumeMounts": [{"name": "gone", "mountPath": "/gone"}]},
}
HEALED = {"ImagePullBackOff": {"image": "busybox:1.35"}}  # an image that is left out would be missing
# Which events a failing pod leaves, of those that the kubelet writes.
REASONS = {"CrashLoopBackOff": "BackOff", "ImagePullBackOff": "Failed", "Unready": "Unhealthy"}


def state(pod: Obj) -> Obj:
    """What a pod's status says, the ways of its container aside."""
    status = pod["status"]
    container = status["containerStatuses"][0]
    ((name, now),) = container["state"].items()
    if name == "terminated":  # by turns with the wait, on a real node as here
        name, now = "waiting", {"reason": "CrashLoopBackOff"}
    reason = {"ErrImagePull": "ImagePullBackOff"}.get(now.get("reason", ""), now.get("reason", ""))
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    return {"phase": status["phase"], "conditions": conditions, "state": (name, reason), "ready": container["ready"]}


@pytest.mark.parametrize("name", sorted(FAILURES))
async def test_a_failing_rollout_stops_and_heals_as_recorded(name: str, four: Place) -> None:
    recorded = ROLLOUTS["04f-ds-rollout-failing"]
    failing, healed = recorded[name], recorded[f"{name}: healed"]
    (pod,) = FAILING[name]["pods"]
    more = {"volumes": [{"name": "gone", "configMap": {"name": "gone"}}]} if name == "Pending" else {}
    async with four.statuses() as seen:
        await four.apply(FAILURES[name], more)

        async def stuck() -> bool:
            pods = await four.newest_pods()
            return (
                bool(seen)
                and outcome(seen[-1]) == outcome(failing[-1]["status"])
                and [each["status"].get("phase") for each in pods] == [pod["status"]["phase"]]
                and state(pods[0]) == state(pod)
            )

        await until(stuck, 30)
    assert_rolls_like(failing, seen)
    pods = await four.newest_pods()
    if name in REASONS:

        async def told() -> bool:
            return REASONS[name] in {reason for _, reason in await four.events(pods[0]["metadata"]["name"])}

        await until(told)
    async with four.statuses() as seen:
        await four.apply(HEALED.get(name))
        await until(four.complete, 30)
        await until(lambda: outcome(seen[-1]) == outcome(healed[-1]["status"]))
    assert_rolls_like(healed, seen)


async def test_a_mount_and_the_mount_of_a_missing_key_on_one_node(one: Place) -> None:
    phases = ROLLOUTS["08f-ds-rollout-real-kubelet"]
    map_path = f"{SPACE}/configmaps/datakit-conf"

    def mounted(key: str) -> Obj:
        entry = {"name": "datakit-conf", "mountPath": f"{CONF}/etcd/etcd.conf", "subPath": key}
        return {"volumeMounts": [entry]}

    await one.admin.send("PATCH", map_path, {"data": {"etcd.conf": "one\n"}}, content_type=MERGE)
    for phase, key, what in (("mount added", "etcd.conf", "one\n"), ("mount of a missing key", "nope.conf", None),
                             ("healed", "etcd.conf", "one\n")):  # fmt: skip
        async with one.statuses() as seen:
            await one.apply(mounted(key))
            await until(one.complete, 30)
            final = outcome(phases[phase][-1]["status"])
            await until(lambda final=final, seen=seen: outcome(seen[-1]) == final)
        assert_rolls_like(phases[phase], seen, behind=1)
        (pod,) = await one.newest_pods()
        if what is None:  # no failure: a directory where the file should be
            with pytest.raises(IsADirectoryError):
                one.read(pod["metadata"]["name"], "datakit", f"{CONF}/etcd/etcd.conf")
        else:
            assert one.read(pod["metadata"]["name"], "datakit", f"{CONF}/etcd/etcd.conf") == what
        wanted = {("Normal", reason) for reason in ("Pulled", "Created", "Started")}
        assert wanted <= await one.events(pod["metadata"]["name"])


async def test_a_mounted_config_map_that_changes_goes_and_comes_back(one: Place) -> None:
    map_path = f"{SPACE}/configmaps/datakit-conf"

    def pod(name: str) -> Obj:
        file = {"mountPath": "/sub/etcd.conf", "subPath": "etcd.conf"}
        mounts = [{"name": "v", "mountPath": "/dir"}, {"name": "v", **file}]
        container = {"name": "main", "image": "busybox:1.35", "command": ["sleep", "3600"], "volumeMounts": mounts}
        volumes = [{"name": "v", "configMap": {"name": "datakit-conf"}}]
        spec = {"nodeName": "cp-1", "containers": [container], "volumes": volumes}
        return {"metadata": {"name": name}, "spec": spec}

    def seen(name: str) -> tuple[str, str]:
        texts = []
        for path in ("/dir/etcd.conf", "/sub/etcd.conf"):
            try:
                texts.append(one.read(name, "main", path))
            except FileNotFoundError:
                texts.append("")
        return texts[0], texts[1]

    async def runs(name: str) -> bool:
        return (await one.admin.get(f"{PODS}/{name}"))["status"].get("phase") == "Running"

    await one.admin.send("PATCH", map_path, {"data": {"etcd.conf": "one\n"}}, content_type=MERGE)
    await one.admin.send("POST", PODS, pod("a"))
    await until(lambda: runs("a"))
    assert seen("a") == ("one\n", "one\n")
    await one.admin.send("PATCH", map_path, {"data": {"etcd.conf": "two\n"}}, content_type=MERGE)
    await until(lambda: seen("a") == ("two\n", "one\n"), 20)

    await one.admin.send("DELETE", map_path)
    await one.admin.send("POST", PODS, pod("b"))

    async def waits() -> bool:
        found = await one.admin.get(f"{PODS}/b")
        states = [each["state"] for each in found["status"].get("containerStatuses", [])]
        held = ("Warning", "FailedMount") in await one.events("b")
        creating = states == [{"waiting": {"reason": "ContainerCreating"}}]
        return held and creating and found["status"]["phase"] == "Pending"

    await until(waits, 20)
    assert await runs("a")
    assert seen("a") == ("two\n", "one\n")
    assert (await one.events("a")) >= {("Normal", "Started")}

    body = {"metadata": {"name": "datakit-conf"}, "data": {"etcd.conf": "three\n"}}
    await one.admin.send("POST", f"{SPACE}/configmaps", body)
    await until(lambda: runs("b"), 20)
    await until(lambda: seen("a") == ("three\n", "one\n"), 20)
    assert seen("b") == ("three\n", "three\n")
    assert await one.events("b") >= {("Normal", reason) for reason in ("Pulled", "Created", "Started")}

    await one.admin.send("PATCH", map_path, {"data": None}, content_type=MERGE)
    await until(lambda: seen("a") == ("", "one\n"), 20)
