"""The one Textual app: it joins backend, lab and screens, and keeps what is true of every screen.

Import it only for the wizard, after `tui.terminal.prepare_environment`: Textual reads its environment at import.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES, Theme

from tui import flow
from tui.core.errors import Exit, WizardError
from tui.core.steps import LabInfo, Session
from tui.i18n import N_, _, assets, use_language
from tui.terminal import MIN_COLUMNS, MIN_ROWS, Look
from tui.widgets import background
from tui.widgets.given import Given, Secret
from tui.widgets.glyphs import use_ansi, use_ascii
from tui.widgets.step_screen import StepScreen

DARK = Theme(
    name="wizard-dark",
    primary="#5ec4d4",
    secondary="#5ec4d4",
    accent="#5ec4d4",
    warning="#e5b567",
    error="#e8778a",
    success="#8cc98f",
    foreground="#d5dae0",
    background="#12161b",
    surface="#12161b",
    panel="#1b2128",
    variables={
        "text-muted": "#8a94a0",
        "rule": "#323b45",
        "cursor-back": "#24424a",
        "cursor-text": "#eaf6f8",
    },
)
if TYPE_CHECKING:
    from tui.core.ports import Backend
    from tui.core.receipts import Receipt

_TERMINAL = BUILTIN_THEMES["ansi-dark"]
ANSI = replace(
    _TERMINAL,
    name="wizard-ansi",
    primary="ansi_cyan",
    accent="ansi_cyan",
    variables={
        **_TERMINAL.variables,
        "text-muted": "ansi_default",
        "rule": "ansi_bright_black",
        "cursor-back": "ansi_cyan",
        "cursor-text": "ansi_black",
    },
)


@dataclass
class World:
    """What the wizard works on, once it is open: for a practice lab also its presets, which need not be asked."""

    backend: Backend
    state_dir: Path
    lab: LabInfo | None = None
    context: str = ""
    namespace: str = ""
    endpoint: str = ""
    key: Secret = field(default_factory=lambda: Secret(""))
    key_source: str = ""


@dataclass
class Options:
    """What the command line decided for the wizard.

    `open` makes the world: it imports what is heavy, starts the practice lab for a demo, and is called once, in a
    thread, after the first frame. `close` undoes that after the last one. `state_dir` keeps place and answers until the
    world says otherwise.
    """

    open: Callable[[], World]
    look: Look
    state_dir: Path
    language: str = ""
    given: Given = field(default_factory=Given)
    close: Callable[[], None] = lambda: None


class WizardApp(App[int]):
    """The wizard. Its exit value is the command's exit status."""

    TITLE = "DataKit Wizard"
    CSS_PATH = assets() / "tcss" / "wizard.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    ALLOW_SELECT = False
    NOTIFICATION_TIMEOUT = 4
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - so declared by Textual
        (100, "-wide"),
        (128, "-broad"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "ask_quit(130)", N_("Leave"), id="leave", priority=True, key_display="^C"),
        Binding("ctrl+q", "ask_quit(0)", show=False, priority=True),
        Binding("q", "ask_quit(0)", show=False),
    ]

    def __init__(self, options: Options) -> None:
        use_ascii(options.look.ascii)
        use_ansi(options.look.ansi)
        # Before anything is made: App chooses its colour filters by the theme that it finds, and a later change would
        # read the style sheet a second time.
        self.set_reactive(App.theme, ANSI.name if options.look.ansi else DARK.name)
        super().__init__(ansi_color=options.look.ansi)
        self.set_class(options.look.ascii, "-ascii")
        self.options = options
        self.given = options.given
        self.session = Session(state_dir=options.state_dir)
        self.current = flow.WELCOME

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Our two themes, known from the first moment, and Textual's."""
        return {**super().available_themes, ANSI.name: ANSI, DARK.name: DARK}

    # -- the beginning

    def get_default_screen(self) -> Screen[None]:
        place = None if self.given.practice else flow.load(self.options.state_dir)
        if place is not None:
            self.given.resume_step, self.given.resume_saved = place.step, place.saved
            self.given.context = self.given.context or place.context
            self.given.namespace = self.given.namespace or place.namespace
            self.given.endpoint = self.given.endpoint or place.endpoint
        return flow.build(flow.WELCOME, self.session, self.given)

    def on_mount(self) -> None:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.leave, 128 + number)
        self.call_after_refresh(self._check_size)
        self.call_after_refresh(self._open_world)

    def _open_world(self) -> None:
        self.run_worker(self._open(), group="world", exclusive=True, exit_on_error=True)

    async def _open(self) -> None:
        """Open the world: the first thing that costs time, so it comes after the first frame."""
        welcome = next(screen for screen in self.screen_stack if isinstance(screen, StepScreen))
        began = time.monotonic()
        if self.given.practice:
            welcome.working.start(_("Starting the practice lab: control plane, nodes, etcd, studio"))
        try:
            world = await background.in_thread(self.options.open)
            self.given.unfinished = await background.in_thread(lambda: flow.broken_off(world.state_dir))
            if self.given.resume_step:
                self.given.answers = await background.in_thread(lambda: flow.kept_answers(world.state_dir))
        except WizardError as error:
            welcome.working.finish("fail", error.what)
            self.given.unopened = True
            welcome.refresh_frame()
            self.show_error(error)
            return
        self.given.unopened = False
        if world.lab is not None:
            seconds = time.monotonic() - began
            text = _("The practice lab is ready after {n:.1f} s; etcd: {etcd}.").format(n=seconds, etcd=world.lab.etcd)
            welcome.working.finish("ok", text)
        self._take(world)
        await welcome.opened()
        welcome.refresh_frame()

    def on_step_screen_open_again(self, _message: StepScreen.OpenAgain) -> None:
        self._open_world()

    def _take(self, world: World) -> None:
        """The world's own presets win over what was given: a lab's traces stay in its folder."""
        self.session.backend = world.backend
        self.session.lab = world.lab
        self.session.state_dir = world.state_dir
        for name in ("context", "namespace", "endpoint", "key", "key_source"):
            value = getattr(world, name)
            if value:
                setattr(self.given, name, value)

    # -- from step to step

    def on_step_screen_leave(self, message: StepScreen.Leave) -> None:
        """A step is done with: show the one that it leads to."""
        if message.how == "back":
            self.go(flow.before(self.current, self.session))
        elif message.how == "to":
            reason = flow.refusal(message.target, self.session)
            if reason:
                self.notify(reason, severity="warning")
            else:
                self.go(message.target)
        elif self.current == "done":
            self.session.visited.add("done")
            self.leave(Exit.OK)
        else:
            if message.how == "skip":
                self.session.skipped.add(self.current)
            else:
                self.session.skipped.discard(self.current)
                self.session.visited.add(self.current)
            self.go(self._resumed() or flow.after(self.current, self.session))

    def _resumed(self) -> str:
        """Where a person left off, once cluster and workspace are settled; "" otherwise."""
        if self.current != "workspace" or not self.given.resumed:
            return ""
        self.given.resumed = False
        order = flow.keys()
        target = self.given.resume_step
        if order.index(target) <= order.index("workspace") or target == "done":
            return ""
        self.session.visited |= set(order[order.index("workspace") : order.index(target)])
        return target

    def go(self, key: str) -> None:
        """Show the screen of a step, built from the model as it is now."""
        if key == self.current:
            return
        if self.session.running == "review":
            self.notify(_("First let this finish, or stop it with x."))
            return
        before, self.current = self.current, key
        self.save()
        if key == flow.WELCOME:
            self.pop_screen()
        elif before == flow.WELCOME:
            # The app's first screen stays below: Textual cannot replace it.
            self.push_screen(flow.build(key, self.session, self.given))
        else:
            self.switch_screen(flow.build(key, self.session, self.given))

    def save(self) -> None:
        """Keep place and answers, for the next run."""
        flow.save(self.session, self.current, time.strftime("%Y-%m-%d %H:%M"))

    def on_step_screen_saved(self, _message: StepScreen.Saved) -> None:
        self.save()

    # -- pages above a step

    def on_step_screen_failed(self, message: StepScreen.Failed) -> None:
        self.show_error(message.error)

    def show_error(self, error: WizardError) -> None:
        """The page of an error, above the step where it happened."""
        from tui.widgets.error_page import ErrorPage

        self.push_screen(ErrorPage(error, self.session.state_dir))

    def on_step_screen_show_help(self, _message: StepScreen.ShowHelp) -> None:
        from tui.widgets.help_page import HelpPage

        self.push_screen(HelpPage(self.screen))

    def on_step_screen_show_command(self, _message: StepScreen.ShowCommand) -> None:
        from tui.widgets.command_reveal import CommandReveal

        if isinstance(self.screen, StepScreen):
            self.push_screen(CommandReveal(self.screen.commands(), self.session.state_dir))

    def on_step_screen_open_live(self, message: StepScreen.OpenLive) -> None:
        from screens.live import LivePage

        self.push_screen(LivePage(self.session, message.key))

    def on_step_screen_open_why(self, message: StepScreen.OpenWhy) -> None:
        from screens.why import WhyPage
        from tui.core import views
        from tui.core.checks import panel

        view = views.view(message.view)
        self.push_screen(WhyPage(self.session, view, panel.find(view, message.panel)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: the steps, and what the keys of this screen do."""
        if isinstance(screen, StepScreen):
            for step in self.session.steps:
                if not flow.refusal(step.key, self.session):
                    title = f"{step.number} {_(step.title)}".strip()
                    yield SystemCommand(
                        _("Step: {title}").format(title=title),
                        _(self.session.state(step.key).word),
                        lambda key=step.key: self.go(key),
                    )
            offered: set[str] = set()
            for active in screen.active_bindings.values():
                binding = active.binding
                if not (binding.description and binding.id and active.enabled) or binding.action in offered:
                    continue
                offered.add(binding.action)
                if binding.id != "leave":
                    yield SystemCommand(
                        _(binding.description),
                        _(binding.tooltip) if binding.tooltip else "",
                        lambda node=active.node, action=binding.action: self.call_later(self.run_action, action, node),
                    )
        yield SystemCommand(_("Leave"), _("Answers are kept; the wizard goes on from here next time"), self.ask)

    def action_command_palette(self) -> None:
        """The palette, still and in the person's language."""
        from textual.command import CommandPalette

        if isinstance(self.screen, StepScreen):
            palette = CommandPalette(placeholder=_("A step or an action"), id="--command-palette")
            self.push_screen(palette)
            self.call_after_refresh(self._calm, palette)

    def _calm(self, palette: Screen[object]) -> None:
        """Nothing blinks, here neither."""
        from textual.widgets import Input

        for line in palette.query(Input):
            line.cursor_blink = False

    # -- size

    def _check_size(self) -> None:
        from tui.widgets.too_small import TooSmall

        small = self.size.width < MIN_COLUMNS or self.size.height < MIN_ROWS
        if small and not any(isinstance(screen, TooSmall) for screen in self.screen_stack):
            self.push_screen(TooSmall())

    def on_resize(self, event: events.Resize) -> None:
        """The terminal has another size; the screens have not heard of it yet."""
        self.call_after_refresh(self._check_size)

    # -- the end

    def ask(self) -> None:
        """Ask before leaving, as `q` does."""
        self.action_ask_quit(Exit.OK)

    def action_ask_quit(self, status: int) -> None:
        """Ask once; asked a second time, leave."""
        from tui.widgets.leave_page import LeavePage

        # Asked already, even if an error's page has come above it since.
        asked = next((screen for screen in self.screen_stack if isinstance(screen, LeavePage)), None)
        if asked is not None:
            self.leave(asked.status if status != Exit.INTERRUPTED else status)
            return
        if self.current == flow.WELCOME and self.session.survey is None and status == Exit.OK:
            self.leave(Exit.OK)
            return
        self.push_screen(LeavePage(status, writing=background.writing(), practice=self.given.practice), self._answered)

    def _answered(self, status: int | None) -> None:
        if status is not None:
            self.leave(status)

    def leave(self, status: int) -> None:
        """End the app with this exit status; what is kept is kept."""
        self.save()
        self.exit(status, return_code=status)

    def _fatal_error(self) -> None:
        """A crash: the trace without its local values, which may hold a key."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        trace = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(trace, self.console.options)))
        self._close_messages_no_wait()


def run_wizard(options: Options) -> int:
    """Run the wizard until the person leaves; the exit status. What was done is printed below the prompt."""
    if options.language:
        use_language(options.language)
    background.reset()
    app = WizardApp(options)
    try:
        result = app.run(mouse=False)
    finally:
        settled = background.settle(1.0)
        options.close()
    status = app.return_code or 0 if result is None else result
    for line in farewell(app, settled=settled):
        print(line)
    sys.stdout.flush()
    return int(status)


def farewell(app: WizardApp, *, settled: bool = True) -> list[str]:
    """What stays in the scrollback: what was done, where it is written, and the line to go on."""
    session = app.session
    lines = []
    receipt = session.receipt or _cut_off(app)
    if receipt is not None:
        from tui.core import reports

        # A lab's receipt goes with the lab: its path would lead nowhere.
        kept = replace(receipt, path=None) if session.lab is not None else receipt
        lines += reports.receipt_text(kept).rstrip("\n").splitlines()
    elif session.survey is not None:
        lines.append(_("Nothing was changed in {context}.").format(context=session.survey.context))
    if not settled:
        lines.append(_("A write was under way when you left; the receipt calls it unknown. `plan` shows what is true."))
    if session.survey is not None and session.lab is None:
        lines.append(_("To go on: {command}").format(command=app.given.command))
    return lines


def _cut_off(app: WizardApp) -> Receipt | None:
    """The receipt of an apply that was under way when the person left, None where there was none."""
    survey, before = app.session.survey, app.given.receipt_before
    if survey is None or before is None:
        return None
    newest = app.session.store.newest(survey.uid, survey.datakit.namespace)
    return newest if newest is not None and newest.id != before else None
