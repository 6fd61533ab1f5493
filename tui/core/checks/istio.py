"""Checks of the mesh: what collects it, when that is taken up, whether requests pass, and what the four views have.

What this tool set up is required to arrive. What somebody else set up is looked at all the same, and only warned of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tui.core import views
from tui.core.checks.cluster import names
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, not_needed, passed, pending, skipped
from tui.core.checks.mesh_facts import MeshFacts, needs
from tui.core.checks.studio import no_studio
from tui.core.durations import exact
from tui.core.mesh import Target
from tui.i18n import N_, _, language, ngettext

_NAMED = 4


def _mesh(facts: Facts) -> MeshFacts:
    return facts.once("mesh facts", lambda: MeshFacts(facts))


def _required(facts: Facts, finding: Finding) -> Finding:
    """The finding as it is where we set the collection up; else a warning, which the verdict does not count."""
    if _mesh(facts).ours:
        return finding
    status = "warn" if finding.status in ("fail", "pending") else finding.status
    return replace(finding, status=status, needed=False)


def found(facts: Facts) -> Finding:
    """What the mesh consists of."""
    mesh = _mesh(facts).mesh
    text = _("Istio {version}: istiod ×{control}, gateways ×{gateways}, sidecars ×{n}").format(
        version=mesh.version or "?",
        control=sum(one.replicas for one in mesh.control),
        gateways=len(mesh.gateways),
        n=mesh.sidecars,
    )
    if mesh.notes:
        return failed(text, causes=mesh.notes, remedy=_("`datakit-wizard rbac` prints the rights that looking needs."))
    return passed(text, object=names([one.key for one in mesh.control]))


def readable(facts: Facts) -> Finding:
    """No annotation is one that DataKit ignores without a word."""
    broken = [one for one in _mesh(facts).mesh.targets if one.annotation and one.annotation.problem]
    if not broken:
        return passed(_("DataKit reads every annotation of the mesh"))
    first = broken[0]
    assert first.annotation is not None
    return failed(
        ngettext(
            "DataKit ignores the annotation of {titles}", "DataKit ignores the annotations of {titles}", len(broken)
        ).format(titles=names([one.key for one in broken])),
        causes=tuple(f"{one.title}: {one.annotation.problem}" for one in broken if one.annotation),
        object=first.title,
        remedy=_("Name them in [istio] workloads and replace: a sound one takes their place."),
    )


def twice(facts: Facts) -> Finding:
    """Nothing is collected twice: that doubles every rate."""
    doubled = [one for one in _mesh(facts).mesh.targets if len({c.where for c in one.collected}) > 1]
    if not doubled:
        return passed(_("each target has one collector at most"))
    return failed(
        _("collected more than once: {names}").format(names=names([one.key for one in doubled])),
        causes=tuple(f"{one.title}: {', '.join(c.where for c in one.collected)}" for one in doubled),
        object=doubled[0].title,
        remedy=_("Keep one of them."),
    )


def collected(facts: Facts) -> Finding:
    """Something of the mesh is collected: istiod, and pods with a sidecar."""
    whole = _mesh(facts)
    if not whole.sources:
        found = failed(
            _("nothing of the mesh is collected"),
            causes=(_("The tutorial's first two parts set up neither istiod nor gateways."),),
            remedy=_("Choose a preset and workloads in the step Istio, or in [istio] of the answers."),
        )
        return _required(facts, found)
    titles = dict.fromkeys(one.target.title for one in whole.sources)
    lacking = [one for one in whole.mesh.control if one.title not in titles]
    if lacking:
        found = failed(
            _("{names} is not collected").format(names=names([one.key for one in lacking])),
            object=lacking[0].title,
            causes=(_("The view Istio Control Plane has no other source."),),
            remedy=_("Name it in [istio] workloads, or pick it in the step Istio."),
            status="warn",
        )
        return found
    return passed(ngettext("{n} target is collected", "{n} targets are collected", len(titles)).format(n=len(titles)))


def _not_yet(facts: Facts) -> str:
    """When annotations are taken up, in words; "" once it is past."""
    due = _mesh(facts).due_s()
    if due <= 0:
        return ""
    return _("DataKit takes annotations up every 5 minutes: at the latest in {time}").format(time=exact(round(due)))


def traffic(facts: Facts) -> Finding:
    """Requests pass the sidecars: without any there is nothing to see, however well it is collected."""
    whole = _mesh(facts)
    at_hand = whole.at_hand
    if at_hand is None:
        return not_needed(_("no sidecar could be scraped from DataKit's pods"))
    if "istio_requests_total" in set().union(*at_hand.values()):
        return passed(_("sidecars have seen requests"))
    return failed(
        _("no traffic yet: no sidecar has seen a request"),
        causes=(_("It is collected, but there is nothing to show: sidecars count requests once one has passed."),),
        remedy=_("Send a request to a service of the mesh."),
        command=request(whole.mesh.workloads, facts.cluster.context),
    )


def request(workloads: tuple[Target, ...], context: str) -> str:
    """A command that sends a request through the mesh; of Bookinfo the page that reaches all of its services."""
    page = next((one for one in workloads if one.name.startswith("productpage")), None)
    sender = next((one for one in workloads if page and one.namespace == page.namespace and one.ready), None)
    if page is None or sender is None:
        return ""
    container = (sender.object or {}).get("spec", {}).get("template", {}).get("spec", {}).get("containers", [{}])
    name = container[0].get("name", "app") if container else "app"
    return (
        f"kubectl --context {context} -n {page.namespace} exec deploy/{sender.name} -c {name} -- \\\n"
        "  curl -sS http://productpage:9080/productpage"
    )


def arrives(key: str) -> Callable[[Facts], Finding]:
    """The check that every panel which the collection promises for a view has fresh data."""

    def look(facts: Facts) -> Finding:
        if facts.studio is None:
            return _required(facts, no_studio(facts))
        whole = _mesh(facts)
        panels = whole.panels(key)
        looked_at = views.view(key).title(language())
        if not panels:
            found = failed(_("what is collected fills none of its panels"), looked_at=looked_at)
            return _required(facts, found)
        lacking = [panel for panel in panels if any(need not in whole.arrived for need in needs(panel))]
        count = _("{n} of {all} panels have data").format(n=len(panels) - len(lacking), all=len(panels))
        if not lacking:
            return passed(count, looked_at=looked_at)
        absent = sorted({need[1] for panel in lacking for need in needs(panel) if need not in whole.arrived})
        at_hand = whole.at_hand
        there = set().union(*at_hand.values()) if at_hand is not None else set(absent)
        waiting = [name for name in absent if name in there]
        if not waiting:
            return _required(facts, _idle(facts, key, count, len(lacking) == len(panels), absent))
        not_yet = _not_yet(facts)
        text = f"{count}, {not_yet}" if not_yet else count
        causes = (_("not arrived: {names}").format(names=names(waiting[:_NAMED])),)
        remedy = _("The checks before this one name the broken hop; DataKit's log names a scrape that fails.")
        due = whole.due_s()
        return _required(facts, pending(text, looked_at=looked_at, causes=causes, remedy=remedy, due_s=due))

    return look


def _idle(facts: Facts, key: str, count: str, nothing: bool, absent: list[str]) -> Finding:
    """All that the targets have now arrives; for the rest nothing has happened yet that they would report."""
    if nothing or "istio_requests_total" in absent:
        because = _("{count}: no traffic yet").format(count=count)
        command = request(_mesh(facts).mesh.workloads, facts.cluster.context)
        return skipped(because, remedy=_("Send a request to a service of the mesh."), command=command)
    why = _("{count}; for the others nothing has happened yet ({names})")
    return passed(why.format(count=count, names=names(absent[:_NAMED])), looked_at=views.view(key).title(language()))


VIEW_TITLES = {
    "istio-mesh": N_("The view Istio Mesh has data"),
    "istio-control-plane": N_("The view Istio Control Plane has data"),
    "istio-service": N_("The view Istio Service has data"),
    "istio-workload": N_("The view Istio Workload has data"),
}
