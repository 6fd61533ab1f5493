"""Whether what was set up is still as it was: against the answers, or against a receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tui.core import drift
from tui.core.answers import Answers
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, not_needed, passed
from tui.core.checks.model import REQUIRED, Check
from tui.core.checks.studio import no_studio
from tui.core.desired import conf_text, named
from tui.core.drift import Field
from tui.core.plan import wanted_views
from tui.core.receipts import Receipt
from tui.i18n import N_, _, ngettext


def against_answers(answers: Answers, command: str) -> tuple[Check, ...]:
    """Checks of the cluster and the studio against answers; `command` would make it so."""

    def views(facts: Facts) -> list[Field]:
        assert facts.studio is not None
        given = named(answers, facts.survey)
        wanted = wanted_views(given, given.views.create, conf_text(given, facts.survey), facts.studio)
        return drift.of_views(facts.studio, facts.studio.workspace(), wanted)

    return _checks(lambda facts: drift.of_answers(answers, facts.survey), views, bool(answers.views.create), command)


def against_receipt(receipt: Receipt) -> tuple[Check, ...]:
    """Checks of the cluster and the studio against what a receipt says was written."""

    def views(facts: Facts) -> list[Field]:
        assert facts.studio is not None
        return drift.of_view_steps(facts.studio, receipt)

    return _checks(lambda facts: drift.of_receipt(facts.cluster, receipt), views, bool(receipt.views), "")


Look = Callable[[Facts], list[Field]]


def _checks(cluster: Look, views: Look, any_view: bool, command: str) -> tuple[Check, ...]:
    def in_studio(facts: Facts) -> Finding:
        if not any_view:
            return not_needed(_("No view was asked for."))
        if facts.studio is None:
            return no_studio(facts)
        return _finding(views(facts), command)

    return (
        Check(
            "drift/cluster",
            REQUIRED,
            N_("The cluster's objects are as they were set up"),
            lambda facts: _finding(cluster(facts), command),
            ("datakit/found",),
        ),
        Check("drift/studio", REQUIRED, N_("The views are as they were set up"), in_studio, ("studio/key",)),
    )


def _finding(found: Sequence[Field], command: str) -> Finding:
    wrong = drift.drifted(found)
    if not wrong:
        if not found:
            return not_needed(_("Nothing was set up here."))
        return passed(ngettext("{n} field as it was", "{n} fields as they were", len(found)).format(n=len(found)))
    missing = sum(one.state == drift.MISSING for one in wrong)
    return failed(
        _("{changed} of {all} changed, {missing} missing").format(
            changed=len(wrong) - missing, missing=missing, all=len(found)
        ),
        object=", ".join(dict.fromkeys(one.object for one in wrong)),
        causes=tuple(line for one in wrong for line in one.told().splitlines()),
        remedy=_("Find out who changed it; apply makes it as the answers ask again.") if command else "",
        command=command,
    )
