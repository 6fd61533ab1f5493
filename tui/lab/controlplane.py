"""The control plane of a lab: the practice server in this process, or a real kube-apiserver beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tui.lab import vendor
from tui.lab.apiserver import ApiServer
from tui.lab.client import ApiStatusError, Client, Object
from tui.lab.hooks import NodeHooks
from tui.lab.kubeletserver import KUBELET_PORT, NodePorts
from tui.lab.network import Network, tls_context
from tui.lab.nodes import Node
from tui.lab.pki import Authority, Pair, Pki, write_file
from tui.lab.realserver import RealServer

_GROUP = "rbac.authorization.k8s.io"


class ControlPlane(Protocol):
    """An API server that holds the objects of the machines once it has started."""

    async def start(self, machines: list[Object]) -> str:
        """Start; returns the URL."""
        ...

    async def stop(self) -> None: ...


def api_server(
    folder: Path,
    authority: Authority,
    serving: Pair,
    hooks: NodeHooks | None,
    audit: Callable[[Object], None] | None = None,
) -> ApiServer:
    """An API server with this certificate, whose clients have certificates of the same authority."""
    cert, key = serving.write(folder / "server", "apiserver")
    ca = folder / "server" / "ca.crt"
    write_file(ca, authority.pem)
    return ApiServer(server_cert=cert, server_key=key, client_ca=ca, kubelets=hooks, audit=audit)


class Embedded:
    """The practice server."""

    def __init__(
        self, folder: Path, pki: Pki, serving: Pair, hooks: NodeHooks | None, audit: Callable[[Object], None]
    ) -> None:
        self.server = api_server(folder, pki.cluster, serving, hooks, audit)

    async def start(self, machines: list[Object]) -> str:
        self.server.seed(machines, manager="kubelet")
        return await self.server.start()

    async def stop(self) -> None:
        await self.server.stop()


class Real:
    """A real kube-apiserver and what leads it to the nodes."""

    def __init__(
        self,
        folder: Path,
        programs: Path,
        pki: Pki,
        serving: Pair,
        hooks: NodeHooks,
        network: Network,
        nodes: Mapping[str, Node],
    ) -> None:
        self._folder = folder
        self._pki = pki
        self._ports = NodePorts(folder, pki, network, hooks, nodes.get)
        self._server = RealServer(folder, programs, pki, serving)

    async def start(self, machines: list[Object]) -> str:
        url = await self._server.start(await self._ports.start())
        pair = self._pki.user("system:node:lab", "system:masters")
        cert, key = pair.write(self._folder / "clients", "registration")
        tls = tls_context(self._pki.cluster.pem, str(cert), str(key))
        client = Client(url, tls, "kubelet/v1.36.2 (linux/amd64)")
        try:
            await client.send("POST", f"/apis/{_GROUP}/v1/clusterrolebindings", _admins())
            for item in machines:
                await _register(client, item)
        finally:
            await client.close()
        return url

    async def stop(self) -> None:
        await self._server.stop()
        await self._ports.stop()


def _admins() -> Object:
    """The binding by which kubeadm makes its administrators."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": vendor.ADMINS},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": _GROUP, "kind": "Group", "name": vendor.ADMINS}],
    }


async def _register(client: Client, item: Object) -> None:
    """Make a node or a static pod's mirror, with its status."""
    if item["kind"] == "Node":
        status: dict[str, Any] = {
            **item["status"],
            # kube-apiserver 1.36 passes a websocket on to kubelets that declare this, and translates it else.
            "declaredFeatures": ["ExtendWebSocketsToKubelet"],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        }
        await client.send("POST", "/api/v1/nodes", {**item, "status": status})
        return
    path = f"/api/v1/namespaces/{item['metadata']['namespace']}/pods"
    while True:
        try:
            await client.send("POST", path, {key: value for key, value in item.items() if key != "status"})
            break
        except ApiStatusError as error:
            if error.code != 404:  # the namespace is on its way
                raise
    await client.patch_status(f"{path}/{item['metadata']['name']}", item["status"])
