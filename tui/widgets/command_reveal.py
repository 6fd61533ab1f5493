""" "Show me the command": what a screen does, as kubectl or curl, and as clicks in Rancher and the studio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from tui.i18n import N_, _
from tui.widgets.error_page import copy, save
from tui.widgets.glyphs import muted, plain
from tui.widgets.page import Page
from tui.widgets.prose import Prose
from tui.widgets.step_screen import assemble

Command = tuple[str, str, str]  # title, command, clicks


class CommandReveal(Page[None]):
    """Two pages over the same actions; left and right turn them. Secrets stand as $VARIABLES."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,right,tab", "turn", N_("Other tab"), tooltip=N_("Command line, or clicks in Rancher")),
        Binding("y", "copy", N_("Copy"), tooltip=N_("Copy all commands")),
        Binding("w", "save", N_("Save"), tooltip=N_("Write all commands to a file")),
    ]

    def __init__(self, commands: Sequence[Command], folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.commands = tuple(commands)
        self.clicks = False

    def content(self) -> ComposeResult:
        yield Prose(id="tabs")
        yield Prose(id="commands", classes="wide")

    def on_mount(self) -> None:
        self._show()

    def action_turn(self) -> None:
        self.clicks = not self.clicks
        self._show()
        self.page_body.scroll_home(animate=False)

    @property
    def _all(self) -> str:
        return "\n\n".join(f"# {title}\n{command}" for title, command, _clicks in self.commands if command)

    def action_copy(self) -> None:
        copy(self, self._all)

    def action_save(self) -> None:
        save(self, self._all, self.folder, "commands")

    def _show(self) -> None:
        on, off = "bold $accent underline", muted()
        tabs: list[str | tuple[str, str]] = [
            (_("Command line"), off if self.clicks else on),
            "    ",
            (_("Rancher and studio"), on if self.clicks else off),
        ]
        self.query_one("#tabs", Prose).update(assemble(*tabs, "\n"))
        parts: list[str | tuple[str, str] | Content] = []
        for title, command, clicks in self.commands:
            text = clicks if self.clicks else command
            if not text:
                continue
            # Commands are shown as they are: they are there to be copied.
            parts += [(title, "bold"), "\n", Content(plain(text) if self.clicks else text), "\n\n"]
        self.query_one("#commands", Prose).update(assemble(*parts))
