"""The input `kubernetesprometheus`: it finds pods by instances of its conf, or by `prometheus.io/*`, and scrapes them.

As DataKit 1.84.1 does it (internal/plugins/inputs/kubernetesprometheus), for the role pod: every agent scrapes the pods
of its own node, or with `node_local = false` the elected one all of them. Every sample of an exposition becomes a
point, nothing is filtered. The points carry the host's tags, `up` those of the election; after ten failures in a row a
target is given up. The roles node, service and endpoints, and PodMonitors and ServiceMonitors, are left out: a line in
the log says so.
"""

from __future__ import annotations

import asyncio
import fnmatch
import math
import re
import time
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp

from tui.core import durations
from tui.core.prom import exposition
from tui.core.prom.collector import Point
from tui.lab.client import ApiStatusError
from tui.lab.inputs.machine import Object
from tui.lab.inputs.run import Around
from tui.lab.network import NetworkError, Response

NAME = "kubernetesprometheus"
_LEAST_S, _MOST_S, _DEFAULT_S = 1.0, 300.0, 30.0
_TRIES = 10
_KEYWORD = "__kubernetes"
_ANNOTATION = "__kubernetes_pod_annotation_prometheus.io/"
_SWITCH = "enable_discovery_of_prometheus_"
_DISCOVERY = "ENV_INPUT_CONTAINER_ENABLE_AUTO_DISCOVERY_OF_PROMETHEUS_POD_ANNOTATIONS"

Get = Callable[[str, Mapping[str, str]], Awaitable[Response]]
"""Asks for a URL with headers, from the agent's node. Raises NetworkError."""


@dataclass(frozen=True)
class Instance:
    """One `[[instances]]` of role pod. Texts may hold placeholders such as `__kubernetes_pod_ip`."""

    namespaces: tuple[str, ...] = ()
    selector: str = ""
    scrape: str = "true"
    scheme: str = "http"
    port: str = ""
    path: str = "/metrics"
    params: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    measurement: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def wants(self, pod: Object) -> bool:
        """Whether a pod is one of its targets."""
        metadata = pod["metadata"]
        if self.namespaces and metadata["namespace"] not in self.namespaces:
            return False
        if not matches(self.selector, metadata.get("labels") or {}):
            return False
        return self.scrape == "true" or _found(self.scrape, pod) == "true"

    def target(self, pod: Object) -> Target:
        """What is to be scraped of a pod."""
        parts = [_found(each, pod) or each for each in (self.scheme, self.port, self.path)]
        host = f"{pod['status']['podIP']}:{parts[1]}"
        query = f"?{urlencode(sorted(parse_qsl(self.params)))}" if self.params else ""
        tags: dict[str, str] = {}
        for key, value in self.tags.items():
            if value in ("__kubernetes_mate_instance", "__kubernetes_mate_host"):
                tags[key] = host if value.endswith("instance") else host.rpartition(":")[0]
            elif shown := _found(value, pod):
                if value == f"{_ANNOTATION}param_tags":
                    pairs = (each.split("=") for each in shown.split(","))
                    tags |= {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}
                else:
                    tags[key] = shown
            elif not value.startswith(_KEYWORD):
                tags[key] = value
        measurement = _found(self.measurement, pod) or self.measurement
        if measurement.startswith(_ANNOTATION):
            measurement = ""
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        return Target(f"{parts[0]}://{host}{parts[2]}{query}", name, measurement, tags, self.headers)


@dataclass(frozen=True)
class Target:
    """One address: `pod` is namespace/name."""

    url: str
    pod: str
    measurement: str
    tags: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def up_tags(self) -> dict[str, str]:
        host = urlsplit(self.url).netloc
        return {"job": self.measurement or self.pod, "instance": host, "host": host.rpartition(":")[0]}


@dataclass(frozen=True)
class Given:
    """The input's settings."""

    interval_s: float = _DEFAULT_S
    node_local: bool = True
    keep_names: bool = True
    honor_timestamps: bool = True
    instances: tuple[Instance, ...] = ()
    left_out: tuple[str, ...] = ()  # what is asked for and the lab does not do

    @classmethod
    def read(cls, text: str | None, env: Mapping[str, str]) -> Given:
        """From the text of its conf (None: the default one) and the environment. Raises ValueError."""
        table = {} if text is None else tomllib.loads(text).get("inputs", {}).get(NAME, {})
        table = table[0] if isinstance(table, list) and table else table
        if not isinstance(table, dict):
            raise ValueError(f"inputs.{NAME} is no table")
        interval = durations.parse(str(table["scrape_interval"])) if "scrape_interval" in table else _DEFAULT_S
        common = {str(key): str(value) for key, value in (table.get("global_tags") or {}).items()}
        listed = table.get("instances") or []
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise ValueError(f"inputs.{NAME}.instances are no tables")
        instances = [_instance(each, common) for each in listed if each.get("role") == "pod"]
        switched = [key for key in table if key.startswith(_SWITCH) and table[key] is True]
        if f"{_SWITCH}pod_annotations" in switched or env.get(_DISCOVERY) == "true":
            instances.append(_discovering(common))
        left_out = [f"role {each.get('role')}" for each in listed if each.get("role") != "pod"]
        left_out += [key for key in switched if not key.endswith("_pod_annotations")]
        return cls(
            interval_s=min(max(interval, _LEAST_S), _MOST_S),
            node_local=table.get("node_local", True) is not False,
            keep_names=table.get("keep_exist_metric_name", True) is not False,
            honor_timestamps=table.get("honor_timestamps", True) is not False,
            instances=tuple(instances),
            left_out=tuple(left_out),
        )


def _instance(table: Mapping[str, Any], common: Mapping[str, str]) -> Instance:
    custom = table.get("custom") or {}
    if not isinstance(custom, dict) or not isinstance(table.get("namespaces") or [], list):
        raise ValueError(f"an instance of inputs.{NAME} has values of other types")
    own = {str(key): str(value) for key, value in (custom.get("tags") or {}).items()}
    texts = {name: str(table[name]) for name in ("scrape", "scheme", "port", "path", "params") if table.get(name)}
    return Instance(
        namespaces=tuple(map(str, table.get("namespaces") or ())),
        selector=str(table.get("selector", "")),
        headers={str(key): str(value) for key, value in (table.get("http_headers") or {}).items()},
        measurement=str(custom.get("measurement", "")),
        tags={**common, **own},
        **texts,
    )


def _discovering(common: Mapping[str, str]) -> Instance:
    """The instance behind `enable_discovery_of_prometheus_pod_annotations`."""
    tags = {
        "instance": "__kubernetes_mate_instance",
        "host": "__kubernetes_mate_host",
        "namespace": "__kubernetes_pod_namespace",
        "pod_name": "__kubernetes_pod_name",
        "__void_tag_key": f"{_ANNOTATION}param_tags",
    }
    return Instance(
        scrape=f"{_ANNOTATION}scrape",
        port=f"{_ANNOTATION}port",
        path=f"{_ANNOTATION}path",
        measurement=f"{_ANNOTATION}param_measurement",
        tags={**common, **tags},
    )


def _found(text: str, pod: Object) -> str:
    """What a placeholder stands for in a pod, "" where it stands for nothing or is none."""
    metadata, status = pod["metadata"], pod["status"]
    plain = {
        "__kubernetes_pod_name": metadata["name"],
        "__kubernetes_pod_namespace": metadata["namespace"],
        "__kubernetes_pod_node_name": pod["spec"].get("nodeName", ""),
        "__kubernetes_pod_ip": status.get("podIP", ""),
        "__kubernetes_pod_host_ip": status.get("hostIP", ""),
    }
    if text in plain:
        return str(plain[text])
    if match := re.fullmatch(r"__kubernetes_pod_(label|annotation)_(.+)", text):
        held = (metadata.get(f"{match[1]}s") or {}).get(match[2], "")
        return str(held or ("/metrics" if match[2] == "prometheus.io/path" else ""))
    if match := re.fullmatch(r"__kubernetes_pod_container_(?:(.*?)_)?port_(.*?)_number", text):
        for container in pod["spec"]["containers"]:
            for port in container.get("ports") or () if match[1] in (None, container["name"]) else ():
                if port.get("name") == match[2]:
                    return str(port["containerPort"])
    return ""


_REQUIREMENT = re.compile(r"\s*(!)?\s*([\w./-]+)\s*(?:(==|=|!=)\s*([^,]*)|(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)")


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels fit a selector; DataKit's takes `*` and `?` in values. One that cannot be read fits nothing."""
    at = 0
    while at < len(selector):
        match = _REQUIREMENT.match(selector, at)
        if match is None or match.end() == at:
            return False
        absent, key, operator, value, membership, values = match.groups()
        wanted = [each.strip() for each in (values or value or "").split(",")]
        has = key in labels
        fits = has and any(fnmatch.fnmatchcase(labels[key], each) for each in wanted)
        if operator is None and membership is None:
            good = has is not bool(absent)
        else:
            good = fits is (operator in ("=", "==") or membership == "in")
        if not good:
            return False
        at = match.end()
    return True


def points_of(body: bytes, target: Target, given: Given) -> list[Point]:
    """The points of an exposition: one a sample, its own labels before the target's tags. Raises ValueError."""
    samples = b"".join(line + b"\n" for line in body.split(b"\n") if line and not line.startswith(b"#"))
    read = exposition.parse(samples, 0)  # without their types all samples stand for themselves
    if read.error:
        raise ValueError(read.error)
    points = []
    for batch in read.batches:
        for name, family in batch.items():
            head, _, rest = name.partition("_")
            split = bool(head and rest)
            measurement = (target.measurement or head) if split else "unknown"
            metric = (name if given.keep_names else rest) if split else "unknown"
            for series in family.series:
                if math.isfinite(series.value):
                    tags = {**target.tags, **series.labels}
                    time_ms = series.time_ms if given.honor_timestamps and series.time_ms > 0 else None
                    points.append(Point(measurement, tags, {metric: series.value}, time_ms=time_ms))
    return points


class Scraper:
    """The worker of one agent. `get` asks from the agent's node; `feed` takes (source, points, elected)."""

    def __init__(
        self,
        given: Given,
        get: Get,
        feed: Callable[[str, Sequence[Point], bool], None],
        warn: Callable[[str], None],
    ) -> None:
        self._given = given
        self._get = get
        self._feed = feed
        self._warn = warn
        self._failures: dict[str, int] = {}
        for each in given.left_out:
            warn(f"{each}: the practice lab has pods alone")

    async def scrape(self, pods: Sequence[Object]) -> None:
        """One round over the running pods of which an instance wants something."""
        targets: dict[str, Target] = {}
        for pod in pods:
            if pod.get("status", {}).get("phase") == "Running" and pod["status"].get("podIP"):
                for instance in self._given.instances:
                    if instance.wants(pod):
                        target = instance.target(pod)
                        targets.setdefault(target.url, target)
        self._failures = {url: count for url, count in self._failures.items() if url in targets}
        for url, target in targets.items():
            if self._failures.get(url, 0) < _TRIES:
                await self._one(target)

    async def _one(self, target: Target) -> None:
        up = 1
        try:
            answer = await self._get(target.url, target.headers)
            if answer.status != 200:
                text = f'unexpected status code returned when scraping "{target.url}": {answer.status}'
                raise ValueError(text)
            points = await asyncio.to_thread(points_of, answer.body, target, self._given)
            self._feed(f"{NAME}/pod::{target.pod}", points, False)
            self._failures.pop(target.url, None)
        except (NetworkError, ValueError) as error:
            up = 0
            count = self._failures[target.url] = self._failures.get(target.url, 0) + 1
            self._warn(f"failed to scrape url {target.url}, err {error}, retry count {count} of {_TRIES}")
        self._feed(f"{NAME}-collector", [Point("collector", target.up_tags, {"up": up})], True)


async def run(given: Given, around: Around, get: Get) -> None:
    """The input at work, until cancelled."""

    def feed(source: str, points: Sequence[Point], elected: bool) -> None:
        around.feed(source, points, around.clock(), election=elected)

    def warn(text: str) -> None:
        around.log("WARN", NAME, "kubernetesprometheus/scrape.go:184", text)

    scraper = Scraper(given, get, feed, warn)
    period, tick = given.interval_s / around.scale, time.monotonic()
    while given.instances:
        tick = max(tick + period, time.monotonic())
        await asyncio.sleep(tick - time.monotonic())
        try:
            if given.node_local:
                await scraper.scrape(around.machine.pods())
            elif around.elected():
                await scraper.scrape((await around.machine.api.get("/api/v1/pods"))["items"])
        except (ApiStatusError, aiohttp.ClientError, OSError) as error:
            warn(str(error))
