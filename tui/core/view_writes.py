"""Making and deleting dashboards, journalled: the receipt is on disk before the request, what is replaced is kept in
it, and what a person changed is neither overwritten nor deleted unasked.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tui.core import view_sync
from tui.core import views as view_catalogue
from tui.core.durations import about
from tui.core.errors import DeadlineError, NotFoundError, UnreachableError, UsageError, WizardError
from tui.core.ports import Dashboard, Studio
from tui.core.receipts import FAILED, PENDING, UNDONE, UNKNOWN, WRITTEN, Receipt, Store, ViewStep, load
from tui.core.redaction import STRUCK, holds_secret
from tui.core.view_drift import Difference, differences, fingerprint
from tui.core.view_sync import CHANGED, Standing, changed_since, put
from tui.core.writes import Cancelled, Event, Journal, OnEvent, never, now, partial, stop_if
from tui.i18n import _

OnMade = Callable[[Standing, Dashboard], None]


def put_views(
    studio: Studio,
    standings: Sequence[Standing],
    journal: Journal,
    *,
    overwrite: Sequence[str] = (),
    on_event: OnEvent,
    on_made: OnMade = lambda _standing, _dashboard: None,
    cancelled: Cancelled = never,
) -> None:
    """Make each view as it is wanted; one that a person changed only where `overwrite` has its key.

    The others of those are left, and told when all the rest is done: RefusedError. Raises what a request raises; the
    journal says how far it came. `on_made` is told of each that is there now.
    """
    left = changed_views(standings, overwrite)
    for standing in standings:
        if standing in left:
            continue
        stop_if(cancelled)
        on_made(standing, _put(studio, standing, journal, on_event))
    if left:
        raise changed_since(left)


def changed_views(standings: Sequence[Standing], overwrite: Sequence[str] = ()) -> list[Standing]:
    """The views that a person changed and that `overwrite` does not name."""
    return [one for one in standings if one.state == CHANGED and one.wanted.key not in overwrite]


def _put(studio: Studio, standing: Standing, journal: Journal, on_event: OnEvent) -> Dashboard:
    wanted, there = standing.wanted, standing.dashboard
    if standing.state == view_sync.SAME and there is not None:
        settle_view(standing, journal)
        return there
    earlier = journal.receipt.view_of(standing.uuid)
    if earlier is not None and not (earlier.open and there is not None):
        earlier = None
    wrote = fingerprint(wanted.template())
    if earlier is not None:
        # Written before in this run: what was there before that is what undo brings back.
        step = replace(earlier, state=PENDING, message="", wrote=wrote)
    else:
        name, desc = (there.name, there.desc) if there else (wanted.name, "")
        step = ViewStep(wanted.key, standing.uuid, name, created=there is None, wrote=wrote, former_desc=desc)
    journal.view(step)

    def keep(former: dict[str, Any]) -> None:
        nonlocal step
        if earlier is None:
            # The studio's client strikes tokens out of answers; such a template could not be put back as it was.
            secret = holds_secret(former) or STRUCK in json.dumps(former)
            step = replace(step, former=None if secret else former, withheld=secret)
            journal.view(step)

    _tell_limit(studio, wanted.name, on_event)
    try:
        dashboard = put(studio, standing, overwrite=True, keep=keep)
    except WizardError as error:
        if type(error) in (DeadlineError, UnreachableError):  # it may have arrived; a key or limit refuses before
            journal.view(replace(step, state=UNKNOWN, message=error.what))
        else:
            failed = earlier or replace(step, state=FAILED, former=None)
            journal.view(replace(failed, message=error.what))
        raise
    journal.view(replace(step, state=WRITTEN, uuid=dashboard.uuid))
    on_event(Event(dashboard.name, _("created") if there is None else _("replaced")))
    return dashboard


def settle_view(standing: Standing, journal: Journal) -> None:
    """A view that is there as it was wanted: what a step of it that was broken off wrote is known now."""
    step = journal.receipt.view_of(standing.uuid)
    if step is not None and step.state in (PENDING, UNKNOWN) and step.wrote == standing.found:
        journal.view(replace(step, state=WRITTEN, message=""))


def _tell_limit(studio: Studio, name: str, on_event: OnEvent) -> None:
    """Say why nothing happens where the studio's limit is used up."""
    budget = studio.budget()
    if not budget.left:
        text = _("waits: the studio takes {most} requests a minute, the next in {time}")
        on_event(Event(name, text.format(most=budget.most, time=about(budget.next_s))))


def create_views(
    studio: Studio,
    standings: Sequence[Standing],
    receipt: Receipt,
    store: Store,
    *,
    overwrite: Sequence[str] = (),
    on_event: OnEvent,
    on_made: OnMade = lambda _standing, _dashboard: None,
    cancelled: Cancelled = never,
) -> Receipt:
    """Make views outside of an apply, and note them in `receipt`: this run's, or a new one. Returned without a path it
    was not needed: nothing differed.

    Raises RefusedError for views that a person changed, PartialError once something was written.
    """
    for key in overwrite:
        view_catalogue.view(key)
    if receipt.path is None and all(one.state == view_sync.SAME for one in standings):
        for one in standings:
            if one.dashboard is not None:
                on_made(one, one.dashboard)
        return receipt
    left = changed_views(standings, overwrite)
    if left and len(left) == len(standings):
        raise changed_since(left)
    with store.locked(receipt.cluster_uid, receipt.namespace):
        if receipt.path is not None:
            receipt = load(receipt.path)  # what an earlier call that failed has noted
        if receipt.undone:
            receipt = fresh(receipt)
        before = {view.uuid for view in receipt.views if view.state == WRITTEN}
        journal = Journal(store, replace(receipt, endpoint=receipt.endpoint or studio.endpoint))
        try:
            put_views(
                studio,
                standings,
                journal,
                overwrite=overwrite,
                on_event=on_event,
                on_made=on_made,
                cancelled=cancelled,
            )
        except WizardError as error:
            journal.save(replace(journal.receipt, finished=now()))
            done = [v for v in journal.receipt.views if v.state == WRITTEN and v.uuid not in before]
            raise (partial(error, journal.receipt) if done else error) from error
        return journal.save(replace(journal.receipt, finished=now()))


def fresh(receipt: Receipt) -> Receipt:
    """An empty receipt for the same place, as of now."""
    new = {"id": new_id(), "started": now(), "finished": "", "undone": "", "steps": (), "views": (), "path": None}
    return replace(receipt, **new)  # type: ignore[arg-type]


def new_id() -> str:
    """A name for a receipt that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"


# Undo


@dataclass(frozen=True)
class ViewUndo:
    """What undo would do about one dashboard.

    `gone`: it was deleted meanwhile. `changed` says what a person changed since it was written, panel by panel: then it
    is left, unless it may be overwritten.
    """

    step: ViewStep
    dashboard: Dashboard | None = None
    changed: tuple[Difference, ...] = ()
    by_person: bool = False

    @property
    def gone(self) -> bool:
        """Whether nothing is there."""
        return self.dashboard is None

    @property
    def text(self) -> str:
        """What is done about it, in a few words."""
        if self.gone:
            return _("deleted meanwhile; nothing is left")
        if self.by_person:
            return _("changed by somebody since; it is left as it is")
        if self.step.created:
            return _("delete")
        if self.step.former is None:
            return _("left as it is: its former template held a secret, which receipts never keep")
        return _("put the former template back")


def plan_undo_views(studio: Studio | None, receipt: Receipt) -> list[ViewUndo]:
    """What undo would do about the dashboards of a receipt, the last one written first: one request for the list, and
    one for each that is there. Raises UsageError without a studio.
    """
    steps = [view for view in reversed(receipt.views) if view.open]
    if not steps:
        return []
    if studio is None:
        raise UsageError(
            _("The view {name} is left: undoing it needs the API key.").format(name=steps[0].name),
            object=steps[0].uuid,
            remedy=_("Give --api-key-file and --endpoint."),
        )
    found = view_sync.there(studio, [step.uuid for step in steps])
    return [_plan_undo(studio, step, found[step.uuid]) for step in steps]


def _plan_undo(studio: Studio, step: ViewStep, dashboard: Dashboard | None) -> ViewUndo:
    if dashboard is None:
        return ViewUndo(step)
    if not step.wrote:  # a receipt of an earlier version, which kept no fingerprint
        return ViewUndo(step, dashboard)
    try:
        exported = studio.export_dashboard(step.uuid)
    except NotFoundError:
        # Asked once more: that it is gone closes the receipt for good.
        if studio.find_dashboard(step.uuid) is None:
            return ViewUndo(step)
        raise
    found = fingerprint(exported)
    untouched = found == step.wrote or (step.former is not None and found == fingerprint(step.former))
    if untouched:
        return ViewUndo(step, dashboard)
    return ViewUndo(step, dashboard, differences(step.former or {}, exported) if step.former else (), True)


def undo_views(
    items: Sequence[ViewUndo],
    studio: Studio | None,
    journal: Journal,
    *,
    overwrite: Sequence[str] = (),
    on_event: OnEvent,
    cancelled: Cancelled = never,
) -> list[ViewStep]:
    """Undo what `plan_undo_views` found, and return the steps that were left: changed by a person since, and not named
    in `overwrite`; or without a former template that could be put back.
    """
    left = []
    for item in items:
        stop_if(cancelled)
        step = item.step
        if item.by_person and step.key not in overwrite:
            on_event(Event(step.name, item.text))
            journal.view(replace(step, message=item.text))
            left.append(step)
            continue
        if not item.gone and not step.created and step.former is None:
            on_event(Event(step.name, item.text))
            left.append(step)
            continue
        if item.dashboard is not None:
            assert studio is not None  # plan_undo_views saw it there
            _tell_limit(studio, step.name, on_event)
            _take_back(studio, step, item.dashboard)
        journal.view(replace(step, state=UNDONE, message=""))
        done = _("deleted") if step.created else _("put back as it was")
        on_event(Event(step.name, item.text if item.gone else done))
    return left


def _take_back(studio: Studio, step: ViewStep, dashboard: Dashboard) -> None:
    if step.created:
        studio.delete_dashboard(step.uuid)
    elif step.former is not None:
        studio.update_dashboard(
            step.uuid,
            dashboard.name,
            step.former,
            identifier=dashboard.identifier,
            desc=step.former_desc,
            tags=view_sync.tags_of(dashboard),
        )
