"""Which series of a scrape an etcd.conf lets through and what they will be called, as rows to show."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tui.core import views as catalogue
from tui.core.errors import UsageError, WizardError
from tui.core.ports import Backend, Cluster
from tui.core.prom.advice import Advice, advise
from tui.core.prom.collector import Scrape
from tui.core.prom.conf import load
from tui.core.prom.explain import FamilyOutcome, sentence
from tui.core.prom.live import LivePreview, Picture
from tui.core.prom.story import tell
from tui.core.survey import Survey, exec_rights
from tui.core.view_schema import View
from tui.i18n import _, assets

SAMPLE = "etcd-3.4.txt"


@dataclass(frozen=True)
class Source:
    """A scrape and where it comes from: a node's etcd through the DataKit pod, a saved file, or the bundled sample."""

    body: bytes
    node: str = ""
    url: str = ""
    path: str = ""
    why_sample: str = ""


@dataclass(frozen=True)
class Row:
    """One family of the scrape: `dropped_by` names the setting that drops it (or says why), "" where it passes."""

    family: str
    type: str
    series: int
    dropped_by: str
    measurement: str
    field: str


@dataclass(frozen=True)
class Passed:
    """All families of a scrape under one conf, those that pass first.

    With `stale` the text could not be read (`error`, `line`), and this is the last one that could: show it greyed.
    """

    rows: tuple[Row, ...] = ()
    picture: Picture = field(default_factory=Picture)
    scrape_error: str = ""  # what is wrong with the scrape itself; what came before its bad line is judged

    @property
    def fields(self) -> Mapping[str, frozenset[str]]:
        """The fields that arrive, by measurement."""
        return self.picture.fields

    @property
    def kept(self) -> int:
        """How many series of one member pass."""
        return self.picture.kept

    @property
    def all(self) -> int:
        """How many series the scrape has."""
        return self.picture.all

    @property
    def points(self) -> int:
        """How many points one member gives in a round."""
        return self.picture.points

    @property
    def points_per_day(self) -> int:
        """How many points one member gives in a day."""
        return self.picture.points_per_day

    @property
    def stale(self) -> bool:
        """Whether this is the last good text's."""
        return self.picture.stale

    @property
    def error(self) -> str:
        """Why the text as it is now could not be read, "" where it could."""
        return self.picture.error

    def story(self, family: str) -> list[str]:
        """What each rule did to a family of the rows and what it costs, a sentence each."""
        return tell(self.picture, family)


# A call that was superseded by the next key press runs on in its thread; a LivePreview is for one at a time.
_one_at_a_time = threading.Lock()


@lru_cache(maxsize=2)  # the sample, and the scrape that takes its place
def _live(body: bytes, env: tuple[tuple[str, str], ...]) -> LivePreview:
    return LivePreview(body, dict(env))


def passed(conf: str, body: bytes, env: Mapping[str, str]) -> Passed:
    """What `conf` makes of a scrape, family by family; several inputs are taken together.

    The scrape is read once. While a text is typed that is no TOML, the last good outcome stays.
    """
    with _one_at_a_time:
        live = _live(body, tuple(sorted(env.items())))
        picture = live.update(conf)
    rows = [_row(one) for one in picture.families]
    rows.sort(key=lambda row: (bool(row.dropped_by), row.dropped_by or row.measurement, row.field, row.family))
    return Passed(tuple(rows), picture, live.error)


def needed(conf: str, body: bytes, env: Mapping[str, str], chosen: Iterable[View]) -> list[Advice]:
    """The families that panels of the chosen views need and `conf` drops, each with the edit that would keep it."""
    with _one_at_a_time:
        return advise(_live(body, tuple(sorted(env.items()))), conf, chosen)


def fills(outcome: Passed, views: Iterable[View]) -> list[tuple[View, int, int]]:
    """Of the views that are about what this scrape has: how many of their panels are filled, and of how many."""
    heads = {one.family.partition("_")[0] for one in outcome.picture.families}
    found = []
    for view in views:
        if view.measurement in heads or view.measurement in outcome.fields:
            panels = catalogue.fillable(view, outcome.fields)
            found.append((view, sum(1 for fill in panels if fill.ok), len(panels)))
    return found


def _row(one: FamilyOutcome) -> Row:
    if one.kept:
        return Row(one.family, one.type, one.series, "", one.name.measurement, one.name.field)
    dropped_by = one.outcome if one.outcome.startswith("metric_") else sentence(one)
    return Row(one.family, one.type, one.series, dropped_by, "", "")


def sample(why: str) -> Source:
    """The bundled scrape of etcd 3.4."""
    return Source((assets() / "samples" / SAMPLE).read_bytes(), why_sample=why)


def saved(path: str) -> Source:
    """A scrape from a file. Gzip is not unpacked. Raises UsageError where it cannot be read."""
    file = Path(path).expanduser()
    try:
        return Source(file.read_bytes(), path=str(file))
    except OSError as error:
        raise UsageError(
            _("The file cannot be read."),
            object=str(file),
            why=error.strerror or str(error),
            remedy=_("Give the path of a file that holds what etcd answers at /metrics."),
        ) from error


def scrape(backend: Backend, cluster: Cluster, survey: Survey, conf: str) -> Source:
    """Scrape etcd as this conf would, through the DataKit pod of a node that runs it; else the sample, saying why."""
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
