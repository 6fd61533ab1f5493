"""What somebody at the cluster changes behind the wizard's back, and the exact undoing of it.

An edit is a PUT as `kubectl edit` sends it. Taking it back restores the values, and with them who owned the fields, so
that nothing of the fault is left in `managedFields`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from tui.lab import vendor
from tui.lab.client import ApiStatusError, Client, Object

EDITOR = "kubectl-edit"
KEY = "etcd.conf"
JSON_PATCH = "application/json-patch+json"

_ROLLOUT_S = 60.0
_POLL_S = 0.05


class Cluster:
    """The objects of DataKit that faults change, through the API."""

    def __init__(self, client: Client) -> None:
        self.client = client
        space = f"namespaces/{vendor.NAMESPACE}"
        self.config_map = f"/api/v1/{space}/configmaps/{vendor.CONFIG_MAP}"
        self.daemon_set = f"/apis/apps/v1/{space}/daemonsets/datakit"
        self.pods = f"/api/v1/{space}/pods"

    async def change(self, path: str, change: Callable[[Object], object]) -> tuple[Object, Object]:
        """Change an object in place as EDITOR; returns it before and after."""
        while True:
            before = await self.client.get(path)
            wanted = copy.deepcopy(before)
            change(wanted)
            if wanted == before:
                return before, before
            try:
                return before, await self.client.send("PUT", path, wanted, query={"fieldManager": EDITOR})
            except ApiStatusError as error:
                if error.reason != "Conflict":
                    raise

    async def give_back(self, path: str, owners: list[Object], editor: str = EDITOR) -> None:
        """Make `owners`, not `editor`, the owners of the object's fields again, unless others have come meanwhile."""
        live = await self.client.get(path)
        now = [each for each in live["metadata"].get("managedFields", []) if each["manager"] != editor]
        if not {_who(each) for each in now} <= {_who(each) for each in owners}:
            return  # an owner may have gone: the edit took its only field
        body = [{"op": "replace", "path": "/metadata/managedFields", "value": owners}]
        await self.client.send("PATCH", path, body, content_type=JSON_PATCH, query={"fieldManager": editor})

    async def conf(self, key: str = KEY) -> str | None:
        """The text of a conf, None where there is none."""
        found = await self.client.find(self.config_map)
        return None if found is None else (found.get("data") or {}).get(key)

    async def env(self, name: str) -> str | None:
        """The value of DataKit's environment variable, None where it is not set."""
        item = await self.client.get(self.daemon_set)
        return next((each.get("value") for each in _env(item) if each["name"] == name), None)

    async def restart_pods(self) -> None:
        """Delete DataKit's pods and wait until new ones are ready."""
        await self.client.send("DELETE", self.pods, query={"labelSelector": vendor.SELECTOR})
        await self.rolled_out()

    async def is_rolled_out(self) -> bool:
        """Whether the current template runs on every node, and nothing older."""
        item = await self.client.get(self.daemon_set)
        status, generation = item.get("status", {}), item["metadata"]["generation"]
        desired = status.get("desiredNumberScheduled")
        if status.get("observedGeneration") != generation or status.get("updatedNumberScheduled") != desired:
            return False
        pods = (await self.client.get(self.pods, labelSelector=vendor.SELECTOR))["items"]
        leaving = any(pod["metadata"].get("deletionTimestamp") for pod in pods)
        return bool(status.get("numberAvailable") == desired and len(pods) == desired and not leaving)

    async def rolled_out(self) -> None:
        """Wait until it is. Raises TimeoutError."""
        async with asyncio.timeout(_ROLLOUT_S):
            while not await self.is_rolled_out():
                await asyncio.sleep(_POLL_S)

    async def conf_in_use(self, key: str = KEY) -> bool:
        """Whether a conf is there, mounted, and rolled out."""
        if not await self.conf(key):
            return False
        item = await self.client.get(self.daemon_set)
        containers = item["spec"]["template"]["spec"]["containers"]
        mounts = [mount for each in containers for mount in each.get("volumeMounts") or ()]
        return any(mount.get("subPath") == key for mount in mounts) and await self.is_rolled_out()


def _who(entry: Object) -> tuple[str, str, str]:
    return entry["manager"], entry["operation"], entry.get("subresource", "")


def _env(item: Object) -> list[Object]:
    containers = item["spec"]["template"]["spec"]["containers"]
    found: list[Object] = next(each for each in containers if each["name"] == "datakit").setdefault("env", [])
    return found


class OnceThere:
    """An edit of what may not be there yet: made at once, or in the background as soon as it is there."""

    def __init__(self) -> None:
        self._waiting: asyncio.Task[None] | None = None

    async def _break(self) -> bool:
        """Make the edit if there is something to edit. Returns whether it was made."""
        raise NotImplementedError

    async def set(self) -> bool:
        """Make the edit, or wait in the background. Returns whether it was made."""
        if await self._break():
            return True
        self._waiting = asyncio.create_task(self._wait())
        return False

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(4 * _POLL_S)
            try:
                if await self._break():
                    return
            except (ApiStatusError, OSError, TimeoutError):
                continue

    async def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)


class ConfEdit(OnceThere):
    """A conf becomes `change(text)` (None: the key goes), once it is in use; then the pods start anew, if `restart`.

    What a person repairs stays repaired: an edit is made once.
    """

    def __init__(
        self, cluster: Cluster, change: Callable[[str], str | None], *, restart: bool = True, key: str = KEY
    ) -> None:
        super().__init__()
        self._cluster = cluster
        self._key = key
        self._change = change
        self._restart = restart
        self._before: str | None = None
        self._after: str | None = None
        self._owners: list[Object] = []

    async def _break(self) -> bool:
        if not await self._cluster.conf_in_use(self._key):
            return False

        def change(item: Object) -> None:
            self._owners = copy.deepcopy(item["metadata"].get("managedFields", []))
            self._before = item["data"][self._key]
            self._after = self._change(item["data"][self._key])
            _put(item["data"], self._key, self._after)

        await self._cluster.change(self._cluster.config_map, change)
        if self._restart:
            await self._cluster.restart_pods()
        return True

    async def clear(self) -> None:
        """Take the edit back, unless somebody has changed the text since, and let every pod have it."""
        await self._stop_waiting()
        if self._before is None or await self._cluster.conf(self._key) != self._after:
            return

        def restore(item: Object) -> None:
            _put(item.setdefault("data", {}), self._key, self._before)

        await self._cluster.change(self._cluster.config_map, restore)
        await self._cluster.give_back(self._cluster.config_map, self._owners)
        await self._cluster.restart_pods()


class EnvEdit:
    """A variable of DataKit's environment gets another value (None: it goes); the pods roll."""

    def __init__(self, cluster: Cluster, name: str, change: Callable[[str | None], str | None]) -> None:
        self._cluster = cluster
        self._name = name
        self._change = change
        self._before: list[Object] = []
        self._after: str | None = None
        self._owners: list[Object] = []

    async def set(self) -> bool:
        """Make the edit and wait for the rollout."""

        def change(item: Object) -> None:
            self._owners = copy.deepcopy(item["metadata"].get("managedFields", []))
            self._before = copy.deepcopy(_env(item))
            now = next((each.get("value") for each in self._before if each["name"] == self._name), None)
            self._after = self._change(now)
            _set_env(_env(item), self._name, self._after)

        await self._cluster.change(self._cluster.daemon_set, change)
        await self._cluster.rolled_out()
        return True

    async def clear(self) -> None:
        """Put the value back, unless somebody has changed it since."""
        if await self._cluster.env(self._name) != self._after:
            return
        names = [each["name"] for each in self._before]
        old = next((each for each in self._before if each["name"] == self._name), None)

        def restore(item: Object) -> None:
            env = _env(item)
            _set_env(env, self._name, None)
            if old is not None:
                at = min(names.index(self._name), len(env))
                env.insert(at, copy.deepcopy(old))

        await self._cluster.change(self._cluster.daemon_set, restore)
        await self._cluster.give_back(self._cluster.daemon_set, self._owners)
        await self._cluster.rolled_out()


def _put(data: dict[str, Any], key: str, value: str | None) -> None:
    if value is None:
        data.pop(key, None)
    else:
        data[key] = value


def _set_env(env: list[Object], name: str, value: str | None) -> None:
    index = next((at for at, each in enumerate(env) if each["name"] == name), None)
    if value is None:
        if index is not None:
            del env[index]
    elif index is None:
        env.append({"name": name, "value": value})
    else:
        env[index] = {"name": name, "value": value}
