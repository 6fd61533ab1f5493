"""Our dashboards in a workspace: which are there, as they were made or not, and how each gets as it should be.

Each has a fixed uuid (`views.dashboard_uuid`), and in its description a mark of the template that was written
last. So a dashboard that is not as it would be made now was either changed by a person since, or made by another
version of the catalogue; only the latter is replaced without asking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui.core import views
from tui.core.errors import NotFoundError, RefusedError, StaleError
from tui.core.ports import Dashboard, Studio, Workspace
from tui.core.view_drift import Difference, differences, fingerprint
from tui.core.view_spelling import TUTORIAL, Spelling, spelled
from tui.i18n import _

TOOL = "datakit-wizard"
MISSING, SAME, OUTDATED, CHANGED = "missing", "same", "outdated", "changed"

_LOOKED_THROUGH = 100  # one page of the studio's list: those not on it are asked for one by one
_MAX_IDENTIFIER = 128
_MARK = re.compile(r"\[([0-9a-f]{16})\]")


@dataclass(frozen=True)
class Wanted:
    """A view as it is to be: its key, the cluster's name, the dashboard's name and its language; and how the data
    that it shows is named.
    """

    key: str
    cluster: str
    name: str
    language: str
    spelling: Spelling = TUTORIAL

    def template(self) -> dict[str, Any]:
        """Its template. Raises UsageError for a name that cannot be."""
        return views.build(spelled(views.view(self.key), self.spelling), name=self.name, language=self.language)


@dataclass(frozen=True)
class Standing:
    """How a view stands in the workspace.

    `state` is MISSING, SAME, OUTDATED (as another version made it) or CHANGED (by a person, or it cannot be told).
    `found` is the fingerprint of what is there.
    """

    wanted: Wanted
    uuid: str
    state: str
    dashboard: Dashboard | None = None
    differences: tuple[Difference, ...] = ()
    found: str = ""


def look(studio: Studio, workspace: Workspace, wanted: Sequence[Wanted]) -> list[Standing]:
    """How each view stands: one request for the list, and one for each that is there."""
    uuids = [views.dashboard_uuid(workspace.uuid, one.key, one.cluster) for one in wanted]
    found = there(studio, uuids)
    return [_standing(studio, one, uuid, found[uuid]) for one, uuid in zip(wanted, uuids, strict=True)]


def there(studio: Studio, uuids: Sequence[str]) -> dict[str, Dashboard | None]:
    """The dashboards with these uuids: one request for the list, and one for each that a long list does not show."""
    listed = {dashboard.uuid: dashboard for dashboard in studio.dashboards(most=_LOOKED_THROUGH)} if uuids else {}
    long = len(listed) >= _LOOKED_THROUGH
    return {uuid: listed.get(uuid) or (studio.find_dashboard(uuid) if long else None) for uuid in uuids}


def _standing(studio: Studio, wanted: Wanted, uuid: str, dashboard: Dashboard | None) -> Standing:
    if dashboard is None:
        return Standing(wanted, uuid, MISSING)
    try:
        exported = studio.export_dashboard(uuid)
    except NotFoundError:  # deleted since it was listed
        return Standing(wanted, uuid, MISSING)
    template, found = wanted.template(), fingerprint(exported)
    if found == fingerprint(template):
        return Standing(wanted, uuid, SAME, dashboard, found=found)
    mark = _MARK.search(dashboard.desc)
    untouched = mark is not None and mark[1] == found
    return Standing(wanted, uuid, OUTDATED if untouched else CHANGED, dashboard, differences(template, exported), found)


def put(
    studio: Studio,
    standing: Standing,
    *,
    overwrite: bool = False,
    keep: Callable[[dict[str, Any]], None] = lambda _template: None,
) -> Dashboard:
    """Make the view as it is wanted; nothing is sent where it is so. A dashboard keeps the name that a person gave it.

    `keep` gets the template that is about to be replaced. Raises RefusedError for one that a person changed, without
    `overwrite`; StaleError where it changed, came to be, or was deleted since it was looked at.
    """
    wanted, dashboard = standing.wanted, standing.dashboard
    if standing.state == SAME and dashboard is not None:
        return dashboard
    template = wanted.template()
    if dashboard is None:
        made = studio.create_dashboard(standing.uuid, wanted.name, template, **_about(wanted, template))
        if made.desc and made.desc != _description(wanted, template):
            raise _stale(wanted)
        return made
    if standing.state == CHANGED and not overwrite:
        raise changed_since([standing])
    try:
        former = studio.export_dashboard(standing.uuid)
    except NotFoundError:
        raise _stale(wanted) from None
    if fingerprint(former) != standing.found:
        raise _stale(wanted)
    keep(former)
    return studio.update_dashboard(standing.uuid, dashboard.name, template, **_about(wanted, template))


def changed_since(standings: Sequence[Standing]) -> RefusedError:
    """That these dashboards were changed by a person and are left as they are."""
    keys = [standing.wanted.key for standing in standings]
    return RefusedError(
        _("Somebody changed this dashboard since it was made; it is left as it is.")
        if len(keys) == 1
        else _("Somebody changed these dashboards since they were made; they are left as they are."),
        object=", ".join(standing.wanted.name for standing in standings),
        why="\n".join(
            f"{standing.wanted.key}: {one.verb}: {one.what}" for standing in standings for one in standing.differences
        ),
        remedy=_("Overwrite what was changed with {flags}; or leave these views out of the answers.").format(
            flags=" ".join(f"--overwrite-view {key}" for key in keys)
        ),
    )


def _stale(wanted: Wanted) -> StaleError:
    return StaleError(
        _("The dashboard changed since it was looked at."), object=wanted.name, remedy=_("Look at it again.")
    )


def tags_of(dashboard: Dashboard) -> tuple[str, ...]:
    """The tags that a dashboard of ours has, as its identifier tells them."""
    tool, _key, cluster = (*dashboard.identifier.split("/", 2), "", "")[:3]
    return (TOOL, cluster) if tool == TOOL and cluster else ()


def _about(wanted: Wanted, template: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "identifier": f"{TOOL}/{wanted.key}/{wanted.cluster}"[:_MAX_IDENTIFIER],
        "desc": _description(wanted, template),
        "tags": (TOOL, wanted.cluster),
    }


def _description(wanted: Wanted, template: Mapping[str, Any]) -> str:
    """What people read under the name, in the view's language, with the mark of the template."""
    made = {"zh": "由 datakit-wizard 为集群 {cluster} 创建", "en": "Made by datakit-wizard for {cluster}"}
    text = views.translation(made, wanted.language).format(cluster=wanted.cluster)
    return f"{text} [{fingerprint(template)}]"
