"""What sidecars, gateways and istiod say of themselves in the text format, with istio 1.13's families and labels."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from functools import cache

from tui.lab.mesh.families import Families, LogNormal, histogram_lines
from tui.lab.mesh.traffic import EDGES, Counter, Meter, Workload, source_latency
from tui.lab.standin import go_number

_HISTOGRAMS = ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes")
_QUERIES_PER_CONNECTION = 500


class Proxy:
    """One Envoy and the agent beside it. `scale` is how much faster than the clock the lab's time runs."""

    def __init__(self, rng: random.Random, scale: float) -> None:
        self._began, self._scale = time.time(), scale
        self._envoy = Families("envoy.txt", rng)
        self._agent = Families("agent.txt", rng)

    def text(self, meter: Meter, *, merged: bool) -> str:
        """The exposition: of Envoy alone (port 15090), or `merged` with the agent's own (port 15020)."""
        minutes, told = _time(self._began, self._scale)
        envoy = self._envoy.text(minutes, told) + traffic_text(meter)
        return self._agent.text(minutes, told) + envoy if merged else envoy


class Pilot:
    """One replica of istiod."""

    def __init__(self, rng: random.Random, scale: float) -> None:
        self._began, self._scale = time.time(), scale
        self._families = Families("istiod.txt", rng)

    def text(self, told: Mapping[str, float]) -> str:
        """The exposition; `told` are services, virtual_services, proxies (connected to this replica) and injected."""
        minutes, clock = _time(self._began, self._scale)
        expiry = {"root_expiry": math.floor(self._began) + 3650 * 86400.0}
        return self._families.text(minutes, {**clock, **expiry, **told})


def _time(began: float, scale: float) -> tuple[float, dict[str, float]]:
    """The lab's minutes since a process began, and the values that tell time."""
    now = time.time()
    seconds = (now - began) * scale
    told = {"start": began, "start_ms": math.floor(began * 1000), "now": now, "uptime": math.floor(seconds)}
    return seconds / 60, told


def traffic_text(meter: Meter) -> str:
    """The requests that a sidecar has counted; a series is there once its first request was."""
    whole = {counter: math.floor(count) for counter, count in meter.counts.items()}
    http = [(counter, count) for counter, count in whole.items() if count and not EDGES[counter[0]].is_tcp]
    tcp = [(counter, count) for counter, count in whole.items() if count and EDGES[counter[0]].is_tcp]
    lines: list[str] = []
    if http:
        lines.append("# TYPE istio_requests_total counter")
        lines += [f"istio_requests_total{{{_labels(counter)}}} {count}" for counter, count in http]
    for name in _HISTOGRAMS if http else ():
        lines.append(f"# TYPE {name} histogram")
        for counter, count in http:
            lines += histogram_lines(name, _labels(counter), count, _spread(name, counter))
    if tcp:
        for name, each in _TCP.items():
            lines.append(f"# TYPE {name} counter")
            lines += [f"{name}{{{_labels(counter)}}} {go_number(each(counter, count))}" for counter, count in tcp]
    return "".join(f"{line}\n" for line in lines)


def _sent(counter: Counter, queries: int) -> float:
    return float(math.floor(queries * EDGES[counter[0]].response.mean))


def _received(counter: Counter, queries: int) -> float:
    return float(math.floor(queries * EDGES[counter[0]].request.mean))


_TCP: dict[str, Callable[[Counter, int], float]] = {
    "istio_tcp_sent_bytes_total": _sent,
    "istio_tcp_received_bytes_total": _received,
    "istio_tcp_connections_opened_total": lambda counter, queries: 1.0 + queries // _QUERIES_PER_CONNECTION,
    "istio_tcp_connections_closed_total": lambda counter, queries: float(queries // _QUERIES_PER_CONNECTION),
}


def _spread(name: str, counter: Counter) -> LogNormal:
    edge = EDGES[counter[0]]
    if name == "istio_request_bytes":
        return edge.request
    if name == "istio_response_bytes":
        return edge.response if counter[2] == "200" else LogNormal(150, 0.1)
    return source_latency(edge) if counter[1] == "source" else edge.latency_ms


@cache
def _labels(counter: Counter) -> str:
    """The labels of a counter in istio's order, without braces."""
    name, reporter, code, flags = counter
    edge = EDGES[name]
    pairs: dict[str, str] = {"response_code": code} if code else {}
    pairs["reporter"] = reporter
    pairs |= _peer("source", edge.source)
    reached = edge.target if flags != "UH" else None
    pairs |= _peer("destination", reached)
    service = edge.target.app
    pairs |= {
        "destination_service": f"{service}.{edge.target.namespace}.svc.cluster.local",
        "destination_service_name": service,
        "destination_service_namespace": edge.target.namespace,
        "destination_cluster": "Kubernetes" if reached else "unknown",
        "request_protocol": "tcp" if edge.is_tcp else "http",
        "response_flags": flags or "-",
    }
    if not edge.is_tcp:
        pairs["grpc_response_status"] = ""
    # A client's sidecar does not know what the server's made of the connection.
    policy = "unknown" if reporter == "source" else "mutual_tls" if edge.source else "none"
    pairs |= {
        "connection_security_policy": policy,
        "source_canonical_service": edge.source.app if edge.source else "unknown",
        "destination_canonical_service": reached.app if reached else "unknown",
        "source_canonical_revision": _revision(edge.source),
        "destination_canonical_revision": _revision(reached),
    }
    return ",".join(f'{key}="{value}"' for key, value in pairs.items())


def _peer(end: str, workload: Workload | None) -> dict[str, str]:
    known = workload or Workload("unknown", "unknown", "unknown", "unknown")
    pairs = {
        f"{end}_workload": known.name,
        f"{end}_workload_namespace": known.namespace,
        f"{end}_principal": known.principal if workload else "unknown",
        f"{end}_app": known.app,
        f"{end}_version": known.version,
    }
    if end == "source":
        pairs["source_cluster"] = "Kubernetes" if workload else "unknown"
    return pairs


def _revision(workload: Workload | None) -> str:
    version = workload.version if workload else "unknown"
    return "latest" if workload and version == "unknown" else version
