"""Taking one field from whoever manages it is asked by name, with what it costs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.core.forcing import InTheWay
from tui.i18n import N_, _
from tui.widgets.glyphs import glyph, muted
from tui.widgets.page import Page
from tui.widgets.step_screen import facts, paragraph


class ForcePage(Page[bool]):
    """Answers whether the field may be taken; leaving the page any other way leaves it with its owner."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "take", N_("Take this field"), tooltip=N_("Write our value over the other one")),
        Binding("escape,enter,n", "close", N_("Leave it"), key_display="Esc"),
    ]

    def __init__(self, field: InTheWay) -> None:
        super().__init__()
        self.field = field

    def content(self) -> ComposeResult:
        field = self.field
        yield paragraph((_("Take this field from {manager}?").format(manager=field.manager), "bold"))
        yield paragraph("\n", field.field, "\n", (field.object, muted()), classes="wide")
        yield paragraph("\n", facts([(_("Now"), field.old), (_("Then"), field.new)]))
        yield paragraph("\n", (glyph("warn") + " ", "$warning"), field.effect)
        restored = (
            _("The receipt keeps the value of now; undo gives it back to {manager}.")
            if field.can_be_restored
            else _("Undo releases the field and cannot bring back the value of now; its owner has to write it again.")
        )
        yield paragraph("\n", restored.format(manager=field.manager))
        yield paragraph("\n", _("Nothing is written yet: the plan is made anew, and Enter on the review applies it."))

    def action_take(self) -> None:
        self.dismiss(True)

    def action_close(self) -> None:
        self.dismiss(False)
