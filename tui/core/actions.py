"""What changes the world: apply a plan, undo a receipt. Journal first, then the request; safe to stop anywhere."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tui.core import views as view_catalogue
from tui.core import workloads
from tui.core.errors import CancelledError, DeadlineError, PartialError, RefusedError, UsageError, WizardError
from tui.core.istio_targets import LeftOut
from tui.core.plan import CREATE, SAME, Plan, ViewChange, changed
from tui.core.ports import Cluster, Dashboard, Studio, Workspace
from tui.core.receipts import FAILED, ROLLED_OUT, UNKNOWN, WRITTEN, Receipt, Store, ViewStep, unfinished
from tui.core.survey import DataKit
from tui.core.view_sync import MISSING, Standing, Wanted, put
from tui.core.writes import (
    Cancelled,
    Event,
    Journal,
    OnEvent,
    follow,
    never,
    now,
    rolled_out,
    settle,
    stop_if,
    write,
)
from tui.i18n import _, ngettext

__all__ = ["Cancelled", "Event", "OnEvent", "apply", "create_view", "never", "new_receipt"]


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
    that changed since the review), DeadlineError (rollout), CancelledError; PartialError once something was written,
    and where something that the answers ask for was left out.
    """
    blockers = plan.blockers()
    if blockers:
        raise RefusedError(
            _("The plan cannot be applied."),
            object=f"{plan.survey.context}, {plan.survey.datakit.namespace}",
            why="\n".join(blockers),
            remedy=_("Ask for the rights, or settle with the owner; `plan` shows both."),
        )
    todo = [v for v in plan.views if v.verb == CREATE] if views else []
    survey = plan.survey
    receipt = new_receipt(
        cluster, survey.datakit, survey.uid, user=survey.user, endpoint=studio.endpoint if studio else ""
    )
    place = (receipt.cluster_uid, receipt.namespace)
    if not changed(plan.changes) and not todo and not (plan.changes and unfinished(store, *place)):
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
        try:
            left_out = [*plan.left_out, *_write_objects(cluster, plan, journal, on_event, cancelled)]
            for view in todo:
                stop_if(cancelled)
                _create(studio, plan, view, journal, on_event)
        except WizardError as error:
            journal.save(replace(journal.receipt, finished=now()))
            raise _partial(error, journal.receipt) from error
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
        why="\n".join(str(one) for one in left_out),
        remedy=_("Receipt: {path}").format(path=receipt.path) if receipt.path else "",
    )


def new_receipt(cluster: Cluster, datakit: DataKit, uid: str, *, user: str, endpoint: str = "") -> Receipt:
    """An empty receipt for this place, as of now; `uid` is the cluster's."""
    return Receipt(
        id=f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}",
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


def _partial(error: WizardError, receipt: Receipt) -> WizardError:
    """The error to report: as it is where nothing was written, else one that says that only part was done."""
    begun = any(state in (WRITTEN, UNKNOWN) for state in receipt.states)
    if WRITTEN not in receipt.states or isinstance(error, CancelledError | DeadlineError):
        error.remedy = "\n".join(
            part for part in (error.remedy, _("Receipt: {path}").format(path=receipt.path) if begun else "") if part
        )
        return error
    partial = PartialError(
        _("Only part was done: {what}").format(what=error.what),
        object=error.object,
        why=error.why,
        remedy="\n".join(
            part
            for part in (
                error.remedy,
                _("Run it again to finish, or undo what was done. Receipt: {path}").format(path=receipt.path),
            )
            if part
        ),
        command=error.command,
    )
    return partial


def _create(studio: Studio | None, plan: Plan, view: ViewChange, journal: Journal, on_event: OnEvent) -> None:
    if studio is None or plan.workspace is None:
        raise UsageError(_("Views need an API key."), remedy=_("Give --api-key-file, or leave views out (--no-views)."))
    step = ViewStep(view.key, view.uuid, view.name)
    journal.view(step)
    wanted = Wanted(view.key, plan.answers.cluster.name, view.name, plan.answers.views.lang)
    try:
        dashboard = put(studio, Standing(wanted, view.uuid, MISSING))
    except WizardError as error:
        journal.view(replace(step, state=FAILED, message=error.what))
        raise
    journal.view(replace(step, state=WRITTEN, uuid=dashboard.uuid))
    on_event(Event(view.name, _("created")))


def create_view(
    studio: Studio, workspace: Workspace, key: str, cluster_name: str, *, name: str, language: str
) -> Dashboard:
    """Create one of the seven views, or return the one that is there under our fixed uuid. Safe to repeat."""
    uuid = view_catalogue.dashboard_uuid(workspace.uuid, key, cluster_name)
    there = studio.find_dashboard(uuid)
    return there or put(studio, Standing(Wanted(key, cluster_name, name, language), uuid, MISSING))
