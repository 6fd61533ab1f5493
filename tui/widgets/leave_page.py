"""Leaving is asked once."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.i18n import N_, _
from tui.widgets.page import Page
from tui.widgets.step_screen import paragraph


class LeavePage(Page[int]):
    """Answers with the exit status to leave with, or None to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "leave", N_("Leave"), tooltip=N_("End the wizard")),
        Binding("escape,enter,n", "close", N_("Stay"), key_display="Esc"),
    ]

    def __init__(self, status: int, *, writing: bool, practice: bool = False) -> None:
        super().__init__()
        self.status = status
        self.writing = writing
        self.practice = practice

    def content(self) -> ComposeResult:
        yield paragraph((_("Leave the wizard?"), "bold"))
        if self.writing:
            yield paragraph(
                "\n",
                _(
                    "A change is being written just now. It is waited for up to one second, and then noted as unknown"
                    " in the receipt; what was already written stays written, and undo can take it back."
                ),
            )
        elif self.practice:
            yield paragraph("\n", _("The practice lab and everything in it is gone when you leave."))
        else:
            yield paragraph(
                "\n", _("Nothing is being written. Your answers are kept; next time you can go on from here.")
            )
        yield paragraph("\n", _("y, or ^C once more: leave.   Esc: stay."))

    def action_leave(self) -> None:
        self.dismiss(self.status)
