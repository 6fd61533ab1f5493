"""What scrapes the mesh already: annotations, confs, the input kubernetesprometheus, Prometheus Operator's objects.

Nothing is to be collected twice: two collectors of one target double every rate.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tui.core.mounts import MountedConf, mounted_confs
from tui.core.ownership import owned
from tui.core.ports import Object
from tui.core.prom.conf import load, load_annotation
from tui.core.prom.settings import Pod
from tui.i18n import _

if TYPE_CHECKING:  # the survey holds a mesh
    from tui.core.survey import DataKit

INSTANCES = "datakit/prom.instances"
ISTIOD, GATEWAY, WORKLOAD = "istiod", "gateway", "workload"  # roles of targets
ANNOTATION, CONF, DISCOVERY, MONITOR = "annotation", "conf", "kubernetesprometheus", "monitor"
KUBERNETES_PROMETHEUS = "kubernetesprometheus"
_MESH_PORTS = (15014, 15020, 15090)
# Environment variables of the input container that switch discovery on (DataKit 1.84.1, kubernetesprometheus/input.go).
_DISCOVERY = "ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_"


@dataclass(frozen=True)
class Annotation:
    """A `datakit/prom.instances`: its text, whether we wrote it, why DataKit ignores it ("" it does not), and whether
    what it scrapes is Envoy or istiod.
    """

    text: str
    ours: bool
    problem: str
    of_mesh: bool


@dataclass(frozen=True)
class Collection:
    """One way in which a target is collected: how, by which object, and whether we wrote that."""

    how: str
    where: str
    ours: bool = False


@dataclass(frozen=True)
class _ByConf:
    """A conf that scrapes an address: `host` is the URL's."""

    host: str
    collection: Collection


@dataclass(frozen=True)
class _ByDiscovery:
    """Discovery of pods: those of these roles in these namespaces (none: all)."""

    roles: tuple[str, ...]
    namespaces: tuple[str, ...]
    collection: Collection


@dataclass(frozen=True)
class Scraped:
    """What scrapes by address, and by discovery (Prometheus Operator's objects among it, where DataKit reads them)."""

    confs: tuple[_ByConf, ...]
    discovery: tuple[_ByDiscovery, ...]

    def of(self, role: str, namespace: str, service: str) -> Iterator[Collection]:
        """What collects this target, annotations aside."""
        for one in self.confs:
            label, _dot, rest = one.host.partition(".")
            # The tutorial's extra Services are called after the gateway, with `-ext` behind it.
            if role != WORKLOAD and label in (service, f"{service}-ext") and rest.split(".")[0] in ("", namespace):
                yield one.collection
        for found in self.discovery:
            if role in found.roles and (not found.namespaces or namespace in found.namespaces):
                yield found.collection


def annotation_of(metadata: Object, namespace: str, *, ours: bool) -> Annotation | None:
    """The annotation in the metadata of a pod or of a pod's template, None where there is none."""
    text = (metadata.get("annotations") or {}).get(INSTANCES)
    if text is None:
        return None
    loaded = load_annotation(text, Pod("10.0.0.1", namespace, "pod", "node"))
    problem = loaded.error or next((one.problem for one in loaded.inputs if one.problem), "")
    if not problem and not any(one.urls for one in loaded.inputs):
        problem = _("it names nothing to scrape")
    ports = {_port(url) for one in loaded.inputs for url in one.urls}
    return Annotation(text, ours, problem, bool(ports & set(_MESH_PORTS)))


def by_annotation(annotation: Annotation | None, title: str) -> Iterator[Collection]:
    """The collection that an annotation brings about: one that DataKit ignores brings none."""
    if annotation is not None and annotation.of_mesh and not annotation.problem:
        yield Collection(ANNOTATION, title, annotation.ours)


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def confs_of(datakit: DataKit, config: Object | None) -> list[MountedConf]:
    """The mounted confs whose text is known: those of the ConfigMap `datakit-conf`."""
    if config is None:
        return []
    named = {config["metadata"]["name"]: config.get("data") or {}}
    return mounted_confs(datakit.object, datakit.container, lambda name: named.get(name, {}))


def _collection(how: str, datakit: DataKit, conf: MountedConf, config: Object | None) -> Collection:
    ours = conf.key in ((owned(config) or {}).get("data") or {}) if config else False
    return Collection(how, f"ConfigMap {datakit.namespace}/{conf.config_map}, {conf.key}", ours)


def by_confs(datakit: DataKit, config: Object | None) -> tuple[_ByConf, ...]:
    """Every address of the mesh that a mounted conf scrapes."""
    found = []
    for conf in confs_of(datakit, config):
        collection = _collection(CONF, datakit, conf, config)
        urls = [url for one in load(conf.text or "", datakit.env).inputs for url in one.urls]
        found += [_ByConf(_host(url), collection) for url in urls if _port(url) in _MESH_PORTS]
    return tuple(found)


def by_discovery(datakit: DataKit, config: Object | None) -> Iterator[_ByDiscovery]:
    """What the input kubernetesprometheus finds by itself: instances about the mesh, and prometheus.io annotations."""
    everything = (ISTIOD, GATEWAY, WORKLOAD)
    if datakit.env.get(f"{_DISCOVERY}POD_ANNOTATIONS") == "true":
        where = f"DaemonSet {datakit.namespace}/{datakit.name}, {_DISCOVERY}POD_ANNOTATIONS"
        yield _ByDiscovery(everything, (), Collection(DISCOVERY, where))
    for conf in confs_of(datakit, config):
        table = kubernetes_prometheus(conf.text or "")
        if table is None:
            continue
        collection = _collection(DISCOVERY, datakit, conf, config)
        if table.get("enable_discovery_of_prometheus_pod_annotations") is True:
            yield _ByDiscovery(everything, (), collection)
        instances = table.get("instances")
        for one in instances if isinstance(instances, list) else ():
            if isinstance(one, dict) and one.get("role") == "pod":
                names = tuple(str(name) for name in one.get("namespaces") or ())
                roles = _roles({str(one.get("port"))}, {str(one.get("path"))})
                yield _ByDiscovery(roles, names, collection)


def kubernetes_prometheus(text: str) -> dict[str, Any] | None:
    """The table of the input kubernetesprometheus in a conf, None where it has none."""
    if KUBERNETES_PROMETHEUS not in text:
        return None
    try:
        table = tomllib.loads(text).get("inputs", {}).get(KUBERNETES_PROMETHEUS)
    except (tomllib.TOMLDecodeError, AttributeError):
        return None
    return table if isinstance(table, dict) else None


def _roles(ports: set[str], paths: set[str]) -> tuple[str, ...]:
    """Which targets of the mesh these ports and paths are of."""
    proxies = ports & {"15020", "15090", "http-envoy-prom"} or "/stats/prometheus" in paths
    control = ports & {"15014", "http-monitoring"}
    return (*([ISTIOD] if control else []), *([GATEWAY, WORKLOAD] if proxies else []))


def by_monitors(monitors: Sequence[Object], datakit: DataKit) -> tuple[list[_ByDiscovery], list[str]]:
    """PodMonitors and ServiceMonitors about Istio: those that DataKit reads too, and the names of all.

    DataKit reads them only with its discovery switched on.
    """
    read, names = [], []
    for item in monitors:
        spec, kind, metadata = item.get("spec", {}), item["kind"], item["metadata"]
        ends = [*(spec.get("podMetricsEndpoints") or ()), *(spec.get("endpoints") or ())]
        ports = {str(one.get("port", one.get("targetPort", ""))) for one in ends}
        roles = _roles(ports, {str(one.get("path")) for one in ends})
        if not roles:
            continue
        names.append(f"{kind} {metadata['namespace']}/{metadata['name']}")
        switch = f"{_DISCOVERY}{'POD' if kind == 'PodMonitor' else 'SERVICE'}_MONITORS"
        if datakit.env.get(switch) == "true":
            wanted = spec.get("namespaceSelector") or {"matchNames": [metadata["namespace"]]}
            spaces = () if wanted.get("any") else tuple(wanted.get("matchNames") or ())
            read.append(_ByDiscovery(roles, spaces, Collection(MONITOR, names[-1])))
    return read, names
