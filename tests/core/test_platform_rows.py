"""Each row of what is known of the platforms, recognised from what the API server really answers to the wizard: rows of
nodes (`kubectl get nodes -o wide`), labels and annotations of a few of them, and the control plane's pods.

Each fixture names its source and how it came to be: all are written after public sources, none was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.core.test_topology import etcd_flags, pod
from tui.core.ports import Object, Row
from tui.core.survey import node_of_row
from tui.core.topology import discover


def row(
    name: str, roles: str, ip: str, version: str = "v1.31.2", image: str = "Debian GNU/Linux 12", **marks: str
) -> Row:
    cells = {"Name": name, "Status": "Ready", "Roles": roles, "Age": "5d", "Version": version, "Internal-IP": ip}
    metadata: Object = {"name": name, "labels": {}, "annotations": {}}
    for mark, value in marks.items():
        kind, _, key = mark.partition("__")
        metadata[kind][key.replace("__", "/").replace("_", ".")] = value
    return Row({**cells, "External-IP": "<none>", "OS-Image": image}, metadata)


@dataclass(frozen=True)
class Fixture:
    """One platform: `source` and `how` say where the objects come from; then what discovery has to make of them."""

    source: str
    how: str  # "written" or "recorded"
    rows: tuple[Row, ...]
    platform: str
    proposal: str
    members: int
    pods: tuple[Object, ...] = field(default=())
    url: str = ""


KUBEADM_PODS = tuple(pod("etcd", f"cp{n}", f"10.0.0.{n}", *etcd_flags(f"10.0.0.{n}")) for n in (1, 2, 3))
FIXTURES = {
    "kubeadm": Fixture(
        "kubernetes cmd/kubeadm/app/phases/etcd/local.go; columns of pkg/printers/internalversion",
        "written",
        (*(row(f"cp{n}", "control-plane", f"10.0.0.{n}") for n in (1, 2, 3)), row("w1", "<none>", "10.0.1.1")),
        "kubeadm",
        "node-http",
        3,
        KUBEADM_PODS,
        "http://127.0.0.1:2381/metrics",
    ),
    "rke2": Fixture(
        "rke2 pkg/podtemplate/spec.go, staticpod.go",
        "written",
        (
            row("s1", "control-plane,etcd,master", "10.0.0.1", "v1.31.2+rke2r1"),
            row("a1", "<none>", "10.0.1.1", "v1.31.2+rke2r1"),
        ),
        "rke2",
        "node-http",
        1,
        (pod("etcd", "s1", "10.0.0.1"),),
        "http://127.0.0.1:2381/metrics",
    ),
    "k3s with etcd": Fixture(
        "k3s pkg/etcd/etcd.go (listenMetricsURLs)",
        "written",
        (
            row("s1", "control-plane,etcd,master", "10.0.0.1", "v1.31.2+k3s1"),
            row("a1", "<none>", "10.0.1.1", "v1.31.2+k3s1"),
        ),
        "k3s-etcd",
        "node-http",
        1,
        (),
        "http://127.0.0.1:2381/metrics",
    ),
    "k3s on SQLite": Fixture(
        "k3s documentation, datastore",
        "written",
        (row("s1", "control-plane,master", "10.0.0.1", "v1.31.2+k3s1"),),
        "k3s-sqlite",
        "none",
        0,
    ),
    "rke1": Fixture(
        "rke cluster/plan.go, pki/constants.go",
        "written",
        (
            row("n1", "controlplane,etcd", "10.0.0.1", annotations__rke_cattle_io__internal_ip="10.0.0.1"),
            row("n2", "worker", "10.0.1.1", annotations__rke_cattle_io__internal_ip="10.0.1.1"),
        ),
        "rke1",
        "node-tls",
        1,
        (),
        "https://127.0.0.1:2379/metrics",
    ),
    "openshift": Fixture(
        "cluster-etcd-operator bindata/etcd/{pod.gotpl,sm.yaml}",
        "written",
        (row("m1", "control-plane,master", "10.0.0.1", labels__node_openshift_io__os_id="rhcos"),),
        "openshift",
        "node-tls",
        1,
        (pod("etcd", "m1", "10.0.0.1", namespace="openshift-etcd", etcd="true"),),
        "https://127.0.0.1:9979/metrics",
    ),
    "talos": Fixture(
        "siderolabs etcd-metrics guide; talos pkg/machinery/constants",
        "written",
        (row("t1", "control-plane", "10.0.0.1", image="Talos (v1.9.0)"),),
        "talos",
        "none",
        1,
    ),
    "external etcd": Fixture(
        "kubernetes cmd/kubeadm (external etcd): kube-apiserver --etcd-servers",
        "written",
        (row("cp1", "control-plane", "10.0.0.1"),),
        "external",
        "elected",
        1,
        (pod("kube-apiserver", "cp1", "10.0.0.1", "--etcd-servers=https://10.9.0.1:2379"),),
    ),
    "EKS": Fixture(
        "EKS best practices: control plane in the provider's VPC; node labels",
        "written",
        (row("ip-10-0-0-1", "<none>", "10.0.0.1", "v1.31.2-eks-abc", labels__eks_amazonaws_com__nodegroup="a"),),
        "managed",
        "none",
        0,
    ),
    "ACK": Fixture(
        "ACK documentation: node labels",
        "written",
        (row("cn-1", "<none>", "10.0.0.1", "v1.31.2-aliyun.1", labels__alibabacloud_com__nodepool="np"),),
        "managed",
        "none",
        0,
    ),
}


@pytest.mark.parametrize("name", FIXTURES)
def test_a_platform_is_recognised_from_rows(name: str) -> None:
    fixture = FIXTURES[name]
    found = discover([node_of_row(each) for each in fixture.rows], list(fixture.pods))
    assert (found.platform, found.proposal, len(found.members)) == (fixture.platform, fixture.proposal, fixture.members)
    assert found.nodes == len(fixture.rows)
    if fixture.url:
        assert found.urls(fixture.proposal) == (fixture.url,)
    if fixture.proposal == "none":
        assert found.why, "it says why etcd cannot be reached"


@pytest.mark.parametrize("name", FIXTURES)
def test_beyond_the_sample_rows_alone_have_to_do(name: str) -> None:
    """Roles come from a column, so members are found on nodes of which nothing but their row was read."""
    fixture = FIXTURES[name]
    whole = [node_of_row(each) for each in fixture.rows]
    bare = [whole[0], *(node_of_row(Row(each.cells)) for each in fixture.rows[1:])]
    found, expected = discover(bare, list(fixture.pods)), discover(whole, list(fixture.pods))
    assert (found.platform, found.etcd_nodes, found.nodes) == (expected.platform, expected.etcd_nodes, expected.nodes)


def test_every_fixture_names_its_source() -> None:
    assert all(each.source and each.how in ("written", "recorded") for each in FIXTURES.values())
    assert {name for name, each in FIXTURES.items() if each.how == "recorded"} <= {"kubeadm"}
