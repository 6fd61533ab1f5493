"""The plan: every change as a server-side dry run, with its diff, the owners in the way, the rights and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
from tui.core.view_sync import there
from tui.i18n import _

NOT_COMPARED, COMING = "not compared", "coming"


@dataclass(frozen=True)
class ViewChange:
    """One monitoring view: to be created, there already, not compared (no API key), or not in this version."""

    key: str
    name: str
    verb: str
    uuid: str = ""


@dataclass(frozen=True)
class Plan:
    """What would change, and what stands in the way. `conf` is the etcd.conf that these answers give, "" for none.

    `forced` names the fields that may be taken from their owners, as the API server writes them. `source` is the tool
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
    source: str = ""

    @property
    def has_changes(self) -> bool:
        """Whether apply would write anything; views that could not be compared do not count."""
        return any(change.verb != SAME for change in self.changes) or any(v.verb == CREATE for v in self.views)

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
    rollout: RolloutOptions = RolloutOptions(),  # noqa: B008 - frozen
) -> Plan:
    """Dry-run every object on the server and compare the views with the workspace. Changes nothing.

    The changes are in the order in which apply makes them: ConfigMap, DaemonSet, then objects of other kinds.

    `forced` names the fields that apply may take from their owners; a name that is not in the way is told in the notes.
    `rollout` says how the change is to come out.

    Raises UsageError (answers that do not fit this cluster), RefusedError (what no apply could do), UnreachableError.
    """
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
    plan = replace(plan, workspace=workspace, views=_views(answers, survey, studio, workspace))
    return replace(plan, cost=_cost(plan))


def _cost(plan: Plan) -> str:
    """What apply will cost, in words."""
    if not plan.has_changes and not plan.rollout.restarts:
        return _("Nothing differs: nothing would be written.")
    return cost(plan.survey, plan.rollout)


def _views(
    answers: Answers, survey: Survey, studio: Studio | None, workspace: Workspace | None
) -> tuple[ViewChange, ...]:
    uuids = {}
    if studio is not None and workspace is not None:
        cluster = answers.cluster.name
        uuids = {key: view_catalogue.dashboard_uuid(workspace.uuid, key, cluster) for key in answers.views.create}
    found = there(studio, list(uuids.values())) if studio is not None else {}
    changes = []
    for key in answers.views.create:
        view = view_catalogue.view(key)
        name = answers.views.names.get(key) or view.name(answers.views.lang)
        if view.coming:
            changes.append(ViewChange(key, name, COMING))
        elif key not in uuids:
            changes.append(ViewChange(key, name, NOT_COMPARED))
        else:
            changes.append(ViewChange(key, name, SAME if found[uuids[key]] else CREATE, uuids[key]))
    return tuple(changes)
