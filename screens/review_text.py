"""What the review says of a plan: a row for each change, its diff with the owners in the way, and what it costs."""

from __future__ import annotations

from textual.content import Content

from tui.core.changes import Change, changed
from tui.core.forcing import in_the_way, unforced
from tui.core.plan import Plan
from tui.core.plan_groups import Group
from tui.core.rollout import RolloutOptions
from tui.i18n import N_, _, ngettext
from tui.widgets.choices import Choice
from tui.widgets.glyphs import glyph, muted
from tui.widgets.step_screen import assemble

VERBS = {"create": N_("create"), "change": N_("change"), "same": N_("unchanged")}
Part = str | tuple[str, str] | Content


def row(plan: Plan, key: str, group: Group) -> Choice:
    """The row of a group of changes: what is done, what restarts, and who is in the way."""
    change = group.changes[0]
    note = _(VERBS[change.verb])
    if group.pods:
        note += ", " + ngettext("{n} pod restarts", "{n} pods restart", group.pods).format(n=group.pods)
    if left := in_the_way(change, plan.forced):
        return Choice(key, group.title, problem=note + " – " + left[0].manager)
    return Choice(key, group.title, note)


def diff(plan: Plan, change: Change) -> str:
    """The server's diff of a change; above it its warnings and the fields in the way, below it who else owns it."""
    text = change.diff or _("Nothing differs.")
    for conflict in change.conflicts:
        forced = conflict.field in plan.forced or change.accepted
        told = _("Taken: {field}, which is {manager}'s.") if forced else _("In the way: {field}, {manager}'s.")
        said = told.format(field=conflict.field, manager=conflict.manager)
        text = f"{said} {change.explained(conflict)}\n\n{text}"
    if change.owners:
        text += "\n\n" + _("Owned by: {owners}").format(owners=", ".join(change.owners))
    if change.warnings:
        text = "\n".join([*change.warnings, text])
    return text


def summary(plan: Plan | None, options: RolloutOptions, *, waits: bool, watched: bool) -> Content:
    """What the plan comes to, what stands in its way, and which keys change that.

    `waits`: one node has the change, and the others wait for the word. `watched`: a rollout is to be seen to its end.
    """
    if plan is None:
        return assemble(_("Every change is tried on the server first, without being made."))
    parts = _verdict(plan, options, waits=waits, watched=watched)
    for left in plan.left_out:
        parts += ["\n", (glyph("fail") + " ", "$error"), _("Left out: {what}").format(what=left)]
    for note in plan.notes:
        parts += ["\n", (glyph("warn") + " ", "$warning"), note]
    return assemble(*parts)


def _verdict(plan: Plan, options: RolloutOptions, *, waits: bool, watched: bool) -> list[Part]:
    parts: list[Part] = []
    blockers = plan.blockers()
    for reason in blockers:
        parts += [(glyph("fail") + " ", "$error"), reason, "\n"]
    if blockers:
        parts += [_("Nothing can be applied. Settle it with the owner, or export the manifests for GitOps."), "\n"]
        if unforced(plan):
            parts += [_("f takes a field from its owner, one by one, and says what follows."), "\n"]
    elif waits:
        parts += [(glyph("warn") + " ", "$warning"), (_("One node has the change; the others wait."), "bold"), "\n"]
        parts += [plan.cost, "\n", (_("Enter goes on with the others, u takes it back."), muted())]
    elif watched and not changed(plan.changes):
        parts += [(glyph("ok") + " ", "$success"), _("Everything is written; the rollout goes on in the cluster.")]
    elif changed(plan.changes):
        parts += [(glyph("warn") + " ", "$warning"), (plan.cost, "bold"), "\n"]
        if plan.rollout.restarts and not options.one_node_first:
            parts += [(_("1 tries it on one etcd node first."), muted()), "\n"]
        if plan.rollout.may_be_few and not options.only_etcd_nodes:
            text = _("2 restarts the pods of etcd's nodes alone: only the conf's text changes.")
            parts += [(text, muted()), "\n"]
        parts += [(_("Only our own fields are written; a receipt is kept; undo takes it back."), muted())]
        if plan.conf:
            parts += [" ", (_("p: DataKit tries the conf first."), muted())]
    elif plan.changes:
        parts += [(glyph("ok") + " ", "$success"), _("Nothing differs: the cluster is as these answers want it.")]
    else:
        parts += [_("etcd is not collected, so nothing is written to the cluster.")]
    return parts
