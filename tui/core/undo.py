"""Undo: play a receipt backwards. What we added goes, what we changed before comes back, foreign changes survive."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tui.core.actions import Cancelled, Event, Journal, OnEvent, follow, never, now, read_live, stop_if
from tui.core.errors import CancelledError, PartialError, UsageError, WizardError
from tui.core.ownership import FIELD_MANAGER
from tui.core.plan import object_diff
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Cluster, Kind, Object, Studio
from tui.core.receipts import PENDING, UNDONE, UNKNOWN, WRITTEN, Receipt, Step, Store, ViewStep
from tui.core.survey import cluster_uid
from tui.i18n import _


@dataclass(frozen=True)
class Undo:
    """One object that undo would write: the body of our field manager, and what that changes."""

    step: Step
    body: Object
    live: Object | None
    diff: str
    delete: bool = False
    note: str = ""


def plan_undo(cluster: Cluster, receipt: Receipt) -> list[Undo]:
    """What undo would do, object by object, in the order in which it would (the last one written comes first)."""
    if receipt.undone:
        raise UsageError(
            _("This receipt is undone already."),
            object=str(receipt.path),
            why=receipt.undone,
            remedy=_("Give another receipt."),
        )
    if cluster_uid(cluster) != receipt.cluster_uid:
        raise UsageError(
            _("The receipt belongs to another cluster."),
            object=f"{receipt.context}, {receipt.server}",
            why=_("This context leads to {server}.").format(server=cluster.server),
            remedy=_("Choose its context with --context."),
        )
    return [_plan_undo(cluster, step) for step in reversed(receipt.steps) if step.state in (WRITTEN, PENDING, UNKNOWN)]


def _kind(step: Step) -> Kind:
    return next(
        (kind for kind in (CONFIG_MAP, DAEMON_SET) if kind.kind == step.kind),
        Kind(step.api_version, step.kind, step.plural),
    )


def _plan_undo(cluster: Cluster, step: Step) -> Undo:
    kind = _kind(step)
    live = read_live(cluster, kind, step.namespace, step.name)
    if live is None or (step.uid and live["metadata"]["uid"] != step.uid):
        return Undo(step, {}, None, "", note=_("The object was deleted meanwhile; nothing of ours is left."))
    names = {"name": step.name, "namespace": step.namespace}
    body: Object = {"apiVersion": step.api_version, "kind": step.kind, "metadata": names}
    if step.ours_before:
        body = {**step.ours_before, "metadata": {**step.ours_before.get("metadata", {}), **names}}
    body["metadata"] = {**body["metadata"], "uid": live["metadata"]["uid"]}
    after = cluster.apply(kind, step.namespace, step.name, body, manager=FIELD_MANAGER, dry_run=True).object
    delete = step.created and not step.ours_before and not after.get("data") and not after.get("binaryData")
    return Undo(
        step,
        body,
        live,
        object_diff(live, None if delete else after, f"{step.plural}/{step.name}"),
        delete=delete and kind == CONFIG_MAP,
    )


def undo(
    cluster: Cluster,
    receipt: Receipt,
    studio: Studio | None,
    store: Store,
    *,
    on_event: OnEvent,
    cancelled: Cancelled = never,
) -> Receipt:
    """Play a receipt backwards: views, then DaemonSet, its rollout, then the ConfigMap key; foreign changes survive.

    Raises UsageError (another cluster, undone already), PartialError with what is left (say: views without a key).
    """
    steps = plan_undo(cluster, receipt)
    journal = Journal(store, receipt)
    try:
        for item in steps:
            stop_if(cancelled)
            _undo_step(cluster, item, journal, on_event, cancelled)
        for view in reversed(receipt.views):
            stop_if(cancelled)
            if view.state in (WRITTEN, PENDING, UNKNOWN):
                _undo_view(studio, view, journal, on_event)
    except WizardError as error:
        if UNDONE not in journal.receipt.states or isinstance(error, CancelledError):
            raise
        raise PartialError(
            _("Only part was undone: {what}").format(what=error.what),
            object=error.object,
            why=error.why,
            remedy="\n".join(p for p in (error.remedy, _("Run undo again to finish.")) if p),
        ) from error
    return journal.save(replace(journal.receipt, undone=now()))


def _undo_step(cluster: Cluster, item: Undo, journal: Journal, on_event: OnEvent, cancelled: Cancelled) -> None:
    step, kind = item.step, _kind(item.step)
    title = f"{step.kind} {step.namespace}/{step.name}"
    if item.live is None:
        on_event(Event(title, item.note))
    else:
        applied = cluster.apply(kind, step.namespace, step.name, item.body, manager=FIELD_MANAGER, dry_run=False)
        if kind == DAEMON_SET and _generation(applied.object) != _generation(item.live):
            on_event(Event(title, _("our fields are removed; the pods restart")))
            follow(cluster, step.namespace, step.name, applied, on_event, cancelled, cluster.time_scale)
        elif item.delete:
            cluster.delete(kind, step.namespace, step.name, uid=item.live["metadata"]["uid"])
            on_event(Event(title, _("deleted: it was ours and is empty")))
        else:
            on_event(Event(title, _("our fields are removed")))
    journal.step(replace(step, state=UNDONE))


def _generation(obj: Object) -> int:
    return int(obj["metadata"].get("generation", 0))


def _undo_view(studio: Studio | None, view: ViewStep, journal: Journal, on_event: OnEvent) -> None:
    if studio is None:
        raise UsageError(
            _("The view {name} is left: deleting it needs the API key.").format(name=view.name),
            object=view.uuid,
            remedy=_("Give --api-key-file and --endpoint."),
        )
    if studio.find_dashboard(view.uuid) is not None:
        studio.delete_dashboard(view.uuid)
    journal.view(replace(view, state=UNDONE))
    on_event(Event(view.name, _("deleted")))
