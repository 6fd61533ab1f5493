"""The lab on a real kube-apiserver, where KUBEBUILDER_ASSETS names one: the same pods, commands, logs and rollouts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lab_clients import MAPS, MERGE, PODS, SETS, apply, client_of, config_map, mount, pods_by_node, rollout
from lab_machines import until

from tui.backend import connect
from tui.core.errors import UsageError
from tui.lab import realserver
from tui.lab.client import ApiStatusError, Client
from tui.lab.world import Lab

CONF = '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  source = "etcd"\n  election = false\n'
needs_server = pytest.mark.skipif(
    not os.environ.get(realserver.ASSETS), reason="no kube-apiserver: KUBEBUILDER_ASSETS is not set"
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    made = Lab(nodes=2, interval_s=0.5, programs=realserver.binaries(os.environ))
    await made.start()
    yield made
    await made.stop()
    assert not made.folder.exists()


@pytest.fixture
async def admin(lab: Lab, tmp_path: Path) -> AsyncIterator[Client]:
    made = client_of(lab, "admin", tmp_path)
    yield made
    await made.close()


@needs_server
async def test_the_lab_stands_on_a_real_api_server(lab: Lab, admin: Client) -> None:
    assert lab.ready()["apiserver"] == "kube-apiserver"
    assert (await admin.get("/version"))["gitVersion"].startswith("v1.")
    pods = await pods_by_node(admin)
    assert sorted(pods) == ["cp-1", "worker-1"]
    name = pods["cp-1"]["metadata"]["name"]
    ping = await admin.get(f"{PODS}/{name}:9529/proxy/v1/ping")
    assert ping["content"]["host"] == "cp-1"
    with pytest.raises(ApiStatusError) as caught:
        await admin.get(f"{PODS}/{name}:9529/proxy/metrics")
    assert caught.value.code == 403

    cluster = connect(str(lab.kubeconfig)).clusters().connect("lab-admin")
    stat = ["curl", "-s", "http://127.0.0.1:9529/v1/dca/stat"]
    result = await asyncio.to_thread(cluster.exec, "datakit", name, "datakit", stat)
    assert result.code == 0
    assert b'"success":true' in result.stdout
    result = await asyncio.to_thread(cluster.exec, "datakit", name, "datakit", ["cat", "/nope"])
    assert (result.code, result.stderr) == (1, b"cat: /nope: No such file or directory\n")

    await apply(admin, f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": CONF}))
    await apply(admin, f"{SETS}/datakit", mount())
    await rollout(admin)
    assert await lab.switches.set("node-notready")
    item = await admin.get(f"{SETS}/datakit")
    assert item["status"]["numberUnavailable"] == 1
    await lab.switches.clear("node-notready")
    await until(lab.cluster.is_rolled_out)
    text = (lab.folder / "audit-apiserver.jsonl").read_text()
    assert '"username":"admin"' in text


def test_without_the_programs_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KUBEBUILDER_ASSETS is not set"):
        realserver.binaries({})
    with pytest.raises(UsageError, match="no program kube-apiserver"):
        realserver.binaries({realserver.ASSETS: str(tmp_path)})


@needs_server
async def test_the_mesh_stands_on_a_real_api_server(tmp_path: Path) -> None:
    lab = Lab(nodes=2, interval_s=0.5, programs=realserver.binaries(os.environ), mesh=True)
    await lab.start()
    admin = client_of(lab, "admin", tmp_path)
    path = "/apis/apps/v1/namespaces/prod/deployments/details-v1"
    body = {"spec": {"template": {"metadata": {"annotations": {"note": "two"}}}}}
    changed = await admin.send("PATCH", path, body, content_type=MERGE)

    async def rolled() -> bool:
        item = await admin.get(path)
        status = item["status"]
        seen = status.get("observedGeneration", 0) >= changed["metadata"]["generation"]
        return seen and status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == 1

    await until(rolled, 60)
    pods = (await admin.get("/api/v1/namespaces/prod/pods", labelSelector="app=details"))["items"]
    (pod,) = [each for each in pods if not each["metadata"].get("deletionTimestamp")]
    assert [each["ready"] for each in pod["status"]["containerStatuses"]] == [True, True]
    budget = await admin.get("/apis/policy/v1/namespaces/istio-system/poddisruptionbudgets/istiod")
    assert budget["status"]["disruptionsAllowed"] == 1
    await admin.close()
    await lab.stop()
