"""What an apply does, line by line, and the nodes of its rollout: those on their way, and the slowest by name."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.content import Content

from tui.core.durations import about
from tui.core.ports import DEPLOYMENT, Rollout
from tui.core.writes import Event
from tui.i18n import _, ngettext
from tui.widgets.glyphs import fit, glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import assemble

MOST_NODES = 30  # of a rollout on the screen
MOST_LINES = 12  # of what was done: what goes on stays in sight
Parts = Sequence[str | tuple[str, str] | Content]


class RolloutLog(Prose):
    """Filled by events while something is written; `head` and `tail` are what the screen says around it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[str] = []
        self._rollout: Rollout | None = None
        self._began = 0.0
        self._under_way = False

    @property
    def elapsed_s(self) -> float:
        """How long ago it began, in seconds."""
        return time.monotonic() - self._began

    def begin(self) -> None:
        """Something is about to be written."""
        self.clear()
        self._under_way, self._began = True, time.monotonic()

    def end(self) -> None:
        """It is over; what was told stays."""
        self._under_way = False

    def clear(self) -> None:
        """Nothing is told any more."""
        self._lines, self._rollout = [], None

    def add(self, event: Event) -> None:
        """Something happened; a rollout's counts are shown in place.

        Of workloads that are followed side by side the newest line of each is kept.
        """
        line = f"{event.step}: {event.text}"
        if event.step.startswith(f"{DEPLOYMENT.kind} "):
            self._lines = [one for one in self._lines if not one.startswith(f"{event.step}: ")]
        if event.rollout is not None:
            self._rollout = event.rollout
        elif not self._lines or self._lines[-1] != line:
            self._lines.append(line)

    def show(self, head: Parts = (), tail: Parts = ()) -> None:
        """Draw it as it is now."""
        parts: list[str | tuple[str, str] | Content] = [*head]
        if self._under_way:
            parts += [(_("{time} since the start").format(time=about(self.elapsed_s)), muted()), "\n"]
        for line in self._lines[-MOST_LINES:]:
            parts += [(glyph("dot") + " ", muted()), line, "\n"]
        if self._rollout is not None:
            parts += self._node_lines(self._rollout)
        parts += tail
        self.update(assemble(*parts))
        self.display = bool(parts)

    def _node_lines(self, state: Rollout) -> Parts:
        parts: list[str | tuple[str, str] | Content] = [
            "\n",
            (_("{updated} of {all} nodes").format(updated=state.updated, all=state.desired), "bold"),
            ", " + _("{n} available").format(n=state.available) + "\n",
        ]
        if state.slowest and self._under_way:
            slowest = _("slowest: {node}, {time}").format(node=state.slowest, time=about(state.slowest_s))
            parts += [(slowest, "$warning"), "\n"]
        # Of thousands those that are not ready tell how it goes.
        waiting = {node: what for node, what in state.pods.items() if what != _("ready")}
        shown = list((state.pods if len(state.pods) <= MOST_NODES else waiting).items())[:MOST_NODES]
        for node, what in shown:
            parts += [fit(node, 20), (what, muted()), "\n"]
        if more := len(state.pods) - len(shown):
            parts += [(ngettext("and {n} more node", "and {n} more nodes", more).format(n=more), muted()), "\n"]
        return parts
