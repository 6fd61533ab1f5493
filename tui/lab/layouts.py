"""Where kubeadm, RKE2 and k3s keep etcd's certificates, whom they issue them for, and how they label nodes.

Sources: kubernetes cmd/kubeadm/app/phases/certs/certlist.go and app/util/pkiutil/pki_helpers.go; k3s
pkg/daemons/control/deps/deps.go (genETCDCerts), which RKE2 uses too.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from tui.core.errors import UsageError
from tui.i18n import _
from tui.lab.nodes import Node
from tui.lab.pki import ETCD_FOLDER, PKI_FOLDER, Pair, Pki, etcd_names, write_file

VERSION = "v1.36.2"


@dataclass(frozen=True)
class Layout:
    """A distribution as its nodes show it. Files are full paths without `.crt` and `.key`.

    `ca` is the authority of etcd's clients, `clients` the pairs that a client may present, `own` the pair by which
    the API server (and the lab) writes to etcd. `in_pods` tells whether etcd is a static pod. `socket` is containerd's.
    """

    key: str
    kubelet: str
    folder: str
    ca: str
    server: str
    peer: str
    own: str
    clients: tuple[str, ...]
    in_pods: bool
    socket: str = "/run/containerd/containerd.sock"


KUBEADM = Layout(
    "kubeadm",
    VERSION,
    ETCD_FOLDER,
    f"{ETCD_FOLDER}/ca",
    f"{ETCD_FOLDER}/server",
    f"{ETCD_FOLDER}/peer",
    f"{PKI_FOLDER}/apiserver-etcd-client",
    (f"{ETCD_FOLDER}/healthcheck-client", f"{ETCD_FOLDER}/peer"),
    in_pods=True,
)


def _rancher(key: str, version: str, *, in_pods: bool) -> Layout:
    folder = f"/var/lib/rancher/{key}/server/tls/etcd"
    server = f"{folder}/server-client"
    return Layout(
        key,
        version,
        folder,
        f"{folder}/server-ca",
        server,
        f"{folder}/peer-server-client",
        f"{folder}/client",
        (server, f"{folder}/client"),
        in_pods=in_pods,
        socket="/run/k3s/containerd/containerd.sock",
    )


LAYOUTS = {
    layout.key: layout
    for layout in (
        KUBEADM,
        _rancher("rke2", f"{VERSION}+rke2r1", in_pods=True),
        _rancher("k3s", f"{VERSION}+k3s1", in_pods=False),
    )
}


def layout_of(name: str) -> Layout:
    """The layout of a platform's name. Raises UsageError."""
    if name not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise UsageError(
            _("The lab does not know this platform: {name}").format(name=name),
            remedy=_("It knows {names}.").format(names=known),
        )
    return LAYOUTS[name]


def write_certificates(layout: Layout, pki: Pki, node: Node) -> None:
    """Lay a node's certificates out as its distribution does."""
    if layout.key == "kubeadm":
        if node.is_control_plane:
            pki.write_control_plane(node.root, node.name, node.ip)
        else:
            pki.write_worker(node.root)
        return
    base = f"/var/lib/rancher/{layout.key}"
    write_file(node.path(f"{base}/agent/server-ca.crt"), pki.cluster.pem)
    write_file(node.path(f"{base}/agent/client-ca.crt"), pki.cluster.pem)
    if not node.is_control_plane:
        return
    tls = f"{base}/server/tls"
    pki.cluster.pair.write(node.path(tls), "server-ca")
    pki.etcd.pair.write(node.path(layout.folder), "server-ca")
    pki.etcd_peers.pair.write(node.path(layout.folder), "peer-ca")
    for path in (layout.server, layout.peer, layout.own):
        _write(node, path, issue(layout, pki, node, path))


def place_socket(layout: Layout, node: Node) -> None:
    """Put the runtime's socket where its clients look for it; /var/run is /run on every node."""
    path = node.path(f"/var{layout.socket}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def issue(layout: Layout, pki: Pki, node: Node, path: str, *, not_after: datetime.datetime | None = None) -> Pair:
    """A new pair for one of etcd's files of a node, as the distribution issues it."""
    name = path.rpartition("/")[2]
    if layout.key == "kubeadm":
        if name in ("server", "peer"):
            names = etcd_names(node.name, node.ip)
            return pki.etcd.issue(node.name, names=names, server=True, not_after=not_after)
        return pki.etcd.issue("kube-etcd-healthcheck-client", not_after=not_after)
    # The order of the alternative names is of no matter: kine.sock, then what the server's own certificate has.
    inside = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    names = ("kine.sock", *inside, "localhost", "127.0.0.1", "::1", node.name, node.ip, "10.43.0.1")
    if path == layout.server:
        return pki.etcd.issue("etcd-server", names=names, server=True, not_after=not_after)
    if path == layout.peer:
        return pki.etcd_peers.issue("etcd-peer", names=names, server=True, not_after=not_after)
    return pki.etcd.issue("etcd-client", not_after=not_after)


def _write(node: Node, path: str, pair: Pair) -> None:
    folder, _slash, name = path.rpartition("/")
    pair.write(node.path(folder), name)


def dress(layout: Layout, node: Node, item: dict[str, object]) -> dict[str, object]:
    """A node's object with the labels, taints and version of its distribution."""
    if layout.key == "kubeadm":
        return item
    metadata, spec, status = dict(item["metadata"]), dict(item["spec"]), dict(item["status"])  # type: ignore[call-overload]
    labels = dict(metadata["labels"])
    instance = layout.key
    labels |= {"node.kubernetes.io/instance-type": instance, "beta.kubernetes.io/instance-type": instance}
    if node.is_control_plane:
        labels["node-role.kubernetes.io/control-plane"] = "true"
        labels["node-role.kubernetes.io/etcd"] = "true"
        labels.pop("node.kubernetes.io/exclude-from-external-load-balancers", None)
    spec.pop("taints", None)  # servers of both also run workloads
    status["nodeInfo"] = {**status["nodeInfo"], "kubeletVersion": layout.kubelet}
    annotations = {f"{layout.key}.io/hostname": node.name, f"{layout.key}.io/internal-ip": node.ip}
    metadata |= {"labels": labels, "annotations": annotations}
    return {**item, "metadata": metadata, "spec": spec, "status": status}
