"""A control plane of its own for each test, and a tiny CA for its users."""

from __future__ import annotations

import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.lab.apiserver.replay import DATA
from tui.lab.apiserver import ApiServer, ExecResult, KubeletError

ADMIN = ("kubernetes-admin", "kubeadm:cluster-admins")


@dataclass
class Authority:
    """A CA in a folder."""

    folder: Path
    name: str = "practice-ca"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        builder = self._builder(subject, subject, self.key, days=(-1, 3650))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.cert = builder.sign(self.key, hashes.SHA256())
        self.path = self.folder / f"{self.name}.crt"
        self.path.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
        )

    def issue(self, name: str, *groups: str, days: tuple[int, int] = (-1, 365), label: str = "") -> tuple[Path, Path]:
        """A certificate and its key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, self.cert.subject, key, days)
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        cert = builder.sign(self.key, hashes.SHA256())
        stem = self.folder / (label or name).replace(":", "-")
        paths = stem.with_suffix(".crt"), stem.with_suffix(".key")
        paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        private = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, private, plain))
        return paths

    def context(self, paths: tuple[Path, Path] | None) -> ssl.SSLContext:
        """TLS for a client with this certificate, or none."""
        context = ssl.create_default_context(cafile=str(self.path))
        if paths is not None:
            context.load_cert_chain(*paths)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def server_files(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("kube-apiserver")


@pytest.fixture
def make_server(authority: Authority, server_files: tuple[Path, Path]):
    def make(**more: object) -> ApiServer:
        return ApiServer(
            server_cert=server_files[0],
            server_key=server_files[1],
            client_ca=authority.path,
            **more,  # type: ignore[arg-type]
        )

    return make


class Nodes:
    """A stand-in for nodes: containers in which three commands work."""

    async def exec(self, namespace: str, pod: str, container: str, argv: list[str], stdin: bytes | None) -> ExecResult:
        match argv:
            case ["ls", "/"]:
                return ExecResult(b"bin\ndev\n")
            case ["cat"]:
                return ExecResult(stdin or b"")
            case ["fail", code]:
                return ExecResult(b"out\n", b"err\n", int(code))
        raise KubeletError(f'Internal error occurred: exec: "{argv[0]}": executable file not found in $PATH')

    async def logs(self, namespace: str, pod: str, container: str, **options: object) -> bytes:
        return b"one\ntwo\n"[-4 if options.get("tail_lines") == 1 else 0 :]

    async def proxy(
        self, namespace: str, pod: str, port: int, method: str, path: str, query: str, headers: object
    ) -> tuple[int, dict[str, str], bytes]:
        if port != 9529:
            raise KubeletError("dial tcp: connect: connection refused", 503)
        return 200, {"Content-Type": "text/plain"}, f"{method} {path}?{query}".encode()


@pytest.fixture(scope="session")
def admin(authority: Authority) -> tuple[Path, Path]:
    return authority.issue(*ADMIN)


@pytest.fixture
async def session(
    server: ApiServer, authority: Authority, admin: tuple[Path, Path]
) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP as the administrator, with the server's address in front of every path."""
    connector = aiohttp.TCPConnector(ssl=authority.context(admin))
    async with aiohttp.ClientSession(server.url, connector=connector) as found:
        yield found


def vendor_daemon_set() -> dict[str, Any]:
    """The vendor's DaemonSet, as the recordings create it."""
    text = (DATA / "04a-ssa-ds-partial.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["setup"][2]["request"]["body"])


def with_pod(node: str = "node-a") -> list[dict[str, Any]]:
    """A namespace with a running pod."""
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "datakit", "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "web:1"}]},
        "status": status,
    }
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "datakit"}}, pod]


@pytest.fixture
async def server(make_server) -> AsyncIterator[ApiServer]:
    found = make_server(kubelets=Nodes())
    found.seed(with_pod())
    await found.start()
    yield found
    await found.stop()
