"""The whole lab in this process: what the cluster holds, rollouts, mounts, and points that reach the studio."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lab_clients import (
    APPLY,
    MAPS,
    MERGE,
    MOUNTED,
    PODS,
    SETS,
    SPACE,
    apply,
    client_of,
    config_map,
    daemon_set,
    mount,
    pods_by_node,
    points,
    rolled_out,
    rollout,
)
from lab_machines import until

from tui.lab.client import ApiStatusError, Client
from tui.lab.world import Lab

CONF = """\
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  metric_name_filter = ["etcd_server_proposals", "etcd_server_has_leader"]
  election = false
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
  [inputs.prom.tags]
    cluster_name_k8s = "lab"
"""
ETCD = shutil.which("etcd")
BINARIES = [
    pytest.param(None, id="stand-in"),
    pytest.param(ETCD, id="etcd", marks=pytest.mark.skipif(ETCD is None, reason="etcd is not installed")),
]


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab at 120 times the speed of the clock, with the stand-in for etcd."""
    made = Lab(interval_s=0.5, seed=1)
    await made.start()
    yield made
    await made.stop()
    assert not made.folder.exists()


@pytest.fixture
async def admin(lab: Lab, tmp_path: Path) -> AsyncIterator[Client]:
    made = client_of(lab, "admin", tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def viewer(lab: Lab, tmp_path: Path) -> AsyncIterator[Client]:
    made = client_of(lab, "viewer", tmp_path)
    yield made
    await made.close()


async def test_what_the_cluster_holds(lab: Lab, admin: Client) -> None:
    nodes = (await admin.get("/api/v1/nodes"))["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["cp-1", "worker-1", "worker-2", "worker-3"]
    roles = [node["metadata"]["labels"].get("node-role.kubernetes.io/control-plane") for node in nodes]
    assert roles == ["", None, None, None]
    assert nodes[0]["status"]["addresses"][0] == {"type": "InternalIP", "address": "172.16.0.229"}
    (etcd,) = (await admin.get("/api/v1/namespaces/kube-system/pods", labelSelector="component=etcd"))["items"]
    assert etcd["metadata"]["annotations"]["kubeadm.kubernetes.io/etcd.advertise-client-urls"] == (
        "https://172.16.0.229:2379"
    )
    assert "--listen-metrics-urls=http://127.0.0.1:2381" in etcd["spec"]["containers"][0]["command"]
    assert etcd["status"]["phase"] == "Running"
    item = await admin.get(f"{SETS}/datakit")
    assert rolled_out(item)
    owners = {(each["manager"], each["operation"]) for each in item["metadata"]["managedFields"]}
    assert owners == {("kubectl-client-side-apply", "Update"), ("kube-controller-manager", "Update")}
    assert "kubectl.kubernetes.io/last-applied-configuration" in item["metadata"]["annotations"]
    pods = await pods_by_node(admin)
    assert sorted(pods) == ["cp-1", "worker-1", "worker-2", "worker-3"]
    for pod in pods.values():
        conditions = {each["type"]: each["status"] for each in pod["status"]["conditions"]}
        assert conditions["Ready"] == conditions["ContainersReady"] == "True"
        assert pod["metadata"]["generateName"] == "datakit-"


async def test_no_port_of_the_lab_shows_in_the_cluster(lab: Lab, admin: Client) -> None:
    assert lab.studio is not None
    port = lab.studio.url.rpartition(":")[2]
    ports = [port, *(str(each.client.port) for each in lab.etcd.members)] if lab.etcd else [port]
    for path in (f"{SETS}/datakit", PODS, MAPS, "/api/v1/nodes", "/api/v1/namespaces/kube-system/pods"):
        text = json.dumps(await admin.get(path))
        assert [each for each in ports if f":{each}" in text] == []


async def test_applied_conf_is_rolled_out_one_by_one_and_reaches_the_studio(lab: Lab, admin: Client) -> None:
    before = {pod["metadata"]["name"] for pod in (await pods_by_node(admin)).values()}
    await apply(admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": CONF}))
    await apply(admin, f"{SETS}/datakit", mount())
    seen = await rollout(admin)
    assert min(each.get("numberAvailable", 0) for each in seen) >= 3
    after = await pods_by_node(admin)
    assert not before & {pod["metadata"]["name"] for pod in after.values()}
    assert set((await admin.get(f"{MAPS}/datakit-conf"))["data"]) == {"container.conf", "etcd.conf"}
    await until(lambda: len(points(lab, "etcd", "server_proposals_committed_total")) >= 3)
    found = points(lab, "etcd", "server_proposals_committed_total")
    assert {tuple(sorted(tags.items())) for tags, _ in found} == {
        (
            ("cluster_name_k8s", "lab"),
            ("host", "cp-1"),
            ("host_ip", "172.16.0.229"),
            ("instance", "127.0.0.1:2381"),
        )
    }
    await until(lambda: {tags["host"] for tags, _ in points(lab, "collector", "up")} == set(after))
    ups = {tags["host"]: value for tags, value in points(lab, "collector", "up")}
    assert ups == {"cp-1": 1, "worker-1": 0, "worker-2": 0, "worker-3": 0}


@pytest.mark.parametrize("binary", BINARIES)
async def test_the_studio_holds_what_the_member_says(binary: str | None, tmp_path: Path) -> None:
    """The newest point lies between two direct scrapes of the member, made before and after its collection."""
    lab = Lab(interval_s=0.5, etcd_binary=binary)
    await lab.start()
    admin = client_of(lab, "admin", tmp_path)
    try:
        assert lab.ready()["etcd"]["kind"] == ("etcd" if binary else "stand-in")
        url = lab.ready()["etcd"]["members"][0]["direct"]
        name = "server_proposals_committed_total"
        await apply(admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": CONF}))
        await apply(admin, f"{SETS}/datakit", mount())
        await rollout(admin)
        await until(lambda: points(lab, "etcd", name))
        before = await scrape(url, f"etcd_{name}")
        count = len(points(lab, "etcd", name))
        # One round may have been scraped before `before` and be on its way still: the second new one is
        # surely later.
        await until(lambda: len(points(lab, "etcd", name)) >= count + 2)
        _, value = points(lab, "etcd", name)[-1]
        after = await scrape(url, f"etcd_{name}")
        assert before <= value <= after
        assert before > 0
    finally:
        await admin.close()
        await lab.stop()


async def scrape(url: str, name: str) -> float:
    """One value, read from the member without the lab's network."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def test_directory_mounts_follow_their_config_map(lab: Lab, admin: Client) -> None:
    entry = {"name": "datakit-conf", "mountPath": "/conf"}
    spec = {"template": {"spec": {"containers": [{"name": "datakit", "volumeMounts": [entry]}]}}}
    await apply(admin, f"{SETS}/datakit", daemon_set(spec))
    await rollout(admin)
    pod = (await pods_by_node(admin))["cp-1"]["metadata"]["name"]

    async def names() -> list[bytes]:
        return (await lab.hooks.exec("datakit", pod, "datakit", ["ls", "/conf"], None)).stdout.splitlines()

    assert await names() == [b"container.conf"]
    await apply(admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": CONF}))

    async def followed() -> bool:
        return await names() == [b"container.conf", b"etcd.conf"]

    await until(followed)


async def test_going_back_reuses_the_revision(lab: Lab, admin: Client) -> None:
    path = "/apis/apps/v1/namespaces/datakit/controllerrevisions"
    (first,) = (await admin.get(path))["items"]
    pods = await pods_by_node(admin)
    label = first["metadata"]["labels"]["controller-revision-hash"]
    assert {pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods.values()} == {label}
    await apply(admin, f"{SETS}/datakit", mount("container.conf", "/usr/local/datakit/conf.d/again.conf"))
    await rollout(admin)
    assert sorted(each["revision"] for each in (await admin.get(path))["items"]) == [1, 2]
    await apply(admin, f"{SETS}/datakit", {key: value for key, value in daemon_set({}).items() if key != "spec"})
    await rollout(admin)
    revisions = {each["metadata"]["name"]: each["revision"] for each in (await admin.get(path))["items"]}
    assert len(revisions) == 2
    assert revisions[first["metadata"]["name"]] == 3


async def test_sub_path_files_need_new_pods_and_a_missing_key_is_a_directory(lab: Lab, admin: Client) -> None:
    await apply(admin, f"{SETS}/datakit", mount())
    await rollout(admin)

    async def run(*argv: str) -> tuple[int, str]:
        pod = (await pods_by_node(admin))["cp-1"]["metadata"]["name"]
        result = await lab.hooks.exec("datakit", pod, "datakit", list(argv), None)
        return result.code, result.stdout.decode()

    assert await run("stat", "-c", "%F", MOUNTED) == (0, "directory\n")
    await apply(admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": "first = 1\n"}))
    assert await run("stat", "-c", "%F", MOUNTED) == (0, "directory\n")
    await apply(admin, f"{SETS}/datakit", mount(hash="1"))
    await rollout(admin)
    assert await run("cat", MOUNTED) == (0, "first = 1\n")
    await apply(admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": "second = 2\n"}))
    assert await run("cat", MOUNTED) == (0, "first = 1\n")
    await apply(admin, f"{SETS}/datakit", mount(hash="2"))
    await rollout(admin)
    assert await run("cat", MOUNTED) == (0, "second = 2\n")


async def test_a_missing_config_map_holds_new_pods_back(lab: Lab, admin: Client) -> None:
    kept = await admin.get(f"{MAPS}/datakit-conf")
    await admin.send("DELETE", f"{MAPS}/datakit-conf")
    await apply(admin, f"{SETS}/datakit", mount("container.conf", "/usr/local/datakit/conf.d/again.conf"))

    async def held() -> Any:
        events = (await admin.get(f"{SPACE}/events"))["items"]
        return [each for each in events if each["reason"] == "FailedMount" and each.get("count", 0) >= 2]

    (event, *_) = await until(held)
    assert event["message"] == 'MountVolume.SetUp failed for volume "datakit-conf" : configmap "datakit-conf" not found'
    item = await admin.get(f"{SETS}/datakit")
    assert item["status"]["numberUnavailable"] == 1
    assert not rolled_out(item)
    pod = await admin.get(f"{PODS}/{event['involvedObject']['name']}")
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    body = {key: kept[key] for key in ("apiVersion", "kind", "data")} | {"metadata": {"name": "datakit-conf"}}
    await admin.send("POST", MAPS, body)
    await rollout(admin)


async def test_on_delete_waits_for_the_person(lab: Lab, admin: Client) -> None:
    body = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
    await admin.send("PATCH", f"{SETS}/datakit", body, content_type=MERGE)
    await apply(admin, f"{SETS}/datakit", mount(hash="1"))

    async def noticed() -> bool:
        item = await admin.get(f"{SETS}/datakit")
        return bool(item["status"]["observedGeneration"] == item["metadata"]["generation"])

    await until(noticed)
    pods = await pods_by_node(admin)
    assert "updatedNumberScheduled" not in (await admin.get(f"{SETS}/datakit"))["status"]
    await admin.send("DELETE", f"{PODS}/{pods['worker-2']['metadata']['name']}")

    async def one_is_new() -> bool:
        status = (await admin.get(f"{SETS}/datakit"))["status"]
        return bool(status.get("updatedNumberScheduled") == 1 and status.get("numberAvailable") == 4)

    await until(one_is_new)
    again = await pods_by_node(admin)
    assert [node for node in pods if again[node]["metadata"]["uid"] != pods[node]["metadata"]["uid"]] == ["worker-2"]


async def test_deleting_the_daemon_set_takes_its_pods_away(lab: Lab, admin: Client) -> None:
    await admin.send("DELETE", f"{SETS}/datakit")

    async def gone() -> bool:
        return not await pods_by_node(admin)

    await until(gone)
    assert [kubelet for kubelet in lab.kubelets.values() if kubelet._pods] == []


async def test_the_viewer_may_look_and_no_more(lab: Lab, viewer: Client) -> None:
    assert len((await viewer.get("/api/v1/nodes"))["items"]) == 4
    assert (await viewer.get(f"{MAPS}/datakit-conf"))["data"]
    assert rolled_out(await viewer.get(f"{SETS}/datakit"))
    for method, path, body in (
        ("GET", "/api/v1/namespaces/kube-system/pods", None),
        ("PATCH", f"{MAPS}/datakit-conf", config_map(x="y")),
        ("PATCH", f"{SETS}/datakit", mount()),
        ("GET", f"{PODS}/x/exec?command=env&stdout=true", None),
    ):
        with pytest.raises(ApiStatusError) as caught:
            await viewer.send(method, path, body, query={"fieldManager": "x"}, content_type=APPLY)
        assert caught.value.code == 403
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    for verb in ("get", "create"):
        attributes = {"verb": verb, "resource": "pods", "subresource": "exec", "namespace": "datakit"}
        body = {**review, "spec": {"resourceAttributes": attributes}}
        answer = await viewer.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        assert answer["status"]["allowed"] is False


async def test_secrets_lie_in_private_files(lab: Lab) -> None:
    assert lab.folder.stat().st_mode & 0o777 == 0o700
    for path in (lab.kubeconfig, lab.api_key_file, lab.reader_key_file, *lab.folder.rglob("*.key")):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_proxy_is_not_loopback(lab: Lab, admin: Client) -> None:
    name = (await pods_by_node(admin))["worker-1"]["metadata"]["name"]
    ping = await admin.get(f"{PODS}/{name}:9529/proxy/v1/ping")
    assert ping["content"]["host"] == "worker-1"
    with pytest.raises(ApiStatusError) as caught:
        await admin.get(f"{PODS}/{name}:9529/proxy/metrics")
    assert caught.value.code == 403
