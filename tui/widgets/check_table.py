"""The checks of a run: a category that is well folds to one line, what is not well says everything."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui.core.checks.model import Result
from tui.i18n import N_, _
from tui.widgets.glyphs import fit, glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import assemble

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
}


class CheckTable(Prose):
    """Results by category, in the order of the run."""

    def show(self, results: Sequence[Result]) -> None:
        """Show these results; a later one of the same check replaces the earlier."""
        newest = {result.id: result for result in results}
        parts: list[str | tuple[str, str] | Content] = []
        for category in dict.fromkeys(result.category for result in newest.values()):
            found = [result for result in newest.values() if result.category == category]
            parts += _category(category, found)
        self.update(assemble(*parts[:-1]))


def _category(category: str, found: list[Result]) -> list[str | tuple[str, str] | Content]:
    title = fit(_(CATEGORIES.get(category, category)), 11)
    well = [result for result in found if result.status == "pass"]
    others = [result for result in found if result.status != "pass" and not _dull(result)]
    parts: list[str | tuple[str, str] | Content] = []
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
        parts += ["  ", (glyph(sign) + " ", tone), result.title, (f": {told}" if told else ""), "\n"]
        if result.status in ("fail", "warn"):
            details = [*(_("because {cause}").format(cause=cause) for cause in result.causes), result.remedy]
            for line in filter(None, details):
                parts += [("    " + line, muted() if line != result.remedy else ""), "\n"]
    return parts


def _dull(result: Result) -> bool:
    """A check that does not apply here: skipped, and not needed for the verdict."""
    return result.status == "skip" and result.severity == "info"
