"""What frames every screen: the header above, the keys below. Both draw one line and repaint only when it changes."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui.i18n import _
from tui.widgets.glyphs import fit, glyph, is_ascii, plain

MAX_KEYS = 6


class Header(Widget):
    """Title, context, cluster and namespace on the left, the mode on the right, and a rule below."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"header--title", "header--where", "header--mode", "header--rule"}

    def __init__(self) -> None:
        super().__init__()
        self.where: tuple[str, ...] = ()
        self.mode = ""

    def show(self, where: tuple[str, ...], mode: str) -> None:
        """Show this place and mode from now on."""
        if (where, mode) != (self.where, self.mode):
            self.where, self.mode = where, mode
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y:
            rule = self.get_component_rich_style("header--rule")
            return Strip([Segment(glyph("rule") * width, rule)])
        title = self.get_component_rich_style("header--title")
        mode = self.get_component_rich_style("header--mode")
        where = self.get_component_rich_style("header--where")
        name = " DataKit Wizard"
        right = f" {plain(self.mode)} " if self.mode else ""
        room = width - cell_len(name) - cell_len(right)
        left = "".join(f"  {plain(part)}" for part in self.where if part)
        return Strip([Segment(name, title), Segment(fit(left, room), where), Segment(right, mode)], width)


class KeyLine(Widget):
    """The keys that do something now, at most six; the rest stands behind `?`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key", "key-line--word"}

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._shown: list[tuple[str, str]] = []

    def _changed(self, screen: Screen[object]) -> None:
        shown = keys_of(screen)
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def render_line(self, y: int) -> Strip:
        self._shown = keys_of(self.screen)
        key_style = self.get_component_rich_style("key-line--key")
        word_style = self.get_component_rich_style("key-line--word")
        width = self.size.width
        segments: list[Segment] = []
        used = 0
        for key, word in self._shown[:MAX_KEYS]:
            size = cell_len(key) + cell_len(word) + 3
            if used + size > width:
                break
            segments += [Segment(f" {key}", key_style), Segment(f" {word} ", word_style)]
            used += size
        segments.append(Segment(" " * (width - used), self.rich_style))
        return Strip(segments, width)


def keys_of(screen: Screen[object]) -> list[tuple[str, str]]:
    """The keys to show for a screen as it is now, as (key, translated word), in the order of importance."""
    focused = screen.focused
    found: list[tuple[int, str, str]] = []
    seen: set[tuple[str, str]] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        if not (binding.show and active.enabled and binding.description):
            continue
        if focused is not None and len(binding.key) == 1 and focused.check_consume_key(binding.key, binding.key):
            continue
        if (binding.action, binding.description) in seen:
            continue
        seen.add((binding.action, binding.description))
        found.append((ORDER.get(binding.description, 50), key_name(binding), _(binding.description)))
    found.sort(key=lambda entry: entry[0])
    # Help, which tells of the others, always has a place.
    helps = [entry for entry in found[MAX_KEYS:] if entry[0] == ORDER["Help"]]
    found[MAX_KEYS - 1 : MAX_KEYS - 1] = helps
    return [(key, word) for _order, key, word in dict.fromkeys(found)]


# The same word stands at the same place on every screen: what goes on first, help and leaving last.
ORDER = {"Choose": 0, "Go on": 0, "Leave editing": 1, "Back": 60, "Command": 70, "Help": 80, "Leave": 90}


def key_name(binding: Binding) -> str:
    """How a key is written for a person."""
    if binding.key_display:
        return binding.key_display
    names = {
        "enter": "Enter" if is_ascii() else "⏎",
        "escape": "Esc",
        "question_mark": "?",
        "ctrl+c": "^C",
        "space": _("Space"),
        "up": "up" if is_ascii() else "↑",
        "down": "down" if is_ascii() else "↓",
        "left": "left" if is_ascii() else "←",
        "right": "right" if is_ascii() else "→",
        "pageup": "PgUp",
        "pagedown": "PgDn",
    }
    key = binding.key.split(",")[0]
    return names.get(key, key.replace("ctrl+", "^").upper() if key.startswith("ctrl+") else key)
