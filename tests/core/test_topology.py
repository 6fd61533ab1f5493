"""Where etcd runs, per platform.

The objects are written after the public sources named in `tui.core.platforms`, reduced to the fields that matter; none
of them was recorded.
"""

from __future__ import annotations

from typing import Any

import pytest

from tui.core.platforms import PLATFORMS
from tui.core.topology import STRATEGIES, Topology, consequence, discover, flags, is_loopback

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
ETCD = "node-role.kubernetes.io/etcd"


def node(
    name: str, ip: str, *labels: str, version: str = "v1.31.2", image: str = "Debian GNU/Linux 12", **annotations: str
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {label.partition("=")[0]: label.partition("=")[2] for label in labels},
            "annotations": {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()},
        },
        "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": ip}],
            "nodeInfo": {"kubeletVersion": version, "osImage": image},
        },
    }


def pod(
    component: str, on: str, ip: str, *command: str, namespace: str = "kube-system", **labels: str
) -> dict[str, Any]:
    annotations = {}
    if component == "etcd" and command:
        annotations["kubeadm.kubernetes.io/etcd.advertise-client-urls"] = f"https://{ip}:2379"
    return {
        "metadata": {
            "name": f"{component}-{on}",
            "namespace": namespace,
            "labels": {"component": component, "tier": "control-plane", **labels},
            "annotations": annotations,
        },
        "spec": {"nodeName": on, "containers": [{"name": component, "command": [component, *command]}]},
        "status": {"hostIP": ip, "podIP": ip},
    }


# kubernetes cmd/kubeadm/app/phases/etcd/local.go
def etcd_flags(ip: str, listen: str = "http://127.0.0.1:2381", pki: str = "/etc/kubernetes/pki/etcd") -> list[str]:
    return [
        f"--advertise-client-urls=https://{ip}:2379",
        f"--cert-file={pki}/server.crt",
        "--client-cert-auth=true",
        f"--listen-client-urls=https://127.0.0.1:2379,https://{ip}:2379",
        *([f"--listen-metrics-urls={listen}"] if listen else []),
        f"--trusted-ca-file={pki}/ca.crt",
    ]


NODES = [node(f"cp{n}", f"10.0.0.{n}", CONTROL_PLANE) for n in (1, 2, 3)]
NODES += [node(f"w{n}", f"10.0.1.{n}") for n in (1, 2)]


def kubeadm(**options: str) -> Topology:
    pods = [pod("etcd", f"cp{n}", f"10.0.0.{n}", *etcd_flags(f"10.0.0.{n}", **options)) for n in (2, 1, 3)]
    pods += [pod("kube-apiserver", f"cp{n}", f"10.0.0.{n}", "--etcd-servers=https://127.0.0.1:2379") for n in (1, 2, 3)]
    return discover(NODES, pods)


def test_kubeadm() -> None:
    found = kubeadm()
    assert (found.platform, found.proposal, found.guess, found.nodes, found.others) == (
        "kubeadm",
        "node-http",
        False,
        5,
        2,
    )
    assert found.etcd_nodes == ("cp1", "cp2", "cp3")
    assert found.members[0].ip == "10.0.0.1"
    assert found.members[0].metrics_urls == ("http://127.0.0.1:2381/metrics", "https://127.0.0.1:2379/metrics")
    assert found.urls("node-http") == ("http://127.0.0.1:2381/metrics",)
    assert found.urls("node-tls") == ("https://127.0.0.1:2379/metrics",)
    assert found.urls("elected") == tuple(f"https://10.0.0.{n}:2379/metrics" for n in (1, 2, 3))
    assert found.urls("tutorial") == ("https://10.0.0.1:2379/metrics",)
    assert found.urls("none") == ()
    assert found.certificate_directory == "/etc/kubernetes/pki/etcd"
    assert found.certificates[0].cert == "/etc/kubernetes/pki/etcd/healthcheck-client.crt"
    assert [c.cert.rsplit("/", 1)[1] for c in found.certificates] == [
        "healthcheck-client.crt",
        "apiserver-etcd-client.crt",
        "peer.crt",
    ]


def test_kubeadm_with_its_pki_elsewhere() -> None:  # minikube: /var/lib/minikube/certs/etcd
    found = kubeadm(pki="/var/lib/minikube/certs/etcd")
    assert found.certificates[0].ca == "/var/lib/minikube/certs/etcd/ca.crt"
    assert found.certificates[0].key == "/var/lib/minikube/certs/etcd/healthcheck-client.key"


def test_kubeadm_without_metrics_urls_needs_certificates() -> None:
    found = kubeadm(listen="")
    assert found.proposal == "node-tls"
    assert found.urls("node-http") == ()
    assert "Not possible here" in consequence("node-http", found)


def test_kubeadm_that_listens_everywhere() -> None:
    found = kubeadm(listen="http://0.0.0.0:12381")
    assert found.proposal == "node-http"
    assert found.urls("node-http") == ("http://127.0.0.1:12381/metrics",)


def test_kubeadm_that_listens_on_the_node_address_alone() -> None:
    pods = [pod("etcd", "cp1", "10.0.0.1", *etcd_flags("10.0.0.1", listen="http://10.0.0.1:2381"))]
    found = discover(NODES, pods)
    assert found.proposal == "elected"
    assert found.urls("elected") == ("http://10.0.0.1:2381/metrics",)
    assert "No certificates are needed" in consequence("elected", found)


def test_kubeadm_by_labels_alone_is_a_guess() -> None:
    found = discover(NODES, None)
    assert (found.platform, found.proposal, found.guess) == ("kubeadm", "node-http", True)
    assert found.etcd_nodes == ("cp1", "cp2", "cp3")
    assert found.urls("elected") == tuple(f"https://10.0.0.{n}:2379/metrics" for n in (1, 2, 3))
    assert "guess" in found.why


def test_ipv6_members() -> None:
    nodes = [node("cp1", "fd00::1", CONTROL_PLANE)]
    assert discover(nodes, None).urls("elected") == ("https://[fd00::1]:2379/metrics",)
    pods = [pod("etcd", "cp1", "fd00::1")]
    assert discover(nodes, pods).urls("elected") == ("https://[fd00::1]:2379/metrics",)


def test_rke2() -> None:  # rke2 pkg/podtemplate: the pod shows --config-file alone
    nodes = [
        node("s1", "10.0.0.1", CONTROL_PLANE, ETCD, version="v1.31.2+rke2r1"),
        node("w1", "10.0.0.9", version="v1.31.2+rke2r1"),
    ]
    server = pod("etcd", "s1", "10.0.0.1")
    server["spec"]["containers"][0]["command"] = ["etcd", "--config-file=/var/lib/rancher/rke2/server/db/etcd/config"]
    for pods in ([server], None):
        found = discover(nodes, pods)
        assert (found.platform, found.proposal, found.etcd_nodes, found.guess) == ("rke2", "node-http", ("s1",), False)
        assert found.urls("node-http") == ("http://127.0.0.1:2381/metrics",)
        assert found.certificates[0].cert == "/var/lib/rancher/rke2/server/tls/etcd/server-client.crt"


def test_k3s_with_etcd_and_with_sqlite() -> None:
    server = node("s1", "10.0.0.1", CONTROL_PLANE, ETCD, version="v1.31.2+k3s1")
    found = discover([server], [])
    assert (found.platform, found.proposal, found.urls("node-http")) == (
        "k3s-etcd",
        "node-http",
        ("http://127.0.0.1:2381/metrics",),
    )
    assert found.certificate_directory == "/var/lib/rancher/k3s/server/tls/etcd"
    found = discover([node("s1", "10.0.0.1", CONTROL_PLANE, version="v1.31.2+k3s1")], [])
    assert (found.platform, found.proposal, found.members) == ("k3s-sqlite", "none", ())
    assert "SQLite" in consequence("none", found)


def test_rke1() -> None:
    nodes = [
        node("n1", "10.0.0.1", ETCD, "node-role.kubernetes.io/controlplane"),
        node("n2", "10.0.0.2", "node-role.kubernetes.io/worker"),
    ]
    found = discover(nodes, [])
    assert (found.platform, found.proposal, found.etcd_nodes) == ("rke1", "node-tls", ("n1",))
    assert found.urls("node-tls") == ("https://127.0.0.1:2379/metrics",)
    assert found.urls("node-http") == ()
    assert found.certificates[0].cert == "/etc/kubernetes/ssl/kube-node.pem"
    assert found.certificates[0].ca == "/etc/kubernetes/ssl/kube-ca.pem"


def test_openshift() -> None:
    nodes = [node("m1", "10.0.0.1", CONTROL_PLANE, "node.openshift.io/os_id=rhcos")]
    member = pod("", "m1", "10.0.0.1", namespace="openshift-etcd", etcd="true")
    for pods in ([member], None):
        found = discover(nodes, pods)
        assert (found.platform, found.proposal) == ("openshift", "node-tls")
        assert found.urls("node-tls") == ("https://127.0.0.1:9979/metrics",)
        assert found.urls("elected") == ("https://10.0.0.1:9979/metrics",)
        assert "etcd-metric-client" in found.why
    assert discover([node("m1", "10.0.0.1", CONTROL_PLANE)], [member]).platform == "openshift"


def test_talos_is_none_until_it_listens() -> None:
    found = discover([node("t1", "10.0.0.1", CONTROL_PLANE, image="Talos (v1.9.1)")], [])
    assert (found.platform, found.proposal) == ("talos", "none")
    assert "listen-metrics-urls" in found.why
    assert found.urls("node-http") == ("http://127.0.0.1:2381/metrics",)
    assert found.urls("node-tls") == ()


@pytest.mark.parametrize(
    ("label", "version", "name"),
    [
        ("eks.amazonaws.com/nodegroup=a", "v1.30.4-eks-a737599", "EKS"),
        ("x=y", "v1.30.4-eks-a737599", "EKS"),
        ("cloud.google.com/gke-nodepool=a", "v1.30.5-gke.1014001", "GKE"),
        ("kubernetes.azure.com/cluster=a", "v1.30.5", "AKS"),
        ("alibabacloud.com/nodepool-id=a", "v1.30.1-aliyun.1", "ACK"),
        ("x=y", "v1.30.0-tke.6", "TKE"),
    ],
)
@pytest.mark.parametrize("pods", [None, [pod("coredns", "n1", "10.0.0.1")]])
def test_managed_control_planes_cannot_be_reached(label: str, version: str, name: str, pods: Any) -> None:
    found = discover([node("n1", "10.0.0.1", label, version=version)], pods)
    assert (found.platform, found.proposal, found.title, found.members) == ("managed", "none", name, ())
    assert "cannot be reached" in consequence("none", found)


def test_external_etcd_is_named_by_the_api_server() -> None:
    server = pod(
        "kube-apiserver",
        "cp1",
        "10.0.0.1",
        "--etcd-servers=https://10.9.0.1:2379,https://10.0.1.1:2379",
        "--etcd-cafile=/etc/etcd/ca.pem",
        "--etcd-certfile",
        "/etc/etcd/client.pem",
        "--etcd-keyfile=/etc/etcd/client-key.pem",
    )
    found = discover(NODES, [server])
    assert (found.platform, found.proposal) == ("external", "elected")
    assert found.urls("elected") == ("https://10.9.0.1:2379/metrics", "https://10.0.1.1:2379/metrics")
    assert [m.node for m in found.members] == ["", "w1"]
    assert found.certificates[0].cert == "/etc/etcd/client.pem"
    assert found.certificate_directory == "/etc/etcd"
    assert found.urls("node-http") == found.urls("node-tls") == ()


def test_etcd_as_a_service_of_the_control_plane_nodes() -> None:
    files = ["--etcd-certfile=/etc/etcd/c.pem", "--etcd-keyfile=/etc/etcd/k.pem", "--etcd-cafile=/etc/etcd/ca.pem"]
    servers = [
        pod("kube-apiserver", f"cp{n}", f"10.0.0.{n}", "--etcd-servers=https://127.0.0.1:2379", *files) for n in (1, 2)
    ]
    found = discover(NODES, servers)
    assert (found.platform, found.proposal, found.etcd_nodes) == ("external", "node-tls", ("cp1", "cp2"))
    assert found.urls("node-tls") == ("https://127.0.0.1:2379/metrics",)
    assert found.urls("elected") == ("https://10.0.0.1:2379/metrics", "https://10.0.0.2:2379/metrics")


def test_an_api_server_that_names_no_etcd() -> None:
    found = discover(NODES, [pod("kube-apiserver", "cp1", "10.0.0.1")])
    assert (found.platform, found.proposal, found.members) == ("external", "elected", ())
    assert found.urls("elected") == ()


def test_members_that_listen_differently_have_no_common_local_url() -> None:
    pods = [
        pod("etcd", "cp1", "10.0.0.1", *etcd_flags("10.0.0.1")),
        pod("etcd", "cp2", "10.0.0.2", *etcd_flags("10.0.0.2", listen="http://127.0.0.1:9")),
    ]
    assert discover(NODES, pods).proposal == "node-tls"


@pytest.mark.parametrize("url", ["https://[oops", "https://h:port", "", "::", "http://h]:1"])
def test_flags_that_cannot_be_read_break_nothing(url: str) -> None:
    etcd = pod("etcd", "cp1", "10.0.0.1", f"--listen-metrics-urls={url}", f"--advertise-client-urls={url}")
    etcd["metadata"]["annotations"] = {}
    assert discover(NODES, [etcd]).etcd_nodes == ("cp1",)
    server = pod("kube-apiserver", "cp1", "10.0.0.1", f"--etcd-servers={url}")
    assert discover(NODES, [server]).platform == "external"


def test_nothing_is_known() -> None:
    found = discover([], None)
    assert (found.platform, found.proposal, found.members, found.guess) == ("unknown", "none", (), True)
    assert all(consequence(strategy, found) for strategy in STRATEGIES)
    found = discover([node("n1", "10.0.0.1")], [])
    assert (found.platform, found.proposal, found.guess) == ("unknown", "none", False)


def test_objects_with_empty_parts_are_taken() -> None:
    bare = [{"metadata": {"name": "n", "labels": None, "annotations": None}}, {}]
    assert discover(bare, [{"metadata": {"labels": {"component": "etcd"}}}, {}]).platform == "kubeadm"


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ("node-http", ["without certificates", "2 nodes without etcd report up=0"]),
        ("node-tls", ["/etc/kubernetes/pki/etcd", "2 nodes without these files log an error"]),
        ("elected", ["all 3 members", "nothing is reported"]),
        ("tutorial", ["no cluster_name_k8s", "not verified", "only one of 3 members", "2 of 5 nodes"]),
        ("none", ["Nothing is written"]),
    ],
)
def test_each_strategy_says_what_it_leads_to(strategy: str, says: list[str]) -> None:
    text = consequence(strategy, kubeadm())
    assert all(part in text for part in says), text


def test_consequences_count_one_and_none() -> None:
    pods = [pod("etcd", "cp1", "10.0.0.1", *etcd_flags("10.0.0.1"))]
    assert "1 node without etcd reports" in consequence("node-http", discover([NODES[0], NODES[3]], pods))
    assert "all of them run etcd" in consequence("node-http", discover([NODES[0]], pods))
    assert "all that can be elected have the certificates" in consequence("elected", discover([NODES[0]], pods))
    assert "Each of the other nodes" in consequence("node-http", discover([], pods))


def test_flags_in_every_form() -> None:
    item = {"spec": {"containers": [{"name": "a", "command": ["x", "--a=1", "--b", "2"], "args": ["--c", "--d=e=f"]}]}}
    assert flags(item) == {"a": "1", "b": "2", "c": "", "d": "e=f"}
    assert flags(item, "other") == {}


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:2381/metrics", True),
        ("https://127.9.9.9/", True),
        ("http://LOCALHOST:1/", True),
        ("http://[::1]:1/", True),
        ("http://10.0.0.1/", False),
        ("http://127.example.com/", False),
        ("http://${NODE}:1/", False),
        ("http://[oops/", False),
        ("localhost:2381/metrics", False),
    ],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_every_platform_proposes_a_strategy_and_says_why() -> None:
    assert {platform.proposal for platform in PLATFORMS.values()} <= set(STRATEGIES)
    assert all(platform.why and platform.title for platform in PLATFORMS.values())
