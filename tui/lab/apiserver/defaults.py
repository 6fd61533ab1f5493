"""What the server fills in on every object it decodes: the defaults of Kubernetes 1.36, kind by kind.

Defaults change the object that they are given (a fresh copy made by `schema.decode`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from tui.lab.apiserver.quantities import whole_millis

Obj = dict[str, Any]
RBAC_GROUP = "rbac.authorization.k8s.io"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def apply_defaults(kind: str, obj: Obj) -> Obj:
    """`obj` with the defaults of its kind."""
    fill = _KINDS.get(kind)
    if fill:
        fill(obj)
    return obj


def _set(obj: Obj, **values: Any) -> None:
    for name, value in values.items():
        obj.setdefault(name, value)


# -- pods


def image_tag(image: str) -> str:
    """The tag of an image reference: `latest` where neither tag nor digest is given, empty for a digest or no image."""
    if not image or "@" in image or image != image.strip():
        return ""  # no tag, or no reference at all
    name = image.rpartition("/")[2]
    return name.partition(":")[2] or "latest"


def _probe(probe: Obj | None) -> None:
    if probe is None:
        return
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _handler(probe)
    if "grpc" in probe:
        _set(probe["grpc"], service="")


def _handler(handler: Obj | None) -> None:
    if handler and "httpGet" in handler:
        _set(handler["httpGet"], path="/", scheme="HTTP")


def _container(container: Obj) -> None:
    _set(
        container,
        imagePullPolicy="Always" if image_tag(container.get("image", "")) == "latest" else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for amounts in container.get("resources", {}).values():
        if isinstance(amounts, dict):
            amounts |= {name: whole_millis(amount) for name, amount in amounts.items()}
    for port in container.get("ports", []):
        _set(port, protocol="TCP")
    for env in container.get("env", []):
        source = env.get("valueFrom") or {}
        if "fieldRef" in source:
            _set(source["fieldRef"], apiVersion="v1")
        if "fileKeyRef" in source:
            _set(source["fileKeyRef"], optional=False)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        _probe(container.get(name))
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)


def _volume(volume: Obj) -> None:
    if not set(volume) - {"name"}:
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if name in volume:
            _set(volume[name], defaultMode=420)
    if "hostPath" in volume:
        _set(volume["hostPath"], type="")
    for item in (volume.get("downwardAPI") or {}).get("items", []):
        _set(item.get("fieldRef") or {}, apiVersion="v1")
    for source in (volume.get("projected") or {}).get("sources", []):
        if "serviceAccountToken" in source:
            _set(source["serviceAccountToken"], expirationSeconds=3600)
        for item in (source.get("downwardAPI") or {}).get("items", []):
            _set(item.get("fieldRef") or {}, apiVersion="v1")


def _pod_spec(spec: Obj) -> None:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    _set(
        spec,
        dnsPolicy="ClusterFirst",
        restartPolicy="Always",
        securityContext={},
        terminationGracePeriodSeconds=30,
        schedulerName="default-scheduler",
    )
    for volume in spec.get("volumes", []):
        _volume(volume)
    for name in ("initContainers", "containers"):
        for container in spec.get(name) or []:
            _container(container)


def _pod(obj: Obj) -> None:
    spec, status = obj["spec"], obj["status"]
    if status.get("podIP") and not status.get("podIPs"):
        status["podIPs"] = [{"ip": status["podIP"]}]
    elif status.get("podIPs"):
        status["podIP"] = status["podIPs"][0]["ip"]
    _pod_spec(spec)
    _set(spec, enableServiceLinks=True)
    for name in ("initContainers", "containers"):
        for container in spec.get(name) or []:
            limits = container["resources"].get("limits") or {}
            if limits:
                requests = container["resources"].setdefault("requests", {})
                for resource, amount in limits.items():
                    requests.setdefault(resource, amount)
            if spec.get("hostNetwork"):
                for port in container.get("ports", []):
                    _set(port, hostPort=port["containerPort"])


# -- the other kinds


def _daemon_set(obj: Obj) -> None:
    annotations = obj["metadata"].setdefault("annotations", {})
    text = annotations.get(TEMPLATE_GENERATION, "0")
    annotations[TEMPLATE_GENERATION] = text if text.lstrip("-").isdigit() else "0"
    spec = obj["spec"]
    strategy = spec["updateStrategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        _set(rolling, maxUnavailable=1, maxSurge=0)
    elif "rollingUpdate" in strategy:
        _set(strategy["rollingUpdate"], maxSurge=0)
    _set(spec, revisionHistoryLimit=10)
    _pod_spec(spec["template"]["spec"])


def _deployment(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec["strategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
    _pod_spec(spec["template"]["spec"])


def _replica_set(obj: Obj) -> None:
    _set(obj["spec"], replicas=1)
    _pod_spec(obj["spec"]["template"]["spec"])


def _stateful_set(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    _set(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), whenDeleted="Retain", whenScaled="Retain")
    strategy = spec["updateStrategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), partition=0)
    for claim in spec.get("volumeClaimTemplates") or ():
        _claim(claim)
    _pod_spec(spec["template"]["spec"])


def _claim(obj: Obj) -> None:
    _set(obj["spec"], volumeMode="Filesystem")
    _set(obj["status"], phase="Pending")


def _job(obj: Obj) -> None:
    _job_spec(obj["spec"])


def _job_spec(spec: Obj) -> None:
    _set(spec, completions=1, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _set(spec, podReplacementPolicy="TerminatingOrFailed")
    _pod_spec(spec["template"]["spec"])


def _cron_job(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    _pod_spec(spec["jobTemplate"]["spec"]["template"]["spec"])


def _namespace(obj: Obj) -> None:
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name


def _node(obj: Obj) -> None:
    spec = obj["spec"]
    if spec.get("podCIDR") and spec.get("podCIDRs", [""])[0] != spec["podCIDR"]:
        spec["podCIDRs"] = [spec["podCIDR"]]
    if "capacity" in obj["status"] and "allocatable" not in obj["status"]:
        obj["status"]["allocatable"] = dict(obj["status"]["capacity"])


def _service(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        _set(client, timeoutSeconds=10800)
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    for port in spec.get("ports", []):
        _set(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port["port"]


def _secret(obj: Obj) -> None:
    _set(obj, type="Opaque")
    texts = obj.pop("stringData", {})
    if texts:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        obj["data"] = {**obj.get("data", {}), **encoded}


def _binding(obj: Obj) -> None:
    if not obj["roleRef"].get("apiGroup"):
        obj["roleRef"]["apiGroup"] = RBAC_GROUP
    for subject in obj.get("subjects", []):
        if subject["kind"] in ("User", "Group"):
            _set(subject, apiGroup=RBAC_GROUP)


_KINDS: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "CronJob": _cron_job,
    "PersistentVolumeClaim": _claim,
    "Namespace": _namespace,
    "Node": _node,
    "Service": _service,
    "Secret": _secret,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
}
