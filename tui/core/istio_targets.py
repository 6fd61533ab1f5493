"""What the answers want of the mesh: which confs DataKit gets, which pod templates an annotation, and what is left out.

One thing that cannot be done keeps nothing else from being done: each is told on a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui.core import istio_conf
from tui.core.answers import Answers
from tui.core.manifests import ConfFile
from tui.core.mesh import ISTIOD, WORKLOAD, Mesh, Target
from tui.core.mesh_collection import ANNOTATION, DISCOVERY, INSTANCES, confs_of, kubernetes_prometheus
from tui.core.ports import DEPLOYMENT, Object
from tui.core.survey import DataKit, Survey
from tui.i18n import _, writing_in

BY_ANNOTATION, BY_DISCOVERY = "annotation", "kubernetesprometheus"


@dataclass(frozen=True)
class LeftOut:
    """One thing that was asked for and is not done: on which object, why, and what to do."""

    title: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.title}: {self.why}" + (f" {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Wanted:
    """`annotated` are the targets whose template gets our annotation, with its text; `released` those that lose it."""

    confs: tuple[ConfFile, ...] = ()
    annotated: tuple[tuple[Target, str], ...] = ()
    released: tuple[Target, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def by_conf(target: Target, datakit: DataKit) -> bool:
    """Whether a conf of DataKit can scrape a target: istiod or a gateway, of one replica, behind a Service.

    A Service leads to any of several replicas, and their counters would seem to jump. Without election every DataKit
    would scrape it.
    """
    one = target.replicas <= 1 and bool(target.service)
    return target.role != WORKLOAD and one and bool(datakit.env.get("ENV_ENABLE_ELECTION"))


def wanted(answers: Answers, survey: Survey) -> Wanted:
    """What the answers want of this mesh. `answers` are `named`. Changes nothing and asks nobody."""
    given, mesh, datakit = answers.istio, survey.mesh, survey.datakit
    if given.preset == "none":
        return Wanted()
    name = answers.cluster.name
    left_out = [LeftOut(f"Deployment {key}", *_unknown(key, mesh)) for key in given.workloads if not _find(mesh, key)]
    notes: list[str] = []
    confs: list[ConfFile] = []
    annotated: list[tuple[Target, str]] = []
    released: list[Target] = []
    discovery = given.sidecars == BY_DISCOVERY
    with writing_in(answers.views.lang):
        texts = {one.title: istio_conf.annotation(one, given.preset, name) for one in mesh.targets}
    for target in mesh.targets:
        picked = target.key in given.workloads and target is _find(mesh, target.key)
        if by_conf(target, datakit):
            elsewhere = collected_elsewhere(target)
            if elsewhere:
                notes.append(_("{title} is collected already, by {where}.").format(title=target.title, where=elsewhere))
            else:
                with writing_in(answers.views.lang):
                    confs.append(istio_conf.conf(target, given.preset, name))
        elif picked and not (discovery and target.role == WORKLOAD):
            why = obstacle(target, texts[target.title], replace=target.key in given.replace)
            if why:
                left_out.append(LeftOut(target.title, *why))
            else:
                annotated.append((target, texts[target.title]))
            continue
        elif target.role != WORKLOAD and not target.collected and given.workloads:
            notes.append(_not_collected(target))
        if target.annotation is not None and target.annotation.ours and target.object is not None:
            why = restart_obstacle(target)
            if why:
                left_out.append(LeftOut(target.title, *why))
            else:
                released.append(target)
    if discovery:
        found = _discovery(answers, survey, notes)
        left_out += [found] if isinstance(found, LeftOut) else []
        confs += [found] if isinstance(found, ConfFile) else []
    return Wanted(tuple(confs), tuple(annotated), tuple(released), tuple(left_out), tuple(notes))


def _find(mesh: Mesh, key: str) -> Target | None:
    own = next((one for one in (*mesh.control, *mesh.gateways) if one.key == key), None)
    return own or mesh.workload(key)


def _unknown(key: str, mesh: Mesh) -> tuple[str, str]:
    namespace = key.partition("/")[0]
    if namespace in mesh.ambient:
        why = _("its namespace is in ambient mode, which has no sidecars and is not covered here.")
        return why, _("Collect its ztunnel and waypoints by another way.")
    why = _("no such Deployment is in the mesh, as far as these rights allow to see.")
    return why, _("Look at the name, at the namespace's label istio-injection, and at your rights there.")


def _not_collected(target: Target) -> str:
    if target.role == ISTIOD:
        what = _("{title} is not collected: the view Istio Control Plane stays without it.")
    else:
        what = _("{title} is not collected: requests from outside are seen where they are served alone.")
    return what.format(title=target.title)


def collected_elsewhere(target: Target) -> str:
    """Which object collects a target already that is not ours, "" for none. Annotations are judged by `obstacle`."""
    return next((one.where for one in target.collected if not one.ours and one.how != ANNOTATION), "")


def obstacle(target: Target, text: str, *, replace: bool = False) -> tuple[str, str] | None:
    """Why the annotation is not put into a target's pod template, and what to do; None where it can be.

    `replace` allows to take the place of an annotation that somebody else wrote. Nothing stands in the way of a
    template that has this text already.
    """
    annotation = target.annotation
    if annotation is not None and annotation.ours and annotation.text == text:
        return None
    if target.object is None:
        why = _("only Deployments are changed here, and this is a {kind}.").format(kind=target.kind)
        return why, _("Put the annotation {name} into its pod template yourself; export writes its text.").format(
            name=INSTANCES
        )
    if target.role != ISTIOD and not target.ready:
        why = _("none of its pods has a sidecar that is ready.")
        return why, _("Label its namespace istio-injection=enabled and restart it; then pick it.")
    elsewhere = collected_elsewhere(target)
    if elsewhere:
        why = _("it is collected already, by {where}, and twice would double every rate.").format(where=elsewhere)
        return why, _("Take it out there first, or leave it as it is.")
    if annotation is not None and not annotation.ours and not replace:
        return foreign(target), _("Name it in [istio] replace to put ours in its place; undo gives the old one back.")
    return restart_obstacle(target)


def restart_obstacle(target: Target) -> tuple[str, str] | None:
    """Why a target's pods are not restarted now, and what to do; None where they can be."""
    if target.paused:
        why = _("its rollout is paused, so nothing would come out of a change.")
        command = f"kubectl -n {target.namespace} rollout resume deployment/{target.name}"
        return why, _("Resume it first: {command}").format(command=command)
    budget = target.budget
    if budget is not None and target.missing_at_once > budget.allowed:
        why = _("its PodDisruptionBudget {name} lets {n} pods be missing now, and its rollout takes {m} at once.")
        return why.format(name=budget.name, n=budget.allowed, m=target.missing_at_once), _(
            "Wait until its pods are ready again, or let its strategy surge (maxUnavailable: 0)."
        )
    return None


def foreign(target: Target) -> str:
    """What is to be said of an annotation that somebody else wrote."""
    annotation = target.annotation
    assert annotation is not None
    if annotation.problem:
        return _("it has an annotation of somebody else that DataKit ignores ({problem}).").format(
            problem=annotation.problem
        )
    if annotation.of_mesh:
        return _("an annotation of somebody else scrapes its sidecar already.")
    return _("it has an annotation of somebody else, which scrapes something other than its sidecar.")


def body(target: Target, text: str | None) -> Object:
    """The partial Deployment: our annotation on the pod template, or (None) nothing, which takes it away."""
    assert target.object is not None
    metadata = {key: target.object["metadata"][key] for key in ("name", "namespace", "uid")}
    made: Object = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "metadata": metadata}
    if text is None:
        return made
    return {**made, "spec": {"template": {"metadata": {"annotations": {INSTANCES: text}}}}}


def _discovery(answers: Answers, survey: Survey, notes: list[str]) -> ConfFile | LeftOut | None:
    """The conf of kubernetesprometheus for the picked workloads' namespaces; that input can be configured but once."""
    picked = [one for one in survey.mesh.workloads if one.key in answers.istio.workloads]
    if not picked:
        return None
    for conf in confs_of(survey.datakit, survey.conf):
        if kubernetes_prometheus(conf.text or "") is not None and not _ours(survey.mesh.targets, conf.key):
            return LeftOut(
                f"ConfigMap {survey.datakit.namespace}/{conf.config_map}",
                _("its key {key} configures kubernetesprometheus already, and DataKit reads only one.").format(
                    key=conf.key
                ),
                _("Add the instance for port 15020 to that conf, or choose annotations."),
            )
    # It finds every sidecar of a namespace, picked or not.
    namespaces = sorted({one.namespace for one in picked})
    found = [one for one in survey.mesh.workloads if one.namespace in namespaces and one.annotation is not None]
    twice = [one.key for one in found if one.annotation and not one.annotation.ours and one.annotation.of_mesh]
    if twice:
        told = _("Collected twice, by their own annotations too: {names}. Take those out, or every rate doubles.")
        notes.append(told.format(names=", ".join(twice)))
    with writing_in(answers.views.lang):
        return istio_conf.discovery(namespaces, answers.cluster.name)


def _ours(targets: Iterable[Target], key: str) -> bool:
    found = [c for one in targets for c in one.collected if c.how == DISCOVERY and c.where.endswith(f", {key}")]
    return bool(found) and all(one.ours for one in found)
