"""Objects in memory: one counter of revisions, a history to watch from, and the lists of every resource."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tui.lab.sharing import share

Obj = dict[str, Any]
Key = tuple[str, str]  # namespace ("" at the cluster scope) and name
FIRST_REVISION = 200  # as if the control plane itself had made some writes before


@dataclass(frozen=True)
class Change:
    """One write: what was there, what is there now."""

    revision: int
    kind: str  # ADDED, MODIFIED, DELETED
    key: Key
    before: Obj | None
    after: Obj


@dataclass
class Shelf:
    """All objects of one resource, what happened to them, and who waits for more."""

    objects: dict[Key, Obj] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    dropped: int = 0  # revision of the last change that the history no longer has
    waiters: set[asyncio.Event] = field(default_factory=set)
    newest: Obj | None = None  # the object that was written last


class Store:
    """The objects of the cluster. Stored objects are never changed in place: every write puts a new one.

    `history_limit` is the number of changes that each resource keeps for watches; older ones answer 410.
    """

    def __init__(self, history_limit: int = 5_000) -> None:
        self.revision = FIRST_REVISION
        self.oldest = FIRST_REVISION
        self.shelves: dict[str, Shelf] = {}
        self.compacted = 0
        self.history_limit = history_limit

    def shelf(self, resource: str) -> Shelf:
        """The shelf of a resource, named `plural` or `plural.group`."""
        return self.shelves.setdefault(resource, Shelf(dropped=self.oldest))

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """One object, None where there is none."""
        return self.shelf(resource).objects.get((namespace, name))

    def items(self, resource: str, namespace: str = "") -> list[tuple[Key, Obj]]:
        """The objects of a resource in the order of etcd's keys, all namespaces where none is given."""
        items = sorted(self.shelf(resource).objects.items(), key=lambda item: "/".join(item[0]))
        return [item for item in items if not namespace or item[0][0] == namespace]

    def put(self, resource: str, obj: Obj) -> Obj:
        """Write an object; returns it with its new resourceVersion."""
        shelf = self.shelf(resource)
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        before = shelf.objects.get(key)
        self.revision += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        # Thousands of pods of one template, each in several versions, have little of their own.
        shelf.newest = obj = share(obj, before or shelf.newest)
        shelf.objects[key] = obj
        self._record(resource, Change(self.revision, "MODIFIED" if before else "ADDED", key, before, obj))
        return obj

    def remove(self, resource: str, namespace: str, name: str) -> Obj:
        """Delete an object; returns it as it was, with the resourceVersion of the deletion."""
        shelf = self.shelf(resource)
        before = shelf.objects.pop((namespace, name))
        self.revision += 1
        after = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.revision)}}
        self._record(resource, Change(self.revision, "DELETED", (namespace, name), before, after))
        return after

    def _record(self, resource: str, change: Change) -> None:
        shelf = self.shelf(resource)
        shelf.history.append(change)
        if len(shelf.history) > self.history_limit:
            excess = len(shelf.history) - self.history_limit
            shelf.dropped = shelf.history[excess - 1].revision
            del shelf.history[:excess]
        for waiter in shelf.waiters:
            waiter.set()

    def compact(self) -> None:
        """Forget what objects were before now: older pages of lists are 410 from here on; watches go on."""
        self.revision += 1  # a compaction of etcd is a write, too
        self.compacted = self.revision

    def since(self, resource: str, revision: int) -> list[Change]:
        """The changes after a revision, oldest first."""
        history = self.shelf(resource).history
        low, high = 0, len(history)
        while low < high:
            middle = (low + high) // 2
            if history[middle].revision <= revision:
                low = middle + 1
            else:
                high = middle
        return history[low:]
