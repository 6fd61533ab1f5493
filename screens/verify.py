"""The proof that metrics arrive: the checks as they resolve, and each metric's course as it comes in."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.core import checks
from tui.core.checks import Facts, Report, Result, Samples
from tui.core.errors import WizardError
from tui.core.reports import verdict_line
from tui.i18n import N_, _
from tui.widgets import background
from tui.widgets.check_table import CheckTable
from tui.widgets.glyphs import glyph
from tui.widgets.plot import Plot
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble

VERDICTS = {"pass": ("ok", "$success"), "fail": ("fail", "$error"), "inconclusive": ("warn", "$warning")}


class VerifyScreen(StepScreen):
    """One run of the same checks that `datakit-wizard check` makes. It reads only."""

    STEP = "verify"
    HELP = N_(
        "## Verify\n\n"
        "The checks follow a point on its way: cluster, DataKit, etcd.conf, etcd, upload, studio; those of containers,"
        " Kubernetes, istiod, gateways and sidecars likewise. Each names what it looked at; the first that fails names"
        " the cause.\n\n"
        "- Some ask again until a deadline: a point needs a collection and an upload before it can be seen.\n"
        "- **Inconclusive** means that a required check could not be made, and says what it would need.\n"
        "- Below, each metric's course, newest value, growth a second and time of the newest scrape; of a counter the"
        " increase is drawn. Above them: when the next is due, and how long the last one took until it could be"
        " queried.\n\n"
        "The same without a screen: `datakit-wizard check -o text|json|junit`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", N_("Check again"), id="again", tooltip=N_("Run all checks anew")),
        Binding("l", "live", N_("Live"), id="live", tooltip=N_("The ETCD view's panels here in the terminal, live")),
        Binding("s", "anyway", N_("Go on anyway"), id="anyway", tooltip=N_("Leave it as it is and finish")),
    ]

    def content(self) -> ComposeResult:
        yield Prose(id="verdict", classes="tight")
        yield CheckTable(id="checks")
        yield Plot(id="plot")

    def entered(self) -> None:
        self.results: dict[str, Result] = {}
        self.samples = Samples()
        self.facts: Facts | None = None
        self._checking = False
        self._gone = False
        report = self.session.report
        if report is not None and report.ok and not self.session.applied_is_stale:
            self.results = {result.id: result for result in report.results}
            self._show_report(report)
        self.run(self._check)

    def on_unmount(self) -> None:
        self._gone = True

    # -- the run

    async def _check(self) -> None:
        session = self.session
        cluster, survey, backend = session.cluster, session.survey, self.backend
        if cluster is None or survey is None:
            return
        facts = Facts(
            backend,
            cluster.reader(),
            namespace=survey.datakit.namespace,
            daemonset=survey.datakit.name,
            studio=session.studio,
            no_studio=_("No workspace was chosen."),
        )
        self.facts = facts
        self.results = {}
        self._checking = True
        session.running = self.STEP
        on_result = background.to_loop(self._result)
        samples = self.samples
        self.working.start(_("Checking"))
        self.query_one("#verdict").display = False
        self.refresh_frame()
        try:
            report = await background.in_thread(
                lambda: checks.run(
                    facts, on_result=on_result, cancelled=lambda: self._gone or background.stopping(), samples=samples
                )
            )
        finally:
            self._checking = False
            session.running = ""
        session.report = report
        self.working.finish()
        self._show_report(report)
        self.post_message(self.Saved())
        self.refresh_frame()
        if report.ok:
            self.run(self._follow, group="follow")

    def _result(self, result: Result) -> None:
        if self._gone:
            return
        self.results[result.id] = result
        done = sum(1 for found in self.results.values() if found.status != "pending")
        text = _("{n} of {all} checks").format(n=done, all=len(self._chosen))
        if result.status == "pending":
            text += f" · {result.title}: {result.found}"
            if self.facts is not None and result.category in ("etcd", "dataway", "studio"):
                text += " · " + _("a scrape every {time}").format(time=self.facts.describe_interval())
        self.working.update(text)
        self.query_one("#checks", CheckTable).show(list(self.results.values()))
        self.show_go_on()

    async def _follow(self) -> None:
        """While the screen stays: read the newest values once an interval; only new ones are painted."""
        facts, samples = self.facts, self.samples
        if facts is None or facts.studio is None:
            return

        def look() -> float:
            facts.forget()
            checks.sample(facts, samples)
            return facts.interval_s

        self._show_plot(await background.in_thread(lambda: facts.interval_s))
        while not self._gone:
            # The studio allows 20 requests a minute.
            pause = max(await background.in_thread(look), 4.0)
            self._show_plot(pause)
            await asyncio.sleep(pause)

    def _show_plot(self, interval_s: float) -> None:
        newest = max((p[-1][0] for m in self.samples.series.values() for p in m.values() if p), default=0.0)
        head = ""
        if newest:
            due = time.strftime("%H:%M:%S", time.localtime(newest / 1000 + interval_s))
            scraped = time.strftime("%H:%M:%S", time.localtime(newest / 1000))
            head = _("Newest values, of {newest}; the next scrape is due at {due}").format(newest=scraped, due=due)
            if self.samples.delays:
                took = _("the last one was there {s} s after it was made")
                took = took.format(s=f"{max(self.samples.delays.values()):.1f}")
                head += f"; {took}"
        self.query_one("#plot", Plot).show(self.samples.series, head)

    def _show_report(self, report: Report) -> None:
        sign, tone = VERDICTS[report.verdict]
        verdict = assemble((glyph(sign) + " ", tone), (verdict_line(report), "bold"))
        self.query_one("#verdict", Prose).update(verdict)
        self.query_one("#verdict").display = True
        self.query_one("#checks", CheckTable).show(report.results)

    @property
    def _chosen(self) -> tuple[checks.Check, ...]:
        survey = self.session.survey
        return checks.chosen(mesh=survey is not None and bool(survey.mesh))

    # -- one check

    def on_check_table_moved(self, event: CheckTable.Moved) -> None:
        event.stop()
        self.show_go_on()
        self.refresh_bindings()

    def on_check_table_opened(self, event: CheckTable.Opened) -> None:
        event.stop()
        self.post_message(self.Failed(told(event.result)))

    def show_go_on(self) -> None:
        here = self.query_one(CheckTable).under_cursor
        if here is not None:
            self.go_on.show(_("Details: {title}").format(title=here.title))
        else:
            super().show_go_on()

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        if getattr(self, "_checking", True):
            done = sum(1 for found in getattr(self, "results", {}).values() if found.status != "pending")
            return _("Checking: {n} of {all}").format(n=done, all=len(self._chosen)), False
        if self.session.report is not None and self.session.report.ok:
            return _("Finish"), True
        return _("Check again"), True

    def action_go_on(self) -> None:
        if not self.go_on.ready:
            return
        if self.session.report is not None and self.session.report.ok:
            self.post_message(self.Leave("next"))
        else:
            self.run(self._check)

    def action_again(self) -> None:
        if not self._checking:
            self.run(self._check)

    def action_live(self) -> None:
        self.post_message(self.OpenLive("etcd"))

    def action_anyway(self) -> None:
        self.post_message(self.Leave("next"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "again":
            return not getattr(self, "_checking", True)
        if action == "live":
            return self.session.studio is not None
        if action == "anyway":
            report = self.session.report
            return report is None or not report.ok
        return super().check_action(action, parameters)

    def commands(self) -> list[tuple[str, str, str]]:
        survey = self.session.survey
        if survey is None:
            return []
        everything = f"datakit-wizard check --context {survey.context} -n {survey.datakit.namespace} -o text"
        shown = [(_("The same checks without a screen"), everything, _("Studio: Scenes → the ETCD view."))]
        for result in getattr(self, "results", {}).values():
            if result.status in ("fail", "warn") and result.command:
                shown.append((result.title, result.command, ""))
        return shown


def told(result: Result) -> WizardError:
    """A check that did not pass, as the page of an error tells it."""
    return WizardError(
        f"{result.title}: {result.found}" if result.found else result.title,
        object=result.object or result.looked_at,
        why="\n".join(result.causes),
        remedy=result.remedy,
        command=result.command,
    )
