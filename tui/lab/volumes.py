"""How a kubelet mounts a pod's volumes, and what its containers' environment becomes.

The rules that matter here, as recorded from a real kubelet of Kubernetes 1.36 and containerd: a subPath file
is bound once and never follows the ConfigMap; a subPath whose key is missing becomes an empty directory; a
missing ConfigMap, or a missing key under `items`, holds the pod back; a hostPath without type is made where
it does not exist.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tui.lab.container import Mount, make_mount_point
from tui.lab.nodes import Node

Object = Mapping[str, Any]

# Reads a ConfigMap or Secret of the pod's namespace: (kind, name) -> the object, None where it does not
# exist.
Source = Callable[[str, str], Awaitable[Object | None]]


class MountError(Exception):
    """A volume that cannot be mounted now; the kubelet reports the text in a FailedMount event and tries
    again.
    """


class ConfigError(Exception):
    """A container's environment that cannot be made (CreateContainerConfigError)."""


def pod_folder(node: Node, uid: str) -> Path:
    """The kubelet's folder for a pod."""
    return node.path(f"/var/lib/kubelet/pods/{uid}")


async def mount_volumes(node: Node, pod: Object, source: Source) -> dict[str, Path]:
    """Set up all volumes of a pod; returns name -> folder or file. Raises MountError."""
    folder = pod_folder(node, pod["metadata"]["uid"])
    found: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or ():
        try:
            found[volume["name"]] = await _volume(node, folder, volume, source)
        except MountError as error:
            raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from None
    return found


async def _volume(node: Node, folder: Path, volume: Object, source: Source) -> Path:
    name: str = volume["name"]
    if "hostPath" in volume:
        return _host_path(node, volume["hostPath"])
    if "configMap" in volume or "secret" in volume:
        files = await volume_files(volume, source)
        kind = "configmap" if "configMap" in volume else "secret"
        target = folder / "volumes" / f"kubernetes.io~{kind}" / name
        write_atomically(target, files)
        return target
    target = folder / "volumes" / "kubernetes.io~empty-dir" / name
    target.mkdir(parents=True, exist_ok=True)
    return target


def _host_path(node: Node, wanted: Object) -> Path:
    path: str = wanted["path"]
    kind: str = wanted.get("type") or ""
    real = node.path(path)
    if kind in ("DirectoryOrCreate", ""):
        if not real.exists():
            real.mkdir(parents=True)
    elif kind == "FileOrCreate" and not real.exists():
        real.touch()
    checks: dict[str, tuple[Callable[[int], bool], str]] = {
        "Directory": (stat.S_ISDIR, "directory"),
        "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
        "File": (stat.S_ISREG, "file"),
        "FileOrCreate": (stat.S_ISREG, "file"),
        "Socket": (stat.S_ISSOCK, "socket file"),
        "CharDevice": (stat.S_ISCHR, "character device"),
        "BlockDevice": (stat.S_ISBLK, "block device"),
    }
    if kind:
        test, word = checks[kind]
        if not (real.exists() and test(real.stat().st_mode)):
            raise MountError(f"hostPath type check failed: {path} is not a {word}")
    return real


async def volume_files(volume: Object, source: Source) -> dict[str, bytes]:
    """The files that a configMap or secret volume holds now. Raises MountError where object or key are
    missing.
    """
    kind = "ConfigMap" if "configMap" in volume else "Secret"
    wanted = volume["configMap"] if kind == "ConfigMap" else volume["secret"]
    name = wanted["name"] if kind == "ConfigMap" else wanted["secretName"]
    found = await source(kind, name)
    if found is None:
        if wanted.get("optional"):
            return {}
        raise MountError(f'{kind.lower()} "{name}" not found')
    values = contents(found)
    if not wanted.get("items"):
        return values
    files: dict[str, bytes] = {}
    for item in wanted["items"]:
        if item["key"] in values:
            files[item["path"]] = values[item["key"]]
        elif not wanted.get("optional"):
            raise MountError(f"{kind.lower()} references non-existent config key: {item['key']}")
    return files


def contents(found: Object) -> dict[str, bytes]:
    """The keys of a ConfigMap or Secret as bytes."""
    if found.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    values = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return values | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def write_atomically(target: Path, files: Mapping[str, bytes]) -> bool:
    """Make `target` show exactly these files, the way the kubelet's AtomicWriter does: a new folder, one link
    turned.

    Returns False where nothing had to change.
    """
    target.mkdir(parents=True, exist_ok=True)
    data = target / "..data"
    old = data.resolve() if data.is_symlink() else None
    if old is not None and _tree(old) == dict(files):
        return False
    new = target / f"..{secrets.token_hex(8)}"
    new.mkdir()
    for path, content in files.items():
        file = new / path
        if file.parent != new:
            file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    link = target / "..data_tmp"
    link.symlink_to(new.name)
    link.rename(data)
    tops = {PurePosixPath(path).parts[0] for path in files}
    for entry in target.iterdir():
        if not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    for top in tops:
        if not (target / top).is_symlink():
            (target / top).symlink_to(f"..data/{top}")
    if old is not None:
        shutil.rmtree(old)
    return True


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def container_mounts(node: Node, pod: Object, container: Object, volumes: Mapping[str, Path]) -> tuple[Mount, ...]:
    """The container's mounts, their mount points made. A subPath is bound to what it is at this moment."""
    uid = pod["metadata"]["uid"]
    mounts: tuple[Mount, ...] = ()
    folder = container_folder(node, uid, container["name"])
    wanted = sorted(container.get("volumeMounts") or (), key=lambda each: each["mountPath"].count("/"))
    for index, each in enumerate(wanted):
        source = volumes[each["name"]]
        if each.get("subPath"):
            source = _bind_sub_path(pod_folder(node, uid), container["name"], index, each, source)
        path = "/" + each["mountPath"].strip("/")
        mount = Mount(path, source, bool(each.get("readOnly")))
        make_mount_point(folder, mounts, mount)
        mounts += (mount,)
    return mounts


def container_folder(node: Node, uid: str, container: str) -> Path:
    """Where a container's own layer lies."""
    folder = node.path(f"/var/lib/containerd/io.containerd.snapshotter/{uid}/{container}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _bind_sub_path(folder: Path, container: str, index: int, mount: Object, source: Path) -> Path:
    inside = source / str(mount["subPath"])
    if not inside.exists():
        # What makes a missing key a directory: the kubelet creates the missing subPath (kubelet_pods.go,
        # makeMounts).
        inside.mkdir(parents=True)
        return inside
    if inside.is_dir():
        return inside
    bound = folder / "volume-subpaths" / str(mount["name"]) / container / str(index)
    bound.parent.mkdir(parents=True, exist_ok=True)
    bound.unlink(missing_ok=True)
    os.link(inside.resolve(), bound)  # like a bind mount it keeps the inode, whatever happens to the name
    return bound


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/datakit"
_REFERENCE = re.compile(r"\$(\$)?\(([-._a-zA-Z0-9]+)\)")


async def container_env(node: Node, pod: Object, container: Object, source: Source, ip: str = "") -> dict[str, str]:
    """The container's environment; `$(NAME)` is replaced by what came before it. `ip` is the pod's, the node's where
    empty. Raises ConfigError.
    """
    values: dict[str, str] = {"PATH": _PATH, "HOSTNAME": node.name}
    for entry in container.get("env") or ():
        value = await _env_value(node, ip or node.ip, pod, entry, source)
        if value is None:
            continue
        values[entry["name"]] = _REFERENCE.sub(
            lambda match: match[0][1:] if match[1] else values.get(match[2], match[0]), value
        )
    return values


async def _env_value(node: Node, ip: str, pod: Object, entry: Object, source: Source) -> str | None:
    origin = entry.get("valueFrom")
    if not origin:
        return str(entry.get("value", ""))
    if "fieldRef" in origin:
        metadata = pod["metadata"]
        fields = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": node.name,
            "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
            "status.hostIP": node.ip,
            "status.podIP": ip,
        }
        path = origin["fieldRef"]["fieldPath"]
        if path not in fields:
            raise ConfigError(f"unsupported fieldPath: {path}")
        return str(fields[path])
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if field in origin:
            wanted = origin[field]
            found = await source(kind, wanted["name"])
            if found is None:
                if wanted.get("optional"):
                    return None
                raise ConfigError(f'{kind.lower()} "{wanted["name"]}" not found')
            values = contents({"kind": kind, **found})
            if wanted["key"] not in values:
                if wanted.get("optional"):
                    return None
                where = f"{kind} {pod['metadata']['namespace']}/{wanted['name']}"
                raise ConfigError(f"couldn't find key {wanted['key']} in {where}")
            return values[wanted["key"]].decode(errors="replace")
    return ""
