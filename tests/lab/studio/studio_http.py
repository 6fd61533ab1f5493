"""A plain HTTP client for the two faces of the practice studio."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import aiohttp

KEY, TOKEN = "practice-key-7f3a", "tkn_" + "a" * 32


@dataclass
class Http:
    """Speaks to a studio as a program would."""

    session: aiohttp.ClientSession
    url: str

    async def api(self, method: str, path: str, body: Any = None, key: str = KEY, **query: str) -> tuple[int, dict]:
        async with self.session.request(
            method, f"{self.url}/api/v1/{path}", json=body, params=query, headers={"DF-API-KEY": key}
        ) as answer:
            return answer.status, await answer.json()

    async def write(
        self, lines: str | bytes, category: str = "metric", token: str = TOKEN, **headers: str
    ) -> tuple[int, dict]:
        async with self.session.post(
            f"{self.url}/v1/write/{category}", params={"token": token}, data=lines, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    async def ask(self, q: str, **body: Any) -> list[dict]:
        """The series that answer one DQL query over the last five minutes."""
        now = int(time.time() * 1000)
        query = {"q": q, "timeRange": [now - 300_000, now + 1000], **body}
        status, answer = await self.api("POST", "df/query_data_v1", {"queries": [{"qtype": "dql", "query": query}]})
        assert status == 200, answer
        return answer["content"]["data"][0]["series"]

    async def refused(self, q: str, **body: Any) -> str:
        """The message of a query that is an error."""
        query = {"qtype": body.pop("qtype", "dql"), "query": {"q": q, **body}}
        status, answer = await self.api("POST", "df/query_data_v1", {"queries": [query]})
        assert (status, answer["success"], answer["errorCode"]) == (400, False, "ft.QueryParseError"), answer
        return answer["message"]


def ns(ms: float) -> int:
    """Milliseconds as the nanoseconds of line protocol."""
    return int(ms) * 1_000_000
