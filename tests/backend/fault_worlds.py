"""What the fault matrix plays: a place as before us, a way to change it and back, and a wire that can fail.

A world is played many times over: every time it is left as it was found, or the test has failed.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from changes import (
    CONF,
    ENV,
    KEY,
    MOUNTED,
    NAME,
    OTHER_CONF,
    Place,
    Rolling,
    add_nodes,
    create,
    pod_node,
    revision,
    text_mark,
    vendor_daemon_set,
)
from control_planes import ControlPlane
from faults import API_SERVER, STUDIO, Counted, Request, StudioWire, Wire
from mesh_place import VENDOR, MeshPlace
from studio_answers import KEY as API_KEY
from studio_answers import SCALE

from tests.core.mesh_objects import BROKEN, TUTORIAL, deployment
from tui.backend.cluster import KubernetesCluster
from tui.backend.studio import StudioClient
from tui.core import actions, hold, view_sync
from tui.core.answers import ViewAnswers
from tui.core.manifests import HASH_ANNOTATION
from tui.core.plan import Plan, make_plan
from tui.core.ports import CONFIG_MAP, DAEMON_SET, NAMESPACE, POD
from tui.core.receipts import Receipt, Store, unfinished
from tui.core.undo import undo
from tui.lab.studio import StudioServer


class World:
    """Etcd's conf and the cluster's name, both forced over their owners."""

    columns = API_SERVER
    operations: tuple[str, ...] = ("plan", "apply", "undo")
    wire: Counted
    place: Any

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane, self.folder, self.process = plane, folder, os.getpid()
        self.name = f"t-{secrets.token_hex(4)}"
        self.admin = plane.cluster("admin")
        self.admin.apply(NAMESPACE, "", self.name, {}, manager="setup", dry_run=False)
        self.set_up()
        self.known: dict[str, list[Request]] = {}
        self.begin()
        self.before = self.state()

    def set_up(self) -> None:
        """What is there before us."""
        self.clean = Place(self.admin, self.name, Store(self.folder))
        self.clean.install()
        body = {"data": {"etcd.conf": "# by hand\n"}}
        self.admin.patch(CONFIG_MAP, self.name, "datakit-conf", body, manager="rancher", dry_run=False)

    def begin(self) -> None:
        """A client and a folder of receipts of its own, for one run that fails and those after it."""
        self.store = self.clean.store = Store(self.folder / secrets.token_hex(4))
        faulty = self.plane.cluster("admin")
        assert isinstance(faulty, KubernetesCluster)
        self.wire = wire = Wire(faulty)
        wire.on_delete = self.settle
        self.place = replace(self.clean, cluster=faulty, controller=self.admin, said=[])

    def run(self, operation: str, place: Any = None) -> None:
        """Plan, apply or undo on the wire (or with another client)."""
        {"plan": self.plan, "apply": self.apply, "undo": self.undo}[operation](place or self.place)

    def settle(self) -> None:
        """What the controllers do while nobody waits for them."""

    def plan(self, place: Any) -> None:
        place.plan(CONF, forced=(ENV, KEY))

    def apply(self, place: Any) -> None:
        place.apply(CONF, forced=(ENV, KEY))

    def undo(self, place: Any) -> None:
        place.undo()

    def back(self) -> None:
        """Undo what was applied, on the wire."""
        self.run("undo")

    def prepare(self, operation: str) -> None:
        """What has to be there before an operation."""
        if operation == "undo":
            self.run("apply", self.clean)

    def applied(self) -> bool:
        """Whether everything is as apply wants it."""
        found = self.clean.objects()
        env = found["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["env"]
        return bool(found["ConfigMap"]["data"]["etcd.conf"] == CONF and env[0]["value"] == NAME)

    def state(self) -> Any:
        """Everything that has to be as before after undo."""
        return self.clean.objects()

    def left(self) -> Receipt | None:
        """What was broken off, by the receipts."""
        return unfinished(self.store, self.clean.look().uid, self.name)

    def requests(self, operation: str) -> list[Request]:
        """The requests of one run that goes well; nothing is left of it."""
        if operation not in self.known:
            self.begin()
            self.prepare(operation)
            self.wire.disarm()
            self.run(operation)
            self.known[operation] = self.wire.seen[:]
            if operation == "apply":
                self.run("undo")
            assert self.state() == self.before
        return self.known[operation]

    def chosen(self, operation: str) -> list[int]:
        """The requests of which each is worth a fault: here all of them."""
        return list(range(len(self.requests(operation))))


class Other(World):
    """Another way of changing things. What is asked before it differs from the first world's is not played again, nor
    what asks the same over and over while something is awaited."""

    operations = ("apply", "undo")

    def chosen(self, operation: str) -> list[int]:
        found = self.requests(operation)
        begins = next(at for at, (method, _path, _writes) in enumerate(found) if method == "patch")
        return [at for at in range(begins, len(found)) if found[at] != found[at - 1] or found[at][2]]


class OneNodeFirst(Other):
    """A rollout that is held while one node gets it: OnDelete, a pod deleted, then the strategy given back."""

    how = {"one_node_first": True}  # noqa: RUF012
    conf = CONF

    def set_up(self) -> None:
        self.clean = Place(self.admin, self.name, Store(self.folder))
        self.clean.install(ENV_CLUSTER_NAME_K8S=NAME)
        add_nodes(self.clean)

    def settle(self) -> None:
        if os.getpid() == self.process:  # in one that is about to die the connection is the test's
            self.clean.pods()

    def plan(self, place: Any) -> None:
        place.plan(self.conf, **self.how)

    def apply(self, place: Any) -> None:
        place.apply(self.conf, **self.how)

    def applied(self) -> bool:
        live = self.admin.get(DAEMON_SET, self.name, "datakit")
        hashed = live["spec"]["template"]["metadata"].get("annotations", {}).get(HASH_ANNOTATION)
        text = self.clean.objects()["ConfigMap"]["data"].get("etcd.conf")
        return bool(hashed) and text == self.conf and hold.strategy(live) == "RollingUpdate" and self.came(live)

    def came(self, live: Any) -> bool:
        """Whether the pods have what was applied: here every one of them the new template."""
        return {pod["metadata"]["labels"]["controller-revision-hash"] for pod in self.pods()} == {revision(live)}

    def pods(self) -> list[Any]:
        found = self.admin.list(POD, self.name, labels="app=daemonset-datakit")
        assert {pod_node(pod) for pod in found} == set(self.clean.nodes)
        return found


class EtcdNodes(OneNodeFirst):
    """A new text of the conf for the pods on etcd's nodes alone, which we delete."""

    how = {"only_etcd_nodes": True}  # noqa: RUF012
    conf = OTHER_CONF

    def set_up(self) -> None:
        super().set_up()
        self.clean.apply(CONF)

    def texts(self) -> dict[str, str]:
        """What the pods on etcd's nodes found in the conf when they came up, which is what they run."""
        nodes = self.clean.nodes[:2]
        return {node: pod["metadata"]["labels"][MOUNTED] for pod in self.pods() if (node := pod_node(pod)) in nodes}

    def came(self, live: Any) -> bool:
        return set(self.texts().values()) == {text_mark(OTHER_CONF)}

    def state(self) -> Any:
        return super().state(), self.texts()


class Workloads(Other):
    """The annotations of three workloads of the mesh: one that has none, one broken, and one that Rancher wrote."""

    names = ("productpage-v1", "details-v1", "ratings-v1")

    def set_up(self) -> None:
        self.clean = MeshPlace(self.admin, self.name, Store(self.folder))  # type: ignore[assignment]
        datakit = vendor_daemon_set(self.name, ENV_CLUSTER_NAME_K8S="lab")
        create(self.admin, DAEMON_SET, self.name, "datakit", datakit, VENDOR)
        for name, annotation in zip(self.names, (None, BROKEN, TUTORIAL), strict=True):
            text = {} if annotation is None else {"annotation": annotation}
            self.clean.put(deployment(name, **text), "rancher" if annotation == TUTORIAL else VENDOR)  # type: ignore[attr-defined]

    def plan(self, place: Any) -> None:
        place.plan(*self.names)

    def apply(self, place: Any) -> None:
        place.apply(place.plan(*self.names))

    def undo(self, place: Any) -> None:
        receipt = self.store.newest(place.look().uid, self.name)
        assert receipt is not None
        place.undo(receipt)

    def back(self) -> None:
        """A workload that was left out is another apply's, so that there may be two receipts."""
        while self.store.newest(self.clean.look().uid, self.name):
            self.run("undo")

    def applied(self) -> bool:
        return all("DataKit Wizard" in (self.clean.annotation(name) or "") for name in self.names)  # type: ignore[attr-defined]


class Views(World):
    """Two views beside etcd's conf, in a studio that fails."""

    columns = STUDIO
    keys = ("docker", "etcd")

    def __init__(self, plane: ControlPlane, folder: Path, server: StudioServer) -> None:
        self.server = server
        self.client = self.studio()
        for dashboard in self.client.dashboards():  # of a test that failed
            self.client.delete_dashboard(dashboard.uuid)
        super().__init__(plane, folder)

    def studio(self, **options: Any) -> StudioClient:
        return StudioClient(
            self.server.url, API_KEY, time_scale=SCALE, requests_per_minute=10**6, sleep=lambda _s: None, **options
        )

    def begin(self) -> None:
        self.store = self.clean.store = Store(self.folder / secrets.token_hex(4))
        self.wire = wire = StudioWire()
        self.place = self.studio(transport=wire)

    def run(self, operation: str, place: Any = None) -> None:
        super().run(operation, self.client if place is self.clean else place)

    def made(self, studio: StudioClient) -> Plan:
        answers = replace(self.clean.answers(), views=ViewAnswers(self.keys))
        return make_plan(self.admin, self.clean.look(), answers, studio, forced=(ENV, KEY))

    def plan(self, place: Any) -> None:
        self.made(place)

    def apply(self, place: Any) -> None:
        actions.apply(Rolling(self.admin), self.made(place), place, self.store, on_event=lambda _event: None)

    def undo(self, place: Any) -> None:
        receipt = self.store.newest(self.clean.look().uid, self.name)
        assert receipt is not None
        undo(Rolling(self.admin), receipt, place, self.store, on_event=lambda _event: None)

    def applied(self) -> bool:
        made = self.made(self.client).views
        same = all(view.standing is not None and view.standing.state == view_sync.SAME for view in made)
        return super().applied() and same and len(self.client.dashboards()) == len(self.keys)

    def state(self) -> Any:
        return super().state(), [dashboard.uuid for dashboard in self.client.dashboards()]
