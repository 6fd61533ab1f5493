"""Thousands of nodes and DataKit pods as plain objects: nothing runs on them, nothing changes by itself."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from tui.lab import vendor
from tui.lab.apiserver import ApiServer, resources
from tui.lab.apiserver.writes import shelf_name
from tui.lab.client import Object
from tui.lab.daemonsets import GENERATION_ANNOTATION
from tui.lab.events import now
from tui.lab.layouts import Layout, dress
from tui.lab.nodes import Node, name_nodes, node_object
from tui.lab.podstatus import Run, pod_status


def fill(server: ApiServer, count: int, control_planes: int, layout: Layout, token: str) -> None:
    """Put a cluster of `count` nodes, DataKit rolled out on all of them, into a server that has not started."""
    nodes = name_nodes(Path("/nonexistent"), count, control_planes)
    members = [node for node in nodes if node.is_control_plane]
    stamp = now()
    server.seed([vendor.namespace(vendor.NAMESPACE), *vendor.viewer_rights()], manager="kubectl")
    item = vendor.client_side_applied(vendor.daemon_set(token))
    item["metadata"]["annotations"][GENERATION_ANNOTATION] = "1"
    numbers = ("currentNumberScheduled", "desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
    status = {**dict.fromkeys((*numbers, "numberAvailable"), count), "numberMisscheduled": 0, "observedGeneration": 1}
    own = [vendor.service_account(), vendor.client_side_applied(vendor.config_map()), {**item, "status": status}]
    server.seed(own, manager=vendor.CSA)
    sets = resources.of_kind("apps/v1", "DaemonSet")
    assert sets is not None
    stored = server.store.get(shelf_name(sets), vendor.NAMESPACE, "datakit")
    assert stored is not None
    owner = stored["metadata"]["uid"]
    server.seed([dress(layout, node, node_object(node, stamp)) for node in nodes], manager="kubelet")
    for node in members:
        pods = [pod | {"status": state} for pod, state in vendor.static_pods(node, members, layout)]
        server.seed(pods, manager="kubelet")
    template = item["spec"]["template"]
    server.seed([_pod(node, template, owner, stamp) for node in nodes], manager="kube-controller-manager")


def _pod(node: Node, template: Object, owner: str, stamp: str) -> Object:
    labels = {**template["metadata"]["labels"], "controller-revision-hash": "6f5b8c9d7", "pod-template-generation": "1"}
    reference = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "datakit", "uid": owner}
    spec = json.loads(json.dumps(template["spec"]))
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"datakit-{secrets.token_hex(4)}",
            "generateName": "datakit-",
            "namespace": vendor.NAMESPACE,
            "labels": labels,
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {**spec, "nodeName": node.name},
    }
    runs = []
    for each in spec["containers"]:
        run = Run(each)
        run.begin()
        run.ready = True
        runs.append(run)
    return pod | {"status": pod_status(pod, runs, ip=node.ip, host_ip=node.ip, sandbox=True, started=stamp, before={})}
