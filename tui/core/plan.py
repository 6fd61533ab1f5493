"""The plan: every change as a server-side dry run, with its diff, the owners in the way, the rights and the cost."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tui.core import istio_targets, view_sync
from tui.core import views as view_catalogue
from tui.core.answers import Answers
from tui.core.changes import CREATE, SAME, Change, dry_run
from tui.core.desired import bodies, conf_text, desired, named, needs_name
from tui.core.durations import about
from tui.core.errors import ForbiddenError, UnreachableError, WizardError
from tui.core.istio_targets import LeftOut
from tui.core.manifests import ours
from tui.core.mesh import Target
from tui.core.owners import gitops_owner
from tui.core.parallel import each
from tui.core.ports import DEPLOYMENT, Access, Cluster, Studio, Workspace
from tui.core.rollout import SECONDS_PER_POD, RolloutOptions, RolloutPlan, cost, decide, lent
from tui.core.survey import Survey
from tui.core.topology import consequence
from tui.core.view_drift import Difference, toward_ours
from tui.core.view_spelling import TUTORIAL, Spelling, fitting
from tui.core.view_sync import Standing, Wanted
from tui.i18n import _, ngettext

# Of views: UPDATE is as another version of this tool made it, CHANGED was changed by a person since.
UPDATE, CHANGED, NOT_COMPARED = "update", "changed", "not compared"
_VIEW_VERBS = {view_sync.MISSING: CREATE, view_sync.SAME: SAME, view_sync.OUTDATED: UPDATE, view_sync.CHANGED: CHANGED}

WORKLOADS_AT_ONCE = 10  # workloads of the mesh that restart side by side


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
    `left_out` is what the answers ask for and apply will not do. `rollout` says how DataKit's change comes out.
    """

    answers: Answers
    survey: Survey
    conf: str
    changes: tuple[Change, ...] = ()
    rollout: RolloutPlan = field(default_factory=RolloutPlan)
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
    rollout: RolloutOptions = RolloutOptions(),  # noqa: B008 - frozen
    workspace: Workspace | None = None,
) -> Plan:
    """Dry-run every object on the server and compare the views with the workspace. Changes nothing.

    The changes are in the order in which apply makes them: ConfigMap, DaemonSet, then objects of other kinds.

    `forced` names the fields that apply may take from their owners, `overwrite` the views that a person changed and
    that it may overwrite; a name that is not in the way is told in the notes. `rollout` says how the change is to come
    out. `workspace` is the studio's where it was asked for already, which saves a request of the few there are.

    Raises UsageError (answers that do not fit this cluster), RefusedError (what no apply could do), UnreachableError.
    """
    for key in overwrite:
        view_catalogue.view(key)  # an unknown one is refused before anything is asked
    answers = named(answers, survey) if needs_name(answers) else answers
    wanted = desired(answers, survey)
    conf = conf_text(answers, survey)
    changes: tuple[Change, ...] = ()
    how = RolloutPlan()
    notes = list(survey.notes)
    if answers.etcd.strategy != survey.topology.proposal:
        notes.append(consequence(answers.etcd.strategy, survey.topology))
    if conf or wanted != ours(survey.datakit, survey.conf):
        changes = tuple(dry_run(cluster, kind, body, live) for kind, body, live in bodies(wanted, survey))
        changes, how = decide(cluster, survey, wanted, changes, rollout)
        notes += how.notes
    kinds = {change.kind for change in changes}
    rights = tuple(
        (access, granted)
        for access, granted in survey.rights
        if access.kind in kinds and access.verb in ("get", "patch")
    )
    needed = [Access("create", change.kind, change.namespace) for change in changes if change.verb == CREATE]
    if needed := [*needed, *how.rights(survey.datakit.namespace)]:
        rights += tuple(zip(needed, cluster.allowed(needed), strict=True))
    notes += [
        _("You may not {access}: undo will have to leave the object there, empty.").format(access=access)
        for access, granted in survey.optional
        if not granted and any((each.kind, each.verb) == (access.kind, CREATE) for each in changes)
    ]
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
        rollout=how,
        forced=(
            *(name for name in forced if name in in_the_way),
            *(name for change in changes for name in lent(change) if name not in forced),
        ),
        source=tool,
        left_out=left_out,
    )
    if studio is None or not answers.views.create:
        workspace = None
    elif workspace is None:
        workspace = studio.workspace()
    views = _views(answers, conf, studio, workspace)
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
    return replace(plan, cost=_cost(plan))


def _cost(plan: Plan) -> str:
    """What apply will cost: DataKit's restarts in a sentence or two, those of the mesh's workloads in another."""
    workloads = [change for change in plan.changes if change.alone and change.verb != SAME]
    if not plan.has_changes and not plan.rollout.restarts:
        return _("Nothing differs: nothing would be written.")
    sentences = [cost(plan.survey, plan.rollout)] if plan.rollout.restarts or not workloads else []
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


def wanted_view(answers: Answers, key: str, spelling: Spelling = TUTORIAL) -> Wanted:
    """A view as the answers want it; `spelling` is how etcd's data is named. Raises UsageError for a key that is none
    of the seven.
    """
    language = answers.views.lang
    name = answers.views.names.get(key) or view_catalogue.view(key).name(language)
    return Wanted(key, answers.cluster.name, name, language, spelling if key == "etcd" else TUTORIAL)


def wanted_views(answers: Answers, keys: Sequence[str], conf: str, studio: Studio | None) -> list[Wanted]:
    """These views as the answers want them, the ETCD view in the names that this etcd.conf gives, or, where there is
    none, in those of the data that has arrived: one request then. `answers` are `named`. Raises UnreachableError.
    """
    cluster = answers.cluster.name
    found = fitting(studio, cluster, conf, now_s=time.time()) if "etcd" in keys else TUTORIAL
    return [wanted_view(answers, key, found) for key in keys]


def view_change(standing: Standing) -> ViewChange:
    """What is to be done about a view that stands so."""
    return ViewChange(standing.wanted.key, standing.wanted.name, _VIEW_VERBS[standing.state], standing)


def _views(answers: Answers, conf: str, studio: Studio | None, workspace: Workspace | None) -> tuple[ViewChange, ...]:
    wanted = wanted_views(answers, answers.views.create, conf, studio)
    if studio is None or workspace is None:
        return tuple(ViewChange(one.key, one.name, NOT_COMPARED) for one in wanted)
    return tuple(view_change(standing) for standing in view_sync.look(studio, workspace, wanted))
