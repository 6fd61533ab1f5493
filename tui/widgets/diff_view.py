"""A unified diff with signs, not only colours: what is added, what goes."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tui.widgets.glyphs import muted
from tui.widgets.pane import Pane


class DiffView(Pane):
    """One diff in a pane of its own; the arrows scroll it when it has the focus."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(Static(classes="wide"), id=id)

    def show(self, text: str) -> None:
        """Show this diff from its top."""
        self.query_one(Static).update(coloured(text))
        self.scroll_home(animate=False)


def coloured(text: str) -> Content:
    """The lines of a unified diff, each in the tone of its sign; the text itself is not changed."""
    parts: list[tuple[str, str]] = []
    for line in text.splitlines():
        tone = ""
        if line.startswith(("---", "+++", "@@")):
            tone = muted()
        elif line.startswith("+"):
            tone = "$success"
        elif line.startswith("-"):
            tone = "$error"
        parts += [(line + "\n", tone)]
    return Content.assemble(*parts)
