"""The official Python client against the practice control plane, called as the backend calls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.apiserver.conftest import Authority, vendor_daemon_set
from tui.lab.apiserver import ApiServer

CONFIG_MAPS = "/api/v1/namespaces/datakit/configmaps"
DAEMON_SETS = "/apis/apps/v1/namespaces/datakit/daemonsets"
APPLY = "application/apply-patch+yaml"


def api_client(server: ApiServer, authority: Authority, paths: tuple[Path, Path]) -> Any:
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration()
    configuration.host = server.url
    configuration.ssl_ca_cert = str(authority.path)
    configuration.cert_file, configuration.key_file = str(paths[0]), str(paths[1])
    configuration.retries = False
    return ApiClient(configuration)


@pytest.fixture
def ask(server: ApiServer, authority: Authority, admin: tuple[Path, Path]) -> Callable[..., Any]:
    """`await ask(method, path, ...)`: one request of the dynamic client, in a thread."""

    def request(method: str, path: str, *, user: tuple[Path, Path] = admin, **options: Any) -> Any:
        from kubernetes.dynamic import DynamicClient

        client = DynamicClient(api_client(server, authority, user), discoverer=lambda client, cache: None)
        answer = client.request(method, path, serialize=False, _request_timeout=(5, 10), **options)
        return json.loads(answer.data)

    async def asked(*arguments: Any, **options: Any) -> Any:
        return await asyncio.to_thread(request, *arguments, **options)

    return asked


def config(**data: str) -> dict[str, Any]:
    meta = {"name": "datakit-conf", "namespace": "datakit"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def options(manager: str, **more: Any) -> dict[str, Any]:
    strict = [("fieldValidation", "Strict")]
    return {"content_type": APPLY, "field_manager": manager, "query_params": strict, **more}


async def test_server_side_apply(ask: Callable[..., Any]) -> None:
    from kubernetes.dynamic.exceptions import ConflictError

    path = f"{CONFIG_MAPS}/datakit-conf"
    await ask("post", CONFIG_MAPS, body=config(vendor="v"), field_manager="kubectl-client-side-apply")
    dry = await ask("patch", path, body=config(etcd="1"), **options("datakit-wizard", dry_run="All"))
    assert dry["data"] == {"vendor": "v", "etcd": "1"}
    assert "etcd" not in (await ask("get", path))["data"]

    made = await ask("patch", path, body=config(etcd="1"), **options("datakit-wizard"))
    again = await ask("patch", path, body=config(etcd="1"), **options("datakit-wizard"))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert {entry["manager"] for entry in made["metadata"]["managedFields"]} == {
        "datakit-wizard",
        "kubectl-client-side-apply",
    }
    with pytest.raises(ConflictError) as refused:
        await ask("patch", path, body=config(etcd="2"), **options("another"))
    causes = json.loads(refused.value.body)["details"]["causes"]
    assert causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "datakit-wizard"', "field": ".data.etcd"}
    ]
    given_up = config()
    del given_up["data"]
    after = await ask("patch", path, body=given_up, **options("datakit-wizard"))
    assert after["data"] == {"vendor": "v"}
    assert [entry["manager"] for entry in after["metadata"]["managedFields"]] == ["kubectl-client-side-apply"]


async def test_a_stale_version_is_refused_and_told_apart_from_a_conflict(ask: Callable[..., Any]) -> None:
    from kubernetes.dynamic.exceptions import ConflictError

    path = f"{CONFIG_MAPS}/datakit-conf"
    first = await ask("post", CONFIG_MAPS, body=config(a="1"))
    await ask("patch", path, body=config(b="1"), **options("other"))
    body = config(c="1")
    body["metadata"] |= {key: first["metadata"][key] for key in ("uid", "resourceVersion")}
    with pytest.raises(ConflictError) as refused:
        await ask("patch", path, body=body, **options("datakit-wizard"))
    assert "causes" not in json.loads(refused.value.body)["details"]


async def test_a_daemon_set_keeps_what_is_not_ours(ask: Callable[..., Any]) -> None:
    before = await ask("post", DAEMON_SETS, body=vendor_daemon_set(), field_manager="kubectl-client-side-apply")
    container = {
        "name": "datakit",
        "env": [{"name": "ENV_OURS", "value": "on"}],
        "volumeMounts": [{"name": "datakit-conf", "mountPath": "/etcd.conf", "subPath": "etcd.conf"}],
    }
    template = {"metadata": {"annotations": {"example.com/hash": "a"}}, "spec": {"containers": [container]}}
    meta = {"name": "datakit", "namespace": "datakit"}
    body = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": {"template": template}}
    after = await ask("patch", f"{DAEMON_SETS}/datakit", body=body, **options("datakit-wizard"))
    ours = after["spec"]["template"]["spec"]["containers"][0]
    theirs = before["spec"]["template"]["spec"]["containers"][0]
    assert ours["env"][:-1] == theirs["env"]
    assert ours["volumeMounts"][:-1] == theirs["volumeMounts"]
    assert after["metadata"]["generation"] == 2
    nothing = {key: body[key] for key in ("apiVersion", "kind", "metadata")}
    undone = await ask("patch", f"{DAEMON_SETS}/datakit", body=nothing, **options("datakit-wizard"))
    assert undone["spec"] == before["spec"]
    assert undone["metadata"]["managedFields"] == before["metadata"]["managedFields"]


async def test_watch_tells_each_change_once(server: ApiServer, authority: Authority, admin: Any, ask: Any) -> None:
    listed = await ask("get", CONFIG_MAPS)

    def follow() -> list[tuple[str, str]]:
        from kubernetes.dynamic import DynamicClient

        client = DynamicClient(api_client(server, authority, admin), discoverer=lambda client, cache: None)
        answer = client.request(
            "get",
            CONFIG_MAPS,
            serialize=False,
            watch=True,
            timeout_seconds=5,
            resource_version=listed["metadata"]["resourceVersion"],
            _request_timeout=(5, 10),
        )
        found = []
        for line in answer:
            for part in line.splitlines():
                event = json.loads(part)
                found.append((event["type"], event["object"]["metadata"]["name"]))
            if found and found[-1][0] == "DELETED":
                return found
        return found

    following = asyncio.create_task(asyncio.to_thread(follow))
    shelf = server.store.shelf("configmaps")
    async with asyncio.timeout(5):
        while not shelf.waiters:
            await asyncio.sleep(0.01)
    await ask("post", CONFIG_MAPS, body=config(a="1"))
    await ask("patch", f"{CONFIG_MAPS}/datakit-conf", body=config(b="1"), **options("m"))
    await ask("patch", f"{CONFIG_MAPS}/datakit-conf", body=config(b="1"), **options("m"))
    await ask("delete", f"{CONFIG_MAPS}/datakit-conf")
    name = "datakit-conf"
    assert await following == [("ADDED", name), ("MODIFIED", name), ("DELETED", name)]


async def test_exec_over_the_clients_websocket(server: ApiServer, authority: Authority, admin: Any) -> None:
    def run(command: list[str]) -> tuple[str, str, int]:
        from kubernetes.client.api.core_v1_api import CoreV1Api
        from kubernetes.stream import stream

        core = CoreV1Api(api_client(server, authority, admin))
        socket = stream(
            core.connect_get_namespaced_pod_exec,
            "web",
            "datakit",
            command=command,
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        socket.run_forever(timeout=5)
        return socket.read_stdout(timeout=0), socket.read_stderr(timeout=0), socket.returncode

    assert await asyncio.to_thread(run, ["ls", "/"]) == ("bin\ndev\n", "", 0)
    assert await asyncio.to_thread(run, ["fail", "3"]) == ("out\n", "err\n", 3)


async def test_a_viewer_is_told_what_it_may_not(authority: Authority, ask: Callable[..., Any]) -> None:
    from kubernetes.dynamic.exceptions import ForbiddenError

    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/datakit/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "watcher"}
    await ask("post", rbac, body={"metadata": {"name": "watcher"}, "roleRef": role, "subjects": [subject]})
    viewer = authority.issue("watcher")
    assert (await ask("get", "/api/v1/namespaces/datakit/pods", user=viewer))["items"]
    with pytest.raises(ForbiddenError) as refused:
        await ask("patch", f"{CONFIG_MAPS}/datakit-conf", body=config(a="1"), user=viewer, **options("m"))
    assert 'User "watcher" cannot patch resource "configmaps"' in json.loads(refused.value.body)["message"]
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "datakit"}
    answer = await ask("post", reviews, body={"spec": {"resourceAttributes": attributes}}, user=viewer)
    assert answer["status"] == {"allowed": False}
