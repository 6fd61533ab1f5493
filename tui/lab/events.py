"""Events as controllers and kubelets record them: made once, then counted up."""

from __future__ import annotations

import datetime
import secrets

from tui.lab.client import MERGE_PATCH, ApiStatusError, Client, Object


def now() -> str:
    """The time as the API writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Recorder:
    """Records events of one component (on one host)."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._component = component
        self._host = host
        self._known: dict[tuple[str, str, str], tuple[str, int]] = {}

    async def record(self, item: Object, kind: str, reason: str, message: str, *, field: str = "") -> None:
        """Record an event about an object; `kind` is Normal or Warning. An equal one is counted up instead."""
        if self._client.quiet and kind == "Normal":
            return
        metadata = item["metadata"]
        namespace = metadata.get("namespace", "default")
        path = f"/api/v1/namespaces/{namespace}/events"
        key = (metadata["uid"], reason, message)
        name, count = self._known.get(key, ("", 0))
        try:
            if name:
                body = {"count": count + 1, "lastTimestamp": now()}
                await self._client.send("PATCH", f"{path}/{name}", body, content_type=MERGE_PATCH)
            else:
                name = f"{metadata['name']}.{secrets.token_hex(8)}"
                await self._client.send("POST", path, self._event(name, item, kind, reason, message, field))
            self._known[key] = (name, count + 1)
        except ApiStatusError as error:
            if error.code != 404:
                raise
            self._known.pop(key, None)  # the namespace or the event has gone: nothing to tell any more
        if len(self._known) > 500:
            self._known.pop(next(iter(self._known)))

    def _event(self, name: str, item: Object, kind: str, reason: str, message: str, field: str) -> Object:
        metadata = item["metadata"]
        stamp = now()
        involved = {
            "kind": item["kind"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": item["apiVersion"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if field:
            involved["fieldPath"] = field
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata.get("namespace", "default")},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": {"component": self._component, **({"host": self._host} if self._host else {})},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
