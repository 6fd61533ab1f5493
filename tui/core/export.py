"""The same change as files, for clusters whose objects come from Git: manifests, kustomization, Helm values, views."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tui.core import views as view_catalogue
from tui.core.answers import Answers
from tui.core.datakit_settings import CLUSTER_NAME_ENV, INPUTS_ENV
from tui.core.desired import bodies, conf_text, desired, named, needs_name
from tui.core.diff import as_yaml
from tui.core.errors import UsageError
from tui.core.istio_conf import annotation
from tui.core.istio_targets import by_conf
from tui.core.manifests import Desired
from tui.core.mesh import INSTANCES, WORKLOAD
from tui.core.ownership import FIELD_MANAGER
from tui.core.ports import DEPLOYMENT, Kind, Object
from tui.core.redaction import holds_secret
from tui.core.survey import Survey
from tui.core.view_spelling import TUTORIAL, of_conf, spelled
from tui.i18n import _, writing_in


def files(answers: Answers, survey: Survey) -> dict[str, str]:
    """Every file by its path below the folder of the export. Changes nothing.

    Raises UsageError for answers that do not fit the cluster, and for a conf with a secret: exports get committed.
    """
    answers = named(answers, survey) if needs_name(answers) else answers
    wanted = desired(answers, survey)
    made: dict[str, str] = {}
    if wanted:
        for conf in wanted.confs:
            if holds_secret(conf.text):
                raise UsageError(
                    _("{conf} holds a secret, and an export is made to be committed.").format(conf=conf.key),
                    object="answers.toml, [etcd] conf",
                    remedy=_("Let the conf read it from a file (bearer_token_file, tls_key), then export again."),
                )
        written = bodies(wanted, survey)
        for kind, body, _live in written:
            made[_manifest(kind, body)] = as_yaml(_plain(body))
        made["kustomization.yaml"] = _kustomization(written)
        made["helm/values.yaml"] = _values(wanted)
    made |= _mesh(answers, survey)
    spelling = of_conf(conf_text(answers, survey)) or TUTORIAL
    for key in answers.views.create:
        view = spelled(view_catalogue.view(key), spelling)
        name = answers.views.names.get(key) or view.name(answers.views.lang)
        template = view_catalogue.build(view, name=name, language=answers.views.lang)
        made[f"dashboards/{key}.json"] = json.dumps(template, ensure_ascii=False, indent=1) + "\n"
    return {"README.md": _readme(made), **made}


def _manifest(kind: Kind, body: Object) -> str:
    return f"manifests/{kind.kind.lower()}-{body['metadata']['name']}.yaml"


def _plain(body: Object) -> Object:
    """The body without what ties it to one live object."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in ("uid", "resourceVersion")}
    return {**body, "metadata": metadata}


def _kustomization(written: tuple[tuple[Kind, Object, Object | None], ...]) -> str:
    """A component: it patches the objects that another kustomization brings."""
    document: Object = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    patches = []
    for kind, body, live in written:
        if live is None:
            document.setdefault("resources", []).append(_manifest(kind, body))
        else:
            target = {"kind": kind.kind, "name": body["metadata"]["name"]}
            patches.append({"path": _manifest(kind, body), "target": target})
    document["patches"] = patches
    return as_yaml(document)


def _mesh(answers: Answers, survey: Survey) -> dict[str, str]:
    """The annotations of the picked workloads as patches, whoever manages those: their source takes them from here.

    They are a component of their own, for workloads are seldom in the kustomization that brings DataKit.
    """
    given = answers.istio
    if given.preset == "none":
        return {}
    made: dict[str, str] = {}
    patches = []
    for target in survey.mesh.targets:
        of_sidecar = given.sidecars == "annotation" or target.role != WORKLOAD
        if target.key not in given.workloads or by_conf(target, survey.datakit) or not of_sidecar:
            continue
        with writing_in(answers.views.lang):
            text = annotation(target, given.preset, answers.cluster.name)
        template: Object = {"metadata": {"annotations": {INSTANCES: text}}}
        metadata = {"name": target.name, "namespace": target.namespace}
        name = f"{target.kind.lower()}-{target.namespace}-{target.name}.yaml"
        if (
            target.object is None
        ):  # of a kind that is not patched here: its annotation alone, to be put where it belongs
            made[f"istio/{name}"] = as_yaml(template)
            continue
        body = {
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.kind,
            "metadata": metadata,
            "spec": {"template": template},
        }
        made[f"istio/{name}"] = as_yaml(body)
        patches.append({"path": name, "target": {"kind": target.kind, **metadata}})
    if patches:
        document = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "patches": patches}
        made["istio/kustomization.yaml"] = as_yaml(document)
    return made


def _values(wanted: Desired) -> str:
    env = wanted.env
    lines = [
        "# " + _("Values for DataKit's Helm chart. Helm replaces lists: add these entries to those that you have."),
    ]
    if wanted.mount is not None:
        lines.append(
            "# " + _("The chart cannot mount certificates: take them from /rootfs, or patch the DaemonSet after Helm.")
        )
    values: Object = {}
    if wanted.confs:
        values["dkconfig"] = [{"name": conf.key, "path": conf.path, "value": conf.text} for conf in wanted.confs]
    # The chart sets these from values of its own (DataKit's chart of 2025-10).
    own = {CLUSTER_NAME_ENV: "cluster_name_k8s", INPUTS_ENV: "default_enabled_inputs"}
    if set(own) & set(env):
        values["datakit"] = {value: env[name] for name, value in own.items() if name in env}
    others = [{"name": name, "value": value} for name, value in sorted(env.items()) if name not in own]
    if others:
        values["extraEnvs"] = others
    return "\n".join(lines) + "\n" + as_yaml(values)


def _readme(made: Mapping[str, str]) -> str:
    parts = ["# DataKit Wizard", ""]
    if "kustomization.yaml" in made:
        parts += [
            _("Kustomize: list this folder under `components:` of the kustomization that brings DataKit."),
            "",
            _("Helm: add `helm/values.yaml` to the values of the release."),
            "",
            _("By hand, each field owned by this tool as if it had applied it:"),
            "",
            f"    kubectl apply --server-side --field-manager={FIELD_MANAGER} -f manifests/",
            "",
        ]
    if any(name.startswith("istio/") for name in made):
        parts += [
            _(
                "`istio/` holds the annotations of the mesh's pods: each belongs into the source of its workload, "
                "whose pods restart with it. Kustomize: list that folder under `components:`."
            ),
            "",
        ]
    if any(name.startswith("dashboards/") for name in made):
        parts += [_("`dashboards/` holds the views: import them in the studio, or let `views create` make them."), ""]
    return "\n".join(parts)
