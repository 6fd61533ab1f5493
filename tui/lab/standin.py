"""A stand-in for an etcd member: its metrics and health over HTTP, with values that move as time goes by.

The families and their samples are those of a real etcd 3.4 (assets/samples/etcd-3.4.txt).
"""

from __future__ import annotations

import math
import random
import re
import ssl
import time
from pathlib import Path

from aiohttp import web

from tui import i18n

SAMPLE = "etcd-3.4.txt"

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$")

# Gauges by type, but counters by nature.
_COUNTING_GAUGES = (
    "etcd_server_proposals_applied_total",
    "etcd_server_proposals_committed_total",
    "etcd_disk_wal_write_bytes_total",
    "etcd_debugging_mvcc_total_put_size_in_bytes",
    "etcd_debugging_mvcc_current_revision",
)
_BREATHING_GAUGES = (
    "go_goroutines",
    "go_memstats_alloc_bytes",
    "go_memstats_heap_alloc_bytes",
    "go_memstats_heap_inuse_bytes",
    "go_memstats_heap_objects",
    "process_resident_memory_bytes",
)
# A second of an idle cluster adds about this share of what the sample had counted in its first seconds.
_GROWTH_PER_S = 0.05
_FAILURES = re.compile(r"fail|slow|leader_changes|lost|rejected|corrupt")


class Exposition:
    """The sample with its values moved on. Counters never fall; buckets, sums and counts stay consistent."""

    def __init__(self, text: str, *, leader: bool, rng: random.Random) -> None:
        self._started = time.monotonic()
        self._unix_start = time.time()
        self._growth = _GROWTH_PER_S * rng.uniform(0.8, 1.25)
        self._phase = rng.uniform(0, 2 * math.pi)
        self._leader = leader
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self._parts: list[str | tuple[str, str, float, str]] = []
        for line in text.splitlines():
            match = _LINE.match(line)
            if match is None or line.startswith("#"):
                self._parts.append(line)
                continue
            name, labels, value = match[1], match[2] or "", match[3]
            self._parts.append((name, labels, float(value), self._behaviour(name, types)))

    def lead(self) -> None:
        """The member whose values these are leads from now on."""
        self._leader = True

    @staticmethod
    def _behaviour(name: str, types: dict[str, str]) -> str:
        if name == "process_start_time_seconds":
            return "start"
        if name == "etcd_server_is_leader":
            return "leader"
        if name in _BREATHING_GAUGES:
            return "breathe"
        if _FAILURES.search(name):
            return "still"
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        kind = types.get(name) or types.get(base, "untyped")
        if name in _COUNTING_GAUGES or kind in ("counter", "histogram"):
            return "grow"
        if kind == "summary" and name != base:
            return "grow"
        return "still"

    def text(self) -> str:
        """The exposition as it is now."""
        elapsed = time.monotonic() - self._started
        factor = 1 + self._growth * elapsed
        breath = 1 + 0.04 * math.sin(self._phase + elapsed / 20)
        lines = []
        for part in self._parts:
            if isinstance(part, str):
                lines.append(part)
                continue
            name, labels, value, behaviour = part
            lines.append(f"{name}{labels} {go_number(self._moved(value, behaviour, factor, breath))}")
        return "\n".join(lines) + "\n"

    def _moved(self, value: float, behaviour: str, factor: float, breath: float) -> float:
        if behaviour == "start":
            return self._unix_start
        if behaviour == "leader":
            return 1.0 if self._leader else 0.0
        if not math.isfinite(value):
            return value
        if behaviour == "grow":
            return float(math.floor(value * factor)) if value.is_integer() else value * factor
        if behaviour == "breathe":
            return float(math.floor(value * breath))
        return value


def go_number(value: float) -> str:
    """A value as Go's expfmt writes it."""
    if value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    text = repr(value)
    if value.is_integer() and abs(value) < 1e21:
        mantissa, _, exponent = f"{value:.16e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent):+03d}"
    return text.replace("inf", "Inf").replace("nan", "NaN")


class StandIn:
    """One member: `/metrics` and `/health` over TLS with client certificates, and again without on a second
    port.
    """

    def __init__(self, *, leader: bool, rng: random.Random) -> None:
        sample = (i18n.assets() / "samples" / SAMPLE).read_text()
        self._exposition = Exposition(sample, leader=leader, rng=rng)
        self._runner: web.AppRunner | None = None

    def lead(self) -> None:
        """This member is the leader from now on."""
        self._exposition.lead()

    async def start(self, cert: Path, key: Path, ca: Path) -> tuple[int, int]:
        """Listen on two free loopback ports; returns (TLS, plain)."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._health)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        secure, plain = (int(address[1]) for address in self._runner.addresses)
        return secure, plain

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            text=self._exposition.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text='{"health":"true"}', content_type="application/json")

    async def stop(self) -> None:
        """Close the ports."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
