"""The answers that are proposed for a cluster: what the wizard preselects and `answers` prints."""

from __future__ import annotations

import re

from tui.core import istio_presets, views
from tui.core.answers import (
    Answers,
    CertificateAnswers,
    ClusterAnswers,
    DataKitAnswers,
    EtcdAnswers,
    IstioAnswers,
    StudioAnswers,
    ViewAnswers,
)
from tui.core.datakit_settings import CLUSTER_NAME, look
from tui.core.etcd_conf import ROOTFS
from tui.core.istio_targets import by_conf, obstacle
from tui.core.ports import Object
from tui.core.survey import Survey
from tui.i18n import language, ngettext

SECRET_NAME = "etcd-metric-client"  # as OpenShift calls its own


def propose(
    survey: Survey,
    *,
    strategy: str = "",
    preset: str = "",
    endpoint: str = "",
    console: str = "",
    pick: bool = False,
) -> Answers:
    """Answers for this cluster; strategy and preset as given, else the proposed strategy and the recommended filter.

    With `pick` they name the mesh's workloads: each that is named restarts, so without it a person picks them.
    """
    strategy = strategy or survey.topology.proposal
    datakit = survey.datakit
    name = cluster_name(survey)
    return Answers(
        cluster=ClusterAnswers(survey.context, datakit.namespace, datakit.name, name),
        etcd=EtcdAnswers(strategy, preset or ("tutorial" if strategy == "tutorial" else "recommended")),
        certificates=certificates(survey, strategy),
        datakit=DataKitAnswers(datakit_settings(survey, name, strategy)),
        istio=istio(survey, pick=pick),
        views=ViewAnswers(create=views.KEYS, lang=language()),
        studio=StudioAnswers(endpoint=endpoint, console=console),
    )


def datakit_settings(survey: Survey, name: str, strategy: str) -> tuple[str, ...]:
    """The settings to propose: those that are missing and take no field from anybody. The tutorial's second part leaves
    the cluster's name alone.
    """
    found = look(survey, name)
    return tuple(
        one.setting.key
        for one in found
        if one.proposed and not (strategy == "tutorial" and one.setting is CLUSTER_NAME)
    )


def istio(survey: Survey, *, pick: bool) -> IstioAnswers:
    """The proposed preset where there is a mesh, with (`pick`) every target that nothing stands in the way of."""
    if not survey.mesh:
        return IstioAnswers()
    picked = [one.key for one in survey.mesh.targets if not by_conf(one, survey.datakit) and not obstacle(one, "")]
    return IstioAnswers(istio_presets.PROPOSED, tuple(dict.fromkeys(picked)) if pick else ())


def istio_notes(survey: Survey, given: IstioAnswers) -> list[str]:
    """What is to be said of the proposed answers for the mesh, in words; nothing where there is none."""
    if not survey.mesh:
        return []
    named = [one for one in survey.mesh.targets if one.key in given.workloads]
    pods = sum(max(one.pods, one.replicas) for one in named)
    notes = []
    if named:
        notes.append(
            ngettext(
                "[istio] workloads names {n} Deployment; its {pods} pods would restart. Take out what should not.",
                "[istio] workloads names {n} Deployments; their {pods} pods would restart. Take out what should not.",
                len(named),
            ).format(n=len(named), pods=pods)
        )
    for one in survey.mesh.targets:
        why = None if by_conf(one, survey.datakit) else obstacle(one, "")
        if why:
            notes.append(f"{one.title}: {' '.join(part for part in why if part)}")
    return [*notes, *survey.mesh.notes]


def cluster_name(survey: Survey) -> str:
    """The name for `cluster_name_k8s`: what host tags carry today, else one made of the context's name."""
    if survey.cluster_name not in ("", "default"):
        return survey.cluster_name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", survey.context).strip("-") or "kubernetes"


def certificates(survey: Survey, strategy: str) -> CertificateAnswers:
    """Where certificates come from: nowhere for plain HTTP, /rootfs where DataKit has it, else a hostPath."""
    if not any(url.startswith("https://") for url in survey.topology.urls(strategy)):
        return CertificateAnswers()
    if not survey.topology.certificate_directory:
        # OpenShift names its files after the node; its Secret must be copied to DataKit's namespace by a person.
        return CertificateAnswers(source="secret", secret=SECRET_NAME)
    if strategy != "tutorial" and has_rootfs(survey.datakit.object):
        return CertificateAnswers(source="rootfs")
    return CertificateAnswers(source="hostpath", path=survey.topology.certificate_directory)


def has_rootfs(daemon_set: Object) -> bool:
    """Whether the DaemonSet mounts the node's root at /rootfs, as the vendor's current manifest does."""
    pod = daemon_set["spec"]["template"]["spec"]
    roots = {v["name"] for v in pod.get("volumes", []) if v.get("hostPath", {}).get("path") == "/"}
    return any(
        mount.get("mountPath") == ROOTFS and mount.get("name") in roots
        for container in pod["containers"]
        for mount in container.get("volumeMounts", [])
    )
