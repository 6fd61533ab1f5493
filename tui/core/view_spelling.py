"""The ETCD view in the names that a workspace's data has.

The tutorial's rule `prefix = "etcd_"` leaves `server_has_leader`; without it, and from the newer input `etcd`
(DataKit 1.84.1, inputs/etcd), the field is `etcd_server_has_leader`. That input's points carry no `instance`
either. One view in the wrong spelling is empty, so the view that is made fits what is there.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

from tui.core.query import Condition, Query
from tui.core.view_schema import Panel, Variable, View

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
