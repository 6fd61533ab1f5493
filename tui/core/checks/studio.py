"""Checks in the studio: the key, etcd's series with the cluster's name, their age, and the view."""

from __future__ import annotations

from tui.core import views
from tui.core.checks.arrivals import newest_ms
from tui.core.checks.cluster import names
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, not_needed, passed, pending, skipped
from tui.core.ports import Series, Studio
from tui.core.survey import CLUSTER_TAG, host_cluster_name
from tui.i18n import _, ngettext


def no_studio(facts: Facts) -> Finding:
    """That nothing can be proved without a workspace."""
    return skipped(
        facts.no_studio or _("No API key was given: whether the metrics arrive stays unproven."),
        remedy=_("Give --endpoint and --api-key-file, or GUANCE_END_POINT and GUANCE_ACCESS_TOKEN."),
    )


def key(facts: Facts) -> Finding:
    """The API key opens a workspace."""
    if facts.studio is None:
        return no_studio(facts)
    workspace = facts.in_studio.workspace(facts.studio)
    return passed(_("workspace {name}").format(name=workspace.name), object=facts.studio.endpoint)


def _who(series: Series) -> str:
    return series.tags.get("instance") or series.tags.get("host") or "?"


def series(facts: Facts) -> Finding:
    """Each member of etcd has one series."""
    if facts.studio is None:
        return no_studio(facts)
    if not facts.probes:
        return failed(_("the conf sends nothing that could be looked for"))
    measurement, name = facts.probes[0]
    looked_at = f"{measurement}.{name}"
    found = facts.fresh_series
    wanted = len(facts.survey.topology.members) or 1
    if not found:
        older = facts.all_series
        return pending(
            _("no series yet") if not older else _("only old points: nothing new arrives"),
            looked_at=looked_at,
            causes=(_("Collected every {interval}.").format(interval=facts.describe_interval()),),
            remedy=_("The checks before this one name the broken hop."),
        )
    members = sorted({_who(one) for one in found})
    text = ngettext("{n} series: {members}", "{n} series: {members}", len(found)).format(
        n=len(found), members=names(members)
    )
    urls = {url for one in facts.etcd_inputs() for url in one.urls}
    if len(found) < wanted and facts.electing and len(urls) < wanted:
        return failed(
            _("{n} of {wanted} members: {members}").format(n=len(found), wanted=wanted, members=names(members)),
            looked_at=looked_at,
            causes=(_("The conf names {n} of {wanted} members.").format(n=len(urls), wanted=wanted),),
            remedy=_("Name the URL of every member, or let each node read its own."),
        )
    if len(found) < wanted:
        return pending(
            _("{n} of {wanted} members: {members}").format(n=len(found), wanted=wanted, members=names(members)),
            looked_at=looked_at,
            causes=(_("Members whose series carry the same tags merge into one."),),
            remedy=_("Scrape every member, and give each its own instance tag."),
        )
    if len(found) > wanted:
        return pending(
            _("{n} series for {wanted} members: {members}").format(n=len(found), wanted=wanted, members=names(members)),
            looked_at=looked_at,
            causes=(_("A member that is scraped more than once counts more than once."),),
            remedy=_("Keep one input for each member."),
        )
    return passed(text, looked_at=looked_at)


def cluster_tag(facts: Facts) -> Finding:
    """The series carry the cluster's name, the same as everything else of this cluster."""
    if facts.studio is None:
        return no_studio(facts)
    found = facts.fresh_series
    if not found:
        return pending(_("no series yet"))
    # Also where it is the vendor's `default`: everything else of this cluster carries that.
    wanted = host_cluster_name(facts.datakit.env) or facts.cluster_name
    carried = sorted({one.tags.get(CLUSTER_TAG, "") for one in found})
    if "" in carried:
        return pending(
            _("series without {tag}: {members}").format(
                tag=CLUSTER_TAG, members=names([_who(s) for s in found if not s.tags.get(CLUSTER_TAG)])
            ),
            causes=(_("Elected inputs get election tags, and these lack it."),)
            if facts.electing
            else (_("Neither the conf nor the host tags set it."),),
            remedy=_('Write {tag} = "{name}" into [inputs.prom.tags] of etcd.conf.').format(
                tag=CLUSTER_TAG, name=facts.survey.cluster_name or facts.cluster.context
            ),
        )
    if wanted and carried != [wanted]:
        return pending(
            _("{tag} is {found}, elsewhere {wanted}").format(tag=CLUSTER_TAG, found=", ".join(carried), wanted=wanted),
            causes=(_("Two names split this cluster's data in every view."),),
            remedy=_("Use one name in the conf and in ENV_CLUSTER_NAME_K8S."),
        )
    return passed(f"{CLUSTER_TAG} = {carried[0]}")


def fresh(facts: Facts) -> Finding:
    """The newest point is not older than two collection intervals."""
    if facts.studio is None:
        return no_studio(facts)
    found = facts.all_series
    if not found:
        return pending(_("no series yet"))
    newest = max(newest_ms(one) for one in found)
    age = facts.now() - newest / 1000
    if age > facts.fresh_s:
        return pending(
            _("the newest point is {age} s old").format(age=f"{age:.0f}"),
            causes=(_("Collected every {interval}.").format(interval=facts.describe_interval()),),
            remedy=_("Collection stopped; the checks before this one name the broken hop."),
        )
    return passed(_("newest point {age} s old").format(age=f"{max(age, 0):.0f}"))


def etcd_view(facts: Facts) -> Finding:
    """The ETCD view is there."""
    if facts.studio is None:
        return no_studio(facts)
    there = _the_view(facts, facts.studio, "etcd")
    if there is not None:
        return there
    return failed(
        _("the view does not exist"),
        object=facts.in_studio.workspace(facts.studio).name,
        remedy=_("Create it."),
        command="datakit-wizard views create etcd",
    )


def docker_view(facts: Facts) -> Finding:
    """The Docker view is there; not everybody wants it."""
    return _wanted_or_not(facts, "docker")


def kubernetes_view(facts: Facts) -> Finding:
    """The Kubernetes view is there; not everybody wants it."""
    return _wanted_or_not(facts, "kubernetes")


def _wanted_or_not(facts: Facts, key: str) -> Finding:
    if facts.studio is None:
        return not_needed(_("No API key was given: whether the metrics arrive stays unproven."))
    return _the_view(facts, facts.studio, key) or not_needed(
        _("the view does not exist; `{command}` makes it").format(command=f"datakit-wizard views create {key}")
    )


def _the_view(facts: Facts, studio: Studio, key: str) -> Finding | None:
    """The view under our fixed uuid, or one of the tutorial's name by somebody else."""
    workspace = facts.in_studio.workspace(studio)
    uuid = views.dashboard_uuid(workspace.uuid, key, facts.cluster_name or facts.survey.cluster_name)
    there = facts.in_studio.dashboard(studio, uuid, {views.view(key).title(language) for language in ("zh", "en")})
    if there is None:
        return None
    if there.uuid != uuid:
        return passed(_("{name}, made by somebody else").format(name=there.name), object=there.uuid)
    return passed(there.name, object=there.uuid)
