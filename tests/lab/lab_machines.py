"""What the tests of the lab share: machines with certificates, and waiting for a state with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tui.lab.etcd import Etcd, start_etcd
from tui.lab.network import Network, tls_context
from tui.lab.nodes import Node, make_nodes
from tui.lab.pki import ETCD_FOLDER, Pki

Condition = Callable[[], Any | Awaitable[Any]]


async def until(condition: Condition, seconds: float = 15.0) -> Any:
    """The first true value of `condition` (a function or a coroutine function); fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {inspect.getsource(condition).strip()}")
        await asyncio.sleep(0.02)


class Machines:
    """Nodes with kubeadm's certificates, a network, and the stand-in for etcd on the control plane."""

    def __init__(self, folder: Path, count: int = 2, control_planes: int = 1) -> None:
        self.folder = folder
        self.nodes: tuple[Node, ...] = make_nodes(folder / "nodes", count, control_planes)
        self.pki = Pki.create()
        self.network = Network()
        self.etcd: Etcd | None = None
        for node in self.nodes:
            self.network.add_node(node.name, node.ip)
            if node.is_control_plane:
                self.pki.write_control_plane(node.root, node.name, node.ip)
            else:
                self.pki.write_worker(node.root)

    async def start_etcd(self, binary: str | None = None) -> Etcd:
        """Start etcd on the control-plane nodes."""
        members = [node for node in self.nodes if node.is_control_plane]
        rng = random.Random(1)
        self.etcd = await start_etcd(binary, members, self.folder / "etcd", self.network, rng)
        return self.etcd

    async def stop(self) -> None:
        """End what runs."""
        if self.etcd is not None:
            await self.etcd.stop()
        await self.network.close()


def client_tls(node: Node, pair: str = "healthcheck-client") -> ssl.SSLContext:
    """The TLS settings of a client with one of etcd's pairs of a node."""
    folder = node.path(ETCD_FOLDER)
    ca = (folder / "ca.crt").read_bytes()
    return tls_context(ca, str(folder / f"{pair}.crt"), str(folder / f"{pair}.key"))
