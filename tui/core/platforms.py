"""What each Kubernetes distribution does with etcd: how to tell it, ports, certificates, the proposal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui.i18n import N_

Object = Mapping[str, Any]


@dataclass(frozen=True)
class CertificateSet:
    """A client's files on the nodes (full paths) and the directory that holds them."""

    directory: str
    ca: str
    cert: str
    key: str

    def moved(self, old: str, new: str) -> CertificateSet:
        """The same file names where the directory `old` is `new`."""

        def move(path: str) -> str:
            return new + path[len(old) :] if path == old or path.startswith(old + "/") else path

        return CertificateSet(move(self.directory), move(self.ca), move(self.cert), move(self.key))


def in_directory(directory: str, ca: str, cert: str, key: str) -> CertificateSet:
    """The three files by their names in one directory."""
    return CertificateSet(directory, *(f"{directory}/{name}" for name in (ca, cert, key)))


@dataclass(frozen=True)
class Platform:
    """A distribution. `ports`: of etcd's metrics, by scheme; `seen_in_pods`: only pods tell it for sure."""

    key: str
    title: str
    proposal: str
    why: str
    ports: Mapping[str, int] = field(default_factory=dict)
    certificates: tuple[CertificateSet, ...] = ()
    etcd_labels: tuple[str, ...] = ()
    seen_in_pods: bool = False


_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_ETCD = ("node-role.kubernetes.io/etcd",)
_KUBEADM_PKI = "/etc/kubernetes/pki/etcd"

# Sources: kubernetes cmd/kubeadm/app/{constants,phases/etcd/local.go}. healthcheck-client comes first because
# peer and server certificates can do more than a reader needs.
KUBEADM = Platform(
    "kubeadm",
    "kubeadm",
    "node-http",
    N_("kubeadm's etcd serves its metrics without certificates on 127.0.0.1:2381 of its node."),
    {"http": 2381, "https": 2379},
    (
        in_directory(_KUBEADM_PKI, "ca.crt", "healthcheck-client.crt", "healthcheck-client.key"),
        CertificateSet(
            "/etc/kubernetes/pki",
            f"{_KUBEADM_PKI}/ca.crt",
            "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "/etc/kubernetes/pki/apiserver-etcd-client.key",
        ),
        in_directory(_KUBEADM_PKI, "ca.crt", "peer.crt", "peer.key"),
    ),
    _CONTROL_PLANE,
    seen_in_pods=True,
)
# rke2 pkg/podtemplate, k3s pkg/etcd/etcd.go (listenMetricsURLs)
RKE2 = Platform(
    "rke2",
    "RKE2",
    "node-http",
    N_("RKE2 lets etcd serve its metrics without certificates on 127.0.0.1:2381 of each server node."),
    {"http": 2381, "https": 2379},
    (in_directory("/var/lib/rancher/rke2/server/tls/etcd", "server-ca.crt", "server-client.crt", "server-client.key"),),
    _ETCD,
)
K3S_ETCD = Platform(
    "k3s-etcd",
    "k3s",
    "node-http",
    N_("k3s runs etcd inside its own process and serves the metrics without certificates on 127.0.0.1:2381."),
    {"http": 2381, "https": 2379},
    (in_directory("/var/lib/rancher/k3s/server/tls/etcd", "server-ca.crt", "server-client.crt", "server-client.key"),),
    _ETCD,
)
K3S_SQLITE = Platform(
    "k3s-sqlite",
    "k3s (SQLite)",
    "none",
    N_("No node of this k3s runs etcd: SQLite or a database outside holds its state."),
)
# rke pki/constants.go, cluster/plan.go: kube-etcd-<ip> differs per node, kube-node is the same everywhere
RKE1 = Platform(
    "rke1",
    "RKE1",
    "node-tls",
    N_("RKE1 runs etcd as a plain container that wants certificates, on port 2379 of each etcd node."),
    {"https": 2379},
    (in_directory("/etc/kubernetes/ssl", "kube-ca.pem", "kube-node.pem", "kube-node-key.pem"),),
    _ETCD,
)
# cluster-etcd-operator bindata/etcd/{pod.gotpl,sm.yaml}; on the nodes the files' names hold the node's name
OPENSHIFT = Platform(
    "openshift",
    "OpenShift",
    "node-tls",
    N_(
        "OpenShift serves etcd's metrics on port 9979, with certificates: its Secret etcd-metric-client and "
        "its ConfigMap etcd-metric-serving-ca. DataKit needs the privileged SCC."
    ),
    {"https": 9979},
    (),
    _CONTROL_PLANE,
)
TALOS = Platform(
    "talos",
    "Talos",
    "none",
    N_(
        "Talos runs etcd as a system service and keeps its certificates. Set cluster.etcd.extraArgs "
        "listen-metrics-urls to http://0.0.0.0:2381 in the machine configuration, then choose node-http."
    ),
    {"http": 2381},
    (),
    _CONTROL_PLANE,
)
MANAGED = Platform(
    "managed",
    "managed control plane",
    "none",
    N_("The provider runs the control plane of this cluster; its etcd cannot be reached from the nodes."),
)
EXTERNAL = Platform(
    "external",
    "external etcd",
    "elected",
    N_("etcd runs outside this cluster; kube-apiserver's --etcd-servers names its members. Check the URLs."),
    {"https": 2379},
)
UNKNOWN = Platform(
    "unknown",
    "unknown",
    "none",
    N_("No etcd member was found. If you know where etcd is, choose elected and give the URLs."),
)
PLATFORMS = {
    platform.key: platform
    for platform in (KUBEADM, RKE2, K3S_ETCD, K3S_SQLITE, RKE1, OPENSHIFT, TALOS, MANAGED, EXTERNAL, UNKNOWN)
}

# By what a provider's nodes are known: prefix of a label, or part of the kubelet's version.
_PROVIDERS = (
    ("EKS", "eks.amazonaws.com/", "-eks-"),
    ("GKE", "cloud.google.com/gke-", "-gke."),
    ("AKS", "kubernetes.azure.com/", ""),
    ("ACK", "alibabacloud.com/", "-aliyun"),
    ("TKE", "node.tke.cloud.tencent.com/", "-tke."),
    ("CCE", "", "-cce"),
)


def platform_of(nodes: Sequence[Object], pods: Sequence[Object] | None) -> tuple[Platform, str]:
    """The platform that these nodes and pods show, and the provider's name where it is a managed one."""
    labels = {name for node in nodes for name in node.get("metadata", {}).get("labels") or {}}
    annotations = {name for node in nodes for name in node.get("metadata", {}).get("annotations") or {}}
    infos = [node.get("status", {}).get("nodeInfo") or {} for node in nodes]
    versions = " ".join(str(info.get("kubeletVersion", "")) for info in infos).lower()
    images = " ".join(str(info.get("osImage", "")) for info in infos)
    known = [
        (
            OPENSHIFT,
            "node.openshift.io/os_id" in labels or "machineconfiguration.openshift.io/currentConfig" in annotations,
        ),
        (OPENSHIFT, any(pod.get("metadata", {}).get("namespace") == "openshift-etcd" for pod in pods or ())),
        (TALOS, "Talos" in images),
        (RKE2, "+rke2" in versions),
        (K3S_ETCD, "+k3s" in versions and _ETCD[0] in labels),
        (K3S_SQLITE, "+k3s" in versions),
        (RKE1, _ETCD[0] in labels or any(name.startswith("rke.cattle.io/") for name in annotations)),
    ]
    for platform, holds in known:
        if holds:
            return platform, ""
    components = {(pod.get("metadata", {}).get("labels") or {}).get("component") for pod in pods or ()}
    if "etcd" in components:
        return KUBEADM, ""
    if "kube-apiserver" in components:
        return EXTERNAL, ""
    for name, label, version in _PROVIDERS:
        if (label and any(item.startswith(label) for item in labels)) or (version and version in versions):
            return MANAGED, name
    if pods is None and labels & set(_CONTROL_PLANE):
        return KUBEADM, ""
    return UNKNOWN, ""
