"""The frame that every step shares: header, rail, a scrolling body, one line of state, one "go on", the keys.

A screen shows the model (`Session`) and asks for actions through its ports. It is built anew each time it is entered
and leaves by a message, so it never has to know what comes before or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui.core.errors import UsageError, WizardError
from tui.core.steps import STEPS, Session, StepState
from tui.i18n import N_, _, assets
from tui.widgets.choices import Choices
from tui.widgets.chrome import Header, KeyLine
from tui.widgets.given import Given
from tui.widgets.glyphs import fit, glyph, is_ascii, muted, plain
from tui.widgets.prose import Prose
from tui.widgets.step_rail import Row, StepRail
from tui.widgets.working import Working

if TYPE_CHECKING:
    from tui.core.ports import Backend

# Names that fit the narrow rail of an 80-column terminal.
SHORT = {
    "cluster": N_("Cluster"),
    "workspace": N_("Workspace"),
    "etcd-conf": N_("etcd.conf"),
    "certificates": N_("Certificates"),
    "datakit": N_("Settings"),
    "istio": N_("Istio"),
    "review": N_("Review"),
    "docker": N_("Docker"),
    "kubernetes": N_("Kubernetes"),
    "etcd": N_("ETCD"),
    "istio-mesh": N_("Mesh"),
    "istio-control-plane": N_("Control plane"),
    "istio-service": N_("Service"),
    "istio-workload": N_("Workload"),
    "verify": N_("Verify"),
    "done": N_("Done"),
}
TONES = {
    StepState.DONE: "ok",
    StepState.CHANGED: "warn",
    StepState.FAILED: "fail",
    StepState.IDLE: "quiet",
    StepState.SKIPPED: "quiet",
}


class GoOn(Widget, can_focus=True):
    """The one line that says what Enter does next. It can be focused, so the arrows always find it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"go-on--ready", "go-on--focus", "go-on--waiting"}

    def __init__(self) -> None:
        super().__init__(id="go-on")
        self.text = ""
        self.ready = True

    def show(self, text: str, ready: bool = True) -> None:
        """Say this from now on; not ready = Enter does nothing yet."""
        if (text, ready) != (self.text, self.ready):
            self.text, self.ready = text, ready
            self.refresh()

    def render_line(self, y: int) -> Strip:
        name = "focus" if self.has_focus and self.ready else "ready" if self.ready else "waiting"
        text = f" {glyph('pointer')} {plain(self.text)} " if self.text else ""
        text = fit(text, min(cell_len(text), self.size.width))
        rest = " " * (self.size.width - cell_len(text))
        segments = [Segment(text, self.get_component_rich_style(f"go-on--{name}")), Segment(rest, self.rich_style)]
        return Strip(segments, self.size.width)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


class StepScreen(Screen[None]):
    """One step. Subclasses name their STEP and fill `content`, `go_on_text` and `action_go_on`."""

    STEP: ClassVar[str] = ""
    PURPOSE: ClassVar[str] = ""  # msgid: what this step is for, one or two sentences
    HELP = ""
    CSS_PATH: ClassVar[Path | None] = assets() / "tcss" / "steps.tcss"
    AUTO_FOCUS = ""  # None would mean the app's: the first that can be focused
    # A vertical screen selection would steal the mouse from the terminal's own; copying is by key.
    ALLOW_SELECT = False
    # Textual's own repaints the whole screen at each change of focus; the two widgets do that themselves.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", N_("Go on"), id="go-on", tooltip=N_("Do what the last line says")),
        Binding("b", "back", N_("Back"), id="back", tooltip=N_("The step before; answers are kept")),
        Binding("c", "command", N_("Command"), id="command", tooltip=N_("The command that does the same by hand")),
        Binding(
            "question_mark,f1",
            "help",
            N_("Help"),
            id="help",
            key_display="?",
            tooltip=N_("Help for this place"),
        ),
        Binding("up", "neighbour(-1)", show=False),
        Binding("down", "neighbour(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    class Leave(Message):
        """The person leaves this step: `how` is "next", "back", "skip" or "to" (then `target` is a step's key)."""

        def __init__(self, how: str, target: str = "") -> None:
            super().__init__()
            self.how = how
            self.target = target

    class Failed(Message):
        """An action failed in a way that deserves a page."""

        def __init__(self, error: WizardError) -> None:
            super().__init__()
            self.error = error

    class ShowCommand(Message):
        """The person asks for the command that does the same."""

    class ShowHelp(Message):
        """The person asks for help."""

    class OpenLive(Message):
        """The person wants to see a view live."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class OpenWhy(Message):
        """The person wants to know why a panel of a view is empty."""

        def __init__(self, view: str, panel: str) -> None:
            super().__init__()
            self.view = view
            self.panel = panel

    class OpenAgain(Message):
        """What the wizard works on did not open; the person asks to try again."""

    class Saved(Message):
        """The answers or the place changed in a way worth keeping."""

    def __init__(self, session: Session, given: Given) -> None:
        super().__init__()
        self.session = session
        self.given = given

    # -- what subclasses fill in

    def content(self) -> ComposeResult:
        """The widgets of the body below the title."""
        yield from ()

    def go_on_text(self) -> tuple[str, bool]:
        """What Enter does now, and whether it can."""
        return _("Go on"), True

    def commands(self) -> list[tuple[str, str, str]]:
        """What this screen does, by hand: (title, command, clicks in Rancher or the studio)."""
        return []

    def first_focus(self) -> Widget | None:
        """The widget that has the focus when the screen opens: the go-on line, unless something must be typed."""
        return self.go_on

    # -- the frame

    @property
    def backend(self) -> Backend:
        """What acts on the world; it is there from the first step on."""
        if self.session.backend is None:
            raise UsageError(_("The wizard is not ready yet."), remedy=_("Try again in a moment."))
        return self.session.backend

    @property
    def body(self) -> VerticalScroll:
        """The part that scrolls."""
        return self.query_one("#body", VerticalScroll)

    @property
    def go_on(self) -> GoOn:
        """The line that says what Enter does."""
        return self.query_one(GoOn)

    @property
    def working(self) -> Working:
        """The line that says what is being waited for."""
        return self.query_one("#working", Working)

    def compose(self) -> ComposeResult:
        # Filled before they are shown: what changes after the first paint is painted twice.
        header, rail = Header(), StepRail(self.STEP)
        header.show(*place(self.session))
        rail.show(rows(self.session))
        yield header
        with Horizontal(id="main"):
            yield rail
            with Vertical(id="side"):
                with VerticalScroll(id="body", can_focus=False):
                    yield Prose(self._heading(), id="heading")
                    yield from self.content()
                yield Working(id="working")
                yield GoOn()
        yield KeyLine()

    def _heading(self) -> Content:
        step = next((step for step in STEPS if step.key == self.STEP), None)
        title = self.heading()
        number = f"{step.number}  " if step and step.number else ""
        parts: list[Any] = [(number, muted()), (plain(title), "bold")]
        if self.PURPOSE:
            parts += ["\n", (plain(_(self.PURPOSE)), muted())]
        return Content.assemble(*parts)

    def heading(self) -> str:
        """The title of the screen."""
        return next((_(step.title) for step in STEPS if step.key == self.STEP), "")

    def on_mount(self) -> None:
        self.entered()
        self.refresh_frame()
        self.focus_first()

    def focus_first(self) -> None:
        """Give the focus to where the person begins."""
        focus = self.first_focus()
        if focus is not None and self.focused is None:
            self.set_focus(focus, scroll_visible=False)

    def entered(self) -> None:
        """The screen is there: begin what it does by itself."""

    async def opened(self) -> None:
        """What the wizard works on is open now, while this screen is shown."""

    def refresh_frame(self) -> None:
        """Show header, rail and go-on line as the model is now."""
        self.query_one(Header).show(*place(self.session))
        self.query_one(StepRail).show(rows(self.session))
        self.show_go_on()
        self.refresh_bindings()

    def show_go_on(self) -> None:
        """The go-on line: what Enter does now, which in a list is to choose."""
        focused = self.focused
        if isinstance(focused, Choices) and focused.undecided and focused.under_cursor is not None:
            label = " ".join(focused.under_cursor.label.split())
            self.go_on.show(_("Choose: {label}").format(label=label))
        else:
            self.go_on.show(*self.go_on_text())

    def on_choices_moved(self, event: Choices.Moved) -> None:
        """The cursor moved in a list: Enter now chooses."""
        self.show_go_on()
        self.refresh_bindings()

    def on_step_rail_opened(self, event: StepRail.Opened) -> None:
        event.stop()
        self.post_message(self.Leave("to", event.key))

    def action_go_on(self) -> None:
        """Enter: by default the next step."""
        if self.go_on.ready:
            self.post_message(self.Leave("next"))

    def action_back(self) -> None:
        self.post_message(self.Leave("back"))

    def action_command(self) -> None:
        self.post_message(self.ShowCommand())

    def action_help(self) -> None:
        self.post_message(self.ShowHelp())

    def action_neighbour(self, by: int) -> None:
        """The arrows walk through what can be focused in the body and end at the go-on line; the rail is Tab's."""
        side = self.query_one("#side")
        chain = [widget for widget in self.focus_chain if side in widget.ancestors]
        if self.focused not in chain:
            self.go_on.focus(scroll_visible=False)
            return
        index = chain.index(self.focused) + by
        if 0 <= index < len(chain):
            chain[index].focus()
        else:
            self.body.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        if by < 0:
            self.body.scroll_page_up(animate=False)
        else:
            self.body.scroll_page_down(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "command":
            return bool(self.commands())
        return True

    def run(self, work: Callable[[], Coroutine[Any, Any, None]], group: str = "step") -> None:
        """Run `work` as the only one of its group on this screen; a WizardError in it becomes a page."""
        self.run_worker(self._guarded(work), group=group, exclusive=True, exit_on_error=True)

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except WizardError as error:
            self.working.finish("fail", error.what)
            self.failed(error)
            self.post_message(self.Failed(error))
            self.refresh_frame()

    def failed(self, error: WizardError) -> None:
        """Work on this screen ended with `error`, which is about to be shown."""


def paragraph(*parts: str | tuple[str, str] | Content, id: str | None = None, classes: str | None = None) -> Prose:
    """A piece of text; no markup is interpreted, styles come as (text, style)."""
    return Prose(assemble(*parts), id=id, classes=classes)


def assemble(*parts: str | tuple[str, str] | Content) -> Content:
    """Text from plain and (text, style) parts, in the set of signs in use."""
    made = [
        part if isinstance(part, Content) else plain(part) if isinstance(part, str) else (plain(part[0]), part[1])
        for part in parts
    ]
    return Content.assemble(*made)


def facts(pairs: Iterable[tuple[str, str]]) -> Content:
    """Names and values in two columns; two-column characters are counted."""
    kept = [(name, value) for name, value in pairs if value]
    width = max((cell_len(name) for name, _value in kept), default=0) + 2
    lines: list[Any] = []
    for index, (name, value) in enumerate(kept):
        lines += ["\n"] if index else []
        lines += [(fit(name, width), muted()), plain(value)]
    return Content.assemble(*lines)


def place(session: Session) -> tuple[tuple[str, ...], str]:
    """Where the person is (context, cluster, namespace) and in which mode, for the header."""
    cluster = session.cluster
    context = next((c for c in session.contexts if cluster is not None and c.name == cluster.context), None)
    parts: list[str] = []
    if cluster is not None:
        parts.append(cluster.context)
        if context is not None and context.cluster != cluster.context:
            parts.append(context.cluster)
    namespace = session.survey.datakit.namespace if session.survey is not None else ""
    if namespace:
        parts.append(_("ns {namespace}").format(namespace=namespace))
    mode = ""
    if session.lab is not None:
        mode = _("practice lab")
        if session.lab.time_scale != 1:
            mode += f" · {_('time')} ×{session.lab.time_scale:g}"
    elif session.survey is not None and read_only(session):
        mode = _("read-only")
    return tuple(parts), mode


def rows(session: Session) -> tuple[Row, ...]:
    """The rail's rows as the model is now."""
    found = []
    for step in session.steps:
        state = session.state(step.key)
        sign = state.ascii if is_ascii() else state.glyph
        found.append(
            Row(
                step.key,
                step.number,
                _(step.title),
                _(SHORT[step.key]),
                sign,
                _(state.word),
                TONES.get(state, "plain"),
            )
        )
    return tuple(found)


def read_only(session: Session) -> bool:
    """Whether the person may look but not write here: a right to patch is missing."""
    survey = session.survey
    return survey is not None and any(access.verb == "patch" and not granted for access, granted in survey.rights)
