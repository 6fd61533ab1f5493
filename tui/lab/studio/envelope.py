"""The Open API's envelope, its errors, and its two rate limits."""

from __future__ import annotations

import uuid
from collections import deque
from typing import Any

from aiohttp import web


class ApiError(Exception):
    """An answer that is no success: HTTP status and errorCode as the vendor's error table pairs them."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def envelope(content: Any, **more: Any) -> web.Response:
    """A success."""
    return _answer(200, content, "", "", more)


def failure(error: ApiError) -> web.Response:
    """A failure; `code` mirrors the HTTP status."""
    return _answer(error.status, {}, error.code, error.message, {})


def _answer(status: int, content: Any, code: str, message: str, more: dict[str, Any]) -> web.Response:
    body = {
        "code": status,
        "content": content,
        "errorCode": code,
        "message": message,
        "success": status == 200,
        "traceId": f"TRACE-{uuid.uuid4().hex.upper()}",
        **more,
    }
    return web.json_response(body, status=status)


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's body as an object; an empty one and `null` are {}."""
    if not await request.read():
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise ApiError(400, "ft.InvalidParameter", "the body is not JSON") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ApiError(400, "ft.InvalidParameter", "the body is not an object")
    return body


class Limit:
    """At most `most` requests in any `period_s`; the error has HTTP status 401, as documented (api-limit page)."""

    def __init__(self, most: int, period_s: float, code: str) -> None:
        self._most = most
        self._period = period_s
        self._code = code
        self._times: deque[float] = deque()

    def count(self, now_s: float) -> None:
        """Count one request at this time. Raises ApiError where it is one too many; such a one is not counted."""
        while self._times and self._times[0] <= now_s - self._period:
            self._times.popleft()
        if len(self._times) >= self._most:
            raise ApiError(401, self._code, "the frequency of requests exceeds the limit")
        self._times.append(now_s)
