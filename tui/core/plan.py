"""The plan: every change as a server-side dry run, with its diff, the owners in the way, the rights and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tui.core import etcd_conf, fields
from tui.core import views as view_catalogue
from tui.core.answers import Answers
from tui.core.changes import CREATE, SAME, Change, dry_run
from tui.core.errors import UsageError
from tui.core.manifests import (
    CertificateMount,
    check_config_map,
    config_map_body,
    daemon_set_body,
)
from tui.core.owners import gitops_owner
from tui.core.ownership import FIELD_MANAGER
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Access, Cluster, Kind, Object, Studio, Workspace
from tui.core.prom import conf as prom_conf
from tui.core.rollout import RolloutOptions, RolloutPlan, cost, decide, lent
from tui.core.survey import CLUSTER_TAG, Survey
from tui.core.topology import consequence
from tui.core.view_sync import there
from tui.i18n import _

CLUSTER_NAME_ENV = "ENV_CLUSTER_NAME_K8S"

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


def conf_text(answers: Answers, survey: Survey) -> str:
    """The etcd.conf that the answers give: their own text, else what strategy and preset make of this cluster."""
    if answers.etcd.strategy == "none":
        return ""
    return etcd_conf.from_answers(named(answers, survey), survey.topology)


def check_loads(conf: str) -> None:
    """Raise UsageError for an etcd.conf out of which DataKit would load nothing: it says so in its log alone."""
    loaded = prom_conf.load(conf, {})
    if not loaded.inputs:
        raise UsageError(
            _("DataKit would not load this etcd.conf."),
            object=f"etcd.conf:{loaded.line}" if loaded.line else "etcd.conf",
            why=loaded.error or _("It holds no [[inputs.prom]]."),
            remedy=_("Mend it, or leave it to strategy and preset."),
        )


def named(answers: Answers, survey: Survey) -> Answers:
    """The answers with the cluster's name filled in: an empty one means the name that host tags carry already.

    Raises UsageError where they carry none, or the vendor's `default`, for then it must be answered.
    """
    if answers.cluster.name:
        return answers
    if survey.cluster_name in ("", "default"):
        raise UsageError(
            _("The cluster has no name yet: its DataKit reports {found}.").format(
                found=survey.cluster_name or _("none")
            ),
            object="answers.toml, [cluster] name",
            why=_("All seven views filter on {tag}.").format(tag=CLUSTER_TAG),
            remedy=_("Give it a name there, for example {name}.").format(name=f'name = "{survey.context}"'),
        )
    return replace(answers, cluster=replace(answers.cluster, name=survey.cluster_name))


def certificate_mount(answers: Answers, survey: Survey) -> CertificateMount | None:
    """The mount that the answers need: none for plain HTTP, nor for /rootfs, which the vendor has."""
    certificates = answers.certificates
    if answers.etcd.strategy in ("none", "node-http") or certificates.source in ("none", "rootfs"):
        return None
    path = certificates.path or survey.topology.certificate_directory
    if certificates.source == "secret":
        source = {"secret": {"secretName": certificates.secret}}
        return CertificateMount("etcd-certificates", etcd_conf.SECRET_DIRECTORY, source)
    to_the_letter = answers.etcd.strategy == "tutorial"
    name = "dir-etcd" if to_the_letter else "etcd-certificates"
    return CertificateMount(name, path, {"hostPath": {"path": path}}, read_only=not to_the_letter)


def cluster_name_env(answers: Answers, survey: Survey) -> dict[str, str]:
    """The env entry that makes every view filter on one name; none where the host tags carry that name already.

    The strategy `tutorial` leaves the environment alone, as the tutorial's second part does. An entry that we wrote
    before stays in every later apply, for what an apply leaves out is removed.
    """
    entry = {CLUSTER_NAME_ENV: answers.cluster.name}
    container = fields.Item("name", survey.datakit.container)
    path = ("spec", "template", "spec", "containers", container, "env", fields.Item("name", CLUSTER_NAME_ENV), "value")
    if answers.etcd.strategy != "none" and (FIELD_MANAGER, "Apply") in fields.owners(survey.datakit.object, path):
        return entry
    if answers.etcd.strategy in ("tutorial", "none") or survey.cluster_name == answers.cluster.name:
        return {}
    if survey.cluster_name not in ("", "default"):
        raise UsageError(
            _("The name {wanted} differs from what this cluster's DataKit reports: {found}.").format(
                wanted=answers.cluster.name, found=survey.cluster_name
            ),
            object="answers.toml, [cluster] name",
            why=_("All seven views filter on {tag}; two names would split them.").format(tag=CLUSTER_TAG),
            remedy=_("Write name = {name} there, or change ENV_CLUSTER_NAME_K8S of the DaemonSet first.").format(
                name=f'"{survey.cluster_name}"'
            ),
        )
    return entry


def bodies(answers: Answers, survey: Survey, conf: str) -> tuple[tuple[Kind, Object, Object | None], ...]:
    """The partial objects that bring `conf` into DataKit, each with the live one, in the order in which they are
    applied. `answers` are `named`. Raises UsageError and RefusedError for what no apply could do."""
    check_loads(conf)
    check_config_map(conf, survey.conf)
    daemon_set = daemon_set_body(
        survey.datakit,
        conf,
        mount=certificate_mount(answers, survey),
        env=cluster_name_env(answers, survey),
    )
    return (
        (CONFIG_MAP, config_map_body(survey.datakit.namespace, conf, survey.conf), survey.conf),
        (DAEMON_SET, daemon_set, survey.datakit.object),
    )


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

    `forced` names the fields that apply may take from their owners; a name that is not in the way is told in the notes.
    `rollout` says how the change is to come out.

    Raises UsageError (answers that do not fit this cluster), RefusedError (what no apply could do), UnreachableError.
    """
    answers = named(answers, survey) if answers.etcd.strategy != "none" or answers.views.create else answers
    conf = conf_text(answers, survey)
    rights = tuple(
        (access, granted)
        for access, granted in survey.rights
        if access.kind in (CONFIG_MAP, DAEMON_SET) and access.verb in ("get", "patch")
    )
    changes: tuple[Change, ...] = ()
    how = RolloutPlan()
    notes = list(survey.notes)
    if answers.etcd.strategy != survey.topology.proposal:
        notes.append(consequence(answers.etcd.strategy, survey.topology))
    if conf:
        changes = tuple(dry_run(cluster, kind, body, live) for kind, body, live in bodies(answers, survey, conf))
        changes, how = decide(cluster, survey, conf, changes, rollout)
        notes += how.notes
        wanted = how.rights(survey.datakit.namespace)
        rights += tuple(zip(wanted, cluster.allowed(wanted), strict=True)) if wanted else ()
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
