"""One server for both faces of the practice studio: the Open API for people, DataWay for agents."""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tui.lab.studio.dashboards import READ_ONLY, STANDARD, Dashboards
from tui.lab.studio.dataway import Dataway
from tui.lab.studio.envelope import ApiError, Limit, envelope, failure
from tui.lab.studio.queries import Queries
from tui.lab.studio.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PER_KEY, PER_WORKSPACE = 20, 200  # requests a minute, as documented
# What can be put into `StudioServer.faults`.
FAULTS = frozenset(
    {
        "rate-limit",
        "workspace-limit",
        "wrong-key",
        "slow",
        "async",
        "not-json",
        "broken",
        "redirect",
        "lost-answer",
        "no-data-null",
        "no-data-missing",
    }
)
_SLOW_S = 3.0
_RETENTION_MS, _RETENTION_FLOOR_MS = 3 * 3_600_000, 15 * 60_000


@dataclass(frozen=True)
class Asked:
    """One request that the studio was asked. `path` is without its query, which can hold the token."""

    time_ms: int
    method: str
    path: str
    status: int
    error_code: str = ""


class StudioServer:
    """A workspace on loopback.

    `time_scale` says how much faster than the clock its periods run: rate limits, retention, durations in
    queries and the election. `reader_key` has the role Read-only. `asked` is the audit of the last requests;
    `faults` holds names of FAULTS and may change at any time. `audit` is called once a request with user, method,
    path, status and error code.
    """

    def __init__(
        self,
        path: str,
        api_key: str,
        token: str,
        time_scale: float = 1.0,
        *,
        reader_key: str = "",
        name: str = "practice",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._key = api_key
        self._reader_key = reader_key
        self._token = token
        self._scale = time_scale
        self._name = name
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._store: Store | None = None
        self._pruner: asyncio.Task[None] | None = None
        period = 60 / time_scale
        self._per_key = {
            role: Limit(PER_KEY, period, "ft.TriggerApiAkCurrentLimiting") for role in (STANDARD, READ_ONLY)
        }
        self._per_workspace = Limit(PER_WORKSPACE, period, "ft.TriggerApiWorkspaceCurrentLimiting")
        self.asked: deque[Asked] = deque(maxlen=5000)
        self.faults: set[str] = set()
        self.latency_s = 0.0  # how long each answer of the Open API takes
        self.audit: Callable[[str, str, str, int, str], None] | None = None
        self.dataway: Dataway | None = None  # from start() on
        self.url = ""

    def __repr__(self) -> str:
        return f"StudioServer({self.url!r})"

    async def start(self) -> str:
        """Open the file and a free port of 127.0.0.1. Returns the base URL, without a trailing slash."""
        self._store = store = Store(self._path, f"wksp_{uuid.uuid4().hex}")
        app = web.Application(middlewares=[self._front], client_max_size=16 << 20)
        queries = Queries(store, self._scale, self._clock, lambda: "async" in self.faults, self._nothing)
        self.dataway = Dataway(store, self._token, self._scale, self._clock, queries)
        app.add_routes(
            [
                web.get("/api/v1/const/check_ping", self._ping),
                web.get("/api/v1/workspace/get", self._workspace),
                *Dashboards(store, self._role).routes(),
                *queries.routes(),
                *self.dataway.routes(),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._pruner = asyncio.create_task(self._prune())
        return self.url

    async def stop(self) -> None:
        """Close the port and the file. May be called twice."""
        if self._pruner is not None:
            self._pruner.cancel()
            self._pruner = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._store is not None:
            self._store.close()
            self._store = None

    def _nothing(self) -> str:
        """How the answer to a query without data is spelled: "list", "null" or "missing"."""
        return next((form for form in ("null", "missing") if f"no-data-{form}" in self.faults), "list")

    async def _prune(self) -> None:
        keep_ms = max(_RETENTION_MS / self._scale, _RETENTION_FLOOR_MS)
        while True:
            await asyncio.sleep(60)
            if self._store is not None:
                self._store.prune(self._clock() * 1000 - keep_ms)

    # Every request passes here

    @web.middleware
    async def _front(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        code = ""
        try:
            if request.path.startswith("/api/"):
                response = await self._open_api(request, handler)
            else:
                response = await handler(request)
        except ApiError as error:
            code, response = error.code, failure(error)
        except web.HTTPException as error:
            if request.path.startswith("/api/"):
                code = "RouterNotFound"
                response = failure(ApiError(400, code, "the route does not exist"))
            else:
                self._audit(request, error.status, code)
                raise
        self._audit(request, response.status, code)
        return response

    def _audit(self, request: web.Request, status: int, code: str) -> None:
        self.asked.append(Asked(int(self._clock() * 1000), request.method, request.path, status, code))
        if self.audit is not None:
            user = "api-key" if request.path.startswith("/api/") else "agent"
            self.audit(user, request.method, request.path, status, code)

    async def _open_api(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if "slow" in self.faults or self.latency_s:
            await asyncio.sleep(self.latency_s or _SLOW_S)
        if "not-json" in self.faults:
            return web.Response(text="<!DOCTYPE html><title>Console</title>", content_type="text/html")
        if "redirect" in self.faults:
            return web.Response(status=302, headers={"Location": "http://elsewhere.invalid/api/v1"})
        if "broken" in self.faults:
            raise ApiError(503, "InternalError", "unknown error")
        role = self._role(request)
        if not role or "wrong-key" in self.faults:
            # Documented as 403, seen as 401: clients must go by the code.
            raise ApiError(401, "ft.InvalidAPIKey", "the API key is invalid")
        if "rate-limit" in self.faults:
            raise ApiError(401, "ft.TriggerApiAkCurrentLimiting", "the frequency of requests exceeds the limit")
        if "workspace-limit" in self.faults:
            raise ApiError(401, "ft.TriggerApiWorkspaceCurrentLimiting", "the frequency of requests exceeds the limit")
        for limit in (self._per_key[role], self._per_workspace):
            limit.count(time.monotonic())
        if role == READ_ONLY and request.method == "POST" and "/dashboards/" in request.path:
            # Documented as 403; the code's name is not.
            raise ApiError(403, "ft.NoPermission", "the API key's role does not include this")
        response = await handler(request)
        if "lost-answer" in self.faults and request.method == "POST":
            self.faults.discard("lost-answer")
            if request.transport is not None:
                request.transport.abort()
        return response

    def _role(self, request: web.Request) -> str:
        """The role of a request's API key, "" where it is none of this workspace."""
        given = request.headers.get("DF-API-KEY", "")
        for key, role in ((self._key, STANDARD), (self._reader_key, READ_ONLY)):
            if key and hmac.compare_digest(given.encode(), key.encode()):
                return role
        return ""

    async def _ping(self, request: web.Request) -> web.Response:
        return envelope("pong")

    async def _workspace(self, request: web.Request) -> web.Response:
        """The workspace that the key opens. As the real one, it gives the ingest token away."""
        assert self._store is not None
        content: dict[str, Any] = {
            "uuid": self._store.workspace_uuid,
            "name": self._name,
            "language": "zh",
            "timezone": "",
            "versionType": "unlimited",
            "datastore": {"metric": "guancedb"},
            "isLocked": 0,
            "billingState": "normal",
            "token": self._token,
        }
        return envelope(content)
