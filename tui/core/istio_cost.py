"""What a preset costs in series, and which panels of the four views it fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

from tui.core import istio_conf, views
from tui.core.answers import Answers
from tui.core.errors import WizardError
from tui.core.istio_presets import ISTIOD, PRESETS, PROXY
from tui.core.istio_targets import BY_DISCOVERY
from tui.core.mesh import ISTIOD as ISTIOD_ROLE
from tui.core.mesh import ISTIOD_PORT, PROXY_PORT, WORKLOAD, Mesh, Proxy, Target
from tui.core.ports import Agent
from tui.core.prom.collector import Scrape
from tui.core.prom.live import Picture
from tui.core.prom.preview import preview
from tui.core.prom.settings import Pod
from tui.core.survey import AgentPod, Survey
from tui.core.view_schema import Panel
from tui.i18n import assets

VIEWS = ("istio-mesh", "istio-control-plane", "istio-service", "istio-workload")
SAMPLES = {PROXY: "istio-proxy.txt", ISTIOD: "istiod.txt"}


@dataclass(frozen=True)
class Scrapes:
    """One scrape each of a sidecar and of istiod in this cluster, with the pod's name; None where none could be had."""

    bodies: Mapping[str, bytes] = field(default_factory=dict)
    pods: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Cost:
    """Series of one sidecar and of one istiod, and of all that would be collected. `measured`: on this cluster."""

    proxy: int
    istiod: int
    proxies: int
    istiods: int
    measured: bool

    @property
    def whole(self) -> int:
        """Series of the whole mesh."""
        return self.proxy * self.proxies + self.istiod * self.istiods


def scrapes(survey: Survey, agent: Callable[[AgentPod], Agent]) -> Scrapes:
    """Scrape one sidecar and one istiod, each by the DataKit on its own node. Takes seconds; never raises."""
    bodies, pods, problem = {}, {}, ""
    mesh = survey.mesh
    wanted = {
        PROXY: (_first(mesh.workloads), PROXY_PORT, "/stats/prometheus"),
        ISTIOD: (_first(mesh.control), ISTIOD_PORT, "/metrics"),
    }
    for role, (proxy, port, path) in wanted.items():
        near = [pod for pod in survey.datakit.pods if pod.ready and proxy and pod.node == proxy.node]
        if proxy is None or not near:
            continue
        try:
            found = agent(near[0]).scrape(f"http://{proxy.ip}:{port}{path}")
        except WizardError as error:
            problem = problem or error.what
            continue
        if found.body and found.status == 200:
            bodies[role], pods[role] = found.body, proxy.name
        else:
            problem = problem or found.error
    return Scrapes(bodies, pods, problem)


def _first(targets: tuple[Target, ...]) -> Proxy | None:
    return next((proxy for one in targets for proxy in one.proxies if proxy.ready and proxy.ip), None)


def cost(preset: str, mesh: Mesh, picked: tuple[str, ...], seen: Scrapes, *, discovery: bool = False) -> Cost:
    """What a preset costs for the picked workloads, the gateways and istiod; from the scrapes, else by known figures.

    `discovery` is the input kubernetesprometheus, which filters nothing and takes whole namespaces.
    """
    series = {}
    for role, known in PRESETS[preset].items():
        body = seen.bodies.get(role)
        series[role] = known.series if body is None else judged(preset, role, body).kept
    if discovery:
        full = seen.bodies.get(PROXY)
        series[PROXY] = PRESETS["full"][PROXY].series if full is None else judged("full", PROXY, full).kept
    spaces = {one.namespace for one in mesh.workloads if one.key in picked}
    taken = [one for one in mesh.workloads if one.key in picked or (discovery and one.namespace in spaces)]
    proxies = sum(max(one.ready, 1) for one in taken) + sum(max(one.ready, 1) for one in mesh.gateways)
    return Cost(
        series[PROXY], series[ISTIOD], proxies, sum(max(o.replicas, 1) for o in mesh.control), bool(seen.bodies)
    )


@lru_cache(maxsize=16)  # the step Istio asks again at every key
def judged(preset: str, role: str, body: bytes) -> Picture:
    """What the collector makes of a scrape of a sidecar (`proxy`) or of istiod under a preset."""
    target = Target(ISTIOD_ROLE if role == ISTIOD else WORKLOAD, "Deployment", "ns", "name")
    text = istio_conf.annotation(target, preset, "x")
    read = preview(
        text,
        lambda _url: Scrape(body),
        host_tags={},
        election_tags={},
        env={},
        now_ms=0,
        pod=Pod("10.0.0.1", "ns", "p"),
    )
    return read.picture


@dataclass(frozen=True)
class Filled:
    """Of one view: the panels that a preset fills, and those that it leaves empty."""

    key: str
    filled: tuple[Panel, ...]
    empty: tuple[Panel, ...]


@cache
def fills(preset: str) -> tuple[Filled, ...]:
    """Which panels of each of the four views a preset fills, judged on the samples that come with the tool."""
    fields: dict[str, set[str]] = {}
    dropped: dict[str, frozenset[str]] = {}
    for role, name in SAMPLES.items():
        body = (assets() / "samples" / name).read_bytes()
        for measurement, found in judged(preset, role, body).fields.items():
            fields.setdefault(measurement, set()).update(found)
        dropped[role] = frozenset(PRESETS[preset][role].tags_ignore)
    made = []
    for key in VIEWS:
        whole = views.fillable(views.view(key), fields)
        good = [one.panel for one in whole if one.ok and not lacks_tags(one.panel, dropped)]
        made.append(Filled(key, tuple(good), tuple(one.panel for one in whole if one.panel not in good)))
    return tuple(made)


def lacks_tags(panel: Panel, dropped: Mapping[str, frozenset[str]]) -> bool:
    """Whether a preset drops a tag that the panel's queries group or filter by."""
    role = ISTIOD if "istiod" in panel.settings else PROXY
    return any(tag in dropped[role] for tags in panel.tags.values() for tag in tags)


def promised(answers: Answers) -> tuple[Filled, ...]:
    """The panels that the answers' preset promises; nothing with preset none. Discovery drops nothing of a sidecar."""
    if answers.istio.preset == "none":
        return ()
    return fills("full" if answers.istio.sidecars == BY_DISCOVERY else answers.istio.preset)
