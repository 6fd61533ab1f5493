"""The plan: every change as a server-side dry run, with its diff, the owners in the way, the rights and the cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tui.core import fields, istio_targets, view_sync
from tui.core import views as view_catalogue
from tui.core.answers import Answers
from tui.core.desired import bodies, conf_text, desired, named, needs_name
from tui.core.diff import object_diff
from tui.core.durations import about
from tui.core.errors import ConflictError, FieldConflict, ForbiddenError, UnreachableError, WizardError
from tui.core.istio_targets import LeftOut
from tui.core.manifests import ours
from tui.core.mesh import Target
from tui.core.owners import forced_note, gitops_owner, owner_notes
from tui.core.ownership import FIELD_MANAGER, managers
from tui.core.parallel import each
from tui.core.ports import DAEMON_SET, DEPLOYMENT, Access, Cluster, Kind, Object, Studio, Workspace
from tui.core.receipts import Overwrite, overwrite
from tui.core.survey import Survey
from tui.core.topology import consequence
from tui.core.view_drift import Difference, toward_ours
from tui.core.view_sync import Standing, Wanted
from tui.i18n import _, ngettext

CREATE, CHANGE, SAME = "create", "change", "same"
# Of views: UPDATE is as another version of this tool made it, CHANGED was changed by a person since.
UPDATE, CHANGED, NOT_COMPARED = "update", "changed", "not compared"
_VIEW_VERBS = {view_sync.MISSING: CREATE, view_sync.SAME: SAME, view_sync.OUTDATED: UPDATE, view_sync.CHANGED: CHANGED}

# One DataKit pod needs about this long to stop, start and collect again; measured nowhere, so it is called "about".
SECONDS_PER_POD = 30.0
SECONDS_WITHOUT_DATA = 40.0
WORKLOADS_AT_ONCE = 10  # workloads of the mesh that restart side by side


@dataclass(frozen=True)
class Change:
    """One object that would be written. `live` is the object that was reviewed, None where it does not exist yet.

    `overwrites` are the values in the way, one for each conflict, with secrets left out; `diff` shows what forcing
    them would do. A conflict is never forced unless `Plan.forced` names its field, or the answers name the object
    (`accepted`). `pods` are those of a workload that restart.
    """

    kind: Kind
    namespace: str
    name: str
    verb: str
    body: Object
    live: Object | None
    diff: str = ""
    conflicts: tuple[FieldConflict, ...] = ()
    overwrites: tuple[Overwrite, ...] = ()
    owners: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    accepted: bool = False
    pods: int = 0

    @property
    def title(self) -> str:
        """Kind and name, as kubectl would write them."""
        return f"{self.kind.kind} {self.namespace}/{self.name}"

    @property
    def rolls(self) -> bool:
        """Whether writing it restarts pods."""
        return self.kind in (DAEMON_SET, DEPLOYMENT)

    @property
    def alone(self) -> bool:
        """Whether its failure keeps nothing else from being done: each workload stands for itself."""
        return self.kind == DEPLOYMENT

    def explained(self, conflict: FieldConflict) -> str:
        """Who owns the field in the way, and what its next sync does to a value forced over it."""
        found = next((o for o in self.overwrites if (o.path, o.manager) == (conflict.field, conflict.manager)), None)
        return forced_note(self.live or {}, conflict.manager, found.operation if found else "Update")


@dataclass(frozen=True)
class ViewChange:
    """One monitoring view: to be created, there as it is wanted, to be updated, changed by a person, or not compared
    (no API key; then it has no `standing`).
    """

    key: str
    name: str
    verb: str
    standing: Standing | None = None

    @property
    def uuid(self) -> str:
        """The dashboard's uuid, "" where it was not compared."""
        return self.standing.uuid if self.standing else ""

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What writing it would do to the dashboard that is there, panel by panel."""
        return tuple(toward_ours(one) for one in self.standing.differences) if self.standing else ()


@dataclass(frozen=True)
class Plan:
    """What would change, and what stands in the way. `conf` is the etcd.conf that these answers give, "" for none.

    `forced` names the fields that may be taken from their owners, as the API server writes them, `overwrite` the views
    that may be overwritten although a person changed them. `source` is the tool
    that holds the DaemonSet's source (Helm, Argo CD, Fleet), "" for none: then exporting is better than applying.
    `left_out` is what the answers ask for and apply will not do.
    """

    answers: Answers
    survey: Survey
    conf: str
    changes: tuple[Change, ...] = ()
    views: tuple[ViewChange, ...] = ()
    workspace: Workspace | None = None
    rights: tuple[tuple[Access, bool], ...] = ()
    cost: str = ""
    notes: tuple[str, ...] = field(default=())
    forced: tuple[str, ...] = ()
    overwrite: tuple[str, ...] = ()
    source: str = ""
    left_out: tuple[LeftOut, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Whether anything is not as the answers want it; views that could not be compared do not count."""
        return any(change.verb != SAME for change in self.changes) or any(
            view.verb in (CREATE, UPDATE, CHANGED) for view in self.views
        )

    def may_write(self, view: ViewChange) -> bool:
        """Whether apply would write this view: one that a person changed only where it was named."""
        return view.verb in (CREATE, UPDATE) or (view.verb == CHANGED and view.key in self.overwrite)

    def blockers(self) -> list[str]:
        """Why apply would be refused, in words; empty when it may go on."""
        found = [
            _("Field {field} of {object} is managed by {manager}.").format(
                field=conflict.field, object=change.title, manager=conflict.manager
            )
            for change in self.changes
            for conflict in change.conflicts
            if conflict.field not in self.forced and not change.accepted
        ]
        if any(change.verb != SAME for change in self.changes):
            found += [_("You may not {access}.").format(access=a) for a, granted in self.rights if not granted]
        return found


def make_plan(
    cluster: Cluster,
    survey: Survey,
    answers: Answers,
    studio: Studio | None = None,
    *,
    forced: Sequence[str] = (),
    overwrite: Sequence[str] = (),
) -> Plan:
    """Dry-run every object on the server and compare the views with the workspace. Changes nothing.

    The changes are in the order in which apply makes them: ConfigMap, DaemonSet, then objects of other kinds.

    `forced` names the fields that apply may take from their owners, `overwrite` the views that a person changed and
    that it may overwrite; a name that is not in the way is told in the notes.

    Raises UsageError (answers that do not fit this cluster), RefusedError (what no apply could do), UnreachableError.
    """
    for key in overwrite:
        view_catalogue.view(key)  # an unknown one is refused before anything is asked
    answers = named(answers, survey) if needs_name(answers) else answers
    wanted = desired(answers, survey)
    conf = conf_text(answers, survey)
    changes: tuple[Change, ...] = ()
    notes = list(survey.notes)
    if answers.etcd.strategy != survey.topology.proposal:
        notes.append(consequence(answers.etcd.strategy, survey.topology))
    if conf or wanted != ours(survey.datakit, survey.conf):
        changes = tuple(dry_run(cluster, kind, body, live) for kind, body, live in bodies(wanted, survey))
    kinds = {change.kind for change in changes}
    rights = tuple(
        (access, granted)
        for access, granted in survey.rights
        if access.kind in kinds and access.verb in ("get", "patch")
    )
    workloads, left_out, more = _workloads(cluster, answers, survey)
    notes += more
    tool = gitops_owner(survey.datakit.object)
    if tool and any(change.verb != SAME for change in changes):
        notes.append(
            _("{tool} owns the DaemonSet: its next sync may undo this; keep the change in its source as well.").format(
                tool=tool
            )
        )
        notes.append(_("`datakit-wizard export -f answers.toml DIR` writes what belongs there."))
    in_the_way = {conflict.field for change in changes for conflict in change.conflicts}
    notes += [
        _("Field {field} is in nobody's hands: nothing needs to be forced there.").format(field=name)
        for name in forced
        if name not in in_the_way
    ]
    plan = Plan(
        answers,
        survey,
        conf,
        changes=(*changes, *workloads),
        rights=rights,
        notes=tuple(notes),
        forced=tuple(name for name in forced if name in in_the_way),
        source=tool,
        left_out=left_out,
    )
    workspace = studio.workspace() if studio and answers.views.create else None
    views = _views(answers, studio, workspace)
    needless = [key for key in overwrite if not any((v.key, v.verb) == (key, CHANGED) for v in views)]
    plan = replace(
        plan,
        workspace=workspace,
        views=views,
        overwrite=tuple(key for key in overwrite if key not in needless),
        notes=(
            *notes,
            *(_("Nobody changed the view {key} since it was made.").format(key=key) for key in needless),
        ),
    )
    return replace(plan, cost=cost_sentence(plan))


def dry_run(cluster: Cluster, kind: Kind, body: Object, live: Object | None) -> Change:
    """What a server-side apply of `body` would do to `live`; a conflict is reported with what forcing it would change.

    A right that is missing is no error here: the change is then shown without its diff, and `Plan.rights` names it.
    """
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    owners = [f"{manager} ({operation})" for manager, operation in managers(live or {})]
    owners += owner_notes(live or {})
    change = Change(kind, namespace, name, CREATE if live is None else CHANGE, body, live, owners=tuple(owners))
    conflicts: tuple[FieldConflict, ...] = ()
    overwrites: tuple[Overwrite, ...] = ()
    try:
        applied = cluster.apply(kind, namespace, name, body, manager=FIELD_MANAGER, dry_run=True)
    except ConflictError as error:
        conflicts = tuple(error.conflicts)
        overwrites = _overwrites(live or {}, body, conflicts)
        applied = cluster.apply(kind, namespace, name, body, manager=FIELD_MANAGER, dry_run=True, force=True)
    except ForbiddenError:
        return change
    diff = object_diff(live, applied.object, f"{kind.plural}/{name}")
    if live is not None and not diff:
        return replace(change, verb=SAME, warnings=applied.warnings)
    return replace(change, diff=diff, conflicts=conflicts, overwrites=overwrites, warnings=applied.warnings)


def _workloads(
    cluster: Cluster, answers: Answers, survey: Survey
) -> tuple[list[Change], tuple[LeftOut, ...], tuple[str, ...]]:
    """The mesh's Deployments as changes, what is left out, and what there is to say."""
    asked = istio_targets.wanted(answers, survey)
    todo: list[tuple[Target, str | None]] = [*asked.annotated, *((one, None) for one in asked.released)]
    namespaces = sorted({target.namespace for target, _text in todo})
    verdicts = cluster.allowed([Access("patch", DEPLOYMENT, name) for name in namespaces]) if namespaces else ()
    denied = {name for name, granted in zip(namespaces, verdicts, strict=True) if not granted}
    left_out = list(asked.left_out)

    def one(item: tuple[Target, str | None]) -> Change:
        target, text = item
        if target.namespace in denied:
            access = Access("patch", DEPLOYMENT, target.namespace)
            why = _("You may not {access} in {namespace}.").format(access=access, namespace=target.namespace)
            raise ForbiddenError(why, remedy=_("Ask for that right; `datakit-wizard rbac` prints it."))
        body = istio_targets.body(target, text)
        change = dry_run(cluster, DEPLOYMENT, body, target.object)
        return replace(change, accepted=target.key in answers.istio.replace, pods=max(target.pods, target.replicas))

    changes = []
    for (target, _text), answer in zip(todo, each(todo, one), strict=True):
        if isinstance(answer, UnreachableError):
            raise answer
        if isinstance(answer, WizardError):
            left_out.append(LeftOut(target.title, answer.what, answer.remedy))
        elif answer.conflicts and not answer.accepted:
            owners = ", ".join(sorted({conflict.manager for conflict in answer.conflicts}))
            why = _("{field} is managed by {owners}.").format(field=answer.conflicts[0].field, owners=owners)
            left_out.append(LeftOut(target.title, why, _("Name it in [istio] replace to take it over.")))
        else:
            changes.append(answer)
    return changes, tuple(left_out), asked.notes


def _overwrites(live: Object, body: Object, conflicts: Sequence[FieldConflict]) -> tuple[Overwrite, ...]:
    """What forcing would take away: each field in the way with its value, manager and operation."""
    paths = {fields.text(path): path for path in fields.leaves(body)}
    found = []
    for conflict in conflicts:
        path = paths.get(conflict.field)
        value = fields.look(live, path) if path else fields.MISSING
        if path is None or value is fields.MISSING:
            continue
        operation = next((how for who, how in fields.owners(live, path) if who == conflict.manager), "")
        found.append(overwrite(path, value, conflict.manager, operation))
    return tuple(found)


def wanted_view(answers: Answers, key: str) -> Wanted:
    """A view as the answers want it. Raises UsageError for a key that is none of the seven."""
    language = answers.views.lang
    name = answers.views.names.get(key) or view_catalogue.view(key).name(language)
    return Wanted(key, answers.cluster.name, name, language)


def view_change(standing: Standing) -> ViewChange:
    """What is to be done about a view that stands so."""
    return ViewChange(standing.wanted.key, standing.wanted.name, _VIEW_VERBS[standing.state], standing)


def _views(answers: Answers, studio: Studio | None, workspace: Workspace | None) -> tuple[ViewChange, ...]:
    wanted = [wanted_view(answers, key) for key in answers.views.create]
    if studio is None or workspace is None:
        return tuple(ViewChange(one.key, one.name, NOT_COMPARED) for one in wanted)
    return tuple(view_change(standing) for standing in view_sync.look(studio, workspace, wanted))


def cost_sentence(plan: Plan) -> str:
    """What apply will cost: DataKit's restarts in one sentence, those of the mesh's workloads in another."""
    rolls = any(change.kind == DAEMON_SET and change.verb != SAME for change in plan.changes)
    workloads = [change for change in plan.changes if change.alone and change.verb != SAME]
    if not plan.has_changes:
        return _("Nothing differs: nothing would be written.")
    if not rolls and not workloads:
        return _("No pod restarts.")
    sentences = [_datakit_cost(plan)] if rolls else []
    if workloads:
        sentences.append(_workload_cost(workloads, plan.survey.time_scale))
    return " ".join(sentences)


def _workload_cost(changes: Sequence[Change], time_scale: float) -> str:
    """How many pods of how many workloads restart, and how long that takes, some at a time."""
    waves = math.ceil(len(changes) / WORKLOADS_AT_ONCE)
    most = max(change.pods for change in changes)
    seconds = waves * max(most, 1) * SECONDS_PER_POD / time_scale
    return ngettext(
        "{pods} pods of {n} workload restart, {time}.",
        "{pods} pods of {n} workloads restart, {at_once} workloads at a time, {time}.",
        len(changes),
    ).format(
        pods=sum(change.pods for change in changes),
        n=len(changes),
        at_once=min(WORKLOADS_AT_ONCE, len(changes)),
        time=about(seconds),
    )


def _datakit_cost(plan: Plan) -> str:
    daemon_set = plan.survey.datakit.object
    strategy: Mapping[str, Any] = daemon_set["spec"].get("updateStrategy", {})
    if strategy.get("type") == "OnDelete":
        return _("The update strategy is OnDelete: each DataKit pod changes only when you delete it.")
    pods = daemon_set.get("status", {}).get("desiredNumberScheduled", 0) or len(plan.survey.datakit.pods)
    at_once = _max_unavailable(strategy, pods)
    seconds = math.ceil(pods / at_once) * SECONDS_PER_POD / plan.survey.time_scale
    gap = about(SECONDS_WITHOUT_DATA / plan.survey.time_scale)
    if at_once == 1:
        sentence = ngettext(
            "{pods} pod restarts, {time}, {gap} without data on that node.",
            "{pods} pods restart one by one, {time}, {gap} without data per node.",
            pods,
        )
    else:
        sentence = _("{pods} pods restart, {at_once} at a time, {time}, {gap} without data per node.")
    return sentence.format(pods=pods, at_once=at_once, time=about(seconds), gap=gap)


def _max_unavailable(strategy: Mapping[str, Any], pods: int) -> int:
    value = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
    if isinstance(value, str) and value.endswith("%"):
        return max(1, math.ceil(pods * int(value[:-1]) / 100))
    return max(1, int(value))


def changed(changes: Sequence[Change]) -> list[Change]:
    """The changes that apply would write."""
    return [change for change in changes if change.verb != SAME]
