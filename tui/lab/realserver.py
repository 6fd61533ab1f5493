"""A real kube-apiserver under the lab: etcd and kube-apiserver from KUBEBUILDER_ASSETS, as envtest starts them.

The API server reaches nodes through an egress proxy of the lab (EgressSelectorConfiguration, HTTPConnect), so that the
nodes keep their own addresses and none of the lab's ports shows in any object.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives import serialization

from tui.core.errors import UsageError, WizardError
from tui.i18n import _
from tui.lab.etcd import die_with_parent, free_ports
from tui.lab.pki import Pair, Pki, write_file

ASSETS = "KUBEBUILDER_ASSETS"
AUDIT_FILE = "audit-apiserver.jsonl"  # in kube-apiserver's own form
_START_S = 60.0
_STOP_S = 5.0

_EGRESS = """\
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      tcp:
        url: https://127.0.0.1:{port}
        tlsConfig:
          caBundle: {ca}
          clientCert: {cert}
          clientKey: {key}
"""
_AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: ["RequestReceived"]
rules:
- level: Metadata
"""


def binaries(environment: Mapping[str, str]) -> Path:
    """The folder of kube-apiserver and etcd. Raises UsageError where KUBEBUILDER_ASSETS does not name one."""
    folder = environment.get(ASSETS, "")
    if not folder:
        raise UsageError(
            _("The lab has no kube-apiserver: {name} is not set.").format(name=ASSETS),
            remedy=_("Set it to a folder with kube-apiserver and etcd, as `setup-envtest use -p path` prints it."),
        )
    for name in ("kube-apiserver", "etcd"):
        if not os.access(Path(folder, name), os.X_OK):
            raise UsageError(_("There is no program {name} in {folder}.").format(name=name, folder=folder))
    return Path(folder)


class RealServer:
    """kube-apiserver on an etcd of its own. Clients have certificates of the lab's cluster authority."""

    def __init__(self, folder: Path, programs: Path, pki: Pki, serving: Pair) -> None:
        self.url = ""
        self.audit = folder / AUDIT_FILE
        self._folder = folder / "apiserver"
        self._programs = programs
        self._pki = pki
        self._serving = serving
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, egress_port: int) -> str:
        """Start both; the proxy to the nodes listens on `egress_port`. Raises WizardError with their last words."""
        self._folder.mkdir(mode=0o700, parents=True)
        client, peer, port = free_ports(3)
        await self._spawn("etcd", self._etcd_arguments(client, peer))
        self.url = f"https://127.0.0.1:{port}"
        await self._until_ready("etcd", f"http://127.0.0.1:{client}/health", None)
        await self._spawn("kube-apiserver", self._server_arguments(client, port, egress_port))
        tls = ssl.create_default_context(cadata=self._pki.cluster.pem.decode())
        # /readyz is allowed to anonymous users once RBAC's bootstrap roles are there.
        await self._until_ready("kube-apiserver", f"{self.url}/readyz", tls)
        return self.url

    def _etcd_arguments(self, client: int, peer: int) -> list[str]:
        here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        return [
            f"--data-dir={self._folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={here}",
            f"--advertise-client-urls={here}",
            f"--listen-peer-urls={there}",
            f"--initial-advertise-peer-urls={there}",
            f"--initial-cluster=default={there}",
        ]

    def _server_arguments(self, etcd: int, port: int, egress_port: int) -> list[str]:
        folder = self._folder
        cert, key = self._serving.write(folder, "serving")
        ca = folder / "ca.crt"
        write_file(ca, self._pki.cluster.pem)
        to_kubelets, to_kubelets_key = self._pki.cluster.issue(
            "kube-apiserver-kubelet-client", organizations=["kubeadm:cluster-admins"]
        ).write(folder, "kubelet-client")
        signing = self._pki.cluster.issue("service-accounts").write(folder, "service-accounts")[1]
        private = serialization.load_pem_private_key(signing.read_bytes(), None)
        public = folder / "service-accounts.pub"
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_file(public, private.public_key().public_bytes(*form))
        egress, policy = folder / "egress.yaml", folder / "audit.yaml"
        text = _EGRESS.format(port=egress_port, ca=ca, cert=to_kubelets, key=to_kubelets_key)
        write_file(egress, text.encode())
        write_file(policy, _AUDIT.encode())
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            f"--cert-dir={folder / 'certs'}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={port}",
            f"--tls-cert-file={cert}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={ca}",
            f"--kubelet-certificate-authority={ca}",
            f"--kubelet-client-certificate={to_kubelets}",
            f"--kubelet-client-key={to_kubelets_key}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--egress-selector-config-file={egress}",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={signing}",
            # No controller makes service accounts' tokens or takes the taint of new nodes away.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--allow-privileged=true",
        ]

    async def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    str(self._programs / name),
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"PATH": "/usr/bin:/bin"},
                    preexec_fn=die_with_parent,
                    start_new_session=True,
                )
            )

    async def _until_ready(self, name: str, url: str, tls: ssl.SSLContext | None) -> None:
        process = self._processes[-1]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S), aiohttp.ClientSession() as session:
                while process.returncode is None:
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        async with session.get(url, ssl=tls if tls is not None else True) as answer:
                            if answer.status == 200:
                                return
                    await asyncio.sleep(0.1)
        told = (self._folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
        raise WizardError(_("{name} did not get ready.").format(name=name), why="\n".join(told[-5:]))

    async def stop(self) -> None:
        """End both, kube-apiserver first."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._processes = []
