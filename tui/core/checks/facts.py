"""What the checks look at, read once a round: the survey, the mounted confs, the agents, and the studio's answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from tui.core import query
from tui.core.checks.arrivals import Arrivals, newest_ms
from tui.core.checks.shared import Shared
from tui.core.durations import exact
from tui.core.errors import ForbiddenError, NotFoundError
from tui.core.mounts import MountedConf, mounted_confs
from tui.core.ports import (
    CONFIG_MAP,
    DAEMON_SET,
    POD,
    Agent,
    AgentInputs,
    Backend,
    Dashboard,
    NodeCertificates,
    Reader,
    Series,
    Studio,
    Workspace,
)
from tui.core.prom.collector import Round, Scrape, collect
from tui.core.prom.conf import Loaded, PromInput, load
from tui.core.survey import (
    CLUSTER_TAG,
    AgentPod,
    DataKit,
    Survey,
    agent_pods,
    exec_rights,
    find_datakit,
    host_cluster_name,
    selector,
    survey,
    tag_list,
)
from tui.i18n import assets

T = TypeVar("T")

SAMPLE = 20  # pods asked in a large cluster, unless every node is wanted
ETCD_PORTS = (":2379/", ":2381/", ":9978/", ":9979/")


COLLECTED_S = 60.0  # DataKit's own inputs collect once a minute


@dataclass(frozen=True)
class Probe:
    """What is looked for in the studio as the proof of a route: a field, and the tags that tell its series apart."""

    measurement: str
    field: str
    by: tuple[str, ...]


CONTAINER_CPU = Probe("docker_containers", "cpu_usage", ("host", CLUSTER_TAG))
NODE_CPU = Probe("kube_node", "cpu_capacity", ("node", CLUSTER_TAG))
POD_CPU = Probe("kube_pod", "cpu_usage_millicores", ("node_name", CLUSTER_TAG))
PROBES = (CONTAINER_CPU, NODE_CPU, POD_CPU)


class InStudio:
    """What every route of a run asks the studio, asked once for all: it limits requests."""

    AGE_S = 2.0  # answers about PROBES are as new as that
    MOST = 100  # dashboards in one page

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_s = 0.0
        self._answers: list[list[Series]] = []
        self._workspace: Workspace | None = None
        self._dashboards: list[Dashboard] | None = None

    def workspace(self, studio: Studio) -> Workspace:
        """The workspace of the key. Raises UnreachableError."""
        with self._lock:
            self._workspace = self._workspace or studio.workspace()
            return self._workspace

    def dashboard(self, studio: Studio, uuid: str, names: Collection[str]) -> Dashboard | None:
        """The dashboard with this uuid, else one with one of these names. Raises UnreachableError."""
        with self._lock:
            if self._dashboards is None:
                self._dashboards = studio.dashboards(most=self.MOST)
            listed = self._dashboards
            found = next((one for one in listed if one.uuid == uuid), None)
            if found is None and len(listed) >= self.MOST:
                found = studio.find_dashboard(uuid)
            return found or next((one for one in listed if one.name in names), None)

    def of(self, probe: Probe, studio: Studio, now_s: float, time_scale: float) -> list[Series]:
        """The newest points of one probe's series. Raises UnreachableError."""
        with self._lock:
            if not self._answers or now_s - self._asked_s > self.AGE_S:
                window_s = max(60.0, 10 * COLLECTED_S / time_scale)
                self._answers = studio.query(
                    [query.newest(one.measurement, one.field, by=one.by) for one in PROBES],
                    start_ms=int((now_s - window_s) * 1000),
                    end_ms=int((now_s + 60) * 1000),
                )
                self._asked_s = now_s
            return self._answers[PROBES.index(probe)]


class Facts:
    """The things that checks share. Each is read when first asked for; `forget()` drops what may change meanwhile."""

    def __init__(
        self,
        backend: Backend,
        cluster: Reader,
        *,
        namespace: str = "",
        daemonset: str = "",
        studio: Studio | None = None,
        no_studio: str = "",
        every_node: bool = False,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.backend = backend
        self.cluster = cluster
        self.namespace = namespace
        self.daemonset = daemonset
        self.studio = studio
        self.no_studio = no_studio
        self.every_node = every_node
        self.now = now or time.time
        self._kept: dict[str, object] = {}
        self._first: dict[str, float] = {}
        self.in_studio = InStudio()
        self.shared = Shared()
        self.arrivals = Arrivals()

    def fork(self) -> Facts:
        """Facts of a route that is looked at beside others: what was read stays, what is read anew is its own.

        What the studio is asked about the routes together they share: it limits requests.
        """
        made = Facts(
            self.backend,
            self.cluster,
            namespace=self.namespace,
            daemonset=self.daemonset,
            studio=self.studio,
            no_studio=self.no_studio,
            every_node=self.every_node,
            now=self.now,
        )
        made._kept = dict(self._kept)
        made._first = self._first
        made.in_studio = self.in_studio
        made.shared = self.shared
        made.arrivals = self.arrivals
        return made

    def grew(self, name: str, value: float) -> bool:
        """Whether a counter is higher than when this run first saw it; what is remembered here is never forgotten."""
        return value > self._first.setdefault(name, value)

    def forget(self) -> None:
        """Drop what a later round must read again; the survey's slow-moving parts stay."""
        kept = self._kept.get("survey")
        self._kept = {} if kept is None else {"survey": kept}

    def once(self, name: str, read: Callable[[], T]) -> T:
        if name not in self._kept:
            self._kept[name] = read()
        return self._kept[name]  # type: ignore[return-value]

    # The cluster

    @property
    def survey(self) -> Survey:
        """The survey of the chosen DataKit. Raises NotFoundError where there is none."""

        def read() -> Survey:
            found = find_datakit(self.cluster, self.namespace)
            chosen = next((d for d in found if not self.daemonset or d.name == self.daemonset), found[0])
            return survey(self.cluster, chosen)

        return self.once("survey", read)

    @property
    def datakit(self) -> DataKit:
        """The DaemonSet as it is in this round, with its pods."""

        def read() -> DataKit:
            before = self.survey.datakit
            live = self.cluster.get(DAEMON_SET, before.namespace, before.name)
            return replace(before, object=live, pods=agent_pods(self.cluster, live))

        return self.once("datakit", read)

    @property
    def may_exec(self) -> bool:
        """Whether commands may be run in the DataKit pods."""
        return all(self.survey.may(access) for access in exec_rights(self.datakit))

    # The conf

    @property
    def confs(self) -> list[MountedConf]:
        """Every conf file below conf.d that the DaemonSet mounts from a ConfigMap."""
        return self.once(
            "confs", lambda: mounted_confs(self.datakit.object, self.datakit.container, self.config_map_data)
        )

    def config_map_data(self, name: str) -> dict[str, str]:
        """The data of a ConfigMap in DataKit's namespace, empty where it does not exist."""

        def read() -> dict[str, str]:
            try:
                return dict(self.cluster.get(CONFIG_MAP, self.datakit.namespace, name).get("data") or {})
            except NotFoundError:
                return {}

        return self.once(f"config map {name}", read)

    def load(self, text: str, node: str = "") -> Loaded:
        """A conf as the agent on `node` would read it: its environment is substituted in the text."""
        env = dict(self.datakit.env)
        if node:
            env["ENV_K8S_NODE_NAME"] = node
        return load(text, env)

    @property
    def etcd_conf(self) -> MountedConf | None:
        """The mounted conf that collects etcd; the one called etcd.conf where none loads or several do."""
        loading = [conf for conf in self.confs if conf.text and any(about_etcd(i) for i in self.load(conf.text).inputs)]
        named = [conf for conf in self.confs if conf.key == "etcd.conf" or conf.path.endswith("/etcd.conf")]
        both = [conf for conf in loading if conf in named]
        return next(iter([*both, *loading, *named]), None)

    def etcd_inputs(self, node: str = "") -> list[PromInput]:
        """The inputs of the etcd conf that scrape etcd, as the agent on `node` sees them."""
        conf = self.etcd_conf
        if conf is None or not conf.text:
            return []
        return [i for i in self.load(conf.text, node).inputs if about_etcd(i)]

    @property
    def interval_s(self) -> float:
        """The collection interval of etcd in this cluster's time, in seconds."""
        intervals = [i.interval_s for i in self.etcd_inputs()]
        return max(intervals, default=60.0) / self.cluster.time_scale

    @property
    def electing(self) -> bool:
        """Whether only the elected DataKit collects etcd.

        Any value of ENV_ENABLE_ELECTION, even "false", switches election on (DataKit 1.84.1, internal/config/env.go);
        without it `election = true` in a conf does nothing.
        """
        return bool(self.datakit.env.get("ENV_ENABLE_ELECTION")) and any(i.election for i in self.etcd_inputs())

    @property
    def global_tags(self) -> dict[str, str]:
        """The global tags that etcd's points get: election tags under election, else host tags, by the env."""
        env = self.datakit.env
        if self.electing:
            return tag_list(env.get("ENV_GLOBAL_ELECTION_TAGS") or env.get("ENV_GLOBAL_ENV_TAGS", ""))
        tags = tag_list(env.get("ENV_GLOBAL_HOST_TAGS") or env.get("ENV_GLOBAL_TAGS", ""))
        name = host_cluster_name(env)
        return {**tags, CLUSTER_TAG: name} if name else tags

    @property
    def cluster_name(self) -> str:
        """The cluster's name on etcd's points: the conf's own tag, else the global tag, "" where neither is set."""
        for found in self.etcd_inputs():
            if found.tags.get(CLUSTER_TAG):
                return str(found.tags[CLUSTER_TAG])
        return self.global_tags.get(CLUSTER_TAG, "")

    # The agents

    def agent(self, pod: AgentPod) -> Agent:
        """The DataKit in one pod."""
        datakit = self.datakit
        return self.backend.agent(self.cluster, datakit.namespace, pod.name, pod.node, datakit.container)

    @property
    def ready_pods(self) -> list[AgentPod]:
        """The DataKit pods that are ready."""
        return [pod for pod in self.datakit.pods if pod.ready]

    @property
    def asked_pods(self) -> list[AgentPod]:
        """The ready pods that questions about every node go to: all of a few, else etcd's nodes and a sample.

        The sample is spread evenly and the same in each round, so that a wait ends for the pods that it began with.
        """
        pods = self.ready_pods
        if self.every_node or len(pods) <= SAMPLE:
            return pods
        etcd = [pod for pod in pods if pod.node in self.survey.etcd_nodes]
        others = [pod for pod in pods if pod not in etcd]
        wanted = max(SAMPLE - len(etcd), 5)
        return etcd + others[:: max(1, len(others) // wanted)][:wanted]

    def inputs_of(self, pod: AgentPod) -> AgentInputs:
        """What the agent in one pod says of its inputs and the election."""
        return self.once(f"inputs {pod.name}", lambda: self.agent(pod).inputs())

    @property
    def leader(self) -> str:
        """The node whose DataKit holds the election, "" where no agent knows one."""
        for pod in self.asked_pods:
            leader = self.inputs_of(pod).leader
            if leader:
                return leader
        return ""

    @property
    def collecting_pods(self) -> list[AgentPod]:
        """The pods that should collect etcd: the leader's under election, else those on nodes that run etcd."""
        if self.electing:
            return [pod for pod in self.ready_pods if pod.node == self.leader]
        nodes = self.survey.etcd_nodes
        return [pod for pod in self.ready_pods if pod.node in nodes] if nodes else self.ready_pods

    def started_s(self, pod: AgentPod) -> float | None:
        """When DataKit's container in a pod started, in unix seconds; None where it does not run, or it is gone."""

        def read() -> float | None:
            space = self.datakit.namespace
            try:
                live = self.cluster.get(POD, space, pod.name)
            except NotFoundError:
                return None
            except ForbiddenError:  # the least Role may list
                labels = selector(self.datakit.object)
                found = self.once("whole pods", lambda: self.cluster.list(POD, space, labels=labels))
                live = next((one for one in found if one["metadata"]["name"] == pod.name), {})
            states = live.get("status", {}).get("containerStatuses") or ()
            own = [one.get("state", {}) for one in states if one.get("name") == self.datakit.container]
            stamp = own[0].get("running", {}).get("startedAt", "") if own else ""
            return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() if stamp else None

        return self.once(f"started {pod.name}", read)

    def certificates(self, pod: AgentPod, found: PromInput, url: str) -> NodeCertificates:
        """What the node of `pod` has of the files that this input names, and whether etcd accepts them."""
        tls = found.tls
        return self.once(
            f"certificates {pod.name} {url} {tls}",
            lambda: self.backend.certificates().read(
                self.agent(pod), ca=first(tls.ca), cert=tls.cert, key=tls.key, url=url
            ),
        )

    def scrape(self, pod: AgentPod, found: PromInput, url: str) -> Scrape:
        """One scrape of etcd from inside the pod, with the files that the conf names."""
        tls = found.tls
        return self.once(
            f"scrape {pod.name} {url}",
            lambda: self.agent(pod).scrape(url, ca=first(tls.ca), cert=tls.cert, key=tls.key),
        )

    def collected(self, found: PromInput, scrape: Scrape) -> Round:
        """What the collector makes of one scrape."""
        return collect(
            found,
            lambda _url: scrape,
            host_tags=self.global_tags,
            election_tags=self.global_tags,
            now_ms=int(self.now() * 1000),
        )

    # The studio

    @property
    def sample(self) -> Scrape:
        """The scrape of etcd that comes with the tool."""
        return self.once("sample", lambda: Scrape((assets() / "samples" / "etcd-3.4.txt").read_bytes()))

    @property
    def probes(self) -> list[tuple[str, str]]:
        """(measurement, field) of what this conf sends, the telling ones first: judged on the bundled scrape."""

        def read() -> list[tuple[str, str]]:
            names: dict[tuple[str, str], None] = {}
            for found in self.etcd_inputs():
                for point in self.collected(replace(found, urls=found.urls[:1]), self.sample).points:
                    names |= {(point.measurement, name): None for name in point.fields if "le" not in point.tags}
            order = (
                "server_has_leader",
                "proposals_committed_total",
                "proposals_applied_total",
                "proposals_pending",
            )
            return sorted(
                names,
                key=lambda n: next((i for i, end in enumerate(order) if n[1].endswith(end)), len(order)),
            )

        return self.once("probes", read)

    def newest_points(self, names: list[tuple[str, str]]) -> list[list[Series]]:
        """The newest point of each series of each (measurement, field), in one request."""
        if self.studio is None:
            return []
        now = self.now()
        by = ("host", "instance", CLUSTER_TAG)
        answers = self.studio.query(
            [query.newest(measurement, name, by=by) for measurement, name in names],
            start_ms=int((now - self.window_s) * 1000),
            end_ms=int((now + 60) * 1000),
        )
        for (measurement, _name), answer in zip(names, answers, strict=True):
            self.arrivals.look(measurement, answer, self.now())
        return answers

    def arrived(self, probe: Probe) -> list[Series]:
        """The newest point of each series of one of PROBES; the studio is asked for all of them in one request.

        Series whose newest point is older than three collections are of an earlier setup, and left out.
        """
        if self.studio is None:
            return []
        limit = (self.now() - self.arrival_s) * 1000
        answer = self.in_studio.of(probe, self.studio, self.now(), self.cluster.time_scale)
        self.arrivals.look(probe.measurement, answer, self.now())
        return [series for series in answer if newest_ms(series) >= limit]

    @property
    def arrival_s(self) -> float:
        """How old the newest point of what DataKit's own inputs collect may be: three collections and an upload."""
        return (3 * COLLECTED_S + 30) / self.cluster.time_scale + 1

    @property
    def window_s(self) -> float:
        """How far the studio is asked to look back, in seconds."""
        return max(60.0, 10 * self.interval_s)

    @property
    def fresh_s(self) -> float:
        """The age up to which a point counts as fresh: two intervals and the time of an upload."""
        return 2 * self.interval_s + 30 / self.cluster.time_scale + 1

    @property
    def fresh_series(self) -> list[Series]:
        """The series of the first probe whose newest point is fresh; older ones are of an earlier setup."""

        limit = (self.now() - self.fresh_s) * 1000
        return [series for series in self.all_series if newest_ms(series) >= limit]

    @property
    def all_series(self) -> list[Series]:
        """Every series of the first probe in the window, however old its newest point."""

        def read() -> list[Series]:
            answers = self.newest_points(self.probes[:1])
            return answers[0] if answers else []

        return self.once("all series", read)

    def describe_interval(self) -> str:
        """The interval as Go writes it."""
        return exact(self.interval_s)


def first(paths: tuple[str, ...]) -> str:
    """The first of the CA files, "" where none is named; curl takes one, and etcd's CA is one file."""
    return paths[0] if paths else ""


def about_etcd(found: PromInput) -> bool:
    """Whether an input scrapes etcd, by its source or the ports of its URLs."""
    return "etcd" in found.source.lower() or any(port in f"{url}/" for url in found.urls for port in ETCD_PORTS)
