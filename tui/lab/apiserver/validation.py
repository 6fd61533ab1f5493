"""What the server refuses with 422: the rules of Kubernetes 1.36 for the kinds held here, in its order and words."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tui.lab.apiserver import names, podvalidation
from tui.lab.apiserver.containervalidation import NEGATIVE
from tui.lab.apiserver.errors import Invalid, duplicate, forbidden_field, invalid, required, too_long, unsupported
from tui.lab.apiserver.gojson import json_problem
from tui.lab.apiserver.podvalidation import annotations_of, labels_of
from tui.lab.apiserver.selectors import from_label_selector

Obj = dict[str, Any]
MEBIBYTE = 1024 * 1024


def metadata(
    kind: str, meta: Obj, *, namespaced: bool, rule: Callable[[str], list[str]] | None = None
) -> list[Invalid]:
    """One pass over an object's metadata."""
    out: list[Invalid] = []
    check = rule or (lambda name: names.object_name(kind, name))
    if "generateName" in meta:
        prefix = meta["generateName"]
        stem = prefix[:-1] + "a" if prefix.endswith("-") or prefix.endswith(".") else prefix
        out += [invalid("metadata.generateName", prefix, problem) for problem in check(stem)]
    if not meta.get("name"):
        out.append(required("metadata.name", "name or generateName is required"))
    else:
        out += [invalid("metadata.name", meta["name"], problem) for problem in check(meta["name"])]
    if namespaced and not meta.get("namespace"):
        out.append(required("metadata.namespace"))
    elif namespaced:
        out += [
            invalid("metadata.namespace", meta["namespace"], problem) for problem in names.dns_label(meta["namespace"])
        ]
    elif meta.get("namespace"):
        out.append(forbidden_field("metadata.namespace", "not allowed on this type"))
    out += labels_of(meta.get("labels"), "metadata.labels")
    out += annotations_of(meta.get("annotations"), "metadata.annotations")
    out += _owners(meta.get("ownerReferences", []))
    for finalizer in meta.get("finalizers", []):
        out += [invalid("metadata.finalizers", finalizer, problem) for problem in names.qualified_name(finalizer)]
    return out if rule else out + _standard_finalizers(meta)


STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def _standard_finalizers(meta: Obj) -> list[Invalid]:
    text = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"metadata.finalizers[{index}]", name, text)
        for index, name in enumerate(meta.get("finalizers", []))
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def _owners(owners: list[Obj]) -> list[Invalid]:
    out = []
    where = "metadata.ownerReferences"  # the server leaves the index out here
    controller = ""
    for owner in owners:
        if not owner["apiVersion"]:
            out.append(invalid(f"{where}.apiVersion", "", "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner[name]:
                out.append(invalid(f"{where}.{name}", "", "must not be empty"))
        if (owner["apiVersion"], owner["kind"]) == ("v1", "Event"):
            out.append(invalid(where, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            name = f"{owner['kind']}/{owner['name']}"
            if controller:
                text = 'Only one reference can have Controller set to true. Found "true" in references for'
                out.append(invalid(where, owners, f"{text} {controller} and {name}"))
            controller = controller or name
    return out


def metadata_update(meta: Obj, old: Obj, *, general: bool = False) -> list[Invalid]:
    """One comparison of an object's metadata with what was there before; `general` leaves out the core kinds' own."""
    out: list[Invalid] = []
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"):
        if meta.get(name) != old.get(name):
            out.append(invalid(f"metadata.{name}", meta.get(name, ""), "field is immutable"))
    out += labels_of(meta.get("labels"), "metadata.labels")
    out += annotations_of(meta.get("annotations"), "metadata.annotations")
    if old.get("deletionTimestamp"):
        new = [name for name in meta.get("finalizers", []) if name not in old.get("finalizers", [])]
        if new:
            text = "no new finalizers can be added if the object is being deleted, found new finalizers "
            shown = ", ".join(f'"{name}"' for name in sorted(new))
            out.append(forbidden_field("metadata.finalizers", f"{text}[]string{{{shown}}}"))
    return out if general else out + _standard_finalizers(meta)


# -- kinds


def _data(obj: Obj, limit_field: str) -> list[Invalid]:
    out: list[Invalid] = []
    size = 0
    for part in ("data", "binaryData"):
        for key, value in sorted(obj.get(part, {}).items()):
            out += [invalid(f"{part}[{key}]", key, problem) for problem in names.config_key(key)]
            if part == "binaryData" and key in obj.get("data", {}):
                out.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
            size += len(value.encode()) if part == "data" else len(value) * 3 // 4
    if size > MEBIBYTE:
        out.append(too_long(limit_field, MEBIBYTE))
    return out


def _config_map(obj: Obj) -> list[Invalid]:
    return metadata("ConfigMap", obj["metadata"], namespaced=True) + _data(obj, "[]")


def _config_map_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = metadata_update(obj["metadata"], old["metadata"])
    return out + _immutable(obj, old) + _config_map(obj)


def _immutable(obj: Obj, old: Obj) -> list[Invalid]:
    if not old.get("immutable"):
        return []
    out = []
    if not obj.get("immutable"):
        out.append(forbidden_field("immutable", "field is immutable when `immutable` is set"))
    for part in ("data", "binaryData"):
        if obj.get(part, {}) != old.get(part, {}):
            out.append(forbidden_field(part, "field is immutable when `immutable` is set"))
    return out


def _secret(obj: Obj) -> list[Invalid]:
    out = metadata("Secret", obj["metadata"], namespaced=True)
    total = 0
    for key, value in sorted(obj.get("data", {}).items()):
        out += [invalid(f"data[{key}]", key, problem) for problem in names.config_key(key)]
        total += len(value) * 3 // 4
    if total > MEBIBYTE:
        out.append(too_long("data", MEBIBYTE))
    return out + _secret_type(obj)


_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/basic-auth": ("username", "password"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _secret_type(obj: Obj) -> list[Invalid]:
    """What a Secret of one of the known types must hold."""
    data, kind = obj.get("data", {}), obj.get("type", "")
    account = "kubernetes.io/service-account.name"
    if kind == "kubernetes.io/service-account-token" and not obj["metadata"].get("annotations", {}).get(account):
        return [required(f"metadata.annotations[{account}]")]
    keys = _SECRET_KEYS.get(kind, ())
    missing = [key for key in keys if key not in data or (kind.endswith("ssh-auth") and not data[key])]
    if kind.endswith("basic-auth") and len(missing) < len(keys):
        return []  # one of the two suffices
    if kind.startswith("kubernetes.io/docker") and not missing:
        text = base64.b64decode(data[keys[0]]).decode("utf-8", "replace")
        problem = json_problem(text)
        return [invalid(f"data[{keys[0]}]", "<secret contents redacted>", problem)] if problem else []
    return [required(f"data[{key}]") for key in missing]


def _secret_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = metadata_update(obj["metadata"], old["metadata"])
    if obj.get("type") != old.get("type"):
        out.append(invalid("type", obj.get("type", ""), "field is immutable"))
    return out + _immutable(obj, old) + _secret(obj)


def _daemon_set(obj: Obj) -> list[Invalid]:
    return metadata("DaemonSet", obj["metadata"], namespaced=True) + _daemon_set_spec(obj["spec"])


def _daemon_set_spec(spec: Obj) -> list[Invalid]:
    out: list[Invalid] = []
    template, selector = spec["template"], spec["selector"]
    if selector is not None:
        out += podvalidation.label_selector(selector, "spec.selector")
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


def _update_strategy(strategy: Obj) -> list[Invalid]:
    if strategy["type"] == "OnDelete":
        return []
    if strategy["type"] != "RollingUpdate":
        rolling = strategy.get("rollingUpdate")
        inner = rolling and {"MaxUnavailable": rolling.get("maxUnavailable"), "MaxSurge": rolling.get("maxSurge")}
        shown = {"Type": strategy["type"], "RollingUpdate": inner}
        return [unsupported("spec.updateStrategy", shown, ["RollingUpdate", "OnDelete"])]
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


def _daemon_set_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = metadata_update(obj["metadata"], old["metadata"])
    if obj["spec"]["selector"] != old["spec"]["selector"]:
        out.append(invalid("spec.selector", obj["spec"]["selector"], "field is immutable"))
    return out + _daemon_set_spec(obj["spec"])


def _pod(obj: Obj) -> list[Invalid]:
    out = metadata("Pod", obj["metadata"], namespaced=True)
    return out + podvalidation.pod_spec(obj["spec"], "spec")


def _deployment(obj: Obj) -> list[Invalid]:
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
        out.append(unsupported(f"{where}.type", strategy["type"], ["Recreate", "RollingUpdate"]))
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
    elif deadline <= spec.get("minReadySeconds", 0):
        out.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return out


def _selected_template(spec: Obj, kind: str) -> list[Invalid]:
    """The selector of a Deployment or ReplicaSet, and the template that has to match it."""
    out: list[Invalid] = []
    template, selector = spec["template"], spec["selector"]
    if selector is None:
        out.append(required("spec.selector"))
    else:
        out += podvalidation.label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            out.append(invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    labels = template["metadata"].get("labels")
    if selector is None or not from_label_selector(selector)(labels or {}):
        out.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    out += podvalidation.template(template, "spec.template")
    if template["spec"]["restartPolicy"] != "Always":
        out.append(unsupported("spec.template.spec.restartPolicy", template["spec"]["restartPolicy"], ["Always"]))
    return out


def _replica_set(obj: Obj) -> list[Invalid]:
    out = metadata("ReplicaSet", obj["metadata"], namespaced=True)
    if obj["spec"].get("replicas", 0) < 0:
        out.append(invalid("spec.replicas", obj["spec"]["replicas"], NEGATIVE))
    return out + _selected_template(obj["spec"], "replicaset")


def _stateful_set(obj: Obj) -> list[Invalid]:
    out = metadata("StatefulSet", obj["metadata"], namespaced=True)
    if obj["spec"].get("replicas", 0) < 0:
        out.append(invalid("spec.replicas", obj["spec"]["replicas"], NEGATIVE))
    spec, template = obj["spec"], obj["spec"]["template"]
    # What is claimed for each pod is there to be mounted, too.
    claimed = [{"name": each["metadata"]["name"], "emptyDir": {}} for each in spec.get("volumeClaimTemplates") or ()]
    pod = {**template["spec"], "volumes": [*(template["spec"].get("volumes") or ()), *claimed]}
    return out + _selected_template({**spec, "template": {**template, "spec": pod}}, "statefulset")


def _job(obj: Obj) -> list[Invalid]:
    return metadata("Job", obj["metadata"], namespaced=True) + _job_template(obj["spec"], "spec")


def _job_template(spec: Obj, where: str) -> list[Invalid]:
    template = spec["template"]
    out = podvalidation.template(template, f"{where}.template")
    policy = template["spec"]["restartPolicy"]
    if policy not in ("OnFailure", "Never"):
        out.append(unsupported(f"{where}.template.spec.restartPolicy", policy, ["OnFailure", "Never"]))
    return out


def _cron_job(obj: Obj) -> list[Invalid]:
    out = metadata("CronJob", obj["metadata"], namespaced=True)
    if not obj["spec"]["schedule"]:
        out.append(required("spec.schedule"))
    return out + _job_template(obj["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec")


def _claim(obj: Obj) -> list[Invalid]:
    out = metadata("PersistentVolumeClaim", obj["metadata"], namespaced=True)
    if not obj["spec"].get("accessModes"):
        out.append(required("spec.accessModes", "at least 1 access mode is required"))
    return out


def _selector_kept(check: Callable[[Obj], list[Invalid]]) -> Callable[[Obj, Obj], list[Invalid]]:
    def update(obj: Obj, old: Obj) -> list[Invalid]:
        out = metadata_update(obj["metadata"], old["metadata"])
        if obj["spec"]["selector"] != old["spec"]["selector"]:
            out.append(invalid("spec.selector", obj["spec"]["selector"], "field is immutable"))
        return out + check(obj)

    return update


def _disruption_budget(obj: Obj) -> list[Invalid]:
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


def _pod_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = metadata_update(obj["metadata"], old["metadata"])
    if _fixed_part(obj["spec"]) != _fixed_part(old["spec"]):
        out.append(forbidden_field("spec", POD_IMMUTABLE))
    return out + podvalidation.pod_spec(obj["spec"], "spec")


def _fixed_part(spec: Obj) -> Obj:
    out = {name: value for name, value in spec.items() if name not in ("activeDeadlineSeconds", "tolerations")}
    for name in ("containers", "initContainers"):
        out[name] = [{**container, "image": ""} for container in spec.get(name) or []]
    return out


def _role(obj: Obj) -> list[Invalid]:
    namespaced = obj["kind"] == "Role"
    out = metadata(obj["kind"], obj["metadata"], namespaced=namespaced)
    for index, rule in enumerate(obj.get("rules") or []):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            out.append(required(f"{where}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                out.append(invalid(f"{where}.nonResourceURLs", rule["nonResourceURLs"], text))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                out.append(invalid(f"{where}.nonResourceURLs", rule["nonResourceURLs"], text))
            continue
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            out.append(required(f"{where}.apiGroups", text))
        if not rule.get("resources"):
            out.append(required(f"{where}.resources", "resource rules must supply at least one resource"))
    if "aggregationRule" in obj and not obj["aggregationRule"].get("clusterRoleSelectors"):
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        out.append(required("aggregationRule.clusterRoleSelectors", text))
    return out


def _role_binding(obj: Obj) -> list[Invalid]:
    namespaced = obj["kind"] == "RoleBinding"
    out = metadata(obj["kind"], obj["metadata"], namespaced=namespaced)
    role = obj["roleRef"]
    if role["apiGroup"] != "rbac.authorization.k8s.io":
        out.append(unsupported("roleRef.apiGroup", role["apiGroup"], ["rbac.authorization.k8s.io"]))
    kinds = ["Role", "ClusterRole"] if namespaced else ["ClusterRole"]
    if role["kind"] not in kinds:
        out.append(unsupported("roleRef.kind", role["kind"], kinds))
    if not role["name"]:
        out.append(required("roleRef.name"))
    for index, subject in enumerate(obj.get("subjects", [])):
        where = f"subjects[{index}]"
        if not subject["name"]:
            out.append(required(f"{where}.name"))
        if subject["kind"] not in ("ServiceAccount", "User", "Group"):
            out.append(unsupported(f"{where}.kind", subject["kind"], ["ServiceAccount", "User", "Group"]))
            continue
        account = subject["kind"] == "ServiceAccount"
        if account and subject["name"]:
            problems = names.dns_subdomain(subject["name"])
            out += [invalid(f"{where}.name", subject["name"], problem) for problem in problems]
        group = "" if account else "rbac.authorization.k8s.io"
        if subject.get("apiGroup", "") != group:
            out.append(unsupported(f"{where}.apiGroup", subject.get("apiGroup", ""), [group]))
        if account and not namespaced and not subject.get("namespace"):
            out.append(required(f"{where}.namespace"))
    return out


def _role_binding_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = _role_binding(obj) + metadata_update(obj["metadata"], old["metadata"])
    if obj["roleRef"] != old["roleRef"]:
        shown = {"APIGroup": obj["roleRef"]["apiGroup"], "Kind": obj["roleRef"]["kind"], "Name": obj["roleRef"]["name"]}
        out.append(invalid("roleRef", shown, "cannot change roleRef"))
    return out


def _node(obj: Obj) -> list[Invalid]:
    out = metadata("Node", obj["metadata"], namespaced=False) + _taints(obj)
    for index, network in enumerate(obj["spec"].get("podCIDRs", [])):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            text = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            out.append(invalid(f"spec.podCIDRs[{index}]", network, text))
    return out


def _taints(obj: Obj) -> list[Invalid]:
    out: list[Invalid] = []
    seen = set()
    for index, taint in enumerate(obj["spec"].get("taints", [])):
        where = f"metadata.taints[{index}]"
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        out += [invalid(f"{where}.key", key, problem) for problem in names.qualified_name(key)]
        if problems := names.label_value(value):
            out.append(invalid(f"{where}.value", value, ";".join(problems)))
        if not effect:
            out.append(required(f"{where}.effect"))
        elif effect not in podvalidation.EFFECTS:
            out.append(unsupported(f"{where}.effect", effect, podvalidation.EFFECTS))
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            finding = duplicate(where, shown)
            out.append(replace(finding, message=f"{finding.message}: taints must be unique by key and effect pair"))
        seen.add((key, effect))
    return out


def _node_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = _node(obj) + metadata_update(obj["metadata"], old["metadata"])
    text = 'node updates may not change {} except from "" to valid'
    before = old["spec"].get("podCIDRs", [])
    if before and before != obj["spec"].get("podCIDRs", []):
        out.append(forbidden_field("spec.podCIDRs", text.format("podCIDR")))
    provider = old["spec"].get("providerID")
    if provider and provider != obj["spec"].get("providerID"):
        out.append(forbidden_field("spec.providerID", text.format("providerID")))
    return out + _taints(obj)


def _lease(obj: Obj) -> list[Invalid]:
    spec = obj["spec"]
    out = metadata("Lease", obj["metadata"], namespaced=True)
    if spec.get("leaseDurationSeconds", 1) <= 0:
        out.append(invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
    if spec.get("leaseTransitions", 0) < 0:
        out.append(invalid("spec.leaseTransitions", spec["leaseTransitions"], NEGATIVE))
    return out


def _service(obj: Obj) -> list[Invalid]:
    spec = obj["spec"]
    out = metadata("Service", obj["metadata"], namespaced=True)
    ports = spec.get("ports", [])
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        out.append(required("spec.ports"))
    for index, port in enumerate(ports):
        where, text = f"spec.ports[{index}]", "must be between 1 and 65535, inclusive"
        if len(ports) > 1 and not port.get("name"):
            out.append(required(f"{where}.name"))
        if not 1 <= port["port"] <= 65535:
            out.append(invalid(f"{where}.port", port["port"], text))
        target = port.get("targetPort", 0)
        if isinstance(target, int) and not 1 <= target <= 65535:
            out.append(invalid(f"{where}.targetPort", target, text))
    types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    if spec["type"] not in types:
        out.append(unsupported("spec.type", spec["type"], types))
    return out


def _service_update(obj: Obj, old: Obj) -> list[Invalid]:
    out = metadata_update(obj["metadata"], old["metadata"])
    new, before = obj["spec"], old["spec"]
    if before.get("clusterIP") and new["type"] != "ExternalName" and new.get("clusterIP") != before["clusterIP"]:
        out.append(invalid("spec.clusterIPs[0]", [new.get("clusterIP", "")], "may not change once set"))
    return out + _service(obj)


def _event(obj: Obj) -> list[Invalid]:
    involved = obj["involvedObject"].get("namespace", "")
    namespace = obj["metadata"].get("namespace", "")
    if (involved or "default") != namespace:
        text = "does not match event.namespace"
        return [invalid("involvedObject.namespace", involved, text)]
    return []


_CREATE: dict[str, Callable[[Obj], list[Invalid]]] = {
    "ConfigMap": _config_map,
    "Secret": _secret,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "CronJob": _cron_job,
    "PersistentVolumeClaim": _claim,
    "PodDisruptionBudget": _disruption_budget,
    "Pod": _pod,
    "Node": _node,
    "Role": _role,
    "ClusterRole": _role,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Event": _event,
    "Lease": _lease,
    "Service": _service,
}
_UPDATE: dict[str, Callable[[Obj, Obj], list[Invalid]]] = {
    "ConfigMap": _config_map_update,
    "Secret": _secret_update,
    "DaemonSet": _daemon_set_update,
    "Deployment": _selector_kept(_deployment),
    "ReplicaSet": _selector_kept(_replica_set),
    "StatefulSet": _selector_kept(_stateful_set),
    "Pod": _pod_update,
    "Node": _node_update,
    "RoleBinding": _role_binding_update,
    "ClusterRoleBinding": _role_binding_update,
    "Event": lambda obj, old: _event(obj),
    "Service": _service_update,
}


def on_create(kind: str, obj: Obj, *, namespaced: bool) -> list[Invalid]:
    """What is wrong with a new object."""
    check = _CREATE.get(kind)
    if check is None:
        return metadata(kind, obj["metadata"], namespaced=namespaced)
    return check(obj) or metadata(kind, obj["metadata"], namespaced=namespaced, rule=names.path_segment)


def on_update(kind: str, obj: Obj, old: Obj, *, namespaced: bool) -> list[Invalid]:
    """What is wrong with a changed object; the server checks metadata more than once, and tells it as often."""
    meta, before = obj["metadata"], old["metadata"]
    out = metadata(kind, meta, namespaced=namespaced, rule=names.path_segment)
    out += metadata_update(meta, before, general=True)
    check = _UPDATE.get(kind)
    if check is not None:
        return out + check(obj, old)
    create = _CREATE.get(kind)
    own = create(obj) if create else metadata(kind, meta, namespaced=namespaced)
    return out + metadata_update(meta, before) + own


_NOT_NEGATIVE = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
    "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
)  # fmt: skip


def on_status(kind: str, obj: Obj, old: Obj) -> list[Invalid]:
    """What is wrong with a changed status."""
    out = metadata_update(obj["metadata"], old["metadata"], general=True)
    status = obj.get("status") or {}
    if kind == "DaemonSet":
        out += [invalid(f"status.{name}", status[name], NEGATIVE) for name in _NOT_NEGATIVE if status.get(name, 0) < 0]
    if kind == "Namespace":
        deleted = bool(obj["metadata"].get("deletionTimestamp"))
        wanted = "Terminating" if deleted else "Active"
        if status.get("phase", "") != wanted:
            text = f"may only be '{wanted}' if `deletionTimestamp` is {'not ' if deleted else ''}empty"
            out.append(invalid("status.Phase", status.get("phase", ""), text))
    return out
