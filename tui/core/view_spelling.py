"""The ETCD view in the names that a workspace's data has.

The tutorial's rule `prefix = "etcd_"` leaves `server_has_leader`; without it, and from the newer input `etcd`
(DataKit 1.84.1, inputs/etcd), the field is `etcd_server_has_leader`. That input's points carry no `instance`
either. One view in the wrong spelling is empty, so the view that is made fits what is there.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from functools import lru_cache

from tui.core import query
from tui.core.ports import Ask, Series, Studio
from tui.core.query import Condition, Query, literal
from tui.core.view_schema import Panel, Variable, View
from tui.i18n import assets

_MEASUREMENT = "etcd"
_CLUSTER_TAG = "cluster_name_k8s"
_TELLING = "server_has_leader"  # the presets of etcd.conf let it pass, and so does the input `etcd`
_LOOK_BACK_S = 86400.0
_PREFIX = "etcd_"
_KNOWN_BY = "server_"  # every preset of etcd.conf lets some of these pass
# What etcd exports under names that do not begin with its own.
_OTHERS = ("process_", "grpc_", "os_", "go_")


@dataclass(frozen=True)
class Spelling:
    """How etcd's fields and members are named: with `etcd_` or without, and the tag that tells members apart."""

    full_names: bool = False
    member: str = "instance"


TUTORIAL = Spelling()


def spelling(fields: Set[str], tags: Set[str] = frozenset({"instance"})) -> Spelling:
    """The spelling of a measurement `etcd` with these fields and tags; the tutorial's where both or none are there."""
    stripped = any(name.startswith(_KNOWN_BY) for name in fields)
    full = any(name.startswith(_PREFIX + _KNOWN_BY) for name in fields)
    member = "host" if "instance" not in tags and "host" in tags else "instance"
    return Spelling(full and not stripped, member)


@lru_cache(maxsize=8)
def of_conf(text: str) -> Spelling | None:
    """The spelling of the points that DataKit would make with this etcd.conf, judged on the scrape that comes with the
    tool; `[[inputs.etcd]]` counts as well. None where it would make none in measurement `etcd`.
    """
    from tui.core.prom.collector import Scrape, collect
    from tui.core.prom.conf import load

    scrape = Scrape((assets() / "samples" / "etcd-3.4.txt").read_bytes())
    fields: set[str] = set()
    tags: set[str] = set()
    for found in load(text, {"ENV_K8S_NODE_NAME": "node"}).inputs if text else ():
        one = replace(found, urls=found.urls[:1])
        made = collect(one, lambda _url: scrape, host_tags={"host": "node"}, election_tags={}, now_ms=0)
        for point in made.points:
            if point.measurement == _MEASUREMENT:
                fields.update(point.fields)
                tags.update(point.tags)
    return spelling(fields, tags) if fields else None


def of_data(studio: Studio, cluster: str, *, now_s: float) -> Spelling | None:
    """The spelling of what has arrived of this cluster, its newest where both have; of what the workspace has at all
    where this cluster's is not there. None for no data of etcd. One request. Raises what `Studio.answers` raises.
    """
    where = (Condition(_CLUSTER_TAG, cluster),) if cluster else ()
    names = (_TELLING, _PREFIX + _TELLING)
    texts = [query.newest(_MEASUREMENT, name, where=where, by=("instance", "host")) for name in names]
    texts += [f"{show}(from=[{literal(_MEASUREMENT)}])" for show in ("show_field_key", "show_tag_key")]
    start_ms, end_ms = int((now_s - _LOOK_BACK_S) * 1000), int((now_s + 60) * 1000)
    *own, fields, tags = studio.answers([Ask(text) for text in texts], start_ms=start_ms, end_ms=end_ms)
    newest = {name: answer.series for name, answer in zip(names, own, strict=True) if _newest_ms(answer.series)}
    if newest:
        name = max(newest, key=lambda name: _newest_ms(newest[name]))
        return spelling({name}, {tag for series in newest[name] for tag, value in series.tags.items() if value})
    there = {series.tags.get("fieldKey", "") for series in fields.series} - {""}
    known = {series.tags.get("tagKey", "") for series in tags.series} - {""}
    return spelling(there, known or {"instance"}) if there else None


def fitting(studio: Studio | None, cluster: str, *confs: str, now_s: float) -> Spelling:
    """The spelling that the ETCD view is to have: of the first of these etcd.confs that sends anything, else of the
    data that has arrived (one request), else the tutorial's.
    """
    for conf in confs:
        found = of_conf(conf)
        if found is not None:
            return found
    return (of_data(studio, cluster, now_s=now_s) if studio is not None else None) or TUTORIAL


def _newest_ms(series: tuple[Series, ...]) -> float:
    return max((row[0] or 0.0 for one in series for row in one.rows if row), default=0.0)


def spelled(view: View, found: Spelling) -> View:
    """The view in that spelling. Other views than ETCD, and the tutorial's spelling, stay as they are."""
    if view.key != "etcd" or found == TUTORIAL:
        return view
    return replace(
        view,
        variables=tuple(_variable(variable, found) for variable in view.variables),
        panels=tuple(_panel(panel, view.measurement, found) for panel in view.panels),
    )


def _variable(variable: Variable, found: Spelling) -> Variable:
    return replace(
        variable,
        tag=_tag(variable.tag, found),
        where=tuple(_condition(condition, found) for condition in variable.where),
    )


def _panel(panel: Panel, measurement: str, found: Spelling) -> Panel:
    lines = tuple(
        replace(line, query=_query(line.query, found)) if line.query.measurement == measurement else line
        for line in panel.lines
    )
    return replace(panel, lines=lines)


def _query(query: Query, found: Spelling) -> Query:
    full = found.full_names and not query.field.startswith(_OTHERS)
    return replace(
        query,
        field=_PREFIX + query.field if full else query.field,
        where=tuple(_condition(condition, found) for condition in query.where),
        by=tuple(_tag(tag, found) for tag in query.by),
    )


def _condition(condition: Condition, found: Spelling) -> Condition:
    return replace(condition, tag=_tag(condition.tag, found))


def _tag(tag: str, found: Spelling) -> str:
    return found.member if tag == "instance" else tag
