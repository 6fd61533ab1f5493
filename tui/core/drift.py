"""What became of a setup since: what the answers ask for, or a receipt says was written, against what is there now.

Reads only: fields are compared with the live objects, so no dry run (which needs the right to patch) is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from tui.core import fields, view_sync
from tui.core.answers import Answers
from tui.core.desired import bodies, desired, named
from tui.core.errors import NotFoundError
from tui.core.ports import Kind, Object, Reader, Studio, Workspace
from tui.core.receipts import WRITTEN, Receipt, digests
from tui.core.redaction import strike_secrets
from tui.core.survey import Survey
from tui.core.view_sync import Wanted
from tui.i18n import _

SAME, CHANGED, MISSING = "same", "changed", "missing"
_MOST_LINES = 6  # taken away, and as many added


@dataclass(frozen=True)
class Field:
    """One field, or one view: how it stands, and what a person reads of the difference (secrets struck out)."""

    object: str
    name: str
    state: str
    diff: tuple[str, ...] = ()

    def told(self) -> str:
        """The field in one line, with what is there instead."""
        word = {SAME: _("the same"), CHANGED: _("changed"), MISSING: _("missing")}[self.state]
        return "\n".join([f"{self.object} {self.name}: {word}", *(f"  {line}" for line in self.diff)])


def of_answers(answers: Answers, survey: Survey) -> list[Field]:
    """Each field that an apply of these answers would write, as it stands in the objects of the survey.

    Raises UsageError for answers that do not fit this cluster.
    """
    wanted = desired(named(answers, survey), survey)
    found = []
    for kind, body, live in bodies(wanted, survey) if wanted else ():
        title = _title(kind.kind, body)
        for path, value in fields.leaves(body).items():
            found.append(_field(title, fields.text(path), value, fields.look(live or {}, path)))
    return found


def of_receipt(cluster: Reader, receipt: Receipt) -> list[Field]:
    """Each field that the receipt says was written, as it stands now; of values a receipt keeps digests alone.

    Raises ForbiddenError, UnreachableError.
    """
    found = []
    for step in receipt.steps:
        if step.state != WRITTEN or not step.wrote:
            continue
        kind = Kind(step.api_version, step.kind, step.plural)
        try:
            live: Object | None = cluster.get(kind, step.namespace, step.name)
        except NotFoundError:
            live = None
        now = digests(live)
        for name, digest in step.wrote.items():
            state = MISSING if name not in now else SAME if now[name] == digest else CHANGED
            found.append(Field(step.title, name, state))
    return found


def of_views(studio: Studio, workspace: Workspace, wanted: Sequence[Wanted]) -> list[Field]:
    """Each view as it is wanted against its dashboard, panel by panel."""
    states = {view_sync.SAME: SAME, view_sync.MISSING: MISSING}
    return [
        Field(
            _("View"),
            one.wanted.name,
            states.get(one.state, CHANGED),
            tuple(f"{difference.verb}: {difference.what}" for difference in one.differences),
        )
        for one in view_sync.look(studio, workspace, wanted)
    ]


def of_view_steps(studio: Studio, receipt: Receipt) -> list[Field]:
    """Each view that the receipt says was made: there, or not any more."""
    made = [view for view in receipt.views if view.state == WRITTEN]
    dashboards = view_sync.there(studio, [view.uuid for view in made])
    return [Field(_("View"), view.name, SAME if dashboards[view.uuid] else MISSING) for view in made]


def drifted(found: Sequence[Field]) -> list[Field]:
    """Those that are not as they were, or as they are wanted."""
    return [one for one in found if one.state != SAME]


def _title(kind: str, body: Object) -> str:
    return f"{kind} {body['metadata']['namespace']}/{body['metadata']['name']}"


def _field(title: str, name: str, wanted: Any, live: Any) -> Field:
    if live is fields.MISSING:
        return Field(title, name, MISSING)
    if live == wanted:
        return Field(title, name, SAME)
    return Field(title, name, CHANGED, tuple(_lines(wanted, live)))


def _lines(wanted: Any, live: Any) -> Iterator[str]:
    """What changed, as a diff from what is wanted to what is there; a long one is cut, on both sides."""
    before, after = (strike_secrets(str(value)).splitlines() for value in (wanted, live))
    left = {"-": _MOST_LINES, "+": _MOST_LINES}
    cut = False
    for line in unified_diff(before, after, lineterm="", n=0):
        if line[:2] in ("--", "++", "@@"):
            continue
        left[line[0]] -= 1
        if left[line[0]] >= 0:
            yield line
        cut = cut or left[line[0]] < 0
    if cut:
        yield "…"
