"""etcd on the control-plane nodes: the real binary where there is one, else a stand-in that serves its
metrics.

Both listen as kubeadm sets etcd up: client certificates required on 2379 (at the node's address and on its
loopback), plain HTTP with metrics and health on 127.0.0.1:2381.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import json
import random
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from tui.i18n import _
from tui.lab.layouts import KUBEADM, Layout
from tui.lab.network import Network, NetworkError, Socket, tls_context
from tui.lab.nodes import Node
from tui.lab.standin import StandIn

CLIENT_PORT = 2379
PEER_PORT = 2380
METRICS_PORT = 2381

_START_S = 4.0
_WRITE_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1


class EtcdError(Exception):
    """The real etcd did not start; the text says why."""


@dataclass(frozen=True)
class Member:
    """One member: its node, and the real sockets behind its ports 2379 and 2381."""

    node: Node
    client: Socket
    metrics: Socket


class Etcd(Protocol):
    """A running etcd of either kind."""

    kind: str
    members: tuple[Member, ...]

    async def stop_member(self, node: str) -> None: ...

    async def start_member(self, node: str) -> Member: ...

    async def stop(self) -> None: ...


def open_ports(member: Member, network: Network) -> None:
    """Let a member answer at its node's addresses."""
    network.listen(member.node.name, "0.0.0.0", CLIENT_PORT, member.client)
    network.listen(member.node.name, "127.0.0.1", METRICS_PORT, member.metrics)


async def start_etcd(
    binary: str | None,
    nodes: Sequence[Node],
    folder: Path,
    network: Network,
    rng: random.Random,
    layout: Layout = KUBEADM,
) -> Etcd:
    """Start etcd on `nodes` and open its ports in the network; the stand-in where the binary is None or
    fails.
    """
    etcd: Etcd | None = None
    # A second try, since one of the ports may have been taken between finding it free and listening.
    for attempt in ("first", "second") if binary else ():
        try:
            etcd = await RealEtcd.start(binary or "", nodes, folder / attempt, network, layout)
            break
        except EtcdError as error:
            why = str(error)
    if etcd is None:
        if binary:
            print(_("etcd: {why}; the stand-in takes its place.").format(why=why), file=sys.stderr)
        etcd = await StandInEtcd.start(nodes, rng, layout)
    for member in etcd.members:
        open_ports(member, network)
    return etcd


class StandInEtcd:
    """Members without a database: HTTP servers with etcd's metrics."""

    kind = "stand-in"

    def __init__(self, nodes: Sequence[Node], rng: random.Random, layout: Layout) -> None:
        self.members: tuple[Member, ...] = ()
        self._nodes = {node.name: node for node in nodes}
        self._rng = rng
        self._layout = layout
        self._leader = nodes[0].name
        self._servers: dict[str, StandIn] = {}

    @classmethod
    async def start(cls, nodes: Sequence[Node], rng: random.Random, layout: Layout = KUBEADM) -> StandInEtcd:
        """Start a member on each node."""
        etcd = cls(nodes, rng, layout)
        try:
            for node in nodes:
                await etcd.start_member(node.name)
        except BaseException:
            await etcd.stop()
            raise
        return etcd

    async def start_member(self, node: str) -> Member:
        """Bring one member up, on new sockets; it leads only if nobody does."""
        on, layout = self._nodes[node], self._layout
        if self._leader not in self._servers:
            self._leader = node
        server = StandIn(leader=node == self._leader, rng=random.Random(self._rng.random()))
        server_pair = on.path(f"{layout.server}.crt"), on.path(f"{layout.server}.key")
        client, metrics = await server.start(*server_pair, on.path(f"{layout.ca}.crt"))
        self._servers[node] = server
        member = Member(on, Socket("127.0.0.1", client), Socket("127.0.0.1", metrics))
        others = {each.node.name: each for each in self.members}
        self.members = tuple((others | {node: member}).values())
        return member

    async def stop_member(self, node: str) -> None:
        """Take one member down; where it led, the next one leads."""
        if server := self._servers.pop(node, None):
            await server.stop()
        if node == self._leader and self._servers:
            self._leader = next(iter(self._servers))
            self._servers[self._leader].lead()

    async def stop(self) -> None:
        """Take all members down."""
        for node in list(self._servers):
            await self.stop_member(node)


def die_with_parent() -> None:
    """In a new child: be killed when the lab dies, however it dies (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports that are free now; etcd cannot be told to choose its own."""
    sockets = [socket.socket() for _number in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


class RealEtcd:
    """The real etcd, one process a member, with TLS and client certificates as kubeadm starts it."""

    kind = "etcd"

    def __init__(self, network: Network, layout: Layout) -> None:
        self.members: tuple[Member, ...] = ()
        self._network = network
        self._layout = layout
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._again: dict[str, Callable[[], Awaitable[asyncio.subprocess.Process]]] = {}
        self._writer: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, binary: str, nodes: Sequence[Node], folder: Path, network: Network, layout: Layout = KUBEADM
    ) -> RealEtcd:
        """Start a member on each node. Raises EtcdError, with nothing left running, where it does not get
        ready.
        """
        etcd = cls(network, layout)
        try:
            await etcd._start(binary, nodes, folder)
        except BaseException as error:
            await etcd.stop()
            if isinstance(error, OSError | TimeoutError):
                raise EtcdError(_("{binary} did not get ready").format(binary=binary)) from error
            raise
        return etcd

    async def _start(self, binary: str, nodes: Sequence[Node], folder: Path) -> None:
        ports = free_ports(3 * len(nodes))
        triples = {node.name: ports[3 * i : 3 * i + 3] for i, node in enumerate(nodes)}
        cluster = ",".join(f"{name}=https://127.0.0.1:{each[1]}" for name, each in triples.items())
        token = secrets.token_hex(8)
        for node in nodes:
            client, peer, metrics = triples[node.name]
            spawn = partial(self._spawn, binary, node, folder / node.name, (client, peer, metrics), cluster, token)
            self._again[node.name] = spawn
            self._processes[node.name] = await spawn()
            sockets = (Socket("127.0.0.1", client), Socket("127.0.0.1", metrics))
            self.members += (Member(node, *sockets),)
        async with asyncio.timeout(_START_S):
            for member in self.members:
                await self._until_healthy(member)
        self._writer = asyncio.create_task(self._write())

    async def _spawn(
        self, binary: str, node: Node, folder: Path, ports: tuple[int, int, int], cluster: str, token: str
    ) -> asyncio.subprocess.Process:
        client, peer, metrics = ports
        cert, key = (node.path(f"{self._layout.server}.{end}") for end in ("crt", "key"))
        ca = node.path(f"{self._layout.ca}.crt")
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        arguments = {
            "name": node.name,
            "data-dir": folder / "data",
            "listen-client-urls": f"https://127.0.0.1:{client}",
            "advertise-client-urls": f"https://{node.ip}:{CLIENT_PORT}",
            "listen-peer-urls": f"https://127.0.0.1:{peer}",
            "initial-advertise-peer-urls": f"https://127.0.0.1:{peer}",
            "initial-cluster": cluster,
            "initial-cluster-token": token,
            "listen-metrics-urls": f"http://127.0.0.1:{metrics}",
            "cert-file": cert,
            "key-file": key,
            "trusted-ca-file": ca,
            "client-cert-auth": "true",
            "peer-cert-file": cert,
            "peer-key-file": key,
            "peer-trusted-ca-file": ca,
            "peer-client-cert-auth": "true",
            "heartbeat-interval": "50",
            "election-timeout": "500",
            "log-level": "error",
            "logger": "zap",
        }
        with (folder / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                binary,
                *(f"--{name}={value}" for name, value in arguments.items()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin"},
                preexec_fn=die_with_parent,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the lab alone, which stops etcd
            )

    async def _until_healthy(self, member: Member) -> None:
        url = f"http://{member.metrics.host}:{member.metrics.port}/health"
        process = self._processes[member.node.name]
        probe = Network()
        probe.listen_outside(member.metrics.host, member.metrics.port, member.metrics)
        try:
            while True:
                if process.returncode is not None:
                    raise OSError(f"etcd ended with status {process.returncode}")
                with contextlib.suppress(NetworkError, ValueError):
                    answer = await probe.request("", "GET", url, timeout_s=1.0)
                    if json.loads(answer.body).get("health") == "true":
                        return
                await asyncio.sleep(0.05)
        finally:
            await probe.close()

    async def _write(self) -> None:
        """A little traffic, so that proposals and bytes move as they do under an API server."""
        node, own = self.members[0].node, self._layout.own
        tls = tls_context(
            node.path(f"{self._layout.ca}.crt").read_bytes(), *(str(node.path(own + end)) for end in (".crt", ".key"))
        )
        number = 0
        while True:
            number += 1
            key = base64.b64encode(f"/registry/leases/lab/{number % 20}".encode()).decode()
            value = base64.b64encode(secrets.token_bytes(64 + secrets.randbelow(448))).decode()
            for member in self.members:  # as the API server does: the next one where one does not answer
                try:
                    await self._network.request(
                        member.node.name,
                        "POST",
                        f"https://127.0.0.1:{CLIENT_PORT}/v3/kv/put",
                        tls=tls,
                        body=json.dumps({"key": key, "value": value}).encode(),
                        timeout_s=5.0,
                    )
                    break
                except NetworkError:
                    continue
            await asyncio.sleep(_WRITE_EVERY_S)

    async def start_member(self, node: str) -> Member:
        """Start a member again, on its data and at its ports. Raises EtcdError."""
        member = next(each for each in self.members if each.node.name == node)
        self._processes[node] = await self._again[node]()
        try:
            async with asyncio.timeout(2 * _START_S):
                await self._until_healthy(member)
        except (OSError, TimeoutError) as error:
            raise EtcdError(_("{binary} did not get ready").format(binary="etcd")) from error
        return member

    async def stop_member(self, node: str) -> None:
        """Kill one member's process (nothing of it is to survive)."""
        process = self._processes.pop(node, None)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def stop(self) -> None:
        """Kill all members."""
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        for node in list(self._processes):
            await self.stop_member(node)
