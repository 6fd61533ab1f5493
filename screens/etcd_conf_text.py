"""What the etcd.conf screen says: the rows of its choices, its tabs, what is wrong with the text, and what it fills."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from screens.series import Passed
from tui.core import views
from tui.core.answers import EtcdAnswers
from tui.core.conf_places import ERROR, Finding
from tui.core.errors import WizardError
from tui.core.etcd_presets import PRESETS
from tui.core.topology import STRATEGIES, Topology
from tui.i18n import N_, _, ngettext
from tui.widgets.choices import Choice
from tui.widgets.glyphs import glyph, muted
from tui.widgets.step_screen import assemble

OWN, LIVE = "own", "live"  # beside the strategies: the text as it was edited, and that which is in the cluster
SIGNS = {"error": ("fail", "$error"), "warning": ("warn", "$warning"), "info": ("dot", muted())}

# Msgids: what each way to reach etcd is called.
STRATEGY_TITLES = {
    "node-http": N_("each node, plain HTTP"),
    "node-tls": N_("each node, with certificates"),
    "elected": N_("one elected DataKit"),
    "tutorial": N_("as in the tutorial"),
    "none": N_("do not collect etcd"),
}
PRESET_TITLES = {
    "tutorial": N_("the tutorial's four filters"),
    "recommended": N_("what the view shows"),
    "full": N_("everything but the useless"),
}


def strategies(etcd: EtcdAnswers, topology: Topology, live: str, own: str) -> list[Choice]:
    """The ways to reach etcd, and the texts (in the cluster, edited) that may be kept instead."""
    rows = []
    for key in STRATEGIES:
        possible = key == "none" or bool(topology.urls(key)) or bool(etcd.urls)
        note = _("proposed here") if key == topology.proposal else ""
        problem = "" if possible else _("not possible here")
        rows.append(Choice(key, f"{key:<10} {_(STRATEGY_TITLES[key])}", note, problem))
    if live:
        rows.append(Choice(LIVE, f"{'':<10} {_('keep the text that is there')}"))
    if own and own != live:
        rows.append(Choice(OWN, f"{'':<10} {_('the text as you edited it')}"))
    return rows


def presets(topology: Topology) -> list[Choice]:
    """The filters, each with the series that it lets through, all members together."""
    members = max(len(topology.members), 1)
    rows = []
    for key, preset in PRESETS.items():
        n = preset.series * members
        series = ngettext("{n} series", "{n} series", n).format(n=n)
        note = series + (" · " + _("proposed") if key == "recommended" else "")
        rows.append(Choice(key, f"{key:<12} {_(PRESET_TITLES[key])}", note))
    return rows


def tabs(at: int, found: Sequence[Finding], passed: Passed) -> Content:
    """The titles of the three panes, that of the one shown (`at`) underlined."""
    errors = sum(1 for one in found if one.severity == ERROR)
    others = len(found) - errors
    text = _("Text")
    if errors:
        text += f" {glyph('fail')} {errors}"
    elif others:
        text += f" {glyph('warn')} {others}"
    series = _("Series {kept} of {all}").format(kept=passed.kept, all=passed.all)
    parts: list[str | tuple[str, str]] = []
    for number, title in enumerate((_("Choices"), text, series)):
        style = "bold $accent underline" if number == at else muted()
        parts += [(f"{number + 1} {title}", style), "   "]
    return assemble(*parts)


def told(trouble: WizardError | None, found: Sequence[Finding], *, nothing: bool) -> Content:
    """Why no text follows from the choices, or what is to be said of it; `nothing`: it is empty."""
    parts: list[str | tuple[str, str]] = []
    if trouble is not None:
        parts = [(glyph("fail") + " ", "$error"), "\n".join(trouble.lines())]
    for number, one in enumerate(found):
        sign, tone = SIGNS[one.severity]
        where = _("line {line}").format(line=one.line) + (f" {one.key}" if one.key else "")
        parts += ["\n" if number else "", (glyph(sign) + " ", tone), (where + ": ", muted()), one.message]
        parts += [" " + one.remedy] if one.remedy else []
    if not parts and nothing:
        parts = [_("Nothing is written: etcd is not collected.")]
    elif not parts:
        parts = [(glyph("ok") + " ", "$success"), _("DataKit can read this, and nothing in it is a trap.")]
    return assemble(*parts)


def filled(passed: Passed) -> Content:
    """How much of the ETCD view is filled by what passes."""
    fills = views.fillable(views.view("etcd"), passed.fields)
    full = sum(1 for fill in fills if fill.ok)
    return assemble(
        (glyph("warn") + " ", "$warning") if not full else "",
        _("{n} of the {all} panels of the ETCD view are filled; {kept} of {series} series pass.").format(
            n=full, all=len(fills), kept=passed.kept, series=passed.all
        ),
    )
