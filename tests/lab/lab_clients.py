"""What the tests of the whole lab share: clients of its API server, and the changes that the wizard makes."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from pathlib import Path

import yaml
from lab_machines import until

from tui.lab.client import Client, Object
from tui.lab.network import tls_context
from tui.lab.world import Lab

SPACE = "/api/v1/namespaces/datakit"
MAPS = f"{SPACE}/configmaps"
PODS = f"{SPACE}/pods"
SETS = "/apis/apps/v1/namespaces/datakit/daemonsets"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
MOUNTED = "/usr/local/datakit/conf.d/etcd/etcd.conf"


def client_of(lab: Lab, user: str, folder: Path) -> Client:
    """A client with one of the kubeconfig's contexts."""
    document = yaml.safe_load(lab.kubeconfig.read_text())
    cluster = document["clusters"][0]["cluster"]
    credentials = next(each["user"] for each in document["users"] if each["name"] == f"lab-{user}")
    paths = []
    for name in ("client-certificate-data", "client-key-data"):
        paths.append(folder / f"{user}-{name}")
        paths[-1].write_bytes(base64.b64decode(credentials[name]))
    ca = base64.b64decode(cluster["certificate-authority-data"])
    return Client(cluster["server"], tls_context(ca, *map(str, paths)), "tests/1.0")


async def apply(admin: Client, path: str, body: Object, manager: str = "tester") -> Object:
    query = {"fieldManager": manager}
    return await admin.send("PATCH", path, body, query=query, content_type=APPLY)


def mount(key: str = "etcd.conf", path: str = MOUNTED, **annotations: str) -> Object:
    """A partial DaemonSet that mounts a key of datakit-conf by subPath."""
    entry = {"name": "datakit-conf", "mountPath": path, "subPath": key, "readOnly": True}
    template = {"spec": {"containers": [{"name": "datakit", "volumeMounts": [entry]}]}}
    if annotations:
        template["metadata"] = {"annotations": annotations}
    return daemon_set({"template": template})


def daemon_set(spec: Object) -> Object:
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "datakit"}, "spec": spec}


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "datakit-conf"}, "data": data}


def rolled_out(item: Object) -> bool:
    status = item["status"]
    return bool(
        status["observedGeneration"] >= item["metadata"]["generation"]
        and status.get("updatedNumberScheduled") == status["desiredNumberScheduled"] == status.get("numberAvailable")
    )


async def rollout(admin: Client) -> list[Object]:
    """Wait until the DaemonSet is out; returns the statuses seen on the way."""
    seen: list[Object] = []

    async def done() -> bool:
        item = await admin.get(f"{SETS}/datakit")
        if not seen or seen[-1] != item["status"]:
            seen.append(item["status"])
        return rolled_out(item)

    await until(done)
    return seen


async def pods_by_node(client: Client) -> dict[str, Object]:
    answer = await client.get(PODS, labelSelector="app=daemonset-datakit")
    return {pod["spec"]["nodeName"]: pod for pod in answer["items"]}


def points(lab: Lab, measurement: str, field: str) -> list[tuple[dict[str, str], float]]:
    """The points that the studio has of a field, oldest first: tags and value of each."""
    query = """SELECT tags, value FROM series JOIN point ON series.id = point.series
               WHERE measurement = ? AND field = ? ORDER BY time_ms"""
    with contextlib.closing(sqlite3.connect(lab.folder / "studio.sqlite")) as database:
        found = database.execute(query, (measurement, field)).fetchall()
    return [(json.loads(tags), value) for tags, value in found]
