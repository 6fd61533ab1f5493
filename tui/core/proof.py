"""A conf tried by the real agent before anything is changed, its points beside those of our preview.

`datakit debug --input-conf` runs the inputs with the agent's own tags and sends nothing. Values and times differ from
one scrape to the next; which series come out, and under which names and tags, must not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tui.core.errors import RefusedError, WizardError
from tui.core.ports import Agent, Backend, Cluster
from tui.core.prom import lineprotocol
from tui.core.prom.collector import Point
from tui.core.prom.conf import load
from tui.core.prom.preview import preview
from tui.core.prom.settings import PromInput
from tui.core.survey import AgentPod, Survey, exec_rights
from tui.i18n import _, ngettext

SECONDS = 20.0
LEAST_S = 3.0  # in a practice lab, whose time runs faster
_MOST_NAMED = 8
Series = tuple[str, tuple[tuple[str, str], ...], str]  # measurement, tags, field


@dataclass(frozen=True)
class Proof:
    """One conf on one node. `agent` and `ours` are the series of both; `said` is what the agent said beside them."""

    node: str
    url: str
    agent: frozenset[Series]
    ours: frozenset[Series]
    said: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether both make the same series, and any at all."""
        return bool(self.agent) and self.agent == self.ours


def prove(backend: Backend, cluster: Cluster, survey: Survey, conf: str) -> Proof:
    """Run `conf` in the DataKit of a node that runs etcd, and our preview on a scrape from the same pod.

    Raises RefusedError where that cannot be done (rights, no ready pod, files that are not mounted yet), WizardError
    where the agent does not run it.
    """
    datakit = survey.datakit
    if missing := [str(access) for access in exec_rights(datakit) if not survey.may(access)]:
        raise _cannot(survey, _("you may not {access}").format(access=", ".join(missing)))
    pod = next(iter(sorted(_ready(survey), key=lambda pod: pod.node not in survey.etcd_nodes)), None)
    if pod is None:
        raise _cannot(survey, _("no DataKit pod is ready"))
    env = {**datakit.env, "ENV_K8S_NODE_NAME": pod.node}
    inputs = load(conf, env).inputs
    found = next((one for one in inputs if one.urls), None)
    if found is None:
        raise _cannot(survey, _("the conf names no URL"))
    agent = backend.agent(cluster, datakit.namespace, pod.name, pod.node, datakit.container)
    for path in found.files():
        if not _there(agent, path):
            why = _("{path} is not there on {node} before it is mounted")
            raise _cannot(survey, why.format(path=path, node=pod.node))
    said = agent.debug(conf, seconds=max(LEAST_S, SECONDS / cluster.time_scale))
    points, remarks = read(said)
    ours = _ours(agent, conf, found, env)
    return Proof(pod.node, found.urls[0], series(points), series(ours), remarks)


def read(said: str) -> tuple[list[Point], tuple[str, ...]]:
    """The points in what the agent printed, and the lines that are none: counts and errors."""
    points: list[Point] = []
    remarks: list[str] = []
    for row in said.splitlines():
        try:
            points += lineprotocol.decode(row)
        except ValueError:
            remarks.append(row)
            continue
        if row.startswith("#"):
            remarks.append(row.lstrip("# "))
    return points, tuple(dict.fromkeys(filter(None, remarks)))


def series(points: Iterable[Point]) -> frozenset[Series]:
    """What stays the same from scrape to scrape; `collector up` and the agent's own points are left out."""
    return frozenset(
        (point.measurement, tuple(sorted(point.tags.items())), name)
        for point in points
        if point.measurement != "collector"
        for name in point.fields
    )


def told(proof: Proof) -> list[str]:
    """The proof in sentences."""
    lines = [_("DataKit on {node} ran this conf for a moment; nothing was sent.").format(node=proof.node)]
    n = len(proof.agent)
    text = ngettext("It makes {n} series of {url}.", "It makes {n} series of {url}.", n)
    lines.append(text.format(n=n, url=proof.url))
    if proof.equal:
        return [*lines, _("The preview foretells exactly these.")]
    if not proof.agent:
        return [*lines, _("Nothing came out of it. What DataKit said:"), *proof.said[-_MOST_NAMED:]]
    lines += _only(_("DataKit makes, the preview does not:"), proof.agent - proof.ours)
    lines += _only(_("The preview foretells, DataKit does not make:"), proof.ours - proof.agent)
    return lines


def document(proof: Proof) -> dict[str, object]:
    """The proof for machines."""
    return {
        "node": proof.node,
        "url": proof.url,
        "equal": proof.equal,
        "series": {"agent": len(proof.agent), "preview": len(proof.ours)},
        "only_agent": _names(proof.agent - proof.ours),
        "only_preview": _names(proof.ours - proof.agent),
    }


def _only(title: str, found: frozenset[Series]) -> list[str]:
    names = _names(found)
    more = len(names) - _MOST_NAMED
    rest = [ngettext("and {n} more", "and {n} more", more).format(n=more)] if more > 0 else []
    return [title, *(f"  {name}" for name in names[:_MOST_NAMED]), *rest] if names else []


def _names(found: frozenset[Series]) -> list[str]:
    return sorted({f"{measurement}.{name}" for measurement, _tags, name in found})


def _ready(survey: Survey) -> Sequence[AgentPod]:
    return [pod for pod in survey.datakit.pods if pod.ready]


def _there(agent: Agent, path: str) -> bool:
    """Whether a file is there; of a key nothing is read."""
    try:
        return agent.access(path) is not None
    except WizardError:
        return False


def _ours(agent: Agent, conf: str, found: PromInput, env: dict[str, str]) -> list[Point]:
    tls = found.tls
    ca = tls.ca[0] if tls.ca else ""
    made = preview(
        conf,
        lambda url: agent.scrape(url, ca=ca, cert=tls.cert, key=tls.key),
        host_tags=agent.host_tags(),
        election_tags=agent.election_tags(),
        env=env,
        now_ms=int(time.time() * 1000),
    )
    return made.points


def _cannot(survey: Survey, why: str) -> RefusedError:
    return RefusedError(
        _("The conf cannot be tried on a node before it is applied."),
        object=f"{survey.context}, {survey.datakit.namespace}",
        why=why,
        remedy=_("The preview and the dry run hold all the same; verify after the change."),
    )
