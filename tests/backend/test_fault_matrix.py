"""Every request of plan, apply and undo times every way in which it can fail; and death after each of them.

After each fault one more run without it has to reach exactly the applied state, and one undo exactly the original one.
pytest runs a fixed sample of each row; FAULT_MATRIX=all runs the whole table.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from changes import CONF, ENV, KEY, Place
from control_planes import ControlPlane
from kubernetes.client.exceptions import ApiException

from tui.backend.cluster import KubernetesCluster
from tui.core.errors import Exit, WizardError
from tui.core.ports import CONFIG_MAP, NAMESPACE
from tui.core.receipts import Store, unfinished

WHOLE = os.environ.get("FAULT_MATRIX") == "all"
Request = tuple[str, str, bool]  # method, path, whether it changes something


class Broken:
    """An answer whose body breaks off, or is no JSON."""

    status = 200
    headers = urllib3.HTTPHeaderDict()

    def __init__(self, body: bytes | Exception) -> None:
        self._body = body

    @property
    def data(self) -> bytes:
        if isinstance(self._body, Exception):
            raise self._body
        return self._body


def refusal(status: int, message: str, **details: Any) -> ApiException:
    error = ApiException(status=status)
    error.body = json.dumps({"kind": "Status", "code": status, "message": message, "details": details})
    return error


def refused() -> Any:
    raise urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "Connection refused"))  # type: ignore[arg-type]


def hang() -> Any:
    raise urllib3.exceptions.ReadTimeoutError(None, "/", "read timed out")  # type: ignore[arg-type]


def raising(make: Callable[[], Exception]) -> Callable[[], Any]:
    def fault() -> Any:
        raise make()

    return fault


OWNER = [{"reason": "FieldManagerConflict", "message": 'conflict with "rancher" using v1', "field": ".data.x"}]
# Each column: what happens in place of the answer, whether the request arrives all the same, and the exit statuses that
# may follow. 0: the request was not needed, or was made again; 6: something had been written before.
COLUMNS: dict[str, tuple[Callable[[], Any], bool, set[Exit]]] = {
    "refused": (refused, False, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
    "reset": (
        lambda: Broken(urllib3.exceptions.ProtocolError("Connection broken: IncompleteRead")),
        True,
        {Exit.OK, Exit.UNREACHABLE},
    ),
    "hang": (hang, False, {Exit.OK, Exit.UNREACHABLE, Exit.DEADLINE, Exit.PARTIAL}),
    "hang, but done": (hang, True, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
    "401": (raising(lambda: refusal(401, "Unauthorized")), False, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
    "403": (raising(lambda: refusal(403, "forbidden")), False, {Exit.OK, Exit.REFUSED, Exit.PARTIAL}),
    "404": (raising(lambda: refusal(404, "not found")), False, {Exit.OK, Exit.USAGE, Exit.PARTIAL}),
    "409 stale": (
        raising(lambda: refusal(409, "the object has been modified", name="x", kind="y")),
        False,
        {Exit.OK, Exit.REFUSED, Exit.PARTIAL},
    ),
    "409 owner": (
        raising(lambda: refusal(409, "Apply failed", causes=OWNER)),
        False,
        {Exit.OK, Exit.REFUSED, Exit.PARTIAL},
    ),
    "422": (raising(lambda: refusal(422, "invalid")), False, {Exit.OK, Exit.REFUSED, Exit.PARTIAL}),
    "429": (raising(lambda: refusal(429, "too many")), False, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
    "500": (raising(lambda: refusal(500, "boom")), False, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
    "503": (raising(lambda: refusal(503, "away")), False, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
    "HTML": (lambda: Broken(b"<html>login</html>"), True, {Exit.OK, Exit.UNREACHABLE, Exit.PARTIAL}),
}


class Wire:
    """The requests of one client, counted where they are made by the test's own thread; the nth of them may fail."""

    def __init__(self, cluster: KubernetesCluster) -> None:
        self.seen: list[Request] = []
        self.at = -1
        self.fault: Callable[[], Any] = refused
        self.arrives = False
        self._connect = cluster._connect
        self._thread = threading.get_ident()
        cluster._connect = self.connect  # type: ignore[method-assign]

    def connect(self) -> tuple[Any, Any]:
        client, credential = self._connect()
        return _Client(self, client), credential

    def request(self, client: Any, method: str, path: str, **options: Any) -> Any:
        if threading.get_ident() != self._thread or path.endswith("/status"):  # the controller's requests are not ours
            return client.request(method, path, **options)
        query = dict(options.get("query_params") or [])
        here = len(self.seen)
        writes = method in ("patch", "delete") and not query.get("dryRun")
        self.seen.append((method, path, writes))
        if here != self.at:
            return client.request(method, path, **options)
        if self.arrives:
            client.request(method, path, **options)
        return self.fault()

    def arm(self, at: int, fault: Callable[[], Any], *, arrives: bool) -> None:
        self.seen, self.at, self.fault, self.arrives = [], at, fault, arrives

    def disarm(self) -> None:
        self.seen, self.at = [], -1


class _Client:
    def __init__(self, wire: Wire, client: Any) -> None:
        self._wire, self.client = wire, client
        self._inner = client

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self._wire.request(self._inner, method, path, **options)


class World:
    """A namespace as before us, and a wire to it that can fail."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        clean = plane.cluster("admin")
        name = f"t-{secrets.token_hex(4)}"
        clean.apply(NAMESPACE, "", name, {}, manager="setup", dry_run=False)
        store = Store(folder / name)
        self.clean = Place(clean, name, store)
        self.clean.install()
        body = {"data": {"etcd.conf": "# by hand\n"}}
        clean.patch(CONFIG_MAP, name, "datakit-conf", body, manager="rancher", dry_run=False)
        self.before = self.clean.objects()
        faulty = plane.cluster("admin")
        assert isinstance(faulty, KubernetesCluster)
        self.wire = Wire(faulty)
        self.place = Place(faulty, name, store)

    def run(self, operation: str) -> None:
        if operation == "plan":
            self.place.plan(CONF, forced=(ENV, KEY))
        elif operation == "apply":
            self.place.apply(CONF, forced=(ENV, KEY))
        else:
            self.place.undo()

    def status(self, operation: str) -> Exit:
        """The exit status of one run."""
        try:
            self.run(operation)
        except WizardError as error:
            return error.status
        return Exit.OK

    def prepare(self, operation: str) -> None:
        if operation == "undo":
            self.clean.apply(CONF, forced=(ENV, KEY))

    def applied(self) -> bool:
        objects = self.clean.objects()
        env = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["env"]
        return bool(objects["ConfigMap"]["data"]["etcd.conf"] == CONF and env[0]["value"] == "production")


def requests(plane: ControlPlane, folder: Path, operation: str) -> list[Request]:
    """The requests of one run that goes well."""
    world = World(plane, folder)
    world.prepare(operation)
    world.wire.disarm()
    world.run(operation)
    return world.wire.seen


def finish(world: World, operation: str, told: tuple[Any, ...]) -> None:
    """One rerun reaches the end, and one undo the beginning."""
    world.wire.disarm()
    if operation == "plan":
        assert world.clean.objects() == world.before, told
        world.run("plan")
    elif operation == "apply":
        world.run("apply")
        assert world.applied(), told
        world.run("undo")
    elif told[-1] != Exit.OK:
        world.run("undo")
    assert world.clean.objects() == world.before, told
    look = world.clean.look()
    assert unfinished(world.clean.store, look.uid, world.clean.namespace) is None, told


@pytest.mark.parametrize("operation", ["plan", "apply", "undo"])
@pytest.mark.parametrize("column", list(COLUMNS))
def test_each_fault(practice_plane: ControlPlane, tmp_path: Path, operation: str, column: str) -> None:
    fault, arrives, expected = COLUMNS[column]
    found = requests(practice_plane, tmp_path, operation)
    writes = [at for at, (_method, _path, changes) in enumerate(found) if changes]
    row = list(COLUMNS).index(column)
    sample = sorted({row % len(found), (row + len(found) // 2) % len(found)})
    if writes:
        sample = sorted({row % writes[0], writes[row % len(writes)], writes[(row + 1) % len(writes)]})
    chosen = range(len(found)) if WHOLE else sample
    print(f"{operation} × {column}: {len(chosen)} of {len(found)} requests, {len(found) * len(COLUMNS)} cells in all")
    for at in chosen:
        world = World(practice_plane, tmp_path)
        world.prepare(operation)
        world.wire.arm(at, fault, arrives=arrives)
        status = world.status(operation)
        told = (operation, column, at, found[at], status)
        assert status in expected, told
        finish(world, operation, told)


@pytest.mark.parametrize("operation", ["apply", "undo"])
@pytest.mark.parametrize("arrives", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("then", ["apply", "undo"])
def test_death_at_each_request_that_writes(
    practice_plane: ControlPlane, tmp_path: Path, operation: str, arrives: bool, then: str
) -> None:
    """Whatever was done: the next apply or undo brings the objects to exactly the end state."""
    found = requests(practice_plane, tmp_path, operation)
    writes = [at for at, (_method, _path, changes) in enumerate(found) if changes]
    after = {at + 1 for at in writes if at + 1 < len(found)}
    for at in range(writes[0], len(found)) if WHOLE else sorted({*writes, *after}):
        world = World(practice_plane, tmp_path)
        world.prepare(operation)
        world.wire.arm(at, die, arrives=arrives)
        killed(world, operation)
        told = (operation, at, found[at], arrives, then)
        look = world.clean.look()
        left = unfinished(world.clean.store, look.uid, world.clean.namespace)
        assert left is not None, told
        assert left.changed_anything
        world.wire.disarm()
        if then == "apply":
            world.run("apply")
            assert world.applied(), told
            assert unfinished(world.clean.store, look.uid, world.clean.namespace) is None, told
        world.run("undo")
        assert world.clean.objects() == world.before, told


def die() -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(world: World, operation: str) -> None:
    """Run it in a process of its own, which is killed in the midst: nothing of it gets to handle that."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            world.run(operation)
        finally:
            os._exit(1)  # it was not killed
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL, status
