"""Undo: play a receipt backwards. What we added goes, what we changed before comes back, foreign changes survive."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tui.core import canary, fields, hold
from tui.core import views as view_catalogue
from tui.core.diff import object_diff
from tui.core.errors import (
    CancelledError,
    ConflictError,
    DeadlineError,
    PartialError,
    RefusedError,
    StaleError,
    UsageError,
    WizardError,
)
from tui.core.owners import resync
from tui.core.ownership import FIELD_MANAGER, managers, owned
from tui.core.ports import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, POD, Access, Cluster, Kind, Object, Studio
from tui.core.receipts import (
    UNDOING,
    UNDONE,
    Overwrite,
    PodStep,
    Receipt,
    Step,
    Store,
    digests,
)
from tui.core.rights import grants
from tui.core.survey import cluster_uid
from tui.core.view_writes import plan_undo_views, undo_views
from tui.core.workloads import follow as follow_workloads
from tui.core.workloads import waves
from tui.core.writes import STALE_RETRIES, Cancelled, Event, Journal, OnEvent, follow, never, now, read_surely, stop_if
from tui.i18n import _

_ANY = "*"  # in place of a digest: whatever the field holds, it is not another wizard's


@dataclass(frozen=True)
class Undo:
    """One object that undo would write.

    `restores` are written back first, each under its old manager; then `body` is applied under ours. `notes` say what
    cannot be restored and what is left to do, translated.
    """

    step: Step
    body: Object
    live: Object | None
    diff: str
    delete: bool = False
    restores: tuple[tuple[fields.Path, Overwrite], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """The notes, a line each."""
        return "\n".join(self.notes)


def plan_undo(cluster: Cluster | None, receipt: Receipt, store: Store | None = None) -> list[Undo]:
    """What undo would do, object by object, in the order in which it would (the last one written comes first).

    Dashboards are `view_writes.plan_undo_views`'; a receipt of views alone needs no cluster. Raises UsageError for a
    receipt of another cluster, one that is undone, or (with `store`) one on which a later apply stands; RefusedError
    where another wizard applied since.
    """
    if receipt.undone:
        raise UsageError(
            _("This receipt is undone already."),
            object=str(receipt.path),
            why=receipt.undone,
            remedy=_("Give another receipt."),
        )
    if receipt.steps and cluster is not None and cluster_uid(cluster) != receipt.cluster_uid:
        raise UsageError(
            _("The receipt belongs to another cluster."),
            object=f"{receipt.context}, {receipt.server}",
            why=_("This context leads to {server}.").format(server=cluster.server),
            remedy=_("Choose its context with --context."),
        )
    later = store.later(receipt) if store else None
    if later:
        raise UsageError(
            _("A later apply stands on this one."),
            object=str(later.path),
            remedy=_("Undo that one first; without an argument undo takes the newest."),
        )
    if cluster is None:
        return []
    steps = [_with_left_values(step, receipt, store) if store else step for step in receipt.steps]
    return [_plan_undo(cluster, step) for step in reversed(steps) if step.open]


def refuse_without_rights(cluster: Cluster, receipt: Receipt, items: Sequence[Undo]) -> None:
    """Raise RefusedError where a right is missing that this undo will need, before anything is undone."""
    needed = [Access("patch", _kind(item.step), item.step.namespace, item.step.name) for item in items if item.live]
    live = read_surely(cluster, DAEMON_SET, receipt.namespace, receipt.daemonset) if receipt.pods else None
    on_delete = live is not None and hold.strategy(live) == hold.ON_DELETE and not hold.is_ours(live)
    if live is not None and any(restart for _pod, restart in _pods_to_restart(cluster, receipt, live, on_delete)):
        needed.append(Access("delete", POD, receipt.namespace))
    granted = cluster.allowed(needed)
    missing = [access for access, may in zip(needed, granted, strict=True) if not may]
    if missing:
        raise RefusedError(
            _("Undo needs rights that you lack; nothing was undone."),
            object=f"{receipt.context}, {receipt.namespace}",
            why="\n".join(_("You may not {access}.").format(access=access) for access in missing),
            remedy=_("Ask an administrator for them; this grants them:"),
            command="\n".join(grants(missing, "")),
        )


def _with_left_values(step: Step, receipt: Receipt, store: Store) -> Step:
    """The step, told which of its fields the undo of a later receipt left as they were, for want of their values."""
    later = [r.step_of(step.kind, step.namespace, step.name) for r in store.all(receipt.cluster_uid, receipt.namespace)]
    left = {path: _ANY for other in later if other and other.state == UNDONE for path in other.withheld}
    return replace(step, wrote={**step.wrote, **left}) if step.wrote and left else step


def _kind(step: Step) -> Kind:
    return next(
        (kind for kind in (CONFIG_MAP, DAEMON_SET, DEPLOYMENT) if kind.kind == step.kind),
        Kind(step.api_version, step.kind, step.plural),
    )


def _plan_undo(cluster: Cluster, step: Step) -> Undo:
    kind = _kind(step)
    live = read_surely(cluster, kind, step.namespace, step.name)  # that it is gone closes the receipt for good
    if live is None or (step.uid and live["metadata"]["uid"] != step.uid):
        return Undo(step, {}, None, "", notes=(_("The object was deleted meanwhile; nothing of ours is left."),))
    _refuse_anothers(step, live)
    names = {
        "apiVersion": step.api_version,
        "kind": step.kind,
        "metadata": {"name": step.name, "namespace": step.namespace},
    }
    wanted, notes = _wanted(step, live)
    restores, kept, more = _forced(step, live)
    wanted.update(kept)
    body = fields.partial(names, wanted)
    after, body, taken = _dry_run(cluster, kind, step, body, live)
    notes += more + taken
    for path, old in restores:
        fields.put(after, path, old.old)
    delete = (
        kind == CONFIG_MAP
        and step.created
        and not wanted
        and not managers(after)
        and not after.get("data")
        and not after.get("binaryData")
    )
    if delete and not cluster.allowed([Access("delete", kind, step.namespace, step.name)])[0]:
        delete = False
        notes.append(_("It was made by us and stays, empty: you may not delete it."))
    diff = object_diff(live, None if delete else after, f"{step.plural}/{step.name}")
    return Undo(step, body, live, diff, delete, tuple(restores), tuple(notes))


def _refuse_anothers(step: Step, live: Object) -> None:
    """Refuse where our manager's fields are no longer those that this receipt wrote: another wizard applied since."""
    if not step.wrote:
        return
    before = digests(step.ours_before)  # what an undo that was broken off may have brought back already
    foreign = [
        path
        for path, digest in digests(owned(live)).items()
        if step.wrote.get(path) != _ANY
        and digest not in (step.wrote.get(path), before.get(path))
        and path not in step.withheld
    ]
    if foreign:
        raise RefusedError(
            _("Another datakit-wizard has applied since this receipt was written."),
            object=step.title,
            why="\n".join(foreign),
            remedy=_("Undo it where it was applied; or remove all that was added here with undo --no-receipt."),
        )


def _wanted(step: Step, live: Object) -> tuple[dict[fields.Path, Any], list[str]]:
    """The fields that our manager owned before; one whose value the receipt could not keep stays as it is."""
    wanted = fields.leaves(step.ours_before or {})
    notes = []
    for path in list(wanted):
        if fields.text(path) in step.withheld:
            notes.append(
                _("{field} stays as it is: its former value held a secret, which receipts never keep.").format(
                    field=fields.text(path)
                )
            )
            wanted[path] = fields.look(live, path)
            if wanted[path] is fields.MISSING:
                del wanted[path]
    return wanted, notes


def _forced(step: Step, live: Object) -> tuple[list[tuple[fields.Path, Overwrite]], dict[fields.Path, Any], list[str]]:
    """The forced values to write back, the fields to leave as they are, and what to say of the rest.

    A field that is no longer ours alone was changed by somebody since: theirs stays.
    """
    restores, kept, notes = [], {}, []
    ours = {fields.text(path): path for path in fields.leaves(owned(live) or {})}
    updates = {field.path for field in step.forced if field.operation == "Update"}
    done: set[str] = set()
    for field in step.forced:
        path = ours.get(field.path)
        if path is None or field.path in done:
            continue
        if any(manager != FIELD_MANAGER for manager, _operation in fields.owners(live, path)):
            continue
        if field.operation != "Update":
            if field.path not in updates:
                notes.append(
                    _(
                        "{field} belonged to {manager}, which applies: it is released, and comes back with: {how}"
                    ).format(field=field.path, manager=field.manager, how=resync(field.manager))
                )
            continue
        done.add(field.path)
        if field.withheld:
            kept[path] = fields.look(live, path)
            notes.append(
                _("{field} stays as it is: its former value held a secret, which receipts never keep.").format(
                    field=field.path
                )
            )
        else:
            restores.append((path, field))
    return restores, kept, notes


def _dry_run(cluster: Cluster, kind: Kind, step: Step, body: Object, live: Object) -> tuple[Object, Object, list[str]]:
    """What the apply gives, the body that passes, and notes: fields that others took since are left to them."""
    notes: list[str] = []
    while True:
        held = {**body, "metadata": {**body["metadata"], "uid": live["metadata"]["uid"]}}
        try:
            applied = cluster.apply(kind, step.namespace, step.name, held, manager=FIELD_MANAGER, dry_run=True)
            return copy.deepcopy(applied.object), held, notes
        except ConflictError as error:
            taken = {conflict.field: conflict.manager for conflict in error.conflicts}
            smaller = fields.without(body, taken)
            if smaller == body:
                raise
            notes += [
                _("{field} stays: {manager} changed it meanwhile.").format(field=field, manager=manager)
                for field, manager in taken.items()
            ]
            body = smaller


def undo(
    cluster: Cluster | None,
    receipt: Receipt,
    studio: Studio | None,
    store: Store,
    *,
    overwrite: Sequence[str] = (),
    on_event: OnEvent,
    cancelled: Cancelled = never,
) -> Receipt:
    """Play a receipt backwards: DaemonSet, its rollout, the ConfigMap key, the pods that only its text was brought to,
    then views; foreign changes survive.

    A dashboard that a person changed since is left unless `overwrite` has its key; the receipt stays open for it.
    Raises UsageError (another cluster, undone already), PartialError with what is left (say: views without a key).
    """
    for key in overwrite:
        view_catalogue.view(key)  # an unknown one is refused before anything is undone
    with store.locked(receipt.cluster_uid, receipt.namespace):
        steps = plan_undo(cluster, receipt, store)
        if cluster is not None:
            refuse_without_rights(cluster, receipt, steps)
        journal = Journal(store, receipt)
        try:
            # What was written last comes first: the mesh's workloads, a few side by side.
            workloads = [item for item in steps if item.step.kind == DEPLOYMENT.kind]
            for wave in waves(workloads):
                assert cluster is not None  # there are no steps without
                _undo_wave(cluster, wave, journal, on_event, cancelled)
            for item in steps:
                if item in workloads:
                    continue
                stop_if(cancelled)
                assert cluster is not None  # there are no steps without
                _undo_step(cluster, item, journal, on_event, cancelled)
            if cluster is not None:
                _restart_pods(cluster, journal, on_event, cancelled)
            items = plan_undo_views(studio, receipt)
            left = undo_views(items, studio, journal, overwrite=overwrite, on_event=on_event, cancelled=cancelled)
        except WizardError as error:
            if UNDONE not in journal.receipt.states or isinstance(error, CancelledError):
                raise
            raise PartialError(
                _("Only part was undone: {what}").format(what=error.what),
                object=error.object,
                why=error.why,
                remedy="\n".join(p for p in (error.remedy, _("Run undo again to finish.")) if p),
            ) from error
        if left:
            return journal.receipt
        return journal.save(replace(journal.receipt, undone=now()))


def _undo_wave(
    cluster: Cluster, wave: Sequence[Undo], journal: Journal, on_event: OnEvent, cancelled: Cancelled
) -> None:
    """Undo some Deployments, then follow their restarts. One that does not come out is told, and does not stop it."""
    rolling: list[tuple[Step, Object]] = []
    for item in wave:
        stop_if(cancelled)
        if after := _undo_step(cluster, item, journal, on_event, cancelled):
            rolling.append((item.step, after))
    for stuck in follow_workloads(
        cluster, [after for _step, after in rolling], on_event, cancelled, cluster.time_scale
    ):
        on_event(Event(stuck.title, stuck.why))
    for step, _after in rolling:
        journal.step(replace(step, state=UNDONE, rollout=""))


def _undo_step(
    cluster: Cluster, item: Undo, journal: Journal, on_event: OnEvent, cancelled: Cancelled
) -> Object | None:
    """Undo one object; a Deployment whose pods restart is returned, which is undone once its rollout was followed."""
    step, kind = item.step, _kind(item.step)
    if item.live is None:
        on_event(Event(step.title, item.note))
        journal.step(replace(step, state=UNDONE))
        return None
    begun_before = step.state == UNDOING
    journal.step(replace(step, state=UNDOING))
    after = _write(cluster, kind, item)
    rolling = None
    for note in item.notes:
        on_event(Event(step.title, note))
    if after is None:
        on_event(Event(step.title, _("The object was deleted meanwhile; nothing of ours is left.")))
    elif item.delete:
        on_event(Event(step.title, _("deleted: it was ours and is empty")))
    elif kind == DAEMON_SET and (begun_before or _generation(after) != _generation(item.live)):
        on_event(Event(step.title, _("our fields are removed; the pods restart")))
        follow(cluster, step.namespace, step.name, after, on_event, cancelled, cluster.time_scale)
    elif kind == DEPLOYMENT and (begun_before or _generation(after) != _generation(item.live)):
        on_event(Event(step.title, _("our fields are removed; the pods restart")))
        rolling = after
    else:
        on_event(Event(step.title, _("our fields are removed")))
    if rolling is None:
        journal.step(replace(step, state=UNDONE, rollout=""))
    return rolling


def _write(cluster: Cluster, kind: Kind, item: Undo) -> Object | None:
    """Write the forced values back, then our former fields, each held to the version that was looked at.

    Where somebody wrote in between, or an answer was lost, it is planned anew, and goes on only while the outcome for
    us is the same. Returns the object, None where it is gone.
    """
    step = item.step
    lost = False
    for attempt in range(STALE_RETRIES + 1):
        assert item.live is not None
        try:
            live = _restore(cluster, kind, item, _template_first(cluster, kind, item))
            held = {**item.body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
            body = {**item.body, "metadata": held}
            applied = cluster.apply(kind, step.namespace, step.name, body, manager=FIELD_MANAGER, dry_run=False)
            if item.delete:
                # With its version too: a key that somebody adds in this moment is not deleted with it.
                cluster.delete(
                    kind,
                    step.namespace,
                    step.name,
                    uid=applied.object["metadata"]["uid"],
                    version=applied.object["metadata"]["resourceVersion"],
                )
            return applied.object
        except (StaleError, DeadlineError) as error:
            if lost and isinstance(error, DeadlineError):
                raise  # twice without an answer
            lost = lost or isinstance(error, DeadlineError)
            again = _plan_undo(cluster, step)
            if again.live is None:
                return None
            if attempt == STALE_RETRIES or not _same_for_us(item, again):
                raise
            item = again
    raise AssertionError


def _same_for_us(one: Undo, other: Undo) -> bool:
    """Whether the second plan does no more than the first: a restored value or a removed field may be done already."""
    return (
        fields.leaves(one.body) == fields.leaves(other.body)
        and set(other.restores) <= set(one.restores)
        and (one.delete or not other.delete)
    )


def _template_first(cluster: Cluster, kind: Kind, item: Undo) -> Object:
    """The object, which goes back to its former template while its rollout is held still: else what is given back
    first would let the new one roll for a moment."""
    live: Object = item.live or {}
    if kind != DAEMON_SET or not any(path == hold.PATH for path, _old in item.restores):
        return live
    body = hold.holding(item.body)
    body["metadata"] = {**item.body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
    return cluster.apply(kind, item.step.namespace, item.step.name, body, manager=FIELD_MANAGER, dry_run=False).object


def _restore(cluster: Cluster, kind: Kind, item: Undo, live: Object) -> Object:
    """Write the forced values back under their old managers, and return the object as it is then."""
    by_manager: dict[str, list[tuple[fields.Path, Any]]] = {}
    for path, field in item.restores:
        by_manager.setdefault(field.manager, []).append((path, field.old))
    for manager, values in by_manager.items():
        metadata = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
        body = fields.partial({"metadata": metadata}, values)
        live = cluster.patch(kind, item.step.namespace, item.step.name, body, manager=manager, dry_run=False).object
    return live


def _restart_pods(cluster: Cluster, journal: Journal, on_event: OnEvent, cancelled: Cancelled) -> None:
    """Restart the pods that got what is undone now and would not go back by themselves: the conf's text is mounted
    once, and under OnDelete the template too."""
    receipt = journal.receipt
    live = read_surely(cluster, DAEMON_SET, receipt.namespace, receipt.daemonset) if receipt.pods else None
    if live is None:
        return
    on_delete = hold.strategy(live) == hold.ON_DELETE
    for pod, restart in _pods_to_restart(cluster, receipt, live, on_delete):
        if not restart:
            journal.pod(replace(pod, state=UNDONE))
            continue
        stop_if(cancelled)
        if pod.state != UNDOING:
            pod = replace(pod, state=UNDOING)
            journal.pod(pod)
        canary.restart(cluster, live, pod, journal, on_event, cancelled, done=UNDONE)


def _pods_to_restart(cluster: Cluster, receipt: Receipt, live: Object, on_delete: bool) -> list[tuple[PodStep, bool]]:
    """The receipt's pods that are not undone, each as it is now, and whether it has to restart."""
    todo = [pod for pod in receipt.pods if pod.state != UNDONE]
    there = canary.pods_there(cluster, live, {pod.node for pod in todo}) if todo else {}
    found = []
    for pod in todo:
        name, uid = there.get(pod.node, ("", ""))
        restart = (on_delete or not pod.template) and bool(name) and uid != pod.before
        known = pod.state == UNDOING or not restart  # one that is being restarted is told by what it was
        found.append((pod if known else replace(pod, name=name, uid=uid), restart))
    return found


def _generation(obj: Object) -> int:
    return int(obj["metadata"].get("generation", 0))
