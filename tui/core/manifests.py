"""The partial objects that server-side apply sends: one ConfigMap key, and mounts, volumes and env of the DaemonSet."""

from __future__ import annotations

import copy
import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from tui.core.errors import RefusedError
from tui.core.etcd_conf import KEY as CONF_KEY
from tui.core.etcd_conf import PATH as CONF_PATH
from tui.core.ownership import owned
from tui.core.ports import Object
from tui.core.survey import CONFIG_MAP_NAME, DataKit
from tui.i18n import _

HASH_ANNOTATION = "datakit-wizard/etcd-conf-sha256"
# On the DaemonSet itself, where it restarts nothing: the hash of a conf that was brought out to etcd's nodes alone.
APPLIED_ANNOTATION = "datakit-wizard/applied-conf-sha256"
# A ConfigMap may hold 1 MiB (kube-apiserver: "may not be more than 1048576 bytes").
CONFIG_MAP_LIMIT = 1_048_576


@dataclass(frozen=True)
class CertificateMount:
    """A volume that brings certificates into the container at `path`: a hostPath, or an existing Secret."""

    name: str
    path: str
    source: Mapping[str, object]  # e.g. {"hostPath": {"path": …}} or {"secret": {"secretName": …}}
    read_only: bool = True


def config_map_body(namespace: str, conf: str, live: Object | None) -> Object:
    """The ConfigMap with our one key; the uid of the live object keeps a mistyped name from creating another."""
    metadata: Object = {"name": CONFIG_MAP_NAME, "namespace": namespace}
    if live is not None:
        metadata["uid"] = live["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {CONF_KEY: conf}}


def check_config_map(conf: str, live: Object | None) -> None:
    """Refuse in words what the API server would refuse: an immutable ConfigMap, and one beyond 1 MiB."""
    if live is None:
        return
    data: Mapping[str, str] = live.get("data") or {}
    name = f"ConfigMap {live['metadata'].get('namespace', '')}/{CONFIG_MAP_NAME}"
    if live.get("immutable") and data.get(CONF_KEY) != conf:
        raise RefusedError(
            _("The ConfigMap is immutable."),
            object=name,
            remedy=_("Delete it and create it again without `immutable: true`, then run this again."),
        )
    size = sum(len(value.encode()) for key, value in data.items() if key != CONF_KEY) + len(conf.encode())
    size += sum(len(value) * 3 // 4 for value in (live.get("binaryData") or {}).values())
    if size > CONFIG_MAP_LIMIT:
        raise RefusedError(
            _("The ConfigMap would grow to {size} bytes; Kubernetes allows {limit}.").format(
                size=size, limit=CONFIG_MAP_LIMIT
            ),
            object=name,
            remedy=_("Move large keys into a ConfigMap of their own."),
        )


def _source(volume: Object) -> Object:
    return {key: value for key, value in volume.items() if key != "name"}


def daemon_set_body(
    datakit: DataKit,
    conf: str,
    *,
    mount: CertificateMount | None = None,
    env: Mapping[str, str] | None = None,
) -> Object:
    """The DaemonSet with our mounts, the volumes that they need, env entries and the hash of the conf.

    A volume that the DaemonSet already has from another owner is used and not claimed; one that we added before stays
    in the body, for what an apply leaves out is removed. Raises RefusedError where a volume's name is taken by another
    source, or an env name is set twice or computed.
    """
    live = datakit.object
    pod: Object = live["spec"]["template"]["spec"]
    live_volumes: list[Object] = pod.get("volumes", [])
    ours = ((owned(live) or {}).get("spec", {}).get("template", {}).get("spec", {})).get("volumes", [])
    our_names = {volume["name"] for volume in ours}

    volumes: list[Object] = []
    conf_volume = _conf_volume(live_volumes)
    if conf_volume is None or conf_volume in our_names:
        conf_volume = conf_volume or _free_name(CONFIG_MAP_NAME, live_volumes)
        volumes.append({"name": conf_volume, "configMap": {"name": CONFIG_MAP_NAME}})
    mounts: list[Object] = [
        {"mountPath": CONF_PATH, "name": conf_volume, "subPath": CONF_KEY, "readOnly": True},
    ]
    if mount is not None:
        taken = next((v for v in live_volumes if v["name"] == mount.name), None)
        if taken is not None and not _same_source(_source(taken), mount.source):
            raise RefusedError(
                _("The volume name {name} is already used for something else.").format(name=mount.name),
                object=f"DaemonSet {datakit.namespace}/{datakit.name}",
                why=str(_source(taken)),
                remedy=_("Remove that volume, or read the certificates through /rootfs."),
            )
        if taken is None or mount.name in our_names:
            volumes.append({"name": mount.name, **mount.source})
        certificate_mount: Object = {"mountPath": mount.path, "name": mount.name}
        if mount.read_only:
            certificate_mount["readOnly"] = True
        mounts.append(certificate_mount)
    container: Object = {"name": datakit.container, "volumeMounts": mounts}
    if env:
        _check_env(datakit, env)
        container["env"] = [{"name": name, "value": value} for name, value in sorted(env.items())]
    spec: Object = {"containers": [container]}
    if volumes:
        spec["volumes"] = volumes
    metadata = live["metadata"]
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        "spec": {"template": {"metadata": {"annotations": {HASH_ANNOTATION: conf_hash(conf)}}, "spec": spec}},
    }
    # A conf that is out already without a change of the template stays so: its hash would restart every pod.
    return keeping_template(body, live) if applied_hash(live) == conf_hash(conf) else body


def applied_hash(daemon_set: Object) -> str:
    """The hash of the conf that was brought out without changing the template, "" where it came with the template."""
    return str((daemon_set["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION, ""))


def keeping_template(body: Object, live: Object) -> Object:
    """The body with the template's hash as it is, and the conf's own hash on the DaemonSet itself, for `plan` compares.

    Where the template has no hash yet, or has this one, the body stays as it is.
    """
    annotations = live["spec"]["template"].get("metadata", {}).get("annotations") or {}
    there, wanted = annotations.get(HASH_ANNOTATION), body["spec"]["template"]["metadata"]["annotations"]
    if there is None or there == wanted[HASH_ANNOTATION]:
        return body
    made = copy.deepcopy(body)
    made["metadata"]["annotations"] = {APPLIED_ANNOTATION: wanted[HASH_ANNOTATION]}
    made["spec"]["template"]["metadata"]["annotations"][HASH_ANNOTATION] = there
    return made


def conf_hash(conf: str) -> str:
    """The value of our pod-template annotation: a changed conf changes it, and that rolls the pods."""
    return hashlib.sha256(conf.encode()).hexdigest()


def _conf_volume(volumes: list[Object]) -> str | None:
    for volume in volumes:
        if volume.get("configMap", {}).get("name") == CONFIG_MAP_NAME and not volume["configMap"].get("items"):
            return str(volume["name"])
    return None


def _free_name(wanted: str, volumes: list[Object]) -> str:
    names = {volume["name"] for volume in volumes}
    candidates = [wanted, *(f"{wanted}-{n}" for n in range(2, len(names) + 3))]
    return next(name for name in candidates if name not in names)


def _same_source(live: Object, wanted: Mapping[str, object]) -> bool:
    """Whether a live volume has the wanted source; defaults that the API server filled in do not count."""
    for kind, fields in wanted.items():
        there = live.get(kind)
        if not isinstance(there, dict) or not isinstance(fields, Mapping):
            return False
        if any(_path(there.get(key)) != _path(value) for key, value in fields.items()):
            return False
    return True


def _path(value: object) -> object:
    return posixpath.normpath(value) if isinstance(value, str) and value.startswith("/") else value


def _check_env(datakit: DataKit, env: Mapping[str, str]) -> None:
    containers: list[Object] = datakit.object["spec"]["template"]["spec"]["containers"]
    entries: list[Object] = next(c for c in containers if c["name"] == datakit.container).get("env", [])
    for name in env:
        if sum(entry["name"] == name for entry in entries) > 1:
            problem = _("The environment variable {name} is set twice; server-side apply cannot say which one.")
        elif name in datakit.computed_env:
            problem = _("The environment variable {name} comes from `valueFrom` and cannot also have a value.")
        else:
            continue
        raise RefusedError(
            problem.format(name=name),
            object=f"DaemonSet {datakit.namespace}/{datakit.name}",
            remedy=_("Set it once, with a plain value, and run this again."),
        )
