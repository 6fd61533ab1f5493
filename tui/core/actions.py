"""What changes the world: apply a plan, undo a receipt. Journal first, then the request; safe to stop anywhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tui.core import views as view_catalogue
from tui.core.errors import (
    CancelledError,
    DeadlineError,
    NotFoundError,
    PartialError,
    RefusedError,
    StaleError,
    UsageError,
    WizardError,
)
from tui.core.ownership import FIELD_MANAGER, owned
from tui.core.plan import CREATE, SAME, Change, Plan, ViewChange, changed, dry_run, object_diff
from tui.core.ports import (
    CONFIG_MAP,
    DAEMON_SET,
    Applied,
    Cluster,
    Dashboard,
    Kind,
    Object,
    Rollout,
    Studio,
    Workspace,
)
from tui.core.receipts import FAILED, PENDING, UNDONE, UNKNOWN, WRITTEN, Receipt, Step, Store, ViewStep
from tui.core.survey import cluster_uid
from tui.i18n import _

ROLLOUT_SECONDS_PER_POD = 120.0
STALE_RETRIES = 3


@dataclass(frozen=True)
class Event:
    """One thing that happened: `step` names the object ("ConfigMap datakit/datakit-conf"), `text` says what."""

    step: str
    text: str
    rollout: Rollout | None = None


OnEvent = Callable[[Event], None]
Cancelled = Callable[[], bool]


def never() -> bool:
    """A `cancelled` that never is."""
    return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    that changed since the review), DeadlineError (rollout), CancelledError; PartialError once something was written.
    """
    blockers = plan.blockers()
    if blockers:
        raise RefusedError(
            _("The plan cannot be applied."),
            object=f"{plan.survey.context}, {plan.survey.datakit.namespace}",
            why="\n".join(blockers),
            remedy=_("Ask for the rights, or settle with the owner; `plan` shows both."),
        )
    survey = plan.survey
    receipt = Receipt(
        id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started=_now(),
        context=survey.context,
        server=survey.server,
        cluster_uid=survey.uid,
        namespace=survey.datakit.namespace,
        daemonset=survey.datakit.name,
        user=survey.user,
        endpoint=studio.endpoint if studio else "",
    )
    todo = [v for v in plan.views if v.verb == CREATE] if views else []
    if not changed(plan.changes) and not todo:
        return replace(receipt, finished=_now())
    journal = _Journal(store, receipt)
    try:
        for change in changed(plan.changes):
            _stop_if(cancelled)
            applied = _write(cluster, change, journal, on_event)
            if change.kind == DAEMON_SET:
                _follow(cluster, change.namespace, change.name, applied, on_event, cancelled, survey.time_scale)
        for view in todo:
            _stop_if(cancelled)
            _create(studio, plan, view, journal, on_event)
    except WizardError as error:
        journal.save(replace(journal.receipt, finished=_now()))
        raise _partial(error, journal.receipt) from error
    return journal.save(replace(journal.receipt, finished=_now()))


class _Journal:
    """The receipt in the making; every change of it is on disk before the next request goes out."""

    def __init__(self, store: Store, receipt: Receipt) -> None:
        self.store = store
        self.receipt = store.write(receipt)

    def save(self, receipt: Receipt) -> Receipt:
        self.receipt = self.store.write(receipt)
        return self.receipt

    def step(self, step: Step) -> None:
        self.save(self.receipt.with_step(step))

    def view(self, view: ViewStep) -> None:
        self.save(self.receipt.with_view(view))


def _stop_if(cancelled: Cancelled) -> None:
    if cancelled():
        raise CancelledError(_("Stopped before the next change."), remedy=_("Run it again: what is done stays done."))


def _partial(error: WizardError, receipt: Receipt) -> WizardError:
    """The error to report: as it is where nothing was written, else one that says that only part was done."""
    written = any(state in (WRITTEN, UNKNOWN) for state in receipt.states)
    if not written or isinstance(error, CancelledError | DeadlineError):
        error.remedy = "\n".join(
            part for part in (error.remedy, _("Receipt: {path}").format(path=receipt.path) if written else "") if part
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


def _write(cluster: Cluster, change: Change, journal: _Journal, on_event: OnEvent) -> Applied:
    """One server-side apply of a reviewed change, journalled before and after."""
    step = Step(
        api_version=change.kind.api_version,
        kind=change.kind.kind,
        plural=change.kind.plural,
        namespace=change.namespace,
        name=change.name,
        created=change.live is None,
        uid=change.live["metadata"]["uid"] if change.live else "",
        version_before=change.live["metadata"]["resourceVersion"] if change.live else "",
        diff=change.diff,
        ours_before=owned(change.live) if change.live else None,
        owners=change.owners,
    )
    journal.step(step)
    try:
        applied = _apply_reviewed(cluster, change)
    except DeadlineError:
        # The answer was lost. Asking again what a dry run would change tells whether the write arrived.
        after = dry_run(cluster, change.kind, change.body, _live(cluster, change.kind, change.namespace, change.name))
        if after.verb != SAME or after.live is None:
            journal.step(replace(step, state=UNKNOWN, message=_("No answer came, and the change is not there.")))
            raise
        applied = Applied(after.live)
    except WizardError as error:
        journal.step(replace(step, state=FAILED, message=error.what))
        raise
    metadata = applied.object["metadata"]
    journal.step(
        replace(
            step,
            state=WRITTEN,
            uid=metadata["uid"],
            version_after=metadata["resourceVersion"],
            generation_after=metadata.get("generation", 0),
        )
    )
    on_event(Event(change.title, _("written")))
    for warning in applied.warnings:
        on_event(Event(change.title, _("warning: {text}").format(text=warning)))
    return applied


def _live(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object | None:
    try:
        return cluster.get(kind, namespace, name)
    except NotFoundError:
        return None


def _apply_reviewed(cluster: Cluster, change: Change) -> Applied:
    """Apply with the reviewed version; a stale one is retried only while a new dry run gives the approved diff."""
    live = change.live
    for _attempt in range(STALE_RETRIES):
        body = change.body
        if live is not None:
            body = {
                **body,
                "metadata": {**body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]},
            }
        try:
            return cluster.apply(change.kind, change.namespace, change.name, body, manager=FIELD_MANAGER, dry_run=False)
        except StaleError:
            live = _live(cluster, change.kind, change.namespace, change.name)
            again = dry_run(cluster, change.kind, change.body, live)
            if (again.diff, again.conflicts) != (change.diff, change.conflicts):
                break
    raise StaleError(
        _("The object changed since it was reviewed, and the change would now be another."),
        object=change.title,
        remedy=_("Look at the new plan, then apply again."),
    )


def _follow(
    cluster: Cluster,
    namespace: str,
    name: str,
    applied: Applied,
    on_event: OnEvent,
    cancelled: Cancelled,
    time_scale: float,
) -> None:
    """Follow the rollout of the generation that the write answered."""
    title = f"DaemonSet {namespace}/{name}"
    spec = applied.object["spec"]
    if spec.get("updateStrategy", {}).get("type") == "OnDelete":
        on_event(Event(title, _("The update strategy is OnDelete: delete the DataKit pods to bring the change out.")))
        return
    pods = max(1, applied.object.get("status", {}).get("desiredNumberScheduled", 1))
    rollout = cluster.wait_rollout(
        namespace,
        name,
        applied.object["metadata"]["generation"],
        # A lab's pods start fast, but its machine may be slow: never wait less than a minute.
        deadline_s=max(60.0, pods * ROLLOUT_SECONDS_PER_POD / time_scale),
        progress=lambda state: on_event(
            Event(
                title,
                _("{updated} of {desired} pods updated, {available} available").format(
                    updated=state.updated, desired=state.desired, available=state.available
                ),
                state,
            )
        ),
        cancelled=cancelled,
    )
    if not rollout.done:
        raise CancelledError(
            _("Stopped while the pods restart; the rollout goes on in the cluster."),
            object=title,
            command=f"kubectl --context {cluster.context} -n {namespace} rollout status daemonset/{name}",
        )


def _create(studio: Studio | None, plan: Plan, view: ViewChange, journal: _Journal, on_event: OnEvent) -> None:
    if studio is None or plan.workspace is None:
        raise UsageError(_("Views need an API key."), remedy=_("Give --api-key-file, or leave views out (--no-views)."))
    step = ViewStep(view.key, view.uuid, view.name)
    journal.view(step)
    try:
        dashboard = create_view(
            studio,
            plan.workspace,
            view.key,
            plan.answers.cluster.name,
            name=view.name,
            language=plan.answers.views.lang,
        )
    except WizardError as error:
        journal.view(replace(step, state=FAILED, message=error.what))
        raise
    journal.view(replace(step, state=WRITTEN, uuid=dashboard.uuid))
    on_event(Event(view.name, _("created")))


def create_view(
    studio: Studio, workspace: Workspace, key: str, cluster_name: str, *, name: str, language: str
) -> Dashboard:
    """Create one of the seven views, or return the one that is there under our fixed uuid. Safe to repeat."""
    view = view_catalogue.view(key)
    template = view_catalogue.build(view, name=name, language=language)
    uuid = view_catalogue.dashboard_uuid(workspace.uuid, key, cluster_name)
    there = studio.find_dashboard(uuid)
    if there is not None:
        return there
    return studio.create_dashboard(uuid, name, template, identifier=f"datakit-wizard/{key}/{cluster_name}")


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
    live = _live(cluster, kind, step.namespace, step.name)
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
    journal = _Journal(store, receipt)
    try:
        for item in steps:
            _stop_if(cancelled)
            _undo_step(cluster, item, journal, on_event, cancelled)
        for view in reversed(receipt.views):
            _stop_if(cancelled)
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
    return journal.save(replace(journal.receipt, undone=_now()))


def _undo_step(cluster: Cluster, item: Undo, journal: _Journal, on_event: OnEvent, cancelled: Cancelled) -> None:
    step, kind = item.step, _kind(item.step)
    title = f"{step.kind} {step.namespace}/{step.name}"
    if item.live is None:
        on_event(Event(title, item.note))
    else:
        applied = cluster.apply(kind, step.namespace, step.name, item.body, manager=FIELD_MANAGER, dry_run=False)
        if kind == DAEMON_SET and _generation(applied.object) != _generation(item.live):
            on_event(Event(title, _("our fields are removed; the pods restart")))
            _follow(cluster, step.namespace, step.name, applied, on_event, cancelled, cluster.time_scale)
        elif item.delete:
            cluster.delete(kind, step.namespace, step.name, uid=item.live["metadata"]["uid"])
            on_event(Event(title, _("deleted: it was ours and is empty")))
        else:
            on_event(Event(title, _("our fields are removed")))
    journal.step(replace(step, state=UNDONE))


def _generation(obj: Object) -> int:
    return int(obj["metadata"].get("generation", 0))


def _undo_view(studio: Studio | None, view: ViewStep, journal: _Journal, on_event: OnEvent) -> None:
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
