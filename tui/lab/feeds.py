"""What an agent counts and sends: feeds, and the upload of points to Dataway in line protocol."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from tui.core.prom import lineprotocol
from tui.core.prom.collector import Point
from tui.lab.network import Network, NetworkError
from tui.lab.settings import VERSION, Settings, api_url

Log = Callable[[str, str, str, str], None]  # level, module, where in the source, message

_FLUSH_S = 10.0
_FLUSH_POINTS = 1000
_RETRY_S = 30.0
_KEPT_POINTS = 20_000


@dataclass
class Counters:
    """The numbers behind the agent's /metrics (names and labels of DataKit 1.84.1)."""

    feed_total: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    feed_points: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    feed_last_s: dict[tuple[str, str], float] = field(default_factory=dict)
    uploaded: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    dropped: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    collected: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    collected_points: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    errors: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    annotated: list[int] = field(default_factory=list)  # scrapes that pods asked for, at each hand-over
    paused: int = 0
    resumed: int = 0


class Feeder(Protocol):
    """Takes what inputs collect."""

    def feed(self, name: str, points: Sequence[Point], *, feeds: int = 1) -> None: ...


class Uploader:
    """Takes points and sends them in batches: after 10 s or 1,000 points, failed ones again after 30 s (both
    scaled).
    """

    def __init__(self, settings: Settings, network: Network, counters: Counters, log: Log, scale: float) -> None:
        self._settings = settings
        self._network = network
        self._counters = counters
        self._log = log
        self._scale = scale
        self._waiting: deque[Point] = deque(maxlen=_KEPT_POINTS)
        self._more = asyncio.Event()
        self._full = asyncio.Event()

    def feed(self, name: str, points: Sequence[Point], *, feeds: int = 1) -> None:
        """Take the points of one feed; `feeds` is how many batches the input made of them."""
        for category in {point.category for point in points}:
            key = (name, category)
            self._counters.feed_total[key] += feeds
            self._counters.feed_points[key] += sum(point.category == category for point in points)
            self._counters.feed_last_s[key] = time.time()
        self._waiting.extend(points)
        if points:
            self._more.set()
        if len(self._waiting) >= _FLUSH_POINTS:
            self._full.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._more.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S / self._scale):  # Python 3.11's wait_for can lose a cancellation
                    await self._full.wait()
            self._full.clear()
            self._more.clear()
            points = list(self._waiting)
            self._waiting.clear()
            for category in sorted({point.category for point in points}):
                chosen = [point for point in points if point.category == category]
                if not await self._send(category, chosen):
                    self._waiting.extendleft(reversed(chosen))
            if self._waiting:
                await asyncio.sleep(_RETRY_S / self._scale)
                self._more.set()

    async def _send(self, category: str, points: Sequence[Point]) -> bool:
        """Send to the first Dataway. Returns False where it is to be tried again (network, 5xx)."""
        if not self._settings.dataways:
            return True
        body = gzip.compress(lineprotocol.encode(points).encode(), 1)
        headers = {
            "Content-Type": "application/line-protocol",
            "Content-Encoding": "gzip",
            "X-Points": str(len(points)),
            "User-Agent": f"datakit-linux-amd64/{VERSION}/{self._settings.hostname}",
        }
        try:
            answer = await self._network.request(
                self._settings.hostname,
                "POST",
                api_url(self._settings.dataways[0], f"/v1/write/{category}"),
                headers=headers,
                body=body,
                timeout_s=30.0,
            )
        except NetworkError as error:
            self._count(category, "unknown", len(points))
            self._log("ERROR", "dataway", "dataway/flush.go:227", f"write {category}: {error.reason}")
            return False
        self._count(category, _status_text(answer.status), len(points))
        if answer.status // 100 == 2:
            return True
        text = answer.body.decode(errors="replace")[:200]
        message = f"post {len(points)} points to /v1/write/{category} failed (HTTP: {answer.status}): {text}"
        self._log("ERROR", "dataway", "dataway/endpoint.go:412", message)
        if answer.status // 100 == 4:
            self._counters.dropped[(category, _status_text(answer.status))] += len(points)
            return True
        return False

    def _count(self, category: str, status: str, points: int) -> None:
        self._counters.uploaded[(category, "total")] += points
        self._counters.uploaded[(category, status)] += points


def _status_text(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown"
