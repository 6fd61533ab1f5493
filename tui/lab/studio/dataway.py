"""DataWay, where agents send their points and hold their election (paths as DataKit 1.84.1 calls them)."""

from __future__ import annotations

import gzip
import hmac
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tui.core.prom import lineprotocol
from tui.core.prom.collector import Point
from tui.lab.studio import dql
from tui.lab.studio.envelope import ApiError, json_body
from tui.lab.studio.queries import Queries
from tui.lab.studio.store import Row, Store

CATEGORIES = frozenset(
    {
        "metric",
        "network",
        "keyevent",
        "object",
        "custom_object",
        "logging",
        "tracing",
        "rum",
        "security",
        "profiling",
    }
)
_NAMESPACES = {"metric": "M", "object": "O", "logging": "L"}
_MOST_BYTES = 32 << 20
_BEAT_S, _FASTEST_BEAT_S = (
    4,
    0.5,
)  # DataKit's own interval; how often it may come on the clock when time is sped up
_MISSED_BEATS = 3


@dataclass
class Leader:
    """Who holds the election of a namespace, and until when without another heartbeat."""

    id: str
    until_s: float


class Dataway:
    """Handlers over the store; elections are per token and namespace and live in memory."""

    def __init__(
        self, store: Store, token: str, time_scale: float, clock: Callable[[], float], queries: Queries
    ) -> None:
        self._store = store
        self._token = token
        self._clock = clock
        self._queries = queries
        self._leaders: dict[str, Leader] = {}
        self.electable: Callable[[str], bool] = lambda candidate: True
        # Whole seconds of the agents' time, as the real one answers; they divide it by the scale.
        self._interval = max(_BEAT_S, round(_FASTEST_BEAT_S * time_scale))
        self._lease_s = _MISSED_BEATS * self._interval / time_scale

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.post("/v1/write/{category}", self.write),
            web.get("/v1/ntp", self.ntp),
            web.post("/v1/election", self.election),
            web.post("/v1/election/heartbeat", self.election),
            web.get("/v1/datakit/pull", self.pull),
            web.post("/v1/datakit/usage_trace", self.usage),
            web.post("/v1/query/raw", self.query),
        ]

    def leader(self, namespace: str) -> str:
        """Who holds the election of a namespace, "" nobody."""
        leader = self._leaders.get(namespace)
        return leader.id if leader is not None and leader.until_s > self._clock() else ""

    def depose(self, namespace: str = "default", successor: str = "") -> None:
        """End the reign in a namespace; a `successor` from elsewhere then holds it for good, until deposed."""
        self._leaders.pop(namespace, None)
        if successor:
            self._leaders[namespace] = Leader(successor, math.inf)

    def _check(self, request: web.Request) -> web.Response | None:
        given = request.query.get("token", "")
        if hmac.compare_digest(given.encode(), self._token.encode()):
            return None
        return _refused(403, "dataway.invalidToken", "the token is not this workspace's")

    async def write(self, request: web.Request) -> web.Response:
        """Points in line protocol, plain or gzipped, times in ns. Metrics, objects and logs are kept, other
        categories are taken and not kept.
        """
        refused = self._check(request)
        if refused is not None:
            return refused
        category = request.match_info["category"]
        if category not in CATEGORIES:
            return _refused(404, "dataway.invalidCategory", f"there is no category {category}")
        if "protobuf" in request.headers.get("Content-Type", ""):
            return _refused(400, "dataway.unsupportedEncoding", "the practice studio reads line protocol (v1) only")
        try:
            text = (await _body(request)).decode()
            points = lineprotocol.decode(text)
            if category in _NAMESPACES:
                self._keep(points, _NAMESPACES[category])
        except (ValueError, OSError, EOFError, zlib.error) as error:
            return _refused(400, "dataway.invalidBody", str(error)[:500])
        return web.json_response({"content": {"points": len(points)}})

    def _keep(self, points: Sequence[Point], namespace: str) -> None:
        now = int(self._clock() * 1000)
        self._store.write(
            Row(point.measurement, point.tags, field, kept, now if point.time_ms is None else point.time_ms, namespace)
            for point in points
            for field, value in point.fields.items()
            if (kept := _kept(value)) is not None
        )

    async def ntp(self, request: web.Request) -> web.Response:
        """The time, for agents whose clock is off."""
        return web.json_response({"timestamp_sec": int(self._clock())})

    async def election(self, request: web.Request) -> web.Response:
        """Both the candidacy and the heartbeat: who holds it prolongs it, who comes first after a lapse takes it."""
        refused = self._check(request)
        if refused is not None:
            return refused
        namespace, candidate = request.query.get("namespace", "default"), request.query.get("id", "")
        if not candidate:
            return _refused(400, "dataway.invalidParameter", "id is empty")
        now = self._clock()
        leader = self._leaders.get(namespace)
        free = leader is None or leader.until_s <= now or leader.id == candidate
        if free and self.electable(candidate):
            leader = self._leaders[namespace] = Leader(candidate, now + self._lease_s)
        holder = leader.id if leader is not None else ""
        content = {
            "status": "success" if holder == candidate else "defeat",
            "namespace": namespace,
            "id": candidate,
            "incumbency_id": holder,
            "interval": self._interval,
            "error_msg": "",
        }
        return web.json_response({"content": content})

    async def pull(self, request: web.Request) -> web.Response:
        """Filters and pipelines that the workspace has for agents: none."""
        return self._check(request) or web.json_response({"filters": {}, "pull_interval": 60_000_000_000})

    async def usage(self, request: web.Request) -> web.Response:
        """Agents report themselves here; nothing is kept."""
        return self._check(request) or web.json_response({"content": {}})

    async def query(self, request: web.Request) -> web.Response:
        """DQL with the ingest token; answers without the Open API's envelope."""
        refused = self._check(request)
        if refused is not None:
            return refused
        try:
            queries = (await json_body(request)).get("queries")
            if not isinstance(queries, list):
                raise dql.QueryError("queries is not a list")
            content: list[dict[str, Any]] = [
                {
                    "series": self._queries.series(str(query.get("qtype", "dql")), _spelled(query)),
                    "async_id": "",
                }
                for query in queries
            ]
        except (dql.QueryError, ApiError) as error:
            return _refused(400, "ft.QueryParseError", str(error))
        return web.json_response({"content": content})


def _kept(value: float | str) -> float | str | None:
    """A field's value as it is kept: numbers as floats, None for those that are none."""
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


def _spelled(query: dict[str, Any]) -> dict[str, Any]:
    """A query of the raw API in the Open API's spelling."""
    body = {"q": query.get("query"), "timeRange": query.get("time_range"), "slimit": query.get("slimit")}
    if query.get("disable_slimit"):
        body["slimit"] = 1_000_000
    return body


async def _body(request: web.Request) -> bytes:
    """The body, unpacked. aiohttp unpacks what is declared; agents may send gzip without a word."""
    raw = await request.read()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    if len(raw) > _MOST_BYTES:
        raise ValueError("the body is too large")
    return raw


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error_code": code, "message": message}, status=status)
