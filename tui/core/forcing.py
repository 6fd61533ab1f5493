"""A field in the way, as a person has to see it before it is taken: whose it is, what is lost, what follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tui.core import fields
from tui.core.changes import Change
from tui.core.errors import FieldConflict
from tui.core.plan import Plan
from tui.core.receipts import overwrite
from tui.i18n import _


@dataclass(frozen=True)
class InTheWay:
    """One conflict. `old` and `new` are the values as text, secrets left out; `effect` says what its owner will do."""

    field: str
    object: str
    manager: str
    old: str
    new: str
    effect: str
    can_be_restored: bool


def in_the_way(change: Change, forced: Sequence[str] = ()) -> list[InTheWay]:
    """The fields of a change that others hold and that are not `forced` yet, nor accepted by the answers."""
    if change.accepted:
        return []
    return [_told(change, conflict) for conflict in change.conflicts if conflict.field not in forced]


def unforced(plan: Plan) -> list[InTheWay]:
    """Every field that stops the plan, in the order of its changes."""
    return [one for change in plan.changes for one in in_the_way(change, plan.forced)]


def _told(change: Change, conflict: FieldConflict) -> InTheWay:
    path = next((path for path in fields.leaves(change.body) if fields.text(path) == conflict.field), None)
    record = next(
        (o for o in change.overwrites if (o.path, o.manager) == (conflict.field, conflict.manager)),
        None,
    )
    new = fields.look(change.body, path) if path else fields.MISSING
    return InTheWay(
        field=conflict.field,
        object=change.title,
        manager=conflict.manager,
        old=_("(holds a secret)") if record and record.withheld else _shown(record.old if record else None),
        new=_("(holds a secret)") if path and overwrite(path, new, "", "").withheld else _shown(new),
        effect=change.explained(conflict),
        can_be_restored=bool(record and record.operation == "Update" and not record.withheld),
    )


def _shown(value: Any) -> str:
    """A value in a few words: text as it is, with its size where it is long."""
    if value is None or value is fields.MISSING:
        return _("(unknown)")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    lines = text.strip().splitlines() or [""]
    if len(lines) > 1 or len(text) > 200:
        return _("{first} … ({n} characters)").format(first=lines[0][:60], n=len(text))
    return text
