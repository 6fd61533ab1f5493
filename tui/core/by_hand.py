"""The plan as a person would carry it out by hand: kubectl, curl, and the tutorial's clicks in Rancher and studio."""

from __future__ import annotations

from dataclasses import dataclass

from tui.core.changes import Change
from tui.core.diff import yaml_lines
from tui.core.ownership import FIELD_MANAGER
from tui.core.plan import Plan
from tui.core.plan_groups import groups
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Object
from tui.core.survey import CONFIG_MAP_NAME
from tui.i18n import _


@dataclass(frozen=True)
class Shown:
    """One action as a person would do it by hand: the command, secrets as $VARIABLES, and the tutorial's clicks."""

    title: str
    command: str
    clicks: str


def commands(plan: Plan) -> list[Shown]:
    """The plan as commands and as clicks in Rancher and the studio, in the order in which apply works.

    Of workloads that are changed alike the first stands for all of its namespace.
    """
    context = plan.survey.context
    gathered = groups(plan.changes)
    shown = [
        Shown(
            group.title,
            f"kubectl --context {context} apply --server-side --field-manager={FIELD_MANAGER} --dry-run=server \\\n"
            f"  -f - <<'EOF'\n{_command_body(change.body)}EOF",
            _clicks(change),
        )
        for group in gathered
        for change in group.changes[:1]
    ]
    shown += [
        Shown(
            _("Rollout"),
            f"kubectl --context {context} -n {change.namespace} rollout status deployment/{change.name}",
            _("Rancher: Workloads → Deployments → {name}: wait for Active.").format(name=change.name),
        )
        for group in gathered
        for change in group.changes[:1]
        if change.alone
    ]
    if any(change.kind == DAEMON_SET for change in plan.changes):
        datakit = plan.survey.datakit
        shown.append(
            Shown(
                _("Rollout"),
                f"kubectl --context {context} -n {datakit.namespace} rollout status daemonset/{datakit.name}",
                _("Rancher: Workloads → DaemonSets → {name}: wait for Active.").format(name=datakit.name),
            )
        )
    endpoint = plan.answers.studio.endpoint or "$ENDPOINT"
    shown += [
        Shown(
            view.name,
            f"datakit-wizard views show {view.key} > {view.key}.json\n"
            f'curl -sS -H "DF-API-KEY: $DF_API_KEY" -H "Content-Type: application/json" \\\n'
            f"  {endpoint}/api/v1/dashboards/create \\\n"
            f"  -d \"$(jq '{{name: .title, isPublic: 1, templateInfo: .}}' {view.key}.json)\"",
            _("Studio: Scenes → New dashboard → {name} → OK.").format(name=view.name),
        )
        for view in plan.views
    ]
    return shown


def _command_body(body: Object) -> str:
    cleaned = {
        **body,
        "metadata": {k: v for k, v in body["metadata"].items() if k not in ("uid", "resourceVersion")},
    }
    return "\n".join(yaml_lines(cleaned)) + "\n"


def _clicks(change: Change) -> str:
    """The clicks, and where the tutorial's own words lead astray (its part 2, sections 1.3.1 and 1.3.2)."""
    if change.kind == CONFIG_MAP:
        clicks = _(
            "Rancher: More Resources → Core → ConfigMaps → namespace {namespace} → {name} → Edit Config → Add: "
            "key {key}, the text of the conf → Save."
        ).format(namespace=change.namespace, name=CONFIG_MAP_NAME, key=", ".join(change.body.get("data", {})))
        return "\n".join(
            (
                clicks,
                _("The tutorial's row datakit.conf is this ConfigMap, {name}.").format(name=CONFIG_MAP_NAME),
                _("Add the key, and keep the others: applying the tutorial's YAML deletes them, container.conf too."),
            )
        )
    if change.kind == DAEMON_SET:
        clicks = _(
            "Rancher: Workloads → DaemonSets → namespace {namespace} → {name} → Edit YAML: add the fields shown here"
            " → Save."
        ).format(namespace=change.namespace, name=change.name)
        return "\n".join(
            (
                clicks,
                _(
                    "In volumeMounts `name` stands below mountPath, two columns right of the dash. In the tutorial it"
                    " stands below the dash: that renames the container."
                ),
                _("The conf has to be in the ConfigMap first: a mount without its key becomes a directory."),
            )
        )
    return _("Rancher: Workloads → {kind} {namespace}/{name} → Edit YAML: add the fields shown here → Save.").format(
        kind=change.kind.kind, namespace=change.namespace, name=change.name
    )
