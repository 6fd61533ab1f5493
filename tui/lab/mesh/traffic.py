"""The requests that go through the mesh, as numbers: nothing is sent, counts follow from the time that has passed.

Requests come in at the ingress gateway, go on to productpage, from there to details and to one version of reviews,
from v2 and v3 to ratings, and from there over TCP to mongodb. Both ends of a connection count the same requests: the
client's sidecar as reporter `source`, the server's as `destination`. Versions of reviews share the requests by weight.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tui.lab.mesh.families import LogNormal

INGRESS = "istio-ingressgateway"
VERSIONS = ("v1", "v2", "v3")
WEIGHTS = (90, 10, 0)

_REQUESTS_PER_S = 10.0
_OUTSIDE_PER_S = 0.2
# The rate goes up and down: (share, period in seconds) of each wave.
_WAVES = ((0.3, 1800.0), (0.1, 240.0))
_UNAVAILABLE = ("503", "UH")


@dataclass(frozen=True)
class Workload:
    """A Deployment as its sidecars name it."""

    name: str
    app: str
    namespace: str = "prod"
    version: str = "v1"
    account: str = ""

    @property
    def principal(self) -> str:
        account = self.account or f"bookinfo-{self.app}"
        return f"spiffe://cluster.local/ns/{self.namespace}/sa/{account}"


@dataclass(frozen=True)
class Edge:
    """Who calls whom. `codes` are (response code, response flags, share of the requests); none for TCP."""

    source: Workload | None  # None: a client without a sidecar, of which nothing is known
    target: Workload
    codes: tuple[tuple[str, str, float], ...]
    latency_ms: LogNormal
    request: LogNormal  # bytes
    response: LogNormal

    @property
    def is_tcp(self) -> bool:
        return not self.codes


def _bookinfo(name: str, version: str = "v1") -> Workload:
    return Workload(f"{name}-{version}", name, version=version)


_GATEWAY = Workload(INGRESS, INGRESS, "istio-system", "unknown", f"{INGRESS}-service-account")
_PRODUCTPAGE, _DETAILS, _RATINGS = _bookinfo("productpage"), _bookinfo("details"), _bookinfo("ratings")
_REVIEWS = {version: _bookinfo("reviews", version) for version in VERSIONS}
_MONGODB = Workload("mongodb-v1", "mongodb", account="default")
_MISSING = 0.02  # of the requests for pages, which the productpage answers with 404

EDGES: dict[str, Edge] = {
    "page": Edge(
        _GATEWAY,
        _PRODUCTPAGE,
        (("200", "-", 1 - _MISSING - 0.006), ("404", "-", _MISSING), ("500", "-", 0.006)),
        LogNormal(28, 0.55),
        LogNormal(950, 0.12),
        LogNormal(5300, 0.2),
    ),
    "details": Edge(
        _PRODUCTPAGE,
        _DETAILS,
        (("200", "-", 1.0),),
        LogNormal(2.6, 0.6),
        LogNormal(780, 0.1),
        LogNormal(410, 0.1),
    ),
    **{
        f"reviews-{version}": Edge(
            _PRODUCTPAGE,
            _REVIEWS[version],
            (("200", "-", 0.99), ("503", "URX", 0.01)) if version == "v1" else (("200", "-", 1.0),),
            LogNormal(median, 0.6),
            LogNormal(790, 0.1),
            LogNormal(size, 0.1),
        )
        for version, median, size in (("v1", 5.5, 510.0), ("v2", 9.0, 590.0), ("v3", 11.0, 600.0))
    },
    **{
        f"ratings-{version}": Edge(
            _REVIEWS[version],
            _RATINGS,
            (("200", "-", 0.995), ("500", "-", 0.005)),
            LogNormal(1.9, 0.5),
            LogNormal(760, 0.1),
            LogNormal(240, 0.05),
        )
        for version in ("v2", "v3")
    },
    "mongodb": Edge(_RATINGS, _MONGODB, (), LogNormal(1, 0.5), LogNormal(190, 0.1), LogNormal(640, 0.1)),
    "plain": Edge(
        None,
        _DETAILS,
        (("200", "-", 1.0),),
        LogNormal(2.2, 0.5),
        LogNormal(160, 0.1),
        LogNormal(400, 0.1),
    ),
}
# What the client's side of a call sees on top: its own sidecar and the network.
_ON_TOP_MS = 1.2

# (edge, reporter, response code, response flags); code and flags are empty for TCP.
Counter = tuple[str, str, str, str]


@dataclass
class Meter:
    """What one sidecar has counted since it began: requests by counter, for TCP queries on open connections."""

    workload: str
    counts: dict[Counter, float] = field(default_factory=dict)

    def add(self, counter: Counter, requests: float) -> None:
        """Count requests, in parts of one, too."""
        self.counts[counter] = self.counts.get(counter, 0.0) + requests


class Traffic:
    """All requests of the mesh; none come in before `start`.

    `clock` is in seconds, `scale` how much faster than it the lab's time runs.
    """

    def __init__(self, rng: random.Random, scale: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.running = False
        self.weights: dict[str, int] = dict(zip(VERSIONS, WEIGHTS, strict=True))
        self._clock = clock
        self._scale = scale
        self._seen = clock()
        self._rate = _REQUESTS_PER_S * rng.uniform(0.85, 1.15)
        self._phases = [rng.uniform(0, 2 * math.pi) for _ in _WAVES]
        self._meters: dict[str, Meter] = {}  # by pod
        self._serving: dict[str, list[str]] = {}  # workload -> pods
        self._outsiders: set[str] = set()  # pods without a sidecar, which call details

    # Who takes part

    def add(self, pod: str, workload: str) -> None:
        """A pod's sidecar has begun, and counts from nothing."""
        self.advance()
        self._meters[pod] = Meter(workload)
        self._serving.setdefault(workload, []).append(pod)

    def add_outsider(self, pod: str) -> None:
        """A client without a sidecar has begun."""
        self.advance()
        self._outsiders.add(pod)

    def leave(self, pod: str) -> None:
        """A pod gets and sends no more requests; what it has counted can still be read."""
        self.advance()
        self._outsiders.discard(pod)
        for pods in self._serving.values():
            if pod in pods:
                pods.remove(pod)

    def remove(self, pod: str) -> None:
        """A pod is gone with what it has counted."""
        self.leave(pod)
        self._meters.pop(pod, None)

    def meter(self, pod: str) -> Meter:
        """What a pod's sidecar has counted up to now."""
        self.advance()
        return self._meters[pod]

    # What a person changes

    def start(self) -> None:
        """Requests come in again."""
        self.advance()
        self.running = True

    def stop(self) -> None:
        """No more requests come in."""
        self.advance()
        self.running = False

    def shift(self, weights: Mapping[str, int]) -> None:
        """Share the requests to reviews out by other weights."""
        self.advance()
        self.weights = {version: weights.get(version, 0) for version in VERSIONS}

    def send(self, requests: int = 1) -> None:
        """Let requests for the page come in by hand."""
        self.advance()
        self._come_in(float(requests))

    # Time

    def advance(self) -> None:
        """Count what has come in since the last look."""
        before, self._seen = self._seen, self._clock()
        if self.running and self._seen > before:
            self._come_in(self._between(before * self._scale, self._seen * self._scale))
            if self._outsiders:
                self._count("plain", _OUTSIDE_PER_S * (self._seen - before) * self._scale)

    def _between(self, start: float, end: float) -> float:
        """The requests between two moments of the lab's time: the rate with its waves, integrated."""
        total = end - start
        for (share, period), phase in zip(_WAVES, self._phases, strict=True):
            turn = 2 * math.pi / period
            total -= share / turn * (math.cos(turn * end + phase) - math.cos(turn * start + phase))
        return self._rate * total

    def _come_in(self, pages: float) -> None:
        """Send requests for the page through the mesh."""
        if not self._serving.get(INGRESS):
            return
        served = self._count("page", pages)
        called = served * (1 - _MISSING)
        self._count("details", called)
        total = sum(self.weights.values())
        for version, weight in self.weights.items():
            reviews = self._count(f"reviews-{version}", called * weight / total) if weight else 0.0
            if reviews and version != "v1":
                self._count("mongodb", self._count(f"ratings-{version}", reviews))

    def _count(self, name: str, requests: float) -> float:
        """Count the requests of an edge at both ends; returns how many reached a pod."""
        edge = EDGES[name]
        sources = self._serving.get(edge.source.name, []) if edge.source else []
        targets = self._serving.get(edge.target.name, [])
        if (edge.source and not sources) or requests <= 0:
            return 0.0
        if not targets:
            for pod in sources if not edge.is_tcp else ():
                self._meters[pod].add((name, "source", *_UNAVAILABLE), requests / len(sources))
            return 0.0
        for code, flags, share in edge.codes or (("", "", 1.0),):
            for reporter, pods in (("source", sources), ("destination", targets)):
                shown = "-" if reporter == "destination" and flags else flags
                for pod in pods:
                    self._meters[pod].add((name, reporter, code, shown), requests * share / len(pods))
        return requests


def source_latency(edge: Edge) -> LogNormal:
    """How long a call takes as its client's sidecar sees it."""
    return LogNormal(edge.latency_ms.median + _ON_TOP_MS, edge.latency_ms.sigma)
