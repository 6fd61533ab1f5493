"""A plan's changes in few lines: the mesh's workloads by namespace, with the pods that restart counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from tui.core.changes import CREATE, SAME, Change
from tui.core.plan import Plan
from tui.core.ports import DEPLOYMENT
from tui.i18n import _, ngettext

# Lines of an overview: with verdict and cost below it, it stays on a screen of 24 lines.
MOST = 12
_NAMED = 3


@dataclass(frozen=True)
class Group:
    """Changes that are shown as one: a single object, or a namespace's workloads that are changed alike."""

    changes: tuple[Change, ...]

    @property
    def title(self) -> str:
        """The object as kubectl would write it; of several the namespace, their number and the first of them."""
        first = self.changes[0]
        if len(self.changes) == 1:
            return first.title
        names = ", ".join(change.name for change in self.changes[:_NAMED])
        more = ", …" if len(self.changes) > _NAMED else ""
        return f"{first.kind.kind} {first.namespace}/ ×{len(self.changes)} ({names}{more})"

    @property
    def verb(self) -> str:
        """What happens to them, one of plan's verbs."""
        return self.changes[0].verb

    @property
    def pods(self) -> int:
        """How many pods of workloads restart."""
        return sum(change.pods for change in self.changes if change.verb != SAME)

    def line(self) -> str:
        """The group in one line."""
        words = {CREATE: _("create"), SAME: _("no change")}
        text = f"{self.title}: {words.get(self.verb, _('change'))}"
        if self.pods:
            text += ", " + ngettext("{n} pod restarts", "{n} pods restart", self.pods).format(n=self.pods)
        return text


def groups(changes: Iterable[Change]) -> list[Group]:
    """The changes in their order, workloads gathered by namespace and by what happens to them."""

    def key(change: Change) -> tuple[str, ...]:
        if change.kind == DEPLOYMENT:
            taken = "taken" if change.conflicts else ""
            return (change.kind.kind, change.namespace, change.verb, taken)
        return (change.title,)

    whole = list(changes)
    order = {kind: at for at, kind in enumerate(dict.fromkeys(key(change) for change in whole))}
    gathered = sorted(whole, key=lambda change: order[key(change)])
    return [Group(tuple(found)) for _key, found in groupby(gathered, key)]


def overview(plan: Plan) -> list[str]:
    """The changes and what is left out, a line each, never more than a screenful."""
    shown = groups(plan.changes)
    lines = [group.line() for group in shown[:MOST]]
    rest = shown[MOST:]
    if rest:
        n = sum(len(group.changes) for group in rest)
        text = ngettext("and {n} more, {pods} pods restart", "and {n} more, {pods} pods restart", n)
        lines.append(text.format(n=n, pods=sum(group.pods for group in rest)))
    n = len(plan.left_out)
    if n:
        lines.append(ngettext("{n} thing is left out", "{n} things are left out", n).format(n=n))
    return lines
