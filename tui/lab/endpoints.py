"""The endpoints controller, as a client of the API server: for each Service with a selector, where its pods answer.

Behaviour: kubernetes pkg/controller/endpoint, 1.36.
"""

from __future__ import annotations

import asyncio

from tui.lab.client import Cache, Client, Object
from tui.lab.clusterdns import target_port
from tui.lab.controllers import Key, WorkQueue, ready_since


class EndpointsOfServices:
    """Keeps the Endpoints of all Services; `services` and `pods` are shared with others."""

    def __init__(self, client: Client, services: Cache, pods: Cache) -> None:
        self._client = client
        self._queue = WorkQueue(self._sync)
        self._services = services
        self._pods = pods
        services.listen(self._service_changed)
        pods.listen(self._pod_changed)
        self._written: dict[Key, list[Object]] = {}

    def _service_changed(self, kind: str, item: Object) -> None:
        self._queue.mark(Cache.key(item))

    def _pod_changed(self, kind: str, item: Object) -> None:
        labels = (item["metadata"].get("labels") or {}).items()
        for key, service in self._services.objects.items():
            selector = (service["spec"].get("selector") or {}).items()
            if key[0] == item["metadata"]["namespace"] and selector and selector <= labels:
                self._queue.mark(key)

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(*(cache.synced.wait() for cache in (self._services, self._pods)))
        await self._queue.run()

    async def _sync(self, key: Key) -> None:
        service = self._services.objects.get(key)
        path = f"/api/v1/namespaces/{key[0]}/endpoints"
        if service is None:
            if self._written.pop(key, None) is not None and await self._client.find(f"{path}/{key[1]}"):
                await self._client.send("DELETE", f"{path}/{key[1]}")
            return
        if not service["spec"].get("selector"):
            return
        subsets = self._subsets(service)
        if self._written.get(key) == subsets:
            return
        metadata = {"name": key[1], "labels": service["metadata"].get("labels") or {}}
        item = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
        if key in self._written or await self._client.find(f"{path}/{key[1]}"):
            await self._client.send("PUT", f"{path}/{key[1]}", item)
        else:
            await self._client.send("POST", path, item)
        self._written[key] = subsets

    def _subsets(self, service: Object) -> list[Object]:
        """The pods' addresses by the ports that they answer on, those that are ready and those that are not."""
        spec, namespace = service["spec"], service["metadata"]["namespace"]
        selector = spec["selector"].items()
        by_ports: dict[tuple[tuple[str, int], ...], tuple[list[Object], list[Object]]] = {}
        for (space, name), pod in sorted(self._pods.objects.items()):
            address = pod.get("status", {}).get("podIP")
            chosen = space == namespace and selector <= (pod["metadata"].get("labels") or {}).items()
            if not chosen or not address or pod["metadata"].get("deletionTimestamp"):
                continue
            wanted = ((each.get("name", ""), each.get("targetPort", each["port"])) for each in spec.get("ports") or ())
            ports = tuple((port, number) for port, target in wanted if (number := target_port(pod, target)))
            target = {"kind": "Pod", "namespace": space, "name": name, "uid": pod["metadata"]["uid"]}
            entry = {"ip": address, "nodeName": pod["spec"].get("nodeName", ""), "targetRef": target}
            by_ports.setdefault(ports, ([], []))[ready_since(pod) is None].append(entry)
        return [
            {
                **({"addresses": ready} if ready else {}),
                **({"notReadyAddresses": others} if others else {}),
                "ports": [
                    {**({"name": name} if name else {}), "port": port, "protocol": "TCP"} for name, port in ports
                ],
            }
            for ports, (ready, others) in by_ports.items()
        ]
