"""What has arrived of one part of the mesh: its series, their cluster, their age, and the panels that they fill."""

from __future__ import annotations

from tui.core import views
from tui.core.checks.arrivals import newest_ms
from tui.core.checks.cluster import names
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, passed, pending, skipped
from tui.core.checks.mesh_facts import INTERVAL_S, PartFacts, needs
from tui.core.checks.mesh_traffic import request
from tui.core.checks.studio import no_studio
from tui.core.durations import exact
from tui.core.istio_cost import VIEWS
from tui.core.survey import CLUSTER_TAG, host_cluster_name
from tui.i18n import _, language, ngettext

_NAMED = 4


def _interval(facts: Facts) -> tuple[str, ...]:
    return (_("Collected every {interval}.").format(interval=exact(INTERVAL_S / facts.cluster.time_scale)),)


def series(facts: Facts, part: PartFacts) -> Finding:
    """Each target that is collected has series of its own."""
    if facts.studio is None:
        return no_studio(facts)
    limit = (facts.now() - part.whole.fresh_s) * 1000
    arrived = {one.tags.get("instance", "") for one in part.series if newest_ms(one) >= limit}
    lacking = sorted({title for instance, title in part.instances.items() if instance not in arrived})
    looked_at = ".".join(part.probe or ())
    count = _("{n} of {all} targets").format(n=len(arrived), all=len(part.instances))
    if not lacking:
        return passed(count, looked_at=looked_at)
    old = {part.instances[i] for i in (one.tags.get("instance", "") for one in part.series) if i not in arrived}
    return pending(
        _("{count}; only old points of {names}").format(count=count, names=names(sorted(old)))
        if old
        else _("{count}; nothing of {names}").format(count=count, names=names(lacking)),
        looked_at=looked_at,
        causes=_interval(facts),
        object=lacking[0],
        remedy=_("The checks before this one name the broken hop; DataKit's log names a scrape that fails."),
        due_s=part.due_s(),
    )


def cluster_tag(facts: Facts, part: PartFacts) -> Finding:
    """The series carry the cluster's name that everything else of this cluster carries."""
    if facts.studio is None:
        return no_studio(facts)
    wanted = host_cluster_name(part.whole.datakit.env) or part.whole.cluster_name
    carried = sorted({one.tags.get(CLUSTER_TAG, "") for one in part.series})
    if not carried:
        return pending(_("no series yet"))
    if carried == [wanted]:
        return passed(f"{CLUSTER_TAG} = {wanted}")
    wrong = sorted({part.instances[one.tags["instance"]] for one in part.series if one.tags.get(CLUSTER_TAG) != wanted})
    if "" in carried:
        return pending(
            _("series without {tag}: {members}").format(tag=CLUSTER_TAG, members=names(wrong)),
            object=wrong[0],
            causes=(_("A conf is collected by the elected DataKit, and election tags lack it."),),
            remedy=_('Write {tag} = "{name}" into its [inputs.prom.tags].').format(
                tag=CLUSTER_TAG, name=wanted or facts.cluster.context
            ),
        )
    return pending(
        _("{tag} is {found}, elsewhere {wanted}").format(tag=CLUSTER_TAG, found=", ".join(carried), wanted=wanted),
        object=wrong[0],
        causes=(_("Two names split this cluster's data in every view."),),
        remedy=_("Use one name in the conf and in ENV_CLUSTER_NAME_K8S."),
    )


def fresh(facts: Facts, part: PartFacts) -> Finding:
    """The newest point of the slowest target is not older than a few intervals."""
    if facts.studio is None:
        return no_studio(facts)
    newest: dict[str, float] = {}
    for one in part.series:
        instance = one.tags.get("instance", "")
        newest[instance] = max(newest.get(instance, 0.0), newest_ms(one) / 1000)
    if not newest:
        return pending(_("no series yet"))
    slowest = min(newest, key=lambda instance: newest[instance])
    age = max(facts.now() - newest[slowest], 0.0)
    if age > part.whole.fresh_s:
        return pending(
            _("the newest point is {age} s old").format(age=f"{age:.0f}"),
            object=part.instances[slowest],
            causes=_interval(facts),
            remedy=_("Collection stopped; the checks before this one name the broken hop."),
        )
    return passed(_("newest point {age} s old").format(age=f"{age:.0f}"))


def panels(facts: Facts, part: PartFacts) -> Finding:
    """Every panel that the collection promises has fresh data."""
    if facts.studio is None:
        return no_studio(facts)
    promised = {key: found for key in VIEWS if (found := part.panels(key))}
    everything = [panel for found in promised.values() for panel in found]
    lacking = [panel for panel in everything if any(need not in part.arrived for need in needs(panel))]
    looked_at = ", ".join(views.view(key).title(language()) for key in promised)
    count = _("{n} of {all} panels have data").format(n=len(everything) - len(lacking), all=len(everything))
    if not lacking:
        return passed(count, looked_at=looked_at)
    absent = sorted({need[1] for panel in lacking for need in needs(panel) if need not in part.arrived})
    at_hand = part.at_hand
    there = set().union(*at_hand.values()) if at_hand is not None else set(absent)
    waiting = [name for name in absent if name in there]
    if not waiting:
        return _idle(facts, part, count, len(lacking) == len(everything), absent, looked_at)
    due = part.due_s()
    return pending(
        count,
        looked_at=looked_at,
        causes=(_("not arrived: {names}").format(names=names(waiting[:_NAMED])),),
        remedy=_("The checks before this one name the broken hop; DataKit's log names a scrape that fails."),
        due_s=due,
    )


def _idle(facts: Facts, part: PartFacts, count: str, nothing: bool, absent: list[str], looked_at: str) -> Finding:
    """All that the targets have now arrives; for the rest nothing has happened yet that they would report."""
    if part.part.key != "istiod" and (nothing or "istio_requests_total" in absent):
        because = _("{count}: no traffic yet").format(count=count)
        command = request(part.whole.mesh, facts.cluster.context, gateway=part.part.key == "gateways")
        return skipped(because, remedy=_("Send a request to a service of the mesh."), command=command)
    why = ngettext(
        "{count}; for the other nothing has happened yet ({names})",
        "{count}; for the others nothing has happened yet ({names})",
        len(absent),
    )
    return passed(why.format(count=count, names=names(absent[:_NAMED])), looked_at=looked_at)
