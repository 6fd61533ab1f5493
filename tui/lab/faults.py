"""Faults that the lab can start with: what goes wrong in real life, each leading to one check that names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui.core.errors import UsageError
from tui.i18n import N_, _


@dataclass(frozen=True)
class Fault:
    """A fault: what is broken, what a person notices, and the check that names the cause ("": the plan does)."""

    name: str
    broken: str
    symptom: str
    check: str


FAULTS = (
    Fault(
        "elected-on-worker",
        N_("The election falls on a worker, which has no certificates for etcd."),
        N_("With the strategies elected and tutorial nothing arrives, and no error shows."),
        "etcd/elected-node",
    ),
    Fault(
        "viewer-rights",
        N_("The kubeconfig's current context is a user who may only look."),
        N_("The plan can be seen in part, nothing can be applied, nothing executed in a pod."),
        "cluster/rights",
    ),
    Fault(
        "helm-owner",
        N_("Helm owns the DaemonSet."),
        N_("The next upgrade of the release may undo what is applied here."),
        "",
    ),
    Fault(
        "member-down",
        N_("The etcd member of the last control-plane node does not run."),
        N_("Its metrics do not arrive; connections to it are refused."),
        "etcd/answers",
    ),
    Fault(
        "expired-cert",
        N_("The client certificate healthcheck-client.crt has expired."),
        N_("etcd refuses the connection; up is 0."),
        "etcd/cert-dates",
    ),
    Fault(
        "peer-cert-missing",
        N_("peer.crt and peer.key are missing on the control-plane nodes."),
        N_("With the strategy tutorial nothing arrives, and no error shows."),
        "etcd/elected-node",
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
        "wrong-api-key",
        N_("The API key is not one of this workspace."),
        N_("The studio refuses every request."),
        "studio/key",
    ),
    Fault(
        "studio-rate-limit",
        N_("The workspace's limit of requests is used up."),
        N_("The studio refuses every request for the time being."),
        "studio/key",
    ),
)


def check_names(names: Iterable[str]) -> frozenset[str]:
    """The names as a set. Raises UsageError where one is no fault."""
    known = {fault.name for fault in FAULTS}
    for name in names:
        if name not in known:
            raise UsageError(
                _("There is no such fault: {name}").format(name=name),
                remedy=_("`datakit-wizard lab --list-faults` names them."),
            )
    return frozenset(names)
