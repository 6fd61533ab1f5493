"""Which name each kind of data carries in the tag that the views filter on, and the change that makes it one."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult

from tui.core.cluster_tag import cluster_tag
from tui.core.survey import CLUSTER_TAG
from tui.i18n import _
from tui.widgets.glyphs import glyph, muted
from tui.widgets.page import Page
from tui.widgets.step_screen import assemble, facts, paragraph


class TagPage(Page[None]):
    """The table for one DaemonSet's environment; `wanted` is the name that the answers give."""

    def __init__(self, env: Mapping[str, str], wanted: str) -> None:
        super().__init__()
        self.found = cluster_tag(env, wanted)

    def content(self) -> ComposeResult:
        found = self.found
        yield paragraph((_("The tag {tag}, on which all seven views filter").format(tag=CLUSTER_TAG), "bold"))
        yield paragraph("\n", facts((row.kind, f"{row.name or _('(none)')}   {row.source}") for row in found.rows))
        for remark in found.remarks:
            yield paragraph("\n", (glyph("warn") + " ", "$warning"), remark)
        if found.change:
            said = _("One name for all of it needs, in the DaemonSet's env:")
            yield paragraph("\n", said, "\n", (found.change, "bold"))
            yield paragraph(
                assemble((_("Our etcd.conf carries the name by itself, whatever the election does."), muted()))
            )
        else:
            yield paragraph("\n", (glyph("ok") + " ", "$success"), _("All of it carries one name."))
