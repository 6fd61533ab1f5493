"""Each fault shows its symptom through the API or the studio while it is set, and neither before nor after."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from lab_clients import MAPS, PODS, SETS, apply, client_of, config_map, mount, pods_by_node, rollout
from lab_machines import until

from tui.core.checks import CHECKS
from tui.core.errors import UsageError
from tui.core.istio_conf import annotation
from tui.core.mesh import GATEWAY, INSTANCES, ISTIOD, WORKLOAD, Target
from tui.lab import faults
from tui.lab.client import Client
from tui.lab.main import LabOptions, run
from tui.lab.mesh_switches import deployment, rolled_out
from tui.lab.switches import SWITCHES
from tui.lab.world import Lab

FRESH_S = 3.0  # at 120 times the speed of the clock a collection comes every half second


def conf(url: str, more: str, tags: str = 'cluster_name_k8s = "lab"') -> str:
    return f"""\
[[inputs.prom]]
  urls = ["{url}"]
  source = "etcd"
  interval = "60s"
  metric_types = ["counter", "gauge", "histogram"]
  metric_name_filter = [
    "etcd_server_has_leader", "etcd_disk_wal_fsync",
  ]
{more}
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
  [inputs.prom.tags]
    {tags}
"""


def files(pair: str, election: str) -> str:
    pki = "/rootfs/etc/kubernetes/pki/etcd"
    lines = ["tls_open = true", f'tls_ca = "{pki}/ca.crt"', f'tls_cert = "{pki}/{pair}.crt"']
    return "\n".join(f"  {line}" for line in [*lines, f'tls_key = "{pki}/{pair}.key"', f"election = {election}"])


CONFS = {
    "node-http": conf("http://127.0.0.1:2381/metrics", "  election = false"),
    "node-tls": conf("https://127.0.0.1:2379/metrics", files("healthcheck-client", "false")),
    "elected": conf("https://172.16.0.229:2379/metrics", files("healthcheck-client", "true")),
    "tutorial": conf("https://172.16.0.229:2379/metrics", files("peer", "true")),
}


class Place:
    """A running lab, asked as people ask it: through the API server and the studio."""

    def __init__(self, lab: Lab, admin: Client, folder: Path) -> None:
        self.lab = lab
        self.admin = admin
        self.folder = folder

    async def set_up(self, strategy: str) -> None:
        await apply(self.admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": CONFS[strategy]}))
        await apply(self.admin, f"{SETS}/datakit", mount())
        await rollout(self.admin)

    async def studio(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        assert self.lab.studio is not None
        headers = {"DF-API-KEY": self.lab.api_key_file.read_text().strip()}
        url = f"{self.lab.studio.url}/api/v1/{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body, headers=headers) as got:
            return dict(await got.json())

    async def newest(self, field: str = "server_has_leader", measurement: str = "etcd") -> list[dict[str, Any]]:
        """The newest point of each series of a field: its tags, `age` in seconds and `value`."""
        assert self.lab.studio is not None
        now = time.time() * 1000
        query = f"M::{measurement}:(last({field})) BY host, instance, cluster_name_k8s"
        body = {"queries": [{"qtype": "dql", "query": {"q": query, "timeRange": [now - 60_000, now + 1000]}}]}
        for limit in (*self.lab.studio._per_key.values(), self.lab.studio._per_workspace):
            limit._times.clear()  # looking often is the test's own hurry
        answer = await self.studio("POST", "df/query_data_v1", body)
        found = []
        for series in answer["content"]["data"][0]["series"] or []:
            at = dict(zip(series["columns"], series["values"][-1], strict=True))
            value = next(cell for name, cell in at.items() if name != "time")
            found.append({**series["tags"], "age": (now - at["time"]) / 1000, "value": value})
        return found

    async def fresh(self, field: str = "server_has_leader", measurement: str = "etcd") -> list[dict[str, Any]]:
        return [each for each in await self.newest(field, measurement) if each["age"] < FRESH_S]

    async def ups(self) -> dict[str, float]:
        return {each["host"]: each["value"] for each in await self.fresh("up", "collector")}

    async def exec(self, node: str, *argv: str) -> str:
        name = (await pods_by_node(self.admin))[node]["metadata"]["name"]
        result = await self.lab.hooks.exec("datakit", name, "datakit", list(argv), None)
        return result.stdout.decode()


MOUNTED = "/usr/local/datakit/conf.d/etcd/etcd.conf"


async def silent(place: Place) -> bool:
    return not await place.fresh()


async def silent_even_up(place: Place) -> bool:
    return not await place.fresh() and not {"cp-1", "172.16.0.229"} & (await place.ups()).keys()


async def up_is_0(place: Place) -> bool:
    return (await place.ups()).get("cp-1") == 0


async def no_cluster_tag(place: Place) -> bool:
    return any(not each.get("cluster_name_k8s") for each in await place.fresh())


async def host_tag_default(place: Place) -> bool:
    answer = await place.exec("cp-1", "curl", "-s", "http://127.0.0.1:9529/v1/global/host/tags")
    return "cluster_name_k8s:default" in answer


async def old_text_in_the_pod(place: Place) -> bool:
    text = (await place.admin.get(f"{MAPS}/datakit-conf"))["data"]["etcd.conf"]
    return await place.exec("cp-1", "cat", MOUNTED) != text


async def a_directory_in_the_pod(place: Place) -> bool:
    return await place.exec("cp-1", "stat", "-c", "%F", MOUNTED) == "directory\n"


async def buckets_missing(place: Place) -> bool:
    return bool(await place.fresh()) and not await place.fresh("disk_wal_fsync_duration_seconds_bucket")


async def two_series(place: Place) -> bool:
    return len(await place.fresh()) == 2


async def a_stranger_leads(place: Place) -> bool:
    answer = await place.exec("cp-1", "curl", "-s", "http://127.0.0.1:9529/v1/dca/stat")
    return "another-cluster" in json.loads(answer)["content"]["elected"] and await silent(place)


async def helm_labels(place: Place) -> bool:
    metadata = (await place.admin.get(f"{SETS}/datakit"))["metadata"]
    managers = {each["manager"] for each in metadata["managedFields"]}
    return metadata["labels"].get("app.kubernetes.io/managed-by") == "Helm" and "helm" in managers


async def key_is_gone(place: Place) -> bool:
    return "etcd.conf" not in (await place.admin.get(f"{MAPS}/datakit-conf"))["data"]


async def may_not_patch(place: Place) -> bool:
    user = yaml.safe_load(place.lab.kubeconfig.read_text())["current-context"].removeprefix("lab-")
    client = client_of(place.lab, user, place.folder)
    attributes = {"verb": "patch", "group": "apps", "resource": "daemonsets", "namespace": "datakit"}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body = {**review, "spec": {"resourceAttributes": attributes}}
    try:
        answer = await client.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    finally:
        await client.close()
    return not answer["status"]["allowed"]


async def crash_loop(place: Place) -> bool:
    pod = (await pods_by_node(place.admin)).get("worker-1")
    if pod is None:
        return False
    (status,) = pod["status"]["containerStatuses"]
    events = (await place.admin.get(PODS.replace("pods", "events")))["items"]
    backed_off = any(each["reason"] == "BackOff" for each in events)
    waiting = status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    return waiting and status["restartCount"] >= 2 and not status["ready"] and backed_off


async def node_is_unknown(place: Place) -> bool:
    node = await place.admin.get("/api/v1/nodes/worker-1")
    ready = next(each for each in node["status"]["conditions"] if each["type"] == "Ready")
    item = await place.admin.get(f"{SETS}/datakit")
    return ready["status"] == "Unknown" and item["status"]["numberAvailable"] == 1


async def invalid_key(place: Place) -> bool:
    return (await place.studio("GET", "workspace/get"))["errorCode"] == "ft.InvalidAPIKey"


async def limited(place: Place) -> bool:
    return (await place.studio("GET", "workspace/get"))["errorCode"] == "ft.TriggerApiAkCurrentLimiting"


async def old_times(place: Place) -> bool:
    found = await place.newest()
    return bool(found) and all(each["age"] > FRESH_S + 2 for each in found)


# What a person sees, and with which strategy.
async def container_conf_is_a_directory(place: Place) -> bool:
    path = "/usr/local/datakit/conf.d/container/container.conf"
    return await place.exec("cp-1", "stat", "-c", "%F", path) == "directory\n"


async def no_ca(place: Place) -> bool:
    return "tls_ca" not in await place.exec("cp-1", "cat", MOUNTED) and bool(await place.fresh())


async def peer_certificate(place: Place) -> bool:
    return "peer.crt" in await place.exec("cp-1", "cat", MOUNTED) and bool(await place.fresh())


async def newer_than_its_reader(place: Place) -> bool:
    pod = (await pods_by_node(place.admin))["cp-1"]
    (status,) = pod["status"]["containerStatuses"]
    started = datetime.fromisoformat(status["state"]["running"]["startedAt"].replace("Z", "+00:00")).timestamp()
    path = "/rootfs/etc/kubernetes/pki/etcd/healthcheck-client.crt"
    written = float(await place.exec("cp-1", "stat", "-L", "-c", "%Y", path))
    return written > started + 1 and bool(await place.fresh())


async def containers_silent(place: Place) -> bool:
    return not await place.fresh("cpu_usage", "docker_containers")


SYMPTOMS: dict[str, tuple[str, Callable[[Place], Awaitable[bool]]]] = {
    "elected-on-worker": ("elected", silent_even_up),
    "no-cluster-tag": ("node-http", no_cluster_tag),
    "cluster-name-default": ("node-http", host_tag_default),
    "stale-subpath": ("node-http", old_text_in_the_pod),
    "missing-key-directory": ("node-http", a_directory_in_the_pod),
    "wrong-filter": ("node-http", silent),
    "histogram-dropped": ("node-http", buckets_missing),
    "wrong-ca": ("node-tls", up_is_0),
    "expired-cert": ("node-tls", up_is_0),
    "renewed-cert": ("node-tls", newer_than_its_reader),
    "mismatched-pair": ("node-tls", silent_even_up),
    "unreadable-cert": ("node-tls", silent_even_up),
    "peer-cert-missing": ("tutorial", silent_even_up),
    "wrong-port": ("node-http", up_is_0),
    "member-down": ("node-http", up_is_0),
    "duplicate-scrape": ("node-http", two_series),
    "election-namespace-clash": ("elected", a_stranger_leads),
    "helm-owner": ("node-http", helm_labels),
    "argo-reverts": ("node-http", key_is_gone),
    "viewer-rights": ("node-http", may_not_patch),
    "pod-crashloop": ("node-http", crash_loop),
    "node-notready": ("node-http", node_is_unknown),
    "dataway-down": ("node-http", silent),
    "wrong-token": ("node-http", silent),
    "studio-rate-limit": ("node-http", limited),
    "wrong-api-key": ("node-http", invalid_key),
    "clock-skew": ("node-http", old_times),
    "neighbours-gone": ("node-http", container_conf_is_a_directory),
    "no-ca": ("node-tls", no_ca),
    "over-privileged-cert": ("node-tls", peer_certificate),
    "container-input-off": ("node-http", containers_silent),
    "runtime-socket": ("node-http", containers_silent),
}


async def of_pods(place: Place, app: str, field: str) -> list[dict[str, Any]]:
    """The fresh points of a field that the sidecars or gateways of an app have exposed."""
    pods = (await place.admin.get("/api/v1/pods", labelSelector=f"app={app}"))["items"]
    here = {pod["status"].get("podIP") for pod in pods}
    return [each for each in await place.fresh(field, "istio_prom") if each["instance"].partition(":")[0] in here]


async def no_requests(place: Place) -> bool:
    return not await place.fresh("istio_requests_total", "istio_prom") and bool(
        await of_pods(place, "productpage", "istio_build")
    )


async def nothing_of_istiod(place: Place) -> bool:
    return not await place.fresh("pilot_services", "istio_prom")


async def nothing_of_productpage(place: Place) -> bool:
    return not await of_pods(place, "productpage", "istio_build")


async def no_latencies_of_productpage(place: Place) -> bool:
    return bool(await of_pods(place, "productpage", "istio_requests_total")) and not await of_pods(
        place, "productpage", "istio_request_duration_milliseconds_bucket"
    )


async def nothing_of_the_gateway(place: Place) -> bool:
    return not await of_pods(place, "istio-ingressgateway", "istio_build")


MESH_SYMPTOMS: dict[str, Callable[[Place], Awaitable[bool]]] = {
    "no-traffic": no_requests,
    "istiod-not-collected": nothing_of_istiod,
    "broken-annotation": nothing_of_productpage,
    "sidecar-histograms-dropped": no_latencies_of_productpage,
    "gateway-unreachable": nothing_of_the_gateway,
}
COLLECTED = {  # what is annotated before the faults come
    "istiod": Target(ISTIOD, "Deployment", "istio-system", "istiod"),
    "istio-ingressgateway": Target(GATEWAY, "Deployment", "istio-system", "istio-ingressgateway"),
    "productpage": Target(WORKLOAD, "Deployment", "prod", "productpage-v1"),
}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    lab = Lab(nodes=2, interval_s=0.5)
    await lab.start()
    admin = client_of(lab, "admin", tmp_path)
    yield Place(lab, admin, tmp_path)
    await admin.close()
    await lab.stop()


async def owners(place: Place) -> list[set[tuple[str, str]]]:
    found = []
    for path in (f"{MAPS}/datakit-conf", f"{SETS}/datakit"):
        entries = (await place.admin.get(path))["metadata"]["managedFields"]
        found.append({(each["manager"], each["operation"]) for each in entries})
    return found


async def content(place: Place) -> list[Any]:
    item = await place.admin.get(f"{SETS}/datakit")
    return [(await place.admin.get(f"{MAPS}/datakit-conf"))["data"], item["spec"], item["metadata"]["labels"]]


async def assert_healthy(place: Place) -> None:
    async def fed() -> bool:
        return bool(await place.fresh()) and 1 in (await place.ups()).values()

    await until(fed)
    assert (await place.studio("GET", "workspace/get"))["success"]
    await until(place.lab.cluster.is_rolled_out)


@pytest.mark.parametrize("name", [fault.name for fault in faults.FAULTS if not fault.needs_mesh])
async def test_a_fault_shows_while_it_is_set_and_not_before_or_after(name: str, place: Place) -> None:
    strategy, symptom = SYMPTOMS[name]

    async def sees() -> bool:
        return await symptom(place)

    async def sees_not() -> bool:
        return not await symptom(place)

    await place.set_up(strategy)
    await until(sees_not)
    before, held = await owners(place), await content(place)
    assert await place.lab.switches.set(name)
    assert place.lab.switches.names == (name,)
    await until(sees)
    await place.lab.switches.clear(name)
    await until(sees_not)
    assert place.lab.switches.names == ()
    assert await owners(place) == before
    assert await content(place) == held
    await assert_healthy(place)


@pytest.mark.slow
async def test_each_fault_of_the_mesh_shows_while_it_is_set_and_not_before_or_after(tmp_path: Path) -> None:
    lab = Lab(nodes=2, interval_s=0.5, mesh=True)
    await lab.start()
    admin = client_of(lab, "admin", tmp_path)
    place = Place(lab, admin, tmp_path)

    async def specs() -> list[Any]:
        paths = [deployment(one.namespace, one.name) for one in COLLECTED.values()]
        items = [await admin.get(path) for path in paths]
        return [[i["spec"], {(m["manager"], m["operation"]) for m in i["metadata"]["managedFields"]}] for i in items]

    try:
        for one in COLLECTED.values():
            path = deployment(one.namespace, one.name)
            text = {INSTANCES: annotation(one, "lean", "lab")}
            body = {"spec": {"template": {"metadata": {"annotations": text}}}}
            await admin.send("PATCH", path, body, content_type="application/merge-patch+json")
            await rolled_out(admin, path)
        for name, symptom in MESH_SYMPTOMS.items():

            async def sees(symptom: Callable[[Place], Awaitable[bool]] = symptom) -> bool:
                return await symptom(place)

            async def sees_not(symptom: Callable[[Place], Awaitable[bool]] = symptom) -> bool:
                return not await symptom(place)

            await until(sees_not)
            before = await specs()
            assert await lab.switches.set(name), name
            await until(sees)
            await lab.switches.clear(name)
            await until(sees_not)
            assert await specs() == before, name
    finally:
        await admin.close()
        await lab.stop()


async def test_a_fault_of_the_mesh_needs_one(place: Place) -> None:
    for name in MESH_SYMPTOMS:
        with pytest.raises(UsageError, match="This lab has no mesh"):
            await place.lab.switches.set(name)
    assert place.lab.switches.names == ()


async def test_a_fault_of_the_conf_waits_for_one(place: Place) -> None:
    assert not await place.lab.switches.set("wrong-port")
    await place.set_up("node-http")

    async def broken() -> bool:
        return await up_is_0(place)

    await until(broken)
    await place.lab.switches.clear("wrong-port")
    await assert_healthy(place)


async def test_what_a_person_repaired_stays_repaired(place: Place) -> None:
    await place.set_up("node-http")
    await place.lab.switches.set("wrong-port")
    text = CONFS["node-http"] + "# repaired\n"
    await place.admin.send(
        "PATCH",
        f"{MAPS}/datakit-conf",
        {"data": {"etcd.conf": text}},
        content_type="application/merge-patch+json",
    )
    await place.lab.switches.clear("wrong-port")
    assert (await place.admin.get(f"{MAPS}/datakit-conf"))["data"]["etcd.conf"] == text


async def test_one_of_three_members_is_down() -> None:
    lab = Lab(nodes=4, control_planes=3, interval_s=0.5, faults=["member-down"])
    await lab.start()
    try:

        async def health() -> dict[str, object]:
            states: dict[str, object] = {}
            for node in ("cp-1", "cp-2", "cp-3"):
                try:
                    answer = await lab.network.request(node, "GET", "http://127.0.0.1:2381/health")
                    states[node] = answer.status
                except OSError as error:
                    states[node] = str(error)
                except Exception as error:  # noqa: BLE001 - NetworkError, whatever its kind
                    states[node] = getattr(error, "kind", "?")
            return states

        assert await health() == {"cp-1": 200, "cp-2": 200, "cp-3": "refused"}
        assert [member["node"] for member in lab.ready()["etcd"]["members"]] == ["cp-1", "cp-2", "cp-3"]
        assert lab.ready()["faults"] == ["member-down"]
        await lab.switches.clear("member-down")
        assert await health() == {"cp-1": 200, "cp-2": 200, "cp-3": 200}
    finally:
        await lab.stop()


def test_the_list_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(LabOptions(list_faults=True, output="json")) == 0
    listed = json.loads(capsys.readouterr().out)["faults"]
    assert {each["name"] for each in listed} == {*SYMPTOMS, *MESH_SYMPTOMS} == set(SWITCHES)
    assert {each["name"] for each in listed if each["needs_mesh"]} == set(MESH_SYMPTOMS)
    assert len(listed) >= 23
    assert all(each["broken"] and each["symptom"] for each in listed)
    assert run(LabOptions(list_faults=True)) == 0
    text = capsys.readouterr().out
    assert all(f"{name}  (" in text for name in SYMPTOMS)


def test_each_fault_names_a_check_that_there_is() -> None:
    known = {check.id for check in CHECKS} | {"datakit/owner"}  # that one is for the plan to tell so far
    assert [fault.name for fault in faults.FAULTS if fault.check not in known] == []


async def test_changes_that_make_no_sense_are_refused(place: Place) -> None:
    with pytest.raises(UsageError, match="There is no such fault: nope"):
        await place.lab.switches.set("nope")
    with pytest.raises(UsageError, match="This fault is not set: wrong-ca"):
        await place.lab.switches.clear("wrong-ca")


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no such fault: nope"):
        faults.check_names(["member-down", "nope"])
