"""Control planes to run the same scenarios against: the practice one, the whole practice lab, and a real one.

The real one is kube-apiserver and etcd from KUBEBUILDER_ASSETS (or /usr/local/kubebuilder/bin), as envtest of
controller-runtime starts them: no controllers, no nodes.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization

from tui.backend import connect
from tui.core.ports import Cluster
from tui.lab.apiserver import ApiServer
from tui.lab.pki import Authority, Pair
from tui.lab.world import Lab

NO_SERVER = "no kube-apiserver: KUBEBUILDER_ASSETS is not set"
NO_NODES = "needs nodes that run pods"
_START_S = 60.0
_LAB_START_S = 60.0


@dataclass(frozen=True)
class ControlPlane:
    """A control plane and a kubeconfig with the contexts admin, viewer (no rights of its own), expired and stranger."""

    kubeconfig: Path

    def cluster(self, context: str = "admin") -> Cluster:
        return connect(str(self.kubeconfig)).clusters().connect(context)


def real_binaries() -> Path | None:
    """The folder with kube-apiserver and etcd, if there is one."""
    for folder in (os.environ.get("KUBEBUILDER_ASSETS", ""), "/usr/local/kubebuilder/bin"):
        if folder and all(os.access(Path(folder, name), os.X_OK) for name in ("kube-apiserver", "etcd")):
            return Path(folder)
    return None


def _users(authority: Authority) -> dict[str, Pair]:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return {
        "admin": authority.issue("admin", organizations=["system:masters"]),
        "viewer": authority.issue("viewer"),
        "expired": authority.issue("admin", organizations=["system:masters"], not_after=yesterday),
        "stranger": Authority("another-ca").issue("admin", organizations=["system:masters"]),
    }


def _kubeconfig(path: Path, server: str, authority: Authority) -> Path:
    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    users = _users(authority)
    cluster = {"server": server, "certificate-authority-data": encoded(authority.pem)}
    document = {
        "clusters": [{"name": "it", "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": "it", "user": name}} for name in users],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": encoded(pair.cert), "client-key-data": encoded(pair.key)},
            }
            for name, pair in users.items()
        ],
        "current-context": "admin",
    }
    path.write_text(yaml.safe_dump(document))
    return path


class _Loop:
    """An event loop in a thread of its own, for servers that the tests talk to from outside."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, job: Coroutine[Any, Any, Any], seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(seconds)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def practice() -> Iterator[ControlPlane]:
    """The practice control plane alone."""
    authority = Authority("kubernetes")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        cert, key = authority.issue("kube-apiserver", names=["127.0.0.1"], server=True).write(folder, "server")
        ca = folder / "ca.crt"
        ca.write_bytes(authority.pem)
        loop = _Loop()
        server = ApiServer(server_cert=cert, server_key=key, client_ca=ca)
        try:
            url = loop.run(server.start(), _START_S)
            yield ControlPlane(_kubeconfig(folder / "kubeconfig", url, authority))
        finally:
            loop.run(server.stop(), _START_S)
            loop.stop()


@contextmanager
def lab() -> Iterator[Lab]:
    """The whole practice lab: a control-plane node and a worker, with the stand-in for etcd, time x60."""
    loop = _Loop()
    made = Lab(nodes=2, interval_s=1.0, seed=1)
    try:
        loop.run(made.start(), _LAB_START_S)
        yield made
    finally:
        loop.run(made.stop(), _LAB_START_S)
        loop.stop()


@contextmanager
def real(binaries: Path) -> Iterator[ControlPlane]:
    """A real kube-apiserver on a real etcd."""
    authority = Authority("kubernetes")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        processes: list[subprocess.Popen[bytes]] = []
        try:
            etcd = _start_etcd(binaries, folder, processes)
            url = _start_api_server(binaries, folder, authority, etcd, processes)
            yield ControlPlane(_kubeconfig(folder / "kubeconfig", url, authority))
        finally:
            # Ended hard: a kube-apiserver that is asked to stop waits for its watches, and nothing of this is kept.
            for process in reversed(processes):
                process.kill()
            for process in processes:
                process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _start(argv: list[str], folder: Path, name: str, processes: list[subprocess.Popen[bytes]]) -> Path:
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder))
    return log


def _until(ready: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{what} did not get ready:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)  # both only say so over HTTP


def _answers(url: str, tls: ssl.SSLContext | None) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _start_etcd(binaries: Path, folder: Path, processes: list[subprocess.Popen[bytes]]) -> str:
    client, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    argv = [str(binaries / "etcd"), f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync"]
    argv += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    argv += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
    log = _start(argv, folder, "etcd", processes)
    _until(lambda: _answers(f"{client}/health", None), "etcd", processes[-1], log)
    return client


def _start_api_server(
    binaries: Path, folder: Path, authority: Authority, etcd: str, processes: list[subprocess.Popen[bytes]]
) -> str:
    cert, key = authority.issue(
        "kube-apiserver", names=["127.0.0.1", "localhost", "kubernetes"], server=True, client=False
    ).write(folder, "apiserver")
    ca = folder / "ca.crt"
    ca.write_bytes(authority.pem)
    signing = authority.issue("service-accounts").write(folder, "service-accounts")[1]
    private = serialization.load_pem_private_key(signing.read_bytes(), None)
    public = folder / "service-accounts.pub"
    public.write_bytes(
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    port = _free_port()
    argv = [
        str(binaries / "kube-apiserver"),
        f"--etcd-servers={etcd}",
        f"--cert-dir={folder / 'certs'}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--tls-cert-file={cert}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={ca}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={signing}",
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged=true",
    ]
    log = _start(argv, folder, "kube-apiserver", processes)
    url = f"https://127.0.0.1:{port}"
    tls = ssl.create_default_context(cadata=authority.pem.decode())
    # /readyz is allowed to anonymous users once RBAC's bootstrap roles are there.
    _until(lambda: _answers(f"{url}/readyz", tls), "kube-apiserver", processes[-1], log)
    return url
