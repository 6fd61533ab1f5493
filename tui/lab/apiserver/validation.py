"""What the server refuses with 422: the rules of Kubernetes 1.36 for the kinds held here, in its order and words."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tui.lab.apiserver import names, podvalidation, workloadvalidation
from tui.lab.apiserver.containervalidation import NEGATIVE
from tui.lab.apiserver.errors import Invalid, duplicate, forbidden_field, invalid, required, too_long, unsupported
from tui.lab.apiserver.gojson import json_problem
from tui.lab.apiserver.metavalidation import label_selector, metadata, metadata_update

Obj = dict[str, Any]
MEBIBYTE = 1024 * 1024


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
    for index, selector in enumerate((obj.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()):
        where = f"aggregationRule.clusterRoleSelectors[{index}]"
        problems = label_selector(selector, where)
        out += [*problems, invalid(where, None, "invalid label selector.")] if problems else []
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
    else:
        out += [invalid("roleRef.name", role["name"], problem) for problem in names.path_segment(role["name"])]
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
    "DaemonSet": workloadvalidation.daemon_set,
    "Deployment": workloadvalidation.deployment,
    "ReplicaSet": workloadvalidation.replica_set,
    "StatefulSet": workloadvalidation.stateful_set,
    "Job": workloadvalidation.job,
    "CronJob": workloadvalidation.cron_job,
    "PersistentVolumeClaim": workloadvalidation.claim,
    "PodDisruptionBudget": workloadvalidation.disruption_budget,
    "Pod": workloadvalidation.pod,
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
    "DaemonSet": workloadvalidation.daemon_set_update,
    "Deployment": workloadvalidation.selector_kept(workloadvalidation.deployment),
    "ReplicaSet": workloadvalidation.selector_kept(workloadvalidation.replica_set),
    "StatefulSet": workloadvalidation.selector_kept(workloadvalidation.stateful_set),
    "Pod": workloadvalidation.pod_update,
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
    if kind in ("Deployment", "ReplicaSet"):
        out += workloadvalidation.replica_counts(kind, status)
    if kind == "Namespace":
        deleted = bool(obj["metadata"].get("deletionTimestamp"))
        wanted = "Terminating" if deleted else "Active"
        if status.get("phase", "") != wanted:
            text = f"may only be '{wanted}' if `deletionTimestamp` is {'not ' if deleted else ''}empty"
            out.append(invalid("status.Phase", status.get("phase", ""), text))
    return out
