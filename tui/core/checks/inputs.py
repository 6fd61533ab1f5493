"""Checks of what DataKit's own input `container` collects: the containers of every node, and the cluster's objects."""

from __future__ import annotations

from collections.abc import Sequence

from tui.core.checks.cluster import names, no_exec
from tui.core.checks.etcd import foreign_leader
from tui.core.checks.facts import CONTAINER_CPU, NODE_CPU, POD_CPU, Facts, Probe
from tui.core.checks.finding import Finding, failed, not_needed, passed, pending
from tui.core.checks.studio import no_studio
from tui.core.datakit_settings import INPUTS_ENV, has_input, inputs_of
from tui.core.errors import WizardError
from tui.core.parallel import each
from tui.core.ports import Series
from tui.core.survey import CLUSTER_TAG, AgentPod, host_cluster_name
from tui.i18n import _, ngettext

INPUT = "container"
POD_METRIC_ENV = "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"


def enabled(facts: Facts) -> bool:
    """Whether DataKit runs its input `container`: it is among the default inputs, or a conf names it."""
    return has_input(INPUT, facts.datakit.env, inputs_of(facts.confs))


def _enabled(facts: Facts, what: str) -> Finding:
    env = facts.datakit.env
    if enabled(facts):
        return passed(_("DataKit's input {name} is on").format(name=INPUT), looked_at=INPUTS_ENV)
    return failed(
        what,
        looked_at=INPUTS_ENV,
        object=f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}",
        causes=(_("{env} lacks {name}, or switches it off as -{name}.").format(env=INPUTS_ENV, name=INPUT),),
        remedy=_("Add {name} to {env} of the DaemonSet.").format(name=INPUT, env=INPUTS_ENV),
        command=(
            f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} set env "
            f"daemonset/{facts.datakit.name} {INPUTS_ENV}={','.join(_with(env.get(INPUTS_ENV, '')))}"
        ),
    )


def _with(text: str) -> list[str]:
    """The default inputs with `container` among them."""
    return [*(name for name in text.replace(",", " ").split() if name not in ("-", f"-{INPUT}")), INPUT]


def container_enabled(facts: Facts) -> Finding:
    """DataKit collects containers at all."""
    return _enabled(facts, _("DataKit does not collect containers"))


def kubernetes_enabled(facts: Facts) -> Finding:
    """DataKit collects the cluster's objects at all."""
    return _enabled(facts, _("DataKit does not collect the cluster's objects"))


def _fed(facts: Facts, pods: Sequence[AgentPod], feed: str) -> tuple[list[str], float]:
    """Which agents have fed nothing under a name, each with the reason; and how many points the others fed."""
    silent, total = [], 0.0
    for pod, feeds in zip(pods, each(pods, lambda pod: facts.agent(pod).feeds()), strict=True):
        if isinstance(feeds, WizardError):
            silent.append(f"{pod.node}: {feeds.what}")
            continue
        points = feeds[feed].points if feed in feeds else 0.0
        total += points
        if not points:
            silent.append(f"{pod.node}: " + _("nothing yet"))
    return silent, total


def container_fed(facts: Facts) -> Finding:
    """Every agent hands the metrics of its node's containers on."""
    if not enabled(facts):
        return not_needed(_("DataKit does not collect this."))
    if not facts.may_exec:
        return no_exec(facts)
    silent, total = _fed(facts, facts.asked_pods, "container-metric")
    if silent:
        return pending(
            _("no metrics of containers from {nodes}").format(nodes=names(silent)),
            looked_at="container-metric",
            causes=(
                *silent,
                _("The first come a minute after the start; none come where the runtime's socket is elsewhere."),
            ),
            object=silent[0].split(":")[0],
            remedy=_("Name the runtime's socket in {env}, on k3s {path}.").format(
                env="ENV_INPUT_CONTAINER_ENDPOINTS", path="unix:///run/k3s/containerd/containerd.sock"
            ),
        )
    return passed(_("{n} points since the pods started").format(n=f"{total:.0f}"), looked_at="container-metric")


def elected(facts: Facts) -> Finding:
    """One DataKit holds the election: it alone reports nodes, Deployments and what else is the whole cluster's."""
    if not enabled(facts):
        return not_needed(_("DataKit does not collect this."))
    if not facts.datakit.env.get("ENV_ENABLE_ELECTION"):
        return not_needed(_("Election is off: every DataKit reports the whole cluster."))
    if not facts.may_exec:
        return no_exec(facts)
    leader = facts.leader
    if not leader:
        return pending(
            _("no DataKit holds the election yet"),
            causes=(_("An election takes a few seconds after the pods start."),),
            remedy=_("If it stays so, look at ENV_NAMESPACE: another cluster may hold the same election."),
        )
    elsewhere = foreign_leader(facts, leader)
    if elsewhere is not None:
        return elsewhere
    return passed(_("{node} holds it").format(node=leader), object=leader)


def kubernetes_fed(facts: Facts) -> Finding:
    """The elected agent hands the cluster's objects on."""
    if not enabled(facts):
        return not_needed(_("DataKit does not collect this."))
    if not facts.may_exec:
        return no_exec(facts)
    on = bool(facts.datakit.env.get("ENV_ENABLE_ELECTION"))
    pods = [pod for pod in facts.ready_pods if not on or pod.node == facts.leader][:1]
    if not pods:
        return pending(_("the elected DataKit is not ready"))
    silent, total = _fed(facts, pods, "k8s-metric")
    if silent:
        return pending(
            _("no metrics of the cluster from {nodes}").format(nodes=names(silent)),
            looked_at="k8s-metric",
            causes=(*silent, _("The first come a minute after the start.")),
            object=silent[0].split(":")[0],
            remedy=_("Look at DataKit's log inside the container, and at what its ServiceAccount may list."),
        )
    return passed(_("{n} points since the pods started").format(n=f"{total:.0f}"), looked_at="k8s-metric")


def _series(facts: Facts, probe: Probe, tag: str, wanted: set[str], missing: str, remedy: str) -> Finding:
    """Each of `wanted` has a series of its own, told apart by `tag`."""
    if not enabled(facts):
        return not_needed(_("DataKit does not collect this."))
    if facts.studio is None:
        return no_studio(facts)
    looked_at = f"{probe.measurement}.{probe.field}"
    found = {series.tags.get(tag, "") for series in facts.arrived(probe)}
    lacking = sorted(wanted - found)
    if lacking:
        return pending(
            missing.format(nodes=names(lacking)),
            looked_at=looked_at,
            causes=(_("Collected every {interval}.").format(interval="1m"),),
            object=lacking[0],
            remedy=remedy,
        )
    text = ngettext("{n} node", "{n} nodes", len(found)).format(n=len(found))
    return passed(text, looked_at=looked_at)


def container_series(facts: Facts) -> Finding:
    """Containers of every node with a ready DataKit have arrived."""
    return _series(
        facts,
        CONTAINER_CPU,
        "host",
        {pod.node for pod in facts.ready_pods},
        _("no containers of {nodes} yet"),
        _("The checks before this one name the broken hop."),
    )


def kubernetes_series(facts: Facts) -> Finding:
    """Every node that runs DataKit has arrived as an object of the cluster."""
    return _series(
        facts,
        NODE_CPU,
        "node",
        {pod.node for pod in facts.datakit.pods},
        _("no series of the nodes {nodes} yet"),
        _("The checks before this one name the broken hop."),
    )


def pod_metrics(facts: Facts) -> Finding:
    """CPU and memory of pods arrive, which DataKit leaves out unless it is told to."""
    if facts.studio is None:
        return not_needed(_("No API key was given: whether the metrics arrive stays unproven."))
    if facts.arrived(POD_CPU):
        return passed(_("they arrive"), looked_at=f"{POD_CPU.measurement}.{POD_CPU.field}")
    return not_needed(
        _("Pod metrics are off: the panels about pods' CPU, memory and network stay empty until {env} is true.").format(
            env=POD_METRIC_ENV
        )
    )


def _cluster_tag(facts: Facts, found: Sequence[Series]) -> Finding:
    """The series carry the cluster's name that everything else of this cluster carries."""
    if not enabled(facts):
        return not_needed(_("DataKit does not collect this."))
    if facts.studio is None:
        return no_studio(facts)
    wanted = host_cluster_name(facts.datakit.env)
    carried = sorted({series.tags.get(CLUSTER_TAG, "") for series in found})
    here = f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}"
    if not wanted or "" in carried:
        return failed(
            _("the series carry no {tag}: the view's cluster filter stays empty").format(tag=CLUSTER_TAG),
            object=here,
            causes=(_("Neither ENV_CLUSTER_NAME_K8S nor ENV_GLOBAL_HOST_TAGS sets it."),),
            remedy=_("Set ENV_CLUSTER_NAME_K8S in the DaemonSet."),
            command=(
                f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} set env "
                f"daemonset/{facts.datakit.name} ENV_CLUSTER_NAME_K8S={facts.cluster.context}"
            ),
        )
    return passed(f"{CLUSTER_TAG} = {', '.join(carried)}")


def container_cluster_tag(facts: Facts) -> Finding:
    """The containers' series carry the cluster's name."""
    return _cluster_tag(facts, facts.arrived(CONTAINER_CPU))


def kubernetes_cluster_tag(facts: Facts) -> Finding:
    """The nodes' series carry the cluster's name."""
    return _cluster_tag(facts, facts.arrived(NODE_CPU))
