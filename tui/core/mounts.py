"""The conf files that DataKit's DaemonSet mounts from ConfigMaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tui.core.ports import Object

CONF_D = "/usr/local/datakit/conf.d/"


@dataclass(frozen=True)
class MountedConf:
    """One conf file that the DaemonSet mounts: its path in the container, where it comes from, and the text there now.

    `text` is None where the ConfigMap lacks the key: the kubelet then mounts an empty directory.
    """

    path: str
    config_map: str
    key: str
    text: str | None


def mounted_confs(daemon_set: Object, container: str, data_of: Callable[[str], Mapping[str, str]]) -> list[MountedConf]:
    """Every `*.conf` below conf.d that comes from a ConfigMap, by subPath or as a directory."""
    pod: Object = daemon_set["spec"]["template"]["spec"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in pod.get("volumes", []) if "configMap" in volume}
    mounts: list[Object] = next(c for c in pod["containers"] if c["name"] == container).get("volumeMounts", [])
    found = []
    for mount in mounts:
        name = maps.get(mount.get("name", ""))
        path = mount.get("mountPath", "")
        if name is None or not path.startswith(CONF_D):
            continue
        if mount.get("subPath"):
            if not path.endswith(".conf"):
                continue
            found.append(MountedConf(path, name, mount["subPath"], data_of(name).get(mount["subPath"])))
        else:
            found += [
                MountedConf(f"{path.rstrip('/')}/{key}", name, key, text)
                for key, text in sorted(data_of(name).items())
                if key.endswith(".conf")
            ]
    return found
