"""An editor for TOML: read-only until told to edit, with highlighting where the grammar is there."""

from __future__ import annotations

from rich.style import Style
from textual.actions import SkipAction
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from tui.widgets.glyphs import is_ansi


def styles(ansi: bool) -> dict[str, Style]:
    """Styles by what the grammar's query calls a piece; the terminal's own colours with `ansi`."""
    name = Style(color="cyan" if ansi else "#5ec4d4")
    text = Style(color="green" if ansi else "#8cc98f")
    number = Style(color="yellow" if ansi else "#e5b567")
    wrong = Style(color="red" if ansi else "#e8778a", underline=True)
    # Comments are the part that teaches: they must be readable.
    comment = Style(dim=True) if ansi else Style(color="#8a94a0")
    return {
        "comment": comment,
        "string": text,
        "number": number,
        "boolean": number,
        "toml.type": name + Style(bold=True),
        "toml.datetime": number,
        "toml.error": wrong,
        "property": name,
        "operator": Style(),
        "punctuation.bracket": Style(),
        "punctuation.delimiter": Style(),
        "type": name + Style(bold=True),
        "error": wrong,
    }


class TomlEditor(TextArea):
    """Textual's TextArea with our manners: still cursor, line numbers, Tab leaves it."""

    def __init__(self, text: str, *, id: str | None = None) -> None:
        super().__init__(
            text,
            language="toml" if has_grammar() else None,
            soft_wrap=True,
            tab_behavior="focus",
            read_only=True,
            show_line_numbers=True,
            show_cursor=False,
            compact=True,
            id=id,
        )
        self.cursor_blink = False
        self.register_theme(TextAreaTheme(name="wizard", syntax_styles=styles(is_ansi())))
        self.theme = "wizard"

    def set_editing(self, editing: bool) -> None:
        """Let the person type from now on, or no longer."""
        self.read_only = not editing
        self.show_cursor = editing
        self.set_class(editing, "-editing")
        if editing:
            self.focus()

    # Read-only, the arrows scroll, and those to the sides are the screen's.

    def action_cursor_down(self, select: bool = False) -> None:
        if self.read_only:
            self.scroll_relative(y=1, animate=False)
        else:
            super().action_cursor_down(select)

    def action_cursor_up(self, select: bool = False) -> None:
        if not self.read_only:
            super().action_cursor_up(select)
        elif self.scroll_y > 0:
            self.scroll_relative(y=-1, animate=False)

    def action_cursor_right(self, select: bool = False) -> None:
        if self.read_only:
            raise SkipAction
        super().action_cursor_right(select)

    def action_cursor_left(self, select: bool = False) -> None:
        if self.read_only:
            raise SkipAction
        super().action_cursor_left(select)

    def go_to(self, line: int, column: int = 1) -> None:
        """Put the cursor on a line (from 1) and show it."""
        last = self.document.line_count - 1
        self.move_cursor((max(0, min(line - 1, last)), max(0, column - 1)))
        self.scroll_cursor_visible(animate=False)


def has_grammar() -> bool:
    """Whether the TOML grammar can be loaded; without it the text is plain."""
    try:
        import tree_sitter
        import tree_sitter_toml
    except ImportError:
        return False
    return bool(tree_sitter and tree_sitter_toml)
