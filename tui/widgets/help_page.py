"""Help for the place where the person is, and every key that does something there."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen

from tui.i18n import _
from tui.widgets.chrome import ORDER, key_name
from tui.widgets.glyphs import fit, plain
from tui.widgets.page import Page
from tui.widgets.step_screen import paragraph


class HelpPage(Page[None]):
    """The help text of the focused widget or else of its screen, then the keys."""

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        focused = screen.focused
        texts = [getattr(node, "HELP", "") for node in (focused, screen) if node is not None]
        self.texts = [_(text) for text in texts if text]
        found: dict[str, tuple[int, str, str]] = {}
        for active in screen.active_bindings.values():
            binding = active.binding
            # Textual's own bindings carry no id of ours and no translation.
            if binding.description and active.enabled and (binding.tooltip or binding.id):
                key = key_name(binding)
                if binding.key == "ctrl+p":
                    continue
                words = _(binding.description) + (f" – {_(binding.tooltip)}" if binding.tooltip else "")
                found.setdefault(key, (ORDER.get(binding.description, 50), key, words))
        self.keys = sorted(found.values(), key=lambda entry: entry[0])

    def content(self) -> ComposeResult:
        for text in self.texts:
            yield paragraph(rendered(text), "\n")
        lines: list[str | tuple[str, str] | Content] = [(_("Keys"), "bold"), "\n"]
        for _order, key, words in self.keys:
            lines += [(fit(plain(key), 8), "$accent"), words, "\n"]
        lines += [(fit("Tab", 8), "$accent"), _("Next place – the list of steps among them"), "\n"]
        lines += [(fit("^P", 8), "$accent"), _("Palette – find a step or an action by typing")]
        yield paragraph(*lines)


def rendered(text: str) -> Content:
    """The little of Markdown that help texts use: headings, **bold**, `code` and lists."""
    parts: list[str | tuple[str, str]] = []
    for number, line in enumerate(text.split("\n")):
        if number:
            parts.append("\n")
        if line.startswith("#"):
            parts.append((plain(line.lstrip("# ")), "bold"))
            continue
        if line.startswith("- "):
            parts.append(plain("· "))
            line = line[2:]
        for index, piece in enumerate(line.split("**")):
            for place, code in enumerate(piece.split("`")):
                style = "$accent" if place % 2 else "bold" if index % 2 else ""
                parts.append((plain(code), style))
    return Content.assemble(*parts)
