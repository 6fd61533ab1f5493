"""What kube-controller-manager says of a machine that no longer answers (its node lifecycle controller)."""

from __future__ import annotations

import contextlib

from tui.lab.client import MERGE_PATCH, ApiStatusError, Client, Object
from tui.lab.events import Recorder, now
from tui.lab.nodes import node_conditions

_TAINT = "node.kubernetes.io/unreachable"


class NodeController:
    """Marks nodes as lost and as back: condition, taints, and the readiness of their pods."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._events = Recorder(client, "node-controller")

    async def lost(self, name: str) -> None:
        """The kubelet has not been heard of for 40 s."""
        unknown = {
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
        }
        conditions = [each | unknown for each in node_conditions(now())]
        node = await self._client.patch_status(f"/api/v1/nodes/{name}", {"conditions": conditions})
        taints = [each for each in node["spec"].get("taints") or () if each["key"] != _TAINT]
        taints += [{"key": _TAINT, "effect": effect, "timeAdded": now()} for effect in ("NoSchedule", "NoExecute")]
        await self._taint(name, taints)
        pods = await self._client.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
        for pod in pods["items"]:
            conditions = pod.get("status", {}).get("conditions") or []
            for condition in conditions:
                if condition["type"] == "Ready" and condition["status"] == "True":
                    condition |= {"status": "False", "lastTransitionTime": now()}
                    metadata = pod["metadata"]
                    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
                    with contextlib.suppress(ApiStatusError):
                        await self._client.patch_status(path, {"conditions": conditions})
                    await self._events.record(
                        {"apiVersion": "v1", "kind": "Pod", **pod}, "Warning", "NodeNotReady", "Node is not ready"
                    )

    async def back(self, name: str) -> None:
        """The kubelet posts its status again; the static pods are ready at once, the others as they start."""
        node = await self._client.patch_status(f"/api/v1/nodes/{name}", {"conditions": node_conditions(now())})
        await self._taint(name, [each for each in node["spec"].get("taints") or () if each["key"] != _TAINT])
        pods = await self._client.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
        for pod in pods["items"]:
            metadata = pod["metadata"]
            if "kubernetes.io/config.mirror" not in (metadata.get("annotations") or {}):
                continue
            conditions = pod["status"]["conditions"]
            for condition in conditions:
                if condition["type"] == "Ready":
                    condition |= {"status": "True", "lastTransitionTime": now()}
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            with contextlib.suppress(ApiStatusError):
                await self._client.patch_status(path, {"conditions": conditions})

    async def _taint(self, name: str, taints: list[Object]) -> None:
        body = {"spec": {"taints": taints or None}}
        await self._client.send("PATCH", f"/api/v1/nodes/{name}", body, content_type=MERGE_PATCH)
