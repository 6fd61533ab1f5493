"""A client of the lab's API server for its controllers and kubelets: plain REST over TLS, objects as dicts."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp

from tui.lab.sharing import share

Object = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"

_WATCH_S = 300
_FRESH_S = 1.0
_CONNECTIONS = 24  # half a megabyte and a handshake each, at both ends together
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_read=_WATCH_S + 30)


class ApiStatusError(Exception):
    """The API server answered with an error; `reason` is the Status' (NotFound, Conflict, AlreadyExists, …)."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


class Client:
    """One user's connection. The user agent names the field manager, as for any client."""

    def __init__(self, url: str, tls: ssl.SSLContext, user_agent: str) -> None:
        self._url = url.rstrip("/")
        self._tls = tls
        self._agent = user_agent
        # While a large lab comes up: no events of things that go well, and what one kubelet has read serves the others.
        self.quiet = False
        self._found: dict[str, tuple[float, asyncio.Future[Object | None]]] = {}
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=_CONNECTIONS)
            headers = {"User-Agent": self._agent, "Accept": "application/json"}
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=_TIMEOUT)
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request; returns the object that was answered. Raises ApiStatusError."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": content_type} if data is not None else {}
        async with self._open().request(method, self._url + path, params=query, data=data, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise _status_error(answer.status, text)
            found: Object = json.loads(text)
            return found

    async def get(self, path: str, **query: str) -> Object:
        """GET an object or a list."""
        return await self.send("GET", path, query=query)

    async def find(self, path: str) -> Object | None:
        """GET an object, None where it does not exist; the answer must not be changed."""
        if not self.quiet:
            return await self._find(path)
        now = asyncio.get_running_loop().time()
        until, found = self._found.get(path, (0.0, None))
        if found is None or until < now:
            found = asyncio.ensure_future(self._find(path))
            self._found[path] = now + _FRESH_S, found
        return await asyncio.shield(found)

    async def _find(self, path: str) -> Object | None:
        try:
            return await self.get(path)
        except ApiStatusError as error:
            if error.code == 404:
                return None
            raise

    async def patch_status(self, path: str, status: Object) -> Object:
        """Merge into the status of the object at `path` (lists are replaced)."""
        return await self.send("PATCH", f"{path}/status", {"status": status}, content_type=MERGE_PATCH)

    async def watch(self, path: str, version: str, selector: Mapping[str, str]) -> AsyncIterator[Object]:
        """Watch events after `version` until the server ends the watch. Raises ApiStatusError (410 too old)."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
            **selector,
        }
        async with self._open().get(self._url + path, params=query, timeout=_WATCH_TIMEOUT) as answer:
            if answer.status >= 400:
                raise _status_error(answer.status, await answer.text())
            buffer = b""
            async for chunk in answer.content.iter_any():
                buffer += chunk
                while (end := buffer.find(b"\n")) >= 0:
                    line, buffer = buffer[:end], buffer[end + 1 :]
                    if line.strip():
                        event: Object = json.loads(line)
                        if event["type"] == "ERROR":
                            raise _status_error(int(event["object"].get("code", 500)), json.dumps(event["object"]))
                        yield event


def _status_error(code: int, text: str) -> ApiStatusError:
    try:
        status = json.loads(text)
        return ApiStatusError(code, str(status.get("reason", "")), str(status.get("message", "")))
    except (ValueError, AttributeError):
        return ApiStatusError(code, "", text[:200])


class Cache:
    """The objects at a path, kept up by list and watch, by (namespace, name); `lean` ones without managedFields."""

    def __init__(
        self,
        client: Client,
        path: str,
        changed: Callable[[str, Object], None] | None = None,
        selector: Mapping[str, str] | None = None,
        *,
        lean: bool = False,
    ) -> None:
        self._lean = lean
        self._client = client
        self._path = path
        self._listeners = [changed] if changed else []
        self._selector = dict(selector or {})
        self.objects: dict[tuple[str, str], Object] = {}
        self.synced = asyncio.Event()
        self._newest: Object | None = None  # the object that was stored last

    def listen(self, changed: Callable[[str, Object], None]) -> None:
        """Tell somebody else of changes, too: several controllers share one list and watch."""
        self._listeners.append(changed)

    def _changed(self, kind: str, item: Object) -> None:
        for listener in self._listeners:
            listener(kind, item)

    @staticmethod
    def key(item: Object) -> tuple[str, str]:
        """(namespace, name) of an object."""
        return item["metadata"].get("namespace", ""), item["metadata"]["name"]

    def store(self, item: Object) -> None:
        """Take an object as a request has just answered it, unless a newer one is known."""
        if self._lean:
            item["metadata"].pop("managedFields", None)
        known = self.objects.get(self.key(item))
        if known is None or _version(item) >= _version(known):
            self._newest = self.objects[self.key(item)] = share(item, known or self._newest)

    async def run(self) -> None:
        """List and watch until cancelled; lists again where the watch fell behind."""
        while True:
            try:
                version = await self._list()
                self.synced.set()
                while True:
                    async for event in self._client.watch(self._path, version, self._selector):
                        version = event["object"]["metadata"]["resourceVersion"]
                        self._take(event)
            except (ApiStatusError, aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.2)

    async def _list(self) -> str:
        answer = await self._client.get(self._path, **self._selector)
        listed = {self.key(item): item for item in answer["items"]}
        for key in [key for key in self.objects if key not in listed]:
            self._changed("DELETED", self.objects.pop(key))
        for key, item in listed.items():
            self.store(item)
            self._changed("MODIFIED", self.objects[key])
        return str(answer["metadata"]["resourceVersion"])

    def _take(self, event: Object) -> None:
        item = event["object"]
        if event["type"] == "DELETED":
            self.objects.pop(self.key(item), None)
            self._changed("DELETED", item)
        elif event["type"] in ("ADDED", "MODIFIED"):
            self.store(item)
            self._changed(event["type"], self.objects[self.key(item)])


def _version(item: Object) -> int:
    return int(item["metadata"].get("resourceVersion") or 0)
