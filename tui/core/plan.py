"""The plan: every change as a server-side dry run, with its diff, the owners in the way, the rights and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tui.core import view_sync
from tui.core import views as view_catalogue
from tui.core.answers import Answers
from tui.core.changes import CREATE, SAME, Change, dry_run
from tui.core.desired import bodies, conf_text, desired, named
from tui.core.manifests import ours
from tui.core.owners import gitops_owner
from tui.core.ports import Access, Cluster, Studio, Workspace
from tui.core.rollout import RolloutOptions, RolloutPlan, cost, decide, lent
from tui.core.survey import Survey
from tui.core.topology import consequence
from tui.core.view_drift import Difference, toward_ours
from tui.core.view_sync import Standing, Wanted
from tui.i18n import _

# Of views: UPDATE is as another version of this tool made it, CHANGED was changed by a person since.
UPDATE, CHANGED, NOT_COMPARED = "update", "changed", "not compared"
_VIEW_VERBS = {view_sync.MISSING: CREATE, view_sync.SAME: SAME, view_sync.OUTDATED: UPDATE, view_sync.CHANGED: CHANGED}


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
    `rollout` says how the change comes out.
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
            if conflict.field not in self.forced
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
) -> Plan:
    """Dry-run every object on the server and compare the views with the workspace. Changes nothing.

    The changes are in the order in which apply makes them: ConfigMap, DaemonSet, then objects of other kinds.

    `forced` names the fields that apply may take from their owners, `overwrite` the views that a person changed and
    that it may overwrite; a name that is not in the way is told in the notes. `rollout` says how the change is to come
    out.

    Raises UsageError (answers that do not fit this cluster), RefusedError (what no apply could do), UnreachableError.
    """
    for key in overwrite:
        view_catalogue.view(key)  # an unknown one is refused before anything is asked
    answers = named(answers, survey) if answers.etcd.strategy != "none" or answers.views.create else answers
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
    if more := how.rights(survey.datakit.namespace):
        rights += tuple(zip(more, cluster.allowed(more), strict=True))
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
        changes=changes,
        rights=rights,
        notes=tuple(notes),
        rollout=how,
        forced=(
            *(name for name in forced if name in in_the_way),
            *(name for change in changes for name in lent(change) if name not in forced),
        ),
        source=tool,
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
    return replace(plan, cost=_cost(plan))


def _cost(plan: Plan) -> str:
    """What apply will cost, in words."""
    if not plan.has_changes and not plan.rollout.restarts:
        return _("Nothing differs: nothing would be written.")
    return cost(plan.survey, plan.rollout)


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
