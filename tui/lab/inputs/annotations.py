"""Scrapes that a pod asks for itself, by its annotation `datakit/prom.instances`.

As DataKit 1.84.1 does it (container/kubernetes/k8s_pod_prom.go): the object cycle offers what the pods of the node ask
for, and one worker takes it, unless it is scraping just then: that offer is lost until the next cycle. A scrape that
was there before (same source, same URLs) keeps its beat, another one begins an interval later. What does not parse is a
line in the log and nothing else.

Where time runs faster than the clock, scrapes do not: a worker would be busy a good part of it, as a real one never is.
There an offer waits for the end of the scrape instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tui.core.prom import conf
from tui.core.prom.settings import Pod, PromInput
from tui.lab.client import Object
from tui.lab.feeds import Counters, Log
from tui.lab.prominput import PromInstance

NAME = "datakit/prom.instances"


@dataclass
class _Runner:
    """One scrape and when its next beat is (time.monotonic)."""

    instance: PromInstance
    due: float

    @property
    def identifier(self) -> tuple[str, tuple[str, ...]]:
        return self.instance.input.source, self.instance.input.urls


class Annotations:
    """The worker of one agent. `make` makes the scrape of an input; it reports nothing of its own."""

    def __init__(self, make: Callable[[PromInput], PromInstance], log: Log, counters: Counters, scale: float) -> None:
        self._make = make
        self._counters = counters
        self._log = log
        self._scale = scale
        self._runners: list[_Runner] = []
        self._offered = asyncio.Event()
        self._busy = False
        self._held: list[_Runner] | None = None

    @property
    def sources(self) -> list[str]:
        """The sources that are scraped now."""
        return [runner.instance.input.source for runner in self._runners]

    def offer(self, pods: Iterable[Object]) -> bool:
        """Take what the running pods ask for in place of what they asked for before. Returns False where it is lost."""
        wanted = [runner for pod in pods for runner in self._runners_of(pod)]
        if self._busy:
            if self._scale > 1:
                self._held = wanted
            return self._scale > 1
        self._take(wanted)
        return True

    def _take(self, wanted: list[_Runner]) -> None:
        known = {runner.identifier: runner.due for runner in self._runners}
        for runner in wanted:
            runner.due = known.get(runner.identifier, runner.due)
        self._runners = wanted
        self._counters.annotated.append(len(wanted))
        self._offered.set()

    def _runners_of(self, pod: Object) -> list[_Runner]:
        metadata, status = pod["metadata"], pod.get("status", {})
        text = (metadata.get("annotations") or {}).get(NAME)
        if text is None or status.get("phase") != "Running":
            return []
        place = Pod(status.get("podIP", ""), metadata["namespace"], metadata["name"], pod["spec"].get("nodeName", ""))
        loaded = conf.load_annotation(text, place)
        if loaded.error:
            self._refuse(place, f"parse config error: unable to parse toml: {loaded.error}")
            return []
        made = [self._make(each) for each in loaded.inputs]
        try:
            for instance in made:
                instance.prepare()
        except (OSError, ValueError) as error:
            self._refuse(place, f"failed to create prom: {error}")
            return []
        now = time.monotonic()
        return [_Runner(instance, now + instance.input.interval_s / self._scale) for instance in made]

    def _refuse(self, pod: Pod, why: str) -> None:
        message = f"failed to new prom runner of pod {pod.name} export-config, err: {why}"
        self._log("WARN", "k8s", "kubernetes/k8s_pod_prom.go:103", message)

    async def run(self) -> None:
        """Scrape what is due, one after another, until cancelled."""
        while True:
            if not self._runners:
                await self._offered.wait()
            self._offered.clear()
            rest = min((runner.due for runner in self._runners), default=0.0) - time.monotonic()
            with contextlib.suppress(TimeoutError):
                # Not wait_for: Python 3.11's loses a cancellation that comes together with the event.
                async with asyncio.timeout(max(0.0, rest)):
                    await self._offered.wait()
                continue
            self._busy = True
            try:
                for runner in self._runners:
                    await self._beat(runner)
            finally:
                self._busy = False
            held, self._held = self._held, None
            if held is not None:
                self._take(held)

    async def _beat(self, runner: _Runner) -> None:
        now = time.monotonic()
        if runner.due > now:
            return
        period = runner.instance.input.interval_s / self._scale
        runner.due += period * (1 + int((now - runner.due) / period))  # beats that passed meanwhile are lost
        await runner.instance.collect()
