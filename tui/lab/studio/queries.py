"""The query endpoints: `query_data_v1`, its asynchronous sister, and DataWay's `query/raw`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tui.lab.studio import dql, evaluate, promql_answer
from tui.lab.studio.envelope import ApiError, envelope, json_body
from tui.lab.studio.store import Store

_MOST_QUERIES = 100
_DEFAULT_RANGE_MS = 15 * 60_000


class Queries:
    """Handlers over the store. `asynchronous()` tells whether answers are to come by polling (a fault to practise)."""

    def __init__(
        self,
        store: Store,
        time_scale: float,
        clock: Callable[[], float],
        asynchronous: Callable[[], bool],
        nothing: Callable[[], str] = lambda: "list",
    ) -> None:
        self._nothing = nothing
        self._store = store
        self._scale = time_scale
        self._clock = clock
        self._asynchronous = asynchronous
        self._waiting: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.post("/api/v1/df/query_data_v1", self.query),
            web.post("/api/v1/df/asynchronous/query_data", self.query),
        ]

    async def query(self, request: web.Request) -> web.Response:
        """Answers `queries[i]` in `content.data[i]`; one that cannot be read fails the request as a whole."""
        body = await json_body(request)
        queries = body.get("queries")
        if not isinstance(queries, list) or not 1 <= len(queries) <= _MOST_QUERIES:
            raise ApiError(400, "ft.InvalidParameter", f"queries is a list of 1 to {_MOST_QUERIES}")
        return envelope({"declaration": {}, "data": [self._one(query) for query in queries]})

    def _one(self, item: Any) -> dict[str, Any]:
        if not isinstance(item, dict) or not isinstance(item.get("query"), dict):
            raise ApiError(400, "ft.InvalidParameter", "each of queries needs qtype and query")
        ticket = item.get("async_id")
        if self._asynchronous() and ticket not in self._waiting:
            ticket = f"async_{secrets.token_hex(8)}"
            self._waiting.add(ticket)
            return {
                "async_id": ticket,
                "is_running": True,
                "query_status": "running",
                "complete": False,
                "series": None,
            }
        self._waiting.discard(str(ticket))
        started = time.perf_counter()
        body = item["query"]
        try:
            series = self.series(str(item.get("qtype", "dql")), body)
        except dql.QueryError as error:
            raise ApiError(400, "ft.QueryParseError", f"{error}: {str(body.get('q'))[:500]}") from None
        answer: dict[str, Any] = {
            "async_id": "",
            "is_running": False,
            "complete": False,  # so it is in the vendor's sample of a finished answer
            "query_type": "guancedb",
            "cost": f"{(time.perf_counter() - started) * 1000:.2f}ms",
            "sample": 1,
            "next_cursor_time": -1,
            "points": None,
            "series": series,
        }
        if not series:  # clients have to take all three alike: [], null and nothing at all
            form = self._nothing()
            if form == "null":
                answer["series"] = None
            elif form == "missing":
                del answer["series"]
        return answer

    def series(self, qtype: str, body: dict[str, Any]) -> evaluate.Answer:
        """The series for one query's body. Raises QueryError."""
        text = body.get("q")
        if not isinstance(text, str) or not text.strip():
            raise dql.QueryError("q is empty")
        frame = self._frame(body)
        if qtype == "dql":
            return evaluate.answer(self._store, dql.parse(text), frame)
        if qtype == "promql":
            instant = body.get("promqlType") == "instantQuery"
            return promql_answer.answer(self._store, text, frame, instant=instant)
        raise dql.QueryError(f"qtype {qtype} is not known here")

    def _frame(self, body: dict[str, Any]) -> evaluate.Request:
        now = self._clock() * 1000
        start, end = _range(body.get("timeRange"), now, _DEFAULT_RANGE_MS / self._scale)
        interval = None
        if body.get("interval"):
            interval = float(body["interval"]) * 1000 / self._scale
        if body.get("maxPointCount"):
            interval = max((end - start) / float(body["maxPointCount"]), 1)
        return evaluate.Request(
            now,
            start,
            end,
            self._scale,
            interval,
            limit=int(body["limit"]) if body.get("limit") else None,
            slimit=int(body.get("slimit") or evaluate.DEFAULT_SLIMIT),
        )


def _range(given: Any, now_ms: float, default_ms: float) -> tuple[float, float]:
    if given is None:
        return now_ms - default_ms, now_ms
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(item, int | float) for item in given):
        raise ApiError(400, "ft.InvalidParameter", "timeRange is [start_ms, end_ms]")
    return float(given[0]), float(given[1])
