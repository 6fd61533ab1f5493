"""The screen that is shown while the terminal is smaller than the wizard needs; it yields when it is enlarged."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from tui.i18n import _, assets
from tui.terminal import MIN_COLUMNS, MIN_ROWS
from tui.widgets.prose import Prose


class TooSmall(ModalScreen[None]):
    """Says how large the terminal is and must be."""

    CSS_PATH = assets() / "tcss" / "pages.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q,q", "leave", priority=True, show=False)]

    def __init__(self) -> None:
        super().__init__(classes="page")

    def compose(self) -> ComposeResult:
        yield Prose(id="size")

    def on_mount(self) -> None:
        self._show()

    def on_screen_resume(self) -> None:
        self._show()

    def on_resize(self, _event: events.Resize) -> None:
        self._show()

    def _show(self) -> None:
        width, height = self.app.size
        if width >= MIN_COLUMNS and height >= MIN_ROWS:
            if self.is_current:
                self.dismiss(None)
            return
        needed = f"{MIN_COLUMNS}×{MIN_ROWS}"
        text = _("This terminal is {width}×{height}.\nThe wizard needs {needed}: enlarge it.").format(
            width=width, height=height, needed=needed
        )
        self.query_one("#size", Prose).update(Content(text))

    def action_leave(self) -> None:
        self.app.exit(130, return_code=130)
