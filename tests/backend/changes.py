"""A DataKit on a bare control plane, and apply and undo on it as the command line would run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tui.backend.cluster import KubernetesCluster
from tui.core import actions
from tui.core import undo as undoing
from tui.core.answers import Answers, ClusterAnswers, EtcdAnswers
from tui.core.plan import Plan, make_plan
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Cluster, Object
from tui.core.receipts import Receipt, Store
from tui.core.survey import Survey, find_datakit, survey

VENDOR = "kubectl-client-side-apply"
CONF = '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  source = "etcd"\n  interval = "30s"\n'
OTHER_CONF = CONF.replace("30s", "60s")
NEIGHBOUR = "# container.conf, which is not ours\n"
NAME = "production"
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


class Rolling:
    """The cluster, with what a DaemonSet's controller and kubelets do: whoever waits for a rollout sees it happen."""

    def __init__(self, inner: Cluster) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def wait_rollout(self, namespace: str, name: str, generation: int, **options: Any) -> Any:
        roll_out(self._inner, namespace, name)
        return self._inner.wait_rollout(namespace, name, generation, **options)


def roll_out(cluster: Cluster, namespace: str, name: str = "datakit") -> None:
    """Write the status that the controller writes when every node runs the newest template."""
    assert isinstance(cluster, KubernetesCluster)
    generation = cluster.get(DAEMON_SET, namespace, name)["metadata"]["generation"]
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    status = {**dict.fromkeys(counts, 2), "numberReady": 2, "numberMisscheduled": 0, "observedGeneration": generation}
    cluster._ask(
        "patch",
        f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}/status",
        name,
        body={"status": status},
        content_type="application/merge-patch+json",
        query=[("fieldManager", "kube-controller-manager")],
        writing=True,
    )


@dataclass
class Place:
    """A namespace with DataKit in it, seen through one client, with a folder of receipts."""

    cluster: Any  # a Cluster, perhaps one that fails
    namespace: str
    store: Store
    said: list[str] = field(default_factory=list)

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

    def plan(self, conf: str = CONF, *, forced: tuple[str, ...] = (), name: str = NAME) -> Plan:
        return make_plan(self.cluster, self.look(), self.answers(conf, name), forced=forced)

    def apply(self, conf: str = CONF, *, forced: tuple[str, ...] = (), name: str = NAME) -> Receipt:
        return self.carry_out(self.plan(conf, forced=forced, name=name))

    def carry_out(self, plan: Plan) -> Receipt:
        return actions.apply(Rolling(self.cluster), plan, None, self.store, on_event=self._say)

    def undo(self, receipt: Receipt | None = None) -> Receipt:
        look = self.look()
        chosen = receipt or self.store.newest(look.uid, self.namespace)
        assert chosen is not None, "nothing to undo"
        return undoing.undo(Rolling(self.cluster), chosen, None, self.store, on_event=self._say)

    def _say(self, event: actions.Event) -> None:
        self.said.append(f"{event.step}: {event.text}")

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
