"""What the checks of the mesh look at: its targets as they are now, what collects them, and what arrived of them.

The mesh has three parts (istiod, gateways, sidecars), each with a route of its own. What they have in common is read
once for all three: the mesh, what DataKit's agents have fed, and one question to the studio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from tui.core import mesh as istio
from tui.core import query, views
from tui.core.checks.arrivals import newest_ms
from tui.core.checks.facts import Facts
from tui.core.checks.shared import Shared
from tui.core.errors import NotFoundError, WizardError
from tui.core.istio_conf import APP_ID, MEASUREMENT
from tui.core.istio_cost import SAMPLES, VIEWS, lacks_tags
from tui.core.istio_presets import ISTIOD, PROXY
from tui.core.mesh import ISTIOD_PORT, PROXY_PORT, Mesh, Proxy, Target
from tui.core.mesh_collection import CONF, DISCOVERY, confs_of, kubernetes_prometheus
from tui.core.mounts import MountedConf
from tui.core.parallel import each
from tui.core.ports import CONFIG_MAP, Feed, Object, Series
from tui.core.prom.collector import Scrape, collect, url_tags
from tui.core.prom.conf import load, load_annotation
from tui.core.prom.settings import Pod, PromInput
from tui.core.survey import CLUSTER_TAG, CONFIG_MAP_NAME, AgentPod, host_cluster_name
from tui.core.view_schema import Panel
from tui.i18n import _, assets

# DataKit takes an annotation up when it collects objects, and drops it once if it is busy (facts of 1.84.1:
# internal/plugins/inputs/container/kubernetes/k8s_pod_prom.go).
OBJECT_CYCLE_S = 300.0
INTERVAL_S = 60.0
UPLOAD_S = 60.0
AGE_S = 2.0  # what the three routes share is as new as that
MOST_SAMPLED = 12  # pods of one part that are asked, unless every node is wanted
ANY = "http://x:1/"
_MOST_NAMED = 20  # instances in one condition of a query
Need = tuple[str, str, bool]  # measurement, field, and whether its points must be istiod's
Fields = dict[str, set[str]]
# Of a part's fields the ones that are there from the start: they tell whether a target arrives at all.
_EARLY = ("istio_build", "process_virtual_memory_bytes", "envoy_cluster_upstream_cx_total")


@dataclass(frozen=True)
class Part:
    """One part of the mesh: its route, the role of its targets, what they expose and where."""

    key: str
    role: str
    exposes: str  # PROXY or ISTIOD

    def url(self, ip: str) -> str:
        """Where a pod of this part is scraped."""
        return f"http://{ip}:{ISTIOD_PORT}/metrics" if self.exposes == ISTIOD else f"http://{ip}{_STATS}"


_STATS = f":{PROXY_PORT}/stats/prometheus"
PARTS = (
    Part("istiod", istio.ISTIOD, ISTIOD),
    Part("gateways", istio.GATEWAY, PROXY),
    Part("sidecars", istio.WORKLOAD, PROXY),
)


@dataclass(frozen=True)
class Source:
    """One text that collects a target: its annotation, or a conf (mounted at `path`), with the pods that it scrapes."""

    target: Target
    text: str
    by: str  # "annotation", "conf" or "kubernetesprometheus"
    ours: bool
    path: str = ""

    def inputs(self, pod: Pod | None = None) -> tuple[PromInput, ...]:
        """Its inputs, as the agent has them for this pod."""
        return (
            load_annotation(self.text, pod or Pod()).inputs if self.by == "annotation" else load(self.text, {}).inputs
        )

    @property
    def settings(self) -> list[PromInput]:
        """What decides which fields it makes of a scrape, whatever its target; discovery keeps everything."""
        found: tuple[PromInput, ...] = self.inputs(Pod("10.0.0.1", "ns", "pod", "node"))
        if self.by == DISCOVERY:
            table = kubernetes_prometheus(self.text) or {}
            instances = table.get("instances")
            named = [one.get("custom", {}).get("measurement") for one in instances or () if isinstance(one, dict)]
            found = (PromInput(measurement_name=MEASUREMENT),) if MEASUREMENT in named else ()
        return [replace(one, source="", tags={}, urls=(ANY,)) for one in found if not one.problem]

    def instances(self) -> Iterator[str]:
        """The values of `instance` that tell its series apart."""
        if self.by == "conf":
            yield from (tag for one in self.inputs() for url in one.urls if (tag := url_tags(one, url).get("instance")))
            return
        for proxy in (one for one in self.target.proxies if one.ready and one.ip):
            if self.by == DISCOVERY:
                yield f"{proxy.ip}:{PROXY_PORT}"
                continue
            for found in self.inputs(Pod(proxy.ip, self.target.namespace, proxy.name, proxy.node)):
                yield from (
                    found.tags.get("instance") or url_tags(found, url).get("instance", "") for url in found.urls
                )


class MeshFacts:
    """The mesh in one round of the checks. Everything is read when first asked for, by whichever thread that is."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts.fork()
        self.facts.forget()
        self.datakit = self.facts.datakit
        self._shared = Shared()
        self._parts = {part.key: PartFacts(self, part) for part in PARTS}

    @classmethod
    def of(cls, facts: Facts) -> MeshFacts:
        """What the routes of one run share. Raises UnreachableError."""
        return facts.shared.once("mesh", lambda: cls(facts), now_s=facts.now(), age_s=AGE_S)

    def part(self, part: Part) -> PartFacts:
        """One part of it."""
        return self._parts[part.key]

    @property
    def mesh(self) -> Mesh:
        """The mesh as it is now; that of the survey where there is none."""
        survey = self.facts.survey
        if not survey.mesh:
            return survey.mesh
        return self._shared.once("mesh", lambda: istio.look(self.facts.cluster, self.datakit, self.config))

    @property
    def config(self) -> Object | None:
        """The ConfigMap datakit-conf as it is now."""

        def read() -> Object | None:
            try:
                return self.facts.cluster.get(CONFIG_MAP, self.datakit.namespace, CONFIG_MAP_NAME)
            except NotFoundError:
                return None

        return self._shared.once("config", read)

    @property
    def confs(self) -> list[MountedConf]:
        """The mounted confs of that ConfigMap."""
        return confs_of(self.datakit, self.config)

    @property
    def sources(self) -> list[Source]:
        """Everything that DataKit reads and that collects the mesh, annotations that it ignores left out."""
        return self._shared.once("sources", lambda: list(self._sources()))

    def _sources(self) -> Iterable[Source]:
        texts = {f"{c.config_map}, {c.key}": c for c in self.confs}
        for target in self.mesh.targets:
            annotation = target.annotation
            if annotation is not None and annotation.of_mesh and not annotation.problem:
                yield Source(target, annotation.text, "annotation", annotation.ours)
            for one in target.collected:
                if one.how in (CONF, DISCOVERY):
                    conf = next((conf for name, conf in texts.items() if one.where.endswith(f"/{name}")), None)
                    text, path = (conf.text or "", conf.path) if conf else ("", "")
                    yield Source(target, text, one.how, one.ours, path)

    # DataKit's agents

    @property
    def may_exec(self) -> bool:
        """Whether anything may be looked at from inside DataKit's pods."""
        return self.facts.may_exec

    def agents_of(self, target: Target, sampled: Iterable[tuple[Target, Proxy]]) -> list[AgentPod]:
        """The agents on the nodes of a target's pods, of those that are sampled."""
        nodes = {proxy.node for one, proxy in sampled if one.title == target.title}
        return [pod for pod in self.facts.ready_pods if pod.node in nodes]

    @property
    def elected(self) -> list[AgentPod]:
        """The agents that may collect a conf: the one that holds the election, else those that questions go to."""
        leader = self.facts.leader
        return [pod for pod in self.facts.ready_pods if pod.node == leader] or self.facts.asked_pods

    def feeds(self, pod: AgentPod) -> dict[str, Feed]:
        """What the agent in a pod has fed. Raises WizardError."""
        return self._shared.once(f"feeds {pod.name}", lambda: self.facts.agent(pod).feeds())

    # What arrived

    @property
    def cluster_name(self) -> str:
        """The name that the mesh's points carry: what the sources write in, else that of the host tags."""
        for one in self.sources:
            name = next((i.tags[CLUSTER_TAG] for i in one.inputs() if i.tags.get(CLUSTER_TAG)), "")
            if name:
                return str(name)
        return host_cluster_name(self.datakit.env) or self.facts.survey.cluster_name

    @property
    def fresh_s(self) -> float:
        """The age up to which a point counts as fresh: three intervals and an upload."""
        return (3 * INTERVAL_S + UPLOAD_S) / self.facts.cluster.time_scale + 1

    def in_studio(self, key: str) -> tuple[list[Series], frozenset[Need]]:
        """Of one part: the newest point of each of its targets' series, and which needs of its panels are fresh.

        All parts are asked for in one request. Raises UnreachableError.
        """
        return self._shared.once("in studio", self._ask)[key]

    def _ask(self) -> dict[str, tuple[list[Series], frozenset[Need]]]:
        facts, name = self.facts, self.cluster_name
        found: dict[str, tuple[list[Series], frozenset[Need]]] = {key: ([], frozenset()) for key in self._parts}
        asked = {}  # part -> the text that asks for its series, and that of each need
        for part in self._parts.values():
            if part.probe is not None:
                needed = {need: _newest(need, name, part.condition) for need in part.needs}
                asked[part] = query.newest(*part.probe, by=("instance", CLUSTER_TAG)), needed
        texts = list(dict.fromkeys(text for probe, needed in asked.values() for text in (probe, *needed.values())))
        if facts.studio is None or not texts:
            return found
        now = facts.now()
        start_ms, end_ms = int((now - 5 * self.fresh_s) * 1000), int((now + 60) * 1000)
        answers = dict(zip(texts, facts.studio.query(texts, start_ms=start_ms, end_ms=end_ms), strict=True))
        limit = (now - self.fresh_s) * 1000
        for part, (probe, needed) in asked.items():
            facts.arrivals.look(part.probe[0] if part.probe else "", answers[probe], facts.now())
            series = [one for one in answers[probe] if one.tags.get("instance", "") in part.instances]
            fresh = {need for need, text in needed.items() if any(newest_ms(one) >= limit for one in answers[text])}
            found[part.part.key] = series, frozenset(fresh)
        return found


class PartFacts:
    """One part of the mesh in one round of the checks."""

    def __init__(self, whole: MeshFacts, part: Part) -> None:
        self.whole = whole
        self.part = part
        self._shared = Shared()

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is to be collected of it: of workloads those that have a sidecar, or an annotation about one."""
        mesh = self.whole.mesh
        if self.part.role == istio.ISTIOD:
            return mesh.control
        if self.part.role == istio.GATEWAY:
            return mesh.gateways
        return tuple(one for one in mesh.workloads if one.proxies or (one.annotation and one.annotation.of_mesh))

    @property
    def sources(self) -> list[Source]:
        """What collects it, as far as its text is known."""
        return [one for one in self.whole.sources if one.target.role == self.part.role]

    @property
    def ours(self) -> bool:
        """Whether this tool set its collection up: then what that promised is required."""
        return any(one.ours for one in self.sources)

    @property
    def instances(self) -> dict[str, str]:
        """The values of `instance` of all that should arrive, each with its target's title."""
        return self._shared.once(
            "instances", lambda: {name: one.target.title for one in self.sources for name in one.instances()}
        )

    @property
    def condition(self) -> tuple[query.Condition, ...]:
        """What tells gateways' points from those of sidecars; istiod's carry other fields."""
        if self.part.role != istio.GATEWAY or not 0 < len(self.instances) <= _MOST_NAMED:
            return ()
        return (query.Condition("instance", f"^({'|'.join(sorted(self.instances))})$", "=~"),)

    # What should arrive

    def of_sample(self, settings: PromInput) -> Fields:
        """The fields by measurement that settings make of the bundled sample; alike ones are judged once a run."""
        shared = self.whole.facts.shared
        return shared.once(f"fields {self.part.exposes} {settings}", lambda: fields_of(settings, self.sample))

    @property
    def sample(self) -> bytes:
        """A scrape of such a target that comes with the tool: all that a mesh in use reports."""
        return (assets() / "samples" / SAMPLES[self.part.exposes]).read_bytes()

    @property
    def promised(self) -> Fields:
        """The fields that should arrive once everything has happened that a mesh reports, by the bundled sample."""

        def read() -> Fields:
            return joined(self.of_sample(settings) for one in self.sources for settings in one.settings)

        return self._shared.once("promised", read)

    @property
    def probe(self) -> tuple[str, str] | None:
        """Measurement and field by which a target's series are looked for; None where nothing is to come."""
        for name in _EARLY:
            for measurement, found in self.promised.items():
                if name in found:
                    return measurement, name
        return next(((m, name) for m, found in sorted(self.promised.items()) for name in sorted(found)), None)

    def panels(self, key: str) -> list[Panel]:
        """The panels of a view that the sources promise to fill, of those that this part feeds."""
        mine = [one.panel for one in views.fillable(views.view(key), self.promised) if one.ok]
        return [panel for panel in mine if feeds(self.part, panel) and not lacks_tags(panel, self._dropped)]

    @property
    def all_panels(self) -> list[Panel]:
        """Those of all views."""
        return [panel for key in VIEWS for panel in self.panels(key)]

    @property
    def needs(self) -> set[Need]:
        """What these panels ask for."""
        return {need for panel in self.all_panels for need in needs(panel)}

    @property
    def _dropped(self) -> dict[str, frozenset[str]]:
        """The tags that every source drops."""

        def read() -> frozenset[str]:
            dropped = [frozenset(found.tags_ignore) for one in self.sources for found in one.inputs()]
            return frozenset.intersection(*dropped) if dropped else frozenset()

        tags = self._shared.once("dropped tags", read)
        return {PROXY: tags, ISTIOD: tags}

    # What is there now

    @property
    def sampled(self) -> list[tuple[Target, Proxy]]:
        """One ready pod of every target that is collected, then others: all where every node is wanted, else a few.

        Those of nodes without a ready DataKit are left out: nobody there could look.
        """
        agents = {pod.node for pod in self.whole.facts.ready_pods}
        titles = {one.target.title: one.target for one in self.sources}
        near = [
            [(one, proxy) for proxy in one.proxies if proxy.ready and proxy.ip and proxy.node in agents]
            for one in titles.values()
        ]
        wanted = [found[0] for found in near if found] + [other for found in near for other in found[1:]]
        return wanted if self.whole.facts.every_node else wanted[:MOST_SAMPLED]

    @property
    def in_words(self) -> str:
        """What to add to a count where only some of the pods were asked."""
        ready = sum(one.ready for one in {one.target.title: one.target for one in self.sources}.values())
        if len(self.sampled) >= min(ready, MOST_SAMPLED + 1):
            return ""
        return " " + _("(a sample of {ready}; --every-node asks all)").format(ready=ready)

    @property
    def scrapes(self) -> list[tuple[Target, Proxy, Scrape]] | None:
        """Scrapes of these pods from the DataKit of their nodes; None where no command may be run there.

        One that cannot be made has an error in place of a body.
        """
        return self._shared.once("scrapes", self._scrape)

    def _scrape(self) -> list[tuple[Target, Proxy, Scrape]] | None:
        whole = self.whole
        if not whole.may_exec:
            return None
        agents = {pod.node: pod for pod in whole.facts.ready_pods}

        def ask(one: tuple[Target, Proxy]) -> Scrape:
            return whole.facts.agent(agents[one[1].node]).scrape(self.part.url(one[1].ip))

        answers = each(self.sampled, ask)
        return [
            (target, proxy, Scrape(None, error=a.what) if isinstance(a, WizardError) else a)
            for (target, proxy), a in zip(self.sampled, answers, strict=True)
        ]

    @property
    def at_hand(self) -> Fields | None:
        """The fields that the targets have now; None where no scrape could be made."""

        def read() -> Fields | None:
            found = [one for one in self.scrapes or () if one[2].body is not None and one[2].status == 200]
            texts = {one.target.title: one.settings for one in self.sources}
            made = [fields_of(s, a.body) for target, _proxy, a in found if a.body for s in texts[target.title]]
            return joined(made) if found else None

        return self._shared.once("at hand", read)

    def due_s(self) -> float:
        """Seconds until every annotation must have been taken up and its first points have arrived; 0 when they must.

        A pod's annotation is read at the object cycle after it runs; where that is missed once, at the next.
        """
        scale = self.whole.facts.cluster.time_scale
        whole = (2 * OBJECT_CYCLE_S + INTERVAL_S + 2 * UPLOAD_S) / scale
        started = [
            seconds
            for one in self.sources
            if one.by == "annotation"
            for proxy in one.target.proxies
            if (seconds := _unix(proxy.started)) is not None
        ]
        newest = max(started, default=0.0)
        return max(0.0, newest + whole - self.whole.facts.now())

    @property
    def series(self) -> list[Series]:
        """The newest point of each of its targets' series in the studio, of the probe's field."""
        return self.whole.in_studio(self.part.key)[0]

    @property
    def arrived(self) -> frozenset[Need]:
        """What the studio has a fresh point of, with the cluster's name: of the promised panels' needs."""
        return self.whole.in_studio(self.part.key)[1]


def fields_of(settings: PromInput, body: bytes) -> Fields:
    """The fields by measurement that settings make of one scrape."""
    made: Fields = {}
    for point in collect(settings, lambda _url: Scrape(body), host_tags={}, election_tags={}, now_ms=0).points:
        if point.measurement != "collector":
            made.setdefault(point.measurement, set()).update(point.fields)
    return made


def joined(found: Iterable[Fields]) -> Fields:
    """All of these together."""
    made: Fields = {}
    for one in found:
        for measurement, names in one.items():
            made.setdefault(measurement, set()).update(names)
    return made


def feeds(part: Part, panel: Panel) -> bool:
    """Whether a panel shows what this part exposes: istiod's say so in their settings, the others are of proxies."""
    return (part.exposes == ISTIOD) == (ISTIOD in panel.settings)


def _unix(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def needs(panel: Panel) -> list[Need]:
    """What a panel asks for: each field, and whether its points must be istiod's."""
    return [(source, name, "app_id" in panel.tags.get(source, ())) for source, name in panel.needs]


def _newest(need: Need, cluster_name: str, more: tuple[query.Condition, ...]) -> str:
    source, name, of_istiod = need
    where = [query.Condition(CLUSTER_TAG, cluster_name)]
    where += [query.Condition("app_id", APP_ID)] if of_istiod else []
    return query.newest(source, name, (*where, *more), by=(CLUSTER_TAG,))
