"""What the server refuses in a pod's spec, with 422: the rules of Kubernetes 1.36, in its order and its words."""

from __future__ import annotations

import re
from typing import Any

from tui.lab.apiserver import names, placementvalidation
from tui.lab.apiserver.containervalidation import NEGATIVE, container, descending, host_ports
from tui.lab.apiserver.errors import Invalid, duplicate, forbidden_field, invalid, required, unsupported
from tui.lab.apiserver.metavalidation import annotations_of, labels_of

Obj = dict[str, Any]
# Sources in the order in which the server looks for a second one.
SOURCES = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "rbd", "cinder", "cephfs", "fc", "downwardAPI", "configMap", "azureFile", "flexVolume",
    "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected", "scaleIO",
    "csi", "ephemeral", "quobyte", "persistentVolumeClaim", "image",
)  # fmt: skip
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
HOST_PATH_TYPES = ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"]


def percent_or_count(value: int | str) -> int:
    """A number, or the number of a percentage; 0 where it is neither."""
    if isinstance(value, int):
        return value
    found = re.fullmatch(r"(\d+)%", value)
    return int(found[1]) if found else 0


def count_or_percent(value: int | str, where: str) -> list[Invalid]:
    """What is wrong with a value like 1 or "25%"."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+)%", value)
        if not found:
            text = "a valid percent string must be a numeric string followed by an ending '%'"
            return [invalid(where, value, f"{text} (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")]
        return [invalid(where, value, "must not be greater than 100%")] if int(found[1]) > 100 else []
    return [invalid(where, value, NEGATIVE)] if value < 0 else []


def template(found: Obj, where: str) -> list[Invalid]:
    """What is wrong with a pod template."""
    out = labels_of(found["metadata"].get("labels"), f"{where}.labels")
    out += annotations_of(found["metadata"].get("annotations"), f"{where}.annotations")
    return out + pod_spec(found["spec"], f"{where}.spec")


def pod_spec(spec: Obj, where: str) -> list[Invalid]:
    """What is wrong with a pod's spec."""
    volumes, out = _volumes(spec.get("volumes", []), f"{where}.volumes")
    if not spec.get("containers"):
        out.append(required(f"{where}.containers"))
    seen: set[str] = set()
    for part in ("containers", "initContainers"):
        for index, each in enumerate(spec.get(part) or []):
            here = f"{where}.{part}[{index}]"
            shares = bool(spec.get("hostNetwork"))
            out += container(each, volumes, here, host_network=shares, init=part == "initContainers")
            if each["name"] and each["name"] in seen:
                out.append(duplicate(f"{here}.name", each["name"]))
            seen.add(each["name"])
        if part == "containers":
            out += host_ports(spec.get(part) or [], f"{where}.{part}")
    for index, each in enumerate(spec.get("resourceClaims") or ()):
        if not each.keys() & {"resourceClaimName", "resourceClaimTemplateName"}:
            shown = {"Name": each.get("name", ""), "ResourceClaimName": None, "ResourceClaimTemplateName": None}
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            out.append(invalid(f"{where}.resourceClaims[{index}]", shown, text))
    if spec["restartPolicy"] not in ("Always", "OnFailure", "Never"):
        out.append(unsupported(f"{where}.restartPolicy", spec["restartPolicy"], ["Always", "OnFailure", "Never"]))
    policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
    if spec["dnsPolicy"] not in policies:
        out.append(unsupported(f"{where}.dnsPolicy", spec["dnsPolicy"], policies))
    out += labels_of(spec.get("nodeSelector"), f"{where}.nodeSelector")
    context = spec.get("securityContext") or {}
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        out.append(invalid(f"{where}.securityContext.shareProcessNamespace", True, text))
    out += _security_context(context, f"{where}.securityContext")
    out += placementvalidation.affinity(spec.get("affinity") or {}, f"{where}.affinity")
    out += placementvalidation.dns(spec.get("dnsConfig"), spec["dnsPolicy"], f"{where}.dnsConfig")
    out += placementvalidation.gates(spec, where)
    constraints = spec.get("topologySpreadConstraints") or []
    out += placementvalidation.spread(constraints, f"{where}.topologySpreadConstraints")
    if spec.get("hostUsers") is False:
        shared = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
        out += [forbidden_field(f"{where}.{name}", "when `hostUsers` is false") for name in shared]
    if spec.get("serviceAccountName"):
        problems = names.dns_subdomain(spec["serviceAccountName"])
        out += [invalid(f"{where}.serviceAccountName", spec["serviceAccountName"], problem) for problem in problems]
    if spec.get("nodeName"):
        out += [invalid(f"{where}.nodeName", spec["nodeName"], text) for text in names.dns_subdomain(spec["nodeName"])]
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            out += [invalid(f"{where}.{name}", spec[name], problem) for problem in names.dns_label(spec[name])]
    for index, toleration in enumerate(spec.get("tolerations", [])):
        out += _toleration(toleration, f"{where}.tolerations[{index}]")
    out += placementvalidation.host_aliases(spec.get("hostAliases") or [], f"{where}.hostAliases")
    if spec.get("runtimeClassName"):
        problems = names.dns_subdomain(spec["runtimeClassName"])
        out += [invalid(f"{where}.runtimeClassName", spec["runtimeClassName"], problem) for problem in problems]
    preemption = spec.get("preemptionPolicy", "Never")
    if preemption not in ("PreemptLowerPriority", "Never"):
        out.append(unsupported(f"{where}.preemptionPolicy", preemption, ["PreemptLowerPriority", "Never"]))
    system = spec.get("os") or {"name": "linux"}
    if system["name"] not in ("linux", "windows"):
        out.append(unsupported(f"{where}.os", system["name"], ["linux", "windows"]))
    return out


def _security_context(context: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    text = "must be between 0 and 2147483647, inclusive"
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        if not 0 <= context.get(name, 0) <= 2147483647:
            out.append(invalid(f"{where}.{name}", context[name], text))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= 2147483647:
            out.append(invalid(f"{where}.supplementalGroups[{index}]", group, text))
    profile, here = context.get("seccompProfile"), f"{where}.seccompProfile"
    if profile is not None:
        kind = profile.get("type", "")
        if kind == "Localhost" and not profile.get("localhostProfile"):
            out.append(required(f"{here}.localhostProfile", "must be set when seccomp type is Localhost"))
        elif kind != "Localhost" and profile.get("localhostProfile") is not None:
            text = "can only be set when seccomp type is Localhost"
            out.append(invalid(f"{here}.localhostProfile", profile["localhostProfile"], text))
        if kind not in ("Localhost", "RuntimeDefault", "Unconfined"):
            out.append(unsupported(f"{here}.type", kind, ["Localhost", "RuntimeDefault", "Unconfined"]))
    return out


def _toleration(toleration: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    if key:
        out += [invalid(f"{where}.key", key, problem) for problem in names.qualified_name(key)]
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        out.append(invalid(f"{where}.operator", operator, text))
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        out.append(invalid(f"{where}.effect", toleration.get("effect", ""), text))
    if operator == "Exists" and toleration.get("value"):
        out.append(invalid(f"{where}.operator", toleration["value"], "value must be empty when `operator` is 'Exists'"))
    elif operator not in ("", "Equal", "Exists"):
        out.append(unsupported(f"{where}.operator", operator, ["Equal", "Exists"]))
    if toleration.get("effect", "") not in ("", "NoSchedule", "PreferNoSchedule", "NoExecute"):
        out.append(unsupported(f"{where}.effect", toleration["effect"], EFFECTS))
    return out


def _volumes(volumes: list[Obj], where: str) -> tuple[set[str], list[Invalid]]:
    known: set[str] = set()
    out: list[Invalid] = []
    for index, volume in enumerate(volumes):
        here = f"{where}[{index}]"
        found = _source(volume, here)
        if not volume["name"]:
            found.append(required(f"{here}.name"))
        else:
            found += [invalid(f"{here}.name", volume["name"], problem) for problem in names.dns_label(volume["name"])]
            if volume["name"] in known:
                found.append(duplicate(f"{here}.name", volume["name"]))
        if not found:
            known.add(volume["name"])
        out += found
    return known, out


def _source(volume: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    sources = [name for name in SOURCES if name in volume]
    for second in sources[1:]:
        out.append(forbidden_field(f"{where}.{second}", "may not specify more than 1 volume type"))
    if not sources:
        return [required(where, "must specify a volume type")]
    name, source = sources[0], volume[sources[0]]
    here = f"{where}.{name}"
    if name == "hostPath":
        out += _host_path(source, here)
    elif name in ("configMap", "secret"):
        key = "name" if name == "configMap" else "secretName"
        if not source.get(key):
            out.append(required(f"{here}.{key}"))
        if not 0 <= source.get("defaultMode", 0) <= 0o777:
            text = "must be a number between 0 and 0777 (octal), both inclusive"
            out.append(invalid(f"{here}.defaultMode", source["defaultMode"], text))
        for index, item in enumerate(source.get("items", [])):
            out += _key_to_path(item, f"{here}.items[{index}]")
    elif name == "emptyDir" and source.get("sizeLimit", "").startswith("-"):
        out.append(forbidden_field(f"{here}.sizeLimit", "SizeLimit field must be a valid resource quantity"))
    elif name == "persistentVolumeClaim" and not source["claimName"]:
        out.append(required(f"{here}.claimName"))
    return out


def _host_path(source: Obj, where: str) -> list[Invalid]:
    if not source["path"]:
        return [required(f"{where}.path")]
    out: list[Invalid] = []
    if ".." in source["path"].split("/"):
        out.append(invalid(f"{where}.path", source["path"], "must not contain '..'"))
    if source.get("type", "") not in HOST_PATH_TYPES:
        out.append(unsupported(f"{where}.type", source["type"], sorted(HOST_PATH_TYPES)))
    return out


def _key_to_path(item: Obj, where: str) -> list[Invalid]:
    out = [] if item["key"] else [required(f"{where}.key")]
    if not item["path"]:
        return [*out, required(f"{where}.path")]
    out += descending(item["path"], f"{where}.path")
    if not 0 <= item.get("mode", 0) <= 0o777:
        text = "must be a number between 0 and 0777 (octal), both inclusive"
        out.append(invalid(f"{where}.mode", item["mode"], text))
    return out
