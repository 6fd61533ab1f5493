"""Names and addresses of Services, as cluster DNS and kube-proxy make them work: one of the ready pods answers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tui.lab.client import Cache, Client, Object
from tui.lab.controllers import ready_since

DOMAIN = "svc.cluster.local"


class ClusterDNS:
    """Finds Services by name or cluster address, and the pods behind them. `pods` is shared with controllers."""

    def __init__(self, client: Client, pods: Cache, rng: random.Random) -> None:
        self._pods = pods
        self._rng = rng
        self.services = Cache(client, "/api/v1/services", lean=True)

    async def run(self) -> None:
        """Follow the Services until cancelled."""
        await self.services.run()

    def count(self) -> int:
        """How many Services there are."""
        return len(self.services.objects)

    def find(self, host: str) -> Object | None:
        """The Service of a host, None where there is none of that name or address."""
        labels = host.rstrip(".").split(".")
        if len(labels) in (2, 3, 5) and ".".join(labels[2:]) in ("", "svc", DOMAIN):
            return self.services.objects.get((labels[1], labels[0]))
        return next((each for each in self.services.objects.values() if each["spec"].get("clusterIP") == host), None)

    def endpoint(self, service: Mapping[str, Any], port: int) -> tuple[str, int] | None:
        """Address and port of one of the ready pods behind a Service's port, None where nothing answers there."""
        spec = service["spec"]
        wanted = next((each for each in spec.get("ports") or () if each["port"] == port), None)
        selector = (spec.get("selector") or {}).items()
        if wanted is None or not selector:
            return None
        found = []
        for (namespace, _), pod in self._pods.objects.items():
            address = pod.get("status", {}).get("podIP")
            fits = namespace == service["metadata"]["namespace"]
            if fits and address and selector <= (pod["metadata"].get("labels") or {}).items():
                target = target_port(pod, wanted.get("targetPort", port))
                if target and ready_since(pod) and not pod["metadata"].get("deletionTimestamp"):
                    found.append((address, target))
        return self._rng.choice(sorted(found)) if found else None


def target_port(pod: Object, port: int | str) -> int:
    """A target port as a number, 0 where no container has a port of that name."""
    if isinstance(port, int):
        return port
    for container in pod["spec"]["containers"]:
        for each in container.get("ports") or ():
            if each.get("name") == port:
                return int(each["containerPort"])
    return 0
