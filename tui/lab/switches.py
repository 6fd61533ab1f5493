"""How each fault is put into a running lab, and taken out again."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import aiohttp

from tui.core.errors import UsageError
from tui.i18n import _
from tui.lab import conf_edits, faults, mesh_switches, vendor
from tui.lab.client import MERGE_PATCH, ApiStatusError, Object
from tui.lab.daemonsets import GENERATION_ANNOTATION
from tui.lab.edits import JSON_PATCH, KEY, ConfEdit, EnvEdit
from tui.lab.layouts import issue
from tui.lab.machines import NodeController
from tui.lab.nodes import Node
from tui.lab.pki import Pair, write_file

if TYPE_CHECKING:
    from tui.lab.world import Lab

_SKEW_S, _LEAST_SKEW_S = 300.0, 10.0
_SYNC_S, _LEAST_SYNC_S = 30.0, 0.2
_EXPIRED_DAYS = 3
_ELECTION_S = 20.0
_STRANGER = "another-cluster-node-1"


class Switch(Protocol):
    """One fault of one lab. `set` returns False where there is nothing to break yet: it is then waited for."""

    async def set(self) -> bool: ...

    async def clear(self) -> None: ...


class Switches:
    """The faults of a running lab: which are set, and how to change that. One change at a time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._set: dict[str, Switch] = {}
        self._one = asyncio.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The faults that are set."""
        return tuple(self._set)

    async def set(self, name: str) -> bool:
        """Set a fault. Returns whether it shows now; False: once an etcd.conf is in use. Raises UsageError."""
        fault = faults.named(name)
        async with self._one:
            if name in self._set:
                return True
            switch = SWITCHES[fault.name](self._lab)
            self._set[name] = switch
            try:
                return await switch.set()
            except BaseException:
                del self._set[name]
                raise

    async def clear(self, name: str) -> None:
        """Take a fault away; returns when the lab is as it was. Raises UsageError where it is not set."""
        faults.named(name)
        async with self._one:
            if name not in self._set:
                raise UsageError(
                    _("This fault is not set: {name}").format(name=name),
                    remedy=_("Set are: {names}").format(names=", ".join(self._set) or "-"),
                )
            await self._set.pop(name).clear()

    async def stop(self) -> None:
        """End what faults have running, without repairing anything."""
        for switch in self._set.values():
            for task in vars(switch).values():
                if isinstance(task, asyncio.Task):
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)


class Both:
    """Two switches as one."""

    def __init__(self, first: Switch, second: Switch) -> None:
        self._parts = first, second

    async def set(self) -> bool:
        return all([await part.set() for part in self._parts])

    async def clear(self) -> None:
        for part in reversed(self._parts):
            await part.clear()


class StudioFault:
    """One of the studio's own faults."""

    def __init__(self, lab: Lab, name: str) -> None:
        assert lab.studio is not None
        self._faults = lab.studio.faults
        self._name = name

    async def set(self) -> bool:
        self._faults.add(self._name)
        return True

    async def clear(self) -> None:
        self._faults.discard(self._name)


class DatawayDown:
    """Nothing accepts connections at Dataway's address."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def set(self) -> bool:
        self._lab.network.listen_outside(vendor.DATAWAY_HOST, 443, None)
        return True

    async def clear(self) -> None:
        self._lab.open_dataway()


class Elected:
    """The election falls on nodes of one kind; clearing lets it go back to the first control-plane node."""

    def __init__(self, lab: Lab, *, stranger: bool = False) -> None:
        self._lab = lab
        self._stranger = stranger

    async def set(self) -> bool:
        assert self._lab.studio is not None
        assert self._lab.studio.dataway is not None
        dataway = self._lab.studio.dataway
        if self._stranger:
            dataway.depose(successor=_STRANGER)
            return await self._until(lambda leaders: leaders == {_STRANGER})
        workers = {node.name for node in self._lab.nodes if not node.is_control_plane}
        if not workers:
            raise UsageError(_("This lab has no worker."))
        dataway.electable = lambda candidate: candidate in workers
        dataway.depose()
        return await self._until(lambda leaders: bool(leaders) and leaders <= workers)

    async def clear(self) -> None:
        assert self._lab.studio is not None
        assert self._lab.studio.dataway is not None
        dataway = self._lab.studio.dataway
        first = self._lab.nodes[0].name
        dataway.electable = lambda candidate: candidate == first
        dataway.depose()
        with contextlib.suppress(TimeoutError):
            await self._until(lambda leaders: leaders == {first})
        dataway.electable = lambda candidate: True

    async def _until(self, good: Callable[[frozenset[str]], bool]) -> bool:
        """Wait until the agents that answer all name leaders that are good."""
        async with asyncio.timeout(max(_ELECTION_S / self._lab.scale * 3, _ELECTION_S)):
            while not good(frozenset(agent.state.election.leader for agent in self._lab.agents())):
                await asyncio.sleep(0.05)
        return True


class Files:
    """Files on the control-plane nodes change; with `restart` DataKit's pods start anew, to read them."""

    def __init__(
        self, lab: Lab, spoil: Callable[[Lab, Node, str], None], names: tuple[str, ...], *, restart: bool = True
    ) -> None:
        self._lab = lab
        self._spoil = spoil
        self._names = names
        self._restart = restart
        self._kept: dict[Path, tuple[bytes, int]] = {}

    async def set(self) -> bool:
        for node in self._lab.nodes:
            if node.is_control_plane:
                for name in self._names:
                    for ending in (".crt", ".key"):
                        path = node.path(name + ending)
                        if path.exists():
                            self._kept[path] = path.read_bytes(), path.stat().st_mode & 0o777
                    self._spoil(self._lab, node, name)
        if self._restart:
            await self._lab.cluster.restart_pods()
        return True

    async def clear(self) -> None:
        for path, (content, mode) in self._kept.items():
            if path.is_dir():
                path.rmdir()
            write_file(path, content, mode=mode)
        await self._lab.cluster.restart_pods()


def _put(node: Node, path: str, pair: Pair) -> None:
    folder, _slash, name = path.rpartition("/")
    pair.write(node.path(folder), name)


def _expire(lab: Lab, node: Node, path: str) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=_EXPIRED_DAYS)
    _put(node, path, issue(lab.layout, lab.pki, node, path, not_after=past))


def _renew(lab: Lab, node: Node, path: str) -> None:
    """A new pair of the same authority. Files have whole seconds, and this one may follow a start at once."""
    _put(node, path, issue(lab.layout, lab.pki, node, path))
    soon = time.time() + 2.0
    for ending in (".crt", ".key"):
        os.utime(node.path(path + ending), (soon, soon))


def _mismatch(lab: Lab, node: Node, path: str) -> None:
    other = issue(lab.layout, lab.pki, node, path)
    write_file(node.path(path + ".key"), other.key, mode=0o600)


def _unreadable(lab: Lab, node: Node, path: str) -> None:
    node.path(path + ".crt").unlink()
    node.path(path + ".crt").mkdir()


def _remove(lab: Lab, node: Node, path: str) -> None:
    for ending in (".crt", ".key"):
        node.path(path + ending).unlink(missing_ok=True)


def _other_authority(lab: Lab, node: Node, path: str) -> None:
    write_file(node.path(path + ".crt"), lab.other_authority.pem)


class MemberDown:
    """The last etcd member is stopped."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._node = [node for node in lab.nodes if node.is_control_plane][-1]

    async def set(self) -> bool:
        await self._lab.stop_member(self._node.name)
        return True

    async def clear(self) -> None:
        await self._lab.start_member(self._node.name)


class ViewerRights:
    """The kubeconfig's current context becomes the viewer's."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def set(self) -> bool:
        self._lab.write_kubeconfig(vendor.VIEWER)
        return True

    async def clear(self) -> None:
        self._lab.write_kubeconfig(vendor.ADMIN)


class HelmOwner:
    """Helm has adopted DaemonSet and ConfigMap: its labels and annotations, and the fields of `kubectl apply`."""

    def __init__(self, lab: Lab) -> None:
        self._cluster = lab.cluster

    async def set(self) -> bool:
        labels, annotations = vendor.HELM_LABELS, vendor.HELM_ANNOTATIONS
        body: Object = {"metadata": {"labels": labels, "annotations": annotations}}
        await self._rewrite(body, vendor.CSA, "helm")
        return True

    async def clear(self) -> None:
        gone: Object = {
            "labels": dict.fromkeys(vendor.HELM_LABELS),
            "annotations": dict.fromkeys(vendor.HELM_ANNOTATIONS),
        }
        await self._rewrite({"metadata": gone}, "helm", vendor.CSA)

    async def _rewrite(self, body: Object, old: str, new: str) -> None:
        client = self._cluster.client
        for path in (self._cluster.config_map, self._cluster.daemon_set):
            live = await client.send("PATCH", path, body, content_type=MERGE_PATCH, query={"fieldManager": old})
            owners = copy.deepcopy(live["metadata"]["managedFields"])
            for entry in owners:
                entry["manager"] = new if entry["manager"] == old else entry["manager"]
            patch = [{"op": "replace", "path": "/metadata/managedFields", "value": owners}]
            await client.send("PATCH", path, patch, content_type=JSON_PATCH, query={"fieldManager": new})


_ARGO = "argocd-controller"
_ARGO_NOTES = {
    "argocd.argoproj.io/tracking-id": "datakit:apps/DaemonSet:datakit/datakit",
    "argocd.argoproj.io/sync-options": "Replace=true",
}


class ArgoReverts:
    """Argo CD with self-heal and Replace=true: what its repository holds is put back, for as long as it is set.

    The repository holds both objects as the tutorial's first part left them.
    """

    def __init__(self, lab: Lab) -> None:
        self._cluster = lab.cluster
        self._period = max(_SYNC_S / lab.scale, _LEAST_SYNC_S)
        self._before: dict[str, Object] = {}
        self._task: asyncio.Task[None] | None = None

    async def set(self) -> bool:
        cluster = self._cluster
        self._before = {path: await cluster.client.get(path) for path in (cluster.config_map, cluster.daemon_set)}
        await self._sync()
        self._task = asyncio.create_task(self._run())
        return True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            with contextlib.suppress(ApiStatusError, aiohttp.ClientError, OSError):
                await self._sync()

    async def _sync(self) -> None:
        cluster = self._cluster
        git = {cluster.config_map: vendor.config_map(), cluster.daemon_set: vendor.daemon_set("")}
        for path, wanted in git.items():
            live = await cluster.client.get(path)
            item = copy.deepcopy(live)
            item["metadata"].setdefault("annotations", {}).update(_ARGO_NOTES)
            if path == cluster.config_map:
                item["data"] = wanted["data"]
            else:
                _without_additions(item, wanted)
            if item != live:
                await cluster.client.send("PUT", path, item, query={"fieldManager": _ARGO})

    async def clear(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for path, before in self._before.items():
            live = await self._cluster.client.get(path)
            body = copy.deepcopy(before)
            for name in ("resourceVersion", "managedFields"):
                body["metadata"][name] = live["metadata"][name]
            if GENERATION_ANNOTATION in live["metadata"].get("annotations", {}):
                body["metadata"]["annotations"][GENERATION_ANNOTATION] = live["metadata"]["annotations"][
                    GENERATION_ANNOTATION
                ]
            await self._cluster.client.send("PUT", path, body, query={"fieldManager": _ARGO})
            await self._cluster.give_back(path, before["metadata"]["managedFields"], _ARGO)
        await self._cluster.rolled_out()
        await self._cluster.restart_pods()


def _without_additions(live: Object, git: Object) -> None:
    """Leave of the DaemonSet's template what the repository has: no other volumes, mounts, variables, annotations."""
    template, wanted = live["spec"]["template"], git["spec"]["template"]
    template["metadata"].pop("annotations", None)
    for part, key in (("volumes", "name"),):
        known = {each[key] for each in wanted["spec"][part]}
        template["spec"][part] = [each for each in template["spec"][part] if each[key] in known]
    container, kept = template["spec"]["containers"][0], wanted["spec"]["containers"][0]
    paths = {each["mountPath"] for each in kept["volumeMounts"]}
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["mountPath"] in paths]
    values = {each["name"]: each for each in kept["env"] if each["name"] != "ENV_DATAWAY"}
    names = {each["name"] for each in kept["env"]}
    env = [each for each in container["env"] if each["name"] in names]
    for each in env:
        if "value" in values.get(each["name"], {}):
            each["value"] = values[each["name"]]["value"]
    container["env"] = env


class PodCrashLoop:
    """DataKit ends with an error on the last node."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._kubelet = lab.kubelets[lab.nodes[-1].name]

    async def set(self) -> bool:
        self._kubelet.crashing = True
        self._kubelet.kill_datakit()
        await _until_not_available(self._lab)
        return True

    async def clear(self) -> None:
        self._kubelet.crashing = False
        # As a person does it who will not wait for the back-off: the pod is deleted.
        cluster = self._lab.cluster
        query = {"labelSelector": vendor.SELECTOR, "fieldSelector": f"spec.nodeName={self._kubelet.node.name}"}
        await cluster.client.send("DELETE", cluster.pods, query=query)
        await cluster.rolled_out()


class NodeNotReady:
    """The last node is off."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._kubelet = lab.kubelets[lab.nodes[-1].name]
        self._controller = NodeController(lab.cluster.client)

    async def set(self) -> bool:
        await self._kubelet.power_off()
        await self._controller.lost(self._kubelet.node.name)
        await _until_not_available(self._lab)
        return True

    async def clear(self) -> None:
        await self._controller.back(self._kubelet.node.name)
        await self._kubelet.power_on()
        await self._lab.cluster.rolled_out()


async def _until_not_available(lab: Lab) -> None:
    async with asyncio.timeout(_ELECTION_S):
        while not (await lab.cluster.client.get(lab.cluster.daemon_set))["status"].get("numberUnavailable"):
            await asyncio.sleep(0.05)


class ClockSkew:
    """The nodes' clocks are slow by minutes of the lab's time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def set(self) -> bool:
        self._lab.skew_s = max(_SKEW_S / self._lab.scale, _LEAST_SKEW_S)
        return True

    async def clear(self) -> None:
        self._lab.skew_s = 0.0


def _conf(change: Callable[[str], str | None], *, restart: bool = True, key: str = KEY) -> Callable[[Lab], Switch]:
    return lambda lab: ConfEdit(lab.cluster, change, restart=restart, key=key)


def _env(name: str, change: Callable[[str | None], str | None]) -> Callable[[Lab], Switch]:
    return lambda lab: EnvEdit(lab.cluster, name, change)


def _clients(spoil: Callable[[Lab, Node, str], None]) -> Callable[[Lab], Switch]:
    return lambda lab: Files(lab, spoil, lab.layout.clients)


def _wrong_token(value: str | None) -> str | None:
    return (value or "").partition("token=")[0] + "token=tkn_00000000000000000000000000000000"


def _without_container(value: str | None) -> str | None:
    return ",".join(["-container" if name == "container" else name for name in (value or "container").split(",")])


_CLUSTER_NAME = "ENV_CLUSTER_NAME_K8S"
_CONTAINER_CONF = "container.conf"

SWITCHES: dict[str, Callable[[Lab], Switch]] = {
    "elected-on-worker": Elected,
    "no-cluster-tag": lambda lab: Both(
        EnvEdit(lab.cluster, _CLUSTER_NAME, lambda value: None),
        ConfEdit(lab.cluster, conf_edits.without_cluster_tag),
    ),
    "cluster-name-default": _env(_CLUSTER_NAME, lambda value: "default"),
    "stale-subpath": _conf(conf_edits.touched, restart=False),
    "missing-key-directory": _conf(lambda text: None),
    "wrong-filter": _conf(conf_edits.with_wrong_filter),
    "histogram-dropped": _conf(conf_edits.without_histograms),
    "wrong-ca": lambda lab: Files(lab, _other_authority, (lab.layout.ca,)),
    "expired-cert": _clients(_expire),
    "renewed-cert": lambda lab: Files(lab, _renew, lab.layout.clients, restart=False),
    "mismatched-pair": _clients(_mismatch),
    "unreadable-cert": _clients(_unreadable),
    "peer-cert-missing": lambda lab: Files(lab, _remove, (lab.layout.peer,)),
    "wrong-port": _conf(conf_edits.with_wrong_port),
    "member-down": MemberDown,
    "duplicate-scrape": _conf(conf_edits.doubled),
    "election-namespace-clash": lambda lab: Elected(lab, stranger=True),
    "helm-owner": HelmOwner,
    "argo-reverts": ArgoReverts,
    "viewer-rights": ViewerRights,
    "pod-crashloop": PodCrashLoop,
    "node-notready": NodeNotReady,
    "dataway-down": DatawayDown,
    "wrong-token": _env("ENV_DATAWAY", _wrong_token),
    "studio-rate-limit": lambda lab: StudioFault(lab, "rate-limit"),
    "wrong-api-key": lambda lab: StudioFault(lab, "wrong-key"),
    "clock-skew": ClockSkew,
    "neighbours-gone": _conf(lambda text: None, key=_CONTAINER_CONF),
    "no-ca": _conf(conf_edits.without_ca),
    "over-privileged-cert": _conf(conf_edits.with_peer_certificate),
    "container-input-off": _env("ENV_DEFAULT_ENABLED_INPUTS", _without_container),
    "runtime-socket": _conf(conf_edits.with_another_socket, key=_CONTAINER_CONF),
    **mesh_switches.SWITCHES,
}
