"""Which series of a scrape an etcd.conf lets through and what they will be called, as rows to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tui.core.ports import Backend, Cluster
from tui.core.prom.collector import Scrape
from tui.core.prom.conf import PromInput, load
from tui.core.prom.exposition import parse
from tui.core.prom.naming import name_of
from tui.core.prom.points import Filters
from tui.core.survey import Survey, exec_rights
from tui.i18n import _, assets

SAMPLE = "etcd-3.4.txt"


@dataclass(frozen=True)
class Source:
    """A scrape and where it comes from: a node's etcd through the DataKit pod, or the bundled sample (and why)."""

    body: bytes
    node: str = ""
    url: str = ""
    why_sample: str = ""


@dataclass(frozen=True)
class Row:
    """One family of the scrape: `dropped_by` names the setting that drops it, "" where it passes."""

    family: str
    type: str
    series: int
    dropped_by: str
    measurement: str
    field: str


@dataclass(frozen=True)
class Passed:
    """All families of a scrape under one conf, those that pass first."""

    rows: tuple[Row, ...] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """How many series pass."""
        return sum(row.series for row in self.rows if not row.dropped_by)

    @property
    def all(self) -> int:
        """How many series the scrape has."""
        return sum(row.series for row in self.rows)


def passed(conf: str, body: bytes, env: Mapping[str, str]) -> Passed:
    """What `conf` makes of a scrape, family by family; several inputs are taken together."""
    inputs = [found for found in load(conf, env).inputs if not found.problem]
    families: dict[str, tuple[str, int]] = {}
    for batch in parse(body, 0).batches:
        for family in batch.values():
            before = families.get(family.name, (family.type, 0))[1]
            # A histogram or summary is as many series as it has parts, and its sum and count.
            sizes = (len(one.parts) + 2 if hasattr(one, "parts") else 1 for one in family.series)
            families[family.name] = (family.type, before + sum(sizes))
    rows = [_row(name, type_, series, inputs) for name, (type_, series) in families.items()]
    fields: dict[str, set[str]] = {"collector": {"up"}} if inputs else {}
    for row in rows:
        if not row.dropped_by:
            ends = ("_bucket", "_sum", "_count") if row.type == "histogram" else ("",)
            ends = ("", "_sum", "_count") if row.type == "summary" else ends
            fields.setdefault(row.measurement, set()).update(row.field + end for end in ends)
    rows.sort(key=lambda row: (bool(row.dropped_by), row.dropped_by or row.measurement, row.field, row.family))
    return Passed(tuple(rows), {name: frozenset(found) for name, found in fields.items()})


def _row(name: str, type_: str, series: int, inputs: list[PromInput]) -> Row:
    dropped = _("no input") if not inputs else ""
    for found in inputs:
        dropped = Filters(found).dropped_by(name, type_)
        if not dropped:
            new = name_of(found, name)
            return Row(name, type_, series, "", new.measurement, new.field)
    return Row(name, type_, series, dropped, "", "")


def sample(why: str) -> Source:
    """The bundled scrape of etcd 3.4."""
    return Source((assets() / "samples" / SAMPLE).read_bytes(), why_sample=why)


def scrape(backend: Backend, cluster: Cluster, survey: Survey, conf: str) -> Source:
    """Scrape etcd as this conf would, through the DataKit pod of a node that runs it; else the sample, saying why."""
    from tui.core.errors import WizardError

    datakit = survey.datakit
    if not all(survey.may(access) for access in exec_rights(datakit)):
        return sample(_("you may not run commands in the DataKit pods"))
    pods = [pod for pod in datakit.pods if pod.ready]
    pods.sort(key=lambda pod: pod.node not in survey.etcd_nodes)
    if not pods:
        return sample(_("no DataKit pod is ready"))
    pod = pods[0]
    env = {**datakit.env, "ENV_K8S_NODE_NAME": pod.node}
    found = next((i for i in load(conf, env).inputs if i.urls), None)
    if found is None:
        return sample(_("the conf names no URL"))
    url, tls = found.urls[0], found.tls
    agent = backend.agent(cluster, datakit.namespace, pod.name, pod.node, datakit.container)
    try:
        answer: Scrape = agent.scrape(url, ca=tls.ca[0] if tls.ca else "", cert=tls.cert, key=tls.key)
    except WizardError as error:
        return sample(error.what)
    if answer.body is None:
        return sample(_("{node} got no answer from {url}: {why}").format(node=pod.node, url=url, why=answer.error))
    return Source(answer.body, pod.node, url)
