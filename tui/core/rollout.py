"""How a change comes out: which DataKit pods restart, who restarts them, which node comes first, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tui.core import hold
from tui.core.changes import SAME, Change, dry_run
from tui.core.durations import about
from tui.core.errors import UsageError
from tui.core.etcd_conf import KEY as CONF_KEY
from tui.core.manifests import Desired, applied_hash, keeping_template, template_hash
from tui.core.ports import DAEMON_SET, POD, Access, Cluster, Object
from tui.core.prom import conf as prom_conf
from tui.core.receipts import PENDING, Receipt
from tui.core.survey import AgentPod, Survey
from tui.i18n import _, ngettext

# One DataKit pod needs about this long to stop, start and collect again; measured nowhere, so it is called "about".
SECONDS_PER_POD = 30.0
SECONDS_WITHOUT_DATA = 40.0


@dataclass(frozen=True)
class RolloutOptions:
    """What a person may ask of a rollout.

    `one_node_first`: one etcd node gets it, its series are looked at, then the rest. `only_etcd_nodes`: where nothing
    but the conf's text changes, the pods of etcd's nodes alone restart. `delete_pods`: where the update strategy is
    OnDelete, we delete the pods.
    """

    one_node_first: bool = False
    only_etcd_nodes: bool = False
    delete_pods: bool = False


@dataclass(frozen=True)
class RolloutPlan:
    """How the change comes out. `pods` are those that we delete ourselves, in this order; without any the controller
    rolls all nodes. `first` is the node that comes first, "" for none; `held` says that the rollout is held meanwhile.
    `may_be_few` says that only the conf's text changes, so that the pods on etcd's nodes would be enough.
    """

    restarts: bool = False
    first: str = ""
    held: bool = False
    pods: tuple[AgentPod, ...] = ()
    may_be_few: bool = False
    on_delete: bool = False
    notes: tuple[str, ...] = ()

    def rights(self, namespace: str) -> tuple[Access, ...]:
        """What it needs beyond the rights of the objects."""
        return (Access("delete", POD, namespace),) if self.pods else ()


def decide(
    cluster: Cluster, survey: Survey, wanted: Desired, changes: tuple[Change, ...], options: RolloutOptions
) -> tuple[tuple[Change, ...], RolloutPlan]:
    """The changes as they come out under these options, and how.

    Raises UsageError for options that do not fit this change or this cluster.
    """
    change = next((change for change in changes if change.kind == DAEMON_SET), None)
    if change is None:
        return changes, RolloutPlan()
    live = survey.datakit.object
    ours = hold.is_ours(live)
    on_delete = hold.strategy(live) == hold.ON_DELETE and not ours
    # A rollout that is held brings a new template to every node when it is let go.
    few = None if ours else _keeping_template(cluster, survey, wanted, change)
    pods: tuple[AgentPod, ...] = ()
    notes: list[str] = []
    if options.only_etcd_nodes or (not ours and _back_to_the_templates_text(live, change)):
        pods = _etcd_pods(survey)
        _refuse_more_than_few(survey, wanted, few, pods, on_delete)
        change = few or change
    if all(each.verb == SAME for each in _with(changes, change)) and not ours:
        pods = ()
    restarts = change.restarts or bool(pods) or ours
    if options.delete_pods and on_delete and change.restarts and not pods:
        pods = survey.datakit.pods
    elif options.delete_pods and not on_delete:
        notes.append(_("The update strategy is RollingUpdate: the controller restarts the pods by itself."))
    first, held = "", False
    if options.one_node_first and restarts:
        chosen = _first(survey)
        first, held = chosen.node, not pods and not on_delete
        if held:
            change = dry_run(cluster, change.kind, hold.holding(change.body), change.live)
            notes.append(_held_note(change))
        pods = (chosen, *(pod for pod in pods if pod != chosen))
    if restarts and (held or not pods) and not on_delete and (surge := surge_note(live)):
        notes.append(surge)
    may_be_few = few is not None and few.verb != SAME and bool(_etcd_pods(survey)) and not _elects(survey, wanted)
    plan = RolloutPlan(restarts, first, held, pods, may_be_few, on_delete, tuple(notes))
    return _with(changes, change), plan


def _with(changes: tuple[Change, ...], daemon_set: Change) -> tuple[Change, ...]:
    """The changes with this one as the DaemonSet's."""
    return tuple(daemon_set if change.kind == DAEMON_SET else change for change in changes)


def _keeping_template(cluster: Cluster, survey: Survey, wanted: Desired, change: Change) -> Change | None:
    """The DaemonSet's change without a change of its pod template, None where more than etcd.conf's text differs."""
    there = (survey.conf or {}).get("data") or {}
    if change.live is None or any(conf.key != CONF_KEY and there.get(conf.key) != conf.text for conf in wanted.confs):
        return None
    if not change.restarts:
        return change
    body = keeping_template(change.body, change.live)
    if body == change.body:
        return None
    found = dry_run(cluster, change.kind, body, change.live)
    return None if found.restarts or found.conflicts else found


def _back_to_the_templates_text(live: Object, change: Change) -> bool:
    """Whether the conf goes back to the text of the pod template, past one that only etcd's nodes got: no change of
    the template tells the controller of it."""
    gone = bool(applied_hash(live)) and not applied_hash(change.body)
    return gone and template_hash(change.body) == template_hash(live) and not change.restarts


def _etcd_pods(survey: Survey) -> tuple[AgentPod, ...]:
    return tuple(pod for pod in survey.datakit.pods if pod.node in survey.etcd_nodes)


def _elects(survey: Survey, wanted: Desired) -> bool:
    """Whether the elected DataKit collects, on whichever node it is."""
    text = next((conf.text for conf in wanted.confs if conf.key == CONF_KEY), "")
    found = prom_conf.load(text, dict(survey.datakit.env)).inputs
    return bool(survey.datakit.env.get("ENV_ENABLE_ELECTION")) and any(each.election for each in found)


def _refuse_more_than_few(
    survey: Survey, wanted: Desired, few: Change | None, pods: Sequence[AgentPod], on_delete: bool
) -> None:
    where = f"DaemonSet {survey.datakit.namespace}/{survey.datakit.name}"
    if few is None and not on_delete:
        raise UsageError(
            _("More than the text of etcd.conf changes, so every DataKit pod restarts."),
            object=where,
            why=_("The DaemonSet's pod template differs as well; `plan` shows how."),
            remedy=_("Leave --only-etcd-nodes out; --one-node-first tries the change on one node."),
        )
    if _elects(survey, wanted):
        raise UsageError(
            _("Under election any DataKit may collect etcd, so every pod needs the new conf."),
            object=where,
            remedy=_("Leave --only-etcd-nodes out, or choose a strategy without election."),
        )
    if not pods:
        raise UsageError(
            _("No DataKit pod is known on a node that runs etcd."),
            object=where,
            why=survey.topology.why,
            remedy=_("Leave --only-etcd-nodes out."),
        )


def _first(survey: Survey) -> AgentPod:
    """The pod that comes first: a ready one on an etcd node, else on any node."""
    pods = sorted(survey.datakit.pods, key=lambda pod: (pod.node not in survey.etcd_nodes, not pod.ready, pod.node))
    if not pods:
        raise UsageError(
            _("No DataKit pod is seen, so none can come first."),
            object=f"DaemonSet {survey.datakit.namespace}/{survey.datakit.name}",
            remedy=_("Leave --one-node-first out, or ask for the right to list pods."),
        )
    return pods[0]


def _held_note(change: Change) -> str:
    """What holding the rollout does to the field that it needs."""
    owner = next((each for each in change.overwrites if each.path == hold.FIELD), None)
    note = _("Until the first node is seen, {field} is OnDelete, so that no other node follows.").format(
        field=hold.FIELD
    )
    if owner is None:
        return note
    if owner.operation == "Update":
        more = _("It is {owner}'s, and is given back when you go on, or undo.")
    else:
        more = _("It is {owner}'s, which applies: it comes back with its next sync.")
    return note + " " + more.format(owner=owner.manager)


def lent(change: Change) -> tuple[str, ...]:
    """The fields that holding the rollout takes for a while and gives back: asked for with the hold itself."""
    if not (change.kind == DAEMON_SET and hold.holds(change.body)):
        return ()
    return tuple(each.path for each in change.overwrites if each.path == hold.FIELD and each.operation == "Update")


def cost(survey: Survey, plan: RolloutPlan) -> str:
    """What the restarts will cost, in one sentence or two."""
    if not plan.restarts:
        return _("No pod restarts.")
    daemon_set = survey.datakit.object
    status = daemon_set.get("status", {})
    if status.get("observedGeneration") and not status.get("desiredNumberScheduled"):
        return _(
            "No node is to run DataKit (its nodeSelector and tolerations leave none): nothing restarts or collects."
        )
    each = SECONDS_PER_POD + float(daemon_set["spec"].get("minReadySeconds", 0))
    pods = status.get("desiredNumberScheduled", 0) or len(survey.datakit.pods)
    gap = about(SECONDS_WITHOUT_DATA / survey.time_scale)
    sentences = []
    if plan.first:
        sentence = _("First the pod on {node} alone, and a look whether its series arrive.")
        sentences.append(sentence.format(node=plan.first))
    rest = [pod for pod in plan.pods if pod.node != plan.first]
    if rest or (plan.pods and not plan.first):
        seconds = len(rest) * each / survey.time_scale
        sentence = ngettext(
            "{pods} pod is deleted, {time}, {gap} without data on that node.",
            "{pods} pods are deleted one by one, {time}, {gap} without data per node.",
            len(rest),
        )
        sentences.append(sentence.format(pods=len(rest), time=about(seconds), gap=gap))
        if len(plan.pods) < pods:
            sentences.append(_("The other nodes keep their pods."))
    elif plan.on_delete:
        sentences.append(_("The update strategy is OnDelete: each DataKit pod changes only when you delete it."))
    else:
        # Where the rollout is held, some have it already.
        done = status.get("updatedNumberScheduled", 0) if hold.is_ours(daemon_set) else int(bool(plan.first))
        left = max(0, pods - done)
        sentences += [_roll(daemon_set, left, pods, each / survey.time_scale, gap)] * bool(left)
    return " ".join(sentences)


def _roll(daemon_set: Object, pods: int, desired: int, each_s: float, gap: str) -> str:
    """What the controller's rollout to `pods` of the `desired` ones costs."""
    at_once, beside = at_a_time(daemon_set["spec"].get("updateStrategy") or {}, desired)
    time = about(math.ceil(pods / at_once) * each_s)
    if beside:
        sentence = _("{pods} pods restart, {at_once} at a time, {time}, each beside its old one.")
    elif at_once == 1:
        sentence = ngettext(
            "{pods} pod restarts, {time}, {gap} without data on that node.",
            "{pods} pods restart one by one, {time}, {gap} without data per node.",
            pods,
        )
    else:
        sentence = _("{pods} pods restart, {at_once} at a time, {time}, {gap} without data per node.")
    return sentence.format(pods=pods, at_once=at_once, time=time, gap=gap)


def at_a_time(strategy: Mapping[str, Any], pods: int) -> tuple[int, bool]:
    """How many pods a rolling update replaces at a time, and whether the new one stands beside the old (maxSurge).

    Percentages are of the pods and rounded up, as the controller does for both; one of the two is 0 (validation).
    """
    rolling = strategy.get("rollingUpdate") or {}
    surge = _scaled(rolling.get("maxSurge", 0), pods)
    return (surge, True) if surge else (max(1, _scaled(rolling.get("maxUnavailable", 1), pods)), False)


def surge_note(daemon_set: Object) -> str:
    """Why a rollout by maxSurge would not come out, "" where it may: the new pod stands beside its old one on the same
    node, where both want the same port.

    The API server accepts it (seen on 1.36); the scheduler then leaves the new pod Pending (its plugin NodePorts), and
    where the port is not declared, DataKit cannot listen.
    """
    surge, beside = at_a_time(daemon_set["spec"].get("updateStrategy") or {}, 1)
    spec = daemon_set["spec"]["template"]["spec"]
    ports = {
        port.get("hostPort") or (port["containerPort"] if spec.get("hostNetwork") else 0)
        for container in spec.get("containers", [])
        for port in container.get("ports") or []
    } - {0}
    if not (surge and beside) or not (ports or spec.get("hostNetwork")):
        return ""
    metadata = daemon_set["metadata"]
    change = '{"spec":{"updateStrategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}}'
    command = f"kubectl -n {metadata['namespace']} patch daemonset {metadata['name']} --type merge -p '{change}'"
    if ports:
        numbers = ", ".join(str(port) for port in sorted(ports))
        what = _(
            "maxSurge starts each new pod beside its old one, and both want port {ports} of the node: the new one stays"
            " Pending, and the rollout does not move. First: {command}"
        )
        return what.format(ports=numbers, command=command)
    return _(
        "maxSurge starts each new pod beside its old one, and with hostNetwork both listen on the node itself: the new"
        " DataKit finds its port taken. First: {command}"
    ).format(command=command)


def _scaled(value: Any, pods: int) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(pods * int(value[:-1]) / 100)
    return int(value)


def going_on(options: RolloutOptions, left: Receipt | None) -> RolloutOptions:
    """The options of an apply that goes on with one that was broken off: what was for etcd's nodes alone stays so."""
    by_text = left is not None and any(pod.state == PENDING and not pod.template for pod in left.pods)
    return replace(options, only_etcd_nodes=options.only_etcd_nodes or by_text)
