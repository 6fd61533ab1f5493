"""A client of the studio whose answers the test makes up, a practice studio that answers, and their constants."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tui.backend.studio import StudioClient
from tui.core import views
from tui.lab.studio import StudioServer

KEY, TOKEN = "sk-planted-5d0c7b1e", "tkn_" + "b" * 32
SCALE = 1000.0
UUID = views.dashboard_uuid("wksp_x", "etcd", "lab")
TEMPLATE = views.build(views.view("etcd"), name="etcd", language="en")
API = "https://openapi.guance.com"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[StudioServer]:
    """A practice studio in a thread of its own, because the client blocks."""
    server = StudioServer(str(folder / "studio.sqlite"), KEY, TOKEN, time_scale=SCALE)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def answering(handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> StudioClient:
    """A client whose every request is answered by `handler`; it does not really wait."""
    options.setdefault("sleep", lambda _seconds: None)
    return StudioClient(API, KEY, transport=httpx.MockTransport(handler), **options)


def envelope(content: Any, status: int = 200, code: str = "", message: str = "") -> httpx.Response:
    body = {"code": status, "content": content, "errorCode": code, "message": message, "success": status == 200}
    return httpx.Response(status, json={**body, "traceId": "TRACE-1"})
