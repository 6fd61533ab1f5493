"""From an empty panel to its cause: the first broken hop on the way of its data, and the one command that mends it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.core import checks, report_why
from tui.core.checks import Facts
from tui.core.checks import panel as panels
from tui.core.checks.panel import Why
from tui.core.errors import WizardError
from tui.core.reports import details, outcome
from tui.core.steps import Session
from tui.core.view_schema import Panel, View, translation
from tui.i18n import N_, _, language
from tui.widgets import background
from tui.widgets.check_table import SIGNS, Parts
from tui.widgets.choices import Choice, Choices
from tui.widgets.error_page import copy
from tui.widgets.glyphs import glyph, muted
from tui.widgets.page import Page
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble, paragraph
from tui.widgets.working import Working


class WhyPage(Page[None]):
    """Looks once when it opens, as `datakit-wizard why` does, and waits for nothing. It reads only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", N_("Copy"), tooltip=N_("Copy the command that mends it")),
    ]

    def __init__(self, session: Session, view: View, panel: Panel) -> None:
        super().__init__()
        self.session = session
        self.view = view
        self.panel = panel
        self.command = ""
        self._gone = False

    def content(self) -> ComposeResult:
        title = f"{self.view.title(language())} › {self.panel.key} {translation(self.panel.title, language())}"
        yield paragraph((title, "bold"))
        yield Prose(id="why")
        yield Prose(id="command", classes="wide")
        yield Working(id="working")

    def on_mount(self) -> None:
        self.run_worker(self._look(), exit_on_error=True)

    def on_unmount(self) -> None:
        self._gone = True

    async def _look(self) -> None:
        working = self.query_one("#working", Working)
        working.start(_("Looking along the way of its data"))
        try:
            found = await background.in_thread(self._why)
        except WizardError as error:
            working.finish("fail", error.what)
            self.query_one("#why", Prose).update(assemble("\n", "\n".join(error.lines())))
            return
        if not self._gone:
            working.finish()
            self._show(found)

    def _why(self) -> Why:
        session, view, panel = self.session, self.view, self.panel
        if session.cluster is None or session.backend is None:
            raise WizardError(_("No cluster was chosen."))
        survey = session.survey
        facts = Facts(
            session.backend,
            session.cluster.reader(),
            namespace=survey.datakit.namespace if survey is not None else "",
            daemonset=survey.datakit.name if survey is not None else "",
            studio=session.studio,
            no_studio=_("No workspace was chosen."),
        )
        report = checks.run(
            facts,
            wait_s=0.0,
            cancelled=lambda: self._gone or background.stopping(),
            checks=panels.checks_for(view, panel),
            also=(panels.check(view, panel),),
        )
        return panels.judged(view, panel, report)

    def _show(self, why: Why) -> None:
        sign, tone = SIGNS["pass" if why.filled else why.own.status if why.own is not None else "skip"]
        parts: Parts = ["\n", (glyph(sign) + " ", tone), (report_why.verdict(why), "bold"), "\n"]
        hop = why.hop
        if hop is not None:
            sign, tone = SIGNS[hop.status]
            parts += ["\n", (_("First broken hop"), muted()), "\n"]
            parts += [(glyph(sign) + " ", tone), f"{hop.title}: {outcome(hop)}", (f"  {hop.id}", muted()), "\n"]
            parts += [part for line in details(hop) for part in (("  " + line, muted()), "\n")]
            self.command = hop.command
        self.query_one("#why", Prose).update(assemble(*parts))
        if self.command:
            told = assemble((_("This mends it:"), muted()), "\n", self.command)
            self.query_one("#command", Prose).update(told)
        self.refresh_bindings()

    def action_copy(self) -> None:
        copy(self, self.command)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "copy":
            return bool(self.command)
        return True


class PanelsPage(Page[None]):
    """The panels of a view; Enter asks why the one under the cursor is empty."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "ask", N_("Why is it empty?"))]

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        rows = [Choice(one.key, f"{one.key}  {translation(one.title, language())}") for one in view.panels]
        self.choices = Choices(rows, rows[0].key, follow=True)

    def content(self) -> ComposeResult:
        yield paragraph((self.view.title(language()), "bold"), "\n")
        yield self.choices

    def on_mount(self) -> None:
        self.choices.focus()

    def action_ask(self) -> None:
        row = self.choices.under_cursor
        if row is not None:
            self.dismiss(None)
            self.app.post_message(StepScreen.OpenWhy(self.view.key, row.key))
