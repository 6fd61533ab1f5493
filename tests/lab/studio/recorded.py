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

from lab_clients import APPLY, MAPS, SETS, client_of, config_map, daemon_set, rollout
from meaning import Frame, Sample

from tui.core import etcd_conf
from tui.lab.client import Client
from tui.lab.world import Lab

INTERVAL_S = 2.0
_MOST_S = 120.0
_ROUNDS = 9  # intervals that every input has reported in: rates look back five of them, objects come each fifth
CONF = "/usr/local/datakit/conf.d"


@dataclass(frozen=True)
class Recorded:
    """The studio's file, when it was recorded (unix ms), and how much faster than the clock its time ran."""

    database: Path
    now: float
    scale: float

    @property
    def frame(self) -> Frame:
        """The quarter of an hour before the end, in the lab's time."""
        return Frame(self.now - 900_000 / self.scale, self.now, self.scale)

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
    """etcd.conf with the recommended filter and the metrics of pods, as a person would set them by kubectl."""
    conf = etcd_conf.render("node-http", "recommended", urls=["http://127.0.0.1:2381/metrics"], cluster_name="lab")
    query = {"fieldManager": "tests"}
    await admin.send(
        "PATCH", f"{MAPS}/datakit-conf", config_map(**{"etcd.conf": conf}), query=query, content_type=APPLY
    )
    mount = {"name": "datakit-conf", "mountPath": f"{CONF}/etcd/etcd.conf", "subPath": "etcd.conf", "readOnly": True}
    env = [{"name": "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC", "value": "true"}]
    container = {"name": "datakit", "volumeMounts": [mount], "env": env}
    body = daemon_set({"template": {"spec": {"containers": [container]}}})
    await admin.send("PATCH", f"{SETS}/datakit", body, query=query, content_type=APPLY)
    await rollout(admin)


def _reported(lab: Lab) -> bool:
    """Whether the agents that run now have all collected often enough, and the elected one objects too."""
    agents = lab.agents()
    if len(agents) < len(lab.nodes):
        return False
    metrics = min(agent.counters.feed_total.get(("container-metric", "metric"), 0) for agent in agents)
    leaders = [agent for agent in agents if agent.state.election.status == "success"]
    return metrics >= _ROUNDS and len(leaders) == 1 and lab_has_objects(lab)


def lab_has_objects(lab: Lab) -> bool:
    """Whether the elected agent's objects have arrived: only it knows of nodes."""
    with sqlite3.connect(lab.folder / "studio.sqlite") as file:
        row = file.execute("SELECT 1 FROM series WHERE namespace = 'O' AND measurement = 'kubernetes_nodes' LIMIT 1")
        return row.fetchone() is not None


async def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _MOST_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {_MOST_S} s: {what}"
        await asyncio.sleep(0.1)
