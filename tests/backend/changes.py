"""A DataKit on a bare control plane, and apply and undo on it as the command line would run them."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from tui.backend.cluster import KubernetesCluster
from tui.core import actions, hold
from tui.core import undo as undoing
from tui.core.answers import Answers, ClusterAnswers, EtcdAnswers
from tui.core.canary import Sight
from tui.core.plan import Plan, make_plan
from tui.core.ports import CONFIG_MAP, DAEMON_SET, POD, Cluster, Kind, Object
from tui.core.receipts import Receipt, Store
from tui.core.rollout import RolloutOptions
from tui.core.survey import Survey, find_datakit, survey

SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
VENDOR = "kubectl-client-side-apply"
CONF = '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  source = "etcd"\n  interval = "30s"\n'
OTHER_CONF = CONF.replace("30s", "60s")
NEIGHBOUR = "# container.conf, which is not ours\n"
NAME = "production"
MOUNTED = "mounted-text"  # a label that only these tests' pods have
ENV = '.spec.template.spec.containers[name="datakit"].env[name="ENV_CLUSTER_NAME_K8S"].value'
KEY = ".data.etcd.conf"


def vendor_daemon_set(namespace: str, **env: str) -> Object:
    """The vendor's DaemonSet as far as it matters here, whose name for the cluster is `default`."""
    labels = {"app": "daemonset-datakit"}
    values = {"ENV_CLUSTER_NAME_K8S": "default", "ENV_HTTP_LISTEN": "0.0.0.0:9529", **env}
    container = {
        "name": "datakit",
        "image": "registry.invalid/datakit:1.84.1",
        "env": [{"name": name, "value": value} for name, value in values.items()],
        "volumeMounts": [
            {"name": "rootfs", "mountPath": "/rootfs"},
            {
                "name": "datakit-conf",
                "mountPath": "/usr/local/datakit/conf.d/container/container.conf",
                "subPath": "container.conf",
            },
        ],
    }
    volumes = [
        {"name": "rootfs", "hostPath": {"path": "/"}},
        {"name": "datakit-conf", "configMap": {"name": "datakit-conf"}},
    ]
    return {
        "metadata": {"name": "datakit", "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}},
        },
    }


_OUT_S = 20.0


class Rolling:
    """The cluster, with what a DaemonSet's controller and kubelets do: whoever waits for a rollout sees it happen.

    With `nodes` there are pods too: the controller makes the missing ones from the template as it is, and under
    RollingUpdate replaces those that have another.
    """

    def __init__(self, inner: Cluster, nodes: tuple[str, ...] = (), controller: Any = None) -> None:
        self._inner = inner
        self._nodes = nodes
        self._controller = controller or inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def wait_rollout(self, namespace: str, name: str, generation: int, **options: Any) -> Any:
        roll_out(self._controller, namespace, name, self._nodes)
        # It is out by now: one that is not will never be.
        return self._inner.wait_rollout(namespace, name, generation, **{**options, "deadline_s": _OUT_S})


def roll_out(cluster: Cluster, namespace: str, name: str = "datakit", nodes: tuple[str, ...] = ()) -> None:
    """Do what the controller does until nothing is left to do, and write its status."""
    cluster = getattr(cluster, "_inner", cluster)  # the controller sees the API server as it is
    assert isinstance(cluster, KubernetesCluster)
    live = cluster.get(DAEMON_SET, namespace, name)
    generation = live["metadata"]["generation"]
    updated = sum(_keep_pod(cluster, live, node) for node in nodes) if nodes else 2
    desired = len(nodes) or 2
    counts = {
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": desired,
        "updatedNumberScheduled": updated,
        "numberAvailable": desired,
    }
    status = {**counts, "numberReady": desired, "numberMisscheduled": 0, "observedGeneration": generation}
    _patch_status(cluster, f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}", status)


def _keep_pod(cluster: KubernetesCluster, live: Object, node: str) -> bool:
    """One pod on a node, as the controller wants it; whether it has the current template."""
    namespace, wanted = live["metadata"]["namespace"], revision(live)
    pods = [pod for pod in cluster.list(POD, namespace, labels="app=daemonset-datakit") if node == pod_node(pod)]
    for pod in pods:
        has = pod["metadata"]["labels"]["controller-revision-hash"]
        if has == wanted or hold.strategy(live) == hold.ON_DELETE:
            return bool(has == wanted)
        cluster.delete(POD, namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
    add_pod(cluster, live, node)
    return True


def revision(live: Object) -> str:
    """Going back to an earlier template goes back to its revision."""
    return hashlib.sha256(json.dumps(live["spec"]["template"], sort_keys=True).encode()).hexdigest()[:10]


def text_mark(text: str) -> str:
    """A text of the conf as a label of the pods that came up with it; a subPath mount shows no later one."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def pod_node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName", ""))


def add_pod(cluster: KubernetesCluster, live: Object, node: str) -> None:
    """A ready DataKit pod on a node."""
    metadata = live["metadata"]
    name = f"datakit-{secrets.token_hex(4)}"
    there = cluster.list(CONFIG_MAP, metadata["namespace"], fields="metadata.name=datakit-conf")
    text = there[0].get("data", {}).get("etcd.conf", "") if there else ""
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": metadata["name"], "uid": metadata["uid"]}
    container = {"name": "datakit", "image": "registry.invalid/datakit:1.84.1"}
    body = {
        "metadata": {
            "labels": {
                "app": "daemonset-datakit",
                MOUNTED: text_mark(text),
                "controller-revision-hash": revision(live),
                "pod-template-generation": metadata["annotations"]["deprecated.daemonset.template.generation"],
            },
            "ownerReferences": [{**owner, "controller": True}],
        },
        # No kubelet is there to end it, so that it goes at once.
        "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0},
    }
    create(cluster, POD, metadata["namespace"], name, body, "kube-controller-manager")
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{name}"
    state = {"name": "datakit", "ready": True, "restartCount": 0, "image": container["image"], "imageID": ""}
    running = {**state, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [running]}
    _patch_status(cluster, path, ready)


def _patch_status(cluster: KubernetesCluster, path: str, status: Object) -> None:
    cluster._ask(
        "patch",
        f"{path}/status",
        path,
        body={"status": status},
        content_type="application/merge-patch+json",
        query=[("fieldManager", "kube-controller-manager")],
        writing=True,
    )


def add_nodes(place: Place) -> None:
    """Three nodes with DataKit on each, the first two with a member of etcd."""
    assert isinstance(place.cluster, KubernetesCluster)
    for namespace in (place.namespace, "kube-system"):  # no pod without one
        place.cluster.apply(SERVICE_ACCOUNT, namespace, "default", {}, manager="setup", dry_run=False)
    place.nodes = tuple(f"{place.namespace}-{name}" for name in ("cp-1", "cp-2", "worker"))
    for node in place.nodes:
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
        place.cluster._ask("post", "/api/v1/nodes", node, body=body, writing=True)
    for node in place.nodes[:2]:
        labels = {"component": "etcd", "tier": "control-plane"}
        container = {"name": "etcd", "image": "registry.invalid/etcd", "command": ["etcd"]}
        pod = {"metadata": {"labels": labels}, "spec": {"nodeName": node, "containers": [container]}}
        create(place.cluster, POD, "kube-system", f"etcd-{node}", pod, "kubelet")
    roll_out(place.cluster, place.namespace, nodes=place.nodes)


@dataclass
class Place:
    """A namespace with DataKit in it, seen through one client, with a folder of receipts."""

    cluster: Any  # a Cluster, perhaps one that fails
    namespace: str
    store: Store
    said: list[str] = field(default_factory=list)
    nodes: tuple[str, ...] = ()
    controller: Any = None  # the client that the controllers write with; `cluster` where there is none

    def install(self, manager: str = VENDOR, **env: str) -> None:
        """What is there before us: the DaemonSet and a ConfigMap with a neighbour's key, by one manager."""
        data = {"data": {"container.conf": NEIGHBOUR}}
        for kind, name, body in (
            (CONFIG_MAP, "datakit-conf", data),
            (DAEMON_SET, "datakit", vendor_daemon_set(self.namespace, **env)),
        ):
            if manager in ("helm", "argocd-controller"):
                self.cluster.apply(kind, self.namespace, name, body, manager=manager, dry_run=False)
            else:
                create(self.cluster, kind, self.namespace, name, body, manager)

    def answers(self, conf: str = CONF, name: str = NAME) -> Answers:
        return Answers(
            cluster=ClusterAnswers(self.cluster.context, self.namespace, "datakit", name),
            etcd=EtcdAnswers(strategy="node-http", conf=conf),
        )

    def look(self) -> Survey:
        return survey(self.cluster, find_datakit(self.cluster, self.namespace)[0])

    def plan(self, conf: str = CONF, *, forced: tuple[str, ...] = (), name: str = NAME, **how: bool) -> Plan:
        options = RolloutOptions(**how)
        return make_plan(self.cluster, self.look(), self.answers(conf, name), forced=forced, rollout=options)

    def apply(self, conf: str = CONF, *, forced: tuple[str, ...] = (), name: str = NAME, **how: bool) -> Receipt:
        return self.carry_out(self.plan(conf, forced=forced, name=name, **how))

    def carry_out(self, plan: Plan, *, arrived: bool = True) -> Receipt:
        return actions.apply(
            Rolling(self.cluster, self.nodes, self.controller),
            plan,
            None,
            self.store,
            on_event=self._say,
            look=lambda node: Sight(node, arrived, "looked at"),
        )

    def undo(self, receipt: Receipt | None = None) -> Receipt:
        look = self.look()
        chosen = receipt or self.store.newest(look.uid, self.namespace)
        assert chosen is not None, "nothing to undo"
        return undoing.undo(
            Rolling(self.cluster, self.nodes, self.controller), chosen, None, self.store, on_event=self._say
        )

    def _say(self, event: actions.Event) -> None:
        self.said.append(f"{event.step}: {event.text}")

    def pods(self) -> dict[str, str]:
        """The uid of each node's pod, once the controller has done its work."""
        roll_out(self.cluster, self.namespace, nodes=self.nodes)
        found = self.cluster.list(POD, self.namespace, labels="app=daemonset-datakit")
        return {pod_node(pod): str(pod["metadata"]["uid"]) for pod in found}

    def objects(self, *, ownership: bool = True) -> dict[str, Any]:
        """Both objects without resourceVersion, generation, status and times, which every write changes."""
        found = {}
        for kind, name in ((CONFIG_MAP, "datakit-conf"), (DAEMON_SET, "datakit")):
            obj = self.cluster.get(kind, self.namespace, name)
            found[kind.kind] = comparable(obj, ownership=ownership)
        return found


def create(cluster: Cluster, kind: Any, namespace: str, name: str, body: Object, manager: str) -> None:
    """Create an object as kubectl or Helm 3 do: an Update of that manager."""
    assert isinstance(cluster, KubernetesCluster)
    whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
    whole["metadata"] = {"name": name, **body.get("metadata", {})}
    prefix = "apis" if kind.group else "api"
    path = f"/{prefix}/{kind.api_version}/namespaces/{namespace}/{kind.plural}"
    cluster._ask("post", path, name, body=whole, query=[("fieldManager", manager)], writing=True)


def comparable(obj: Object, *, ownership: bool = True) -> Object:
    """An object without what every write changes; with `ownership` its managedFields are kept, times left out."""
    skipped = {"resourceVersion", "generation", "managedFields"}
    metadata = {key: value for key, value in obj["metadata"].items() if key not in skipped}
    annotations = dict(metadata.pop("annotations", {}))
    annotations.pop("deprecated.daemonset.template.generation", None)
    entries = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in obj["metadata"].get("managedFields", [])
        if entry.get("subresource") != "status"
    ]
    made = {**{k: v for k, v in obj.items() if k != "status"}, "metadata": {**metadata, "annotations": annotations}}
    if ownership:
        made["metadata"]["managedFields"] = sorted(entries, key=lambda e: (e["manager"], e["operation"]))
    return made
