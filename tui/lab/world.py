"""The practice lab put together: certificates, nodes, etcd, studio, control plane, controllers, kubelets and
agents.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import shutil
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tui.core.errors import UsageError
from tui.i18n import _
from tui.lab import samples, vendor
from tui.lab.agent import Agent
from tui.lab.audit import AuditLog
from tui.lab.client import Cache, Client, Object
from tui.lab.clusterdns import ClusterDNS
from tui.lab.container import Container
from tui.lab.control import Control, make_folder
from tui.lab.controlplane import ControlPlane, Embedded, Real
from tui.lab.crowd import fill
from tui.lab.daemonsets import DaemonSets
from tui.lab.deployments import Deployments
from tui.lab.disruptions import DisruptionBudgets
from tui.lab.edits import Cluster
from tui.lab.endpoints import EndpointsOfServices
from tui.lab.etcd import CLIENT_PORT, METRICS_PORT, Etcd, open_ports, start_etcd
from tui.lab.events import now
from tui.lab.hooks import NodeHooks
from tui.lab.inputs.machine import Running
from tui.lab.jobs import Jobs
from tui.lab.kubeconfig import context_name, write_kubeconfig
from tui.lab.kubelet import Kubelet, its_pods, watch_pods
from tui.lab.layouts import Layout, dress, layout_of, place_socket, write_certificates
from tui.lab.mesh import objects as mesh_objects
from tui.lab.mesh.injection import Injector
from tui.lab.mesh.mesh import Mesh, parse_weights
from tui.lab.mesh.traffic import Traffic
from tui.lab.network import Network, Socket, tls_context
from tui.lab.nodes import Node, make_nodes, node_object
from tui.lab.pki import Authority, Pair, Pki, write_file
from tui.lab.realserver import AUDIT_FILE
from tui.lab.replicasets import ReplicaSets
from tui.lab.scheduler import Scheduler
from tui.lab.serviceaccounts import keep_default_accounts
from tui.lab.statefulsets import StatefulSets
from tui.lab.studio import StudioServer
from tui.lab.switches import Switches

SCHEMA = "datakit-wizard/lab/v1"

# Agents that are not meant to win the election apply for it so much later (agent's time), and at least a
# second of the clock, however fast time runs.
_ELECTION_DELAY_S = 20.0
_LEAST_DELAY_S = 1.0
_ROLLOUT_S = 60.0
# DataKit's inputs begin within 10 s; hundreds of agents spread over a minute, so that the lab comes up first.
_INPUT_DELAY_S, _MANY_INPUTS_DELAY_S = 10.0, 60.0
# Above this many nodes all kubelets share one connection, and what watches pods already tells them of theirs.
_OWN_CONNECTIONS = 32


@dataclass(frozen=True)
class _Machine:
    """What the agent of a node sees of it (inputs.machine.Machine)."""

    kubelet: Kubelet
    api: Client
    seed: str

    def pods(self) -> list[Object]:
        return self.kubelet.pods()

    def containers(self) -> list[Running]:
        return self.kubelet.containers()


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
        platform: str = "kubeadm",
        programs: Path | None = None,
        objects_only: int = 0,
        mesh: bool = False,
    ) -> None:
        self.scale = 60.0 / interval_s
        self.folder = Path()
        self._node_files = Path()
        self.nodes: tuple[Node, ...] = ()
        self.network = Network()
        self.etcd: Etcd | None = None
        self.studio: StudioServer | None = None
        self.cluster: Cluster  # from start() on
        self.kubelets: dict[str, Kubelet] = {}
        self.hooks = NodeHooks(self.kubelets, self.network)
        self._count = nodes, control_planes
        self.layout: Layout = layout_of(platform)
        self.pki = Pki.create()
        self.skew_s = 0.0  # how much the nodes' clocks are slow
        self.switches = Switches(self)
        self.mesh: Mesh | None = None  # from start() on, where there is one
        self._mesh = mesh
        self._faults = tuple(dict.fromkeys(faults))
        self._etcd_binary = etcd_binary
        self._objects_only = objects_only  # that many nodes and pods, and nothing that runs
        self._programs = programs  # of a real kube-apiserver and its etcd
        self._rng = random.Random(seed)
        self._usage_seed = str(self._rng.random())
        self._audit: AuditLog | None = None
        self._control: Control | None = None
        self._users: dict[str, Pair] = {}
        self._server: ControlPlane | None = None
        self._clients: list[Client] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._url = ""

    async def start(self) -> None:
        """Make and start everything; returns when DataKit runs on all nodes. Cleans up where that fails."""
        self.folder = make_folder()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        self._audit = AuditLog(self.folder / "audit.jsonl")
        self._api_key, self._token = f"lab_{secrets.token_hex(16)}", f"tkn_{secrets.token_hex(16)}"
        if self._objects_only:
            await self._start_crowd(self._audit)
            return
        many = self._count[0] > _OWN_CONNECTIONS
        self._node_files = make_folder(in_memory=True) if many else self.folder / "nodes"
        self.nodes = make_nodes(self._node_files, *self._count)
        for node in self.nodes:
            write_certificates(self.layout, self.pki, node)
            place_socket(self.layout, node)
        for node in self.nodes:
            self.network.add_node(node.name, node.ip)
        members = [node for node in self.nodes if node.is_control_plane]
        etcd = asyncio.create_task(
            start_etcd(self._etcd_binary, members, self.folder / "etcd", self.network, self._rng, self.layout)
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
        await self._until_rolled_out()
        if self.mesh is not None:
            self.mesh.traffic.start()
        for client in self._clients:
            client.quiet = False
        for name in self._faults:
            await self.switches.set(name)
        self._control = Control(self.folder, self._asked)
        await self._control.start()

    async def _start_crowd(self, audit: AuditLog) -> None:
        """The control plane with objects alone, and the studio; no agents, no etcd, no controllers."""
        if self._faults or self._programs is not None:
            raise ValueError(_("Objects alone have no faults, and only the practice control plane holds them."))
        await self._start_studio()
        self._server = server = Embedded(self.folder, self.pki, self.pki.api_server([]), None, audit.control_plane)
        fill(server.server, self._objects_only, self._count[1], self.layout, self._token)
        self._url = await server.start([])
        self._make_users()

    def _make_users(self) -> None:
        admin = self.pki.user(vendor.ADMIN, vendor.ADMINS)
        self._users = {vendor.ADMIN: admin, vendor.VIEWER: self.pki.user(vendor.VIEWER)}
        self.write_kubeconfig(vendor.ADMIN)

    async def _asked(self, verb: str, name: str) -> dict[str, Any]:
        """What `lab fault` asks of a running lab."""
        if verb == "set":
            shows = await self.switches.set(name)
            state = "set" if shows else "waiting"
        elif verb == "clear":
            await self.switches.clear(name)
            state = "clear"
        elif verb in ("traffic", "shift"):
            return self._change_traffic(verb, name)
        else:
            raise UsageError(_("The lab cannot do this: {verb}").format(verb=verb))
        return {"fault": name, "state": state, "set": list(self.switches.names)}

    def _change_traffic(self, verb: str, value: str) -> dict[str, Any]:
        """What `lab traffic` asks of a running lab."""
        if self.mesh is None:
            raise UsageError(_("This lab has no mesh."))
        traffic = self.mesh.traffic
        if verb == "shift":
            traffic.shift(parse_weights(value))
        elif value == "stop":
            traffic.stop()
        else:
            traffic.start()
        return {"running": traffic.running, "weights": traffic.weights}

    async def stop_member(self, node: str) -> None:
        """Take one etcd member down."""
        assert self.etcd is not None
        await self.etcd.stop_member(node)
        for port in (CLIENT_PORT, METRICS_PORT):
            self.network.close_port(node, port)

    async def start_member(self, node: str) -> None:
        """Bring it up again."""
        assert self.etcd is not None
        open_ports(await self.etcd.start_member(node), self.network)

    def agents(self) -> list[Agent]:
        """The agents that run."""
        return [agent for kubelet in self.kubelets.values() for agent in kubelet.agents()]

    @property
    def other_authority(self) -> Authority:
        """An authority that did not issue etcd's certificates: the cluster's own."""
        return self.pki.cluster

    # The studio

    async def _start_studio(self) -> None:
        reader = f"lab_{secrets.token_hex(16)}"
        database = str(self.folder / "studio.sqlite")
        self.studio = StudioServer(database, self._api_key, self._token, self.scale, reader_key=reader)
        url = await self.studio.start()
        self.studio.audit = self._audit.studio if self._audit else None
        write_file(self.api_key_file, f"{self._api_key}\n".encode(), mode=0o600)
        write_file(self.reader_key_file, f"{reader}\n".encode(), mode=0o600)
        parts = urlsplit(url)
        self._dataway = Socket("127.0.0.1", int(parts.port or 0), plain=True)
        self.open_dataway()

    def open_dataway(self) -> None:
        """Let Dataway's name lead to the studio, from every node."""
        self.network.listen_outside(vendor.DATAWAY_HOST, 443, self._dataway)

    @property
    def api_key_file(self) -> Path:
        """The file that holds the studio's API key."""
        return self.folder / "api-key"

    @property
    def reader_key_file(self) -> Path:
        """The file that holds an API key that may only read."""
        return self.folder / "api-key-read-only"

    # The control plane

    async def _start_control_plane(self) -> None:
        pairs = [(node.name, node.ip) for node in self.nodes if node.is_control_plane]
        serving = self.pki.api_server(pairs)
        if self._programs is None:
            assert self._audit is not None
            self._server = Embedded(self.folder, self.pki, serving, self.hooks, self._audit.control_plane)
        else:
            by_address = {node.ip: node for node in self.nodes}
            place = (self.folder, self._programs, self.pki, serving, self.hooks, self.network, by_address)
            self._server = Real(*place)
        self._url = await self._server.start(self._machine_objects())
        self._make_users()
        await self._create_objects(self._client("kubectl", self._users[vendor.ADMIN]))
        self.cluster = Cluster(self._client("kubectl", self.pki.user("lab", "system:masters")))
        await self._run_controllers()

    def write_kubeconfig(self, current: str) -> None:
        """Write the kubeconfig, the current context that of a user."""
        write_kubeconfig(
            self.kubeconfig,
            self._url,
            self.pki.cluster.pem,
            self._users,
            current=current,
            namespace=vendor.NAMESPACE,
            time_scale=self.scale,
        )

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig with the contexts of admin and viewer."""
        return self.folder / "kubeconfig"

    def _client(self, user_agent: str, pair: Pair) -> Client:
        cert, key = pair.write(self.folder / "clients", secrets.token_hex(8))
        tls = tls_context(self.pki.cluster.pem, str(cert), str(key))
        client = Client(self._url, tls, f"{user_agent}/v1.36.2 (linux/amd64)")
        self._clients.append(client)
        return client

    def _machine_objects(self) -> list[Object]:
        """Nodes and static pods, as their kubelets register them."""
        stamp = now()
        members = [node for node in self.nodes if node.is_control_plane]
        pods = [
            pod | {"status": status}
            for node in members
            for pod, status in vendor.static_pods(node, members, self.layout)
        ]
        return [*(dress(self.layout, node, node_object(node, stamp)) for node in self.nodes), *pods]

    async def _create_objects(self, admin: Client) -> None:
        """What people and Helm made before the wizard comes, owned as they would own it."""
        space = f"/api/v1/namespaces/{vendor.NAMESPACE}"
        daemon_set = vendor.daemon_set(self._token)
        made: list[tuple[str, Object]] = [
            ("/api/v1/namespaces", vendor.namespace(vendor.NAMESPACE)),
            (f"{space}/serviceaccounts", vendor.service_account()),
            (f"{space}/configmaps", vendor.config_map()),
            (f"/apis/apps/v1/namespaces/{vendor.NAMESPACE}/daemonsets", daemon_set),
        ]
        by_kubectl = {"fieldManager": vendor.CSA}
        for path, item in made:
            await admin.send("POST", path, vendor.client_side_applied(item), query=by_kubectl)
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        spaces = [*mesh_objects.namespaces(), samples.namespace()] if self.has_mesh else []
        for item in spaces:
            await admin.send("POST", "/api/v1/namespaces", vendor.client_side_applied(item), query=by_kubectl)
        viewer = vendor.viewer_rights(*(each["metadata"]["name"] for each in spaces))
        for item in [*viewer, *vendor.account_rights()]:
            plural = f"{item['kind'].lower()}s"
            inside = f"/namespaces/{item['metadata']['namespace']}" if "namespace" in item["metadata"] else ""
            await admin.send("POST", f"{rbac}{inside}/{plural}", item)
        for path, item in [*mesh_objects.objects(), *samples.objects()] if self.has_mesh else ():
            await admin.send("POST", path, vendor.client_side_applied(item), query=by_kubectl)

    async def _run_controllers(self) -> None:
        masters = "system:masters"
        manager = self.pki.user("system:kube-controller-manager", masters)
        controller = self._client("kube-controller-manager", manager)
        account, *groups = vendor.SERVICE_ACCOUNT_USER
        self._account = self._client("datakit", self.pki.user(account, *groups))
        pods = Cache(controller, "/api/v1/pods", lean=True)
        nodes = Cache(controller, "/api/v1/nodes", lean=True)
        sets = ReplicaSets(controller, pods, Injector(controller).admit if self.has_mesh else None)
        names = ClusterDNS(controller, pods, random.Random(self._rng.random()))
        self.network.names = names
        if self.has_mesh:
            traffic = Traffic(random.Random(self._rng.random()), self.scale)
            self.mesh = Mesh(self.network, traffic, pods, names.count, self._rng, self.scale)
        workers = (
            DaemonSets(controller, pods, nodes),
            Deployments(controller, sets, self.scale),
            sets,
            Scheduler(controller, pods, nodes),
            DisruptionBudgets(controller, pods, sets.cache),
            names,
            StatefulSets(controller, pods),
            Jobs(controller, pods, self.scale),
            EndpointsOfServices(controller, names.services, pods),
            pods,
            nodes,
        )
        for worker in workers:
            self._spawn(worker.run())
        self._spawn(keep_default_accounts(controller))
        shared = None
        if len(self.nodes) > _OWN_CONNECTIONS:
            shared = self._client("kubelet", self.pki.user("system:node:lab", "system:nodes", masters))
            shared.quiet = controller.quiet = True
            pods.listen(its_pods(self.kubelets))
        for node in self.nodes:
            client = shared
            if client is None:
                pair = self.pki.user(f"system:node:{node.name}", "system:nodes", masters)
                client = self._client("kubelet", pair)
            kubelet = Kubelet(node, client, self._make_agent, self.network, self.scale)
            self.kubelets[node.name] = kubelet
            self._spawn(kubelet.run())
            if shared is None:
                self._spawn(watch_pods(client, kubelet))

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(job))

    def _make_agent(self, container: Container) -> Agent:
        delay = max(_ELECTION_DELAY_S, _LEAST_DELAY_S * self.scale)
        return Agent(
            container,
            self.network,
            scale=self.scale,
            rng=random.Random(self._rng.random()),
            election_delay_s=0.0 if container.node == self.nodes[0] else delay,
            clock=lambda: time.time() - self.skew_s,
            machine=_Machine(self.kubelets[container.node.name], self._account, self._usage_seed),
            input_delay_s=_INPUT_DELAY_S if len(self.nodes) <= _OWN_CONNECTIONS else _MANY_INPUTS_DELAY_S,
        )

    async def _until_rolled_out(self) -> None:
        client = self._clients[0]
        path = f"/apis/apps/v1/namespaces/{vendor.NAMESPACE}/daemonsets/datakit"
        async with asyncio.timeout(_ROLLOUT_S):
            while True:
                status = (await client.get(path)).get("status", {})
                if status.get("numberAvailable") == len(self.nodes) and await self._mesh_is_up(client):
                    return
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)

    @property
    def has_mesh(self) -> bool:
        """Whether there is a mesh: it needs a node that takes any pod."""
        return self._mesh and any(not node.is_control_plane or self.layout.key != "kubeadm" for node in self.nodes)

    async def _mesh_is_up(self, client: Client) -> bool:
        if not self.has_mesh:
            return True
        listed = (await client.get("/apis/apps/v1/deployments"))["items"]
        ready = [each for each in listed if each["status"].get("availableReplicas") == each["spec"]["replicas"]]
        return len(ready) == len(mesh_objects.deployments())

    # The end

    async def stop(self) -> None:
        """End everything and remove the folder. May be called twice."""
        if self._control is not None:
            await self._control.stop()
        await self.switches.stop()
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
        if self._audit is not None:
            self._audit.close()
        for folder in {self.folder, self._node_files} - {Path()}:
            shutil.rmtree(folder, ignore_errors=True)

    def ready(self) -> dict[str, Any]:
        """What the ready line says. `direct` is a real loopback address, for comparing with what the studio
        has.
        """
        assert self.studio is not None
        members = [
            {
                "node": member.node.name,
                "metrics_url": f"http://127.0.0.1:{METRICS_PORT}/metrics",
                "client_url": f"https://{member.node.ip}:{CLIENT_PORT}/metrics",
                "direct": f"http://{member.metrics.host}:{member.metrics.port}/metrics",
            }
            for member in (self.etcd.members if self.etcd else ())
        ]
        return {
            "schema": SCHEMA,
            "kubeconfig": str(self.kubeconfig),
            "contexts": {vendor.ADMIN: context_name(vendor.ADMIN), vendor.VIEWER: context_name(vendor.VIEWER)},
            "namespace": vendor.NAMESPACE,
            "studio": {
                "endpoint": self.studio.url,
                "api_key_file": str(self.api_key_file),
                "read_only_key_file": str(self.reader_key_file),
            },
            "etcd": {"kind": self.etcd.kind if self.etcd else "none", "members": members},
            "mesh": {"namespaces": [mesh_objects.SYSTEM, mesh_objects.PROD]} if self.has_mesh else None,
            "time_scale": self.scale,
            "folder": str(self.folder),
            "platform": self.layout.key,
            "faults": list(self.switches.names),
            "audit": str(self.folder / "audit.jsonl"),
            **({} if self._programs is None else {"audit_apiserver": str(self.folder / AUDIT_FILE)}),
            "apiserver": "practice" if self._programs is None else "kube-apiserver",
        }
