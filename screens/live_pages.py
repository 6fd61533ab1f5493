"""The small pages above a live view: the values of a variable, and the view's page in the studio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.i18n import N_, _
from tui.widgets.choices import Choice, Choices
from tui.widgets.error_page import copy
from tui.widgets.glyphs import muted
from tui.widgets.page import Page
from tui.widgets.step_screen import paragraph

ALL = "\0"  # no value of a tag holds it


class ValuesPage(Page[str | None]):
    """The values that a variable has now; the one under the cursor is taken with Enter, "" stands for all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", N_("Choose"))]

    def __init__(self, title: str, values: Sequence[str], chosen: str, *, everything: bool) -> None:
        super().__init__()
        self.name_ = title
        rows = [Choice(ALL, _("all"))] if everything else []
        rows += [Choice(value, value) for value in dict.fromkeys([*([chosen] if chosen else []), *sorted(values)])]
        self.choices = Choices(rows, chosen or ALL, follow=True)

    def content(self) -> ComposeResult:
        yield paragraph((self.name_, "bold"), "\n")
        yield self.choices
        if len(self.choices.rows) < 2:
            yield paragraph("\n", (_("No other values have arrived in the last ten minutes."), muted()))

    def on_mount(self) -> None:
        self.choices.focus()

    def action_take(self) -> None:
        row = self.choices.under_cursor
        self.dismiss(None if row is None else row.key.replace(ALL, ""))


class LinkPage(Page[None]):
    """The page of a view in the studio, printed and copied."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", N_("Copy"), tooltip=N_("Copy the link again"))]

    def __init__(self, title: str, link: str) -> None:
        super().__init__()
        self.title_, self.link = title, link

    def content(self) -> ComposeResult:
        yield paragraph((self.title_, "bold"), "\n")
        yield paragraph(self.link, classes="wide")

    def on_mount(self) -> None:
        self.action_copy()

    def action_copy(self) -> None:
        copy(self, self.link)
