"""Workloads beside DataKit and the mesh, so that every list of the Kubernetes view has something in it.

One stores what it has on a volume, one job has ended well, one is due at night, and one pod does not stay up.
"""

from __future__ import annotations

from tui.lab import vendor
from tui.lab.client import Object

NAMESPACE = "shop"
STATEFUL, JOB, CRON_JOB, CRASHING = "redis", "db-migrate", "nightly-report", "cart-sync"


def namespace() -> Object:
    """The namespace that they are in."""
    return vendor.namespace(NAMESPACE)


def objects() -> list[tuple[str, Object]]:
    """Path and object of all that is in the namespace, as `kubectl apply` sends them."""
    return [_service(), _redis(), _job(), _cron_job(), _crashing()]


def _placed(group: str, plural: str, kind: str, name: str, labels: Object, **rest: object) -> tuple[str, Object]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    version = group.removeprefix("apis/").removeprefix("api/")
    item = {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
    return f"/{group}/namespaces/{NAMESPACE}/{plural}", item


def _limited(name: str, image: str, cpu: str, memory: str, **rest: object) -> Object:
    """A container that asks for this much and may use twice as much memory."""
    number, unit = int(memory[:-2]), memory[-2:]
    limits = {"cpu": "1", "memory": f"{2 * number}{unit}"}
    return {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": limits},
        **rest,
    }


def _service() -> tuple[str, Object]:
    app = {"app": STATEFUL}
    spec = {"clusterIP": "None", "ports": [{"name": "redis", "port": 6379}], "selector": app}
    return _placed("api/v1", "services", "Service", STATEFUL, app, spec=spec)


def _redis() -> tuple[str, Object]:
    app = {"app": STATEFUL}
    mounts = [{"name": "data", "mountPath": "/data"}]
    redis = _limited("redis", "docker.io/library/redis:7.4", "100m", "128Mi", volumeMounts=mounts)
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    }
    spec = {
        "replicas": 2,
        "serviceName": STATEFUL,
        "selector": {"matchLabels": app},
        "template": {"metadata": {"labels": app}, "spec": {"containers": [redis]}},
        "volumeClaimTemplates": [claim],
    }
    return _placed("apis/apps/v1", "statefulsets", "StatefulSet", STATEFUL, app, spec=spec)


def _script(name: str, script: str) -> Object:
    command = ["sh", "-c", script]
    return {
        "restartPolicy": "Never",
        "containers": [_limited(name, "docker.io/library/busybox:1.36", "50m", "32Mi", command=command)],
    }


def _job() -> tuple[str, Object]:
    labels = {"app": JOB}
    spec = {"backoffLimit": 2, "template": {"spec": _script("migrate", "sleep 5; exit 0")}}
    return _placed("apis/batch/v1", "jobs", "Job", JOB, labels, spec=spec)


def _cron_job() -> tuple[str, Object]:
    job = {"spec": {"template": {"spec": _script("report", "sleep 30; exit 0")}}}
    spec = {"schedule": "0 3 * * *", "jobTemplate": job}
    return _placed("apis/batch/v1", "cronjobs", "CronJob", CRON_JOB, {"app": CRON_JOB}, spec=spec)


def _crashing() -> tuple[str, Object]:
    """A Deployment whose container ends with an error again and again: restarts, and Warning events."""
    app = {"app": CRASHING}
    script = _script("sync", "sleep 15; exit 1") | {"restartPolicy": "Always"}
    spec = {"selector": {"matchLabels": app}, "template": {"metadata": {"labels": app}, "spec": script}}
    return _placed("apis/apps/v1", "deployments", "Deployment", CRASHING, app, spec=spec)
