"""What the checks of the mesh look at: its targets as they are now, what collects them, and what arrived of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tui.core import mesh as istio
from tui.core import query, views
from tui.core.checks.facts import Facts, newest_ms
from tui.core.errors import NotFoundError, WizardError
from tui.core.istio_conf import APP_ID, MEASUREMENT, is_conf_key
from tui.core.istio_cost import SAMPLES, VIEWS, lacks_tags
from tui.core.istio_presets import ISTIOD, PROXY
from tui.core.mesh import ISTIOD_PORT, PROXY_PORT, Mesh, Proxy, Target
from tui.core.mesh_collection import CONF, DISCOVERY, confs_of, kubernetes_prometheus
from tui.core.ownership import owned
from tui.core.parallel import each
from tui.core.ports import CONFIG_MAP, Object
from tui.core.prom.collector import Scrape
from tui.core.prom.conf import load, load_annotation
from tui.core.prom.preview import preview
from tui.core.prom.settings import Pod, PromInput
from tui.core.survey import CLUSTER_TAG, CONFIG_MAP_NAME, exec_rights, host_cluster_name
from tui.core.view_schema import Panel
from tui.i18n import assets

# DataKit takes an annotation up when it collects objects, and drops it once if it is busy (facts of 1.84.1:
# internal/plugins/inputs/container/kubernetes/k8s_pod_prom.go).
OBJECT_CYCLE_S = 300.0
INTERVAL_S = 60.0
UPLOAD_S = 60.0
Need = tuple[str, str, bool]  # measurement, field, and whether its points must be istiod's
MOST_SCRAPES = 12  # of one kind of target, when it is to be told whether anything is to be had


@dataclass(frozen=True)
class Source:
    """One text that collects targets: an annotation, or a conf, with the pods that it scrapes."""

    role: str  # PROXY or ISTIOD
    target: Target
    text: str
    by: str  # "annotation", "conf" or "kubernetesprometheus"
    ours: bool


class MeshFacts:
    """The mesh in one round of the checks. Everything is read when first asked for."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    @property
    def mesh(self) -> Mesh:
        """The mesh as it is now; that of the survey where there is none."""
        survey = self.facts.survey
        if not survey.mesh:
            return survey.mesh
        return self.facts.once("mesh", lambda: istio.look(self.facts.cluster, self.facts.datakit, self.config))

    @property
    def config(self) -> Object | None:
        """The ConfigMap datakit-conf as it is now."""

        def read() -> Object | None:
            try:
                return self.facts.cluster.get(CONFIG_MAP, self.facts.datakit.namespace, CONFIG_MAP_NAME)
            except NotFoundError:
                return None

        return self.facts.once("config", read)

    @property
    def sources(self) -> list[Source]:
        """Everything that DataKit reads and that collects the mesh, annotations that it ignores left out."""
        return self.facts.once("sources", lambda: list(self._sources()))

    def _sources(self) -> Iterable[Source]:
        texts = {f"{c.config_map}, {c.key}": c.text or "" for c in confs_of(self.facts.datakit, self.config)}
        for target in self.mesh.targets:
            role = ISTIOD if target.role == istio.ISTIOD else PROXY
            annotation = target.annotation
            if annotation is not None and annotation.of_mesh and not annotation.problem:
                yield Source(role, target, annotation.text, "annotation", annotation.ours)
            for one in target.collected:
                if one.how in (CONF, DISCOVERY):
                    text = next((text for name, text in texts.items() if one.where.endswith(f"/{name}")), "")
                    yield Source(role, target, text, one.how, one.ours)

    @property
    def ours(self) -> bool:
        """Whether this tool set the collection up: then what it promised is required."""
        keys = ((owned(self.config) or {}).get("data") or {}) if self.config else {}
        annotated = any(one.annotation and one.annotation.ours for one in self.mesh.targets)
        return annotated or any(is_conf_key(key) for key in keys)

    # What should arrive

    def fields(self, bodies: Mapping[str, Iterable[bytes]]) -> dict[str, set[str]]:
        """The fields by measurement that the sources make of these scrapes, by the role of their target."""
        made: dict[str, set[str]] = {}
        for role, text, by in dict.fromkeys((one.role, one.text, one.by) for one in self.sources):
            for body in bodies.get(role, ()):
                for measurement, found in fields_of(text, by, body).items():
                    made.setdefault(measurement, set()).update(found)
        return made

    @property
    def promised(self) -> dict[str, set[str]]:
        """The fields that should arrive once everything has happened that a mesh reports, by the bundled samples."""
        samples = {role: [(assets() / "samples" / name).read_bytes()] for role, name in SAMPLES.items()}
        return self.facts.once("promised", lambda: self.fields(samples))

    def panels(self, key: str) -> list[Panel]:
        """The panels of a view that the sources promise to fill."""
        filled = [one.panel for one in views.fillable(views.view(key), self.promised) if one.ok]
        return [panel for panel in filled if not lacks_tags(panel, self._dropped)]

    @property
    def _dropped(self) -> dict[str, frozenset[str]]:
        """The tags that every source of a role drops."""

        def read() -> dict[str, frozenset[str]]:
            dropped: dict[str, frozenset[str]] = {}
            for one in self.sources:
                for found in _load(one.text, one.by):
                    tags = frozenset(found.tags_ignore)
                    dropped[one.role] = dropped.get(one.role, tags) & tags
            return {PROXY: frozenset(), ISTIOD: frozenset(), **dropped}

        return self.facts.once("dropped tags", read)

    @property
    def at_hand(self) -> dict[str, set[str]] | None:
        """The fields that the targets have now, by scrapes from DataKit's pods; None where none could be made."""

        def read() -> dict[str, set[str]] | None:
            facts = self.facts
            if not all(facts.survey.may(access) for access in exec_rights(facts.datakit)):
                return None
            pods = {pod.node: pod for pod in facts.ready_pods}
            bodies: dict[str, list[bytes]] = {}
            for role in (PROXY, ISTIOD):
                proxies = [p for p in self._scraped(role) if p.node in pods][:MOST_SCRAPES]

                def ask(proxy: Proxy, role: str = role) -> Scrape:
                    path = f":{ISTIOD_PORT}/metrics" if role == ISTIOD else f":{PROXY_PORT}/stats/prometheus"
                    return facts.agent(pods[proxy.node]).scrape(f"http://{proxy.ip}{path}")

                answers = [a for a in each(proxies, ask) if not isinstance(a, WizardError)]
                bodies[role] = [a.body for a in answers if a.body is not None and a.status == 200]
            return self.fields(bodies) if any(bodies.values()) else None

        return self.facts.once("at hand", read)

    def _scraped(self, role: str) -> list[Proxy]:
        """One ready pod of every target of this role that has a source, then the other pods."""
        targets = list(dict.fromkeys(one.target.title for one in self.sources if one.role == role))
        found = {one.target.title: [p for p in one.target.proxies if p.ready and p.ip] for one in self.sources}
        whole = [found[title] for title in targets if found[title]]
        return [proxies[0] for proxies in whole] + [p for proxies in whole for p in proxies[1:]]

    # What arrived

    @property
    def cluster_name(self) -> str:
        """The name that the mesh's points carry: what the sources write in, else that of the host tags."""
        for one in self.sources:
            loaded = _load(one.text, one.by)
            name = next((i.tags[CLUSTER_TAG] for i in loaded if i.tags.get(CLUSTER_TAG)), "")
            if name:
                return str(name)
        return host_cluster_name(self.facts.datakit.env) or self.facts.survey.cluster_name

    @property
    def arrived(self) -> frozenset[Need]:
        """What the studio has a fresh point of, with the cluster's name: of the promised panels' needs."""

        def read() -> frozenset[Need]:
            facts, name = self.facts, self.cluster_name
            if facts.studio is None:
                return frozenset()
            wanted = sorted({need for key in VIEWS for panel in self.panels(key) for need in needs(panel)})
            now = facts.now()
            answers = facts.studio.query(
                [_newest(need, name) for need in wanted],
                start_ms=int((now - 2 * self.fresh_s) * 1000),
                end_ms=int((now + 60) * 1000),
            )
            limit = (now - self.fresh_s) * 1000
            fresh = [any(newest_ms(one) >= limit for one in series) for series in answers]
            return frozenset(need for need, good in zip(wanted, fresh, strict=True) if good)

        return self.facts.once("arrived", read)

    @property
    def fresh_s(self) -> float:
        """The age up to which a point counts as fresh: three intervals and an upload."""
        return (3 * INTERVAL_S + UPLOAD_S) / self.facts.cluster.time_scale + 1

    def due_s(self) -> float:
        """Seconds until every annotation must have been taken up and its first points have arrived; 0 when they must.

        A pod's annotation is read at the object cycle after it runs; where that is missed once, at the next.
        """
        scale = self.facts.cluster.time_scale
        whole = (2 * OBJECT_CYCLE_S + INTERVAL_S + 2 * UPLOAD_S) / scale
        started = [
            seconds
            for one in self.sources
            if one.by == "annotation"
            for proxy in one.target.proxies
            if (seconds := _unix(proxy.started)) is not None
        ]
        newest = max(started, default=0.0)
        return max(0.0, newest + whole - self.facts.now())


def fields_of(text: str, by: str, body: bytes) -> Mapping[str, frozenset[str]]:
    """The fields by measurement that an annotation or a conf makes of one scrape; discovery keeps everything."""
    if by == DISCOVERY:
        table = kubernetes_prometheus(text) or {}
        instances = table.get("instances")
        named = [one.get("custom", {}).get("measurement") for one in instances or () if isinstance(one, dict)]
        if MEASUREMENT not in named:
            return {}
        text, by = f'[[inputs.prom]]\nurl = "http://x:1/"\nmeasurement_name = "{MEASUREMENT}"\n', CONF
    pod = Pod("10.0.0.1", "ns", "pod", "node") if by == "annotation" else None
    read = preview(text, lambda _url: Scrape(body), host_tags={}, election_tags={}, env={}, now_ms=0, pod=pod)
    return read.picture.fields


def _load(text: str, by: str) -> tuple[PromInput, ...]:
    loaded = load_annotation(text, Pod()) if by == "annotation" else load(text, {})
    return loaded.inputs


def _unix(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def needs(panel: Panel) -> list[Need]:
    """What a panel asks for: each field, and whether its points must be istiod's."""
    return [(source, name, "app_id" in panel.tags.get(source, ())) for source, name in panel.needs]


def _newest(need: Need, cluster_name: str) -> str:
    source, name, of_istiod = need
    where = [query.Condition(CLUSTER_TAG, cluster_name)]
    where += [query.Condition("app_id", APP_ID)] if of_istiod else []
    return query.newest(source, name, tuple(where), by=(CLUSTER_TAG,))
