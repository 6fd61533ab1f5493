"""The cells of `kubectl get`, kind by kind, as the server's printers fill them (Kubernetes 1.36)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tui.lab.apiserver.times import parse_time

Obj = dict[str, Any]
NONE = "<none>"


def age(stamp: str | None) -> str:
    """The time since a timestamp, as short as kubectl shows it."""
    if not stamp:
        return "<unknown>"
    return duration(int((datetime.now(UTC) - parse_time(stamp)).total_seconds()))


def duration(seconds: int) -> str:
    """A duration as kubectl shows it: two units where the second one matters."""
    if seconds < 0:
        return "0s" if seconds >= -2 else "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


def cells_of(kind: str) -> Callable[[Obj], list[Any]] | None:
    """What makes a row's cells, None for kinds without columns of their own."""
    return _CELLS.get(kind)


def _pairs(found: Obj | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or NONE


def _created(obj: Obj) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _named(*cells: Callable[[Obj], Any]) -> Callable[[Obj], list[Any]]:
    return lambda obj: [obj["metadata"]["name"], *(cell(obj) for cell in cells)]


def _namespace_status(obj: Obj) -> str:
    return str(obj["status"].get("phase", ""))


def _data_size(obj: Obj) -> int:
    return len(obj.get("data", {})) + len(obj.get("binaryData", {}))


# -- pods


def _pod(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    containers = spec.get("containers") or []
    statuses = status.get("containerStatuses", [])
    ready = sum(1 for each in statuses if each["ready"] and "running" in each["state"])
    restarts = sum(each["restartCount"] for each in statuses)
    last = max((_finished(each) for each in statuses), default="")
    shown = f"{restarts} ({age(last)} ago)" if restarts and last else str(restarts)
    gates = [gate["conditionType"] for gate in spec.get("readinessGates", [])]
    true = {each["type"] for each in status.get("conditions", []) if each["status"] == "True"}
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(containers)}",
        _pod_status(obj),
        shown,
        _created(obj),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{sum(1 for gate in gates if gate in true)}/{len(gates)}" if gates else NONE,
    ]


def _finished(status: Obj) -> str:
    return str((status.get("lastState", {}).get("terminated") or {}).get("finishedAt") or "")


def _pod_status(obj: Obj) -> str:
    status = obj["status"]
    reason = status.get("reason") or status.get("phase", "")
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    initializing, reason = _init_status(obj, reason)
    if not initializing:
        reason = _containers_status(status, conditions, reason)
    if obj["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _init_status(obj: Obj, reason: str) -> tuple[bool, str]:
    statuses = obj["status"].get("initContainerStatuses", [])
    for index, each in enumerate(statuses):
        state = each["state"]
        if "terminated" in state:
            if state["terminated"]["exitCode"] == 0:
                continue
            return True, "Init:" + _terminated(state["terminated"])
        waiting = state.get("waiting", {}).get("reason", "")
        if waiting and waiting != "PodInitializing":
            return True, f"Init:{waiting}"
        return True, f"Init:{index}/{len(obj['spec'].get('initContainers', []))}"
    return False, reason


def _terminated(state: Obj) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state['exitCode']}"


def _containers_status(status: Obj, conditions: Obj, reason: str) -> str:
    running = False
    for each in reversed(status.get("containerStatuses", [])):
        state = each["state"]
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _terminated(state["terminated"])
        elif each["ready"] and "running" in state:
            running = True
    if reason == "Completed" and running:
        return "Running" if conditions.get("Ready", {}).get("status") == "True" else "NotReady"
    return reason


# -- the other kinds


def _daemon_set(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    containers = spec["template"]["spec"].get("containers") or []
    return [
        obj["metadata"]["name"],
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        _pairs(spec["template"]["spec"].get("nodeSelector")),
        _created(obj),
        ",".join(each["name"] for each in containers),
        ",".join(each.get("image", "") for each in containers),
        _pairs((spec["selector"] or {}).get("matchLabels")),
    ]


def _deployment(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    containers = spec["template"]["spec"].get("containers") or []
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _created(obj),
        ",".join(each["name"] for each in containers),
        ",".join(each.get("image", "") for each in containers),
        _selector(spec["selector"]),
    ]


def _replica_set(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    containers = spec["template"]["spec"].get("containers") or []
    return [
        obj["metadata"]["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _created(obj),
        ",".join(each["name"] for each in containers),
        ",".join(each.get("image", "") for each in containers),
        _selector(spec["selector"]),
    ]


def _stateful_set(obj: Obj) -> list[Any]:
    spec, containers = obj["spec"], obj["spec"]["template"]["spec"].get("containers") or []
    return [
        obj["metadata"]["name"],
        f"{obj['status'].get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        _created(obj),
        ",".join(each["name"] for each in containers),
        ",".join(each.get("image", "") for each in containers),
    ]


def _job(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    kinds = {each["type"] for each in status.get("conditions") or () if each["status"] == "True"}
    began, ended = status.get("startTime"), status.get("completionTime")
    took = ""
    if began:
        until = parse_time(ended) if ended else datetime.now(UTC)
        took = duration(int((until - parse_time(began)).total_seconds()))
    return [
        obj["metadata"]["name"],
        next((kind for kind in ("Complete", "Failed", "Suspended") if kind in kinds), "Running"),
        f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}",
        took,
        _created(obj),
    ]


def _cron_job(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    return [
        obj["metadata"]["name"],
        spec["schedule"],
        spec.get("timeZone", NONE),
        str(spec.get("suspend", False)),
        len(status.get("active") or ()),
        age(status["lastScheduleTime"]) if status.get("lastScheduleTime") else NONE,
        _created(obj),
    ]


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _claim(obj: Obj) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    modes = ",".join(_MODES.get(mode, mode) for mode in status.get("accessModes") or ())
    capacity = (status.get("capacity") or {}).get("storage", "")
    place = spec.get("storageClassName", "")
    return [
        obj["metadata"]["name"],
        status.get("phase", ""),
        spec.get("volumeName", ""),
        capacity,
        modes,
        place,
        "<unset>",
        _created(obj),
        spec.get("volumeMode", "<unset>"),
    ]


def _endpoints(obj: Obj) -> list[Any]:
    found = [
        f"{each['ip']}:{port['port']}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for each in subset.get("addresses") or ()
    ]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [obj["metadata"]["name"], shown or NONE, _created(obj)]


def _selector(selector: Obj | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((selector or {}).get("matchLabels", {}).items()))


def _disruption_budget(obj: Obj) -> list[Any]:
    spec, absent = obj["spec"], "N/A"
    return [
        obj["metadata"]["name"],
        str(spec.get("minAvailable", absent)),
        str(spec.get("maxUnavailable", absent)),
        obj["status"].get("disruptionsAllowed", 0),
        _created(obj),
    ]


def _event(obj: Obj) -> list[Any]:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    series = obj.get("series") or {}
    last = obj.get("lastTimestamp") or series.get("lastObservedTime") or first
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or {}
    parts = [part for part in (source.get("component"), source.get("host")) if part]
    name = involved.get("name", "")
    return [
        age(first) if series and not last else age(last),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{involved.get('kind', '').lower()}/{name}" if name else involved.get("kind", "").lower(),
        involved.get("fieldPath", ""),
        ", ".join(parts) or obj.get("reportingComponent", ""),
        (obj.get("message") or obj.get("note") or "").strip(),
        age(first),
        series.get("count") or obj.get("count") or 1,
        obj["metadata"]["name"],
    ]


def _node(obj: Obj) -> list[Any]:
    meta, status = obj["metadata"], obj["status"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    shown = "Unknown" if "Ready" not in conditions else "Ready" if conditions["Ready"] == "True" else "NotReady"
    if obj["spec"].get("unschedulable"):
        shown += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    labels = meta.get("labels", {})
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix) and key != prefix)
    roles += [labels["kubernetes.io/role"]] if labels.get("kubernetes.io/role") else []
    addresses = {each["type"]: each["address"] for each in reversed(status.get("addresses", []))}
    info = status["nodeInfo"]
    unknown = "<unknown>"
    return [
        meta["name"],
        shown,
        ",".join(roles) or NONE,
        _created(obj),
        info["kubeletVersion"],
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info["osImage"] or unknown,
        info["kernelVersion"] or unknown,
        info["containerRuntimeVersion"] or unknown,
    ]


def _service(obj: Obj) -> list[Any]:
    spec = obj["spec"]
    ports = [
        f"{each['port']}{':' + str(each['nodePort']) if each.get('nodePort') else ''}/{each['protocol']}"
        for each in spec.get("ports", [])
    ]
    external = spec.get("externalName") if spec["type"] == "ExternalName" else ",".join(spec.get("externalIPs", []))
    if spec["type"] == "LoadBalancer" and not external:
        external = "<pending>"  # nobody gives balancers out here
    return [
        obj["metadata"]["name"],
        spec["type"],
        spec.get("clusterIP") or NONE,
        external or NONE,
        ",".join(ports) or NONE,
        _created(obj),
        _pairs(spec.get("selector")),
    ]


def _controller(obj: Obj) -> str:
    for owner in obj["metadata"].get("ownerReferences", []):
        if owner.get("controller"):
            group = owner["apiVersion"].rpartition("/")[0]
            return f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return NONE


def _binding(obj: Obj) -> list[Any]:
    found: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects", []):
        name = subject["name"]
        shown = f"{subject.get('namespace', '')}/{name}" if subject["kind"] == "ServiceAccount" else name
        found[subject["kind"]].append(shown)
    ref = obj["roleRef"]
    return [
        obj["metadata"]["name"],
        f"{ref['kind']}/{ref['name']}",
        _created(obj),
        *(", ".join(names) for names in found.values()),
    ]


def _stamp(obj: Obj) -> str:
    return str(obj["metadata"].get("creationTimestamp"))


_CELLS: dict[str, Callable[[Obj], list[Any]]] = {
    "Namespace": _named(_namespace_status, _created),
    "ConfigMap": _named(_data_size, _created),
    "Secret": _named(lambda obj: obj.get("type", ""), _data_size, _created),
    "ServiceAccount": _named(_created),
    "Pod": _pod,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "CronJob": _cron_job,
    "PersistentVolumeClaim": _claim,
    "Endpoints": _endpoints,
    "PodDisruptionBudget": _disruption_budget,
    "Event": _event,
    "Node": _node,
    "Service": _service,
    "ControllerRevision": _named(_controller, lambda obj: obj.get("revision", 0), _created),
    "Role": _named(_stamp),
    "ClusterRole": _named(_stamp),
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "Lease": _named(lambda obj: obj["spec"].get("holderIdentity", ""), _created),
}
