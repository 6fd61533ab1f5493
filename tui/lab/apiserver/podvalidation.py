"""What the server refuses in a pod's spec, with 422: the rules of Kubernetes 1.36, in its order and its words."""

from __future__ import annotations

import re
from typing import Any

from tui.lab.apiserver import names
from tui.lab.apiserver.errors import (
    Invalid,
    duplicate,
    forbidden_field,
    invalid,
    missing,
    required,
    too_long,
    unsupported,
)  # fmt: skip

Obj = dict[str, Any]
NEGATIVE = "must be greater than or equal to 0"
ANNOTATIONS_LIMIT = 256 * 1024
# Sources in the order in which the server looks for a second one.
SOURCES = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "rbd", "cinder", "cephfs", "fc", "downwardAPI", "configMap", "azureFile", "flexVolume",
    "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected", "scaleIO",
    "csi", "ephemeral", "quobyte", "persistentVolumeClaim", "image",
)  # fmt: skip
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
HOST_PATH_TYPES = ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"]
FIELD_PATHS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip


def labels_of(found: Obj | None, where: str) -> list[Invalid]:
    """What is wrong with labels."""
    out: list[Invalid] = []
    for key, value in sorted((found or {}).items()):
        out += [invalid(where, key, problem) for problem in names.qualified_name(key)]
        out += [invalid(where, value, problem) for problem in names.label_value(value)]
    return out


def annotations_of(found: Obj | None, where: str) -> list[Invalid]:
    """What is wrong with annotations."""
    out: list[Invalid] = []
    for key in sorted(found or {}):
        out += [invalid(where, key, problem) for problem in names.qualified_name(key.lower())]
    if sum(len(key) + len(value.encode()) for key, value in (found or {}).items()) > ANNOTATIONS_LIMIT:
        out.append(too_long(where, ANNOTATIONS_LIMIT))
    return out


def label_selector(selector: Obj, where: str) -> list[Invalid]:
    """What is wrong with a LabelSelector."""
    out = labels_of(selector.get("matchLabels"), f"{where}.matchLabels")
    for index, each in enumerate(selector.get("matchExpressions", [])):
        here = f"{where}.matchExpressions[{index}]"
        if each["operator"] in ("In", "NotIn"):
            if not each.get("values"):
                out.append(required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif each["operator"] in ("Exists", "DoesNotExist"):
            if each.get("values"):
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                out.append(forbidden_field(f"{here}.values", text))
        else:
            out.append(invalid(f"{here}.operator", each["operator"], "not a valid selector operator"))
        out += [invalid(f"{here}.key", each["key"], problem) for problem in names.qualified_name(each["key"])]
    return out


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
        for index, container in enumerate(spec.get(part) or []):
            here = f"{where}.{part}[{index}]"
            out += _container(container, volumes, here, host_network=bool(spec.get("hostNetwork")))
            if container["name"] and container["name"] in seen:
                out.append(duplicate(f"{here}.name", container["name"]))
            seen.add(container["name"])
    if spec["restartPolicy"] not in ("Always", "OnFailure", "Never"):
        out.append(unsupported(f"{where}.restartPolicy", spec["restartPolicy"], ["Always", "OnFailure", "Never"]))
    policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
    if spec["dnsPolicy"] not in policies:
        out.append(unsupported(f"{where}.dnsPolicy", spec["dnsPolicy"], policies))
    out += labels_of(spec.get("nodeSelector"), f"{where}.nodeSelector")
    if spec.get("serviceAccountName"):
        problems = names.dns_subdomain(spec["serviceAccountName"])
        out += [invalid(f"{where}.serviceAccountName", spec["serviceAccountName"], problem) for problem in problems]
    if spec.get("nodeName"):
        out += [invalid(f"{where}.nodeName", spec["nodeName"], text) for text in names.dns_subdomain(spec["nodeName"])]
    for index, toleration in enumerate(spec.get("tolerations", [])):
        out += _toleration(toleration, f"{where}.tolerations[{index}]")
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
        out.append(invalid(f"{where}.operator", {**toleration}, "value must be empty when `operator` is 'Exists'"))
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
    return out + _descending(item["path"], f"{where}.path")


def _descending(path: str, where: str) -> list[Invalid]:
    if path.startswith("/"):
        return [invalid(where, path, "must be a relative path")]
    return [invalid(where, path, "must not contain '..'")] if ".." in path.split("/") else []


def _container(container: Obj, volumes: set[str], where: str, *, host_network: bool) -> list[Invalid]:
    out: list[Invalid] = []
    if not container["name"]:
        out.append(required(f"{where}.name"))
    else:
        out += [invalid(f"{where}.name", container["name"], problem) for problem in names.dns_label(container["name"])]
    image = container.get("image", "")
    if not image:
        out.append(required(f"{where}.image"))
    elif image != image.strip():
        out.append(invalid(f"{where}.image", image, "must not have leading or trailing whitespace"))
    if container["terminationMessagePolicy"] not in ("File", "FallbackToLogsOnError"):
        policies = ["File", "FallbackToLogsOnError"]
        out.append(unsupported(f"{where}.terminationMessagePolicy", container["terminationMessagePolicy"], policies))
    out += _ports(container.get("ports", []), f"{where}.ports", host_network=host_network)
    for index, env in enumerate(container.get("env", [])):
        out += _env(env, f"{where}.env[{index}]")
    out += _mounts(container.get("volumeMounts", []), volumes, f"{where}.volumeMounts")
    if container["imagePullPolicy"] not in ("Always", "IfNotPresent", "Never"):
        policies = ["Always", "IfNotPresent", "Never"]
        out.append(unsupported(f"{where}.imagePullPolicy", container["imagePullPolicy"], policies))
    return out


def _ports(ports: list[Obj], where: str, *, host_network: bool) -> list[Invalid]:
    out: list[Invalid] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{where}[{index}]"
        if port.get("name"):
            if port["name"] in seen:
                out.append(duplicate(f"{here}.name", port["name"]))
            seen.add(port["name"])
        text = "must be between 1 and 65535, inclusive"
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


def _env(env: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    if not env["name"]:
        out.append(required(f"{where}.name"))
    elif "=" in env["name"]:
        text = "a valid environment variable name must consist only of printable ASCII characters other than '='"
        out.append(invalid(f"{where}.name", env["name"], text))
    source = env.get("valueFrom")
    if source is None:
        return out
    here = f"{where}.valueFrom"
    if "fieldRef" in source:
        out += _field_ref(source["fieldRef"], f"{here}.fieldRef")
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            if not source[name].get("name"):
                out.append(required(f"{here}.{name}.name"))
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


def _mounts(mounts: list[Obj], volumes: set[str], where: str) -> list[Invalid]:
    out: list[Invalid] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
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
            out += _descending(mount["subPath"], f"{where}.subPath")  # the server leaves the index out here
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                text = "subPathExpr and subPath are mutually exclusive"
                out.append(invalid(f"{here}.subPathExpr", mount["subPathExpr"], text))
            out += _descending(mount["subPathExpr"], f"{where}.subPathExpr")
        propagation = mount.get("mountPropagation", "None")
        if propagation not in ("None", "HostToContainer", "Bidirectional"):
            modes = ["Bidirectional", "HostToContainer", "None"]
            out.append(unsupported(f"{where}.mountPropagation", propagation, modes))
    return out
