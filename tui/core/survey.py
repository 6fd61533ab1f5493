"""What is there before anything is changed: DataKit's DaemonSet, nodes, etcd, the conf, and what we may do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tui.core import mesh as istio
from tui.core import sites
from tui.core.errors import ForbiddenError, NotFoundError, RefusedError
from tui.core.mesh import Mesh
from tui.core.ports import (
    CONFIG_MAP,
    DAEMON_SET,
    NAMESPACE,
    NODE,
    POD,
    Access,
    Object,
    Reader,
    Row,
)
from tui.core.topology import Topology, discover, is_etcd_pod
from tui.i18n import _

CONFIG_MAP_NAME = "datakit-conf"
CLUSTER_TAG = "cluster_name_k8s"
# The labels and annotations that tell a distribution or a provider are on every node, so that a few will do.
_NODES_SAMPLE = 100


@dataclass(frozen=True)
class AgentPod:
    """The DataKit pod of one node."""

    node: str
    name: str
    ready: bool


@dataclass(frozen=True)
class DataKit:
    """A DaemonSet that runs DataKit. `env` are the container's plain values; `computed_env` names the others."""

    namespace: str
    name: str
    container: str
    image: str
    object: Object
    env: Mapping[str, str] = field(default_factory=dict)
    computed_env: frozenset[str] = frozenset()
    pods: tuple[AgentPod, ...] = ()


@dataclass(frozen=True)
class Survey:
    """One look at a cluster. `notes` say what could not be seen, and what follows from it.

    `rights` are what setting up and verifying need, `optional` what only some ways of it need: see `optional_rights`.
    """

    context: str
    server: str
    user: str
    uid: str
    version: str
    datakit: DataKit
    topology: Topology
    conf: Object | None
    rights: tuple[tuple[Access, bool], ...]
    cluster_name: str
    time_scale: float = 1.0
    notes: tuple[str, ...] = ()
    mesh: Mesh = field(default_factory=Mesh)
    optional: tuple[tuple[Access, bool], ...] = ()

    def may(self, access: Access) -> bool:
        """Whether the access review granted `access` (False where it was not asked)."""
        return (access, True) in self.rights

    @property
    def etcd_nodes(self) -> tuple[str, ...]:
        """Names of the nodes on which a member of etcd runs, as far as they are known."""
        return tuple(member.node for member in self.topology.members if member.node)


def _container(daemon_set: Object) -> Object | None:
    containers: list[Object] = daemon_set["spec"]["template"]["spec"].get("containers", [])
    for candidate in containers:
        image = candidate.get("image", "").rpartition("@")[0] or candidate.get("image", "")
        repository = image.rsplit("/", 1)[-1].split(":")[0]
        if candidate.get("name") == "datakit" or repository == "datakit":
            return candidate
    return None


def _datakit(cluster: Reader, daemon_set: Object) -> DataKit | None:
    container = _container(daemon_set)
    if container is None:
        return None
    metadata = daemon_set["metadata"]
    entries: list[Object] = container.get("env", [])
    return DataKit(
        namespace=metadata["namespace"],
        name=metadata["name"],
        container=container["name"],
        image=container.get("image", ""),
        object=daemon_set,
        env={e["name"]: e.get("value", "") for e in entries if "valueFrom" not in e},
        computed_env=frozenset(e["name"] for e in entries if "valueFrom" in e),
        pods=agent_pods(cluster, daemon_set),
    )


def selector(daemon_set: Object) -> str:
    """The DaemonSet's label selector in the form of a query (matchLabels only; matchExpressions are rare there)."""
    labels: Mapping[str, str] = daemon_set["spec"].get("selector", {}).get("matchLabels", {})
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def agent_pods(cluster: Reader, daemon_set: Object) -> tuple[AgentPod, ...]:
    """The DaemonSet's pods by node, those that are going away left out; empty where they may not be listed."""
    try:
        return list_agent_pods(cluster, daemon_set)
    except ForbiddenError:
        return ()


def list_agent_pods(cluster: Reader, daemon_set: Object) -> tuple[AgentPod, ...]:
    """The same. They are read as rows, for there may be thousands. Raises ForbiddenError."""
    metadata = daemon_set["metadata"]
    found = []
    for row in cluster.table(POD, metadata["namespace"], labels=selector(daemon_set)):
        status, node = str(row.cells.get("Status", "")), str(row.cells.get("Node", ""))
        if status == "Terminating" or not is_pod_of(metadata["name"], row.name):
            continue
        ready, _slash, containers = str(row.cells.get("Ready", "")).partition("/")
        is_ready = status == "Running" and ready == containers
        found.append(AgentPod("" if node == "<none>" else node, row.name, is_ready))
    return tuple(sorted(found, key=lambda pod: (pod.node, pod.name)))


def is_pod_of(daemon_set: str, pod: str) -> bool:
    """Whether a pod that the selector matches has a name that this DaemonSet gave it; rows do not name the owner.

    generateName is the DaemonSet's name and a dash, of which the API server keeps 58 characters, and the suffix that it
    adds has no dash (staging/src/k8s.io/apiserver/pkg/storage/names). So `datakit-gpu` has no pod of `datakit`'s.
    """
    begin = f"{daemon_set}-"[:58]
    return pod.startswith(begin) and "-" not in pod.removeprefix(begin)


def find_datakit(cluster: Reader, namespace: str = "") -> list[DataKit]:
    """Every DaemonSet that runs DataKit, found by container name or image, in one namespace or in all.

    Where listing all namespaces is forbidden, the vendor's namespace `datakit` is looked at. Raises NotFoundError with
    the vendor's install lines where there is none.
    """
    try:
        daemon_sets = cluster.list(DAEMON_SET, namespace)
    except ForbiddenError:
        if namespace:
            raise
        namespace = "datakit"
        daemon_sets = cluster.list(DAEMON_SET, namespace)
    found = [datakit for item in daemon_sets if (datakit := _datakit(cluster, item))]
    if found:
        return found
    if namespace:
        _require_namespace(cluster, namespace)
    where = _("namespace {name}").format(name=namespace) if namespace else _("all namespaces")
    raise NotFoundError(
        _("No DaemonSet runs DataKit here."),
        object=f"{cluster.context}, {where}",
        why=_("No DaemonSet has a container named datakit, or an image of that name."),
        remedy=_("Install DataKit first, or choose another namespace. The vendor's lines:"),
        command=install_lines(),
    )


def install_lines() -> str:
    """The vendor's own lines to install DataKit, for both brands."""
    shown = []
    for brand in sites.BRANDS:
        helm, _kubectl = sites.install_lines(brand)
        shown.append("\n".join((f"# {_(brand.name)}", *helm)))
    return "\n".join(shown)


def _require_namespace(cluster: Reader, namespace: str) -> None:
    try:
        cluster.get(NAMESPACE, "", namespace)
    except NotFoundError:
        raise NotFoundError(
            _("The namespace does not exist."),
            object=f"{cluster.context}, {namespace}",
            remedy=_("Choose a namespace of this cluster (--namespace); `kubectl get namespaces` lists them."),
            command=f"kubectl --context {cluster.context} get namespaces",
        ) from None
    except ForbiddenError:
        return


def host_cluster_name(env: Mapping[str, str]) -> str:
    """The value of `cluster_name_k8s` that host tags carry: ENV_CLUSTER_NAME_K8S overrides ENV_GLOBAL_HOST_TAGS.

    As DataKit 1.84.1 reads them (internal/config/env.go: LoadEnvs); ENV_GLOBAL_TAGS is the older name of the second.
    """
    if env.get("ENV_CLUSTER_NAME_K8S"):
        return env["ENV_CLUSTER_NAME_K8S"]
    return tag_list(env.get("ENV_GLOBAL_HOST_TAGS") or env.get("ENV_GLOBAL_TAGS", "")).get(CLUSTER_TAG, "")


def tag_list(text: str) -> dict[str, str]:
    """DataKit's `k=v,k=v`; an entry whose value holds another `=` is dropped, as DataKit does."""
    pairs = (entry.strip().split("=") for entry in text.split(","))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def wanted_rights(datakit: DataKit) -> list[Access]:
    """Each verb that setting up and verifying need, exactly as it will be used."""
    namespace = datakit.namespace
    return [
        Access("get", CONFIG_MAP, namespace, CONFIG_MAP_NAME),
        Access("patch", CONFIG_MAP, namespace, CONFIG_MAP_NAME),
        Access("get", DAEMON_SET, namespace, datakit.name),
        Access("patch", DAEMON_SET, namespace, datakit.name),
        Access("list", POD, namespace),
        Access("get", POD, namespace, subresource="exec"),
        Access("create", POD, namespace, subresource="exec"),
    ]


def optional_rights(datakit: DataKit) -> list[Access]:
    """Verbs without which only some ways are closed: deleting pods (one node first, etcd's nodes alone, pods under
    OnDelete, and undoing those), and taking away a ConfigMap that we made.
    """
    return [
        Access("delete", POD, datakit.namespace),
        Access("delete", CONFIG_MAP, datakit.namespace, CONFIG_MAP_NAME),
    ]


def exec_rights(datakit: DataKit) -> list[Access]:
    """The two verbs that exec over WebSocket needs (kube-apiserver 1.35 and later ask for both)."""
    return [access for access in wanted_rights(datakit) if access.subresource == "exec"]


def cluster_uid(cluster: Reader) -> str:
    """The uid of namespace kube-system, which stands for the cluster; where that is denied, the server's address.

    Receipts are kept under it, so that one answer of an authorizer that was away does not count: it is asked twice.
    """
    for _again in range(2):
        with contextlib.suppress(ForbiddenError):
            return str(cluster.get(NAMESPACE, "", "kube-system")["metadata"]["uid"])
    return cluster.server.removeprefix("https://").replace("/", "_").replace(":", "_")


def survey(cluster: Reader, datakit: DataKit, *, reviews: bool = True) -> Survey:
    """Look at everything that the plan depends on. Raises UnreachableError, or RefusedError where reading is denied.

    With `reviews` each right is asked for by itself, which is the verdict; else one rules review has to do.
    """
    notes: list[str] = []
    wanted, optional = wanted_rights(datakit), optional_rights(datakit)
    asked = [*wanted, *optional]
    granted = cluster.allowed(asked) if reviews else granted_by_rules(cluster, asked, datakit.namespace)
    nodes = _or_note(
        lambda: [node_of_row(row) for row in cluster.table(NODE, sample=_NODES_SAMPLE)],
        notes,
        _("Nodes may not be listed: where etcd runs is a guess, and counts are of pods."),
    )
    conf: Object | None
    try:
        conf = cluster.get(CONFIG_MAP, datakit.namespace, CONFIG_MAP_NAME)
    except NotFoundError:
        conf = None
    return Survey(
        context=cluster.context,
        server=cluster.server,
        user=_who(cluster),
        uid=cluster_uid(cluster),
        version=cluster.version(),
        datakit=datakit,
        topology=discover(nodes or [], _control_plane_pods(cluster, notes)),
        conf=conf,
        rights=tuple(zip(wanted, granted[: len(wanted)], strict=True)),
        cluster_name=host_cluster_name(datakit.env),
        time_scale=cluster.time_scale,
        notes=tuple(notes),
        mesh=istio.look(cluster, datakit, conf),
        optional=tuple(zip(optional, granted[len(wanted) :], strict=True)),
    )


def granted_by_rules(cluster: Reader, wanted: Sequence[Access], namespace: str) -> list[bool]:
    """Whether each right is in the rules of `namespace`; what an incomplete answer does not name is asked for."""
    answer = cluster.rules(namespace)
    rules = answer.get("resourceRules") or []
    found = [any(rule_grants(rule, access) for rule in rules) for access in wanted]
    missing = [access for access, granted in zip(wanted, found, strict=True) if not granted]
    if not missing or not answer.get("incomplete"):
        return found
    verdicts = dict(zip(missing, cluster.allowed(missing), strict=True))
    return [granted or verdicts[access] for access, granted in zip(wanted, found, strict=True)]


def rule_grants(rule: Object, access: Access) -> bool:
    """Whether one rule of RBAC grants a right (as plugin/pkg/auth/authorizer/rbac: RuleAllows)."""
    resource = access.kind.plural + (f"/{access.subresource}" if access.subresource else "")
    resources = {resource, "*", *([f"*/{access.subresource}"] if access.subresource else [])}
    names = rule.get("resourceNames") or []
    return (
        not {access.verb, "*"}.isdisjoint(rule.get("verbs") or [])
        and not {access.kind.group, "*"}.isdisjoint(rule.get("apiGroups") or [])
        and not resources.isdisjoint(rule.get("resources") or [])
        and (not names or access.name in names)
    )


def node_of_row(row: Row) -> Object:
    """What discovery needs of a node, from its row: roles, address, version, OS, and labels where the row has them.

    The labels of roles are the column Roles spelled out (pkg/printers: findNodeRoles).
    """
    cells, metadata = row.cells, row.metadata or {}
    roles = [role for role in str(cells.get("Roles", "")).split(",") if role and role != "<none>"]
    labels = {f"node-role.kubernetes.io/{role}": "" for role in roles} | (metadata.get("labels") or {})
    address = str(cells.get("Internal-IP", ""))
    return {
        "metadata": {"name": row.name, "labels": labels, "annotations": metadata.get("annotations") or {}},
        "status": {
            "addresses": [] if address in ("", "<none>") else [{"type": "InternalIP", "address": address}],
            "nodeInfo": {"kubeletVersion": cells.get("Version", ""), "osImage": cells.get("OS-Image", "")},
        },
    }


def _control_plane_pods(cluster: Reader, notes: list[str]) -> list[Object] | None:
    """The pods that tell where etcd is: etcd itself and the kube-apiserver; None where they may not be listed."""
    pods = _or_note(
        lambda: cluster.list(POD, "kube-system", labels="component in (etcd,kube-apiserver)"),
        notes,
        _("Pods of kube-system may not be listed: etcd is judged by the nodes' labels alone."),
    )
    if pods is not None and not any(is_etcd_pod(pod) for pod in pods):
        # OpenShift runs etcd in a namespace of its own; elsewhere this list is empty.
        with contextlib.suppress(ForbiddenError):
            pods = [*pods, *cluster.list(POD, "openshift-etcd")]
    return pods


def _or_note(read: Callable[[], list[Object]], notes: list[str], note: str) -> list[Object] | None:
    try:
        return read()
    except ForbiddenError:
        notes.append(note)
        return None


def _who(cluster: Reader) -> str:
    try:
        return cluster.whoami()
    except (RefusedError, NotFoundError):
        return ""
