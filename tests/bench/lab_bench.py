"""What a practice lab costs: until it is ready, in memory, at rest, and each server-side apply. Printed by bench.py."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench import CONF, Measured, process
from practice import Practice, practice

LARGE = 500
REST_S = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """MiB that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def cpu_s(pid: int) -> float:
    """Seconds that a process has had of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def at_rest(lab: Practice, rest_s: float) -> float:
    """Percent of a processor that a lab takes when nobody asks it anything."""
    time.sleep(rest_s / 2)  # what the start has left to do
    before = cpu_s(lab.process.pid)
    time.sleep(rest_s)
    return 100 * (cpu_s(lab.process.pid) - before) / rest_s


def applies(lab: Practice, count: int) -> list[float]:
    """Seconds of each of `count` server-side applies that change something, from call to answer."""
    from tui import backend
    from tui.core.ports import CONFIG_MAP

    cluster = backend.connect(lab.ready["kubeconfig"]).clusters().connect(lab.ready["contexts"]["admin"])
    namespace = lab.ready["namespace"]
    seconds = []
    for number in range(count + 1):
        metadata = {"name": "datakit-conf", "namespace": namespace}
        data = {"etcd.conf": f"# {number}\n{CONF}"}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        began = time.perf_counter()
        cluster.apply(CONFIG_MAP, namespace, "datakit-conf", body, manager="datakit-wizard", dry_run=False)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]  # the first one opens the connection


def measure(place: Path, *, large: int = LARGE, count: int = 100, rest_s: float = REST_S) -> Iterator[Measured]:
    """Every figure of a lab of four nodes and of one of `large`."""
    with practice(place / "four", interval="60s", mesh=True) as lab:
        yield Measured("lab at rest, 4 nodes", at_rest(lab, rest_s), "% CPU", "at most 2")
        each = applies(lab, count)
        p95 = statistics.quantiles(each, n=20)[-1]
        yield Measured("server-side apply, median", statistics.median(each), "s")
        yield Measured("server-side apply, 95 of 100", p95, "s", "at most 20 ms")
        yield Measured("lab in memory, 4 nodes", memory_mib(lab.process.pid), "MiB")
    base = statistics.median(process(place, "-c", "pass") for _run in range(7))
    began = time.perf_counter()
    with practice(place / "large", "--nodes", str(large), interval="60s", mesh=True) as lab:
        seconds = time.perf_counter() - began
        ratio = f"{seconds / base:.0f}× python -c pass, at most 10 s"
        yield Measured(f"lab ready, {large} nodes", seconds, "s", ratio)
        yield Measured(f"CPU until then, {large} nodes", cpu_s(lab.process.pid), "s")
        yield Measured(f"lab in memory, {large} nodes", memory_mib(lab.process.pid), "MiB", "at most 200")
