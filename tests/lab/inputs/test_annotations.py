"""The worker that scrapes what pods ask for: what it takes, when it begins, what it loses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from lab_machines import until

from tui.core.prom.settings import PromInput
from tui.lab.feeds import Counters
from tui.lab.inputs.annotations import NAME, Annotations

SCALE = 600.0  # a minute is a tenth of a second


class Instance:
    """A scrape that only counts its rounds; `gate` holds one up."""

    def __init__(self, settings: PromInput) -> None:
        self.input = settings
        self.rounds = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def prepare(self) -> None:
        if "missing" in self.input.source:
            raise FileNotFoundError(2, "no such file or directory")

    async def collect(self) -> None:
        await self.gate.wait()
        self.rounds += 1


class World:
    def __init__(self, scale: float) -> None:
        self.made: list[Instance] = []
        self.log: list[str] = []
        self.counters = Counters()
        make: Callable[[PromInput], Any] = self._make
        self.worker = Annotations(make, lambda *words: self.log.append(words[-1]), self.counters, scale)

    def _make(self, settings: PromInput) -> Instance:
        self.made.append(Instance(settings))
        return self.made[-1]


@pytest.fixture(params=[SCALE])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(request.param)
    task = asyncio.create_task(made.worker.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def pod(name: str, text: str | None, *, ip: str = "10.244.1.2", phase: str = "Running") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "prod", "annotations": {} if text is None else {NAME: text}}
    return {"metadata": metadata, "spec": {"nodeName": "worker-1"}, "status": {"phase": phase, "podIP": ip}}


def asking(source: str, interval: str = "60s", more: str = "") -> str:
    return f'[[inputs.prom]]\nurl = "http://$IP:15020/s"\nsource = "{source}"\ninterval = "{interval}"\n{more}'


async def test_a_scrape_begins_an_interval_after_it_was_taken(world: World) -> None:
    began = asyncio.get_running_loop().time()
    assert world.worker.offer([pod("a", asking("a"))])
    (made,) = world.made
    assert made.input.urls == ("http://10.244.1.2:15020/s",)
    await until(lambda: made.rounds)
    assert asyncio.get_running_loop().time() - began >= 60 / SCALE
    await until(lambda: made.rounds >= 3)
    assert world.counters.annotated == [1]


@pytest.mark.parametrize("world", [1.0], indirect=True)
async def test_an_offer_in_the_middle_of_a_scrape_is_lost(world: World) -> None:
    world.worker.offer([pod("a", asking("a", "50ms"))])
    (first,) = world.made
    first.gate.clear()
    await until(lambda: world.worker._busy)
    assert not world.worker.offer([pod("a", asking("a", "50ms")), pod("b", asking("b"))])
    first.gate.set()
    await until(lambda: first.rounds >= 2)
    assert world.worker.sources == ["a"]
    assert world.worker.offer([pod("a", asking("a", "50ms")), pod("b", asking("b"))])
    assert world.worker.sources == ["a", "b"]


async def test_an_offer_waits_for_the_scrape_where_time_runs_faster(world: World) -> None:
    world.worker.offer([pod("a", asking("a"))])
    (first,) = world.made
    first.gate.clear()
    await until(lambda: world.worker._busy)
    assert world.worker.offer([pod("b", asking("b"))])
    assert world.worker.sources == ["a"]
    first.gate.set()
    await until(lambda: world.worker.sources == ["b"])


async def test_the_same_source_and_address_keep_their_beat_with_new_settings(world: World) -> None:
    world.worker.offer([pod("a", asking("a"))])
    due = world.worker._runners[0].due
    world.worker.offer([pod("a", asking("a", more='metric_types = ["histogram"]\n')), pod("b", asking("b"))])
    first, second = world.worker._runners
    assert first.due == due
    assert first.instance.input.metric_types == ("histogram",)
    assert second.due > due


async def test_what_is_gone_is_scraped_no_more(world: World) -> None:
    world.worker.offer([pod("a", asking("a", "10s")), pod("b", asking("b", "10s"))])
    first, second = world.made
    await until(lambda: first.rounds and second.rounds)
    world.worker.offer([pod("b", asking("b", "10s"))])
    rounds, later = first.rounds, world.made[-1]
    await until(lambda: later.rounds >= 2)
    assert first.rounds == rounds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[inputs.prom]]\nurl = "http://$IP\n', "unable to parse toml"),
        (asking("missing"), "failed to create prom"),
        (asking("a", more="metric_types = 3\n"), "parse config error"),
    ],
)
async def test_what_cannot_be_read_is_a_line_in_the_log_and_nothing_else(world: World, text: str, why: str) -> None:
    world.worker.offer([pod("a", text), pod("b", asking("b", "10s"))])
    assert world.worker.sources == ["b"]
    (line,) = world.log
    assert line.startswith("failed to new prom runner of pod a export-config, err: ")
    assert why in line


async def test_only_running_pods_that_ask_are_scraped(world: World) -> None:
    world.worker.offer([pod("a", None), pod("b", asking("b"), phase="Pending"), pod("c", asking(""))])
    assert world.worker.sources == ["prod/c"]
