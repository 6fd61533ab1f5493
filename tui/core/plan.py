"""The plan: every change as a server-side dry run, with its diff, the owners in the way, the rights and the cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tui.core import etcd_conf, fields
from tui.core import views as view_catalogue
from tui.core.answers import Answers
from tui.core.diff import object_diff
from tui.core.durations import about
from tui.core.errors import ConflictError, FieldConflict, ForbiddenError, UsageError
from tui.core.manifests import (
    CertificateMount,
    check_config_map,
    config_map_body,
    daemon_set_body,
)
from tui.core.owners import forced_note, gitops_owner, owner_notes
from tui.core.ownership import FIELD_MANAGER, managers
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Access, Cluster, Kind, Object, Studio, Workspace
from tui.core.prom import conf as prom_conf
from tui.core.receipts import Overwrite, overwrite
from tui.core.survey import CLUSTER_TAG, Survey
from tui.core.topology import consequence
from tui.core.view_sync import there
from tui.i18n import _, ngettext

CLUSTER_NAME_ENV = "ENV_CLUSTER_NAME_K8S"

CREATE, CHANGE, SAME = "create", "change", "same"
NOT_COMPARED, COMING = "not compared", "coming"

# One DataKit pod needs about this long to stop, start and collect again; measured nowhere, so it is called "about".
SECONDS_PER_POD = 30.0
SECONDS_WITHOUT_DATA = 40.0


@dataclass(frozen=True)
class Change:
    """One object that would be written. `live` is the object that was reviewed, None where it does not exist yet.

    `overwrites` are the values in the way, one for each conflict, with secrets left out; `diff` shows what forcing
    them would do. A conflict is never forced unless `Plan.forced` names its field.
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

    @property
    def title(self) -> str:
        """Kind and name, as kubectl would write them."""
        return f"{self.kind.kind} {self.namespace}/{self.name}"

    @property
    def rolls(self) -> bool:
        """Whether writing it restarts pods."""
        return self.kind == DAEMON_SET

    def explained(self, conflict: FieldConflict) -> str:
        """Who owns the field in the way, and what its next sync does to a value forced over it."""
        found = next((o for o in self.overwrites if (o.path, o.manager) == (conflict.field, conflict.manager)), None)
        return forced_note(self.live or {}, conflict.manager, found.operation if found else "Update")


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
) -> Plan:
    """Dry-run every object on the server and compare the views with the workspace. Changes nothing.

    `forced` names the fields that apply may take from their owners; a name that is not in the way is told in the notes.

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
    notes = list(survey.notes)
    if answers.etcd.strategy != survey.topology.proposal:
        notes.append(consequence(answers.etcd.strategy, survey.topology))
    if conf:
        changes = tuple(dry_run(cluster, kind, body, live) for kind, body, live in bodies(answers, survey, conf))
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
        forced=tuple(name for name in forced if name in in_the_way),
        source=tool,
    )
    workspace = studio.workspace() if studio and answers.views.create else None
    plan = replace(plan, workspace=workspace, views=_views(answers, survey, studio, workspace))
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


def cost_sentence(plan: Plan) -> str:
    """What apply will cost, in one sentence."""
    rolls = any(change.kind == DAEMON_SET and change.verb != SAME for change in plan.changes)
    if not plan.has_changes:
        return _("Nothing differs: nothing would be written.")
    if not rolls:
        return _("No pod restarts.")
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
