"""What happens to an object between the request and the store: fields that writers may not set, and admission."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Any

from tui.lab.apiserver.defaults import TEMPLATE_GENERATION
from tui.lab.apiserver.errors import ApiError, internal, not_found, quoted
from tui.lab.apiserver.fieldset import FieldSet, path
from tui.lab.apiserver.rbac import forbidden
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.store import Store

Obj = dict[str, Any]
WITH_STATUS = (
    "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob", "PersistentVolumeClaim",
    "PodDisruptionBudget", "Pod", "Node", "Namespace", "Service",
)  # fmt: skip
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


def reset_fields(kind: str, subresource: str) -> FieldSet:
    """The fields that a write to this endpoint cannot own."""
    out = FieldSet()
    if kind in WITH_STATUS:
        out.insert(path("spec") if subresource == "status" else path("status"))
    if subresource == "status" and kind == "Deployment":
        out.insert(path("metadata", "labels"))
    if subresource == "status" and kind == "Pod":
        out.insert(path("metadata", "deletionTimestamp"))
        out.insert(path("metadata", "ownerReferences"))
    return out


def random_suffix() -> str:
    """The five characters that generateName ends with."""
    return "".join(secrets.choice(_SUFFIX) for _ in range(5))


_FRESH: dict[str, Obj] = {
    "Deployment": {},
    "ReplicaSet": {"replicas": 0},
    "StatefulSet": {"replicas": 0, "availableReplicas": 0},
    "Job": {},
    "CronJob": {},
    "PodDisruptionBudget": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
}


def prepare_create(kind: str, obj: Obj) -> None:
    """Set what a new object of this kind starts with."""
    match kind:
        case "DaemonSet":
            obj["status"] = {
                "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
            }  # fmt: skip
            obj["metadata"]["generation"] = 1
            annotations = obj["metadata"]["annotations"]
            if int(annotations[TEMPLATE_GENERATION]) < 1:
                annotations[TEMPLATE_GENERATION] = "1"
        case "Deployment" | "ReplicaSet" | "StatefulSet" | "Job" | "CronJob" | "PodDisruptionBudget":
            obj["status"] = _FRESH[kind]
            obj["metadata"]["generation"] = 1
        case "PersistentVolumeClaim":
            obj["status"] = {"phase": "Pending"}
        case "Pod":
            obj["metadata"]["generation"] = 1
            obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        case "Namespace":
            obj["status"] = {"phase": "Active"}
            finalizers = obj["spec"].setdefault("finalizers", [])
            if "kubernetes" not in finalizers:
                finalizers.append("kubernetes")
        case "Service":
            obj["status"] = {"loadBalancer": {}}
        case "Role" | "ClusterRole":
            obj["rules"] = obj.get("rules") or None  # how it is stored tells no empty list from none


def select_pods(kind: str, obj: Obj) -> None:
    """Give a job's template the labels by which it finds its pods, and the selector; they hold its uid."""
    if kind != "Job" or obj["spec"].get("manualSelector"):
        return
    meta = obj["metadata"]
    marks = {"controller-uid": meta["uid"], "job-name": meta["name"]}
    marks |= {f"batch.kubernetes.io/{name}": value for name, value in list(marks.items())}
    labels = obj["spec"]["template"]["metadata"].setdefault("labels", {})
    labels |= marks
    selected = "batch.kubernetes.io/controller-uid"
    obj["spec"].setdefault("selector", {"matchLabels": {selected: marks[selected]}})


def prepare_update(kind: str, subresource: str, obj: Obj, old: Obj) -> None:
    """Put back what this endpoint does not let writers change, and count generations."""
    meta, before = obj["metadata"], old["metadata"]
    meta.pop("generation", None)
    if "generation" in before:
        meta["generation"] = before["generation"]
    if kind in ("Role", "ClusterRole"):
        obj["rules"] = obj.get("rules") or None
    if kind not in WITH_STATUS:
        return
    if subresource == "status":
        obj["spec"] = old["spec"]
        if kind == "Deployment":
            _keep(meta, before, "labels")
        if kind == "DaemonSet":
            meta.setdefault("annotations", {})[TEMPLATE_GENERATION] = before["annotations"][TEMPLATE_GENERATION]
        if kind == "Pod":
            _keep(meta, before, "ownerReferences")
            obj["status"].setdefault("qosClass", old["status"].get("qosClass", qos_class(old["spec"])))
        return
    obj["status"] = old["status"]
    if kind == "DaemonSet":
        _count_generations(obj, old)
    elif kind in _FRESH:
        # A Deployment's annotations count too: its revision and its pause are told there.
        noted = kind == "Deployment" and meta.get("annotations") != before.get("annotations")
        if noted or obj["spec"] != old["spec"]:
            meta["generation"] = before.get("generation", 0) + 1
    elif kind == "Namespace":
        obj["spec"]["finalizers"] = old["spec"].get("finalizers", [])
    elif kind == "Pod" and obj["spec"] != old["spec"]:
        meta["generation"] = before.get("generation", 0) + 1


def _keep(meta: Obj, before: Obj, name: str) -> None:
    meta.pop(name, None)
    if name in before:
        meta[name] = before[name]


def _count_generations(obj: Obj, old: Obj) -> None:
    meta, before = obj["metadata"], old["metadata"]
    generation = int(before["annotations"][TEMPLATE_GENERATION])
    if obj["spec"]["template"] != old["spec"]["template"]:
        generation += 1
        meta["generation"] = before.get("generation", 0) + 1
    elif obj["spec"] != old["spec"]:
        meta["generation"] = before.get("generation", 0) + 1
    meta.setdefault("annotations", {})[TEMPLATE_GENERATION] = str(generation)


def qos_class(spec: Obj) -> str:
    """The quality of service of a pod."""
    requests: set[str] = set()
    limits: set[str] = set()
    complete = True
    for container in [*(spec.get("containers") or []), *spec.get("initContainers", [])]:
        found = container.get("resources", {})
        asked, most = found.get("requests") or {}, found.get("limits") or {}
        requests |= asked.keys() & {"cpu", "memory"}
        limits |= most.keys() & {"cpu", "memory"}
        complete = complete and all(name in most and asked.get(name) == most[name] for name in ("cpu", "memory"))
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if complete else "Burstable"


# -- admission


def admit_create(store: Store, resource: Resource, obj: Obj) -> None:
    """The admission of a new object that changes it or refuses it; ApiError 403 or 404."""
    meta = obj["metadata"]
    if resource.namespaced:
        _check_namespace(store, resource, meta)
    if resource.kind == "Pod":
        _admit_pod(store, obj)
    elif resource.kind == "Service" and obj["spec"]["type"] != "ExternalName":
        _allocate_address(store, obj["spec"])
    elif resource.kind == "Node":
        taints = obj["spec"].setdefault("taints", [])
        if not any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints):
            taints.append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})


def _allocate_address(store: Store, spec: Obj) -> None:
    """Give a service the next free address, and the fields that come with it."""
    if not spec.get("clusterIP"):
        taken = {service["spec"].get("clusterIP") for _, service in store.items("services")}
        free = (f"10.96.{at // 250}.{at % 250 + 1}" for at in range(10, 60_000))
        spec["clusterIP"] = next(address for address in free if address not in taken)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _check_namespace(store: Store, resource: Resource, meta: Obj) -> None:
    namespace = store.get("namespaces", "", meta["namespace"])
    if namespace is None:
        raise not_found("namespaces", "", meta["namespace"])
    if namespace["metadata"].get("deletionTimestamp"):
        name = meta.get("name", "")
        text = f"unable to create new content in namespace {meta['namespace']} because it is being terminated"
        error = forbidden(resource.plural, resource.group, name, text)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {meta['namespace']} is being terminated",
            "field": "metadata.namespace",
        }
        error.body["details"]["causes"] = [cause]
        raise error


def _admit_pod(store: Store, obj: Obj) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    account = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    if store.get("serviceaccounts", meta["namespace"], account) is None:
        text = f'error looking up service account {meta["namespace"]}/{account}: serviceaccount "{account}" not found'
        raise forbidden("pods", "", meta.get("name", ""), text)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.get("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(_tolerates(toleration, key) for toleration in tolerations):
            added = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            tolerations = [*tolerations, added]
    if tolerations:
        spec["tolerations"] = tolerations
    _mount_token(store, obj, account)


def _tolerates(toleration: Obj, key: str) -> bool:
    return bool(toleration.get("key", key) == key and toleration.get("effect", "NoExecute") == "NoExecute")


TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def _mount_token(store: Store, obj: Obj, account: str) -> None:
    spec = obj["spec"]
    found = store.get("serviceaccounts", obj["metadata"]["namespace"], account) or {}
    if not spec.get("automountServiceAccountToken", found.get("automountServiceAccountToken", True)):
        return
    name = f"kube-api-access-{random_suffix()}"
    mounted = False
    for part in ("initContainers", "containers"):
        for container in spec.get(part) or []:
            mounts = container.setdefault("volumeMounts", [])
            if all(mount["mountPath"] != TOKEN_PATH for mount in mounts):
                mounts.append({"name": name, "readOnly": True, "mountPath": TOKEN_PATH})
                mounted = True
    if mounted:
        namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
        sources = [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ]
        spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})


# Kinds of which a PUT makes the object where there is none.
MADE_BY_PUT = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Lease", "Service", "Endpoints", "Event")


def check_role_kind(kind: str, obj: Obj, old: Obj | None, groups: Sequence[str]) -> None:
    """ApiError 500 for a binding to a kind that is no role: what it grants cannot be looked up, before all validation.

    Masters may grant anything, so nothing is looked up for them.
    """
    if kind not in ("RoleBinding", "ClusterRoleBinding") or "system:masters" in groups:
        return
    role = obj["roleRef"]
    if role["kind"] not in ("Role", "ClusterRole") and (old is None or old["roleRef"] != role):
        raise internal(f"unsupported role reference kind: {quoted(role['kind'])}")


def check_delete(kind: str, name: str) -> None:
    """Refuse to delete what the cluster cannot do without; ApiError 403."""
    if kind == "Namespace" and name in ("default", "kube-system", "kube-public"):
        raise forbidden("namespaces", "", name, "this namespace may not be deleted")


def warnings(kind: str, obj: Obj, old: Obj | None) -> list[str]:
    """The Warning headers that a write brings along."""
    if kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job"):
        return _template_warnings(obj["spec"]["template"]["spec"], "spec.template.spec")
    if kind == "Secret" and obj.get("type") == "kubernetes.io/tls":
        return _pair_warnings(obj.get("data", {}))
    if kind == "Pod" and old is None:
        return _template_warnings(obj["spec"], "spec")
    return []


def _pair_warnings(data: Obj) -> list[str]:
    """What Go's tls.X509KeyPair says of a Secret that holds no PEM; the pair itself is not looked at."""
    for key, what in (("tls.crt", "certificate"), ("tls.key", "key")):
        if b"-----BEGIN " not in base64.b64decode(data.get(key, "")):
            return [f"tls: failed to find any PEM data in {what} input"]
    return []


def _template_warnings(spec: Obj, where: str) -> list[str]:
    out = [
        f"{where}.topologySpreadConstraints[{index}].labelSelector: a null labelSelector results in matching no pod"
        for index, each in enumerate(spec.get("topologySpreadConstraints") or ())
        if each.get("labelSelector") is None
    ]
    out += [
        f'{where}.imagePullSecrets[{index}].name: invalid empty name ""'
        for index, secret in enumerate(spec.get("imagePullSecrets", []))
        if not secret.get("name")
    ]
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        out.append(f"{where}.terminationGracePeriodSeconds: {text}")
    for part in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(part) or []):
            ports: dict[tuple[Any, ...], int] = {}
            for at, port in enumerate(container.get("ports", [])):
                same = (port["containerPort"], port["protocol"], port.get("hostPort"), port.get("hostIP"))
                if same in ports:
                    first = f"{where}.{part}[{index}].ports[{ports[same]}]"
                    out.append(f"{where}.{part}[{index}].ports[{at}]: duplicate port definition with {first}")
                ports.setdefault(same, at)
            seen: set[str] = set()
            for at, env in enumerate(container.get("env", [])):
                if env["name"] in seen:
                    text = f'{where}.{part}[{index}].env[{at}]: hides previous definition of "{env["name"]}"'
                    out.append(f"{text}, which may be dropped when using apply")
                seen.add(env["name"])
    return out


def invalid_delete_precondition(kind: str, name: str, why: str) -> ApiError:
    """The 409 of a DELETE whose precondition does not hold; the server names the kind here, not the resource."""
    message = f'Operation cannot be fulfilled on {kind} "{name}": {why}'
    return ApiError(409, message, "Conflict", {"name": name, "kind": kind})
