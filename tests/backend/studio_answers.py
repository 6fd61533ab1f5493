"""A client of the studio whose answers the test makes up, and the constants of both test files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tui.backend.studio import StudioClient
from tui.core import views

KEY, TOKEN = "sk-planted-5d0c7b1e", "tkn_" + "b" * 32
SCALE = 1000.0
UUID = views.dashboard_uuid("wksp_x", "etcd", "lab")
TEMPLATE = views.build(views.view("etcd"), name="etcd", language="en")
API = "https://openapi.guance.com"


def answering(handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> StudioClient:
    """A client whose every request is answered by `handler`; it does not really wait."""
    options.setdefault("sleep", lambda _seconds: None)
    return StudioClient(API, KEY, transport=httpx.MockTransport(handler), **options)


def envelope(content: Any, status: int = 200, code: str = "", message: str = "") -> httpx.Response:
    body = {"code": status, "content": content, "errorCode": code, "message": message, "success": status == 200}
    return httpx.Response(status, json={**body, "traceId": "TRACE-1"})
