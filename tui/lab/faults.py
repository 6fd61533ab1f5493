"""What can be made to go wrong in the lab, as in real life; each fault leads to one check that names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui.core.errors import UsageError
from tui.i18n import N_, _


@dataclass(frozen=True)
class Fault:
    """A fault: what is broken, what a person notices, and the id of the check that names the cause.

    Some show only with certain strategies for etcd: `strategies` names them, the first one best, empty for all. Others
    need a mesh that is collected.
    """

    name: str
    broken: str
    symptom: str
    check: str
    strategies: tuple[str, ...] = ()
    needs_mesh: bool = False


_FILES = ("node-tls", "elected", "tutorial")

FAULTS = (
    Fault(
        "elected-on-worker",
        N_("The election falls on a worker, which has no certificates for etcd."),
        N_("With the strategies elected and tutorial nothing arrives, and no error shows."),
        "etcd/elected-node",
        ("elected", "tutorial"),
    ),
    Fault(
        "no-cluster-tag",
        N_("Neither etcd.conf nor DataKit's environment names the cluster any more."),
        N_("etcd's points carry no cluster_name_k8s: the cluster filter of its view stays empty."),
        "etcd/election-tag",
    ),
    Fault(
        "cluster-name-default",
        N_("ENV_CLUSTER_NAME_K8S is back at its manifest's value, default."),
        N_("The nodes' own data appears under the cluster default, etcd's under another name."),
        "studio/cluster-tag",
    ),
    Fault(
        "stale-subpath",
        N_("etcd.conf was changed in the ConfigMap, and no pod was started anew."),
        N_("The pods go on with the text they started with: a subPath mount never follows."),
        "conf/fresh",
    ),
    Fault(
        "missing-key-directory",
        N_("The key etcd.conf is gone from the ConfigMap, while the DaemonSet still mounts it."),
        N_("In the pods etcd.conf is an empty directory, the rollout looks fine, and nothing is collected."),
        "conf/key",
    ),
    Fault(
        "wrong-filter",
        N_("metric_name_filter holds a name that no metric of etcd has."),
        N_("The scrapes succeed and not one point of etcd is kept, not even up."),
        "etcd/filter",
    ),
    Fault(
        "histogram-dropped",
        N_("metric_types has no histogram, and the filter names _bucket, which matches no family."),
        N_("Latency panels never fill, everything else does."),
        "etcd/filter",
    ),
    Fault(
        "wrong-ca",
        N_("The file of etcd's authority on the control-plane nodes holds another one's certificate."),
        N_("The server is not trusted: up is 0, and etcd's metrics do not arrive."),
        "etcd/answers",
        _FILES,
    ),
    Fault(
        "expired-cert",
        N_("etcd's client certificates on the control-plane nodes have expired."),
        N_("etcd refuses the connection; up is 0."),
        "etcd/cert-dates",
        _FILES,
    ),
    Fault(
        "renewed-cert",
        N_("etcd's client certificates on the control-plane nodes were renewed, and no DataKit was started anew."),
        N_("Everything arrives, until the certificates end that DataKit has in its memory."),
        "etcd/cert-renewed",
        ("node-tls", "elected"),
    ),
    Fault(
        "mismatched-pair",
        N_("The keys of etcd's client certificates on the control-plane nodes belong to other ones."),
        N_("The input never gets going: nothing arrives, not even up, and no error shows."),
        "etcd/cert-pair",
        _FILES,
    ),
    Fault(
        "unreadable-cert",
        N_("etcd's client certificates on the control-plane nodes have become directories."),
        N_("The input never gets going: nothing arrives, not even up, and no error shows."),
        "etcd/cert-readable",
        _FILES,
    ),
    Fault(
        "peer-cert-missing",
        N_("The peer certificate and its key are missing on the control-plane nodes."),
        N_("With the strategy tutorial nothing arrives, and no error shows."),
        "etcd/elected-node",
        ("tutorial",),
    ),
    Fault(
        "wrong-port",
        N_("etcd.conf names a port on which nothing listens."),
        N_("Connections are refused: up is 0, and etcd's metrics do not arrive."),
        "etcd/answers",
    ),
    Fault(
        "member-down",
        N_("The etcd member of the last control-plane node does not run."),
        N_("Its metrics do not arrive; connections to it are refused."),
        "etcd/answers",
    ),
    Fault(
        "duplicate-scrape",
        N_("A second input scrapes the same addresses under another source."),
        N_("Each member has two series, and sums over them are twice what they should be."),
        "etcd/duplicate",
    ),
    Fault(
        "election-namespace-clash",
        N_("Another cluster of the workspace holds the election of the namespace default."),
        N_("No DataKit here is elected, so no elected input collects."),
        "etcd/elected-node",
        ("elected", "tutorial"),
    ),
    Fault(
        "helm-owner",
        N_("Helm owns the DaemonSet and the ConfigMap."),
        N_("The next upgrade of the release may undo what is applied here."),
        "datakit/owner",
    ),
    Fault(
        "argo-reverts",
        N_("Argo CD replaces ConfigMap and DaemonSet by what its repository holds, again and again."),
        N_("What is applied is gone moments later, and the pods roll back."),
        "conf/key",
    ),
    Fault(
        "viewer-rights",
        N_("The kubeconfig's current context is a user who may only look."),
        N_("The plan can be seen in part, nothing can be applied, nothing executed in a pod."),
        "cluster/rights",
    ),
    Fault(
        "pod-crashloop",
        N_("DataKit ends with an error on one node whenever it starts."),
        N_("Its pod is in CrashLoopBackOff, and its restart count grows."),
        "datakit/ready",
    ),
    Fault(
        "node-notready",
        N_("The last node is off."),
        N_("The node is NotReady, its DataKit is not available and sends nothing."),
        "datakit/ready",
    ),
    Fault(
        "dataway-down",
        N_("Dataway does not accept connections."),
        N_("The agents collect, but nothing reaches the studio; no election takes place."),
        "dataway/uploaded",
    ),
    Fault(
        "wrong-token",
        N_("ENV_DATAWAY holds the token of another workspace."),
        N_("Dataway answers Forbidden, and the points are dropped."),
        "dataway/uploaded",
    ),
    Fault(
        "studio-rate-limit",
        N_("The workspace's limit of requests is used up."),
        N_("The studio refuses every request for the time being."),
        "studio/key",
    ),
    Fault(
        "wrong-api-key",
        N_("The API key is not one of this workspace."),
        N_("The studio refuses every request."),
        "studio/key",
    ),
    Fault(
        "clock-skew",
        N_("The clocks of the nodes are slow."),
        N_("Points arrive, but with times long past: what looks at the last minutes sees none."),
        "studio/series",
    ),
    Fault(
        "neighbours-gone",
        N_("Somebody applied a ConfigMap with etcd.conf alone: the key container.conf is gone, still mounted."),
        N_("In the pods container.conf is an empty directory: DataKit's container input has its defaults."),
        "conf/others",
    ),
    Fault(
        "no-ca",
        N_("etcd.conf names no CA."),
        N_("Everything arrives, but DataKit hands its client certificate to whoever answers at that address."),
        "etcd/cert-ca",
        ("node-tls", "elected"),
    ),
    Fault(
        "over-privileged-cert",
        N_("etcd.conf names the certificate that etcd's members use among themselves."),
        N_("Everything arrives, but a DataKit pod that is taken over can act as a member of etcd."),
        "etcd/cert-purpose",
        ("node-tls", "elected"),
    ),
    Fault(
        "container-input-off",
        N_("ENV_DEFAULT_ENABLED_INPUTS switches the input container off."),
        N_("Neither containers nor the cluster's objects arrive; the Docker and Kubernetes views stay empty."),
        "container/enabled",
    ),
    Fault(
        "runtime-socket",
        N_("container.conf looks for the container runtime's socket where there is none."),
        N_("No container arrives, and the Docker view stays empty."),
        "container/fed",
    ),
    Fault(
        "no-traffic",
        N_("No request comes into the mesh, and none has since its pods started."),
        N_("Everything is collected, and the panels of requests, latencies and sizes stay empty."),
        "gateways/traffic",
        needs_mesh=True,
    ),
    Fault(
        "istiod-not-collected",
        N_("istiod has neither an annotation nor a conf, as the tutorial's first two parts leave it."),
        N_("The view Istio Control Plane and what Istio Mesh counts of the configuration stay empty."),
        "istiod/declared",
        needs_mesh=True,
    ),
    Fault(
        "broken-annotation",
        N_("The annotation of productpage is indented with TABs, and a wrapped line cuts one of its strings."),
        N_("DataKit ignores it with a line in its log; nothing of productpage's sidecar arrives."),
        "sidecars/readable",
        needs_mesh=True,
    ),
    Fault(
        "sidecar-histograms-dropped",
        N_("The annotation of productpage has no histogram in metric_types, and its filter names _bucket."),
        N_("Requests of productpage are counted; its latencies and sizes never arrive."),
        "sidecars/histograms",
        needs_mesh=True,
    ),
    Fault(
        "gateway-unreachable",
        N_("A NetworkPolicy keeps DataKit's nodes from port 15020 of the ingress gateway."),
        N_("Nothing of the ingress gateway arrives; the sidecars behind it do."),
        "gateways/answers",
        needs_mesh=True,
    ),
)


def named(name: str) -> Fault:
    """The fault of a name. Raises UsageError where there is none."""
    for fault in FAULTS:
        if fault.name == name:
            return fault
    raise UsageError(
        _("There is no such fault: {name}").format(name=name),
        remedy=_("`datakit-wizard lab --list-faults` names them."),
    )


def check_names(names: Iterable[str]) -> frozenset[str]:
    """The names as a set. Raises UsageError where one is no fault."""
    return frozenset(named(name).name for name in names)
