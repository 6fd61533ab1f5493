"""The rungs of the mesh's ladders in the order of a point's way, and the checks that they make for each part.

What can be read in annotations and confs comes before what has to be waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tui.core.checks import istio, mesh_studio
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, not_needed
from tui.core.checks.mesh_facts import PARTS, MeshFacts, Part, PartFacts
from tui.core.checks.model import INFO, REQUIRED, WARNING, Check
from tui.i18n import N_, _

Look = Callable[[Facts, PartFacts], Finding]


@dataclass(frozen=True)
class Rung:
    """One rung of every part's ladder. `needs` are rungs of the same part, or ids; `of` are the parts that have it.

    `asks` is whether it is about what collects the part: where nothing does, there is nothing to look at.
    """

    key: str
    severity: str
    title: str
    look: Look
    needs: tuple[str, ...] = ()
    asks: bool = True
    patient: bool = False
    proof: bool = False
    of: tuple[str, ...] = tuple(part.key for part in PARTS)


LADDER = (
    Rung("found", INFO, N_("It is there"), istio.found, ("datakit/found",), asks=False),
    Rung("readable", WARNING, N_("DataKit can read what is written for it"), istio.readable, ("found",), asks=False),
    Rung("declared", WARNING, N_("Something collects it"), istio.declared, ("found",), asks=False),
    Rung("twice", WARNING, N_("Nothing is collected twice"), istio.twice, ("declared",)),
    Rung("filter", REQUIRED, N_("The filter keeps metrics"), istio.kept, ("declared",)),
    Rung("histograms", WARNING, N_("Histograms pass the filter"), istio.histograms, ("filter",)),
    Rung("picked-up", REQUIRED, N_("DataKit has taken it up"), istio.picked_up, ("declared",), patient=True),
    Rung("answers", REQUIRED, N_("It answers with metrics"), istio.answers, ("declared",), patient=True),
    Rung("traffic", WARNING, N_("Requests pass"), istio.traffic, ("answers",), of=("gateways", "sidecars")),
    Rung("fed", REQUIRED, N_("DataKit hands its points on"), istio.fed, ("picked-up", "answers"), patient=True),
    Rung(
        "series",
        REQUIRED,
        N_("Its series arrive"),
        mesh_studio.series,
        ("studio/key", "filter", "fed"),
        patient=True,
        proof=True,
    ),
    Rung(
        "cluster-tag",
        REQUIRED,
        N_("They carry the cluster's name"),
        mesh_studio.cluster_tag,
        ("series",),
        patient=True,
        proof=True,
    ),
    Rung("fresh", REQUIRED, N_("They are fresh"), mesh_studio.fresh, ("series",), patient=True, proof=True),
    Rung(
        "panels",
        REQUIRED,
        N_("Its panels have data"),
        mesh_studio.panels,
        ("studio/key", "series", "cluster-tag", "fresh", "traffic", "histograms"),
        patient=True,
        proof=True,
    ),
)


def ladder(part: Part) -> tuple[Check, ...]:
    """The checks of one part, in the order of its points' way."""
    rungs = [rung for rung in LADDER if part.key in rung.of]
    own = {rung.key for rung in LADDER}
    return tuple(
        Check(
            f"{part.key}/{rung.key}",
            rung.severity,
            rung.title,
            _of(part, rung),
            tuple(
                f"{part.key}/{need}" if need in own else need
                for need in rung.needs
                if need not in own or any(one.key == need for one in rungs)
            ),
            rung.patient,
            route=part.key,
            proof=rung.proof,
        )
        for rung in rungs
    )


def _of(part: Part, rung: Rung) -> Callable[[Facts], Finding]:
    """The rung's look at one part. Where there is no such part, or nothing collects it, nothing is to be seen."""

    def look(facts: Facts) -> Finding:
        here = MeshFacts.of(facts).part(part)
        if not here.targets:
            return not_needed(_("The mesh has none."))
        if rung.asks and not here.sources:
            if any(one.collected for one in here.targets):
                return not_needed(_("What collects it keeps its text elsewhere."))
            return replace(not_needed(_("Nothing collects it.")), blocked_by=f"{part.key}/declared")
        finding = rung.look(facts, here)
        if rung.severity != REQUIRED or here.ours:
            return finding
        status = "warn" if finding.status in ("fail", "pending") else finding.status
        return replace(finding, status=status, needed=False)

    return look
