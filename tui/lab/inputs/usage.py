"""What the containers and hosts of the lab use: smooth over time, counters that only grow, the same for the same seed.

Every value is a function of the time alone, so nothing has to run or be kept for it. How fast values swing follows the
lab's time; rates are a second's, by the clock that the studio divides by.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache

from tui.lab.apiserver.quantities import canonical_quantity
from tui.lab.inputs.machine import Object, Running, owner
from tui.lab.nodes import CPUS, MEMORY_BYTES, Node

_SLOW_S, _QUICK_S = 780.0, 210.0  # the periods of a swing
_SLOW, _QUICK = 0.22, 0.08  # and how far it goes
MIB = 1 << 20
_SYSTEM_BYTES = 900 * MIB  # what runs on a machine beside its pods
DISK_BYTES = 100 << 30
VOLUME_BYTES = 10 << 30


@dataclass(frozen=True)
class Swing:
    """A load that swings around 1: `at` its value, `since` what it adds up to between two moments (unix seconds)."""

    slow: float
    quick: float
    scale: float

    def at(self, now: float) -> float:
        """The load at this moment, always above 0.6."""
        slow, quick = self._phases(now)
        return 1 + _SLOW * math.sin(slow) + _QUICK * math.sin(quick)

    def since(self, start: float, now: float) -> float:
        """The load's integral over the seconds from start to now: it only grows."""
        (slow0, quick0), (slow1, quick1) = self._phases(start), self._phases(now)
        swung = _SLOW * _SLOW_S * (math.cos(slow0) - math.cos(slow1))
        swung += _QUICK * _QUICK_S * (math.cos(quick0) - math.cos(quick1))
        return now - start + swung / (math.tau * self.scale)

    def _phases(self, now: float) -> tuple[float, float]:
        turn = math.tau * self.scale * now
        return turn / _SLOW_S + self.slow, turn / _QUICK_S + self.quick


@lru_cache(maxsize=4096)
def _drawn(seed: str) -> tuple[float, ...]:
    chance = random.Random(seed)
    return tuple(chance.random() for _ in range(8))


def _swing(seed: str, scale: float) -> tuple[Swing, tuple[float, ...]]:
    slow, quick, *rest = _drawn(seed)
    return Swing(slow * math.tau, quick * math.tau, scale), tuple(rest)


@lru_cache(maxsize=512)
def amount(quantity: str) -> float:
    """A quantity of the API ("200m", "4Gi") as a number. Raises ValueError for what is none."""
    text = canonical_quantity(quantity)
    units = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
    units |= {f"{letter}i": float(1024**power) for power, letter in enumerate("KMGTPE", 1)}
    number = text.rstrip("mnukKMGTPEi")
    return float(number) * units.get(text[len(number) :], 1.0)


def resources(spec: Object, kind: str) -> tuple[int, int]:
    """A container's `requests` or `limits`: CPU in millicores and memory in bytes, 0 where it sets none."""
    found = (spec.get("resources") or {}).get(kind) or {}
    return round(amount(str(found.get("cpu", "0"))) * 1000), round(amount(str(found.get("memory", "0"))))


def container_spec(pod: Object, name: str) -> Object:
    """The spec of a pod's container."""
    found: Object = next((each for each in pod["spec"]["containers"] if each["name"] == name), {})
    return found


@dataclass(frozen=True)
class Usage:
    """What one container uses at a moment: CPU in millicores, memory in bytes."""

    millicores: int
    memory: int


@dataclass(frozen=True)
class Load:
    """The load of one machine, under the lab's seed. `scale` is how much faster than the clock its time runs."""

    node: Node
    seed: str
    scale: float

    def container(self, running: Running, now: float) -> Usage:
        """A container's use: some part of what it requests, within what it may."""
        swing, (cpu, memory, drift, *_rest) = _swing(self._name(running.pod, running.name), self.scale)
        spec = container_spec(running.pod, running.name)
        (cpu_wanted, memory_wanted), (cpu_most, memory_most) = resources(spec, "requests"), resources(spec, "limits")
        millicores = (0.25 + 0.4 * cpu) * cpu_wanted if cpu_wanted else 4 + 36 * cpu
        used = (0.55 + 0.3 * memory) * memory_wanted if memory_wanted else (20 + 90 * memory) * MIB
        millicores *= swing.at(now)
        used *= 1 + 0.06 * math.sin(math.tau * self.scale * now / 2600 + drift * math.tau)
        if cpu_most:
            millicores = min(millicores, cpu_most)
        if memory_most:
            used = min(used, 0.95 * memory_most)
        return Usage(max(1, round(millicores)), round(used))

    def network(self, pod: Object, started_s: float, now: float) -> tuple[int, int]:
        """The bytes that a pod has received and sent since it started; of one on the host's network, the host's."""
        host = bool(pod["spec"].get("hostNetwork"))
        swing, (received, sent, *_rest) = _swing(f"{self.seed}/{self.node.name}" if host else self._name(pod), 1.0)
        most = 180_000 if host else 24_000  # bytes a second
        grown = swing.since(started_s, now)
        return round((0.2 + received) * most * grown), round((0.2 + sent) * most * grown)

    def volume(self, pod: Object, claim: str, now: float) -> int:
        """The bytes that a pod's volume holds."""
        swing, (held, *_rest) = _swing(f"{self._name(pod)}/{claim}", self.scale)
        return round((0.2 + 0.3 * held) * VOLUME_BYTES * (0.9 + 0.1 * swing.at(now)))

    def host(self, running: list[Usage], now: float) -> Usage:
        """What the whole machine uses."""
        swing, (cpu, memory, *_rest) = _swing(f"{self.seed}/{self.node.name}/host", self.scale)
        millicores = sum(each.millicores for each in running) + (150 + 250 * cpu) * swing.at(now)
        used = sum(each.memory for each in running) + (0.8 + 0.6 * memory) * _SYSTEM_BYTES
        return Usage(min(round(millicores), CPUS * 1000), min(round(used), MEMORY_BYTES))

    def disk(self, now: float) -> int:
        """The bytes that the machine's disk holds."""
        swing, (used, *_rest) = _swing(f"{self.seed}/{self.node.name}/disk", self.scale)
        return round((0.25 + 0.3 * used) * DISK_BYTES + 64 * MIB * swing.at(now))

    def _name(self, pod: Object, container: str = "") -> str:
        """What stays the same of a container over its restarts, and over the pods of its workload on this machine."""
        metadata = pod["metadata"]
        name = owner(pod)[1] or metadata["name"]
        return f"{self.seed}/{self.node.name}/{metadata['namespace']}/{name}/{container}"
