"""Every request of plan, apply and undo times every way in which it can fail; and death after each of them.

After each fault one more run without it has to reach exactly the applied state, and one undo exactly the original one.
pytest runs a fixed sample of each row; FAULT_MATRIX=all runs the whole table.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from control_planes import ControlPlane
from fault_worlds import EtcdNodes, OneNodeFirst, Views, Workloads, World
from faults import Column
from studio_answers import serving

from tui.core.errors import Exit, PartialError, WizardError
from tui.lab.studio import StudioServer

WHOLE = os.environ.get("FAULT_MATRIX") == "all"
WORLDS: dict[str, type[World]] = {
    "conf": World,
    "one node first": OneNodeFirst,
    "etcd's nodes": EtcdNodes,
    "workloads": Workloads,
    "views": Views,
}
# Without FAULT_MATRIX=all the other worlds play two columns each.
SOME = {"hang, but done", "409 stale", "rate limit"}
CASES = [
    (name, operation, column)
    for name, world in WORLDS.items()
    for operation in world.operations
    for column in world.columns
    if WHOLE or name == "conf" or column in SOME
]
DEATHS = [(False, "apply"), (True, "undo"), (True, "apply"), (False, "undo")]  # whether it arrives, and what is next
Get = Callable[[str], World]


@pytest.fixture(scope="module")
def studio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    with serving(tmp_path_factory.mktemp("studio")) as server:
        yield server


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    """The worlds that were made so far; each is left as it was found."""
    return {}


@pytest.fixture
def get(
    worlds: dict[str, World],
    practice_plane: ControlPlane,
    studio_server: StudioServer,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Get]:
    """A world by its name; after a failure none is used again."""
    # A process that dies loses nothing of what it wrote; what a machine would lose costs a third of the time here.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)

    def found(name: str) -> World:
        if name not in worlds:
            folder = tmp_path_factory.mktemp("world")
            more = (studio_server,) if name == "views" else ()
            worlds[name] = WORLDS[name](practice_plane, folder, *more)
        return worlds[name]

    failed = request.session.testsfailed
    yield found
    if request.session.testsfailed > failed:
        worlds.clear()


def outcome(world: World, operation: str) -> WizardError | None:
    """How one run ends."""
    try:
        world.run(operation)
    except WizardError as error:
        return error
    return None


def reason(error: WizardError) -> WizardError:
    """What went wrong, where it is told as a part that is not done."""
    while isinstance(error, PartialError) and isinstance(error.__cause__, WizardError):
        error = error.__cause__
    return error


def finish(world: World, operation: str, failed: bool, told: tuple[Any, ...]) -> None:
    """One rerun reaches the end, and one undo the beginning."""
    world.wire.disarm()
    if operation == "plan":
        assert world.state() == world.before, told
        world.run("plan")
    elif operation == "apply":
        world.run("apply")
        assert world.applied(), told
        world.back()
    elif failed:
        world.run("undo")
    assert world.state() == world.before, told
    assert world.left() is None, told


@pytest.mark.parametrize(("name", "operation", "column"), CASES)
def test_each_fault(get: Get, name: str, operation: str, column: str) -> None:
    world = get(name)
    found, chosen = world.requests(operation), world.chosen(operation)
    ways = len(world.columns)
    print(f"{name}, {operation}: {len(chosen)} of {len(found)} requests, {len(chosen) * ways} cells in all")
    if not WHOLE:
        row, writes = list(world.columns).index(column), [at for at in chosen if found[at][2]]
        one = writes[row % len(writes)] if writes else chosen[(row + len(chosen) // 2) % len(chosen)]
        chosen = sorted({chosen[row % len(chosen)], one})
    for at in chosen:
        world.begin()
        world.prepare(operation)
        world.wire.arm(at, world.columns[column])
        error = outcome(world, operation)
        told = (name, operation, column, at, found[at], error and (type(error), error.status, error.lines()))
        if error is not None:
            judge(error, world.columns[column], told)
        finish(world, operation, error is not None, told)


def judge(error: WizardError, column: Column, told: tuple[Any, ...]) -> None:
    """The error is the column's own, or says that a part was done, because of it."""
    why = reason(error)
    left_out = told[0] == "workloads" and type(why) is PartialError  # each workload stands for itself: it is on its row
    assert left_out or type(why) in column.errors, told
    assert error.status in (why.status, Exit.PARTIAL), told


@pytest.mark.parametrize(("arrives", "then"), DEATHS)
@pytest.mark.parametrize(("name", "operation"), [(name, one) for name in WORLDS for one in ("apply", "undo")])
def test_death_at_each_request_that_writes(get: Get, name: str, operation: str, arrives: bool, then: str) -> None:
    """Whatever was done: the next apply or undo brings everything to exactly the end state."""
    world = get(name)
    found = world.requests(operation)
    writes = range(sum(changes for _method, _path, changes in found))
    # Before or after each write, and at what comes next, when what was written before it has come to its end.
    moments = [(number, False) for number in writes] + [(number, True) for number in writes[:-1]]
    row = DEATHS.index((arrives, then))
    settled = then == "undo"  # else the controller is slow, and comes to it after us
    if not WHOLE:  # each write is died at once, before or after it, and one thing comes next
        moments = [(number, False) for number in writes if number % len(DEATHS) == row]
    for number, after in moments:
        world.begin()
        world.prepare(operation)
        world.wire.arm_write(number, Column(die, arrives, ()), after=after)
        killed(world, operation)
        if settled:
            world.settle()
        told = (name, operation, number, after, arrives, then)
        left = world.left()
        assert left is not None, told
        assert left.changed_anything
        world.wire.disarm()
        if then == "apply":
            world.run("apply")
            assert world.applied(), told
            assert world.left() is None, told
        world.run("undo")
        assert world.state() == world.before, told


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
