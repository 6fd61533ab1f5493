"""What makes the tutorial fail quietly, and which check names it.

Traps that no check can see, with the reason: a mount indented wrongly (the API server refuses it, and so nothing is
left to see), TABs in the annotations of the first part (the same: YAML is refused), `kubectl logs` without errors (no
state of a cluster; the remedies name the file inside the container), a sample token copied from a document (it looks
as any other; dataway/uploaded names its refusal), what built-in views of older templates query (they are the studio's;
ours are made from the catalogue), an empty directory that a hostPath mount left on workers (it is as harmless as it is
invisible without a shell on the node).

Checks without a fault of the lab: a member's certificate without the URL's host (the member would have to be issued
another and start anew), a cluster without etcd (a platform of the lab, not something that breaks), pod metrics that are
off (so is the lab, until they are asked for), the five minutes of annotations (every apply goes through them), and
elected confs of the mesh without the cluster's name (`cluster-name-default` splits them too).
"""

from __future__ import annotations

import pytest

from tui.core.checks import CHECKS
from tui.lab.faults import FAULTS

TRAPS = {
    "elected inputs get election tags, so etcd's points carry no cluster_name_k8s": ("etcd/election-tag", True),
    "the elected DataKit sits on a worker without certificates": ("etcd/elected-node", True),
    "a fixed address is scraped by every DataKit": ("etcd/duplicate", True),
    "a certificate of etcd's own where one for clients would do": ("etcd/cert-purpose", True),
    "no CA: nobody verifies the server": ("etcd/cert-ca", True),
    "the server's certificate does not name the URL's host": ("etcd/cert-san", False),
    "subPath files never follow the ConfigMap": ("conf/fresh", True),
    "a mounted key that does not exist is a directory": ("conf/key", True),
    "an apply of the tutorial's ConfigMap deletes the neighbours' keys": ("conf/others", True),
    "one URL for three members": ("studio/series", True),
    "no etcd to scrape: managed control planes, k3s on SQLite": ("etcd/discovered", False),
    "fields under names that the view does not know": ("etcd/filter", True),
    "histograms are filtered out, so latency panels stay empty": ("etcd/filter", True),
    "ENV_CLUSTER_NAME_K8S=default overrides the host tag": ("studio/cluster-tag", True),
    "two clusters share an election namespace": ("etcd/elected-node", True),
    "expired or mismatched certificates": ("etcd/cert-dates", True),
    "certificates renewed under a running DataKit, which reads them once": ("etcd/cert-renewed", True),
    "nothing scrapes istiod": ("istiod/declared", True),
    "an annotation that does not parse": ("sidecars/readable", True),
    "histograms of sidecars are filtered out": ("sidecars/histograms", True),
    "nothing to see before a request has passed": ("gateways/traffic", True),
    "annotations are taken up every five minutes": ("sidecars/picked-up", False),
    "a conf of istiod or of a gateway carries no cluster_name_k8s": ("istiod/cluster-tag", False),
    "pod metrics are off unless asked for": ("kubernetes/pod-metrics", False),
    "the runtime's socket is elsewhere": ("container/fed", True),
    "container is not among the default inputs": ("container/enabled", True),
    "another tool owns the DaemonSet and puts its own back": ("datakit/owner", True),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_has_a_check_and_mostly_a_fault_of_the_lab(trap: str) -> None:
    check, has_fault = TRAPS[trap]
    assert check in {one.id for one in CHECKS}
    assert any(fault.check == check for fault in FAULTS) is has_fault
