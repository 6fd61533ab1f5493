"""The agent of a DataKit pod: it loads its conf files, collects, takes part in the election, and uploads.

It follows DataKit 1.84.1 where the wizard can tell the difference; every period is divided by the lab's time
scale.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import hashlib
import json
import random
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

from tui.core.prom import conf, lineprotocol
from tui.core.prom.collector import Point
from tui.core.prom.conf import PromInput
from tui.lab import agentapi
from tui.lab.commands import Shell
from tui.lab.container import Container
from tui.lab.feeds import Counters, Feeder, Uploader
from tui.lab.inputs import kubernetesprometheus
from tui.lab.inputs import run as inputs
from tui.lab.inputs import settings as input_settings
from tui.lab.inputs.annotations import Annotations
from tui.lab.inputs.machine import Machine
from tui.lab.network import Network, NetworkError, Request, Response
from tui.lab.prominput import PromInstance, Surroundings
from tui.lab.settings import api_url, settings

CONF_FOLDER = "/usr/local/datakit/conf.d"
LOG_FILE = "/var/log/datakit/log"
HTTP_PORT = 9529

_FIRST_ELECTION_S = 4.0
_ELECTION_S = 4.0
_MAX_LOG_BYTES = 4 * 1024 * 1024


class Agent:
    """One DataKit process. `election_delay_s` puts off its first candidacy (agent's time), `clock` is its node's.

    Without a `machine` it only scrapes: it sees no containers, no cluster and no host. Those inputs begin within
    `input_delay_s` of the agent's time.
    """

    def __init__(
        self,
        container: Container,
        network: Network,
        *,
        scale: float,
        rng: random.Random,
        election_delay_s: float = 0.0,
        clock: Callable[[], float] = time.time,
        machine: Machine | None = None,
        input_delay_s: float = 10.0,
    ) -> None:
        self.container = container
        self.network = network
        self._machine = machine
        self._input_delay_s = input_delay_s
        self._confs: dict[str, str] = {}  # of the inputs of which there is but one
        self.settings = settings(container.env, container.node)
        self.counters = Counters()
        status = "banned" if self.settings.banned else "defeat" if self.settings.election else "disabled"
        self.state = agentapi.State(self.settings, self.counters, agentapi.Election(status))
        self.instances: list[PromInstance] = []
        self._scale = scale
        self._clock = clock
        self._rng = rng
        self._election_delay_s = election_delay_s
        self._uploader = Uploader(self.settings, network, self.counters, self.log, scale)
        self._tasks: list[asyncio.Task[None]] = []
        self.annotations = Annotations(self._annotated, self.log, self.counters, scale)

    def _annotated(self, prom: PromInput) -> PromInstance:
        """The scrape that a pod's annotation asks for."""
        return PromInstance("", prom, self._around(self._uploader, lambda each: False, self.counters))

    def start(self) -> None:
        """Read the conf files, open port 9529 and begin. Needs a running loop."""
        self._write_main_conf()
        self._load()
        self.network.listen(self.container.node.name, "0.0.0.0", HTTP_PORT, self._answer)
        jobs = [self._uploader.run, *(instance.run for instance in self.instances), *self._inputs()]
        if self.settings.election and not self.settings.banned:
            jobs.append(self._elect)
        self._tasks = [asyncio.create_task(self._guarded(job)) for job in jobs]

    def _inputs(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """The inputs beside the scrapes: those that are on by default or that a conf file brings, unless refused."""
        if self._machine is None:
            return []
        running = [name for name in self.state.instances if name not in self.settings.refused_inputs]
        around = inputs.Around(
            self.container,
            self._machine,
            self.settings,
            self._uploader,
            self.log,
            self._scale,
            lambda: self.state.election.status == "success",
            self._clock,
        )
        given = None
        if input_settings.NAME in running:
            try:
                given = input_settings.ContainerInput.read(self._confs.get(input_settings.NAME), self.container.env)
            except ValueError as error:
                self.log("ERROR", "config", "config/load_inputconf.go:110", f"load container input: {error}")
        delay_s = self._rng.random() * self._input_delay_s
        jobs: list[Callable[[], Coroutine[Any, Any, None]]] = [
            functools.partial(inputs.run, running, given, around, delay_s, self.annotations.offer)
        ]
        if given is not None:
            jobs.append(self.annotations.run)
        if kubernetesprometheus.NAME in running:
            try:
                found = kubernetesprometheus.Given.read(self._confs.get(kubernetesprometheus.NAME), self.container.env)
            except ValueError as error:
                self.log("ERROR", "config", "config/load_inputconf.go:110", f"load kubernetesprometheus input: {error}")
            else:
                jobs.append(functools.partial(kubernetesprometheus.run, found, around, self._get))
        return jobs

    async def _get(self, url: str, headers: Mapping[str, str]) -> Response:
        """Ask for a URL from this agent's node."""
        return await self.network.request(self.container.node.name, "GET", url, headers=headers)

    async def stop(self) -> None:
        """End as a killed process does: what was not sent is lost."""
        self.network.close_port(self.container.node.name, HTTP_PORT)
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def _guarded(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - as in DataKit, a crash ends one input, not the agent
            self.log("ERROR", "goroutine", "g/group.go:61", f"recover: {type(error).__name__}: {error}")

    def log(self, level: str, module: str, where: str, message: str) -> None:
        """Write a line of the log file, in zap's console format."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        path = self.container.real(LOG_FILE)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = "w" if path.exists() and path.stat().st_size > _MAX_LOG_BYTES else "a"
            with path.open(mode) as file:
                file.write(f"{now}\t{level}\t{module}\t{where}\t{message}\n")

    def shell(self) -> Shell:
        """What a command that is executed in the container works on."""
        return Shell(self.container, self.network, self.check_config, self.debug_conf)

    async def _answer(self, request: Request) -> Response:
        return agentapi.answer(self.state, request)

    # The conf files

    def _write_main_conf(self) -> None:
        path = self.container.real(f"{CONF_FOLDER}/datakit.conf")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('# generated from the environment\nhttp_api.listen = "0.0.0.0:9529"\n')

    def conf_files(self) -> list[str]:
        """The conf files in the order in which they are read: Go's filepath.Walk, without datakit.conf."""
        main = f"{CONF_FOLDER}/datakit.conf"
        return [
            path
            for path in self.container.files(CONF_FOLDER)
            if path.endswith(".conf") and path != main and ".git" not in path
        ]

    def _load(self) -> None:
        seen: dict[str, str] = {}
        for name in self.settings.enabled_inputs:
            self.state.instances[name] = 1
        for path in self.conf_files():
            try:
                raw = self.container.read(path)
            except OSError as error:
                self.log("WARN", "config", "config/load_inputconf.go:201", f"read {path}: {error.strerror}")
                continue
            digest = hashlib.sha256(raw).hexdigest()
            if digest in seen:
                message = f"config {path} is the same as {seen[digest]}, ignored"
                self.log("WARN", "config", "config/load_inputconf.go:224", message)
                continue
            seen[digest] = path
            self._load_file(path, raw.decode(errors="replace"))

    def _load_file(self, path: str, text: str) -> None:
        loaded = _loaded(conf.substitute(text.removeprefix("\ufeff"), self.container.env))
        if loaded.error:
            self.log("WARN", "config", "config/load_inputconf.go:254", f"load {path}: {loaded.error}, ignored")
        for each in loaded.inputs:
            around = self._around(self._uploader, self._paused, self.counters)
            self.instances.append(PromInstance(path, each, around, self._rng.random()))
        names = _other_inputs(text) | _counted(loaded)
        for name in {input_settings.NAME, kubernetesprometheus.NAME} & names.keys():
            # There is one of each: the first file's.
            self._confs.setdefault(name, conf.substitute(text, self.container.env))
        for name, count in names.items():
            if name in self.state.paths:
                count += self.state.instances[name]
            self.state.instances[name] = count
            self.state.paths.setdefault(name, []).append(path)
            self.log("INFO", "config", "config/load_inputconf.go:130", f"got {count} {name} input from {path}")

    def _around(self, feeder: Feeder, paused: Callable[[PromInput], bool], counters: Counters) -> Surroundings:
        return Surroundings(
            self.container,
            self.network,
            self.settings,
            feeder,
            counters,
            self.log,
            self._scale,
            paused,
            self._clock,
        )

    def check_config(self) -> tuple[list[str], bool]:
        """What `datakit check --config` prints, and whether every file could be read."""
        lines, good = [], True
        for path in self.conf_files():
            try:
                text = self.container.read(path).decode(errors="replace")
            except OSError as error:
                lines.append(f"[E] read {path}: {error.strerror}")
                good = False
                continue
            loaded = conf.load(text, self.container.env)
            found = _other_inputs(text) | _counted(loaded)
            lines += [f"[I] got {count} {name} input in {path}" for name, count in found.items()]
            if loaded.error and not loaded.inputs:
                lines.append(f"[E] failed to parse {path}: {loaded.error}")
                good = False
        return lines, good

    async def debug_conf(self, path: str) -> AsyncIterator[str]:
        """What `datakit debug --input-conf` prints, round by round: line protocol, then how much it was.

        It uses the real global tags, asks nobody whether it is elected, and sends nothing. Errors of scrapes go to the
        log alone.
        """
        try:
            loaded = conf.load(self.container.read(path).decode(errors="replace"), self.container.env)
        except OSError as error:
            yield f"[E] open {path}: {(error.strerror or 'unreadable').lower()}"
            return
        if loaded.error and not loaded.inputs:
            yield f"[E] load input from {path} failed: {loaded.error}"
            return
        batches: list[tuple[str, list[Point]]] = []
        around = self._around(Collected(batches), lambda each: False, Counters())
        running = [PromInstance(path, each, around) for each in loaded.inputs]
        while True:
            for instance in running:
                await instance.collect()
            for name, points in batches:
                for point in points:
                    yield lineprotocol.encode([point]).rstrip("\n")
                series = len({(point.measurement, tuple(sorted(point.tags.items()))) for point in points})
                by_name = ", ".join(sorted({f'"{point.measurement}"' for point in points}))
                yield f"# [{category_of(points)}] {len(points)} points({by_name}), {series} time series from {name}"
            batches.clear()
            await asyncio.sleep(min((each.input.interval_s for each in running), default=60.0) / self._scale)

    # The election

    def _paused(self, prom: PromInput) -> bool:
        if not prom.election or not self.settings.election:
            return False
        return self.state.election.status not in ("success", "banned")

    async def _elect(self) -> None:
        await asyncio.sleep((_FIRST_ELECTION_S + self._election_delay_s) / self._scale)
        while True:
            period = await self._candidacy()
            await asyncio.sleep(max(period, 1.0) / self._scale)

    async def _candidacy(self) -> float:
        """One call of /v1/election, or a heartbeat of the elected; returns the seconds until the next."""
        election = self.state.election
        if not self.settings.dataways:
            return _ELECTION_S
        path = "/v1/election/heartbeat" if election.status == "success" else "/v1/election"
        try:
            url = api_url(self.settings.dataways[0], path, namespace=self.settings.namespace, id=self.settings.hostname)
            answer = await self.network.request(self.settings.hostname, "POST", url, timeout_s=10.0)
            content = json.loads(answer.body)["content"] if answer.status == 200 else None
        except (NetworkError, ValueError, KeyError) as error:
            reason = error.reason if isinstance(error, NetworkError) else "unexpected answer"
            self.counters.errors[("not-set", "unknown")] += 1
            self.log("ERROR", "dk-election", "election/leader_election.go:113", f"{path}: {reason}")
            return _ELECTION_S
        if content is None:
            self.log("ERROR", "dk-election", "election/leader_election.go:120", f"{path}: HTTP {answer.status}")
            return _ELECTION_S
        election.leader = str(content.get("incumbency_id", ""))
        status = "success" if content.get("status") == "success" else "defeat"
        if status != election.status:
            election.since_s = time.time() if status == "success" else 0.0
            election.status = status
            if status == "success":
                self.counters.resumed += 1
            else:
                self.counters.paused += 1
            self.log("INFO", "dk-election", "election/leader_election.go:150", f"election status: {status}")
        return float(content.get("interval") or _ELECTION_S)


class Collected:
    """Takes what inputs feed, and keeps it."""

    def __init__(self, batches: list[tuple[str, list[Point]]]) -> None:
        self._batches = batches

    def feed(self, name: str, points: Sequence[Point], *, feeds: int = 1) -> None:
        """Take the points of one feed."""
        self._batches.append((name, list(points)))


def category_of(points: Sequence[Point]) -> str:
    """The category of the points of one feed."""
    return points[0].category if points else "metric"


def _counted(loaded: conf.Loaded) -> dict[str, int]:
    """The inputs that scrape: name -> how many."""
    return dict(Counter(each.kind for each in loaded.inputs))


# The agents of one DaemonSet read the same files.
@functools.lru_cache(maxsize=64)
def _loaded(text: str) -> conf.Loaded:
    """The inputs of a conf file in whose text the environment has been put."""
    return conf.load(text, {})


@functools.lru_cache(maxsize=64)
def _other_inputs(text: str) -> dict[str, int]:
    """The inputs in a conf file that are not the collector's: name -> how many."""
    try:
        found = tomllib.loads(text).get("inputs", {})
    except tomllib.TOMLDecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    others = {name: value for name, value in found.items() if name not in ("prom", "etcd")}
    return {name: len(value) if isinstance(value, list) else 1 for name, value in others.items()}
