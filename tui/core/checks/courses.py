"""How the values that arrived went, for the proof of arrival and the plots of a report."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tui.core import query
from tui.core.checks.arrivals import member_of
from tui.core.checks.facts import COLLECTED_S, CONTAINER_CPU, NODE_CPU, Facts
from tui.core.checks.mesh_facts import INTERVAL_S, PARTS, MeshFacts
from tui.core.checks.model import Course
from tui.core.errors import WizardError
from tui.core.parallel import each
from tui.core.ports import Series

MOST_FIELDS = 8  # of the conf, of what a report shows
MOST_POINTS = 60
MOST_MEMBERS = 4  # of what is not etcd: a large cluster has thousands of containers and sidecars


@dataclass(frozen=True)
class _Wanted:
    """A field whose course is asked for, and the tags that tell its series apart: each is one target's own."""

    measurement: str
    field: str
    by: tuple[str, ...]
    interval_s: float
    where: tuple[query.Condition, ...] = ()
    most: int = MOST_MEMBERS


def courses(facts: Facts) -> tuple[Course, ...]:
    """The newest values of the fields that etcd.conf sends, and of one field of each other route that is collected.

    A course for each series; one request to the studio. Empty without a studio. Raises UnreachableError.
    """
    wanted = [*_of_etcd(facts), *_of_inputs(facts), *_of_mesh(facts)]
    if facts.studio is None or not wanted:
        return ()
    now = facts.now()
    longest = max(one.interval_s for one in wanted)
    answers = facts.studio.query(
        [query.latest(one.measurement, one.field, MOST_POINTS, one.by, one.where) for one in wanted],
        start_ms=int((now - MOST_POINTS * longest) * 1000),
        end_ms=int((now + 60) * 1000),
    )
    found = []
    for one, answer in zip(wanted, answers, strict=True):
        facts.arrivals.look(one.measurement, answer, facts.now())
        made = [course for series in answer if (course := _course(facts, one, series)) is not None]
        found += sorted(made, key=lambda course: course.member)[: one.most]
    fed = _fed(facts)
    return tuple(_arrived(facts, course, fed) for course in found)


def _of_etcd(facts: Facts) -> list[_Wanted]:
    names = facts.probes[:MOST_FIELDS]
    return [_Wanted(m, name, ("instance", "host"), facts.interval_s, most=MOST_POINTS) for m, name in names]


def _of_inputs(facts: Facts) -> list[_Wanted]:
    """Containers of one node, and that node as an object of the cluster."""
    node = next((pod.node for pod in facts.ready_pods), "")
    interval_s = COLLECTED_S / facts.cluster.time_scale
    if not node:
        return []
    containers, nodes = (query.Condition("host", node),), (query.Condition("node", node),)
    return [
        _Wanted(CONTAINER_CPU.measurement, CONTAINER_CPU.field, ("host", "container_name"), interval_s, containers),
        _Wanted(NODE_CPU.measurement, NODE_CPU.field, ("node",), interval_s, nodes),
    ]


def _of_mesh(facts: Facts) -> list[_Wanted]:
    """Of each part the field by which its targets are looked for, of a few of them."""
    if not facts.survey.mesh:
        return []
    interval_s = INTERVAL_S / facts.cluster.time_scale
    found = []
    for part in (MeshFacts.of(facts).part(one) for one in PARTS):
        instances = sorted(part.instances)[:MOST_MEMBERS]
        if part.probe is not None and instances:
            where = (query.Condition("instance", f"^({'|'.join(instances)})$", "=~"),)
            found.append(_Wanted(*part.probe, ("instance",), interval_s, where))
    return found


def _course(facts: Facts, wanted: _Wanted, series: Series) -> Course | None:
    points = sorted(
        (row[0], row[1]) for row in series.rows if len(row) > 1 and row[0] is not None and row[1] is not None
    )
    if not points:
        return None
    context, member = facts.cluster.context, member_of(series)
    if "container_name" in series.tags:
        member += f" {series.tags['container_name']}"
    return Course(context, wanted.measurement, wanted.field, member, tuple(points), wanted.interval_s)


def _fed(facts: Facts) -> dict[str, float]:
    """When the agents that collect etcd last fed its points, by node; empty where they may not be asked."""
    try:
        if not facts.may_exec:
            return {}
        names = {one.feed_name for one in facts.etcd_inputs()}
        pods = facts.collecting_pods
        answers = each(pods, lambda pod: facts.agent(pod).feeds())
    except WizardError:  # the checks tell of it
        return {}
    found = {}
    for pod, feeds in zip(pods, answers, strict=True):
        if not isinstance(feeds, WizardError):
            found[pod.node] = max((feed.last_s for name, feed in feeds.items() if name in names), default=0.0)
    return {node: last_s for node, last_s in found.items() if last_s}


def _arrived(facts: Facts, course: Course, fed: dict[str, float]) -> Course:
    arrival = facts.arrivals.of(course.measurement, course.member.partition(" ")[0])
    fits = arrival is not None and abs(arrival.scraped_s - course.newest_s) < 0.001
    of_etcd = (course.measurement, course.field) in facts.probes
    node = course.member.rpartition(":")[0] or course.member
    fed_s = (fed.get(node) or (next(iter(fed.values())) if len(fed) == 1 else None)) if of_etcd else None
    return replace(course, arrival=arrival if fits else None, fed_s=fed_s)
