"""What a lab's studio holds once the wizard's proposal is applied and every input has reported: recorded, then read.

The lab is gone by then, so tests see the same points however long they take. It runs 60 times as fast as the clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from meaning import Frame, Sample

from tui.lab.mesh import objects as mesh
from tui.lab.world import Lab

INTERVAL_S = 1.0
_MOST_S = 300.0
_ROUNDS = 9  # intervals that every input has reported in: rates look back five of them, objects come each fifth
POD_METRIC = "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"
# What comes last: what only the elected agent knows of, and scrapes that begin with a cycle of the objects.
WANTED = {
    ("O", "kubernetes_nodes", "age"): 1,
    ("M", "kube_node", "cpu_allocatable"): 1,
    ("M", "etcd", "server_has_leader"): 1,
    ("M", "istio_prom", "istio_requests_total"): 7,
    ("M", "istio_prom", "pilot_xds_pushes"): 7,
}


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
        await _set_up(lab, folder)
        await _until(lambda: _reported(lab), "every input has reported")
        now = time.time() * 1000
        with (
            sqlite3.connect(lab.folder / "studio.sqlite") as source,
            sqlite3.connect(folder / "recorded.sqlite") as copy,
        ):
            source.backup(copy)
        return {"now": now, "scale": lab.scale}
    finally:
        await lab.stop()


async def _set_up(lab: Lab, folder: Path) -> None:
    """What the wizard proposes, applied: of the mesh for every sidecar, in place of the tutorial's annotations."""
    answers = folder / "answers.toml"
    proposed = tomlkit.parse(await _wizard(lab, folder, "answers"))
    workloads = [f"{namespace}/{name}" for namespace, name in mesh.deployments() if name != mesh.NO_SIDECAR]
    proposed["istio"]["workloads"] = workloads  # type: ignore[index]
    proposed["istio"]["replace"] = [each for each in workloads if each.startswith("prod/")]  # type: ignore[index]
    answers.write_text(tomlkit.dumps(proposed))
    await _wizard(lab, folder, "apply", "-f", str(answers), "--yes", "--no-views")


async def _wizard(lab: Lab, folder: Path, *arguments: str) -> str:
    """A command of the wizard's against the lab; returns what it prints."""
    argv = [sys.executable, "-m", "tui.cli", *arguments, "--kubeconfig", str(lab.kubeconfig)]
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "LC_ALL": "C.UTF-8"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, env=env, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


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
