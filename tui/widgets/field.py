"""A line to type into: no blinking cursor, no box, and a key that never shows."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.widgets import Input

from tui.widgets.glyphs import glyph


class Field(Input):
    """Textual's Input, still. Enter and the vertical arrows belong to the screen."""

    def __init__(self, value: str = "", *, secret: bool = False, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            password=secret,
            compact=True,
            select_on_focus=False,
            id=id,
        )
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        """What is drawn: a sign for each character of a secret."""
        shown = glyph("mask") * len(self.value) if self.password else self.value
        return Text(shown, no_wrap=True, overflow="ignore", end="")

    def __rich_repr__(self) -> Any:
        """The repr without the value, which may be a key."""
        yield "id", self.id
