"""The service account controller, as a client of the API server: every namespace has an account `default`."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from tui.lab.client import ApiStatusError, Cache, Client, Object


async def keep_default_accounts(client: Client) -> None:
    """Make the account where a namespace comes up; until cancelled."""
    fresh: asyncio.Queue[str] = asyncio.Queue()

    def changed(kind: str, item: Object) -> None:
        if kind != "DELETED" and not item["metadata"].get("deletionTimestamp"):
            fresh.put_nowait(item["metadata"]["name"])

    async def make() -> None:
        while True:
            path = f"/api/v1/namespaces/{await fresh.get()}/serviceaccounts"
            with contextlib.suppress(ApiStatusError, aiohttp.ClientError, OSError):  # there already, or gone again
                await client.send("POST", path, {"metadata": {"name": "default"}})

    async with asyncio.TaskGroup() as group:
        group.create_task(Cache(client, "/api/v1/namespaces", changed, lean=True).run())
        group.create_task(make())
