"""Somebody who writes to the same objects all the time: nothing of theirs is lost, and ours comes to an end."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from changes import CONF, Place
from control_planes import ControlPlane

from tui.core.errors import PartialError, RefusedError, WizardError
from tui.core.plan import make_plan
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Cluster
from tui.core.receipts import Store

MOST_RUNS = 5


class Writer:
    """Edits other keys, env entries and mounts, one round after the other."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.rounds = 0
        self.wrong: list[BaseException] = []
        self._stop = threading.Event()

    def run(self) -> None:
        try:
            while not self._stop.wait(0.0):
                self.next()
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.wrong.append(error)

    def next(self) -> None:
        self.rounds += 1
        self.write(f"{self.rounds:06}")

    def write(self, value: str) -> None:
        data = {"data": {"zipkin.conf": f"# {value}\n", f"of-{int(value) % 7}.conf": f"# {value}\n"}}
        self.cluster.patch(CONFIG_MAP, self.namespace, "datakit-conf", data, manager="rancher", dry_run=False)
        container = {
            "name": "datakit",
            "env": [{"name": "ENV_NEIGHBOUR", "value": value}],
            "volumeMounts": [{"name": "rootfs", "mountPath": f"/neighbour-{int(value) % 5}"}],
        }
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        self.cluster.patch(DAEMON_SET, self.namespace, "datakit", body, manager="rancher", dry_run=False)

    def all_there(self) -> None:
        """The last value of everything that was written is there."""
        last = self.rounds
        data = self.cluster.get(CONFIG_MAP, self.namespace, "datakit-conf")["data"]
        assert data["zipkin.conf"] == f"# {last:06}\n"
        for number in range(min(last, 7)):
            written = last - number
            assert data[f"of-{written % 7}.conf"] == f"# {written:06}\n"
        (container,) = self.cluster.get(DAEMON_SET, self.namespace, "datakit")["spec"]["template"]["spec"]["containers"]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert env["ENV_NEIGHBOUR"] == f"{last:06}"
        paths = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {f"/neighbour-{(last - number) % 5}" for number in range(min(last, 5))} <= paths

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.next()
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(30)
        assert not thread.is_alive()
        assert not self.wrong, self.wrong


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_neighbour_who_writes_between_our_requests(
    plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Before one request in four. A run is done, or refused since the object moved; running again gets there."""
    place = Place(plane.cluster("admin"), namespace, Store(tmp_path))
    place.install()
    writer = Writer(plane.cluster("admin"), namespace)
    for _round in range(7):  # from now on its keys and mounts are there, and only their values change
        writer.next()
    send, chance = place.cluster._send, random.Random(seed)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if chance.random() < 0.25:
            writer.next()
        return send(*arguments, **options)

    monkeypatch.setattr(place.cluster, "_send", interrupted)
    refused = until_done(lambda: place.apply(CONF, name="default"))
    assert place.cluster.get(CONFIG_MAP, namespace, "datakit-conf")["data"]["etcd.conf"] == CONF
    refused += until_done(place.undo)
    print(f"{writer.rounds} rounds of the neighbour, {refused} runs of ours refused")
    assert writer.rounds > 10
    writer.all_there()
    assert "etcd.conf" not in place.cluster.get(CONFIG_MAP, namespace, "datakit-conf")["data"]


def until_done(run: Callable[[], object]) -> int:
    """Run it again until it is done; how often it was refused."""
    told: list[str] = []
    while len(told) < MOST_RUNS:
        try:
            run()
            return len(told)
        except (RefusedError, PartialError) as error:
            told.append(f"{error.what} {error.object}")
    pytest.fail(f"not done in {MOST_RUNS} runs: {Counter(told)}")


def test_a_neighbour_who_never_pauses(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """Then a run may be refused each time; it ends, and what it wrote before is in its receipt."""
    place = Place(plane.cluster("admin"), namespace, Store(tmp_path))
    place.install()
    writer = Writer(plane.cluster("admin"), namespace)
    with writer.at_work():
        for _run in range(3):
            with suppress(RefusedError, PartialError):
                place.apply(CONF, name="default")
    writer.all_there()
    place.apply(CONF, name="default")
    place.undo()
    writer.all_there()
    assert "etcd.conf" not in place.cluster.get(CONFIG_MAP, namespace, "datakit-conf")["data"]


def test_a_run_that_never_finds_it_still_says_so(
    plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retries are bounded: where somebody writes between each look and each write, it says so, and nothing is lost."""
    place = Place(plane.cluster("admin"), namespace, Store(tmp_path))
    place.install()
    writer = Writer(plane.cluster("admin"), namespace)
    apply = place.cluster.apply
    writes = 0

    def overtaken(kind, namespace, name, body, *, manager, dry_run, force=False):  # type: ignore[no-untyped-def]
        nonlocal writes
        if not dry_run:
            writes += 1
            writer.next()
        return apply(kind, namespace, name, body, manager=manager, dry_run=dry_run, force=force)

    plan = place.plan(name="default")
    monkeypatch.setattr(place.cluster, "apply", overtaken)
    with pytest.raises(WizardError) as caught:
        place.carry_out(plan)
    assert "changed" in str(caught.value)
    assert 1 <= writes <= 3
    writer.all_there()
    assert "etcd.conf" not in place.cluster.get(CONFIG_MAP, namespace, "datakit-conf")["data"]


def test_what_others_write_meanwhile_does_not_stand_in_the_plan_as_ours(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    place = Place(plane.cluster("admin"), namespace, Store(tmp_path))
    place.install()
    looked_at = place.look()
    writer = Writer(plane.cluster("admin"), namespace)
    writer.next()
    plan = make_plan(place.cluster, looked_at, place.answers(name="default"))
    for change in plan.changes:
        ours = [line for line in change.diff.splitlines() if line[:1] in "+-"]
        assert ours
        assert not [line for line in ours if "neighbour" in line.lower() or "zipkin" in line], change.diff
    assert place.carry_out(plan).complete
    writer.all_there()
