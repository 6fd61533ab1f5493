"""What changes the world: apply a plan, undo a receipt. Journal first, then the request; safe to stop anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tui.core import workloads
from tui.core.errors import PartialError, RefusedError, WizardError
from tui.core.istio_targets import LeftOut
from tui.core.plan import SAME, Plan, changed
from tui.core.ports import Cluster, Studio
from tui.core.receipts import ROLLED_OUT, WRITTEN, Receipt, Store, unfinished
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
) -> Receipt:
    """Write what the plan showed: ConfigMap key, DaemonSet, rollout, views; and return the receipt.

    A plan without changes writes nothing and returns a receipt without path. Raises RefusedError (blockers, an object
    that changed since the review; when all the rest is done, views that a person changed), DeadlineError (rollout),
    CancelledError; PartialError once something was written, and where something that the answers ask for was left out.
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
        journal = Journal(store, receipt)
        left_out = list(plan.left_out)
        try:
            left_out += _write_objects(cluster, plan, journal, on_event, cancelled)
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


def _write_objects(
    cluster: Cluster, plan: Plan, journal: Journal, on_event: OnEvent, cancelled: Cancelled
) -> list[LeftOut]:
    """Write all objects in order and follow the rollouts; what of the mesh could not be done is returned."""
    for change in plan.changes:
        if change.alone:
            continue
        if change.verb == SAME:
            step = settle(change, journal)
            if not change.rolls or step is None or step.state != WRITTEN or step.rollout == ROLLED_OUT:
                continue
            live = change.live or {}
        else:
            stop_if(cancelled)
            live = write(cluster, change, journal, on_event).object
        if change.rolls:
            follow(cluster, change.namespace, change.name, live, on_event, cancelled, plan.survey.time_scale)
            rolled_out(journal, change)
    mesh = [change for change in plan.changes if change.alone]
    return workloads.apply_each(cluster, mesh, journal, on_event, cancelled, plan.survey.time_scale)
