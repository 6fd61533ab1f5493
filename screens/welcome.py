"""The first screen: what the wizard will do, and where a person left off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult

from tui.core.steps import STEPS
from tui.i18n import N_, _
from tui.widgets.choices import Choice, Choices
from tui.widgets.glyphs import glyph, muted
from tui.widgets.step_screen import StepScreen, paragraph

if TYPE_CHECKING:
    from tui.core.receipts import Receipt


class WelcomeScreen(StepScreen):
    """What this is, what it needs, and that nothing is changed before the review."""

    STEP = "welcome"
    CSS_PATH: ClassVar[Path | None] = None  # the frame's style is all that the first frame needs
    HELP = N_(
        "## The wizard\n\n"
        "It follows the tutorial's second part: make etcd (later Kubernetes and Istio too) observable with DataKit.\n\n"
        "- **Enter** does what the last line says, **b** goes back; answers are kept.\n"
        "- The arrows move between choices and lines; **Tab** reaches the list of steps on the left.\n"
        "- **c** shows the command that does the same by hand, **^P** lists everything that can be done here.\n"
        "- Nothing is written to the cluster or the workspace before the step Review, and there only after Enter.\n\n"
        "Over SSH a lost line ends the wizard: run it in tmux, or start it again and go on from where you were."
    )

    def heading(self) -> str:
        return _("See what etcd, Kubernetes and Istio are doing")

    def content(self) -> ComposeResult:
        dot = (glyph("dot") + " ", "$accent")
        yield paragraph(
            _(
                "This wizard sets up DataKit so that etcd's metrics reach your workspace, creates the monitoring view,"
                " and proves that the metrics arrive."
            ),
            "\n\n",
            dot,
            _("It looks first, and changes nothing while it looks."),
            "\n",
            dot,
            _("It shows every change and its cost before making it."),
            "\n",
            dot,
            _("It keeps a receipt; undo takes back just what it did."),
        )
        if self.given.resume_step:
            title = next((_(s.title) for s in STEPS if s.key == self.given.resume_step), self.given.resume_step)
            yield paragraph(
                _("You left off at “{step}” in {context}, {saved}.").format(
                    step=title, context=self.given.context, saved=self.given.resume_saved
                )
            )
            yield Choices(
                [
                    Choice("resume", _("Go on from there"), _("with the answers you gave")),
                    Choice("anew", _("Begin anew"), _("the kept answers are replaced")),
                ],
                "resume",
                follow=True,
                id="begin",
            )
        if self.session.lab is not None or self.given.practice:
            yield paragraph(
                (
                    _("Practice lab: everything you see runs on this machine and is gone when you leave."),
                    muted(),
                ),
                id="lab",
            )

    async def opened(self) -> None:
        if self.given.unfinished is not None:
            await self.show_broken_off()

    async def show_broken_off(self) -> None:
        """What was begun and not finished, where it was, and what can be done about it. Mounted when it is known."""
        left = self.given.unfinished
        await self.query(".broken-off").remove()
        if left is None:
            self.show_go_on()
            return
        from tui.core.reports import receipt_text

        said = _("What was begun at {time} in {context}, {namespace} is not finished:").format(
            time=left.started, context=left.context, namespace=left.namespace
        )
        sign = (glyph("warn") + " ", "$warning")
        rows = [
            Choice("finish", _("Finish it"), _("its cluster, then the review")),
            Choice("undo", _("Undo it"), _("shows first what that would do")),
            Choice("leave", _("Something else"), _("the receipt stays as it is")),
        ]
        await self.body.mount(
            paragraph(sign, said, "\n", receipt_text(left).rstrip("\n"), classes="broken-off"),
            Choices(rows, "finish", follow=True, id="unfinished"),
            after="#heading",
        )
        self.query_one("#unfinished").add_class("broken-off")
        self.show_go_on()

    @property
    def _about_unfinished(self) -> str:
        """What to do with what was broken off: "finish", "undo" or "leave"; "" where nothing was."""
        found = self.query("#unfinished").results(Choices)
        return next((each.chosen.key for each in found if each.chosen is not None), "")

    def go_on_text(self) -> tuple[str, bool]:
        if self.given.unopened:
            return _("Try again"), True
        left = self.given.unfinished
        if left is not None and self._about_unfinished == "finish":
            return _("Go on in {context}").format(context=left.context), True
        if left is not None and self._about_unfinished == "undo":
            return _("Look at what undo would do"), True
        if self.given.practice and self.session.backend is None:
            return _("Go on as soon as the lab is ready"), True
        return _("Choose the cluster"), True

    def focus_first(self) -> None:
        # A change of focus styles half the screen again: after the first frame, not before it.
        self.call_after_refresh(super().focus_first)

    def on_choices_changed(self, event: Choices.Changed) -> None:
        if event.choices.id == "unfinished":
            self.show_go_on()
            return
        self.given.resume = event.choices.chosen is not None and event.choices.chosen.key == "resume"

    def action_go_on(self) -> None:
        if self.given.unopened:
            if not self.working.busy:
                self.given.unopened = False
                self.post_message(self.OpenAgain())
                self.refresh_frame()
            return
        left, what = self.given.unfinished, self._about_unfinished
        if left is not None and what == "undo":
            self._undo(left)
            return
        if left is not None and what == "finish":
            self.given.context, self.given.namespace = left.context, left.namespace
        self.wanted = True
        self.go_when_open()

    def _undo(self, left: Receipt) -> None:
        from screens.undo import UndoPage

        def answered(undone: bool | None) -> None:
            if undone:
                self.given.unfinished = None
                self.working.finish("ok", _("Undone."))
            self.run(self.show_broken_off)
            self.refresh_frame()

        self.app.push_screen(UndoPage(self.session, self.given, left), answered)

    wanted = False

    def go_when_open(self) -> None:
        """Go on once the backend is there; Enter pressed before that is remembered."""
        if self.wanted and self.session.backend is not None and self.is_current:
            self.wanted = False
            self.post_message(self.Leave("next"))

    def refresh_frame(self) -> None:
        super().refresh_frame()
        self.go_when_open()

    def on_screen_resume(self) -> None:
        if self.is_mounted and self.session.backend is not None:
            self.refresh_frame()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return False
        return super().check_action(action, parameters)
