"""What the server refuses in a container, with 422: the rules of Kubernetes 1.36, in its order and its words."""

from __future__ import annotations

import re
from typing import Any

from tui.lab.apiserver import names
from tui.lab.apiserver.errors import Invalid, duplicate, forbidden_field, invalid, missing, required, unsupported
from tui.lab.apiserver.quantities import amount_of

Obj = dict[str, Any]
NEGATIVE = "must be greater than or equal to 0"
FIELD_PATHS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_RESOURCE_FIELDS = [
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
]  # fmt: skip


def descending(path: str, where: str) -> list[Invalid]:
    """What is wrong with a path that must stay below where it begins."""
    if path.startswith("/"):
        return [invalid(where, path, "must be a relative path")]
    return [invalid(where, path, "must not contain '..'")] if ".." in path.split("/") else []


def container(spec: Obj, volumes: set[str], where: str, *, host_network: bool, init: bool = False) -> list[Invalid]:
    """What is wrong with a container; `volumes` are the names of the pod's good ones, `init` tells who runs first."""
    out: list[Invalid] = []
    if not spec["name"]:
        out.append(required(f"{where}.name"))
    else:
        out += [invalid(f"{where}.name", spec["name"], problem) for problem in names.dns_label(spec["name"])]
    if not spec.get("image"):
        out.append(required(f"{where}.image"))
    if spec["terminationMessagePolicy"] not in ("File", "FallbackToLogsOnError"):
        policies = ["File", "FallbackToLogsOnError"]
        out.append(unsupported(f"{where}.terminationMessagePolicy", spec["terminationMessagePolicy"], policies))
    out += _ports(spec.get("ports", []), f"{where}.ports", host_network=host_network)
    for index, env in enumerate(spec.get("env", [])):
        out += _env(env, f"{where}.env[{index}]")
    out += _env_from(spec.get("envFrom", []), f"{where}.envFrom")
    out += _mounts(spec, volumes, f"{where}.volumeMounts")
    for index, device in enumerate(spec.get("volumeDevices", [])):
        if device["name"] not in volumes:
            out.append(missing(f"{where}.volumeDevices[{index}].name", device["name"]))
    if spec["imagePullPolicy"] not in ("Always", "IfNotPresent", "Never"):
        policies = ["Always", "IfNotPresent", "Never"]
        out.append(unsupported(f"{where}.imagePullPolicy", spec["imagePullPolicy"], policies))
    out += resources(spec.get("resources") or {}, f"{where}.resources")
    out += _security(spec.get("securityContext") or {}, f"{where}.securityContext")
    if init and spec.get("restartPolicy") != "Always":
        text = "may not be set for init containers without restartPolicy=Always"
        return out + [forbidden_field(f"{where}.{name}", text) for name in ("lifecycle", *PROBES) if spec.get(name)]
    return out + _lifecycle(spec, where)


# -- probes, hooks, rights

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PORT = "must be between 1 and 65535, inclusive"
_ID = "must be between 0 and 2147483647, inclusive"


def _lifecycle(spec: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    for hook in ("postStart", "preStop"):
        handler = (spec.get("lifecycle") or {}).get(hook)
        if handler is not None:
            out += _handler(handler, f"{where}.lifecycle.{hook}")
    for name in PROBES:
        if spec.get(name) is not None:
            out += _probe(spec[name], f"{where}.{name}", once=name != "readinessProbe")
    return out


def _probe(probe: Obj, where: str, *, once: bool) -> list[Invalid]:
    out = _handler(probe, where)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            out.append(invalid(f"{where}.{name}", probe[name], NEGATIVE))
    if once and probe.get("successThreshold") != 1:
        out.append(invalid(f"{where}.successThreshold", probe.get("successThreshold", 0), "must be 1"))
    return out


def _handler(handler: Obj, where: str) -> list[Invalid]:
    found = [name for name in HANDLERS if name in handler]
    if not found:
        return [required(where, "must specify a handler type")]
    out = [forbidden_field(f"{where}.{name}", "may not specify more than 1 handler type") for name in found[1:]]
    name = found[0]
    action, here = handler[name] or {}, f"{where}.{name}"
    if name == "exec" and not action.get("command"):
        out.insert(0, required(f"{here}.command"))
    if name in ("httpGet", "tcpSocket", "grpc"):
        out = _port_number_or_name(action.get("port", 0), f"{here}.port") + out
    if name == "httpGet" and action["scheme"] not in ("HTTP", "HTTPS"):
        out.append(unsupported(f"{here}.scheme", action["scheme"], ["HTTP", "HTTPS"]))
    return out


def _port_number_or_name(port: int | str, where: str) -> list[Invalid]:
    if isinstance(port, int):
        return [] if 1 <= port <= 65535 else [invalid(where, port, _PORT)]
    return [invalid(where, port, problem) for problem in names.port_name(port)]


# The fields in Go's order and spelling, for messages that quote the whole.
_CONTEXT = (
    "capabilities", "privileged", "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot",
    "readOnlyRootFilesystem", "allowPrivilegeEscalation", "procMount", "seccompProfile", "appArmorProfile",
)  # fmt: skip


def _security(context: Obj, where: str) -> list[Invalid]:
    out = [
        invalid(f"{where}.{name}", context[name], _ID)
        for name in ("runAsUser", "runAsGroup")
        if not 0 <= context.get(name, 0) <= 2147483647
    ]
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        shown = {(name[:1].upper() + name[1:]).replace("SeLinux", "SELinux"): context.get(name) for name in _CONTEXT}
        text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        out.append(invalid(where, shown, text))
    return out


# -- resources

_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def resources(found: Obj, where: str) -> list[Invalid]:
    """What is wrong with the limits and requests of a container."""
    out: list[Invalid] = []
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in sorted(amounts.items()):
            here = f"{where}.{part}[{name}]"
            out += _resource_name(name, here)
            if amount_of(amount) < 0:
                out.append(invalid(here, amount, NEGATIVE))
            if part == "limits":
                continue
            shared = name in _RESOURCES or "kubernetes.io/" in name
            if name not in limits:
                if not shared and "/" in name:
                    text = "Limit must be set for non overcommitable resources"
                    out.append(required(f"{where}.limits", text))
            elif amount_of(amount) > amount_of(limits[name]):
                text = f"must be less than or equal to {name} limit of {limits[name]}"
                out.append(invalid(f"{where}.requests", amount, text))
    return out


def _resource_name(name: str, where: str) -> list[Invalid]:
    out = [invalid(where, name, problem) for problem in names.qualified_name(name)]
    if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
        if not out:
            out.append(invalid(where, name, "must be a standard resource type or fully qualified"))
        out.append(invalid(where, name, "must be a standard resource for containers"))
    return out


# -- ports, environment, mounts


def _ports(ports: list[Obj], where: str, *, host_network: bool) -> list[Invalid]:
    out: list[Invalid] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{where}[{index}]"
        if port.get("name"):
            problems = names.port_name(port["name"])
            out += [invalid(f"{here}.name", port["name"], problem) for problem in problems]
            if not problems and port["name"] in seen:
                out.append(duplicate(f"{here}.name", port["name"]))
            seen.add(port["name"])
        text = _PORT
        if port["containerPort"] == 0:
            out.append(required(f"{here}.containerPort"))
        elif not 1 <= port["containerPort"] <= 65535:
            out.append(invalid(f"{here}.containerPort", port["containerPort"], text))
        if port.get("hostPort") and not 1 <= port["hostPort"] <= 65535:
            out.append(invalid(f"{here}.hostPort", port["hostPort"], text))
        elif host_network and port.get("hostPort", port["containerPort"]) != port["containerPort"]:
            out.append(
                invalid(f"{here}.hostPort", port["hostPort"], "must match `containerPort` when `hostNetwork` is true")
            )
        if port["protocol"] not in ("SCTP", "TCP", "UDP"):
            out.append(unsupported(f"{here}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"]))
    return out


def host_ports(containers: list[Obj], where: str) -> list[Invalid]:
    """Ports of the node that more than one of the containers wants."""
    out: list[Invalid] = []
    seen: set[str] = set()
    for at, each in enumerate(containers):
        for index, port in enumerate(each.get("ports", [])):
            if not port.get("hostPort"):
                continue
            wanted = f"{port['protocol']}/{port.get('hostIP', '')}/{port['hostPort']}"
            if wanted in seen:
                out.append(duplicate(f"{where}[{at}].ports[{index}].hostPort", wanted))
            seen.add(wanted)
    return out


_ENV_NAME = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def _env_from(sources: list[Obj], where: str) -> list[Invalid]:
    out: list[Invalid] = []
    for index, source in enumerate(sources):
        if not re.fullmatch(r"[ -<>-~]*", source.get("prefix", "")):
            out.append(invalid(f"{where}[{index}].prefix", source["prefix"], _ENV_NAME))
        found = [name for name in ("configMapRef", "secretRef") if name in source]
        for name in found:
            if not source[name].get("name"):
                out.append(required(f"{where}[{index}].{name}.name"))
        if not found:
            out.append(invalid(where, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(found) > 1:
            out.append(invalid(where, "", "may not have more than one field specified at a time"))
    return out


def _env(env: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    if not env["name"]:
        out.append(required(f"{where}.name"))
    elif "=" in env["name"]:
        out.append(invalid(f"{where}.name", env["name"], _ENV_NAME))
    source = env.get("valueFrom")
    if source is None:
        return out
    here = f"{where}.valueFrom"
    if "fieldRef" in source:
        out += _field_ref(source["fieldRef"], f"{here}.fieldRef")
    if "resourceFieldRef" in source and source["resourceFieldRef"].get("resource") not in _RESOURCE_FIELDS:
        resource = source["resourceFieldRef"].get("resource", "")
        out.append(unsupported(f"{here}.resourceFieldRef.resource", resource, _RESOURCE_FIELDS))
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            referred = source[name].get("name", "")
            out += [invalid(f"{here}.{name}.name", referred, problem) for problem in names.dns_subdomain(referred)]
            if not source[name]["key"]:
                out.append(required(f"{here}.{name}.key"))
            else:
                key = source[name]["key"]
                out += [invalid(f"{here}.{name}.key", key, problem) for problem in names.config_key(key)]
    if not source:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        out.append(invalid(here, "", text))
    elif env.get("value"):
        out.append(invalid(here, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        out.append(invalid(here, "", "may not have more than one field specified at a time"))
    return out


def _field_ref(ref: Obj, where: str) -> list[Invalid]:
    if not ref.get("apiVersion"):
        return [required(f"{where}.apiVersion")]
    path = ref["fieldPath"]
    if not path:
        return [required(f"{where}.fieldPath")]
    if path in FIELD_PATHS or re.fullmatch(r"metadata\.(labels|annotations)\['.+'\]", path):
        return []
    if path.startswith(("metadata.", "spec.", "status.")) and "[" not in path:
        return [invalid(f"{where}.fieldPath", path, f"error converting fieldPath: field label not supported: {path}")]
    return [unsupported(f"{where}.fieldPath", path, sorted(FIELD_PATHS))]


def _mounts(spec: Obj, volumes: set[str], where: str) -> list[Invalid]:
    out: list[Invalid] = []
    privileged = bool((spec.get("securityContext") or {}).get("privileged"))
    seen: set[str] = set()
    for index, mount in enumerate(spec.get("volumeMounts", [])):
        here = f"{where}[{index}]"
        if not mount["name"]:
            out.append(required(f"{here}.name"))
        if mount["name"] not in volumes:
            out.append(missing(f"{here}.name", mount["name"]))
        if not mount["mountPath"]:
            out.append(required(f"{here}.mountPath"))
        if mount["mountPath"] in seen:
            out.append(invalid(f"{here}.mountPath", mount["mountPath"], "must be unique"))
        seen.add(mount["mountPath"])
        if mount.get("subPath"):
            out += descending(mount["subPath"], f"{where}.subPath")  # the server leaves the index out here
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                text = "subPathExpr and subPath are mutually exclusive"
                out.append(invalid(f"{here}.subPathExpr", mount["subPathExpr"], text))
            out += descending(mount["subPathExpr"], f"{where}.subPathExpr")
        propagation = mount.get("mountPropagation", "None")
        if propagation not in ("None", "HostToContainer", "Bidirectional"):
            modes = ["Bidirectional", "HostToContainer", "None"]
            out.append(unsupported(f"{where}.mountPropagation", propagation, modes))
        elif propagation == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            out.append(forbidden_field(f"{where}.mountPropagation", text))
        recursive = mount.get("recursiveReadOnly", "Disabled")
        if recursive not in ("Disabled", "Enabled", "IfPossible"):
            allowed = ["Disabled", "Enabled", "IfPossible"]
            out.append(unsupported(f"{where}.recursiveReadOnly", recursive, allowed))
        elif recursive != "Disabled" and not mount.get("readOnly"):
            text = "may only be specified when readOnly is true"
            out.append(forbidden_field(f"{where}.recursiveReadOnly", text))
    return out
