"""Writing to the mesh's Deployments and following their restarts, a few side by side; each stands for itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tui.core.changes import SAME, Change
from tui.core.errors import CancelledError, DeadlineError, NotFoundError, UnreachableError, WizardError
from tui.core.istio_targets import LeftOut
from tui.core.plan import WORKLOADS_AT_ONCE
from tui.core.ports import DEPLOYMENT, Cluster, Object
from tui.core.receipts import ROLLED_OUT, WRITTEN
from tui.core.writes import (
    ROLLOUT_SECONDS_PER_POD,
    Cancelled,
    Event,
    Journal,
    OnEvent,
    rolled_out,
    settle,
    stop_if,
    write,
)
from tui.i18n import _

T = TypeVar("T")
_POLL_S = 1.0


def waves(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items, a few at a time: as many as may restart side by side."""
    for start in range(0, len(items), WORKLOADS_AT_ONCE):
        yield items[start : start + WORKLOADS_AT_ONCE]


def apply_each(
    cluster: Cluster,
    changes: Sequence[Change],
    journal: Journal,
    on_event: OnEvent,
    cancelled: Cancelled,
    time_scale: float,
) -> list[LeftOut]:
    """Write each change and follow its rollout. What cannot be done is returned, and the rest goes on.

    Raises CancelledError, and UnreachableError or DeadlineError where the API server does not answer.
    """
    left_out: list[LeftOut] = []
    for wave in waves(changes):
        rolling: list[Object] = []
        for change in wave:
            try:
                written = _write(cluster, change, journal, on_event, cancelled)
            except (CancelledError, UnreachableError, DeadlineError):
                raise
            except WizardError as error:
                left_out.append(LeftOut(change.title, error.what, error.remedy))
                on_event(Event(change.title, _("left out: {why}").format(why=error.what)))
                continue
            if written is not None:
                rolling.append(written)
        stuck = follow(cluster, rolling, on_event, cancelled, time_scale)
        left_out += stuck
        for change in wave:
            step = journal.receipt.step_of(change.kind.kind, change.namespace, change.name)
            if step and step.state == WRITTEN and change.title not in {one.title for one in stuck}:
                rolled_out(journal, change)
    return left_out


def _write(
    cluster: Cluster, change: Change, journal: Journal, on_event: OnEvent, cancelled: Cancelled
) -> Object | None:
    """The Deployment whose rollout is to be followed, None where nothing of it is to be waited for."""
    if change.verb == SAME:
        step = settle(change, journal)
        waiting = step is not None and step.state == WRITTEN and step.rollout != ROLLED_OUT
        return change.live if waiting else None
    stop_if(cancelled)
    return write(cluster, change, journal, on_event).object


def follow(
    cluster: Cluster,
    deployments: Sequence[Object],
    on_event: OnEvent,
    cancelled: Cancelled,
    time_scale: float,
    sleep: Callable[[float], None] = time.sleep,
) -> list[LeftOut]:
    """Follow the rollouts of these Deployments, each as written, to their end; those that do not come out are returned.

    Raises CancelledError where it was stopped meanwhile; the rollouts go on in the cluster.
    """
    pending = {_title(item): item for item in deployments}
    told: dict[str, str] = {}
    stuck = []
    most = max((int(item["spec"].get("replicas", 1)) for item in deployments), default=1)
    # A lab's pods start fast, but its machine may be slow: never wait less than a minute.
    end = time.monotonic() + max(60.0, max(most, 1) * ROLLOUT_SECONDS_PER_POD / time_scale)
    while pending:
        for title, written in list(pending.items()):
            metadata = written["metadata"]
            try:
                live = cluster.get(DEPLOYMENT, metadata["namespace"], metadata["name"])
            except NotFoundError:
                stuck.append(LeftOut(title, _("it was deleted meanwhile.")))
                del pending[title]
                continue
            state, problem = judge(live, int(metadata.get("generation", 0)))
            if told.get(title) != state:
                told[title] = state
                on_event(Event(title, state))
            if problem:
                command = f"kubectl -n {metadata['namespace']} describe deployment {metadata['name']}"
                stuck.append(LeftOut(title, problem, _("Look at its pods: {command}").format(command=command)))
            if problem or state == _done():
                del pending[title]
        if pending and cancelled():
            raise CancelledError(
                _("Stopped while the pods restart; the rollout goes on in the cluster."),
                object=", ".join(pending),
                remedy=_("Run the same apply again: it changes nothing twice, and watches on."),
            )
        if pending and time.monotonic() >= end:
            stuck += [
                LeftOut(title, _("its rollout is not done: {state}").format(state=told.get(title, "?")))
                for title in pending
            ]
            break
        if pending:
            sleep(max(0.2, _POLL_S / time_scale))
    return stuck


def _done() -> str:
    return _("its pods restarted")


def judge(deployment: Object, generation: int) -> tuple[str, str]:
    """How far the rollout of `generation` is, in words, and why it will not come out ("" it may).

    kubectl's rule (polymorphichelpers/rollout_status.go): counts of an older generation say nothing about ours.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    if spec.get("paused"):
        return _("paused"), _("its rollout was paused; the pods restart when it is resumed.")
    wanted = int(spec.get("replicas", 1))
    counts = [int(status.get(key, 0)) for key in ("updatedReplicas", "availableReplicas", "replicas")]
    updated, available, all_of_them = counts
    if int(status.get("observedGeneration", 0)) < generation:
        updated = 0
    state = _("{updated} of {all} pods restarted, {n} available").format(updated=updated, all=wanted, n=available)
    for one in status.get("conditions") or ():
        if one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return state, one.get("message") or _("its rollout makes no progress.")
    whole = updated >= wanted and all_of_them <= updated and available >= updated
    return (_done(), "") if whole and int(status.get("observedGeneration", 0)) >= generation else (state, "")


def _title(item: Object) -> str:
    return f"{DEPLOYMENT.kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
