"""One object that would be written: its server-side dry run, the diff, and whose fields are in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tui.core import fields
from tui.core.diff import object_diff
from tui.core.errors import ConflictError, FieldConflict, ForbiddenError, StaleError
from tui.core.owners import forced_note, owner_notes
from tui.core.ownership import FIELD_MANAGER, managers
from tui.core.ports import DAEMON_SET, DEPLOYMENT, Cluster, Kind, Object
from tui.core.receipts import Overwrite, overwrite
from tui.i18n import _

_TRIES = 4  # as `kubectl diff`
CREATE, CHANGE, SAME = "create", "change", "same"


@dataclass(frozen=True)
class Change:
    """One object that would be written. `live` is the object that was reviewed, None where it does not exist yet.

    `overwrites` are the values in the way, one for each conflict, with secrets left out; `diff` shows what forcing
    them would do. A conflict is never forced unless `Plan.forced` names its field, or the answers name the object
    (`accepted`). `restarts` says whether the DaemonSet's pod template would change; `pods` are those of a workload that
    restart.
    """

    kind: Kind
    namespace: str
    name: str
    verb: str
    body: Object
    live: Object | None
    diff: str = ""
    conflicts: tuple[FieldConflict, ...] = ()
    overwrites: tuple[Overwrite, ...] = ()
    owners: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    restarts: bool = False
    accepted: bool = False
    pods: int = 0

    @property
    def title(self) -> str:
        """Kind and name, as kubectl would write them."""
        return f"{self.kind.kind} {self.namespace}/{self.name}"

    @property
    def rolls(self) -> bool:
        """Whether its rollout is followed."""
        return self.kind in (DAEMON_SET, DEPLOYMENT)

    @property
    def alone(self) -> bool:
        """Whether its failure keeps nothing else from being done: each workload stands for itself."""
        return self.kind == DEPLOYMENT

    def explained(self, conflict: FieldConflict) -> str:
        """Who owns the field in the way, and what its next sync does to a value forced over it."""
        found = next((o for o in self.overwrites if (o.path, o.manager) == (conflict.field, conflict.manager)), None)
        return forced_note(self.live or {}, conflict.manager, found.operation if found else "Update")


def dry_run(cluster: Cluster, kind: Kind, body: Object, live: Object | None) -> Change:
    """What a server-side apply of `body` would do to `live`; a conflict is reported with what forcing it would change.

    It is held to the version of `live`, which is read anew where somebody wrote since: what they wrote would else stand
    in the diff as if it were ours. Raises StaleError where that never ends, or the object is another by now. A right
    that is missing is no error here: the change is then shown without its diff, and `Plan.rights` names it.
    """
    for _again in range(_TRIES):
        try:
            return _dry_run(cluster, kind, body, live)
        except StaleError:
            before = live
            live = cluster.get(kind, body["metadata"]["namespace"], body["metadata"]["name"])
            if before is not None and before["metadata"].get("uid") != live["metadata"].get("uid"):
                raise  # made anew: not what was looked at
    return _dry_run(cluster, kind, body, live)


def _dry_run(cluster: Cluster, kind: Kind, body: Object, live: Object | None) -> Change:
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    owners = [f"{manager} ({operation})" for manager, operation in managers(live or {})]
    owners += owner_notes(live or {})
    change = Change(kind, namespace, name, CREATE if live is None else CHANGE, body, live, owners=tuple(owners))
    conflicts: tuple[FieldConflict, ...] = ()
    overwrites: tuple[Overwrite, ...] = ()
    metadata = (live or {}).get("metadata", {})
    held = {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}
    sent = {**body, "metadata": {**body["metadata"], **held}}
    try:
        applied = cluster.apply(kind, namespace, name, sent, manager=FIELD_MANAGER, dry_run=True)
        if live is None and applied.object["metadata"].get("resourceVersion"):
            raise _there_after_all(kind, namespace, name)  # what a dry run would create has no version yet
    except ConflictError as error:
        if live is None:
            raise _there_after_all(kind, namespace, name) from None
        conflicts = tuple(error.conflicts)
        overwrites = _overwrites(live or {}, body, conflicts)
        applied = cluster.apply(kind, namespace, name, sent, manager=FIELD_MANAGER, dry_run=True, force=True)
    except ForbiddenError:
        return replace(change, restarts=kind == DAEMON_SET)
    diff = object_diff(live, applied.object, f"{kind.plural}/{name}")
    if live is not None and not diff:
        return replace(change, verb=SAME, warnings=applied.warnings)
    return replace(
        change,
        diff=diff,
        conflicts=conflicts,
        overwrites=overwrites,
        warnings=applied.warnings,
        restarts=kind == DAEMON_SET and _template(applied.object) != _template(live or {}),
    )


def _there_after_all(kind: Kind, namespace: str, name: str) -> StaleError:
    return StaleError(
        _("The object was not there when it was looked for, and is there now."),
        object=f"{kind.kind} {namespace}/{name}",
        remedy=_("Run it again."),
    )


def _template(daemon_set: Object) -> Object:
    template: Object = daemon_set.get("spec", {}).get("template", {})
    return template


def _overwrites(live: Object, body: Object, conflicts: Sequence[FieldConflict]) -> tuple[Overwrite, ...]:
    """What forcing would take away: each field in the way with its value, manager and operation."""
    paths = {fields.text(path): path for path in fields.leaves(body)}
    found = []
    for conflict in conflicts:
        path = paths.get(conflict.field)
        value = fields.look(live, path) if path else fields.MISSING
        if path is None or value is fields.MISSING:
            continue
        operation = next((how for who, how in fields.owners(live, path) if who == conflict.manager), "")
        found.append(overwrite(path, value, conflict.manager, operation))
    return tuple(found)


def changed(changes: Sequence[Change]) -> list[Change]:
    """The changes that apply would write."""
    return [change for change in changes if change.verb != SAME]
