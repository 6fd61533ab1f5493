"""A small world in memory behind the ports: four nodes, one etcd member, DataKit on each node, a studio.

It answers at once and holds real-looking objects, so that core and screens run as they do on a cluster.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.screens import live_answers
from tui.core.errors import (
    ConflictError,
    FieldConflict,
    ForbiddenError,
    NotFoundError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import (
    Access,
    AgentInputs,
    Answer,
    Applied,
    Ask,
    Budget,
    Certificate,
    CertificateFile,
    Context,
    Dashboard,
    ExecResult,
    Feed,
    Kind,
    NodeCertificates,
    Object,
    Rollout,
    Row,
    Series,
    Workspace,
)
from tui.core.prom import lineprotocol
from tui.core.prom.collector import Scrape
from tui.core.prom.preview import preview
from tui.core.survey import DataKit, optional_rights, wanted_rights
from tui.lab.apiserver.labels import parse

# The class below has a method `list`, so its annotations cannot say it.
Rows = list[Row]

SAMPLE = Path(__file__).parents[2] / "assets" / "samples" / "etcd-3.4.txt"
API_KEY = "sk_planted_0123456789abcdef"
NODES = ("cp-1", "worker-1", "worker-2", "worker-3")
CONF_PATH = "/usr/local/datakit/conf.d/etcd/etcd.conf"


def _meta(name: str, namespace: str = "", **more: Any) -> Object:
    return {
        "name": name,
        "uid": f"uid-{namespace}-{name}",
        "resourceVersion": "1",
        **({"namespace": namespace} if namespace else {}),
        **more,
    }


def _node(name: str) -> Object:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    if name.startswith("cp"):
        labels["node-role.kubernetes.io/control-plane"] = ""
    number = NODES.index(name) + 10
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _meta(
            name,
            labels=labels,
            annotations={"kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd"},
        ),
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"172.16.0.{number}"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2"},
        },
    }


def _etcd_pod() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(
            "etcd-cp-1",
            "kube-system",
            labels={"component": "etcd", "tier": "control-plane"},
            annotations={"kubeadm.kubernetes.io/etcd.advertise-client-urls": "https://172.16.0.10:2379"},
        ),
        "spec": {
            "nodeName": "cp-1",
            "containers": [
                {
                    "name": "etcd",
                    "command": [
                        "etcd",
                        "--advertise-client-urls=https://172.16.0.10:2379",
                        "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
                        "--listen-client-urls=https://127.0.0.1:2379,https://172.16.0.10:2379",
                        "--listen-metrics-urls=http://127.0.0.1:2381",
                        "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
                    ],
                }
            ],
        },
        "status": {"hostIP": "172.16.0.10", "phase": "Running"},
    }


def _daemon_set(cluster_name: str) -> Object:
    env = [
        {"name": "ENV_K8S_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "ENV_CLUSTER_NAME_K8S", "value": cluster_name},
        {"name": "ENV_GLOBAL_HOST_TAGS", "value": "host=__datakit_hostname,host_ip=__datakit_ip"},
        {"name": "ENV_ENABLE_ELECTION", "value": "enable"},
        {"name": "ENV_DEFAULT_ENABLED_INPUTS", "value": "cpu,disk,mem,system,container"},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _meta("datakit", "datakit", labels={"app": "daemonset-datakit"}, generation=1),
        "spec": {
            "selector": {"matchLabels": {"app": "daemonset-datakit"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"app": "daemonset-datakit"}},
                "spec": {
                    "containers": [
                        {
                            "name": "datakit",
                            "image": "pubrepo.guance.com/datakit/datakit:1.84.1",
                            "env": env,
                            "volumeMounts": [{"mountPath": "/rootfs", "name": "rootfs"}],
                        }
                    ],
                    "volumes": [
                        {"name": "rootfs", "hostPath": {"path": "/", "type": ""}},
                        {"name": "datakit-conf", "configMap": {"name": "datakit-conf", "defaultMode": 420}},
                    ],
                },
            },
        },
        "status": {"desiredNumberScheduled": 4, "numberReady": 4},
    }


def merged(live: Any, body: Any) -> Any:
    """`body` merged into `live` as server-side apply does: maps by key, lists of objects by name or mountPath."""
    if isinstance(live, dict) and isinstance(body, dict):
        out = dict(live)
        for key, value in body.items():
            out[key] = merged(live[key], value) if key in live else copy.deepcopy(value)
        return out
    if isinstance(live, list) and isinstance(body, list) and all(isinstance(i, dict) for i in [*live, *body]):
        out_list = [copy.deepcopy(item) for item in live]
        for item in body:
            key = "mountPath" if "mountPath" in item else "name"
            found = next((n for n, old in enumerate(out_list) if old.get(key) == item.get(key)), None)
            if found is None:
                out_list.append(copy.deepcopy(item))
            else:
                out_list[found] = merged(out_list[found], item)
        return out_list
    return copy.deepcopy(body)


def _hold(daemon_set: Object, body: Object, manager: str) -> None:
    """The one field whose owner matters here: the update strategy, which goes back to its default when it is let go."""
    if "updateStrategy" in body.get("spec", {}):
        fields = {"f:spec": {"f:updateStrategy": {"f:type": {}}}}
        entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields}
        daemon_set["metadata"]["managedFields"] = [entry]
    elif daemon_set["metadata"].pop("managedFields", None):
        daemon_set["spec"]["updateStrategy"] = {**daemon_set["spec"]["updateStrategy"], "type": "RollingUpdate"}


@dataclass
class World:
    """What the fakes share. Each `refuse_…`/`conflict` is a refusal that a test switches on."""

    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    granted: Callable[[Access], bool] = lambda _access: True
    contexts: list[Context] = field(default_factory=list)
    kubeconfig_error: WizardError | None = None
    connect_error: WizardError | None = None
    conflict: FieldConflict | None = None
    conflict_on: str = "ConfigMap"
    key: str = API_KEY
    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    templates: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    time_scale: float = 1.0
    scrapes: int = 0
    budget: Budget = field(default_factory=lambda: Budget(18, 20, 0.0))
    requests: list[str] = field(default_factory=list)  # to the studio, queries left out
    held: bool = False  # a rollout stands still until somebody cancels it
    gate: Callable[[], None] = lambda: None  # called before each answer of the cluster
    asked: list[list[Ask]] = field(default_factory=list)  # each request of a live view
    answer: Callable[[Sequence[Ask], int], list[Answer]] = live_answers.answers

    @classmethod
    def fresh(cls, cluster_name: str = "lab") -> World:
        """The world before the wizard did anything."""
        world = cls()
        world.contexts = [
            Context("admin@prod", "prod", "https://172.16.0.10:6443", "admin", current=True),
            Context("viewer@prod", "prod", "https://172.16.0.10:6443", "viewer"),
            Context(
                "broken@old",
                "old",
                "https://10.0.0.9:6443",
                "nobody",
                problem="the certificate file is missing",
            ),
        ]
        for item in [*map(_node, NODES), _etcd_pod(), _daemon_set(cluster_name)]:
            world.put(item)
        world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": _meta("kube-system")})
        world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": _meta("datakit")})
        world.put(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": _meta("datakit-conf", "datakit"),
                "data": {"container.conf": "[inputs.container]\n", "zipkin.conf": "[[inputs.zipkin]]\n"},
            }
        )
        world.roll()
        return world

    def put(self, item: Object) -> None:
        """Store an object under its kind, namespace and name."""
        metadata = item["metadata"]
        self.objects[item["kind"], metadata.get("namespace", ""), metadata["name"]] = item

    @property
    def conf(self) -> str:
        """The etcd.conf that the pods hold now, "" for none."""
        template = self.objects["DaemonSet", "datakit", "datakit"]["spec"]["template"]["spec"]
        mounted = any(m["mountPath"] == CONF_PATH for m in template["containers"][0]["volumeMounts"])
        data = self.objects["ConfigMap", "datakit", "datakit-conf"]["data"]
        return str(data.get("etcd.conf", "")) if mounted else ""

    def roll(self) -> None:
        """New DataKit pods on all nodes, from the template as it is now."""
        daemon_set = self.objects["DaemonSet", "datakit", "datakit"]
        counts = (
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "updatedNumberScheduled",
            "numberReady",
            "numberAvailable",
        )
        generation = daemon_set["metadata"]["generation"]
        daemon_set["status"] = {**dict.fromkeys(counts, len(NODES)), "observedGeneration": generation}
        for node in NODES:
            template = copy.deepcopy(daemon_set["spec"]["template"])
            self.put(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": _meta(
                        f"datakit-{node.replace('-', '')}",
                        "datakit",
                        labels={
                            "app": "daemonset-datakit",
                            "pod-template-generation": str(daemon_set["metadata"]["generation"]),
                        },
                        annotations=template["metadata"].get("annotations", {}),
                        creationTimestamp="2026-01-01T00:00:00Z",
                        ownerReferences=[
                            {
                                "kind": "DaemonSet",
                                "name": "datakit",
                                "uid": daemon_set["metadata"]["uid"],
                                "controller": True,
                            }
                        ],
                    ),
                    "spec": {**template["spec"], "nodeName": node},
                    "status": {
                        "phase": "Running",
                        "startTime": "2026-01-01T00:00:00Z",
                        "conditions": [{"type": "Ready", "status": "True"}],
                        "containerStatuses": [{"name": "datakit", "ready": True, "restartCount": 0}],
                    },
                }
            )


def _row(item: Object) -> Row:
    """An object as `kubectl get -o wide` shows it, as far as the wizard reads it."""
    metadata, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    cells: dict[str, Any] = {"Name": metadata["name"]}
    if item["kind"] == "Node":
        info = status.get("nodeInfo", {})
        cells |= {"Version": info.get("kubeletVersion", ""), "OS-Image": info.get("osImage", "")}
        cells |= {"Internal-IP": status["addresses"][0]["address"]}
        roles = [label.rpartition("/")[2] for label in metadata["labels"] if label.startswith("node-role.")]
        cells |= {"Roles": ",".join(roles) or "<none>"}
    if item["kind"] == "Pod":
        states = status.get("containerStatuses", [])
        ready = f"{sum(each['ready'] for each in states)}/{len(states)}"
        cells |= {"Ready": ready, "Status": status.get("phase", ""), "Node": spec.get("nodeName", "<none>")}
    return Row(cells, metadata)


class FakeReader:
    """ports.Reader over the world's objects."""

    def __init__(self, world: World, context: Context) -> None:
        self.world = world
        self.context = context.name
        self.server = context.server
        self.user = context.user
        self.time_scale = world.time_scale

    def _may(self, access: Access) -> bool:
        if self.user == "viewer" and (access.verb in ("patch", "create", "update") or access.subresource == "exec"):
            return False
        return self.world.granted(access)

    def _check(self, verb: str, kind: Kind, namespace: str, name: str = "", subresource: str = "") -> None:
        self.world.gate()
        if self.world.connect_error is not None:
            raise self.world.connect_error
        access = Access(verb, kind, namespace, name, subresource)
        if not self._may(access):
            raise ForbiddenError(
                f"The API server denied: {access}",
                object=f"{namespace}/{name}",
                why="RBAC",
                remedy="Ask for it.",
            )

    def whoami(self) -> str:
        return self.user

    def version(self) -> str:
        self.world.gate()
        return "v1.36.2"

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._check("get", kind, namespace, name)
        try:
            return copy.deepcopy(self.world.objects[kind.kind, namespace, name])
        except KeyError:
            raise NotFoundError(f"{kind.kind} {namespace}/{name} does not exist") from None

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        self._check("list", kind, namespace)
        wanted = parse(labels)
        found = [
            copy.deepcopy(item)
            for (kind_name, where, _name), item in self.world.objects.items()
            if kind_name == kind.kind and (not namespace or where == namespace)
        ]
        return [item for item in found if wanted(item["metadata"].get("labels") or {})]

    def table(self, kind: Kind, namespace: str = "", *, labels: str = "", sample: int = 0, whole: bool = False) -> Rows:
        return [_row(item) for item in self.list(kind, namespace, labels=labels)]

    def rules(self, namespace: str) -> Object:
        daemon_set = self.world.objects["DaemonSet", "datakit", "datakit"]
        rules = []
        datakit = DataKit(namespace, "datakit", "datakit", "", daemon_set)
        for access in [*wanted_rights(datakit), *optional_rights(datakit)]:
            if self._may(access):
                resource = access.kind.plural + (f"/{access.subresource}" if access.subresource else "")
                rules.append({"verbs": [access.verb], "apiGroups": [access.kind.group], "resources": [resource]})
        return {"resourceRules": rules, "incomplete": False}

    def allowed(self, wanted: Sequence[Access]) -> list[bool]:
        return [self._may(access) for access in wanted]

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 40,
    ) -> ExecResult:
        return ExecResult(b"", b"", 0)


class FakeCluster(FakeReader):
    """ports.Cluster over the world's objects."""

    def __init__(self, world: World, context: Context) -> None:
        super().__init__(world, context)
        self._context = context

    def reader(self) -> FakeReader:
        return FakeReader(self.world, self._context)

    def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Object,
        *,
        manager: str,
        dry_run: bool,
        force: bool = False,
    ) -> Applied:
        self._check("patch", kind, namespace, name)
        if self.world.conflict is not None and not force and kind.kind == self.world.conflict_on:
            raise ConflictError("Apply failed with 1 conflict", conflicts=[self.world.conflict], object=name)
        live = self.world.objects.get((kind.kind, namespace, name), {})
        after = merged(live, body)
        if kind.kind == "DaemonSet":
            _hold(after, body, manager)
        changed = after != live
        if not dry_run and changed:
            metadata = after["metadata"]
            metadata["resourceVersion"] = str(int(live.get("metadata", {}).get("resourceVersion", "0")) + 1)
            if "generation" in metadata:
                metadata["generation"] += 1
            self.world.put(after)
            self.world.writes.append(f"{kind.kind} {namespace}/{name}")
        return Applied(copy.deepcopy(after))

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, manager: str, dry_run: bool) -> Applied:
        raise NotImplementedError("undo is not part of the screens")

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        self._check("delete", kind, namespace, name)
        assert kind.kind == "Pod", "undo is not part of the screens"
        assert self.world.objects[kind.kind, namespace, name]["metadata"]["uid"] == uid
        self.world.writes.append(f"deleted {name}")
        self.world.objects[kind.kind, namespace, name]["metadata"]["uid"] = f"{uid}+"  # another of the same name

    def wait_rollout(
        self,
        namespace: str,
        name: str,
        generation: int,
        *,
        deadline_s: float,
        progress: Callable[[Rollout], None],
        cancelled: Callable[[], bool],
        replaced: Mapping[str, str] | None = None,
    ) -> Rollout:
        if replaced is not None:
            state = Rollout(len(replaced), len(replaced), len(replaced), True, dict.fromkeys(replaced, "ready"))
            progress(state)
            return state
        state = Rollout(4, 0, 4, False, {})
        progress(state)
        while self.world.held:
            if cancelled():
                return state
            time.sleep(0.01)
        for done in range(len(NODES) + 1):
            state = Rollout(4, done, 4, done == len(NODES), dict.fromkeys(NODES[:done], "ready"))
            progress(state)
        self.world.roll()
        return state


class FakeAgent:
    """ports.Agent: the DataKit of one node."""

    def __init__(self, world: World, node: str, pod: str) -> None:
        self.world = world
        self.node = node
        self.pod = pod

    def version(self) -> str:
        return "1.84.1"

    def inputs(self) -> AgentInputs:
        loaded = {CONF_PATH: 1} if self.world.conf else {}
        return AgentInputs(
            loaded,
            {"prom": 1} if self.world.conf else {},
            "success" if self.node == "cp-1" else "defeat",
            "cp-1",
        )

    def host_tags(self) -> dict[str, str]:
        return {"host": self.node, "cluster_name_k8s": "lab"}

    def election_tags(self) -> dict[str, str]:
        return {}

    def feeds(self) -> dict[str, Feed]:
        own = {name: Feed(10.0, 100.0, time.time()) for name in ("container-metric", "k8s-metric")}
        return own | ({"prom.etcd": Feed(10.0, 100.0, time.time())} if self.world.conf else {})

    def uploads(self) -> dict[str, float]:
        return {"OK": 100.0}

    def file(self, path: str) -> bytes | None:
        return self.world.conf.encode() if path == CONF_PATH and self.world.conf else None

    def access(self, path: str) -> bool | None:
        return True

    def debug(self, conf: str, *, seconds: float) -> str:
        made = preview(conf, self.scrape, host_tags=self.host_tags(), election_tags={}, env=self.env, now_ms=0)
        told = f"# [metric] {len(made.points)} points, 1 time series from prom.etcd\n"
        return lineprotocol.encode(made.points) + told

    @property
    def env(self) -> dict[str, str]:
        return {"ENV_K8S_NODE_NAME": self.node}

    def scrape(self, url: str, *, ca: str = "", cert: str = "", key: str = "") -> Scrape:
        self.world.scrapes += 1
        if self.node != "cp-1" and "172.16.0.10" not in url:
            return Scrape(None, error="connection refused")
        return Scrape(SAMPLE.read_bytes())


class FakeCertificates:
    """ports.Certificates: the control plane has the files, the workers have none."""

    def read(self, agent: Any, *, ca: str, cert: str, key: str, url: str) -> NodeCertificates:
        present = agent.node == "cp-1"
        made = Certificate(
            "CN=kube-etcd-healthcheck-client",
            "CN=etcd-ca",
            (),
            ("clientAuth",),
            1.7e9,
            time.time() + 300 * 86400,
            False,
        )
        files = [
            CertificateFile(p, present, present, (made,) if present and not p.endswith("key") else ())
            for p in (ca, cert, key)
        ]
        return NodeCertificates(
            agent.node,
            *files,
            True if present else None,
            200 if present else 0,
            "" if present else "no such file",
        )


class FakeStudio:
    """ports.Studio: it answers each query with series that rise, once etcd.conf is mounted."""

    def __init__(self, world: World, endpoint: str, key: str) -> None:
        self.world = world
        self.endpoint = endpoint
        self._key = key

    def workspace(self) -> Workspace:
        self.world.requests.append("workspace")
        if self._key != self.world.key:
            raise UnreachableError(
                "The studio rejected the key.",
                object=self.endpoint,
                why="ft.InvalidAPIKey",
                remedy="Check it.",
            )
        return Workspace("wksp_1", "Practice")

    def query(self, queries: Sequence[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        if not self.world.conf:
            return [[] for _query in queries]
        now = time.time() * 1000
        tags = {"instance": "cp-1:2381", "host": "cp-1"}
        if "cluster_name_k8s" in self.world.conf:  # host tags do not reach points that are collected under election
            tags["cluster_name_k8s"] = "lab"
        rows = tuple((now - 60_000 * (9 - n), 100.0 + 3 * n) for n in range(10))
        own = [Series({"host": n, "node": n, "cluster_name_k8s": "lab"}, ("time", "value"), rows[-1:]) for n in NODES]
        inputs = ("docker_containers", "kube_")
        return [
            own if any(name in query for name in inputs) else [Series(tags, ("time", "value"), rows)]
            for query in queries
        ]

    def answers(self, asks: Sequence[Ask], *, start_ms: int, end_ms: int) -> list[Answer]:
        self.world.asked.append(list(asks))
        return self.world.answer(asks, end_ms)

    def budget(self) -> Budget:
        return self.world.budget

    def find_dashboard(self, uuid: str) -> Dashboard | None:
        self.world.requests.append("find_dashboard")
        return self.world.dashboards.get(uuid)

    def dashboards(self, search: str = "", *, most: int | None = None) -> list[Dashboard]:
        self.world.requests.append("dashboards")
        return [d for d in self.world.dashboards.values() if search in d.name][:most]

    def create_dashboard(
        self,
        uuid: str,
        name: str,
        template: Mapping[str, Any],
        *,
        identifier: str,
        desc: str = "",
        tags: Sequence[str] = (),
    ) -> Dashboard:
        self.world.requests.append("create_dashboard")
        made = Dashboard(uuid, name, identifier, desc=desc)
        self.world.dashboards[uuid] = made
        self.world.templates[uuid] = template
        self.world.writes.append(f"view {name}")
        return made

    def export_dashboard(self, uuid: str) -> dict[str, Any]:
        self.world.requests.append("export_dashboard")
        if uuid not in self.world.templates:
            raise NotFoundError("No such dashboard.", object=uuid)
        return copy.deepcopy(dict(self.world.templates[uuid]))

    def update_dashboard(
        self,
        uuid: str,
        name: str,
        template: Mapping[str, Any],
        *,
        identifier: str,
        desc: str = "",
        tags: Sequence[str] = (),
    ) -> Dashboard:
        self.world.requests.append("update_dashboard")
        return self.create_dashboard(uuid, name, template, identifier=identifier, desc=desc, tags=tags)

    def delete_dashboard(self, uuid: str) -> None:
        self.world.requests.append("delete_dashboard")
        del self.world.dashboards[uuid]
        del self.world.templates[uuid]

    def link(self, dashboard: Dashboard, variables: Mapping[str, str]) -> str:
        return f"https://console.example/scene/dashboard/{dashboard.uuid}"


class FakeClusters:
    """ports.Clusters: the kubeconfig."""

    def __init__(self, world: World) -> None:
        self.world = world

    def contexts(self) -> list[Context]:
        self.world.gate()
        if self.world.kubeconfig_error is not None:
            raise self.world.kubeconfig_error
        return list(self.world.contexts)

    def connect(self, context: str) -> FakeCluster:
        return FakeCluster(self.world, next(c for c in self.world.contexts if c.name == context))


class FakeBackend:
    """ports.Backend over one world."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World.fresh()

    def clusters(self) -> FakeClusters:
        return FakeClusters(self.world)

    def agent(self, cluster: Any, namespace: str, pod: str, node: str, container: str) -> FakeAgent:
        return FakeAgent(self.world, node, pod)

    def certificates(self) -> FakeCertificates:
        return FakeCertificates()

    def studio(self, endpoint: str, key: str, console: str = "") -> FakeStudio:
        return FakeStudio(self.world, endpoint, key)


def fresh_uuid() -> str:
    """A random uuid, for tests that need two different ones."""
    return str(uuid.uuid4())
