"""What the server refuses in pods and in what makes them: the rules of Kubernetes 1.36, in its order and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui.lab.apiserver import podvalidation
from tui.lab.apiserver.containervalidation import NEGATIVE
from tui.lab.apiserver.errors import Invalid, forbidden_field, invalid, required, unsupported
from tui.lab.apiserver.metavalidation import label_selector, metadata, metadata_update
from tui.lab.apiserver.selectors import from_label_selector

Obj = dict[str, Any]


def daemon_set(obj: Obj) -> list[Invalid]:
    """What is wrong with a DaemonSet."""
    return metadata("DaemonSet", obj["metadata"], namespaced=True) + _daemon_set_spec(obj["spec"])


def _daemon_set_spec(spec: Obj) -> list[Invalid]:
    out: list[Invalid] = []
    template, selector = spec["template"], spec["selector"]
    if selector is not None:
        out += label_selector(selector, "spec.selector")
    template_labels = template["metadata"].get("labels")
    if selector is None or (not out and not from_label_selector(selector)(template_labels or {})):
        out.append(
            invalid("spec.template.metadata.labels", template_labels, "`selector` does not match template `labels`")
        )
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        out.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    out += podvalidation.template(template, "spec.template")
    if template["spec"]["restartPolicy"] != "Always":
        out.append(unsupported("spec.template.spec.restartPolicy", template["spec"]["restartPolicy"], ["Always"]))
    if "activeDeadlineSeconds" in template["spec"]:
        text = "activeDeadlineSeconds in DaemonSet is not Supported"
        out.append(forbidden_field("spec.template.spec.activeDeadlineSeconds", text))
    if spec.get("minReadySeconds", 0) < 0:
        out.append(invalid("spec.minReadySeconds", spec["minReadySeconds"], NEGATIVE))
    out += _update_strategy(spec["updateStrategy"])
    if spec.get("revisionHistoryLimit", 0) < 0:
        out.append(invalid("spec.revisionHistoryLimit", spec["revisionHistoryLimit"], NEGATIVE))
    return out


def _internal(strategy: Obj) -> Obj:
    """A strategy as messages quote it: in Go's spelling."""
    rolling = strategy.get("rollingUpdate")
    inner = rolling and {"MaxUnavailable": rolling.get("maxUnavailable"), "MaxSurge": rolling.get("maxSurge")}
    return {"Type": strategy["type"], "RollingUpdate": inner}


def _update_strategy(strategy: Obj) -> list[Invalid]:
    if strategy["type"] == "OnDelete":
        return []
    if strategy["type"] != "RollingUpdate":
        return [unsupported("spec.updateStrategy", _internal(strategy), ["RollingUpdate", "OnDelete"])]
    where = "spec.updateStrategy.rollingUpdate"
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return [required(where)]
    out: list[Invalid] = []
    for name in ("maxUnavailable", "maxSurge"):
        out += podvalidation.count_or_percent(rolling.get(name, 0), f"{where}.{name}")
    unavailable, surge = (
        podvalidation.percent_or_count(rolling.get(name, 0)) for name in ("maxUnavailable", "maxSurge")
    )
    if unavailable and surge:
        out.append(invalid(f"{where}.maxSurge", rolling["maxSurge"], "may not be set when maxUnavailable is non-zero"))
    elif not unavailable and not surge:
        out.append(required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return out


def daemon_set_update(obj: Obj, old: Obj) -> list[Invalid]:
    """What is wrong with a changed DaemonSet."""
    out = metadata_update(obj["metadata"], old["metadata"])
    if obj["spec"]["selector"] != old["spec"]["selector"]:
        out.append(invalid("spec.selector", obj["spec"]["selector"], "field is immutable"))
    return out + _daemon_set_spec(obj["spec"])


def pod(obj: Obj) -> list[Invalid]:
    """What is wrong with a pod."""
    out = metadata("Pod", obj["metadata"], namespaced=True)
    return out + podvalidation.pod_spec(obj["spec"], "spec")


def deployment(obj: Obj) -> list[Invalid]:
    """What is wrong with a Deployment."""
    return metadata("Deployment", obj["metadata"], namespaced=True) + _deployment_spec(obj["spec"])


def _deployment_spec(spec: Obj) -> list[Invalid]:
    out: list[Invalid] = []
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if spec.get(name, 0) < 0:
            out.append(invalid(f"spec.{name}", spec[name], NEGATIVE))
    out += _selected_template(spec, "deployment")
    strategy = spec["strategy"]
    where = "spec.strategy"
    if strategy["type"] == "Recreate":
        if strategy.get("rollingUpdate") is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            out.append(forbidden_field(f"{where}.rollingUpdate", text))
    elif strategy["type"] != "RollingUpdate":
        out.append(unsupported(where, _internal(strategy), ["Recreate", "RollingUpdate"]))
    else:
        rolling = strategy.get("rollingUpdate") or {}
        for name in ("maxUnavailable", "maxSurge"):
            out += podvalidation.count_or_percent(rolling.get(name, 0), f"{where}.rollingUpdate.{name}")
        if not any(podvalidation.percent_or_count(rolling.get(name, 0)) for name in ("maxUnavailable", "maxSurge")):
            text = "may not be 0 when `maxSurge` is 0"
            out.append(invalid(f"{where}.rollingUpdate.maxUnavailable", rolling.get("maxUnavailable", 0), text))
    deadline = spec.get("progressDeadlineSeconds", 600)
    if deadline < 0:
        out.append(invalid("spec.progressDeadlineSeconds", deadline, NEGATIVE))
    if deadline <= spec.get("minReadySeconds", 0):
        out.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return out


def _selected_template(spec: Obj, kind: str) -> list[Invalid]:
    """The selector of a Deployment or ReplicaSet, and the template that has to match it."""
    out: list[Invalid] = []
    template, selector = spec["template"], spec["selector"]
    if selector is None:
        out.append(required("spec.selector"))
    else:
        out += label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            out.append(invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    if any(each.field.startswith("spec.selector.matchExpressions") for each in out):
        return [*out, invalid("spec.selector", selector, "invalid label selector")]
    labels = template["metadata"].get("labels")
    if selector is None or not from_label_selector(selector)(labels or {}):
        out.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    out += podvalidation.template(template, "spec.template")
    if template["spec"]["restartPolicy"] != "Always":
        out.append(unsupported("spec.template.spec.restartPolicy", template["spec"]["restartPolicy"], ["Always"]))
    if "activeDeadlineSeconds" in template["spec"]:
        text = "activeDeadlineSeconds in ReplicaSet is not Supported"
        out.append(forbidden_field("spec.template.spec.activeDeadlineSeconds", text))
    return out


_COUNTS = (
    "observedGeneration", "replicas", "updatedReplicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
    "unavailableReplicas", "terminatingReplicas", "collisionCount",
)  # fmt: skip


def replica_counts(kind: str, status: Obj) -> list[Invalid]:
    """What is wrong with the numbers in the status of a Deployment or ReplicaSet."""
    parts = ("updatedReplicas",) if kind == "Deployment" else ("fullyLabeledReplicas",)
    out = [invalid(f"status.{name}", status[name], NEGATIVE) for name in _COUNTS if status.get(name, 0) < 0]
    replicas, ready = status.get("replicas", 0), status.get("readyReplicas", 0)
    for name in (*parts, "readyReplicas", "availableReplicas"):
        if status.get(name, 0) > replicas:
            out.append(invalid(f"status.{name}", status.get(name, 0), "cannot be greater than status.replicas"))
    if status.get("availableReplicas", 0) > ready:
        text = "cannot be greater than readyReplicas"
        out.append(invalid("status.availableReplicas", status["availableReplicas"], text))
    return out


def replica_set(obj: Obj) -> list[Invalid]:
    """What is wrong with a ReplicaSet."""
    out = metadata("ReplicaSet", obj["metadata"], namespaced=True)
    if obj["spec"].get("replicas", 0) < 0:
        out.append(invalid("spec.replicas", obj["spec"]["replicas"], NEGATIVE))
    return out + _selected_template(obj["spec"], "replicaset")


def stateful_set(obj: Obj) -> list[Invalid]:
    """What is wrong with a StatefulSet."""
    out = metadata("StatefulSet", obj["metadata"], namespaced=True)
    if obj["spec"].get("replicas", 0) < 0:
        out.append(invalid("spec.replicas", obj["spec"]["replicas"], NEGATIVE))
    spec, template = obj["spec"], obj["spec"]["template"]
    # What is claimed for each pod is there to be mounted, too.
    claimed = [{"name": each["metadata"]["name"], "emptyDir": {}} for each in spec.get("volumeClaimTemplates") or ()]
    pod = {**template["spec"], "volumes": [*(template["spec"].get("volumes") or ()), *claimed]}
    return out + _selected_template({**spec, "template": {**template, "spec": pod}}, "statefulset")


def job(obj: Obj) -> list[Invalid]:
    """What is wrong with a Job."""
    return metadata("Job", obj["metadata"], namespaced=True) + _job_template(obj["spec"], "spec")


def _job_template(spec: Obj, where: str) -> list[Invalid]:
    template = spec["template"]
    out = podvalidation.template(template, f"{where}.template")
    policy = template["spec"]["restartPolicy"]
    if policy not in ("OnFailure", "Never"):
        out.append(unsupported(f"{where}.template.spec.restartPolicy", policy, ["OnFailure", "Never"]))
    return out


def cron_job(obj: Obj) -> list[Invalid]:
    """What is wrong with a CronJob."""
    out = metadata("CronJob", obj["metadata"], namespaced=True)
    if not obj["spec"]["schedule"]:
        out.append(required("spec.schedule"))
    return out + _job_template(obj["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec")


def claim(obj: Obj) -> list[Invalid]:
    """What is wrong with a PersistentVolumeClaim."""
    out = metadata("PersistentVolumeClaim", obj["metadata"], namespaced=True)
    if not obj["spec"].get("accessModes"):
        out.append(required("spec.accessModes", "at least 1 access mode is required"))
    return out


def selector_kept(check: Callable[[Obj], list[Invalid]]) -> Callable[[Obj, Obj], list[Invalid]]:
    """The check of a changed object whose selector must stay, made of the check of a new one."""

    def update(obj: Obj, old: Obj) -> list[Invalid]:
        out = metadata_update(obj["metadata"], old["metadata"]) + check(obj)
        if obj["spec"]["selector"] != old["spec"]["selector"]:
            out.append(invalid("spec.selector", obj["spec"]["selector"], "field is immutable"))
        return out

    return update


def disruption_budget(obj: Obj) -> list[Invalid]:
    """What is wrong with a PodDisruptionBudget."""
    out = metadata("PodDisruptionBudget", obj["metadata"], namespaced=True)
    spec = obj["spec"]
    if "minAvailable" in spec and "maxUnavailable" in spec:
        text = "minAvailable and maxUnavailable cannot be both set"
        out.append(invalid("spec", spec, text))
    for name in ("minAvailable", "maxUnavailable"):
        if name in spec:
            out += podvalidation.count_or_percent(spec[name], f"spec.{name}")
    return out


POD_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_update(obj: Obj, old: Obj) -> list[Invalid]:
    """What is wrong with a changed pod."""
    out = metadata_update(obj["metadata"], old["metadata"])
    if _fixed_part(obj["spec"]) != _fixed_part(old["spec"]):
        out.append(forbidden_field("spec", POD_IMMUTABLE))
    return out + podvalidation.pod_spec(obj["spec"], "spec")


def _fixed_part(spec: Obj) -> Obj:
    out = {name: value for name, value in spec.items() if name not in ("activeDeadlineSeconds", "tolerations")}
    for name in ("containers", "initContainers"):
        out[name] = [{**container, "image": ""} for container in spec.get(name) or []]
    return out
