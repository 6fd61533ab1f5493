"""Each fault breaks what it says, and nothing else keeps the lab from getting ready."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from cryptography import x509
from lab_machines import until

from tui.core.errors import UsageError
from tui.lab import faults, vendor
from tui.lab.agent import Agent
from tui.lab.client import Client
from tui.lab.main import LabOptions, run
from tui.lab.network import NetworkError, tls_context
from tui.lab.pki import ETCD_FOLDER
from tui.lab.world import Lab


@contextlib.asynccontextmanager
async def started(*names: str, **options: Any) -> AsyncIterator[Lab]:
    """A lab with these faults."""
    lab = Lab(interval_s=0.5, faults=names, **options)
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()


def agents(lab: Lab) -> dict[str, Agent]:
    """The agent of each node."""
    found = {}
    for name, kubelet in lab.kubelets.items():
        for pod in kubelet._pods.values():
            found[name] = pod.agents["datakit"]
    return found


async def ask_studio(lab: Lab) -> dict[str, Any]:
    """What the studio says to the key that the lab hands out."""
    assert lab.studio is not None
    headers = {"DF-API-KEY": lab.api_key_file.read_text().strip()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{lab.studio.url}/api/v1/workspace/get", headers=headers) as answer,
    ):
        return dict(await answer.json())


async def daemon_set(lab: Lab, folder: Path) -> dict[str, Any]:
    document = yaml.safe_load(lab.kubeconfig.read_text())
    user = document["users"][0]["user"]
    for name in ("client-certificate-data", "client-key-data"):
        (folder / name).write_bytes(base64.b64decode(user[name]))
    cluster = document["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster["certificate-authority-data"])
    tls = tls_context(ca, str(folder / "client-certificate-data"), str(folder / "client-key-data"))
    client = Client(cluster["server"], tls, "tests/1.0")
    try:
        return await client.get("/apis/apps/v1/namespaces/datakit/daemonsets/datakit")
    finally:
        await client.close()


async def healthy(lab: Lab, tmp_path: Path) -> None:
    assert (await ask_studio(lab))["success"]
    everyone = agents(lab)
    await until(lambda: {agent.state.election.leader for agent in everyone.values()} == {"cp-1"})
    document = yaml.safe_load(lab.kubeconfig.read_text())
    assert document["current-context"] == "lab-admin"
    answer = await lab.network.request("cp-1", "GET", "http://127.0.0.1:2381/health")
    assert answer.status == 200


async def elected_on_worker(lab: Lab, tmp_path: Path) -> None:
    everyone = agents(lab)
    await until(lambda: {agent.state.election.leader for agent in everyone.values()} == {"worker-1"})


async def viewer_rights(lab: Lab, tmp_path: Path) -> None:
    assert yaml.safe_load(lab.kubeconfig.read_text())["current-context"] == "lab-viewer"


async def helm_owner(lab: Lab, tmp_path: Path) -> None:
    metadata = (await daemon_set(lab, tmp_path))["metadata"]
    assert ("helm", "Update") in {(each["manager"], each["operation"]) for each in metadata["managedFields"]}
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert metadata["annotations"]["meta.helm.sh/release-name"] == "datakit"


async def member_down(lab: Lab, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:2381/health", "https://127.0.0.1:2379/health"):
        with pytest.raises(NetworkError, match="refused"):
            await lab.network.request("cp-1", "GET", url)


async def expired_cert(lab: Lab, tmp_path: Path) -> None:
    folder = lab.nodes[0].path(ETCD_FOLDER)
    pair = [str(folder / f"healthcheck-client.{end}") for end in ("crt", "key")]
    tls = tls_context((folder / "ca.crt").read_bytes(), *pair)
    with pytest.raises(NetworkError) as caught:
        await lab.network.request("cp-1", "GET", "https://127.0.0.1:2379/health", tls=tls)
    assert caught.value.kind == "certificate"
    found = x509.load_pem_x509_certificate(Path(pair[0]).read_bytes())
    assert found.not_valid_before_utc < found.not_valid_after_utc


async def peer_cert_missing(lab: Lab, tmp_path: Path) -> None:
    names = {path.name for path in lab.nodes[0].path(ETCD_FOLDER).iterdir()}
    assert "server.crt" in names
    assert not {"peer.crt", "peer.key"} & names


async def dataway_down(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="refused"):
        await lab.network.request("cp-1", "GET", f"https://{vendor.DATAWAY_HOST}/v1/ntp")


async def wrong_token(lab: Lab, tmp_path: Path) -> None:
    env = agents(lab)["cp-1"].container.env["ENV_DATAWAY"]
    answer = await lab.network.request("cp-1", "POST", env.replace("?", "/v1/write/metric?"))
    assert answer.status == 403


async def wrong_api_key(lab: Lab, tmp_path: Path) -> None:
    assert (await ask_studio(lab))["errorCode"] == "ft.InvalidAPIKey"


async def studio_rate_limit(lab: Lab, tmp_path: Path) -> None:
    assert (await ask_studio(lab))["errorCode"] == "ft.TriggerApiAkCurrentLimiting"


PROOFS: dict[str, Callable[[Lab, Path], Any]] = {
    "elected-on-worker": elected_on_worker,
    "viewer-rights": viewer_rights,
    "helm-owner": helm_owner,
    "member-down": member_down,
    "expired-cert": expired_cert,
    "peer-cert-missing": peer_cert_missing,
    "dataway-down": dataway_down,
    "wrong-token": wrong_token,
    "wrong-api-key": wrong_api_key,
    "studio-rate-limit": studio_rate_limit,
}


async def test_without_a_fault_all_is_well(tmp_path: Path) -> None:
    async with started() as lab:
        await healthy(lab, tmp_path)


@pytest.mark.parametrize("name", [fault.name for fault in faults.FAULTS])
async def test_a_fault_breaks_what_it_says(name: str, tmp_path: Path) -> None:
    async with started(name) as lab:
        await PROOFS[name](lab, tmp_path)


async def test_one_of_three_members_is_down() -> None:
    async with started("member-down", nodes=4, control_planes=3) as lab:
        states = {}
        for node in ("cp-1", "cp-2", "cp-3"):
            try:
                answer = await lab.network.request(node, "GET", "http://127.0.0.1:2381/health")
                states[node] = answer.status
            except NetworkError as error:
                states[node] = error.kind
        assert states == {"cp-1": 200, "cp-2": 200, "cp-3": "refused"}
        assert [member["node"] for member in lab.ready()["etcd"]["members"]] == ["cp-1", "cp-2", "cp-3"]


def test_the_list_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(LabOptions(list_faults=True, output="json")) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {each["name"] for each in listed} == set(PROOFS)
    assert all(each["broken"] and each["symptom"] for each in listed)
    assert run(LabOptions(list_faults=True)) == 0
    text = capsys.readouterr().out
    assert all(f"{name}  (" in text for name in PROOFS)


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no such fault: nope"):
        faults.check_names(["member-down", "nope"])
