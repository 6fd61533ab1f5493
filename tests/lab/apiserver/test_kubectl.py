"""kubectl against the practice control plane."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kubectl import PROBLEM
from tests.lab.apiserver.conftest import Authority, vendor_daemon_set
from tui.lab.apiserver import ApiServer

pytestmark = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: conf, namespace: datakit}}\ndata: {{a: '{}'}}\n"


@dataclass
class Ran:
    """What kubectl answered."""

    code: int
    out: str
    err: str


Kubectl = Callable[..., Awaitable[Ran]]


@pytest.fixture
def kubectl(server: ApiServer, authority: Authority, admin: tuple[Path, Path], tmp_path: Path) -> Kubectl:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": server.url, "certificate-authority": str(authority.path)}}],
        "users": [{"name": "lab", "user": {"client-certificate": str(admin[0]), "client-key": str(admin[1])}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": "datakit"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(path)}

    async def run(*arguments: str, stdin: str = "") -> Ran:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "kubectl", *arguments, env=env, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            async with asyncio.timeout(30):
                out, err = await child.communicate(stdin.encode())
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return Ran(child.returncode or 0, out.decode(), err.decode())

    return run


async def test_version(kubectl: Kubectl) -> None:
    ran = await kubectl("version", "-o", "json")
    found = json.loads(ran.out)
    print("kubectl", found["clientVersion"]["gitVersion"])
    assert found["serverVersion"]["gitVersion"] == "v1.36.2"


async def test_get_prints_tables(kubectl: Kubectl) -> None:
    assert (await kubectl("get", "pods", "--no-headers")).out.split()[:4] == ["web", "0/1", "Running", "0"]
    assert (await kubectl("get", "pods", "-o", "wide")).out.split("\n")[0].split()[-5:] == [
        "NODE", "NOMINATED", "NODE", "READINESS", "GATES",
    ]  # fmt: skip
    assert (await kubectl("get", "ns", "-o", "name")).out.splitlines()[0] == "namespace/datakit"
    assert "No resources found" in (await kubectl("get", "deployments")).err


async def test_apply_diff_and_conflict(kubectl: Kubectl) -> None:
    assert (await kubectl("apply", "-f", "-", stdin=CONFIG_MAP.format(1))).out == "configmap/conf created\n"
    assert (await kubectl("apply", "-f", "-", stdin=CONFIG_MAP.format(1))).out == "configmap/conf unchanged\n"
    assert (await kubectl("apply", "-f", "-", stdin=CONFIG_MAP.format(2))).out == "configmap/conf configured\n"
    same = await kubectl("diff", "--server-side", "--field-manager=me", "-f", "-", stdin=CONFIG_MAP.format(2))
    assert (same.code, same.out) == (0, "")
    server_side = ("apply", "--server-side", "--field-manager=me", "-f", "-")
    refused = await kubectl(*server_side, stdin=CONFIG_MAP.format(3))
    assert refused.code == 1
    assert 'conflict with "kubectl-client-side-apply" using v1: .data.a' in refused.err
    forced = await kubectl(*server_side, "--force-conflicts", stdin=CONFIG_MAP.format(3))
    assert forced.out == "configmap/conf serverside-applied\n"
    differs = await kubectl("diff", "--server-side", "--field-manager=me", "-f", "-", stdin=CONFIG_MAP.format(4))
    assert differs.code == 1
    assert '-  a: "3"\n+  a: "4"' in differs.out


async def test_an_unknown_field_is_refused(kubectl: Kubectl) -> None:
    ran = await kubectl("apply", "-f", "-", stdin=CONFIG_MAP.format(1) + "dta: {}\n")
    assert ran.code == 1
    assert 'unknown field "dta"' in ran.err


async def test_who_and_what(kubectl: Kubectl) -> None:
    assert (await kubectl("auth", "can-i", "patch", "ds")).out == "yes\n"
    assert "kubernetes-admin" in (await kubectl("auth", "whoami")).out
    assert (await kubectl("auth", "can-i", "--list")).code == 0


async def test_pods(kubectl: Kubectl) -> None:
    assert (await kubectl("exec", "web", "--", "ls", "/")).out == "bin\ndev\n"
    failed = await kubectl("exec", "web", "--", "fail", "3")
    assert (failed.code, failed.out) == (3, "out\n")
    assert (await kubectl("exec", "-i", "web", "--", "cat", stdin="hello\n")).out == "hello\n"
    assert (await kubectl("logs", "web")).out == "one\ntwo\n"
    ping = "/api/v1/namespaces/datakit/pods/web:9529/proxy/v1/ping"
    assert (await kubectl("get", "--raw", ping)).out == "GET /v1/ping?"
    assert (await kubectl("delete", "pod", "web", "--grace-period=0", "--force")).code == 0


async def test_the_daemon_set(kubectl: Kubectl, server: ApiServer) -> None:
    made = await kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(vendor_daemon_set()))
    assert made.out == "daemonset.apps/datakit serverside-applied\n"
    assert (await kubectl("rollout", "restart", "ds/datakit")).out == "daemonset.apps/datakit restarted\n"
    found = server.store.get("daemonsets.apps", "datakit", "datakit")
    assert found is not None
    assert found["metadata"]["generation"] == 2
    assert "kubectl.kubernetes.io/restartedAt" in found["spec"]["template"]["metadata"]["annotations"]
    waiting = await kubectl("rollout", "status", "ds/datakit", "--timeout=1s")
    assert "Waiting for daemon set spec update to be observed" in waiting.out
    assert (await kubectl("set", "env", "ds/datakit", "A=B")).code == 0
    assert "FIELD: hostPath" in (await kubectl("explain", "ds.spec.template.spec.volumes.hostPath")).out


async def test_create_sends_protobuf(kubectl: Kubectl, server: ApiServer) -> None:
    await kubectl("create", "configmap", "made", "--from-literal=a=b")
    await kubectl("create", "role", "r", "--verb=get", "--resource=pods")
    await kubectl("create", "rolebinding", "rb", "--role=r", "--user=u")
    made = server.store.get("configmaps", "datakit", "made")
    role = server.store.get("roles.rbac.authorization.k8s.io", "datakit", "r")
    binding = server.store.get("rolebindings.rbac.authorization.k8s.io", "datakit", "rb")
    assert made is not None
    assert made["data"] == {"a": "b"}
    assert role is not None
    assert role["rules"] == [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    assert binding is not None
    assert binding["subjects"][0]["name"] == "u"


async def test_get_and_watch(kubectl: Kubectl, server: ApiServer, tmp_path: Path) -> None:
    command = ["get", "cm", "-w", "--no-headers", "--request-timeout=20s"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    child = await asyncio.create_subprocess_exec("kubectl", *command, env=env, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        async with asyncio.timeout(20):
            while not server.store.shelf("configmaps").waiters:
                await asyncio.sleep(0.02)
            await kubectl("create", "configmap", "seen", "--from-literal=a=b")
            line = (await child.stdout.readline()).decode()
    finally:
        child.kill()
        await child.wait()
    assert line.split()[:2] == ["seen", "1"]
