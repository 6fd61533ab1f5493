"""How the faults of the mesh are put into a running lab, and taken out again."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tui.core.errors import UsageError
from tui.i18n import _
from tui.lab import conf_edits
from tui.lab.client import Client, Object
from tui.lab.edits import Cluster, ConfEdit, OnceThere
from tui.lab.mesh import objects

if TYPE_CHECKING:
    from tui.lab.switches import Switch
    from tui.lab.world import Lab

_POLL_S = 0.05
_ROLLOUT_S = 60.0
_ISTIOD_CONF = "prom_istiod.conf"
_GATEWAY = "istio-ingressgateway"


def deployment(namespace: str, name: str) -> str:
    """The path of a Deployment."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


async def rolled_out(client: Client, path: str) -> None:
    """Wait until a Deployment's current template runs in all of its pods. Raises TimeoutError."""
    async with asyncio.timeout(_ROLLOUT_S):
        while not _is_rolled_out(await client.get(path)):
            await asyncio.sleep(_POLL_S)


def _is_rolled_out(item: Object) -> bool:
    status, wanted = item.get("status", {}), item["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == item["metadata"]["generation"] and counts == [wanted] * 3


class AnnotationEdit(OnceThere):
    """The annotation of a Deployment's pods becomes `change(text)` (None: it goes), once there is one; the pods roll.

    What a person repairs stays repaired: an edit is made once.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, change: Callable[[str], str | None]) -> None:
        super().__init__()
        self._cluster = cluster
        self._path = deployment(namespace, name)
        self._change = change
        self._before: str | None = None
        self._after: str | None = None
        self._owners: list[Object] = []

    async def _break(self) -> bool:
        live = await self._cluster.client.get(self._path)
        if not _annotations(live).get(objects.INSTANCES) or not _is_rolled_out(live):
            return False

        def change(item: Object) -> None:
            self._owners = copy.deepcopy(item["metadata"].get("managedFields", []))
            self._before = _annotations(item)[objects.INSTANCES]
            self._after = self._change(self._before)
            _put(item, self._after)

        await self._cluster.change(self._path, change)
        await rolled_out(self._cluster.client, self._path)
        return True

    async def clear(self) -> None:
        """Take the edit back, unless somebody has changed the text since."""
        await self._stop_waiting()
        live = await self._cluster.client.get(self._path)
        if self._before is None or _annotations(live).get(objects.INSTANCES) != self._after:
            return
        await self._cluster.change(self._path, lambda item: _put(item, self._before))
        await rolled_out(self._cluster.client, self._path)
        await self._cluster.give_back(self._path, self._owners)


def _annotations(item: Object) -> Object:
    found: Object = item["spec"]["template"]["metadata"].setdefault("annotations", {})
    return found


def _put(item: Object, text: str | None) -> None:
    found = _annotations(item)
    if text is None:
        found.pop(objects.INSTANCES, None)
    else:
        found[objects.INSTANCES] = text
    if not found:
        del item["spec"]["template"]["metadata"]["annotations"]


class IstiodNotCollected:
    """Neither an annotation nor a conf collects istiod: whichever there is goes."""

    def __init__(self, lab: Lab) -> None:
        _need_mesh(lab)
        self._cluster = lab.cluster
        self._parts = (
            AnnotationEdit(lab.cluster, objects.SYSTEM, "istiod", lambda text: None),
            ConfEdit(lab.cluster, lambda text: None, key=_ISTIOD_CONF),
        )

    async def set(self) -> bool:
        return any([await part.set() for part in self._parts])

    async def clear(self) -> None:
        for part in reversed(self._parts):
            await part.clear()


class NoTraffic:
    """No request comes in any more, and the pods start anew, so that none has counted any."""

    def __init__(self, lab: Lab) -> None:
        _need_mesh(lab)
        self._lab = lab
        self._client = lab.cluster.client

    async def set(self) -> bool:
        assert self._lab.mesh is not None
        self._lab.mesh.traffic.stop()
        for namespace in (objects.PROD, objects.SYSTEM):
            await self._client.send("DELETE", f"/api/v1/namespaces/{namespace}/pods")
        await self._until_anew()
        return True

    async def clear(self) -> None:
        assert self._lab.mesh is not None
        self._lab.mesh.traffic.start()

    async def _until_anew(self) -> None:
        async with asyncio.timeout(_ROLLOUT_S):
            while await self._leaving() or not await self._all_there():
                await asyncio.sleep(_POLL_S)

    async def _leaving(self) -> bool:
        pods = (await self._client.get("/api/v1/pods"))["items"]
        return any(pod["metadata"].get("deletionTimestamp") for pod in pods)

    async def _all_there(self) -> bool:
        items: Iterable[Object] = [await self._client.get(deployment(*one)) for one in objects.deployments()]
        return all(map(_is_rolled_out, items))


class GatewayUnreachable:
    """Packets to port 15020 of the ingress gateway are dropped on the way."""

    def __init__(self, lab: Lab) -> None:
        _need_mesh(lab)
        assert lab.mesh is not None
        self._unreachable = lab.mesh.unreachable

    async def set(self) -> bool:
        self._unreachable.add(_GATEWAY)
        return True

    async def clear(self) -> None:
        self._unreachable.discard(_GATEWAY)


def _need_mesh(lab: Lab) -> None:
    if lab.mesh is None:
        raise UsageError(_("This lab has no mesh."))


def _of_productpage(change: Callable[[str], str]) -> Callable[[Lab], AnnotationEdit]:
    def made(lab: Lab) -> AnnotationEdit:
        _need_mesh(lab)
        return AnnotationEdit(lab.cluster, objects.PROD, "productpage-v1", change)

    return made


def broken(text: str) -> str:
    """As a form leaves the tutorial's text: TABs for indentation (TOML takes them), and a line break in a string."""
    tabbed = re.sub(r"(?m)^[ \t]+", "\t\t\t", text)
    return re.sub(r'(?m)^(\s*source\s*=\s*"[^"]{1,4})', r"\1\n", tabbed, count=1)


SWITCHES: dict[str, Callable[[Lab], Switch]] = {
    "no-traffic": NoTraffic,
    "istiod-not-collected": IstiodNotCollected,
    "broken-annotation": _of_productpage(broken),
    "sidecar-histograms-dropped": _of_productpage(conf_edits.without_histograms_of_mesh),
    "gateway-unreachable": GatewayUnreachable,
}
