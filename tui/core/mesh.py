"""The Istio mesh as it is: istiod, gateways, workloads with and without a sidecar, and what collects them already.

Signs as Istio sets them (istio 1.13 to 1.26): label `app: istiod`, container `istio-proxy` (an init container where
sidecars are native), labels `istio-injection` and `istio.io/rev`, label `istio.io/dataplane-mode: ambient`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tui.core import fields
from tui.core.errors import ForbiddenError, NotFoundError, WizardError
from tui.core.mesh_collection import (
    GATEWAY,
    INSTANCES,
    ISTIOD,
    WORKLOAD,
    Annotation,
    Collection,
    Scraped,
    annotation_of,
    by_annotation,
    by_confs,
    by_discovery,
    by_monitors,
)
from tui.core.ownership import FIELD_MANAGER
from tui.core.parallel import each
from tui.core.ports import (
    DEPLOYMENT,
    NAMESPACE,
    POD,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    SERVICE,
    SERVICE_MONITOR,
    Kind,
    Object,
    Reader,
)
from tui.i18n import _

if TYPE_CHECKING:  # the survey holds a mesh
    from tui.core.survey import DataKit

__all__ = [
    "GATEWAY",
    "INSTANCES",
    "ISTIOD",
    "WORKLOAD",
    "Annotation",
    "Budget",
    "Collection",
    "Mesh",
    "Proxy",
    "Target",
    "discover",
    "look",
]

SYSTEM = "istio-system"
PROXY_CONTAINER = "istio-proxy"
ISTIOD_LABELS = "app=istiod"
ISTIOD_PORT, PROXY_PORT = 15014, 15020
ANNOTATION_PATH: fields.Path = ("spec", "template", "metadata", "annotations", INSTANCES)
# Namespaces listed one by one; beyond that one list of all pods is cheaper.
_FEW = 20


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget over a workload's pods: how many may be missing now."""

    name: str
    allowed: int


@dataclass(frozen=True)
class Proxy:
    """One pod with Envoy in it, or of istiod: where it can be scraped. `ready` is that container's."""

    name: str
    node: str
    ip: str
    ready: bool
    started: str = ""


@dataclass(frozen=True)
class Target:
    """Something whose pods are to be scraped: an istiod, a gateway, or a workload.

    `proxies` are its pods that have one (of istiod: all), `pods` the number of all. `object` is the Deployment, None
    for kinds that are not changed here. `service` is the Service through which one replica can be scraped, "" none.
    """

    role: str
    kind: str
    namespace: str
    name: str
    replicas: int = 0
    pods: int = 0
    proxies: tuple[Proxy, ...] = ()
    object: Object | None = None
    annotation: Annotation | None = None
    collected: tuple[Collection, ...] = ()
    budget: Budget | None = None
    revision: str = ""
    version: str = ""
    service: str = ""

    @property
    def key(self) -> str:
        """`namespace/name`, as the answers name it."""
        return f"{self.namespace}/{self.name}"

    @property
    def title(self) -> str:
        """Kind and name, as kubectl would write them."""
        return f"{self.kind} {self.key}"

    @property
    def ready(self) -> int:
        """How many of its pods have a proxy that is ready."""
        return sum(proxy.ready for proxy in self.proxies)

    @property
    def paused(self) -> bool:
        """Whether somebody paused its rollout."""
        return bool(self.object and self.object["spec"].get("paused"))

    @property
    def missing_at_once(self) -> int:
        """How many of its pods a rollout takes away before their successors are ready.

        As the Deployment controller counts (pkg/controller/deployment/util: ResolveFenceposts): surge is rounded up,
        unavailability down, and never are both none.
        """
        spec = self.object["spec"] if self.object else {}
        strategy: Object = spec.get("strategy") or {}
        if strategy.get("type") == "Recreate":
            return self.replicas
        rolling = strategy.get("rollingUpdate") or {}
        surge = _share(rolling.get("maxSurge", "25%"), self.replicas, up=True)
        missing = _share(rolling.get("maxUnavailable", "25%"), self.replicas, up=False)
        return missing if surge or missing else 1


@dataclass(frozen=True)
class Mesh:
    """All that was found. `injected` are namespaces whose new pods get a sidecar, each with how ("label" or the
    revision); `ambient` those without sidecars by design, which are out of scope. `monitors` are the Prometheus
    Operator's objects about Istio, which DataKit reads only where it is told to. `notes` say what could not be seen.
    """

    control: tuple[Target, ...] = ()
    gateways: tuple[Target, ...] = ()
    workloads: tuple[Target, ...] = ()
    injected: Mapping[str, str] = field(default_factory=dict)
    ambient: tuple[str, ...] = ()
    monitors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.control)

    @property
    def targets(self) -> tuple[Target, ...]:
        """istiod, gateways and workloads."""
        return (*self.control, *self.gateways, *self.workloads)

    @property
    def version(self) -> str:
        """The versions of istiod."""
        return ", ".join(sorted({one.version for one in self.control if one.version}))

    @property
    def sidecars(self) -> int:
        """How many pods of workloads have a sidecar that is ready."""
        return sum(one.ready for one in self.workloads)

    def workload(self, key: str) -> Target | None:
        """The workload of that `namespace/name`, a Deployment before other kinds."""
        found = [one for one in self.workloads if one.key == key]
        return next((one for one in found if one.object is not None), found[0] if found else None)


@dataclass(frozen=True)
class Seen:
    """The objects that tell of a mesh; what may not be read, or is not there, is empty."""

    namespaces: Sequence[Object] = ()
    deployments: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    services: Sequence[Object] = ()
    budgets: Sequence[Object] = ()
    monitors: Sequence[Object] = ()


def look(cluster: Reader, datakit: DataKit, config: Object | None) -> Mesh:
    """The mesh of a cluster; an empty one costs a single request. `config` is the ConfigMap datakit-conf.

    What may not be read is told in the notes. Raises UnreachableError.
    """
    notes: list[str] = []
    whole = True
    try:
        found = cluster.list(DEPLOYMENT, "", labels=ISTIOD_LABELS)
    except ForbiddenError:
        whole = False
        try:
            found = cluster.list(DEPLOYMENT, SYSTEM, labels=ISTIOD_LABELS)
        except (ForbiddenError, NotFoundError):
            note = _("Deployments may not be listed: whether there is a mesh is not known.")
            return Mesh(notes=(note,))
    except NotFoundError:
        return Mesh()
    if not found:
        return Mesh()

    def listed(kind: Kind, namespace: str = "") -> list[Object]:
        try:
            return cluster.list(kind, namespace)
        except NotFoundError:
            return []  # no such kind here: ServiceMonitors where there is no Prometheus Operator
        except ForbiddenError:
            where = namespace or _("all namespaces")
            notes.append(_("You may not list {kind} in {where}.").format(kind=kind.plural, where=where))
            return []

    namespaces = listed(NAMESPACE)
    system = {item["metadata"]["namespace"] for item in found}
    wanted = sorted(system | {item["metadata"]["name"] for item in namespaces if _injection(item)})
    if whole and len(wanted) > _FEW:
        kinds = (DEPLOYMENT, POD, SERVICE, POD_DISRUPTION_BUDGET)
        asked = [(kind, "") for kind in kinds]
    else:
        asked = [(kind, name) for name in wanted for kind in (DEPLOYMENT, POD, SERVICE, POD_DISRUPTION_BUDGET)]
    asked += [(POD_MONITOR, ""), (SERVICE_MONITOR, "")]
    objects: dict[Kind, list[Object]] = {}
    for (kind, _where), answer in zip(asked, each(asked, lambda one: listed(*one)), strict=True):
        if isinstance(answer, WizardError):
            raise answer
        # With one list of all namespaces, those outside the mesh are left out again.
        fits = kind in (POD_MONITOR, SERVICE_MONITOR)
        objects.setdefault(kind, []).extend(i for i in answer if fits or i["metadata"]["namespace"] in wanted)
    seen = Seen(
        namespaces,
        objects[DEPLOYMENT] or found,
        objects[POD],
        objects[SERVICE],
        objects[POD_DISRUPTION_BUDGET],
        [*objects[POD_MONITOR], *objects[SERVICE_MONITOR]],
    )
    return replace(discover(seen, datakit, config), notes=tuple(sorted(notes)))


def discover(seen: Seen, datakit: DataKit, config: Object | None) -> Mesh:
    """What these objects tell, without asking anybody."""
    read, monitors = by_monitors(seen.monitors, datakit)
    scraped = Scraped(by_confs(datakit, config), (*by_discovery(datakit, config), *read))
    pods = [_Pod.of(pod) for pod in seen.pods if _lives(pod)]
    injected = {i["metadata"]["name"]: how for i in seen.namespaces if (how := _injection(i))}
    control, gateways, workloads = [], [], []
    claimed: set[tuple[str, str, str]] = set()
    for item in seen.deployments:
        owner = (item["metadata"]["namespace"], "Deployment", item["metadata"]["name"])
        claimed.add(owner)
        mine = [pod for pod in pods if pod.owner == owner]
        role = _role(item)
        target = _target(role, item, mine, seen, scraped)
        if role == ISTIOD:
            control.append(target)
        elif role == GATEWAY:
            gateways.append(target)
        elif owner[0] in injected or target.proxies or _asks(item):
            workloads.append(target)
    for owner in dict.fromkeys(pod.owner for pod in pods if pod.proxy and pod.owner not in claimed):
        mine = [pod for pod in pods if pod.owner == owner]
        proxies = tuple(pod.proxy for pod in mine if pod.proxy)
        one = Target(WORKLOAD, owner[1], owner[0], owner[2], len(mine), len(mine), proxies)
        annotation = annotation_of(mine[0].object["metadata"], owner[0], ours=False)
        collected = (*by_annotation(annotation, one.title), *scraped.of(WORKLOAD, owner[0], owner[2]))
        workloads.append(replace(one, annotation=annotation, collected=collected))
    return Mesh(
        tuple(sorted(control, key=_place)),
        tuple(sorted(gateways, key=_place)),
        tuple(sorted(workloads, key=_place)),
        injected,
        tuple(sorted(i["metadata"]["name"] for i in seen.namespaces if _ambient(i))),
        tuple(monitors),
    )


def _place(target: Target) -> tuple[str, str]:
    return target.namespace, target.name


def _labels(item: Object) -> Mapping[str, str]:
    return item.get("metadata", {}).get("labels") or {}


def _injection(namespace: Object) -> str:
    """How new pods of a namespace get their sidecar: "label", a revision, or "" not at all."""
    labels = _labels(namespace)
    if labels.get("istio-injection") == "disabled" or _ambient(namespace):
        return ""
    return "label" if labels.get("istio-injection") == "enabled" else labels.get("istio.io/rev", "")


def _ambient(namespace: Object) -> bool:
    return _labels(namespace).get("istio.io/dataplane-mode") == "ambient"


def _template(item: Object) -> Object:
    template: Object = item.get("spec", {}).get("template", {})
    return template


def _asks(item: Object) -> bool:
    """Whether a Deployment's own template asks for a sidecar, whatever its namespace says."""
    metadata = _template(item).get("metadata") or {}
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    return marks.get("sidecar.istio.io/inject") == "true"


def _role(item: Object) -> str:
    if _labels(item).get("app") == "istiod":
        return ISTIOD
    template = _template(item)
    labels = _labels(template)
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    if "gateway.networking.k8s.io/gateway-name" in labels or "istio.io/gateway-name" in labels:
        return GATEWAY
    if annotations.get("inject.istio.io/templates") == "gateway" or labels.get("istio", "").endswith("gateway"):
        return GATEWAY
    proxies = [c for c in template.get("spec", {}).get("containers", []) if c["name"] == PROXY_CONTAINER]
    return GATEWAY if any("router" in (c.get("args") or ()) for c in proxies) else WORKLOAD


def _target(role: str, item: Object, pods: Sequence[_Pod], seen: Seen, scraped: Scraped) -> Target:
    metadata, template = item["metadata"], _template(item)
    namespace, name = metadata["namespace"], metadata["name"]
    item = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, **item}
    ours = (FIELD_MANAGER, "Apply") in fields.owners(item, ANNOTATION_PATH)
    annotation = annotation_of(template.get("metadata") or {}, namespace, ours=ours)
    proxies = tuple(p for pod in pods if (p := pod.whole if role == ISTIOD else pod.proxy))
    port = ISTIOD_PORT if role == ISTIOD else PROXY_PORT
    service = _service(namespace, _labels(template), seen.services, port)
    title = f"Deployment {namespace}/{name}"
    discovery = [c for c in template.get("spec", {}).get("containers", []) if c["name"] == "discovery"]
    return Target(
        role=role,
        kind=DEPLOYMENT.kind,
        namespace=namespace,
        name=name,
        replicas=int(item["spec"].get("replicas", 1)),
        pods=len(pods),
        proxies=proxies,
        object=item,
        annotation=annotation,
        collected=(*by_annotation(annotation, title), *scraped.of(role, namespace, service or name)),
        budget=_budget(namespace, _labels(template), seen.budgets),
        revision=_labels(item).get("istio.io/rev", "") if role == ISTIOD else "",
        version=_tag(discovery[0].get("image", "")) if discovery else "",
        service=service,
    )


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _service(namespace: str, labels: Mapping[str, str], services: Sequence[Object], port: int) -> str:
    for item in services:
        spec = item.get("spec", {})
        selector: Mapping[str, str] = spec.get("selector") or {}
        fits = item["metadata"]["namespace"] == namespace and selector and selector.items() <= labels.items()
        if fits and any(one.get("port") == port for one in spec.get("ports") or ()):
            return str(item["metadata"]["name"])
    return ""


def _budget(namespace: str, labels: Mapping[str, str], budgets: Sequence[Object]) -> Budget | None:
    """The tightest budget over pods with these labels."""
    found = [
        Budget(item["metadata"]["name"], int(item.get("status", {}).get("disruptionsAllowed", 0)))
        for item in budgets
        if item["metadata"]["namespace"] == namespace and _selects(item["spec"].get("selector"), labels)
    ]
    return min(found, key=lambda one: one.allowed, default=None)


def _selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels (policy/v1: an empty one takes every pod, none takes no pod)."""
    if selector is None:
        return False
    for want in selector.get("matchExpressions") or ():
        there, values = labels.get(want["key"]), want.get("values") or ()
        met = {
            "In": there in values,
            "NotIn": there not in values,
            "Exists": there is not None,
            "DoesNotExist": there is None,
        }
        if not met.get(want["operator"], False):
            return False
    return dict(selector.get("matchLabels") or {}).items() <= labels.items()


def _share(value: object, replicas: int, *, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        parts = replicas * int(value[:-1])
        return -(-parts // 100) if up else parts // 100
    return int(str(value))


def _lives(pod: Object) -> bool:
    phase = pod.get("status", {}).get("phase")
    return phase not in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp")


@dataclass(frozen=True)
class _Pod:
    """A pod, whose it is (namespace, kind and name of the top owner), and its proxy."""

    object: Object
    owner: tuple[str, str, str]
    proxy: Proxy | None

    @classmethod
    def of(cls, pod: Object) -> _Pod:
        spec = pod.get("spec", {})
        has = any(c["name"] == PROXY_CONTAINER for c in [*spec.get("containers", []), *spec.get("initContainers", [])])
        return cls(pod, _owner(pod), _proxy(pod, PROXY_CONTAINER) if has else None)

    @property
    def whole(self) -> Proxy:
        """The pod as a target of its own."""
        return _proxy(self.object, "")


def _proxy(pod: Object, container: str) -> Proxy:
    status = pod.get("status", {})
    states = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    own = [one for one in states if not container or one.get("name") == container]
    return Proxy(
        pod["metadata"]["name"],
        pod.get("spec", {}).get("nodeName", ""),
        status.get("podIP", ""),
        bool(own) and all(one.get("ready") for one in own),
        status.get("startTime", "") or "",
    )


def _owner(pod: Object) -> tuple[str, str, str]:
    """Namespace, kind and name of what made a pod: of a ReplicaSet its Deployment or Rollout, by the label of its hash.

    A ReplicaSet's name is its owner's with that hash (kubernetes pkg/controller/deployment, argo-rollouts alike).
    """
    metadata = pod["metadata"]
    namespace, labels = metadata["namespace"], _labels(pod)
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller", True)), None)
    if owner is None:
        return namespace, "Pod", metadata["name"]
    name = str(owner["name"])
    if owner["kind"] == "ReplicaSet":
        for label, kind in (("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")):
            if label in labels:
                return namespace, kind, name.removesuffix(f"-{labels[label]}")
    return namespace, str(owner["kind"]), name
