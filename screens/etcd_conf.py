"""etcd.conf: how etcd is reached and which of its metrics are kept, the text that follows, and what it lets through."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, TextArea

from screens import etcd_conf_text
from screens.etcd_conf_text import LIVE, OWN
from screens.series import Passed, Source, needed, passed, sample, saved, scrape
from screens.series_pane import SeriesPane, brief
from tui.core import views
from tui.core.answers import CertificateAnswers
from tui.core.conf_findings import findings
from tui.core.conf_places import ERROR, Finding
from tui.core.desired import conf_text
from tui.core.errors import WizardError
from tui.core.prom.advice import Advice
from tui.core.proposal import certificates, cluster_name
from tui.core.survey import Survey
from tui.core.topology import consequence
from tui.core.view_schema import View
from tui.i18n import N_, _
from tui.widgets.background import in_thread
from tui.widgets.choices import Choices
from tui.widgets.field import Field
from tui.widgets.glyphs import plain
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble
from tui.widgets.toml_editor import TomlEditor

QUIET_S = 0.3  # after the last key press, before the text is looked at


class EtcdConfScreen(StepScreen):
    """Three panes over one text: the choices that make it, the text itself, and the series that pass it."""

    STEP = "etcd-conf"
    HELP = N_(
        "## etcd.conf\n\n"
        "- **Choices** make the text: how DataKit reaches etcd, and which metrics are kept.\n"
        "- **Text** is what will be written into the ConfigMap. It is read-only until **e**; Esc leaves editing.\n"
        "- **Series** are those of the last scrape: √ passes and its new name, – is dropped and by which setting."
        " Below stands what each rule did to the family under the cursor.\n"
        "- ‼ marks what a panel of the chosen views needs and the text drops: **f** makes the edit that keeps it.\n\n"
        "What DataKit cannot read it drops without a word: an error beside a line means that nothing would arrive."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", N_("Edit"), id="edit", tooltip=N_("Edit the text; Esc leaves editing")),
        Binding("escape", "leave_editing", N_("Leave editing"), id="leave-editing"),
        Binding(
            "f", "keep", N_("Keep it"), id="keep", tooltip=N_("Make the edit that keeps the family under the cursor")
        ),
        Binding("r", "reset", N_("Reset"), id="reset", tooltip=N_("Back to the text that follows from the choices")),
        Binding(
            "o",
            "file",
            N_("Open a file"),
            show=False,
            id="file",
            tooltip=N_("Take a saved scrape, where none can be had"),
        ),
        Binding("1", "pane('choices')", show=False, id="pane-1", tooltip=N_("The choices")),
        Binding("2", "pane('text')", show=False, id="pane-2", tooltip=N_("The text")),
        Binding("3", "pane('series')", show=False, id="pane-3", tooltip=N_("The series that pass")),
        Binding("right", "turn(1)", N_("Text, series"), id="turn", tooltip=N_("The next pane")),
        Binding("left", "turn(-1)", show=False),
    ]

    PANES = ("choices", "text", "series")

    def content(self) -> ComposeResult:
        yield Prose(id="tabs")
        with Vertical(id="choices"):
            yield Choices(id="strategy")
            yield Prose(id="consequence")
            yield Choices(id="preset")
            yield Prose(id="panels")
            with Vertical(id="name-part", classes="labelled"):
                yield Prose(id="name-label", classes="muted")
                yield Field(id="name")
        with Horizontal(id="text"):
            with Vertical(id="text-part"):
                yield TomlEditor("", id="editor")
                yield Prose(id="figures")
                with VerticalScroll(id="findings", can_focus=False):
                    yield Prose(id="findings-text")
            yield SeriesPane(id="beside")
        with Vertical(id="file-part", classes="labelled"):
            yield Prose(_("A file with what etcd answers at /metrics; Esc leaves"), classes="muted")
            yield Field(id="file")
        yield SeriesPane(id="series")

    # -- entering

    def entered(self) -> None:
        self.pane = "choices"
        self.found: list[Finding] = []
        self.trouble: WizardError | None = None
        self.passed = Passed()
        self.advice: list[Advice] = []
        self._next = ""  # the family that the cursor goes to when the outcome of an edit is there
        self.source: Source | None = None
        self._quiet: Timer | None = None
        self._editing = False
        self.query_one("#file-part").display = False
        self.own = self.session.answers.etcd.conf
        self._show_choices()
        self._show_name()
        self._show_pane()
        self._regenerate()
        self.run(self._scrape, group="scrape")

    @property
    def _survey(self) -> Survey:
        survey = self.session.survey
        assert survey is not None  # the flow lets nobody in before the cluster is chosen
        return survey

    @property
    def _views(self) -> list[View]:
        """The views that are to be created, that of etcd where none is."""
        return [views.view(key) for key in self.session.answers.views.create or ("etcd",)]

    @property
    def _live(self) -> str:
        """The etcd.conf that is in the cluster now, "" for none."""
        return str(((self._survey.conf or {}).get("data") or {}).get("etcd.conf", ""))

    # -- the choices

    def _show_choices(self) -> None:
        etcd = self.session.answers.etcd
        chosen = etcd.strategy
        if etcd.conf:
            chosen = LIVE if etcd.conf == self._live else OWN
        rows = etcd_conf_text.strategies(etcd, self._survey.topology, self._live, self.own)
        self.query_one("#strategy", Choices).show(rows, chosen)
        self.query_one("#preset", Choices).show(etcd_conf_text.presets(self._survey.topology), etcd.preset)

    def _show_name(self) -> None:
        survey = self._survey
        open_name = survey.cluster_name in ("", "default")
        self.query_one("#name-part").display = open_name
        if open_name:
            field = self.query_one("#name", Field)
            field.value = self.session.answers.cluster.name or cluster_name(survey)
            label = _("Name of this cluster on every point (cluster_name_k8s); the views filter by it")
            self.query_one("#name-label", Prose).update(plain(label))

    def on_choices_moved(self, event: Choices.Moved) -> None:
        super().on_choices_moved(event)
        row = event.choices.under_cursor
        if event.choices.id == "strategy" and row is not None:
            self._show_consequence(row.key)

    def on_choices_changed(self, event: Choices.Changed) -> None:
        event.stop()
        chosen = event.choices.chosen
        if chosen is None:
            return
        answers = self.session.answers
        if event.choices.id == "preset":
            etcd = replace(answers.etcd, preset=chosen.key, conf="")
            self.session.answers = replace(answers, etcd=etcd)
        elif chosen.key in (OWN, LIVE):
            text = self.own if chosen.key == OWN else self._live
            self.session.answers = replace(answers, etcd=replace(answers.etcd, conf=text))
        else:
            preset = "tutorial" if chosen.key == "tutorial" else answers.etcd.preset
            if answers.etcd.strategy == "tutorial" and chosen.key != "tutorial":
                preset = "recommended"
            self.session.answers = replace(
                answers,
                etcd=replace(answers.etcd, strategy=chosen.key, preset=preset, conf=""),
                certificates=certificates(self._survey, chosen.key),
            )
        strategy = self.query_one("#strategy", Choices).chosen
        if event.choices.id == "preset" and strategy is not None and strategy.key in (OWN, LIVE):
            self._show_choices()
        elif event.choices.id == "strategy":
            self.query_one("#preset", Choices).choose(self.session.answers.etcd.preset)
        self.session.visited.discard("certificates")
        self._regenerate()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.id != "name":
            return
        cluster = replace(self.session.answers.cluster, name=event.value.strip())
        self.session.answers = replace(self.session.answers, cluster=cluster)
        self._later()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "file":
            self.run(self._open, group="scrape")
        else:
            self.action_go_on()

    # -- the text

    def _regenerate(self) -> None:
        """The text that follows from the answers, into the editor; then look at it."""
        self.trouble = None
        try:
            text = conf_text(self.session.answers, self._survey)
        except WizardError as error:
            self.trouble, text = error, ""
        editor = self.query_one("#editor", TomlEditor)
        if editor.text != text:
            with self.prevent(TextArea.Changed):
                editor.load_text(text)
        self._look()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self._editing:
            self._later()

    def _later(self) -> None:
        if self._quiet is not None:
            self._quiet.stop()
        self._quiet = self.set_timer(QUIET_S, self._settled)

    def _settled(self) -> None:
        if self._editing:
            self._keep()
            self._look()
        else:
            self._regenerate()

    def _keep(self) -> None:
        """The edited text becomes the answer, unless it is what the choices give anyway."""
        text = self.query_one("#editor", TomlEditor).text
        answers = self.session.answers
        plainly = replace(answers, etcd=replace(answers.etcd, conf=""))
        try:
            generated = conf_text(plainly, self._survey)
        except WizardError:
            generated = ""
        self.own = "" if text == generated else text
        self.session.answers = plainly if text == generated else replace(answers, etcd=replace(answers.etcd, conf=text))

    def _look(self) -> None:
        self.run(self._analyse, group="look")

    async def _analyse(self) -> None:
        text = self.query_one("#editor", TomlEditor).text
        source = self.source or sample("")
        env = {**self._survey.datakit.env, "ENV_K8S_NODE_NAME": source.node or "node"}

        def look() -> tuple[list[Finding], Passed]:
            return (findings(text) if text.strip() else []), passed(text, source.body, env)

        self.found, self.passed = await in_thread(look)
        self._show_findings()
        self._show_series()
        self._show_tabs()
        self._show_panels()
        self.refresh_frame()
        # While the text cannot be read, the advice of the last good one stays as well.
        if not self.passed.stale:
            chosen = self._views
            self.advice = await in_thread(lambda: needed(text, source.body, env, chosen)) if text.strip() else []
            self._show_series()
            self.refresh_bindings()

    async def _scrape(self) -> None:
        """The last scrape, through a DataKit pod; a sample stands in until it is there, and where it cannot be had."""
        cluster, survey, backend = self.session.cluster, self._survey, self.backend
        if cluster is None:
            return
        try:
            text = conf_text(self.session.answers, survey)
        except WizardError:
            text = ""
        self.source = await in_thread(lambda: scrape(backend, cluster, survey, text))
        await self._analyse()

    async def _open(self) -> None:
        """A saved scrape in place of the sample."""
        path = self.query_one("#file", Field).value.strip()
        self.source = await in_thread(lambda: saved(path))
        self.action_leave_editing()
        await self._analyse()

    # -- showing

    def _show_tabs(self) -> None:
        at = self.PANES.index(self.pane)
        self.query_one("#tabs", Prose).update(etcd_conf_text.tabs(at, self.found, self.passed))

    def _show_findings(self) -> None:
        text = self.query_one("#editor", TomlEditor).text
        said = etcd_conf_text.told(self.trouble, self.found, nothing=not text.strip())
        self.query_one("#findings-text", Prose).update(said)

    def _show_series(self) -> None:
        for name in ("#series", "#beside"):
            pane = self.query_one(name, SeriesPane)
            pane.show(self.passed, self.advice, self._views, self.source, prefer=self._next)
        self._next = ""
        self.query_one("#figures", Prose).update(assemble(*brief(self.passed, self._views)))

    def _show_consequence(self, key: str) -> None:
        if key in (OWN, LIVE):
            text = _("A text of its own: DataKit gets it as it is, until you choose a strategy or a filter again.")
        else:
            text = consequence(key, self._survey.topology)
        self.query_one("#consequence", Prose).update(plain(text))

    def _show_panels(self) -> None:
        """What the choices lead to: the strategy's consequence, and how much of the view they fill."""
        etcd = self.session.answers.etcd
        chosen = self.query_one("#strategy", Choices).under_cursor
        self._show_consequence(chosen.key if chosen is not None else etcd.strategy)
        self.query_one("#panels", Prose).update(etcd_conf_text.filled(self.passed))

    # -- panes and editing

    def _show_pane(self) -> None:
        for pane in self.PANES:
            self.query_one(f"#{pane}").display = pane == self.pane
        self.query_one("#heading").display = self.pane == "choices"
        self.body.set_class(self.pane != "choices", "-whole")
        self._show_tabs()

    def action_pane(self, pane: str) -> None:
        """Show one of the three panes; the focus follows, so that the arrows do what one expects."""
        self.pane = pane
        self._show_pane()
        focus: Widget = self.go_on
        if pane == "series":
            focus = self.query_one("#series", SeriesPane).families
        elif pane == "text":
            focus = self.query_one("#editor")
        focus.focus(scroll_visible=False)
        self.call_after_refresh(self._shown.families.reveal)
        self.refresh_bindings()

    def action_turn(self, by: int) -> None:
        """The next or the previous pane."""
        index = self.PANES.index(self.pane) + by
        if 0 <= index < len(self.PANES):
            self.action_pane(self.PANES[index])

    def action_edit(self) -> None:
        self._editing = True
        self.action_pane("text")
        editor = self.query_one("#editor", TomlEditor)
        editor.set_editing(True)
        worst = next((found for found in self.found if found.severity == ERROR), None)
        if worst is not None:
            editor.go_to(worst.line, worst.column)
        self.refresh_frame()

    @property
    def _shown(self) -> SeriesPane:
        """The pane with the families: that beside the text, or the one of its own."""
        return self.query_one("#beside" if self.pane == "text" else "#series", SeriesPane)

    def action_keep(self) -> None:
        """Make the edit that keeps the family under the cursor; all else in the text stays as it is."""
        pane = self._shown
        one = pane.chosen
        if one is None or one.edit is None:
            return
        editor = self.query_one("#editor", TomlEditor)
        try:
            text = one.edit.apply(editor.text)
        except WizardError as error:
            self.post_message(self.Failed(error))
            return
        self._next = pane.after(one.family.family)
        with self.prevent(TextArea.Changed):
            editor.load_text(text)
        self._keep()
        self._show_choices()
        self._look()

    def action_file(self) -> None:
        """Ask for a saved scrape."""
        self.action_pane("series")
        self.query_one("#file-part").display = True
        self.query_one("#file", Field).focus()
        self.refresh_frame()

    @property
    def _asking(self) -> bool:
        """Whether the person is asked for a file."""
        return bool(self.is_mounted and self.query_one("#file-part").display)

    def action_leave_editing(self) -> None:
        if self._asking:
            self.query_one("#file-part").display = False
            self.query_one("#series", SeriesPane).families.focus(scroll_visible=False)
            self.refresh_frame()
        if self._editing:
            self._editing = False
            self.query_one("#editor", TomlEditor).set_editing(False)
            self._keep()
            self._show_choices()
            self._look()
            self.go_on.focus(scroll_visible=False)
            self.refresh_frame()

    def action_reset(self) -> None:
        answers = self.session.answers
        self.own = ""
        self.session.answers = replace(answers, etcd=replace(answers.etcd, conf=""))
        self._show_choices()
        self._regenerate()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        editing = getattr(self, "_editing", False)
        if action == "leave_editing":
            return editing or self._asking
        if self._asking and action in ("edit", "turn", "pane", "back", "command", "keep", "reset"):
            return False
        if action == "file":
            source = getattr(self, "source", None)
            return not editing and source is not None and not source.node
        if editing and action in ("edit", "turn", "pane", "go_on", "back", "command"):
            return False
        if action == "keep":
            return self._can_keep()
        if action == "edit":
            return bool(self.session.answers.etcd.conf) or self.session.answers.etcd.strategy != "none"
        if action == "reset":
            return bool(self.session.answers.etcd.conf)
        return super().check_action(action, parameters)

    def _can_keep(self) -> bool:
        if getattr(self, "pane", "choices") == "choices" or not self.is_mounted:
            return False
        pane = self._shown
        one = pane.chosen
        return bool(pane.display and one is not None and one.edit is not None)

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        if getattr(self, "_editing", False):
            return _("Esc leaves editing"), False
        if self._asking:
            return _("Read this file"), True
        if getattr(self, "trouble", None) is not None:
            return _("This choice is not possible here"), False
        worst = next((found for found in getattr(self, "found", ()) if found.severity == ERROR), None)
        if worst is not None:
            return _("First mend line {line}: e edits the text").format(line=worst.line), False
        return _("Go on to the certificates"), True

    def action_go_on(self) -> None:
        if not self.go_on.ready:
            return
        if self.session.answers.etcd.strategy == "none" and not self.session.answers.etcd.conf:
            self.session.answers = replace(self.session.answers, certificates=CertificateAnswers())
        self.post_message(self.Leave("next"))

    def commands(self) -> list[tuple[str, str, str]]:
        survey = self._survey
        url = next(iter(survey.topology.urls(self.session.answers.etcd.strategy)), "http://127.0.0.1:2381/metrics")
        namespace, datakit = survey.datakit.namespace, survey.datakit.name
        return [
            (
                _("See what etcd says, from inside a DataKit pod"),
                f"kubectl --context {survey.context} -n {namespace} exec ds/{datakit} -- curl -sS {url}",
                _("Rancher: Workloads → Pods → namespace {namespace} → Execute Shell.").format(namespace=namespace),
            ),
            (
                _("See what this conf makes of it"),
                "datakit-wizard preview etcd.conf metrics.txt",
                _("There is no such place in Rancher or in the studio."),
            ),
        ]
