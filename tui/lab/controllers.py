"""What the workload controllers share: a queue of objects to look at, owner references, templates, ready pods."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
from collections.abc import Awaitable, Callable

import aiohttp

from tui.lab.client import ApiStatusError, Object

Key = tuple[str, str]  # namespace and name

# What Kubernetes itself avoids in generated names, so that no words come about.
SAFE = "bcdfghjklmnpqrstvwxz2456789"
_RETRY_S = 0.5


class WorkQueue:
    """Objects that something has changed about, each looked at once however often that was."""

    def __init__(self, sync: Callable[[Key], Awaitable[None]]) -> None:
        self._sync = sync
        self._dirty: set[Key] = set()
        self._wake = asyncio.Event()

    def mark(self, key: Key) -> None:
        """Look at an object soon."""
        self._dirty.add(key)
        self._wake.set()

    def mark_after(self, seconds: float, key: Key) -> None:
        """Look at an object later."""
        asyncio.get_running_loop().call_later(seconds, self.mark, key)

    async def run(self) -> None:
        """Work until cancelled; what the API server refuses, or is away for, is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            keys, self._dirty = self._dirty, set()
            for key in sorted(keys):
                try:
                    await self._sync(key)
                except (ApiStatusError, aiohttp.ClientError, OSError):
                    self.mark_after(_RETRY_S, key)


def owner_reference(kind: str, item: Object) -> Object:
    """The reference that a pod, revision or ReplicaSet of this `kind` of owner carries."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owner_of(item: Object, kind: str) -> Object | None:
    """The owner of this kind that an object names, None where it names none."""
    return next((each for each in item["metadata"].get("ownerReferences") or () if each["kind"] == kind), None)


def template_of(item: Object) -> Object:
    """A workload's pod template, without what the server adds to it."""
    template: Object = item["spec"]["template"]
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k != "creationTimestamp"}
    return {"metadata": metadata, "spec": template["spec"]}


def template_hash(text: str) -> str:
    """A hash as it stands in names and labels, ten letters and digits."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    letters = ""
    for _ in range(10):
        number, rest = divmod(number, len(SAFE))
        letters += SAFE[rest]
    return letters


def ready_since(pod: Object) -> datetime.datetime | None:
    """Since when a pod is ready, None where it is not."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] == "True":
            return datetime.datetime.fromisoformat(condition["lastTransitionTime"])
    return None


def available_in(pod: Object, least_s: float) -> float | None:
    """In how many seconds a pod will have been ready for `least_s` (0: it has); None where it is not ready."""
    since = ready_since(pod)
    if since is None or pod["metadata"].get("deletionTimestamp"):
        return None
    return max(0.0, least_s - (datetime.datetime.now(datetime.UTC) - since).total_seconds()) if least_s else 0.0


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a toleration is for this taint."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"]) and toleration.get("value", "") == taint.get("value", "")
