"""Workloads of a mesh on a bare control plane, and apply and undo on them.

There is no Deployment controller: whoever looks at a Deployment has its status written first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from changes import comparable, create, roll_out

from tests.core.mesh_objects import pod as made_pod
from tui.backend.cluster import KubernetesCluster
from tui.core import actions
from tui.core import undo as undoing
from tui.core.answers import Answers, ClusterAnswers, IstioAnswers
from tui.core.errors import NotFoundError
from tui.core.mesh import INSTANCES, Mesh, Seen, discover
from tui.core.plan import Plan, make_plan
from tui.core.ports import CONFIG_MAP, DEPLOYMENT, Cluster, Object
from tui.core.receipts import Receipt, Store
from tui.core.survey import Survey, find_datakit, survey

VENDOR = "kubectl-client-side-apply"


class RollingDeployments:
    """The cluster, with what the Deployment controller does whenever somebody looks at one."""

    def __init__(self, inner: Cluster, controller: Any = None) -> None:
        self._inner = inner
        self._controller = controller or inner  # the client that the controllers write with

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def wait_rollout(self, namespace: str, name: str, generation: int, **options: Any) -> Any:
        roll_out(self._controller, namespace, name)
        return self._inner.wait_rollout(namespace, name, generation, **options)

    def get(self, kind: Any, namespace: str, name: str) -> Object:
        if kind == DEPLOYMENT:
            self._roll_out(namespace, name)
        return self._inner.get(kind, namespace, name)

    def _roll_out(self, namespace: str, name: str) -> None:
        assert isinstance(self._controller, KubernetesCluster)
        live = self._controller.get(DEPLOYMENT, namespace, name)
        counts = dict.fromkeys(
            ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), live["spec"]["replicas"]
        )
        self._controller._ask(
            "patch",
            f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status",
            name,
            body={"status": {**counts, "observedGeneration": live["metadata"]["generation"]}},
            content_type="application/merge-patch+json",
            query=[("fieldManager", "kube-controller-manager")],
            writing=True,
        )


@dataclass
class MeshPlace:
    """A namespace with DataKit, an istiod and workloads in it, whose pods are made up."""

    cluster: Any
    namespace: str
    store: Store
    said: list[str] = field(default_factory=list)
    services: list[Object] = field(default_factory=list)
    controller: Any = None  # the client that the controllers write with; `cluster` where there is none

    def put(self, one: Object, manager: str = VENDOR) -> None:
        metadata = {key: one["metadata"][key] for key in ("name", "labels")}
        create(self.cluster, DEPLOYMENT, self.namespace, one["metadata"]["name"],
               {"metadata": metadata, "spec": one["spec"]}, manager)  # fmt: skip

    def mesh(self) -> Mesh:
        """The mesh, with a ready sidecar in a pod of each workload."""
        found = find_datakit(self.cluster, self.namespace)[0]
        live = self.cluster.list(DEPLOYMENT, self.namespace)
        pods = [made_pod(one) for one in live]
        space = {"metadata": {"name": self.namespace, "labels": {"istio-injection": "enabled"}}}
        return discover(Seen([space], live, pods, self.services), found, self.config())

    def config(self) -> Object | None:
        try:
            return self.cluster.get(CONFIG_MAP, self.namespace, "datakit-conf")
        except NotFoundError:
            return None

    def look(self) -> Survey:
        return survey(self.cluster, find_datakit(self.cluster, self.namespace)[0])

    def plan(self, *names: str, preset: str = "lean", replaced: bool = True) -> Plan:
        keys = tuple(f"{self.namespace}/{name}" for name in names)
        seen = self.look()
        given = IstioAnswers(preset, keys, keys if replaced else ())
        answers = Answers(ClusterAnswers(self.cluster.context, self.namespace, name="lab"), istio=given)
        return make_plan(self.cluster, replace(seen, mesh=self.mesh()), answers)

    def apply(self, plan: Plan) -> Receipt:
        return actions.apply(
            RollingDeployments(self.cluster, self.controller), plan, None, self.store, on_event=self._say
        )

    def undo(self, receipt: Receipt) -> Receipt:
        return undoing.undo(
            RollingDeployments(self.cluster, self.controller), receipt, None, self.store, on_event=self._say
        )

    def _say(self, event: actions.Event) -> None:
        self.said.append(f"{event.step}: {event.text}")

    def live(self, name: str) -> Object:
        found: Object = self.cluster.get(DEPLOYMENT, self.namespace, name)
        return found

    def annotation(self, name: str) -> str | None:
        metadata = self.live(name)["spec"]["template"]["metadata"]
        return (metadata.get("annotations") or {}).get(INSTANCES)

    def objects(self) -> dict[str, Any]:
        """All Deployments without what every write changes, managed fields included."""
        return {one["metadata"]["name"]: comparable(one) for one in self.cluster.list(DEPLOYMENT, self.namespace)}
