"""What changes the world: apply a plan, undo a receipt. Journal first, then the request; safe to stop anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tui.core import canary, hold, workloads
from tui.core.changes import SAME, Change, changed, dry_run
from tui.core.errors import PartialError, RefusedError, WizardError
from tui.core.istio_targets import LeftOut
from tui.core.plan import Plan
from tui.core.ports import DAEMON_SET, Cluster, Object, Studio
from tui.core.receipts import HELD, PENDING, ROLLED_OUT, UNDOING, WRITTEN, PodStep, Receipt, Store, unfinished
from tui.core.survey import DataKit
from tui.core.view_sync import changed_since
from tui.core.view_writes import changed_views, new_id, put_views
from tui.core.writes import (
    Cancelled,
    Event,
    Journal,
    OnEvent,
    follow,
    never,
    now,
    partial,
    rolled_out,
    settle,
    stop_if,
    write,
)
from tui.i18n import _, ngettext

__all__ = ["Cancelled", "Event", "OnEvent", "apply", "never", "new_receipt"]


def apply(
    cluster: Cluster,
    plan: Plan,
    studio: Studio | None,
    store: Store,
    *,
    on_event: OnEvent,
    cancelled: Cancelled = never,
    views: bool = True,
    look: canary.Look = canary.unproven,
    go_on: canary.GoOn = canary.when_arrived,
) -> Receipt:
    """Write what the plan showed: ConfigMap key, DaemonSet, rollout, views; and return the receipt.

    A plan without changes writes nothing and returns a receipt without path. Where one node comes first, `look` is
    asked what is seen of it, and `go_on` whether the others follow: else the receipt is `held`, and the next apply goes
    on with it. Raises RefusedError (blockers, an object that changed since the review; when all the rest is done, views
    that a person changed), DeadlineError (rollout), CancelledError; PartialError once something was written, and where
    something that the answers ask for was left out.
    """
    blockers = plan.blockers()
    if blockers:
        raise RefusedError(
            _("The plan cannot be applied."),
            object=f"{plan.survey.context}, {plan.survey.datakit.namespace}",
            why="\n".join(blockers),
            remedy=_("Ask for the rights, or settle with the owner; `plan` shows both."),
        )
    standings = [view.standing for view in plan.views if view.standing is not None] if views else []
    todo = [view for view in plan.views if plan.may_write(view)] if views else []
    left = changed_views(standings, plan.overwrite)
    survey = plan.survey
    receipt = new_receipt(
        cluster, survey.datakit, survey.uid, user=survey.user, endpoint=studio.endpoint if studio else ""
    )
    place = (receipt.cluster_uid, receipt.namespace)
    if not changed(plan.changes) and not todo and not (plan.changes and unfinished(store, *place)):
        if left:
            raise changed_since(left)
        if plan.left_out:
            raise _not_all(plan.left_out, receipt)
        return replace(receipt, finished=now())
    with store.locked(*place):
        earlier = unfinished(store, *place) if plan.changes else None
        if earlier and earlier.daemonset == receipt.daemonset:
            # Going on with the receipt of what was broken off keeps what was there before it, for one undo.
            on_event(Event(_("Receipt"), _("goes on with what was begun at {time}").format(time=earlier.started)))
            receipt = replace(earlier, finished="", user=receipt.user, endpoint=receipt.endpoint or earlier.endpoint)
        journal = Journal(store, _with_pods(cluster, receipt, plan))
        left_out = list(plan.left_out)
        try:
            undone = _write_objects(cluster, plan, journal, on_event, cancelled, look, go_on)
            if undone is None:
                return journal.save(replace(journal.receipt, finished=now()))
            left_out += undone
            if standings and studio is not None:
                put_views(studio, standings, journal, overwrite=plan.overwrite, on_event=on_event, cancelled=cancelled)
        except WizardError as error:
            journal.save(replace(journal.receipt, finished=now()))
            error.why = "\n".join(part for part in (error.why, *map(str, left_out)) if part)
            raise partial(error, journal.receipt) from error
        receipt = journal.save(replace(journal.receipt, finished=now()))
        if left_out:
            raise _not_all(left_out, receipt)
        return receipt


def _not_all(left_out: Sequence[LeftOut], receipt: Receipt) -> PartialError:
    """What was asked for and is not done, a line each; everything else is."""
    return PartialError(
        ngettext(
            "{n} thing was left out; the rest is done.", "{n} things were left out; the rest is done.", len(left_out)
        ).format(n=len(left_out)),
        why="\n".join(map(str, left_out)),
        remedy=_("Receipt: {path}").format(path=receipt.path) if receipt.path else "",
    )


def new_receipt(cluster: Cluster, datakit: DataKit, uid: str, *, user: str, endpoint: str = "") -> Receipt:
    """An empty receipt for this place, as of now; `uid` is the cluster's."""
    return Receipt(
        id=new_id(),
        started=now(),
        context=cluster.context,
        server=cluster.server,
        cluster_uid=uid,
        namespace=datakit.namespace,
        daemonset=datakit.name,
        user=user,
        endpoint=endpoint,
    )


def _with_pods(cluster: Cluster, receipt: Receipt, plan: Plan) -> Receipt:
    """The receipt with the pods that are to be deleted: noted before anything is written, so that what is there now is
    told from what came up since. Where nothing differs, those that an earlier apply noted stay as they are."""
    if not plan.rollout.pods or not changed([change for change in plan.changes if not change.alone]):
        return receipt
    template = any(change.restarts for change in plan.changes)
    nodes = {pod.node for pod in plan.rollout.pods}
    there = canary.pods_there(cluster, plan.survey.datakit.object, nodes)
    for pod in plan.rollout.pods:
        name, uid = there.get(pod.node, (pod.name, ""))
        known = next((each for each in receipt.pods if each.node == pod.node), None)
        before = known.before if known else uid
        receipt = receipt.with_pod(PodStep(pod.node, name, uid, before, template=template))
    for gone in [pod for pod in receipt.pods if pod.state == UNDOING and pod.node not in nodes]:
        # Deleted by an undo that was broken off, and none was there again when it was looked at.
        receipt = receipt.with_pod(replace(gone, name="", uid="", state=PENDING, template=template))
    return receipt


def _write_objects(
    cluster: Cluster,
    plan: Plan,
    journal: Journal,
    on_event: OnEvent,
    cancelled: Cancelled,
    look: canary.Look,
    go_on: canary.GoOn,
) -> list[LeftOut] | None:
    """Write all objects in order and follow the rollouts; what of the mesh could not be done is returned.

    None where DataKit's change is held back after one node: what comes after it waits as well.
    """
    for change in plan.changes:
        if change.alone:
            continue
        if change.verb == SAME:
            step = settle(change, journal)
            unseen = step is not None and step.state == WRITTEN and step.rollout != ROLLED_OUT
            if not change.rolls or not (unseen or any(pod.state == PENDING for pod in journal.receipt.pods)):
                continue
            live = change.live or {}
        else:
            stop_if(cancelled)
            live = write(cluster, change, journal, on_event).object
        if change.rolls and not _bring_out(cluster, plan, change, live, journal, on_event, cancelled, look, go_on):
            return None
    mesh = [change for change in plan.changes if change.alone]
    return workloads.apply_each(cluster, mesh, journal, on_event, cancelled, plan.survey.time_scale)


def _bring_out(
    cluster: Cluster,
    plan: Plan,
    change: Change,
    live: Object,
    journal: Journal,
    on_event: OnEvent,
    cancelled: Cancelled,
    look: canary.Look,
    go_on: canary.GoOn,
) -> bool:
    """Restart the pods that are ours to restart, let a held rollout go, and follow it; False where it is held back."""
    held, first, pods = hold.is_ours(live), plan.rollout.first, journal.receipt.pods
    if first and pods and first not in [pod.node for pod in pods]:
        first = pods[0].node  # the first of an earlier apply, with which this one goes on
    # A new template is brought to the pods by the controller, where nobody holds it; a new conf alone never is.
    by_us = plan.rollout.on_delete or (held and first)
    todo = [pod for pod in pods if pod.state == PENDING and (by_us or not pod.template)]
    for pod in sorted(todo, key=lambda pod: pod.node != first):
        if first and pod.node != first:
            if not _may_go_on(first, change, journal, on_event, look, go_on):
                return False
            first = ""
        if not pod.uid:  # one that came up meanwhile may have done so before the new text was written
            name, uid = canary.pods_there(cluster, live, {pod.node}).get(pod.node, ("", ""))
            pod = replace(pod, name=name, uid=uid)
            journal.pod(pod)
        canary.restart(cluster, live, pod, journal, on_event, cancelled)
    if first and not _may_go_on(first, change, journal, on_event, look, go_on):
        return False
    if held:
        stop_if(cancelled)
        live = cluster.get(DAEMON_SET, change.namespace, change.name)
        live = write(cluster, dry_run(cluster, DAEMON_SET, hold.let_go(change.body), live), journal, on_event).object
    pods = journal.receipt.pods
    if not pods or any(pod.template for pod in pods):
        follow(cluster, change.namespace, change.name, live, on_event, cancelled, plan.survey.time_scale)
    for pod in pods:
        if pod.state == PENDING:
            journal.pod(replace(pod, state=WRITTEN))  # the controller took it along
    rolled_out(journal, change)
    return True


def _may_go_on(
    node: str, change: Change, journal: Journal, on_event: OnEvent, look: canary.Look, go_on: canary.GoOn
) -> bool:
    """Look at the first node and ask whether the others follow; where not, the receipt says that they wait."""
    on_event(Event(change.title, _("one node has it: {node}; looking whether its series arrive").format(node=node)))
    sight = look(node)
    on_event(Event(node, sight.text))
    for pod in journal.receipt.pods:
        if pod.node == node:
            journal.pod(replace(pod, message=sight.text))
    if go_on(sight):
        return True
    step = journal.receipt.step_of(change.kind.kind, change.namespace, change.name)
    if step is not None:
        journal.step(replace(step, rollout=HELD))
    on_event(Event(change.title, _("the other nodes wait: apply again goes on, undo takes it back")))
    return False
