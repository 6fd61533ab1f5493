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
from tui.core.plan import CREATE, SAME, Change, Plan, ViewChange, changed, dry_run
from tui.core.ports import (
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
from tui.core.receipts import FAILED, UNKNOWN, WRITTEN, Receipt, Step, Store, ViewStep
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


def now() -> str:
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
        started=now(),
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
        return replace(receipt, finished=now())
    journal = Journal(store, receipt)
    try:
        for change in changed(plan.changes):
            stop_if(cancelled)
            applied = _write(cluster, change, journal, on_event)
            if change.kind == DAEMON_SET:
                follow(cluster, change.namespace, change.name, applied, on_event, cancelled, survey.time_scale)
        for view in todo:
            stop_if(cancelled)
            _create(studio, plan, view, journal, on_event)
    except WizardError as error:
        journal.save(replace(journal.receipt, finished=now()))
        raise _partial(error, journal.receipt) from error
    return journal.save(replace(journal.receipt, finished=now()))


class Journal:
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


def stop_if(cancelled: Cancelled) -> None:
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


def _write(cluster: Cluster, change: Change, journal: Journal, on_event: OnEvent) -> Applied:
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
        after = dry_run(
            cluster, change.kind, change.body, read_live(cluster, change.kind, change.namespace, change.name)
        )
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


def read_live(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object | None:
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
            live = read_live(cluster, change.kind, change.namespace, change.name)
            again = dry_run(cluster, change.kind, change.body, live)
            if (again.diff, again.conflicts) != (change.diff, change.conflicts):
                break
    raise StaleError(
        _("The object changed since it was reviewed, and the change would now be another."),
        object=change.title,
        remedy=_("Look at the new plan, then apply again."),
    )


def follow(
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


def _create(studio: Studio | None, plan: Plan, view: ViewChange, journal: Journal, on_event: OnEvent) -> None:
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
