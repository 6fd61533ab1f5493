"""The running mesh: ports of the pods that belong to it, and who takes part in its traffic, as pods come and go."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tui.core.errors import UsageError
from tui.i18n import _
from tui.lab.client import Cache, Object
from tui.lab.controllers import ready_since
from tui.lab.mesh import objects
from tui.lab.mesh.exposition import Pilot, Proxy
from tui.lab.mesh.injection import ENVOY_PORT, METRICS_PORT, PROXY, STATUS
from tui.lab.mesh.traffic import VERSIONS, Traffic
from tui.lab.network import Network, NetworkError, Request, Response

PILOT = "discovery"
PILOT_PORT = 15014
_STATS = "/stats/prometheus"
_APP_PORTS = (9080, 8080)
_TEXT = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
_VIRTUAL_SERVICES = 2.0


@dataclass
class _Member:
    """A pod of the mesh while it runs: its container's id tells a restart."""

    container: str
    address: str
    proxy: Proxy | None = None
    pilot: Pilot | None = None
    ports: list[int] = field(default_factory=list)


class Mesh:
    """Opens the ports of sidecars, gateways and istiod where the pods that run them are ready."""

    def __init__(
        self,
        network: Network,
        traffic: Traffic,
        pods: Cache,
        services: Callable[[], int],
        rng: random.Random,
        scale: float,
    ) -> None:
        self.traffic = traffic
        self._network = network
        self._services = services
        self._rng = rng
        self._scale = scale
        self._members: dict[str, _Member] = {}  # by the pod's uid
        self._injected = 0
        self.unreachable: set[str] = set()  # workloads whose metrics no packet reaches
        pods.listen(self._changed)

    def _changed(self, kind: str, pod: Object) -> None:
        metadata = pod["metadata"]
        uid = metadata["uid"]
        container = _container(pod)
        if _is_outsider(pod) and container is None:
            self._outsider(kind, pod)
            return
        if container is None:
            return
        member = self._members.get(uid)
        identity, address = _identity(pod, container), pod.get("status", {}).get("podIP", "")
        if member is not None and (kind == "DELETED" or member.container != identity):
            self._close(uid, member)
            member = None
        if kind == "DELETED":
            return
        if metadata.get("deletionTimestamp"):
            self.traffic.leave(uid)
        elif member is None and identity and address and ready_since(pod):
            self._open(uid, pod, container, identity, address)

    def _outsider(self, kind: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if kind == "DELETED" or pod["metadata"].get("deletionTimestamp") or not ready_since(pod):
            self.traffic.leave(uid)
        else:
            self.traffic.add_outsider(uid)

    def _open(self, uid: str, pod: Object, container: str, identity: str, address: str) -> None:
        member = self._members[uid] = _Member(identity, address)
        rng = random.Random(self._rng.random())
        if container == PILOT:
            member.pilot = Pilot(rng, self._scale)
            self._listen(member, PILOT_PORT, self._pilot(member.pilot))
            return
        member.proxy = Proxy(rng, self._scale)
        injected = STATUS in (pod["metadata"].get("annotations") or {})
        self._injected += injected
        labels = pod["metadata"].get("labels") or {}
        workload = _workload(labels)
        self.traffic.add(uid, workload)
        for port in (METRICS_PORT, ENVOY_PORT):
            self._listen(member, port, self._stats(uid, workload, member.proxy, merged=port == METRICS_PORT))
        for port in _APP_PORTS[:1] if injected else _APP_PORTS[1:]:
            self._listen(member, port, self._app(labels.get("app", "")))

    def _listen(self, member: _Member, port: int, handler: Callable[[Request], Response]) -> None:
        async def answer(request: Request) -> Response:
            return handler(request)

        member.ports.append(port)
        self._network.listen_in_pod(member.address, port, answer)

    def _close(self, uid: str, member: _Member) -> None:
        del self._members[uid]
        self.traffic.remove(uid)
        for port in member.ports:
            self._network.listen_in_pod(member.address, port, None)

    # What answers

    def _stats(self, uid: str, workload: str, proxy: Proxy, *, merged: bool) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if workload in self.unreachable:
                raise NetworkError("timeout", "context deadline exceeded")
            if request.path == "/healthz/ready" and merged:
                return Response(200, b"")
            if request.path != _STATS:
                return Response(404, b"404 page not found\n", {"Content-Type": "text/plain"})
            return Response(200, proxy.text(self.traffic.meter(uid), merged=merged).encode(), _TEXT)

        return answer

    def _pilot(self, pilot: Pilot) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if request.path != "/metrics":
                return Response(404, b"404 page not found\n", {"Content-Type": "text/plain"})
            members = list(self._members.values())
            pilots = [each.pilot for each in members if each.pilot is not None]
            place = pilots.index(pilot) if pilot in pilots else 0
            proxies = sum(each.proxy is not None for each in members)
            mine = proxies // max(1, len(pilots)) + (place < proxies % max(1, len(pilots)))
            told = {
                "proxies": float(mine),
                "services": float(self._services()),
                "virtual_services": _VIRTUAL_SERVICES,
                "injected": float(self._injected),
            }
            return Response(200, pilot.text(told).encode(), _TEXT)

        return answer

    def _app(self, app: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if app == objects.STRICT:
                raise NetworkError("receive", "read: connection reset by peer")  # not a word of TLS from a stranger
            if app.startswith("istio-ingress") and request.path == "/productpage":
                self.traffic.send()
                return Response(200, b"<title>Simple Bookstore App</title>\n", {"Content-Type": "text/html"})
            return Response(404, b"", {"server": "istio-envoy"})

        return answer


def _container(pod: Object) -> str | None:
    """The container of a pod that the mesh answers for."""
    names = {each["name"] for each in pod["spec"]["containers"]}
    return next((name for name in (PROXY, PILOT) if name in names), None)


def _identity(pod: Object, container: str) -> str:
    """The id of that container as it runs, "" while it does not."""
    for each in pod.get("status", {}).get("containerStatuses") or ():
        if each["name"] == container and "running" in each["state"]:
            return str(each.get("containerID", ""))
    return ""


def _is_outsider(pod: Object) -> bool:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    return metadata.get("namespace") == objects.PROD and labels.get("app") == objects.NO_SIDECAR


def _workload(labels: Object) -> str:
    """The name by which traffic knows a pod's workload."""
    app = str(labels.get("app", ""))
    return app if app.startswith("istio-") else f"{app}-{labels.get('version', 'v1')}"


def parse_weights(text: str) -> dict[str, int]:
    """`90:10` as the weights of reviews v1, v2 (and v3). Raises UsageError."""
    parts = text.split(":")
    if not 1 <= len(parts) <= len(VERSIONS) or not all(part.isdigit() and len(part) < 5 for part in parts):
        raise UsageError(_("These are no weights: {text}").format(text=text), remedy=_("Write them like 90:10."))
    weights = dict(zip(VERSIONS, map(int, parts), strict=False))
    if not any(weights.values()):
        raise UsageError(_("At least one version of reviews must get requests."), object=text)
    return weights
