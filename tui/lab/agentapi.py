"""The HTTP API that an agent opens on port 9529, as far as the wizard and a workshop look at it (DataKit
1.84.1).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tui.lab.feeds import Counters
from tui.lab.network import Request, Response
from tui.lab.settings import COMMIT, VERSION, Settings

# What addresses other than loopback may call (httpapi: the built-in list of public APIs).
_PUBLIC = ("/v1/ping", "/v1/ntp", "/v1/write/")


@dataclass
class Election:
    """Where an agent stands: "disabled", "defeat", "success" or "banned"; `leader` is who holds the election."""

    status: str
    leader: str = ""
    since_s: float = 0.0


@dataclass
class State:
    """What the API tells of its agent. `instances` counts running inputs by name, `paths` the conf files of
    each.
    """

    settings: Settings
    counters: Counters
    election: Election
    started_s: float = field(default_factory=time.time)
    instances: dict[str, int] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)


def answer(state: State, request: Request) -> Response:
    """Answer one request."""
    if not request.loopback and not request.path.startswith(_PUBLIC):
        body = {"error_code": "datakit.publicAccessDisabled", "message": "public access disabled"}
        return _json(body, 403)
    if request.method != "GET":
        return Response(404, b"404 page not found", {"Content-Type": "text/plain"})
    if request.path == "/metrics":
        text = metrics(state)
        return Response(200, text.encode(), {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
    if request.path == "/v1/ping":
        uptime = f"{int(time.time() - state.started_s)}s"
        host = state.settings.hostname
        return _json({"content": {"version": VERSION, "uptime": uptime, "host": host, "commit": COMMIT}})
    if request.path == "/v1/ntp":
        return _json({"timestamp_sec": int(time.time())})
    if request.path == "/v1/global/host/tags":
        return _json({"host-tags": _go_map(state.settings.host_tags)})
    if request.path == "/v1/global/election/tags":
        return _json({"election-tags": _go_map(state.settings.election_tags)})
    if request.path == "/v1/dca/stat":
        return _json({"code": 200, "content": stat(state), "error_code": "", "message": "", "success": True})
    return Response(404, b"404 page not found", {"Content-Type": "text/plain"})


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Response(status, text.encode(), {"Content-Type": "application/json"})


def _go_map(tags: Mapping[str, str]) -> str:
    """A map as Go's fmt prints it: sorted by key."""
    return "map[" + " ".join(f"{key}:{tags[key]}" for key in sorted(tags)) + "]"


def stat(state: State) -> dict[str, object]:
    """The content of /v1/dca/stat.

    A file that failed is not in it: DataKit 1.84.1 lists a path once it has loaded it (load_inputconf.go:275).
    """
    election, settings = state.election, state.settings
    elected = election.status
    if settings.election:
        elected += f"::{settings.namespace}|{settings.hostname}(elected: {election.leader})"
    inputs = {
        name: {"config_paths": [{"loaded": 1, "path": path} for path in paths]} for name, paths in state.paths.items()
    }
    return {
        "version": VERSION,
        "hostname": settings.hostname,
        "uptime": f"{int(time.time() - state.started_s)}s",
        "elected": elected,
        "enabled_input_list": {
            name: {"input": name, "instances": count, "panic": 0} for name, count in state.instances.items()
        },
        "inputs_status": {
            name: {"total_point": points, "count": state.counters.feed_total[(name, category)]}
            for (name, category), points in state.counters.feed_points.items()
        },
        "config_info": {"inputs": inputs},
    }


def metrics(state: State) -> str:
    """The agent's own metrics, in the text format."""
    counters, election, settings = state.counters, state.election, state.settings
    lines: list[str] = []

    def family(name: str, kind: str, samples: Sequence[tuple[str, Mapping[str, str], float]]) -> None:
        if samples:
            lines.append(f"# TYPE {name} {kind}")
            lines.extend(_sample(name + suffix, labels, value) for suffix, labels, value in samples)

    def feed(values: Mapping[tuple[str, str], float]) -> list[tuple[str, Mapping[str, str], float]]:
        return [("", {"category": category, "name": name}, n) for (name, category), n in sorted(values.items())]

    uptime = time.time() - state.started_s
    labels = {"hostname": settings.hostname, "version": VERSION, "os_arch": "linux/amd64"}
    family("datakit_uptime_seconds", "gauge", [("", labels, uptime)])
    instances = [("", {"input": name}, float(count)) for name, count in sorted(state.instances.items())]
    family("datakit_inputs_instance", "gauge", instances)
    family("datakit_io_feed_total", "counter", feed(counters.feed_total))
    points: list[tuple[str, Mapping[str, str], float]] = []
    for (name, category), total in sorted(counters.feed_points.items()):
        each = {"category": category, "name": name}
        points += [("_sum", each, total), ("_count", each, counters.feed_total[(name, category)])]
    family("datakit_io_feed_point", "summary", points)
    family("datakit_io_last_feed_timestamp_seconds", "gauge", feed(counters.feed_last_s))
    family(
        "datakit_io_dataway_point_total",
        "counter",
        [("", {"category": c, "status": s}, n) for (c, s), n in sorted(counters.uploaded.items())],
    )
    family(
        "datakit_io_dataway_http_drop_point_total",
        "counter",
        [("", {"category": c, "error": e}, n) for (c, e), n in sorted(counters.dropped.items())],
    )
    latency = [
        ("_count", {"mode": "prom", "source": source}, float(n)) for source, n in sorted(counters.attempts.items())
    ]
    family("datakit_input_prom_http_latency_in_second", "summary", latency)
    collected: list[tuple[str, Mapping[str, str], float]] = []
    for source, count in sorted(counters.collected.items()):
        each = {"mode": "prom", "source": source}
        collected += [("_sum", each, counters.collected_points[source]), ("_count", each, count)]
    family("datakit_input_prom_collect_points", "summary", collected)
    if counters.annotated:
        each = {"name": "prom"}
        offered = [("_sum", each, float(sum(counters.annotated))), ("_count", each, float(len(counters.annotated)))]
        family("datakit_input_container_kubernetes_pod_annotation_prom_count", "summary", offered)
    family(
        "datakit_error_total",
        "counter",
        [("", {"category": c, "source": s}, n) for (s, c), n in sorted(counters.errors.items())],
    )
    status = {
        "elected_id": election.leader,
        "id": settings.hostname,
        "namespace": settings.namespace,
        "status": election.status,
    }
    since = {"success": election.since_s, "banned": 2.0, "disabled": 1.0}.get(election.status, 0.0)
    family("datakit_election_status", "gauge", [("", status, since)])
    family("datakit_election_pause_total", "counter", [("", {"id": settings.hostname}, counters.paused)])
    family("datakit_election_resume_total", "counter", [("", {"id": settings.hostname}, counters.resumed)])
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(labels[key])}"' for key in sorted(labels))
    text = str(int(value)) if float(value).is_integer() and abs(value) < 1e6 else repr(float(value))
    return f"{name}{{{shown}}} {text}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
