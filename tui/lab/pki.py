"""Certificates as kubeadm lays them out, made at start (ECDSA, because RSA keys take seconds).

Names, subject alternative names and usages follow kubeadm 1.36 (cmd/kubeadm/app/phases/certs/certlist.go and
app/util/pkiutil/pki_helpers.go): etcd's server and peer certificates carry serverAuth and clientAuth, the
health-check client only clientAuth. Nothing here is ever used outside the lab's folder.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ETCD_FOLDER = "/etc/kubernetes/pki/etcd"
PKI_FOLDER = "/etc/kubernetes/pki"

_CA_DAYS = 3650
_LEAF_DAYS = 365
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM. The key stays out of every repr."""

    cert: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Pair(…)"

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `name`.crt (0644) and `name`.key (0600) into the folder; returns both paths."""
        cert, key = folder / f"{name}.crt", folder / f"{name}.key"
        write_file(cert, self.cert)
        write_file(key, self.key, mode=0o600)
        return cert, key


def write_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file with exactly this mode, its folders made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A certificate authority, e.g. `kubernetes` or `etcd-ca`."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject(name, [])
        now = datetime.datetime.now(datetime.UTC)
        public = self._key.public_key()
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + datetime.timedelta(days=_CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pair = Pair(self._certificate.public_bytes(serialization.Encoding.PEM), _key_pem(self._key))

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.pair.cert

    def issue(
        self,
        common_name: str,
        *,
        organizations: Sequence[str] = (),
        names: Sequence[str] = (),
        server: bool = False,
        client: bool = True,
        not_after: datetime.datetime | None = None,
    ) -> Pair:
        """A certificate for `common_name` with these alternative names (host names and addresses) and usages.

        `not_after` in the past makes an expired one; without it a certificate holds for a year.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        end = not_after or now + datetime.timedelta(days=_LEAF_DAYS)
        usages = [
            *([ExtendedKeyUsageOID.SERVER_AUTH] if server else []),
            *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else []),
        ]
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(common_name, organizations))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end - datetime.timedelta(days=1)) - _CLOCK_SKEW)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def etcd_names(node: str, ip: str) -> tuple[str, ...]:
    """The alternative names that kubeadm gives etcd's server and peer certificates."""
    return (node, "localhost", ip, "127.0.0.1", "::1")


@dataclass(frozen=True)
class Pki:
    """The authorities of a cluster. kubeadm has one for all of etcd; k3s and RKE2 have `etcd_peers` besides."""

    cluster: Authority
    etcd: Authority
    etcd_peers: Authority

    @classmethod
    def create(cls) -> Pki:
        return cls(Authority("kubernetes"), Authority("etcd-ca"), Authority("etcd-peer-ca"))

    def api_server(self, nodes: Sequence[tuple[str, str]]) -> Pair:
        """The API server's certificate, good for every (name, address) of the control plane and for the
        loopback.
        """
        inside = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
        names = [*inside, "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", "10.96.0.1"]
        names += [part for node in nodes for part in node]
        return self.cluster.issue("kube-apiserver", names=names, server=True, client=False)

    def user(self, name: str, *groups: str) -> Pair:
        """A client certificate: the API server reads the user from its CN and the groups from its O."""
        return self.cluster.issue(name, organizations=groups)

    def write_control_plane(
        self,
        root: Path,
        node: str,
        ip: str,
    ) -> None:
        """Lay out /etc/kubernetes/pki below `root` for a control-plane node."""
        base = root / PKI_FOLDER.lstrip("/")
        etcd = root / ETCD_FOLDER.lstrip("/")
        self.cluster.pair.write(base, "ca")
        self.cluster.issue("kube-apiserver-kubelet-client").write(base, "apiserver-kubelet-client")
        self.etcd.issue("kube-apiserver-etcd-client").write(base, "apiserver-etcd-client")
        self.etcd.pair.write(etcd, "ca")
        names = etcd_names(node, ip)
        self.etcd.issue(node, names=names, server=True).write(etcd, "server")
        self.etcd.issue(node, names=names, server=True).write(etcd, "peer")
        self.etcd.issue("kube-etcd-healthcheck-client").write(etcd, "healthcheck-client")

    def write_worker(self, root: Path) -> None:
        """A worker joined by kubeadm has the cluster's CA and nothing of etcd."""
        write_file(root / PKI_FOLDER.lstrip("/") / "ca.crt", self.cluster.pem)
