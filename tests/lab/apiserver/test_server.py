"""The server as a whole: seeding, audit, limits, the end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.lab.apiserver.conftest import Authority, Nodes, vendor_daemon_set, with_pod
from tui.lab.apiserver import ApiServer


async def test_seeded_objects_have_an_owner_and_keep_their_status(make_server: Any) -> None:
    server = make_server()
    server.seed(with_pod(), manager="kubelet")
    server.seed([vendor_daemon_set()], manager="kubectl-client-side-apply")
    pod = server.store.get("pods", "datakit", "web")
    assert pod["status"]["phase"] == "Running"
    assert pod["metadata"]["uid"]
    found = server.store.get("daemonsets.apps", "datakit", "datakit")
    assert [(entry["manager"], entry["operation"]) for entry in found["metadata"]["managedFields"]] == [
        ("kubectl-client-side-apply", "Update")
    ]
    with pytest.raises(ValueError, match="Ingress"):
        server.seed([{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "x"}}])


async def test_a_bare_server_has_the_system_namespaces(make_server: Any) -> None:
    names = [key[1] for key, _ in make_server().store.items("namespaces")]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]


async def test_every_request_is_audited(make_server: Any, authority: Authority, admin: tuple[Path, Path]) -> None:
    seen: list[dict[str, Any]] = []
    server = make_server(audit=seen.append)
    url = await server.start()
    try:
        connector = aiohttp.TCPConnector(ssl=authority.context(admin))
        async with aiohttp.ClientSession(url, connector=connector) as session:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}}
            path = "/api/v1/namespaces/default/configmaps"
            await (await session.post(path, json=body, params={"dryRun": "All"})).read()
            await (await session.get(f"{path}/nope")).read()
    finally:
        await server.stop()
    told = [
        (each["user"], each["verb"], each["resource"], each["name"], each["dry_run"], each["status"]) for each in seen
    ]
    assert told == [
        ("kubernetes-admin", "create", "configmaps", "", True, 201),
        ("kubernetes-admin", "get", "configmaps", "nope", False, 404),
    ]


async def test_stopping_ends_open_watches(make_server: Any, authority: Authority, admin: tuple[Path, Path]) -> None:
    server = make_server(kubelets=Nodes())
    url = await server.start()
    connector = aiohttp.TCPConnector(ssl=authority.context(admin))
    async with aiohttp.ClientSession(url, connector=connector) as session:
        answer = await session.get("/api/v1/namespaces?watch=1&resourceVersion=0")
        await answer.content.readline()
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 2
        async with asyncio.timeout(2):
            await answer.content.read()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get("/version")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/apis/networking.k8s.io/v1/ingresses", 200, ""),
        (
            "GET",
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses/x",
            404,
            'ingresses.networking.k8s.io "x" not found',
        ),
        (
            "POST",
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
            501,
            "writes to ingresses.networking.k8s.io",
        ),
        ("POST", "/api/v1/namespaces/default/serviceaccounts/x/token", 501, "does not serve serviceaccounts/token"),
        ("GET", "/api/v1/namespaces/datakit/pods/web/portforward", 501, "does not serve pods/portforward"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/default/events", 501, "does not serve writes to events"),
    ],
)
async def test_what_is_left_out_says_so(
    session: aiohttp.ClientSession, method: str, path: str, status: int, text: str
) -> None:
    async with session.request(method, path, json={} if method == "POST" else None) as answer:
        body = await answer.json()
        assert answer.status == status
        assert text in body.get("message", "")


async def test_a_deleted_pod_waits_for_its_kubelet(session: aiohttp.ClientSession) -> None:
    path = "/api/v1/namespaces/datakit/pods/web"
    async with session.delete(path) as answer:
        assert (await answer.json())["metadata"]["deletionGracePeriodSeconds"] == 30
    async with session.delete(path, json={"gracePeriodSeconds": 0}) as answer:
        assert answer.status == 200
    async with session.get(path) as answer:
        assert answer.status == 404


async def test_a_pod_needs_its_service_account(session: aiohttp.ClientSession) -> None:
    path = "/api/v1/namespaces/datakit"
    body = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    async with session.post(f"{path}/pods", json=body) as answer:
        assert answer.status == 403
        assert 'serviceaccount "default" not found' in (await answer.json())["message"]
    await (await session.post(f"{path}/serviceaccounts", json={"metadata": {"name": "default"}})).read()
    async with session.post(f"{path}/pods", json=body) as answer:
        made = await answer.json()
        assert answer.status == 201
    mounts = made["spec"]["containers"][0]["volumeMounts"]
    assert mounts[0]["name"] == made["spec"]["volumes"][0]["name"]
    assert made["status"]["qosClass"] == "BestEffort"


async def test_nothing_listens_before_start(make_server: Any) -> None:
    server: ApiServer = make_server()
    assert server.url == ""
    await server.stop()


async def test_acting_as_another_user(session: aiohttp.ClientSession) -> None:
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    headers = {"Impersonate-User": "jane", "Impersonate-Group": "developers"}
    async with session.post(reviews, json={}, headers=headers) as answer:
        user = (await answer.json())["status"]["userInfo"]
    assert user == {"username": "jane", "groups": ["developers", "system:authenticated"]}
    async with session.get("/api/v1/namespaces/datakit/pods", headers=headers) as answer:
        assert answer.status == 403
        assert 'User "jane" cannot list resource "pods"' in (await answer.json())["message"]


async def test_acting_as_another_user_takes_a_right(server: ApiServer, authority: Authority) -> None:
    connector = aiohttp.TCPConnector(ssl=authority.context(authority.issue("nobody-special")))
    headers = {"Impersonate-User": "kubernetes-admin"}
    async with (
        aiohttp.ClientSession(server.url, connector=connector) as session,
        session.get("/version", headers=headers) as answer,
    ):
        assert answer.status == 403
        assert 'cannot impersonate resource "users"' in (await answer.json())["message"]


async def test_the_last_finalizer_ends_the_wait(session: aiohttp.ClientSession, server: ApiServer) -> None:
    path = "/api/v1/namespaces/datakit/configmaps"
    await (await session.post(path, json={"metadata": {"name": "kept", "finalizers": ["example.com/wait"]}})).read()
    async with session.delete(f"{path}/kept") as answer:
        assert (await answer.json())["metadata"]["deletionTimestamp"]
    before = server.store.revision
    headers = {"Content-Type": "application/merge-patch+json"}
    body = '{"metadata": {"finalizers": null}}'
    async with session.patch(f"{path}/kept", data=body, headers=headers) as answer:
        assert answer.status == 200
    assert [change.kind for change in server.store.since("configmaps", before)] == ["DELETED"]


async def test_a_deleted_namespace_is_emptied(
    session: aiohttp.ClientSession, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.lab.apiserver.namespaces.EVERY", 0.01)
    await (await session.post("/api/v1/namespaces/datakit/configmaps", json={"metadata": {"name": "a"}})).read()
    async with session.delete("/api/v1/namespaces/datakit") as answer:
        assert (await answer.json())["status"]["phase"] == "Terminating"
    async with session.post("/api/v1/namespaces/datakit/configmaps", json={"metadata": {"name": "b"}}) as answer:
        assert answer.status == 403
        assert (await answer.json())["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    async with asyncio.timeout(5):
        while server.store.items("configmaps", "datakit"):
            await asyncio.sleep(0.01)
    pod = server.store.get("pods", "datakit", "web")
    assert pod is not None
    assert pod["metadata"]["deletionTimestamp"]
    server.store.remove("pods", "datakit", "web")  # what its kubelet does
    async with asyncio.timeout(5):
        while server.store.get("namespaces", "", "datakit"):
            await asyncio.sleep(0.01)


async def test_finalizing_a_namespace_by_hand(session: aiohttp.ClientSession, server: ApiServer) -> None:
    await (await session.delete("/api/v1/namespaces/datakit")).read()
    body = {"metadata": {"name": "datakit"}, "spec": {"finalizers": []}}
    async with session.put("/api/v1/namespaces/datakit/finalize", json=body) as answer:
        assert answer.status == 200
    assert server.store.get("namespaces", "", "datakit") is None
