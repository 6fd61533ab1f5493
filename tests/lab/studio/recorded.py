"""What a lab's studio holds once the proposed settings are made and every input has reported: recorded, then looked at.

The lab is gone by then, so tests see the same points however long they take. It runs 30 times as fast as the clock.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab_clients import APPLY, MAPS, SETS, client_of, config_map, daemon_set
from meaning import Frame, Sample

from tui.core import etcd_conf
from tui.lab.client import MERGE_PATCH, Client
from tui.lab.mesh import objects as mesh
from tui.lab.world import Lab

INTERVAL_S = 2.0
_MOST_S = 300.0
_ROUNDS = 9  # intervals that every input has reported in: rates look back five of them, objects come each fifth
POD_METRIC = "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"
CONF = "/usr/local/datakit/conf.d"
# What comes last: what only the elected agent knows of, and scrapes that begin with a cycle of the objects.
WANTED = {
    ("O", "kubernetes_nodes", "age"): 1,
    ("M", "kube_node", "cpu_allocatable"): 1,
    ("M", "etcd", "server_has_leader"): 1,
    ("M", "istio_prom", "istio_requests_total"): 7,
    ("M", "istio_prom", "pilot_xds_pushes"): 7,
}
# What sidecars and gateways, and istiod, are to be scraped for: quantiles from histograms, sizes left out.
SIDECAR = """\
[[inputs.prom]]
  url = "http://$IP:15020/stats/prometheus"
  source = "istio-sidecar"
  metric_types = ["counter", "gauge", "histogram"]
  interval = "60s"
  measurement_name = "istio_prom"
  metric_name_filter = [
    "^istio_requests_total$",
    "^istio_request_duration_milliseconds$",
    "^istio_tcp_",
    "^istio_build$",
    "^envoy_cluster_upstream_cx_(total|active|connect_fail|rx_bytes_total|tx_bytes_total)$",
  ]
  tags_ignore = ["source_principal", "destination_principal", "source_canonical_revision", "destination_cluster"]
  [inputs.prom.tags]
    namespace = "$NAMESPACE"
    pod_name = "$PODNAME"
"""
ISTIOD = """\
[[inputs.prom]]
  url = "http://$IP:15014/metrics"
  source = "istiod"
  metric_types = ["counter", "gauge", "histogram"]
  interval = "60s"
  measurement_name = "istio_prom"
  metric_name_filter = [
    "^istio_build$", "^pilot_", "^citadel_server_", "^galley_validation_", "^sidecar_injection_", "^go_goroutines$",
    "^process_(virtual_memory_bytes|resident_memory_bytes|cpu_seconds_total)$",
    "^go_memstats_(heap_inuse|heap_alloc|stack_inuse)_bytes$",
  ]
  [inputs.prom.tags]
    app_id = "istiod"
    namespace = "$NAMESPACE"
    pod_name = "$PODNAME"
"""


@dataclass(frozen=True)
class Recorded:
    """The studio's file, when it was recorded (unix ms), and how much faster than the clock its time ran."""

    database: Path
    now: float
    scale: float

    @property
    def frame(self) -> Frame:
        """The hour before the end, in the lab's time, which holds all of its run: on a busy machine turns come late."""
        return Frame(self.now - 3_600_000 / self.scale, self.now, self.scale)

    def samples(self) -> list[Sample]:
        """All points as they are in the file, by series."""
        query = "SELECT id, namespace, measurement, field, tags FROM series"
        with sqlite3.connect(self.database) as file:
            points: dict[int, list[tuple[int, float | str]]] = {}
            for series, at, value in file.execute("SELECT series, time_ms, value FROM point ORDER BY series, time_ms"):
                points.setdefault(series, []).append((at, value))
            return [
                Sample(name if space == "M" else f"{space}::{name}", field, json.loads(tags), tuple(points[number]))
                for number, space, name, field, tags in file.execute(query)
                if number in points
            ]


def record(folder: Path) -> Recorded:
    """Run a lab with what the wizard proposes for all views, and record its studio into `folder`."""
    found = folder / "recorded.json"
    if not found.exists():
        found.write_text(json.dumps(asyncio.run(_record(folder))))
    told = json.loads(found.read_text())
    return Recorded(folder / "recorded.sqlite", told["now"], told["scale"])


async def _record(folder: Path) -> dict[str, float]:
    lab = Lab(interval_s=INTERVAL_S, seed=1, mesh=True, etcd_binary=shutil.which("etcd"))
    await lab.start()
    try:
        admin = client_of(lab, "admin", folder)
        try:
            await _set_up(admin)
            await _until(lambda: _reported(lab), "every input has reported")
        finally:
            await admin.close()
        now = time.time() * 1000
        with (
            sqlite3.connect(lab.folder / "studio.sqlite") as source,
            sqlite3.connect(folder / "recorded.sqlite") as copy,
        ):
            source.backup(copy)
        return {"now": now, "scale": lab.scale}
    finally:
        await lab.stop()


async def _set_up(admin: Client) -> None:
    """etcd.conf with the recommended filter, the metrics of pods, and lean annotations for sidecars and istiod, as a
    person would set them by kubectl.
    """
    conf = etcd_conf.render("node-http", "recommended", urls=["http://127.0.0.1:2381/metrics"], cluster_name="lab")
    query = {"fieldManager": "tests"}
    await admin.send(
        "PATCH", f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": conf}), query=query, content_type=APPLY
    )
    mount = {"name": "datakit-conf", "mountPath": f"{CONF}/etcd/etcd.conf", "subPath": "etcd.conf", "readOnly": True}
    env = [{"name": POD_METRIC, "value": "true"}]
    container = {"name": "datakit", "volumeMounts": [mount], "env": env}
    body = daemon_set({"template": {"spec": {"containers": [container]}}})
    await admin.send("PATCH", f"{SETS}/datakit", body, query=query, content_type=APPLY)
    for namespace, name in mesh.deployments():
        if name != mesh.NO_SIDECAR:
            annotations = {mesh.INSTANCES: ISTIOD if name == "istiod" else SIDECAR}
            patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
            await admin.send("PATCH", path, patch, query=query, content_type=MERGE_PATCH)


def _reported(lab: Lab) -> bool:
    """Whether the agents that run now have all collected often enough, and the elected one objects too."""
    agents = [agent for agent in lab.agents() if POD_METRIC in agent.container.env]  # those before the rollout aside
    if len(agents) < len(lab.nodes):
        return False
    metrics = min(agent.counters.feed_total.get(("container-metric", "metric"), 0) for agent in agents)
    leaders = [agent for agent in agents if agent.state.election.status == "success"]
    if metrics < _ROUNDS or len(leaders) != 1:
        return False
    with sqlite3.connect(lab.folder / "studio.sqlite") as file:
        return all(_arrives(file, lab.scale, *which, least) for which, least in WANTED.items())


def _arrives(file: sqlite3.Connection, scale: float, space: str, measurement: str, field: str, least: int) -> bool:
    """Whether a series of this field has that many points, the newest of the last three minutes (of objects: ever)."""
    query = """SELECT count(*), max(time_ms) FROM series JOIN point ON series.id = point.series
               WHERE namespace = ? AND measurement = ? AND field = ? GROUP BY series.id"""
    since = 0.0 if space == "O" else time.time() * 1000 - 180_000 / scale
    return any(count >= least and newest >= since for count, newest in file.execute(query, (space, measurement, field)))


async def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _MOST_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {_MOST_S} s: {what}"
        await asyncio.sleep(0.1)
