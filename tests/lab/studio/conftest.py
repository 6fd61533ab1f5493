"""A practice studio for each test, at a thousand times the speed of the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from studio_http import KEY, TOKEN, Http

from tui.lab.studio import StudioServer


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[StudioServer]:
    server = StudioServer(str(tmp_path / "studio.sqlite"), KEY, TOKEN, time_scale=1000)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(studio: StudioServer) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session:
        yield Http(session, studio.url)
