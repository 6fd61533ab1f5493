"""One `[[inputs.prom]]` at work in an agent: Init, the ticks, the scrapes, what is fed.

The order of things is that of DataKit 1.84.1 (internal/plugins/inputs/prom/input.go): Init reads the TLS
files and is tried again at every tick until it succeeds, silently but for the log, and nothing is reported
meanwhile, not even `up`; after it has succeeded the files are never read again. A paused input skips its
ticks; the very first collection comes before the input looks whether it is paused.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tui.core.prom import collector
from tui.core.prom.collector import Point, Scrape
from tui.core.prom.conf import TLS, PromInput
from tui.core.prom.settings import ANNOTATION
from tui.lab.container import Container
from tui.lab.feeds import Counters, Feeder, Log
from tui.lab.network import Network, NetworkError, tls_context
from tui.lab.settings import Settings

_FIRST_DELAY_S = 10.0
_REQUEST_S = 30.0


@dataclass
class Surroundings:
    """What an input gets from its agent."""

    container: Container
    network: Network
    settings: Settings
    uploader: Feeder
    counters: Counters
    log: Log
    scale: float
    paused: Callable[[PromInput], bool]
    clock: Callable[[], float] = time.time


@dataclass
class PromInstance:
    """A running `[[inputs.prom]]`: `path` is the conf file that it came from."""

    path: str
    input: PromInput
    around: Surroundings
    first_delay: float = 0.0  # share of the 10 s within which inputs begin
    initialised: bool = field(default=False, init=False)
    _tls: ssl.SSLContext | None = field(default=None, init=False, repr=False)
    _bearer: str = field(default="", init=False, repr=False)

    async def run(self) -> None:
        """Collect until cancelled."""
        scale = self.around.scale
        await asyncio.sleep(_FIRST_DELAY_S * self.first_delay / scale)
        period = self.input.interval_s / scale
        tick = time.monotonic()
        first = True
        while True:
            if first or not self.around.paused(self.input):
                await self._tick()
            first = False
            tick += period
            late = time.monotonic() - tick
            if late > 0:
                tick += period * int(late / period + 1)  # ticks that passed meanwhile are lost
            await asyncio.sleep(max(0.0, tick - time.monotonic()))

    async def collect(self) -> None:
        """One round, whoever is elected."""
        await self._tick()

    def prepare(self) -> None:
        """Init at once. Raises OSError or ValueError where it fails."""
        self._init()
        self.initialised = True

    async def _tick(self) -> None:
        if not self.initialised:
            try:
                self._init()
            except (OSError, ValueError) as error:
                self._log("ERROR", "prom/input.go:496", f"create prom collector: {_go_reason(error)}")
                self._log("ERROR", "prom/input.go:178", f"Init {_go_reason(error)}")
                self._log("WARN", "prom/input.go:184", "un initialized, waiting for the next interval")
                return
            self.initialised = True
        await self._collect()

    def _init(self) -> None:
        """Read the TLS files. Raises OSError or ValueError (ssl.SSLError is an OSError)."""
        if self.input.problem:
            raise ValueError(self.input.problem)
        self._tls = load_tls(self.input.tls, self.around.container)
        if self.input.bearer_token_file:
            self._bearer = self.around.container.read(self.input.bearer_token_file).decode()

    async def _collect(self) -> None:
        around = self.around
        scrapes = {url: await self._fetch(url) for url in self.input.urls}
        for scrape in scrapes.values():
            around.counters.attempts[self.input.source] += 1
            if scrape.body is None and self.input.kind == ANNOTATION:
                self.around.log(
                    "WARN", "k8s", "kubernetes/k8s_pod_prom.go:268", f"failed to collect prom: {scrape.error}"
                )
            elif scrape.body is None:
                self._log("ERROR", "prom/input.go:251", f"Collect: {scrape.error}, ignored")
        settings = around.settings
        now_ms = int(around.clock() * 1000)
        result = await asyncio.to_thread(
            collector.collect,
            self.input,
            lambda url: scrapes.get(url) or Scrape(None, error="not scraped"),
            host_tags=dict(settings.host_tags),
            election_tags=dict(settings.election_tags),
            now_ms=now_ms,
        )
        name = self.input.feed_name
        if result.points:
            around.counters.collected[self.input.source] += 1
            around.counters.collected_points[self.input.source] += len(result.points)
            around.uploader.feed(name, _stamped(result.points, now_ms), feeds=max(1, len(result.ups)))
        if result.ups:
            around.uploader.feed(f"{name}.up", _stamped(result.ups, now_ms), feeds=len(result.ups))

    async def _fetch(self, url: str) -> Scrape:
        if not url.startswith(("http://", "https://")):
            try:
                return Scrape(self.around.container.read(url.removeprefix("file://")))
            except OSError as error:
                return Scrape(None, error=_go_reason(error))
        headers = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip", **self.input.http_headers}
        if self.input.bearer_token_file:
            headers["Authorization"] = f"Bearer {self._bearer}"
        elif self.input.auth.get("type") == "bearer_token":
            headers["Authorization"] = f"Bearer {self._token()}"
        try:
            answer = await self.around.network.request(
                self.around.container.node.name,
                "GET",
                url,
                tls=self._tls,
                server_name=self.input.tls.server_name,
                headers=headers,
                timeout_s=_REQUEST_S,
            )
        except NetworkError as error:
            return Scrape(None, error=f'Get "{url}": {error.reason}')
        return Scrape(answer.body, answer.status)

    def _token(self) -> str:
        if self.input.auth.get("token"):
            return self.input.auth["token"]
        try:
            return self.around.container.read(self.input.auth.get("token_file", "")).decode().replace("\n", "")
        except (OSError, UnicodeDecodeError):
            return ""

    def _log(self, level: str, where: str, message: str) -> None:
        self.around.log(level, f"prom/{self.input.source}", where, message)


def _stamped(points: Sequence[Point], now_ms: int) -> list[Point]:
    """The points with the time of their collection, where they bring none of their own."""
    return [point if point.time_ms is not None else replace(point, time_ms=now_ms) for point in points]


def load_tls(tls: TLS, container: Container) -> ssl.SSLContext | None:
    """The TLS settings, files read from the container; None where Go's defaults hold.

    Raises OSError where a file cannot be read or is no PEM.
    """
    if tls == TLS():
        return None
    if tls.ca_base64 or tls.cert_base64 or tls.key_base64:
        ca = b"\n".join(base64.b64decode(each) for each in tls.ca_base64)
        pair = {"cert": base64.b64decode(tls.cert_base64), "key": base64.b64decode(tls.key_base64)}
        return _context_of(ca, pair, insecure=tls.insecure)
    ca = b"\n".join(container.read(path) for path in tls.ca)
    if tls.ca and b"BEGIN CERTIFICATE" not in ca:
        raise OSError(f"no certificate found in {', '.join(tls.ca)}")
    if not (tls.cert and tls.key):
        return tls_context(ca, insecure=tls.insecure)
    for path in (tls.cert, tls.key):
        container.read(path)
    cert, key = container.real(tls.cert), container.real(tls.key)
    return tls_context(ca, str(cert), str(key), insecure=tls.insecure)


def _context_of(ca: bytes, pair: Mapping[str, bytes], *, insecure: bool) -> ssl.SSLContext:
    if not all(pair.values()):
        return tls_context(ca, insecure=insecure)
    with tempfile.TemporaryDirectory() as folder:  # ssl takes a client's pair from files alone
        paths = {name: Path(folder, name) for name in pair}
        for name, content in pair.items():
            paths[name].touch(mode=0o600)
            paths[name].write_bytes(content)
        return tls_context(ca, str(paths["cert"]), str(paths["key"]), insecure=insecure)


def _go_reason(error: Exception) -> str:
    """An error in Go's words, without the lab's real paths."""
    if isinstance(error, FileNotFoundError):
        return "open: no such file or directory"
    if isinstance(error, IsADirectoryError):
        return "read: is a directory"
    if isinstance(error, PermissionError):
        return "open: permission denied"
    if isinstance(error, ssl.SSLError):
        return "tls: failed to find any PEM data in certificate or key input"
    return str(error)
