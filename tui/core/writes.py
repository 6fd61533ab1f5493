"""One reviewed write, journalled: the receipt is on disk before the request, and an unknown outcome is looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tui.core import hold
from tui.core.changes import SAME, Change, dry_run
from tui.core.errors import (
    CancelledError,
    DeadlineError,
    NotFoundError,
    PartialError,
    StaleError,
    UnreachableError,
    WizardError,
)
from tui.core.ownership import FIELD_MANAGER, owned
from tui.core.ports import DAEMON_SET, Applied, Cluster, Kind, Object, Rollout
from tui.core.receipts import (
    FAILED,
    HELD,
    ROLLED_OUT,
    UNKNOWN,
    WAITING,
    WRITTEN,
    PodStep,
    Receipt,
    Step,
    Store,
    ViewStep,
    digests,
    keepable,
)
from tui.core.receipts import SAME as UNCHANGED
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
    """The time as receipts write it: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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

    def pod(self, pod: PodStep) -> None:
        self.save(self.receipt.with_pod(pod))

    def view(self, view: ViewStep) -> None:
        self.save(self.receipt.with_view(view))


def stop_if(cancelled: Cancelled) -> None:
    """Raise CancelledError where the person stopped it."""
    if cancelled():
        raise CancelledError(_("Stopped before the next change."), remedy=_("Run it again: what is done stays done."))


def read_live(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object | None:
    """The object as it is, None where there is none."""
    try:
        return cluster.get(kind, namespace, name)
    except NotFoundError:
        return None


def read_surely(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object | None:
    """The same, asked twice where it is not there: for answers after which nothing of it is looked at again."""
    return read_live(cluster, kind, namespace, name) or read_live(cluster, kind, namespace, name)


def write(cluster: Cluster, change: Change, journal: Journal, on_event: OnEvent) -> Applied:
    """One server-side apply of a reviewed change, journalled before and after. Its conflicts are forced: the caller
    has made sure that each was asked for by name."""
    step = _begun(change, journal.receipt.step_of(change.kind.kind, change.namespace, change.name))
    journal.step(step)
    try:
        applied = _release(cluster, change, step) if _releases(change) else _apply_reviewed(cluster, change)
    except (DeadlineError, UnreachableError) as error:
        applied = _look_again(cluster, change, step, journal, error)
    except WizardError as error:
        journal.step(replace(step, state=FAILED, message=error.what))
        raise
    journal.step(_written(step, applied.object, rollout=_rollout(change)))
    on_event(Event(change.title, _("written")))
    for warning in applied.warnings:
        on_event(Event(change.title, _("warning: {text}").format(text=warning)))
    for field in change.overwrites:
        on_event(
            Event(change.title, _("forced: {field}, which was {owner}'s").format(field=field.path, owner=field.manager))
        )
    return applied


def _rollout(change: Change) -> str:
    """What a receipt says of the rollout right after the change is written."""
    if not change.rolls:
        return ""
    return HELD if hold.holds(change.body) else WAITING


def _begun(change: Change, earlier: Step | None) -> Step:
    """The step as journalled before the request. An apply that goes on with another's receipt keeps what was there
    before the first of them."""
    live = change.live
    before, withheld = keepable(owned(live) if live else None)
    step = Step(
        api_version=change.kind.api_version,
        kind=change.kind.kind,
        plural=change.kind.plural,
        namespace=change.namespace,
        name=change.name,
        created=live is None,
        uid=live["metadata"]["uid"] if live else "",
        version_before=live["metadata"]["resourceVersion"] if live else "",
        diff=change.diff,
        ours_before=before,
        withheld=withheld,
        forced=change.overwrites,
        owners=change.owners,
    )
    if earlier is None or not (earlier.created or earlier.uid == step.uid):
        return step
    known = {field.path for field in earlier.forced}
    return replace(
        step,
        created=earlier.created,
        version_before=earlier.version_before,
        ours_before=earlier.ours_before,
        withheld=earlier.withheld,
        forced=(*earlier.forced, *(field for field in step.forced if field.path not in known)),
    )


def _written(step: Step, obj: Object, *, rollout: str) -> Step:
    metadata = obj["metadata"]
    return replace(
        step,
        state=WRITTEN,
        uid=metadata["uid"],
        version_after=metadata["resourceVersion"],
        generation_after=metadata.get("generation", 0),
        wrote=digests(owned(obj)),
        rollout=rollout,
        message="",
    )


def _look_again(cluster: Cluster, change: Change, step: Step, journal: Journal, error: WizardError) -> Applied:
    """The answer was lost: a dry run against what is there now tells whether the write arrived, else raise `error`."""
    try:
        after = dry_run(
            cluster, change.kind, change.body, read_live(cluster, change.kind, change.namespace, change.name)
        )
    except WizardError:
        journal.step(replace(step, state=UNKNOWN, message=_("No answer came, and looking again failed too.")))
        raise error from None
    if after.verb == SAME and after.live is not None:
        return Applied(after.live)
    journal.step(replace(step, state=UNKNOWN, message=_("No answer came, and the change is not there.")))
    raise error


def _releases(change: Change) -> bool:
    """Whether the change lets go of a rollout that we hold."""
    return (
        change.kind == DAEMON_SET
        and change.live is not None
        and hold.is_ours(change.live)
        and not hold.holds(change.body)
    )


def _release(cluster: Cluster, change: Change, step: Step) -> Applied:
    """Let a held rollout go: first everything else, still held; then the strategy to its owner; then our fields
    without it. So nothing rolls that is not whole, and the owner has its field back."""
    applied = _apply_reviewed(cluster, change, hold.holding(change.body))
    live = hold.give_back(cluster, applied.object, step.forced)
    last = dry_run(cluster, change.kind, change.body, live)
    return Applied(live, applied.warnings) if last.verb == SAME else _apply_reviewed(cluster, last)


def _apply_reviewed(cluster: Cluster, change: Change, instead: Object | None = None) -> Applied:
    """Apply with the reviewed version; a stale one is retried only while a new dry run gives the approved diff.

    `instead` is sent in place of the change's body: the same, with the rollout held.
    """
    live = change.live
    for _attempt in range(STALE_RETRIES):
        body = change.body if instead is None else instead
        if live is not None:
            held = {"uid": live["metadata"]["uid"], "resourceVersion": live["metadata"]["resourceVersion"]}
            body = {**body, "metadata": {**body["metadata"], **held}}
        try:
            return cluster.apply(
                change.kind,
                change.namespace,
                change.name,
                body,
                manager=FIELD_MANAGER,
                dry_run=False,
                force=bool(change.conflicts),
            )
        except StaleError:
            live = read_live(cluster, change.kind, change.namespace, change.name)
            if (live or {}).get("metadata", {}).get("uid") != (change.live or {}).get("metadata", {}).get("uid"):
                break  # deleted, or made anew: not what was reviewed
            again = dry_run(cluster, change.kind, change.body, live)
            if (again.diff, set(again.conflicts)) != (change.diff, set(change.conflicts)):
                break
            live = again.live
    else:
        what = _("Somebody writes to this object all the time: it changed {n} times between the look and the write.")
        raise StaleError(
            what.format(n=STALE_RETRIES),
            object=change.title,
            why=_("The change itself would still be the reviewed one."),
            remedy=_("Run it again; what is done stays done."),
        )
    raise StaleError(
        _("The object changed since it was reviewed, and the change would now be another."),
        object=change.title,
        remedy=_("Look at the new plan, then apply again."),
    )


def settle(change: Change, journal: Journal) -> Step | None:
    """The step of an object in which nothing differs any more, its outcome now known; None where there is none."""
    step = journal.receipt.step_of(change.kind.kind, change.namespace, change.name)
    if step is None or step.state == WRITTEN or change.live is None:
        return step
    if owned(change.live) is None:
        step = replace(step, state=UNCHANGED, message="")
    else:
        step = _written(step, change.live, rollout=_rollout(change))
    journal.step(step)
    return step


def follow(
    cluster: Cluster,
    namespace: str,
    name: str,
    daemon_set: Object,
    on_event: OnEvent,
    cancelled: Cancelled,
    time_scale: float,
) -> None:
    """Follow the rollout of the generation that `daemon_set` has."""
    title = f"DaemonSet {namespace}/{name}"
    generation = daemon_set["metadata"]["generation"]
    status = daemon_set.get("status", {})
    if status.get("observedGeneration") and not status.get("desiredNumberScheduled"):
        on_event(Event(title, _("No node is to run DataKit, so nothing restarts, and nothing collects.")))
        return
    if hold.strategy(daemon_set) == hold.ON_DELETE:
        _tell_left(cluster, daemon_set, on_event, cancelled)
        return
    pods = max(1, status.get("desiredNumberScheduled", 1))
    rollout = cluster.wait_rollout(
        namespace,
        name,
        generation,
        # A lab's pods start fast, but its machine may be slow: never wait less than a minute.
        deadline_s=max(60.0, pods * ROLLOUT_SECONDS_PER_POD / time_scale),
        progress=lambda state: on_event(Event(title, progress(state), state)),
        cancelled=cancelled,
    )
    if not rollout.done:
        raise CancelledError(
            _("Stopped while the pods restart; the rollout goes on in the cluster."),
            object=title,
            remedy=_("Run the same apply again: it changes nothing twice, and watches on."),
            command=f"kubectl --context {cluster.context} -n {namespace} rollout status daemonset/{name}",
        )


def rolled_out(journal: Journal, change: Change) -> None:
    """Journal that the rollout was watched to its end."""
    step = journal.receipt.step_of(change.kind.kind, change.namespace, change.name)
    if step is not None:
        journal.step(replace(step, rollout=ROLLED_OUT))


def progress(state: Rollout) -> str:
    """How far a rollout is, in one line, with the node that takes longest."""
    text = _("{updated} of {desired} pods updated, {available} available").format(
        updated=state.updated, desired=state.desired, available=state.available
    )
    if state.slowest:
        what = state.pods.get(state.slowest, "")
        text += "; " + _("slowest: {node}, {what}").format(node=state.slowest, what=what)
    return text


def _tell_left(cluster: Cluster, daemon_set: Object, on_event: OnEvent, cancelled: Cancelled) -> None:
    """Say how many pods have the new template where the strategy leaves it to people to delete the others."""
    metadata = daemon_set["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    seen = cluster.wait_rollout(
        namespace,
        name,
        metadata["generation"],
        deadline_s=60.0,
        progress=lambda _state: None,
        cancelled=cancelled,
        replaced={},
    )
    if not seen.done:
        return
    status = cluster.get(DAEMON_SET, namespace, name).get("status", {})
    on_event(
        Event(
            f"DaemonSet {namespace}/{name}",
            _(
                "The update strategy is OnDelete: {updated} of {desired} pods have the new template, each of the others"
                " gets it when somebody deletes it."
            ).format(updated=status.get("updatedNumberScheduled", 0), desired=status.get("desiredNumberScheduled", 0)),
        )
    )


def partial(error: WizardError, receipt: Receipt) -> WizardError:
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
