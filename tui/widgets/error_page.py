"""An error as a page: what failed, on which object, why, and what to do; it can be copied and saved."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.core.errors import NotFoundError, UnreachableError, UsageError, WizardError
from tui.i18n import N_, _
from tui.widgets.clipboard import sequence
from tui.widgets.glyphs import glyph, muted
from tui.widgets.page import Page
from tui.widgets.step_screen import paragraph


class ErrorPage(Page[None]):
    """One error. Esc or Enter goes back to the step, which then offers to try again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", N_("Copy"), tooltip=N_("Copy this page to the clipboard")),
        Binding("w", "save", N_("Save"), tooltip=N_("Write this page to a file")),
    ]

    def __init__(self, error: WizardError, folder: Path) -> None:
        super().__init__()
        self.error = error
        self.folder = folder

    def content(self) -> ComposeResult:
        error = self.error
        yield paragraph((glyph("fail") + " ", "$error"), (error.what, "bold"))
        for name, text in (
            (_("Object"), error.object),
            (_("Why"), error.why),
            (_("What to do"), error.remedy),
            (_("Command"), error.command),
        ):
            if text:
                wide = "wide" if name == _("Command") else None
                yield paragraph("\n", (name, muted()), "\n", text, classes=wide)
        if isinstance(error, UsageError | UnreachableError | NotFoundError):
            yield paragraph("\n", (_("Nothing was changed by this."), muted()))

    def action_copy(self) -> None:
        copy(self, str(self.error))

    def action_save(self) -> None:
        save(self, str(self.error), self.folder, "error")


def save(screen: Screen[Any], text: str, folder: Path, stem: str) -> None:
    """Put `text` into a new file of `folder` that only its owner can read, and say where."""
    path = folder / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}.txt"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text + "\n")
    except OSError as error:
        screen.notify(_("Not saved: {why}").format(why=error.strerror or error), severity="warning", markup=False)
    else:
        screen.notify(_("Saved: {path}").format(path=path), markup=False)


def copy(screen: Screen[Any], text: str) -> None:
    """Put `text` on the terminal's clipboard and say what came of it; nothing tells us whether the terminal took it."""
    found = sequence(text, os.environ)
    if found is None:
        screen.notify(_("This is too long for the clipboard of a terminal; save it instead."), severity="warning")
        return
    driver = screen.app._driver
    if driver is not None:
        driver.write(found)
    screen.notify(_("Copied, if this terminal allows it (OSC 52)."))
