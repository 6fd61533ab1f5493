"""The checks of a run: a category that is well folds to one line, what is not well says everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widget import Widget

from tui.core.checks.model import Result
from tui.core.reports import categories
from tui.i18n import N_, _
from tui.widgets.glyphs import fit, glyph, muted
from tui.widgets.prose import Prose, wrapped
from tui.widgets.step_screen import assemble

Parts = list[str | tuple[str, str] | Content]
SIGNS = {
    "pass": ("ok", "$success"),
    "warn": ("warn", "$warning"),
    "fail": ("fail", "$error"),
    "skip": ("skip", muted()),
    "pending": ("more", "$accent"),
}
CATEGORIES = {
    "cluster": N_("Cluster"),
    "datakit": N_("DataKit"),
    "conf": N_("etcd.conf"),
    "etcd": N_("etcd"),
    "dataway": N_("Upload"),
    "studio": N_("Studio"),
    "views": N_("Views"),
    "container": N_("Containers"),
    "kubernetes": N_("Kubernetes"),
    "istiod": N_("istiod"),
    "gateways": N_("Gateways"),
    "sidecars": N_("Sidecars"),
    "drift": N_("Drift"),
}


class CheckTable(Prose):
    """Results by category, in the order of the run. With the focus, a cursor is on one of those that did not pass."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "open", N_("Details"), tooltip=N_("Cause, object, remedy and command of this check")),
    ]

    class Opened(Message):
        """The person wants to know more of a check that did not pass."""

        def __init__(self, result: Result) -> None:
            super().__init__()
            self.result = result

    class Moved(Message):
        """Another check is under the cursor, or none any more."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.results: tuple[Result, ...] = ()
        self._chosen = ""  # the id of the check that the cursor was put on

    def show(self, results: Sequence[Result]) -> None:
        """Show these results; a later one of the same check replaces the earlier."""
        newest = {result.id: result for result in results}
        order = categories(list(newest.values()))
        self.results = tuple(sorted(newest.values(), key=lambda result: order.index(result.category)))
        self.can_focus = bool(self._troubles)
        self._draw()

    @property
    def _troubles(self) -> list[Result]:
        """What a page can tell of."""
        return [result for result in self.results if result.status in ("fail", "warn")]

    @property
    def under_cursor(self) -> Result | None:
        """The check that Enter would open, None without the focus."""
        if not self.has_focus or not self._troubles:
            return None
        return next((result for result in self._troubles if result.id == self._chosen), self._troubles[0])

    def _draw(self) -> None:
        here = self.under_cursor
        parts: Parts = []
        above: Parts = []
        for category in dict.fromkeys(result.category for result in self.results):
            found = [result for result in self.results if result.category == category]
            if here in found:
                above = [*parts, *_category(category, found[: found.index(here)], here)] if here in found[1:] else parts
            parts += _category(category, found, here)
        self.update(assemble(*parts[:-1]))
        if here is not None and isinstance(self.parent, Widget):
            # About where the cursor is: what stands above it, and the line of its category.
            height = len(wrapped(assemble(*above), self.size.width).wrap(self.size.width))
            self.parent.scroll_to_region(Region(0, self.virtual_region.y + height, 1, 1), animate=False)

    def action_move(self, by: int) -> None:
        here, troubles = self.under_cursor, self._troubles
        index = troubles.index(here) + by if here else -1
        if not 0 <= index < len(troubles):
            raise SkipAction
        self._chosen = troubles[index].id
        self._draw()
        self.post_message(self.Moved())

    def action_open(self) -> None:
        here = self.under_cursor
        if here is not None:
            self.post_message(self.Opened(here))

    def on_focus(self) -> None:
        self._draw()
        self.post_message(self.Moved())

    def on_blur(self) -> None:
        self._draw()
        self.post_message(self.Moved())


def _category(category: str, found: list[Result], here: Result | None) -> Parts:
    title = fit(_(CATEGORIES.get(category, category)), 11)
    well = [result for result in found if result.status == "pass"]
    others = [result for result in found if result.status != "pass" and not _dull(result)]
    parts: Parts = []
    if not others:
        sign, tone = SIGNS["pass" if well else "skip"]
        last = (well or found)[-1]
        told = last.found if well else last.skipped_because
        return [(glyph(sign) + " ", tone), (title, "bold"), (fit(str(len(well)), 3), muted()), told, "\n"]
    worst = next((r for status in ("fail", "warn", "pending", "skip") for r in others if r.status == status), others[0])
    sign, tone = SIGNS[worst.status]
    parts += [(glyph(sign) + " ", tone), (title, "bold")]
    parts += [(_("{n} of {all} passed").format(n=len(well), all=len(found)), muted()), "\n"]
    for result in others:
        sign, tone = SIGNS[result.status]
        told = result.skipped_because if result.status == "skip" else result.found
        pointer, title = (fit(glyph("pointer"), 2), "reverse") if result == here else ("  ", "")
        parts += [pointer, (glyph(sign) + " ", tone), (result.title, title), (f": {told}" if told else ""), "\n"]
        if result.status in ("fail", "warn"):
            details = [*(_("because {cause}").format(cause=cause) for cause in result.causes), result.remedy]
            for line in filter(None, details):
                parts += [("    " + line, muted() if line != result.remedy else ""), "\n"]
    return parts


def _dull(result: Result) -> bool:
    """A check that does not apply here: skipped, and not needed for the verdict."""
    return result.status == "skip" and result.severity == "info"
