"""The layouts of kubeadm, RKE2 and k3s: certificates with names and usages, labels, pods; members that come back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from lab_machines import Machines, until

from tui.core.errors import UsageError
from tui.core.platforms import platform_of
from tui.lab import vendor
from tui.lab.events import now
from tui.lab.layouts import LAYOUTS, Layout, dress, layout_of, write_certificates
from tui.lab.network import NetworkError, tls_context
from tui.lab.nodes import Node, make_nodes, node_object
from tui.lab.pki import Pki

ETCD = shutil.which("etcd")


def read(node: Node, path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(node.path(f"{path}.crt").read_bytes())


def usages(certificate: x509.Certificate) -> set[str]:
    words = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
    return {words[each] for each in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_certificates_are_issued_as_the_distribution_does(layout: Layout, tmp_path: Path) -> None:
    control, worker = make_nodes(tmp_path, 2)
    pki = Pki.create()
    for node in (control, worker):
        write_certificates(layout, pki, node)
    assert not worker.path(layout.folder).exists()
    server = read(control, layout.server)
    assert usages(server) == {"server", "client"}
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = set(names.get_values_for_type(x509.DNSName))
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert {"localhost", control.name} <= dns
    assert {"127.0.0.1", control.ip} <= addresses
    assert ("kine.sock" in dns) == (layout.key != "kubeadm")
    assert usages(read(control, layout.own)) == {"client"}
    server.verify_directly_issued_by(read(control, layout.ca))
    peers = pki.etcd if layout.key == "kubeadm" else pki.etcd_peers
    read(control, layout.peer).verify_directly_issued_by(x509.load_pem_x509_certificate(peers.pem))
    assert control.path(f"{layout.server}.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("name", "platform"), [("kubeadm", "kubeadm"), ("rke2", "rke2"), ("k3s", "k3s-etcd")])
def test_the_wizard_knows_the_platform_by_its_nodes_and_pods(name: str, platform: str, tmp_path: Path) -> None:
    layout, nodes = layout_of(name), make_nodes(tmp_path, 2)
    objects = [dress(layout, node, node_object(node, now())) for node in nodes]
    pods = [pod for pod, _status in vendor.static_pods(nodes[0], nodes[:1], layout)]
    assert platform_of(objects, pods)[0].key == platform
    assert len(pods) == (0 if name == "k3s" else 2)


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(UsageError, match="does not know this platform: talos"):
        layout_of("talos")


@pytest.mark.parametrize(
    "binary",
    [
        pytest.param(None, id="stand-in"),
        pytest.param(ETCD, id="etcd", marks=pytest.mark.skipif(ETCD is None, reason="etcd is not installed")),
    ],
)
async def test_a_stopped_member_comes_back_and_another_leads_meanwhile(binary: str | None, tmp_path: Path) -> None:
    machines = Machines(tmp_path, 3, control_planes=3)
    etcd = await machines.start_etcd(binary)
    urls = {each.node.name: each.metrics for each in etcd.members}

    async def leaders() -> set[str]:
        found = set()
        for name in urls:
            try:
                answer = await machines.network.request(name, "GET", "http://127.0.0.1:2381/metrics")
            except NetworkError:
                continue
            if "\netcd_server_is_leader 1" in answer.body.decode():
                found.add(name)
        return found

    async def one_leads() -> set[str]:
        found = await leaders()
        return found if len(found) == 1 else set()

    try:
        (first,) = await until(one_leads)
        await etcd.stop_member(first)
        for port in (2379, 2381):
            machines.network.close_port(first, port)

        async def another() -> bool:
            return bool(await one_leads() - {first})

        await until(another)
        member = await etcd.start_member(first)
        machines.network.listen(first, "127.0.0.1", 2381, member.metrics)
        machines.network.listen(first, "0.0.0.0", 2379, member.client)
        node = member.node
        pair = [str(node.path(f"/etc/kubernetes/pki/etcd/healthcheck-client.{end}")) for end in ("crt", "key")]
        tls = tls_context(node.path("/etc/kubernetes/pki/etcd/ca.crt").read_bytes(), *pair)
        answer = await machines.network.request(first, "GET", "https://127.0.0.1:2379/health", tls=tls)
        assert answer.status == 200
        assert len(await until(one_leads)) == 1
    finally:
        await machines.stop()
