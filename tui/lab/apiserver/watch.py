"""WATCH: a stream of changes, one JSON object a line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from tui.lab.apiserver import errors
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.reads import check_list_options, number, selection, view
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.store import Change, Store
from tui.lab.apiserver.writes import shelf_name

Obj = dict[str, Any]
BOOKMARK_EVERY = 60.0
LONGEST = 1800.0
SECOND = 1.0  # of timeoutSeconds


def _bookmark(resource: Resource, revision: int, *, initial: bool = False) -> Obj:
    meta: Obj = {"resourceVersion": str(revision)}
    if initial:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"type": "BOOKMARK", "object": {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}}


def _too_old(asked: int, oldest: int) -> Obj:
    text = f"too old resource version: {asked} ({oldest})"
    return {"type": "ERROR", "object": errors.status(410, text, "Expired")}


class Watch:
    """One watch of one client. `start` checks the request (ApiError), `events` yields what happens until it ends."""

    def __init__(self, store: Store, call: Call, resource: Resource, stopping: asyncio.Event) -> None:
        self.store, self.call, self.resource, self.stopping = store, call, resource, stopping
        self.place = shelf_name(resource)
        check_list_options(call)
        self.chosen: Callable[[Obj], bool] = selection(call, resource)
        asked = number(call, "timeoutSeconds")
        self.deadline = time.monotonic() + (asked * SECOND if asked > 0 else LONGEST)
        text = call.get("resourceVersion")
        if text and not text.isdigit():
            raise errors.internal(
                f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
            )
        self.revision = int(text or 0)
        if not self.revision and call.get("sendInitialEvents") == "false":
            self.revision = store.revision  # from now on
        self.bookmarks = call.flag("allowWatchBookmarks")
        self.initial = call.flag("sendInitialEvents")
        self.from_start = self.initial or (not self.revision and call.get("sendInitialEvents") != "false")

    def _mine(self, namespace: str) -> bool:
        return not self.call.namespace or not self.resource.namespaced or namespace == self.call.namespace

    def _event(self, change: Change) -> Obj | None:
        """What a change means to this watch: an object that begins to match is added, one that ceases deleted."""
        if not self._mine(change.key[0]):
            return None
        named = self.call.name
        if named and change.key[1] != named and not self.call.has("fieldSelector"):
            return None
        before = change.before is not None and self.chosen(change.before)
        now = change.kind != "DELETED" and self.chosen(change.after)
        if not before and not now:
            return None
        if now:
            return {"type": "MODIFIED" if before else "ADDED", "object": view(self.resource, change.after)}
        gone = change.after
        if change.kind != "DELETED":
            # The object as it matched last, at the version at which it ceased to.
            assert change.before is not None
            meta = {**change.before["metadata"], "resourceVersion": change.after["metadata"]["resourceVersion"]}
            gone = {**change.before, "metadata": meta}
        return {"type": "DELETED", "object": view(self.resource, gone)}

    def _first(self) -> list[Obj]:
        items = self.store.items(self.place, self.call.namespace if self.resource.namespaced else "")
        named = "" if self.call.has("fieldSelector") else self.call.name
        return [
            {"type": "ADDED", "object": view(self.resource, obj)}
            for key, obj in items
            if self.chosen(obj) and (not named or key[1] == named)
        ]

    async def events(self) -> AsyncIterator[Obj]:
        """The events, until the deadline or the server's end."""
        shelf = self.store.shelf(self.place)
        ready = asyncio.Event()
        shelf.waiters.add(ready)
        try:
            if self.from_start:
                self.revision = self.store.revision
                for event in self._first():
                    yield event
                if self.initial and self.bookmarks:
                    yield _bookmark(self.resource, self.revision, initial=True)
            elif self.revision < shelf.dropped:
                yield _too_old(self.revision, shelf.dropped)
                return
            async for event in self._follow(ready):
                yield event
        finally:
            shelf.waiters.discard(ready)

    async def _follow(self, ready: asyncio.Event) -> AsyncIterator[Obj]:
        told = self.revision
        next_bookmark = min(time.monotonic() + BOOKMARK_EVERY, max(self.deadline - 2, time.monotonic() + 1))
        while True:
            ready.clear()
            for change in self.store.since(self.place, self.revision):
                self.revision = change.revision
                event = self._event(change)
                if event is not None:
                    told = change.revision
                    yield event
            now = time.monotonic()
            if now >= self.deadline or self.stopping.is_set():
                return
            if self.bookmarks and now >= next_bookmark:
                next_bookmark = now + BOOKMARK_EVERY
                reached = max(told, self.store.revision) if self.revision <= self.store.revision else 0
                if reached:
                    yield _bookmark(self.resource, reached)
            wait = self.deadline - now
            if self.bookmarks:
                wait = min(wait, next_bookmark - now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.001)):  # Python 3.11's wait_for can lose a cancellation
                    await ready.wait()
