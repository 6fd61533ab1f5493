"""Certificates as kubeadm issues them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tui.lab.nodes import Node, make_nodes
from tui.lab.pki import ETCD_FOLDER, Pki

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A control-plane node with its certificates."""
    (made,) = make_nodes(tmp_path, 1)
    Pki.create().write_control_plane(made.root, made.name, made.ip)
    return made


def certificate(node: Node, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(node.path(f"{ETCD_FOLDER}/{name}.crt").read_bytes())


@pytest.mark.parametrize(
    ("name", "usages", "has_names"),
    [
        ("server", {SERVER, CLIENT}, True),
        ("peer", {SERVER, CLIENT}, True),
        ("healthcheck-client", {CLIENT}, False),
    ],
)
def test_etcd_certificates_have_kubeadms_usages_and_names(
    node: Node, name: str, usages: set[x509.ObjectIdentifier], has_names: bool
) -> None:
    found = certificate(node, name)
    assert set(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == usages
    if has_names:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {str(each.value) for each in names} == {"cp-1", "localhost", "172.16.0.229", "127.0.0.1", "::1"}
    else:
        with pytest.raises(x509.ExtensionNotFound):
            found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    ca = certificate(node, "ca")
    found.verify_directly_issued_by(ca)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_keys_are_for_their_owner_alone(node: Node) -> None:
    folder = node.path(ETCD_FOLDER)
    keys = sorted(folder.glob("*.key"))
    assert [key.name for key in keys] == ["ca.key", "healthcheck-client.key", "peer.key", "server.key"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_a_worker_has_the_clusters_ca_and_nothing_of_etcd(tmp_path: Path) -> None:
    _, worker = make_nodes(tmp_path, 2)
    Pki.create().write_worker(worker.root)
    assert worker.path("/etc/kubernetes/pki/ca.crt").is_file()
    assert not worker.path(ETCD_FOLDER).exists()


def test_pairs_do_not_show_their_keys() -> None:
    pair = Pki.create().user("someone", "group")
    assert "PRIVATE" not in repr(pair)
    assert x509.load_pem_x509_certificate(pair.cert).subject.rfc4514_string() == "CN=someone,O=group"
