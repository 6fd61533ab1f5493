"""Small objects of a mesh for tests of core: istiod, gateways, workloads with their pods."""

from __future__ import annotations

import copy
from typing import Any

from tests.core.objects import Object, daemon_set
from tui.core.mesh import INSTANCES, Mesh, Seen, discover
from tui.core.ownership import FIELD_MANAGER
from tui.core.survey import DataKit, Survey
from tui.core.topology import discover as topology

TUTORIAL = (
    '[[inputs.prom]]\n  url = "http://$IP:15020/stats/prometheus"\n  source = "bookinfo"\n'
    '  metric_types = ["counter", "gauge"]\n  measurement_name = "istio_prom"\n'
)
BROKEN = TUTORIAL.replace('"gauge"', '"gau\nge"')


def datakit(**env: str) -> DataKit:
    """DataKit as its vendor's manifest brings it, with election."""
    obj = daemon_set()
    return DataKit("datakit", "datakit", "datakit", "datakit:1", obj, {"ENV_ENABLE_ELECTION": "enable", **env})


def namespace(name: str, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": {key.replace("_", "-"): value for key, value in labels.items()}}}


def deployment(
    name: str,
    space: str = "prod",
    *,
    labels: Object | None = None,
    annotation: str | None = None,
    ours: bool = False,
    container: Object | None = None,
    **spec: Any,
) -> Object:
    """A Deployment as the API server gives it; its annotation is kubectl's or (`ours`) this tool's."""
    template: Object = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container or {"name": "app", "image": "app:1"}]},
    }
    managed = []
    if annotation is not None:
        template["metadata"]["annotations"] = {INSTANCES: annotation}
        fields = {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {f"f:{INSTANCES}": {}}}}}}
        who = (FIELD_MANAGER, "Apply") if ours else ("kubectl-client-side-apply", "Update")
        managed.append({"manager": who[0], "operation": who[1], "fieldsV1": fields})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": space,
            "uid": f"uid-{space}-{name}",
            "resourceVersion": "1",
            "generation": 1,
            "labels": labels or {"app": name},
            "managedFields": managed,
        },
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
        "status": {},
    }


def pod(owner: Object, number: int = 0, *, ready: bool = True, sidecar: bool = True, native: bool = False) -> Object:
    """A pod of a Deployment, with a sidecar that is ready or not."""
    name, space = owner["metadata"]["name"], owner["metadata"]["namespace"]
    spec = copy.deepcopy(owner["spec"]["template"]["spec"])
    statuses = [{"name": c["name"], "ready": True} for c in spec["containers"]]
    status: Object = {"phase": "Running", "podIP": f"10.0.0.{number + 1}", "startTime": "2026-01-01T00:00:00Z"}
    if sidecar:
        spec.setdefault("initContainers" if native else "containers", []).append({"name": "istio-proxy"})
        proxy = {"name": "istio-proxy", "ready": ready}
        if native:
            status["initContainerStatuses"] = [proxy]
        else:
            statuses.append(proxy)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-5d8-{number}",
            "namespace": space,
            "labels": {"app": name, "pod-template-hash": "5d8"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{name}-5d8", "controller": True}],
        },
        "spec": {**spec, "nodeName": "worker-1"},
        "status": {**status, "containerStatuses": statuses},
    }


def istiod(name: str = "istiod", revision: str = "default", **spec: Any) -> Object:
    labels = {"app": "istiod", "istio.io/rev": revision}
    container = {"name": "discovery", "image": "docker.io/istio/pilot:1.13.2@sha256:00"}
    made = deployment(name, "istio-system", labels=labels, container=container, **spec)
    made["spec"]["template"]["metadata"]["labels"] = {"app": "istiod", "istio.io/rev": revision}
    return made


def gateway(name: str = "istio-ingressgateway", **spec: Any) -> Object:
    proxy = {"name": "istio-proxy", "args": ["proxy", "router"]}
    return deployment(name, "istio-system", container=proxy, **spec)


def service(name: str, port: int, space: str = "istio-system", **selector: str) -> Object:
    return {
        "metadata": {"name": name, "namespace": space},
        "spec": {"selector": selector or {"app": name}, "ports": [{"port": port}]},
    }


def budget(name: str, allowed: int, space: str = "prod") -> Object:
    return {
        "metadata": {"name": name, "namespace": space},
        "spec": {"selector": {"matchLabels": {"app": name}}},
        "status": {"disruptionsAllowed": allowed},
    }


def config_map(**data: str) -> Object:
    """The ConfigMap datakit-conf, all of it somebody else's."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "datakit-conf", "namespace": "datakit", "uid": "cm"},
        "data": {key.replace("__", ".").replace("_conf", ".conf"): text for key, text in data.items()},
    }


def mounting(found: DataKit, *keys: str) -> DataKit:
    """The same DataKit with these keys of datakit-conf mounted."""
    container = found.object["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] += [
        {"mountPath": f"/usr/local/datakit/conf.d/prom/{key}", "name": "datakit-conf", "subPath": key} for key in keys
    ]
    return found


def survey(mesh: Mesh, found: DataKit | None = None, conf: Object | None = None) -> Survey:
    return Survey(
        context="lab",
        server="https://k",
        user="me",
        uid="uid",
        version="v1",
        datakit=found or datakit(),
        topology=topology([], []),
        conf=conf,
        rights=(),
        cluster_name="lab",
        mesh=mesh,
    )


def bookinfo() -> Seen:
    """The tutorial's mesh: istiod twice, an ingress gateway, workloads of every sort."""
    prod = [
        deployment("productpage-v1"),
        deployment("details-v1", annotation=BROKEN),
        deployment("ratings-v1", annotation=TUTORIAL),
        deployment("reviews-v1", annotation='[[inputs.prom]]\n  url = "http://$IP:9080/metrics"\n'),
        deployment("sleep"),
    ]
    control, ingress = istiod(replicas=2), gateway()
    pods = [pod(one, at) for at, one in enumerate(prod[:4])]
    pods += [pod(prod[4], 9, sidecar=False), pod(control, 20, sidecar=False), pod(control, 21, sidecar=False)]
    pods.append(pod(ingress, 30, sidecar=False))
    return Seen(
        [namespace("prod", istio_injection="enabled"), namespace("istio-system"), namespace("other")],
        [*prod, control, ingress],
        pods,
        [service("istiod", 15014), service("istio-ingressgateway", 80)],
        [],
        [],
    )


def mesh(seen: Seen | None = None, found: DataKit | None = None, conf: Object | None = None) -> Mesh:
    return discover(seen or bookinfo(), found or datakit(), conf)
