"""What was done, where it is written down, and the lines that repeat it, undo it, or go on from here."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.core.reports import receipt_text, verdict_line
from tui.core.survey import CLUSTER_TAG
from tui.i18n import N_, _
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble, facts

ANSWERS = "answers.toml"


class DoneScreen(StepScreen):
    """The handover: nothing on this screen changes anything."""

    STEP = "done"
    HELP = N_(
        "## Done\n\n"
        "- The **answers file** repeats this run without a screen, here or on another cluster. It holds no secret.\n"
        "- The **receipt** is what `undo` plays backwards; it refuses where somebody has changed the objects since.\n"
        "- What is printed here stays in the terminal after you leave."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "live", N_("Live"), id="live", tooltip=N_("The views' panels here in the terminal, live")),
    ]

    def content(self) -> ComposeResult:
        yield Prose(id="done")
        yield Prose(id="lines")

    def entered(self) -> None:
        session = self.session
        parts: list[str | tuple[str, str]] = []
        receipt, report = session.receipt, session.report
        if receipt is not None:
            for line in receipt_text(receipt).splitlines():
                parts += [(glyph("dot") + " ", muted()), line, "\n"]
        else:
            parts += [(glyph("skip") + " ", muted()), _("Nothing was changed."), "\n"]
        for dashboard in session.views.values():
            link = session.studio.link(dashboard, {CLUSTER_TAG: session.answers.cluster.name}) if session.studio else ""
            parts += [(glyph("ok") + " ", "$success"), _("View {name}").format(name=dashboard.name)]
            parts += ["  " + link if link else "", "\n"]
        if report is None:
            parts += [(glyph("warn") + " ", "$warning"), _("Not verified: whether metrics arrive is unproven."), "\n"]
        else:
            sign, tone = {"pass": ("ok", "$success"), "fail": ("fail", "$error")}.get(
                report.verdict, ("warn", "$warning")
            )
            parts += [(glyph(sign) + " ", tone), verdict_line(report), "\n"]
        if session.studio is None:
            parts += [
                (glyph("warn") + " ", "$warning"),
                _("No workspace: arrival, cluster name and freshness of the points stay unproven."),
                "\n",
            ]
        self.query_one("#done", Prose).update(assemble(*parts))
        path = session.state_dir / ANSWERS
        lines = [
            (_("Repeat"), f"datakit-wizard apply -f {path}"),
            (_("Check"), "datakit-wizard check"),
            (_("Undo"), "datakit-wizard undo" if receipt is not None and receipt.path is not None else ""),
            (_("Go on"), self.given.command),
        ]
        if session.lab is not None:
            lines = [(_("Again"), self.given.command)]
            note = _("The practice lab and everything in it is gone when you leave. On a cluster of yours:")
            text = assemble(facts(lines), "\n\n", (note, muted()), "\n", ("datakit-wizard", "$accent"))
        else:
            text = facts(lines)
        self.query_one("#lines", Prose).update(text)

    def action_live(self) -> None:
        self.post_message(self.OpenLive("etcd"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "live":
            return self.session.studio is not None
        return super().check_action(action, parameters)

    def go_on_text(self) -> tuple[str, bool]:
        return _("Leave"), True

    def commands(self) -> list[tuple[str, str, str]]:
        path = self.session.state_dir / ANSWERS
        return [
            (
                _("The same without a screen"),
                f"datakit-wizard plan -f {path}\ndatakit-wizard apply -f {path} --yes",
                "",
            ),
            (_("Take it back"), "datakit-wizard undo", _("Rancher: edit ConfigMap and DaemonSet back by hand.")),
        ]
