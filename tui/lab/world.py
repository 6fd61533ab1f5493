"""The practice lab put together: certificates, nodes, etcd, studio, control plane, controllers, kubelets and
agents.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import random
import secrets
import shutil
import tempfile
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tui.lab import vendor
from tui.lab.agent import Agent
from tui.lab.apiserver import ApiServer
from tui.lab.client import Client, Object
from tui.lab.container import Container
from tui.lab.daemonsets import DaemonSets
from tui.lab.etcd import CLIENT_PORT, METRICS_PORT, Etcd, start_etcd
from tui.lab.events import now
from tui.lab.hooks import NodeHooks
from tui.lab.kubelet import Kubelet
from tui.lab.network import Network, Socket, tls_context
from tui.lab.nodes import Node, make_nodes, node_object
from tui.lab.pki import Authority, Pair, Pki, write_file
from tui.lab.studio import StudioServer

SCHEMA = "datakit-wizard/lab/v1"
EXTENSION = "datakit-wizard/lab"

# Agents that are not meant to win the election apply for it so much later (agent's time), and at least a
# second of the clock, however fast time runs.
_ELECTION_DELAY_S = 20.0
_LEAST_DELAY_S = 1.0
_ROLLOUT_S = 30.0


class Lab:
    """One lab: `start()` makes it, `stop()` leaves nothing behind. `faults` are names of `faults.FAULTS`."""

    def __init__(
        self,
        *,
        nodes: int = 4,
        control_planes: int = 1,
        interval_s: float = 60.0,
        seed: int | None = None,
        faults: Iterable[str] = (),
        etcd_binary: str | None = None,
    ) -> None:
        self.scale = 60.0 / interval_s
        self.folder = Path()
        self.nodes: tuple[Node, ...] = ()
        self.network = Network()
        self.etcd: Etcd | None = None
        self.studio: StudioServer | None = None
        self.kubelets: dict[str, Kubelet] = {}
        self.hooks = NodeHooks(self.kubelets, self.network)
        self._count = nodes, control_planes
        self._faults = frozenset(faults)
        self._etcd_binary = etcd_binary
        self._rng = random.Random(seed)
        self._pki = Pki.create()
        self._server: ApiServer | None = None
        self._clients: list[Client] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._url = ""

    async def start(self) -> None:
        """Make and start everything; returns when DataKit runs on all nodes. Cleans up where that fails."""
        self.folder = Path(tempfile.mkdtemp(prefix="datakit-wizard-lab-"))
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        self.nodes = make_nodes(self.folder / "nodes", *self._count)
        self._write_certificates()
        self._api_key, self._token = f"lab_{secrets.token_hex(16)}", f"tkn_{secrets.token_hex(16)}"
        for node in self.nodes:
            self.network.add_node(node.name, node.ip)
        members = [node for node in self.nodes if node.is_control_plane]
        etcd = asyncio.create_task(
            start_etcd(self._etcd_binary, members, self.folder / "etcd", self.network, self._rng)
        )
        try:
            await self._start_studio()
            await self._start_control_plane()
            self.etcd = await etcd
        except BaseException:
            etcd.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self.etcd = await etcd  # it may have been ready already; then stop() ends it
            raise
        if "member-down" in self._faults:
            await self._stop_member(members[-1])
        await self._until_rolled_out()

    def _write_certificates(self) -> None:
        expires = None
        if "expired-cert" in self._faults:
            expires = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
        for node in self.nodes:
            if node.is_control_plane:
                peer = "peer-cert-missing" not in self._faults
                self._pki.write_control_plane(node.root, node.name, node.ip, etcd_expires=expires, peer=peer)
            else:
                self._pki.write_worker(node.root)

    async def _stop_member(self, node: Node) -> None:
        assert self.etcd is not None
        await self.etcd.stop_member(node.name)
        for port in (CLIENT_PORT, METRICS_PORT):
            self.network.close_port(node.name, port)

    # The studio

    async def _start_studio(self) -> None:
        self.studio = StudioServer(str(self.folder / "studio.sqlite"), self._api_key, self._token, self.scale)
        url = await self.studio.start()
        if "studio-rate-limit" in self._faults:
            self.studio.faults.add("rate-limit")
        given = secrets.token_hex(16) if "wrong-api-key" in self._faults else self._api_key
        write_file(self.api_key_file, f"{given}\n".encode(), mode=0o600)
        parts = urlsplit(url)
        dataway = Socket("127.0.0.1", int(parts.port or 0), plain=True)
        self.network.listen_outside(vendor.DATAWAY_HOST, 443, None if "dataway-down" in self._faults else dataway)

    @property
    def api_key_file(self) -> Path:
        """The file that holds the studio's API key."""
        return self.folder / "api-key"

    # The control plane

    async def _start_control_plane(self) -> None:
        pairs = [(node.name, node.ip) for node in self.nodes if node.is_control_plane]
        serving = self._pki.api_server(pairs)
        self._server = api_server(self.folder, self._pki.cluster, serving, self.hooks)
        self._server.seed(self._machine_objects(), manager="kubelet")
        self._url = await self._server.start()
        admin = self._pki.user(vendor.ADMIN, vendor.ADMINS)
        viewer = self._pki.user(vendor.VIEWER)
        write_kubeconfig(
            self.kubeconfig,
            self._url,
            self._pki.cluster.pem,
            {vendor.ADMIN: admin, vendor.VIEWER: viewer},
            current=vendor.VIEWER if "viewer-rights" in self._faults else vendor.ADMIN,
            namespace=vendor.NAMESPACE,
            time_scale=self.scale,
        )
        await self._create_objects(self._client("kubectl", admin))
        await self._run_controllers()

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig with the contexts of admin and viewer."""
        return self.folder / "kubeconfig"

    def _client(self, user_agent: str, pair: Pair) -> Client:
        cert, key = pair.write(self.folder / "clients", secrets.token_hex(8))
        tls = tls_context(self._pki.cluster.pem, str(cert), str(key))
        client = Client(self._url, tls, f"{user_agent}/v1.36.2 (linux/amd64)")
        self._clients.append(client)
        return client

    def _machine_objects(self) -> list[Object]:
        """Nodes and static pods, as their kubelets register them."""
        stamp = now()
        members = [node for node in self.nodes if node.is_control_plane]
        pods = [pod | {"status": status} for node in members for pod, status in vendor.static_pods(node, members)]
        return [*(node_object(node, stamp) for node in self.nodes), *pods]

    async def _create_objects(self, admin: Client) -> None:
        """What people and Helm made before the wizard comes, owned as they would own it."""
        space = f"/api/v1/namespaces/{vendor.NAMESPACE}"
        daemon_set = vendor.daemon_set(secrets.token_hex(16) if "wrong-token" in self._faults else self._token)
        made: list[tuple[str, Object]] = [
            ("/api/v1/namespaces", vendor.namespace(vendor.NAMESPACE)),
            (f"{space}/serviceaccounts", vendor.service_account()),
            (f"{space}/configmaps", vendor.config_map()),
            (f"/apis/apps/v1/namespaces/{vendor.NAMESPACE}/daemonsets", daemon_set),
        ]
        for path, item in made:
            if "helm-owner" in self._faults and path.endswith(("daemonsets", "configmaps")):
                await admin.send("POST", path, vendor.helm_released(item), query={"fieldManager": "helm"})
            else:
                applied = vendor.client_side_applied(item)
                await admin.send("POST", path, applied, query={"fieldManager": vendor.CSA})
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        for item in vendor.viewer_rights():
            plural = f"{item['kind'].lower()}s"
            inside = f"/namespaces/{item['metadata']['namespace']}" if "namespace" in item["metadata"] else ""
            await admin.send("POST", f"{rbac}{inside}/{plural}", item)

    async def _run_controllers(self) -> None:
        manager = self._pki.user("system:kube-controller-manager", "system:masters")
        self._spawn(DaemonSets(self._client("kube-controller-manager", manager)).run())
        for node in self.nodes:
            pair = self._pki.user(f"system:node:{node.name}", "system:nodes", "system:masters")
            kubelet = Kubelet(node, self._client("kubelet", pair), self._make_agent, self.scale)
            self.kubelets[node.name] = kubelet
            self._spawn(kubelet.run())

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(job))

    def _make_agent(self, container: Container) -> Agent:
        workers = [node for node in self.nodes if not node.is_control_plane]
        preferred = workers[0] if "elected-on-worker" in self._faults and workers else self.nodes[0]
        delay = max(_ELECTION_DELAY_S, _LEAST_DELAY_S * self.scale)
        return Agent(
            container,
            self.network,
            scale=self.scale,
            rng=random.Random(self._rng.random()),
            election_delay_s=0.0 if container.node == preferred else delay,
        )

    async def _until_rolled_out(self) -> None:
        client = self._clients[0]
        path = f"/apis/apps/v1/namespaces/{vendor.NAMESPACE}/daemonsets/datakit"
        async with asyncio.timeout(_ROLLOUT_S):
            while True:
                status = (await client.get(path)).get("status", {})
                if status.get("numberAvailable") == len(self.nodes):
                    return
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)

    # The end

    async def stop(self) -> None:
        """End everything and remove the folder. May be called twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for client in self._clients:
            await client.close()
        if self._server is not None:
            await self._server.stop()
        if self.studio is not None:
            await self.studio.stop()
        if self.etcd is not None:
            await self.etcd.stop()
        await self.network.close()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def ready(self) -> dict[str, Any]:
        """What the ready line says. `direct` is a real loopback address, for comparing with what the studio
        has.
        """
        assert self.studio is not None
        assert self.etcd is not None
        members = [
            {
                "node": member.node.name,
                "metrics_url": f"http://127.0.0.1:{METRICS_PORT}/metrics",
                "client_url": f"https://{member.node.ip}:{CLIENT_PORT}/metrics",
                "direct": f"http://{member.metrics.host}:{member.metrics.port}/metrics",
            }
            for member in self.etcd.members
        ]
        return {
            "schema": SCHEMA,
            "kubeconfig": str(self.kubeconfig),
            "contexts": {vendor.ADMIN: context_name(vendor.ADMIN), vendor.VIEWER: context_name(vendor.VIEWER)},
            "namespace": vendor.NAMESPACE,
            "studio": {"endpoint": self.studio.url, "api_key_file": str(self.api_key_file)},
            "etcd": {"kind": self.etcd.kind, "members": members},
            "time_scale": self.scale,
            "folder": str(self.folder),
        }


def api_server(folder: Path, authority: Authority, serving: Pair, hooks: NodeHooks | None) -> ApiServer:
    """An API server with this certificate, whose clients have certificates of the same authority."""
    cert, key = serving.write(folder / "server", "apiserver")
    ca = folder / "server" / "ca.crt"
    write_file(ca, authority.pem)
    return ApiServer(server_cert=cert, server_key=key, client_ca=ca, kubelets=hooks)


def context_name(user: str) -> str:
    """The kubeconfig's context of one of the lab's users."""
    return f"lab-{user}"


def write_kubeconfig(
    path: Path,
    server: str,
    ca: bytes,
    users: Mapping[str, Pair],
    *,
    current: str,
    namespace: str,
    time_scale: float,
) -> None:
    """Write a kubeconfig (0600) with a context for each user, certificates inside."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    extension = {"name": EXTENSION, "extension": {"timeScale": time_scale}}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context_name(current),
        "clusters": [
            {
                "name": "lab",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": encoded(ca),
                    "extensions": [extension],
                },
            }
        ],
        "contexts": [
            {
                "name": context_name(user),
                "context": {"cluster": "lab", "user": context_name(user), "namespace": namespace},
            }
            for user in users
        ],
        "users": [
            {
                "name": context_name(user),
                "user": {
                    "client-certificate-data": encoded(pair.cert),
                    "client-key-data": encoded(pair.key),
                },
            }
            for user, pair in users.items()
        ],
    }
    write_file(path, yaml.safe_dump(document, sort_keys=False).encode(), mode=0o600)
