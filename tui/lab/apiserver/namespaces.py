"""What the namespace controller does in a cluster: it empties a namespace that is being deleted, then lets it go."""

from __future__ import annotations

import asyncio
from typing import Any

from tui.lab.apiserver import resources
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.writes import Writer, shelf_name

Obj = dict[str, Any]
EVERY = 5.0  # seconds; about what a real controller takes


class NamespaceCleaner:
    """Empties terminating namespaces, a pass every few seconds until nothing is left.

    `graceful` leaves pods to their kubelets; without kubelets they go at once.
    """

    def __init__(self, writer: Writer, *, graceful: bool) -> None:
        self._writer = writer
        self._graceful = graceful
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def begin(self, name: str) -> None:
        """See to a namespace that has just been marked for deletion."""
        if name not in self._timers:
            self._timers[name] = asyncio.get_running_loop().call_later(EVERY, self._clean, name)

    def stop(self) -> None:
        """Forget what is not done yet."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _clean(self, name: str) -> None:
        self._timers.pop(name, None)
        store = self._writer.store
        namespace = store.get("namespaces", "", name)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return
        if self._empty(name):
            store.remove("namespaces", "", name)
        else:
            self.begin(name)

    def _empty(self, name: str) -> bool:
        """Delete what can be deleted; whether nothing is left."""
        left = 0
        call = Call("DELETE", "", [], {}, verb="delete", namespace=name)
        options: Obj = {} if self._graceful else {"gracePeriodSeconds": 0}
        for held in resources.groups().values():
            for resource in held:
                if not resource.namespaced or resource.shape is None or resource.group == "events.k8s.io":
                    continue
                place = shelf_name(resource)
                for _, obj in self._writer.store.items(place, name):
                    if not obj["metadata"].get("deletionTimestamp"):
                        self._writer.delete_object(call, resource, obj, options)
                left += len(self._writer.store.items(place, name))
        return not left
