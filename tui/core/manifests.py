"""The partial objects that server-side apply sends: keys of a ConfigMap, and mounts, volumes and env of the DaemonSet.

What an apply leaves out is removed, so all that we own of an object is in one body.
"""

from __future__ import annotations

import copy
import hashlib
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tui.core.errors import RefusedError
from tui.core.ownership import owned
from tui.core.ports import Object
from tui.core.survey import CONFIG_MAP_NAME, DataKit
from tui.i18n import _

# Named after the first conf that was mounted; another name would roll the pods of every installation once more.
HASH_ANNOTATION = "datakit-wizard/etcd-conf-sha256"
# On the DaemonSet itself, where it restarts nothing: the hash of confs that were brought to etcd's nodes alone.
APPLIED_ANNOTATION = "datakit-wizard/applied-conf-sha256"
# A ConfigMap may hold 1 MiB (kube-apiserver: "may not be more than 1048576 bytes").
CONFIG_MAP_LIMIT = 1_048_576


@dataclass(frozen=True)
class ConfFile:
    """A conf of DataKit: its key in the ConfigMap, the path where the container has it, and its text."""

    key: str
    path: str
    text: str


@dataclass(frozen=True)
class CertificateMount:
    """A volume that brings certificates into the container at `path`: a hostPath, or an existing Secret."""

    name: str
    path: str
    source: Mapping[str, object]  # e.g. {"hostPath": {"path": …}} or {"secret": {"secretName": …}}
    read_only: bool = True


@dataclass(frozen=True)
class Desired:
    """What is wanted of DataKit's two objects: confs, env entries by name, and the certificates for etcd."""

    confs: tuple[ConfFile, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mount: CertificateMount | None = None

    def __bool__(self) -> bool:
        return bool(self.confs or self.env or self.mount)


def config_map_body(namespace: str, confs: Sequence[ConfFile], live: Object | None) -> Object:
    """The ConfigMap with our keys; the uid of the live object keeps a mistyped name from creating another."""
    metadata: Object = {"name": CONFIG_MAP_NAME, "namespace": namespace}
    if live is not None:
        metadata["uid"] = live["metadata"]["uid"]
    body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return {**body, "data": {conf.key: conf.text for conf in confs}} if confs else body


def check_config_map(confs: Sequence[ConfFile], live: Object | None) -> None:
    """Refuse in words what the API server would refuse: an immutable ConfigMap, and one beyond 1 MiB."""
    if live is None:
        return
    data: Mapping[str, str] = live.get("data") or {}
    name = f"ConfigMap {live['metadata'].get('namespace', '')}/{CONFIG_MAP_NAME}"
    if live.get("immutable") and any(data.get(conf.key) != conf.text for conf in confs):
        raise RefusedError(
            _("The ConfigMap is immutable."),
            object=name,
            remedy=_("Delete it and create it again without `immutable: true`, then run this again."),
        )
    size = sum(len(value.encode()) for value in {**data, **{conf.key: conf.text for conf in confs}}.values())
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


def _owned_pod(daemon_set: Object) -> Object:
    """What our field manager owns of the DaemonSet's pod."""
    pod: Object = (owned(daemon_set) or {}).get("spec", {}).get("template", {}).get("spec", {})
    return pod


def ours(datakit: DataKit, config_map: Object | None) -> Desired:
    """What our field manager owns of both objects now, as the wish that would keep it as it is."""
    texts: Mapping[str, str] = (owned(config_map) or {}).get("data", {}) if config_map else {}
    pod = _owned_pod(datakit.object)
    container: Object = next((c for c in pod.get("containers", []) if c["name"] == datakit.container), {})
    mounts: list[Object] = container.get("volumeMounts", [])
    live_volumes: list[Object] = datakit.object["spec"]["template"]["spec"].get("volumes", [])
    sources = {volume["name"]: _source(volume) for volume in [*live_volumes, *pod.get("volumes", [])]}
    certificates = [m for m in mounts if not m.get("subPath") and m.get("name") in sources]
    return Desired(
        tuple(ConfFile(m["subPath"], m["mountPath"], texts[m["subPath"]]) for m in mounts if m.get("subPath") in texts),
        {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry},
        next(
            (
                CertificateMount(m["name"], m["mountPath"], sources[m["name"]], read_only=bool(m.get("readOnly")))
                for m in certificates
            ),
            None,
        ),
    )


def daemon_set_body(datakit: DataKit, desired: Desired) -> Object:
    """The DaemonSet with our mounts, the volumes that they need, env entries and the hash of the confs.

    A volume that the DaemonSet already has from another owner is used and not claimed; one that we added before stays
    in the body, for what an apply leaves out is removed. Raises RefusedError where a volume's name is taken by another
    source, or an env name is set twice or computed.
    """
    live = datakit.object
    live_volumes: list[Object] = live["spec"]["template"]["spec"].get("volumes", [])
    our_names = {volume["name"] for volume in _owned_pod(live).get("volumes", [])}

    volumes: list[Object] = []
    mounts: list[Object] = []
    if desired.confs:
        conf_volume = _conf_volume(live_volumes)
        if conf_volume is None or conf_volume in our_names:
            conf_volume = conf_volume or _free_name(CONFIG_MAP_NAME, live_volumes)
            volumes.append({"name": conf_volume, "configMap": {"name": CONFIG_MAP_NAME}})
        mounts += [
            {"mountPath": conf.path, "name": conf_volume, "subPath": conf.key, "readOnly": True}
            for conf in desired.confs
        ]
    mount = desired.mount
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
    _check_env(datakit, desired.env)
    container: Object = {"name": datakit.container}
    if mounts:
        container["volumeMounts"] = mounts
    if desired.env:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(desired.env.items())]
    template: Object = {}
    if desired.confs:
        template["metadata"] = {"annotations": {HASH_ANNOTATION: conf_hash(desired.confs)}}
    if len(container) > 1:
        template["spec"] = {"containers": [container], **({"volumes": volumes} if volumes else {})}
    metadata = live["metadata"]
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
    }
    body = {**body, "spec": {"template": template}} if template else body
    # Confs that are out already without a change of the template stay so: their hash would restart every pod.
    return keeping_template(body, live) if desired.confs and applied_hash(live) == conf_hash(desired.confs) else body


def template_hash(daemon_set: Object) -> str:
    """The hash of the confs in the pod template of a DaemonSet, or of the body of one; "" where it has none."""
    template = daemon_set.get("spec", {}).get("template", {})
    return str(((template.get("metadata") or {}).get("annotations") or {}).get(HASH_ANNOTATION, ""))


def applied_hash(daemon_set: Object) -> str:
    """The hash of confs that were brought out without changing the template, "" where they came with the template."""
    return str((daemon_set["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION, ""))


def keeping_template(body: Object, live: Object) -> Object:
    """The body with the template's hash as it is, and that of the confs on the DaemonSet itself, which `plan` compares.

    Where one of them has no hash, or both have the same, the body stays as it is.
    """
    there, wanted = template_hash(live), template_hash(body)
    if not there or not wanted or there == wanted:
        return body
    made = copy.deepcopy(body)
    made["metadata"]["annotations"] = {APPLIED_ANNOTATION: wanted}
    made["spec"]["template"]["metadata"]["annotations"][HASH_ANNOTATION] = there
    return made


def conf_hash(confs: Sequence[ConfFile]) -> str:
    """The value of our pod-template annotation: a changed conf changes it, and that rolls the pods.

    Of a single conf it is the hash of its text alone, as it always was; of several, that of keys and texts.
    """
    texts = sorted((conf.key, conf.text) for conf in confs)
    whole = texts[0][1] if len(texts) == 1 else json.dumps(texts)
    return hashlib.sha256(whole.encode()).hexdigest()


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
