"""The checks: one ordered list; the wizard's last screen, `check` and its reports are renderings of one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from tui.core.checks import certificates, cluster, etcd, istio, studio
from tui.core.checks.certificates import expiries
from tui.core.checks.courses import courses
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, undecided
from tui.core.checks.model import INFO, REQUIRED, WARNING, Check, Course, Expiry, Report, Result, Samples
from tui.core.errors import ForbiddenError, WizardError
from tui.i18n import N_, _

__all__ = [
    "CHECKS",
    "Check",
    "Course",
    "Expiry",
    "Facts",
    "Report",
    "Result",
    "Samples",
    "courses",
    "default_wait_s",
    "expiries",
    "run",
]

CHECKS: tuple[Check, ...] = (
    Check("cluster/reachable", REQUIRED, N_("The API server answers"), cluster.reachable),
    Check("datakit/found", REQUIRED, N_("A DaemonSet runs DataKit"), cluster.found, ("cluster/reachable",)),
    Check("cluster/rights", WARNING, N_("Looking is allowed"), cluster.rights, ("datakit/found",)),
    Check("datakit/owner", WARNING, N_("No other tool undoes the change"), cluster.owner, ("datakit/found",)),
    Check("datakit/ready", REQUIRED, N_("All DataKit pods are ready"), cluster.ready, ("datakit/found",), True),
    Check("datakit/version", INFO, N_("DataKit answers"), cluster.version, ("datakit/found",), True),
    Check("conf/key", REQUIRED, N_("A conf collects etcd"), cluster.key, ("datakit/found",)),
    Check("conf/mounted", REQUIRED, N_("DataKit's pods mount it"), cluster.mounted, ("conf/key",)),
    Check("conf/fresh", REQUIRED, N_("The pods have its newest text"), cluster.fresh, ("conf/mounted",), True),
    Check("conf/loaded", REQUIRED, N_("DataKit loaded it"), cluster.loaded, ("conf/fresh",), True),
    Check("etcd/discovered", INFO, N_("The members of etcd are known"), etcd.discovered, ("datakit/found",)),
    Check("etcd/duplicate", WARNING, N_("No member is scraped twice"), etcd.duplicate, ("conf/mounted",)),
    Check(
        "etcd/elected-node",
        REQUIRED,
        N_("Who collects can reach etcd"),
        etcd.elected_node,
        ("conf/mounted",),
        True,
    ),
    Check(
        "etcd/election-tag",
        REQUIRED,
        N_("Points will carry the cluster's name"),
        etcd.election_tag,
        ("conf/mounted",),
    ),
    Check(
        "etcd/cert-readable",
        REQUIRED,
        N_("Certificates are readable"),
        certificates.readable,
        ("etcd/elected-node",),
    ),
    Check("etcd/cert-dates", REQUIRED, N_("Certificates are valid"), certificates.dates, ("etcd/cert-readable",)),
    Check("etcd/cert-pair", REQUIRED, N_("Certificate and key match"), certificates.pair, ("etcd/cert-readable",)),
    Check("etcd/cert-san", REQUIRED, N_("The server's name is right"), certificates.san, ("etcd/cert-readable",)),
    Check("etcd/answers", REQUIRED, N_("etcd answers with metrics"), etcd.answers, ("etcd/elected-node",), True),
    Check("etcd/filter", REQUIRED, N_("The filter keeps metrics"), etcd.kept, ("conf/mounted",)),
    Check("etcd/fed", REQUIRED, N_("DataKit hands them on"), etcd.fed, ("conf/loaded", "etcd/answers"), True),
    Check("dataway/uploaded", REQUIRED, N_("DataKit's uploads are accepted"), etcd.uploaded, ("etcd/fed",), True),
    Check("studio/key", REQUIRED, N_("The API key opens the workspace"), studio.key),
    Check(
        "studio/series",
        REQUIRED,
        N_("etcd's series arrive"),
        studio.series,
        ("studio/key", "conf/mounted", "etcd/fed"),
        True,
    ),
    Check(
        "studio/cluster-tag",
        REQUIRED,
        N_("They carry the cluster's name"),
        studio.cluster_tag,
        ("studio/series",),
        True,
    ),
    Check("studio/fresh", REQUIRED, N_("They are fresh"), studio.fresh, ("studio/series",), True),
    Check("views/etcd", INFO, N_("The ETCD view exists"), studio.etcd_view, ("studio/key", "datakit/found")),
)


def default_wait_s(facts: Facts) -> float:
    """How long `check` asks again where it is not told: three collections and an upload, in this cluster's time."""
    return max(5.0, 3 * facts.interval_s + 30 / facts.cluster.time_scale)


def run(
    facts: Facts,
    *,
    wait_s: float | None = None,
    on_result: Callable[[Result], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
    samples: Samples | None = None,
    also: Sequence[Check] = (),
) -> Report:
    """Run every check in order, then those in `also`, and return the report.

    `on_result` gets each result, and "pending" ones on the way. A patient check is asked again until it passes or
    `wait_s` (for the whole run, seconds) has gone by, as long as no required check failed; what needs a check that did
    not pass is skipped, naming it. `samples` collects etcd's values while the studio is asked.
    """
    started = facts.now()
    waits_for_what_is_due = wait_s is None
    results: dict[str, Result] = {}
    broken = False
    for check in _all(facts, also):
        if cancelled():
            break
        begun = facts.now()
        finding = _blocked(check, results)
        while finding is None:
            if wait_s is None and check.patient:
                wait_s = default_wait_s(facts)
            finding = _look(check, facts)
            if waits_for_what_is_due and finding.due_s > 0:
                wait_s = max(wait_s or 0.0, facts.now() - started + finding.due_s)
            if finding.status != "pending":
                break
            if on_result:
                on_result(_result(check, finding, facts, begun))
            if broken or cancelled() or facts.now() - started >= (wait_s or 0):
                finding = undecided(finding)
                break
            # What is due in minutes is not asked every few seconds: the studio counts requests.
            pause = min(max(facts.interval_s / 4, 0.25), 10.0 if finding.due_s > 30 else 3.0)
            finding = None
            sleep(pause)
            facts.forget()
        result = _result(check, finding, facts, begun)
        results[check.id] = result
        # Once a required check failed the verdict stands: what follows is looked at once, not waited for.
        broken = broken or (result.status == "fail" and result.severity == REQUIRED)
        if on_result:
            on_result(result)
        if samples is not None and check.id == "studio/fresh" and result.status == "pass":
            sample(facts, samples)
    return Report(tuple(results.values()), (facts.cluster.context,))


def _all(facts: Facts, also: Sequence[Check]) -> Iterator[Check]:
    """The checks in order; those of the mesh where there is one, which is known by then."""
    yield from CHECKS
    with suppress(WizardError):
        if facts.survey.mesh:
            yield from istio.CHECKS
    yield from also


def chosen(*, mesh: bool) -> tuple[Check, ...]:
    """The checks of a cluster with a mesh, or without."""
    return (*CHECKS, *istio.CHECKS) if mesh else CHECKS


def _blocked(check: Check, results: dict[str, Result]) -> Finding | None:
    """The skip of a check whose need did not pass, else None. A need that was skipped as not needed is met."""
    for need in check.needs:
        before = results.get(need)
        if before is None or before.status in ("pass", "warn"):
            continue
        if before.status == "skip" and before.severity == INFO:
            continue
        # The studio can prove the whole way by itself, whatever could not be looked at in the cluster.
        if before.status == "skip" and check.id.startswith("studio/") and need.startswith("etcd/"):
            continue
        root = before.blocked_by or need
        if results[root].status == "fail":
            return Finding("skip", skipped_because=_("{id} failed.").format(id=root), blocked_by=root)
        why = _("{id} was skipped: {why}").format(id=root, why=results[root].skipped_because)
        return Finding("skip", skipped_because=why, remedy=before.remedy, blocked_by=root)
    return None


def _look(check: Check, facts: Facts) -> Finding:
    """One look. An error becomes the check's finding: a missing right its skip, anything else its failure."""
    try:
        return check.test(facts)
    except ForbiddenError as error:
        return Finding(
            "skip",
            skipped_because=error.what,
            object=error.object,
            remedy=error.remedy,
            command=error.command,
        )
    except WizardError as error:
        return _failure(error)


def _failure(error: WizardError) -> Finding:
    return failed(
        error.what,
        object=error.object,
        causes=tuple(error.why.splitlines()),
        remedy=error.remedy,
        command=error.command,
    )


def _result(check: Check, finding: Finding, facts: Facts, begun: float) -> Result:
    passed = finding.status == "pass"
    now = facts.now()
    return Result(
        id=check.id,
        context=facts.cluster.context,
        route=check.route,
        category=check.category,
        severity=check.severity if finding.needed else INFO,
        status="warn" if finding.status == "fail" and check.severity != REQUIRED else finding.status,
        title=_(check.title),
        looked_at=finding.looked_at,
        found=finding.found,
        causes=finding.causes,
        object=finding.object,
        remedy=finding.remedy,
        command=finding.command,
        skipped_because=finding.skipped_because,
        blocked_by=finding.blocked_by,
        first_seen=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds") if passed else None,
        elapsed_ms=int((now - begun) * 1000),
    )


def sample(facts: Facts, samples: Samples) -> bool:
    """Read the newest value of each field that the conf sends, for a plot; True if any is new."""
    names = facts.probes[:8]
    values: dict[tuple[str, str], tuple[float, float]] = {}
    for (_measurement, name), answer in zip(names, facts.newest_points(names), strict=False):
        for series in answer:
            member = series.tags.get("instance") or series.tags.get("host", "")
            for row in series.rows:
                if row[0] is not None and len(row) > 1 and row[1] is not None:
                    values[name, member] = (row[0], row[1])
    return samples.add(values)
