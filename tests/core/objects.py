"""Small Kubernetes objects for tests of core."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def daemon_set(**changes: Any) -> Object:
    """A DaemonSet shaped like the vendor's, as an API server would return it."""
    obj: Object = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "datakit",
            "namespace": "datakit",
            "uid": "ds-uid",
            "resourceVersion": "10",
            "generation": 1,
            "labels": {"app": "daemonset-datakit"},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1"},
                {"manager": "lab-controller", "operation": "Update", "subresource": "status"},
            ],
        },
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
                            "env": [
                                {"name": "ENV_CLUSTER_NAME_K8S", "value": "lab"},
                                {"name": "ENV_ENABLE_ELECTION", "value": "enable"},
                                {"name": "ENV_GLOBAL_HOST_TAGS", "value": "host=__datakit_hostname,cluster_name_k8s=x"},
                                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                            ],
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
        "status": {"desiredNumberScheduled": 4, "observedGeneration": 1},
    }
    obj.update(changes)
    return obj
