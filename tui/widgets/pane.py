"""A part of a screen that scrolls by itself; only the vertical arrows are its own."""

from __future__ import annotations

from typing import ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class Pane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Textual's VerticalScroll, which would keep the arrows to the sides too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
    ]

    # At its ends the arrows are left to the screen, which moves the focus.

    def action_scroll_up(self) -> None:
        if self.scroll_y <= 0:
            raise SkipAction
        super().action_scroll_up()

    def action_scroll_down(self) -> None:
        if self.scroll_y >= self.max_scroll_y:
            raise SkipAction
        super().action_scroll_down()
