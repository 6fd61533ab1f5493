"""The host inputs `cpu`, `disk`, `mem` and `system` of a machine: fields of DataKit 1.84.1's inputs of these names."""

from __future__ import annotations

from collections.abc import Mapping

from tui.core.prom.collector import Point
from tui.lab.inputs.containers import Fields
from tui.lab.inputs.machine import Machine
from tui.lab.inputs.usage import DISK_BYTES, MIB, Load, Usage
from tui.lab.nodes import CPUS, MEMORY_BYTES


def points(name: str, load: Load, machine: Machine, tags: Mapping[str, str], now: float) -> list[Point]:
    """What one of the host inputs reports now; its measurement has its name."""
    used = load.host([load.container(each, now) for each in machine.containers()], now)
    percent = used.millicores / (CPUS * 10)
    if name == "cpu":
        fields: Fields = {
            "usage_total": percent,
            "usage_user": percent * 0.68,
            "usage_system": percent * 0.3,
            "usage_iowait": percent * 0.02,
            "usage_idle": 100 - percent,
        }
        return [Point(name, {**tags, "cpu": "cpu-total"}, fields)]
    if name == "mem":
        return [Point(name, dict(tags), _memory(used.memory))]
    if name == "disk":
        taken = load.disk(now)
        space: Fields = {
            "total": DISK_BYTES,
            "used": taken,
            "free": DISK_BYTES - taken,
            "used_percent": taken / DISK_BYTES * 100,
        }
        return [Point(name, {**tags, "device": "/dev/vda1", "fstype": "ext4", "mount_point": "/"}, space)]
    return [Point(name, dict(tags), _system(load, machine, used, now))]


def _memory(used: int) -> Fields:
    cached, buffered = (MEMORY_BYTES - used) // 3, 96 * MIB
    available = MEMORY_BYTES - used
    return {
        "total": MEMORY_BYTES,
        "used": used,
        "available": available,
        "free": max(0, available - cached - buffered),
        "cached": cached,
        "buffered": buffered,
        "used_percent": used / MEMORY_BYTES * 100,
        "available_percent": available / MEMORY_BYTES * 100,
    }


def _system(load: Load, machine: Machine, used: Usage, now: float) -> Fields:
    """Averages over 1, 5 and 15 minutes: the longer, the closer to what is usual."""
    usual = load.host([load.container(each, now - 600 / load.scale) for each in machine.containers()], now).millicores
    found: Fields = {
        "cpu_total_usage": used.millicores / (CPUS * 10),
        "memory_usage": used.memory / MEMORY_BYTES * 100,
        "n_cpus": CPUS,
        "n_users": 0,
    }
    for minutes, share in ((1, 1.0), (5, 0.7), (15, 0.4)):
        average = (share * used.millicores + (1 - share) * usual) / 1000
        found |= {f"load{minutes}": average, f"load{minutes}_per_core": average / CPUS}
    return found
