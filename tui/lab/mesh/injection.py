"""The sidecar that Istio's webhook puts into a pod at its creation (istio 1.13, injection-template.yaml).

There are no webhooks in the lab: whoever creates pods from templates asks here.
"""

from __future__ import annotations

import copy
import json

from tui.lab.client import Client, Object

VERSION = "1.13.2"
PROXY = "istio-proxy"
IMAGE = f"docker.io/istio/proxyv2:{VERSION}"
SWITCH = "sidecar.istio.io/inject"
STATUS = "sidecar.istio.io/status"
METRICS_PORT = 15020
ENVOY_PORT = 15090

_MERGED = {"prometheus.io/path": "/stats/prometheus", "prometheus.io/port": "15020", "prometheus.io/scrape": "true"}


class Injector:
    """Asks the API server for a namespace's labels, and injects by them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def admit(self, pod: Object) -> Object:
        """The pod as it is to be created."""
        if pod["spec"].get("hostNetwork"):
            return pod
        namespace = await self._client.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}")
        return inject(pod) if wants_sidecar(pod, namespace["metadata"].get("labels") or {}) else pod


def wants_sidecar(pod: Object, namespace_labels: Object) -> bool:
    """Whether the webhook takes a pod: its own label or annotation decides, else its namespace's label."""
    metadata = pod["metadata"]
    own = (metadata.get("labels") or {}).get(SWITCH) or (metadata.get("annotations") or {}).get(SWITCH)
    if own is not None:
        return bool(own == "true")
    return namespace_labels.get("istio-injection") == "enabled" or "istio.io/rev" in namespace_labels


def inject(pod: Object) -> Object:
    """The pod with istio-init, istio-proxy, and the labels and annotations that come with them."""
    pod = copy.deepcopy(pod)
    metadata, spec = pod["metadata"], pod["spec"]
    labels = metadata.setdefault("labels", {})
    first = spec["containers"][0]["name"]
    name = labels.get("app", first)
    labels |= {
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": labels.get("version", "latest"),
    }
    told = {
        "initContainers": ["istio-init"],
        "containers": [PROXY],
        "volumes": ["workload-socket", "istio-envoy", "istio-data", "istio-podinfo", "istio-token", "istiod-ca-cert"],
        "imagePullSecrets": None,
        "revision": "default",
    }
    metadata["annotations"] = {
        "kubectl.kubernetes.io/default-container": first,
        "kubectl.kubernetes.io/default-logs-container": first,
        **(metadata.get("annotations") or {}),
        **_MERGED,
        STATUS: json.dumps(told, separators=(",", ":")),
    }
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    security = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": 1337,
        "runAsNonRoot": True,
        "runAsUser": 1337,
    }
    proxy: Object = {
        "name": PROXY,
        "image": IMAGE,
        "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--concurrency", "2"],
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("INSTANCE_IP", "status.podIP"),
            _field("HOST_IP", "status.hostIP"),
            {"name": "ISTIO_META_WORKLOAD_NAME", "value": _workload(pod)},
            {"name": "ISTIO_META_MESH_ID", "value": "cluster.local"},
            {"name": "TRUST_DOMAIN", "value": "cluster.local"},
        ],
        "ports": [{"containerPort": ENVOY_PORT, "name": "http-envoy-prom", "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": 15021},
            "periodSeconds": 2,
            "timeoutSeconds": 3,
            "failureThreshold": 30,
        },
        "resources": resources,
        "securityContext": security,
        "volumeMounts": [
            {"name": "istio-data", "mountPath": "/var/lib/istio/data"},
            {"name": "istio-envoy", "mountPath": "/etc/istio/proxy"},
        ],
    }
    init = {
        "name": "istio-init",
        "image": IMAGE,
        "args": [
            *("istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", ""),
            *("-b", "*", "-d", "15090,15021,15020"),
        ],
        "resources": resources,
        "securityContext": {
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": False,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
        },
    }
    spec["containers"] = [*spec["containers"], proxy]
    spec["initContainers"] = [*(spec.get("initContainers") or []), init]
    empty = [{"name": "istio-envoy", "emptyDir": {"medium": "Memory"}}, {"name": "istio-data", "emptyDir": {}}]
    spec["volumes"] = [*(spec.get("volumes") or []), *empty]
    spec.setdefault("securityContext", {})["fsGroup"] = 1337
    return pod


def _workload(pod: Object) -> str:
    """The name of the Deployment above a pod, as Istio finds it: the ReplicaSet's without its hash."""
    owners = pod["metadata"].get("ownerReferences") or ()
    name = next((each["name"] for each in owners if each["kind"] == "ReplicaSet"), "")
    return str(name.rpartition("-")[0] or pod["metadata"].get("name", ""))


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
