"""What all pages above a step share: opaque, scrolled with the arrows, closed with Esc or Enter."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui.i18n import N_, assets
from tui.widgets.chrome import KeyLine

Result = TypeVar("Result")


class Page(ModalScreen[Result], Generic[Result]):
    """A page that covers the step. It is a modal so that the step's keys rest, and opaque so that it costs little."""

    CSS_PATH = assets() / "tcss" / "pages.tcss"
    AUTO_FOCUS = ""
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", N_("Back"), tooltip=N_("Close this page")),
        Binding("enter", "close", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(classes="page")

    def content(self) -> ComposeResult:
        """The widgets of the page."""
        yield from ()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="page-body", can_focus=False):
            yield from self.content()
        yield KeyLine()

    @property
    def page_body(self) -> VerticalScroll:
        """The part that scrolls."""
        return self.query_one("#page-body", VerticalScroll)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        self.page_body.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        if by < 0:
            self.page_body.scroll_page_up(animate=False)
        else:
            self.page_body.scroll_page_down(animate=False)
