"""A list of which any number is chosen: Space turns the row under the cursor on or off, Enter is left to the screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tui.i18n import N_
from tui.widgets.choices import Choice, Choices
from tui.widgets.glyphs import fit, glyph


class Toggles(Choices):
    """Rows that are each on or off. A row whose key is in `fixed` cannot be turned; its note says why."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn", N_("On/off"), tooltip=N_("Turn the row under the cursor on or off")),
    ]

    class Toggled(Message):
        """A row was turned on or off."""

        def __init__(self, toggles: Toggles, key: str) -> None:
            super().__init__()
            self.toggles = toggles
            self.key = key

        @property
        def control(self) -> Toggles:
            return self.toggles

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.on: set[str] = set()
        self.fixed: frozenset[str] = frozenset()

    def offer(self, rows: Sequence[Choice], on: Iterable[str], fixed: Iterable[str] = (), *, start: str = "") -> None:
        """Offer these rows, of which `on` are on; the cursor stays on its row, and begins at the row `start`."""
        under = self.under_cursor
        self.on, self.fixed = set(on), frozenset(fixed)
        self.show(rows, under.key if under is not None else start)

    @property
    def undecided(self) -> bool:
        """Never: being under the cursor decides nothing."""
        return False

    def is_chosen(self, index: int) -> bool:
        return self.rows[index].key in self.on

    def mark(self, index: int) -> str:
        if self.rows[index].key in self.fixed:
            return fit(f" {glyph('skip' if self.rows[index].problem else 'ok')}", 3)
        return "[x]" if self.is_chosen(index) else "[ ]"

    def action_turn(self) -> None:
        row = self.under_cursor
        if row is None or row.key in self.fixed:
            return
        self.on ^= {row.key}
        self._repaint(self.cursor)
        self.post_message(self.Toggled(self, row.key))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "pick"

    def on_blur(self) -> None:
        self._repaint(self.cursor)
