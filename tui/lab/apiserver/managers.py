"""Field managers: who owns which field of an object, kept through every write and told as `metadata.managedFields`.

Behaviour: k8s.io/apimachinery managedfields of Kubernetes 1.36, one API version a kind.
"""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from dataclasses import dataclass, field

from tui.lab.apiserver import typed
from tui.lab.apiserver.fieldset import FieldSet, Path, from_json, path, text
from tui.lab.apiserver.schema import Obj, Shape, decode
from tui.lab.apiserver.times import now

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_UPDATERS = 10
_STRIPPED = FieldSet()
for _names in ("apiVersion", "kind", "metadata"):
    _STRIPPED.insert(path(_names))
for _names in (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
):  # fmt: skip
    _STRIPPED.insert(path("metadata", _names))


@dataclass(frozen=True, order=True)
class Owner:
    """The identity of a field manager; an applier is the same whatever version it applied."""

    manager: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        shown = json.dumps(self.manager, ensure_ascii=False)
        if self.subresource:
            shown += f" with subresource {json.dumps(self.subresource)}"
        return f"{shown} using {self.api_version}" if self.operation == "Update" else shown


@dataclass
class Owned:
    """What one manager owns, since when."""

    fields: FieldSet
    api_version: str
    time: str | None = None


Managed = dict[Owner, Owned]


@dataclass
class Target:
    """What a write is about: the type, its version, the subresource and the fields that writes there cannot own."""

    shape: Shape
    api_version: str
    subresource: str = ""
    reset: FieldSet = field(default_factory=FieldSet)


class ApplyConflictsError(Exception):
    """Fields that other managers own, in the order in which they are told."""

    def __init__(self, conflicts: list[tuple[Owner, Path]]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts

    def message(self) -> str:
        """The text of the Status."""
        if len(self.conflicts) == 1:
            owner, where = self.conflicts[0]
            return f"Apply failed with 1 conflict: conflict with {owner}: {text(where)}"
        lines = []
        for owner in sorted({owner for owner, _ in self.conflicts}):
            lines.append(f"conflicts with {owner}:")
            lines += [f"- {text(where)}" for holder, where in self.conflicts if holder == owner]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)

    def causes(self) -> list[Obj]:
        """The causes of the Status."""
        return [
            {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": text(where)}
            for owner, where in self.conflicts
        ]


class BadApplyError(Exception):
    """The body of an apply does not fit its schema (the server answers 500 without a reason)."""


def read(entries: list[Obj] | None) -> Managed:
    """The managers of `metadata.managedFields`; raises ValueError for entries that cannot be read."""
    managed: Managed = {}
    for entry in entries or []:
        operation = entry.get("operation", "")
        if operation not in ("Apply", "Update"):
            raise ValueError(f'operation is "{operation}" but should be "Apply" or "Update"')
        version = entry.get("apiVersion", "")
        owner = Owner(
            entry.get("manager", ""), operation, "" if operation == "Apply" else version, entry.get("subresource", "")
        )
        managed[owner] = Owned(_fields(entry.get("fieldsV1") or {}), version, entry.get("time"))
    return managed


_read: OrderedDict[int, tuple[Obj, FieldSet]] = OrderedDict()  # by the identity of what was read, which it keeps
_MOST_READ = 256


def _fields(found: Obj) -> FieldSet:
    """A FieldsV1 as a set: thousands of objects of one template share theirs, and each write reads them again."""
    known = _read.get(id(found))
    if known is not None and known[0] is found:
        _read.move_to_end(id(found))
        return known[1]
    fields = from_json(found)
    _read[id(found)] = found, fields
    if len(_read) > _MOST_READ:
        _read.popitem(last=False)
    return fields


def write(managed: Managed) -> list[Obj]:
    """`metadata.managedFields` of the managers, in the server's order."""
    entries = []
    for owner, owned in sorted(managed.items(), key=lambda item: (item[0].operation, item[1].time or "", item[0])):
        entry: Obj = {"manager": owner.manager, "operation": owner.operation, "apiVersion": owned.api_version}
        if owned.time:
            entry["time"] = owned.time
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": owned.fields.to_json()}
        if owner.subresource:
            entry["subresource"] = owner.subresource
        entries.append(entry)
    return entries


def _without(obj: Obj) -> Obj:
    """The object without its managedFields (a shallow copy)."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _with(obj: Obj, managed: Managed) -> Obj:
    entries = write(managed)
    return {**obj, "metadata": {**(obj.get("metadata") or {}), **({"managedFields": entries} if entries else {})}}


def update(target: Target, live: Obj, new: Obj, manager: str) -> Obj:
    """`new` with the managedFields that a write by `manager` over `live` leaves.

    `live` is the decoded empty object on creation. managedFields sent in the body replace the live ones; an empty
    list, or one empty entry, clears them.
    """
    sent = new["metadata"].get("managedFields")
    try:
        if target.subresource:
            managed = read(live["metadata"].get("managedFields"))
        elif sent is not None and (not sent or sent == [{}]):
            managed = {}
        else:
            managed = read(sent) or read(live["metadata"].get("managedFields"))
    except ValueError:
        managed = _read_or_none(live)
    old, new = _without(live), _without(new)
    if not managed and old["metadata"].get("uid"):
        return new  # an object whose owners were cleared is not tracked until the first apply
    _update(target, old, new, managed, Owner(manager or "unknown", "Update", target.api_version, target.subresource))
    _cap(managed)
    return _with(new, managed)


def _read_or_none(live: Obj) -> Managed:
    try:
        return read(live["metadata"].get("managedFields"))
    except ValueError:
        return {}


def _update(target: Target, old: Obj, new: Obj, managed: Managed, owner: Owner) -> None:
    change = _settle(target, old, new, managed, None, force=True)
    taken = change.modified.union(change.added).recursive_difference(target.reset).difference(_STRIPPED)
    if taken.empty:
        return
    before = managed.get(owner)
    managed[owner] = Owned(before.fields.union(taken) if before else taken, target.api_version, now())


def _settle(
    target: Target, old: Obj, new: Obj, managed: Managed, owner: Owner | None, *, force: bool
) -> typed.Comparison:
    """Take from the other managers what this write changed or removed; ApplyConflictsError unless forced."""
    change = typed.compare(target.shape, old, new).without(target.reset)
    touched = change.modified.union(change.added)
    conflicts = {
        other: held
        for other, owned in managed.items()
        if other != owner and not (held := owned.fields.intersection(touched)).empty
    }
    if conflicts and not force:
        raise ApplyConflictsError([(other, where) for other, held in conflicts.items() for where in held.paths()])
    for other in list(managed):
        if other == owner:
            continue
        owned = managed[other]
        rest = owned.fields.difference(change.removed)
        if other in conflicts:
            rest = rest.difference(conflicts[other])
        managed[other] = Owned(rest, owned.api_version, owned.time)
        if rest.empty:
            del managed[other]
    return change


def _cap(managed: Managed) -> None:
    """Merge the oldest of more than ten updaters into `ancient-changes`."""
    updaters = [owner for owner in managed if owner.operation == "Update"]
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return
    updaters.sort(key=lambda owner: (managed[owner].time or "", owner))
    first: dict[str, Owner] = {}
    for owner in updaters:
        if excess <= 0:
            return
        version = managed[owner].api_version
        bucket = Owner("ancient-changes", "Update", version)
        if version not in first:
            first[version] = owner
            continue
        if bucket not in managed:
            managed[bucket] = managed.pop(first[version])
        if owner != bucket:
            owned = managed.pop(owner)
            managed[bucket] = Owned(owned.fields.union(managed[bucket].fields), version, owned.time)
        excess -= 1


def apply(target: Target, live: Obj, config: Obj, manager: str, *, force: bool) -> tuple[Obj, bool]:
    """Server-side apply of `config` by `manager` over `live` (the decoded empty object where there is none).

    Returns the object, not yet decoded or defaulted where it changed, and whether its content changed. Raises
    ApplyConflictsError, or BadApplyError where the body does not fit the schema.
    """
    managed = read(live["metadata"].get("managedFields"))
    old = _without(live)
    if not managed:
        _update(
            target,
            decode(target.shape, {}),
            old,
            managed,
            Owner("before-first-apply", "Update", target.api_version, target.subresource),
        )
    owner = Owner(manager, "Apply", subresource=target.subresource)
    try:
        typed.validate(target.shape, config)
    except typed.SchemaError as error:
        raise BadApplyError(str(error)) from error
    try:
        new, changed, managed = _apply(target, old, config, dict(managed), owner, force=force)
    except ApplyConflictsError as error:
        if manager != "kubectl":
            raise
        new, changed, managed = _forgiven(target, old, config, managed, owner, error)
    if manager == "kubectl" and LAST_APPLIED in ((new.get("metadata") or {}).get("annotations") or {}):
        new = _keep_last_applied(new, config)
        changed = changed or new != old
    return _with(new, managed), changed


def _apply(
    target: Target, old: Obj, config: Obj, managed: Managed, owner: Owner, *, force: bool
) -> tuple[Obj, bool, Managed]:
    merged = typed.merge(target.shape, old, config)
    claimed = typed.field_set(target.shape, config).recursive_difference(target.reset)
    last = managed.get(owner)
    managed[owner] = Owned(claimed, target.api_version, last.time if last else None)
    new = _prune(target.shape, merged, managed, last.fields) if last and not last.fields.empty else merged
    _settle(target, old, new, managed, owner, force=force)
    if managed[owner].fields.empty:
        del managed[owner]
    changed = bool(new != old)
    if owner in managed:
        rest = managed[owner].fields.difference(_STRIPPED)
        if rest.empty:
            del managed[owner]
        else:
            managed[owner] = Owned(rest, target.api_version, now() if changed else managed[owner].time)
    return (new if changed else old), changed, managed


def _prune(shape: Shape, merged: Obj, managed: Managed, last: FieldSet) -> Obj:
    """`merged` without what this manager applied last time and neither it nor anyone else wants now."""

    def named(fields: FieldSet) -> FieldSet:
        return fields.with_named_fields(shape)

    pruned = typed.remove(shape, merged, named(last))
    everything = named(typed.field_set(shape, merged))
    owned = FieldSet()
    for each in managed.values():
        owned = owned.union(each.fields)
    kept = named(typed.field_set(shape, pruned)).union(named(owned))
    pruned = typed.remove(shape, merged, everything.difference(kept))
    kept = named(typed.field_set(shape, pruned))
    return typed.remove(shape, merged, everything.difference(kept).intersection(named(last))) or {}


def _forgiven(
    target: Target, old: Obj, config: Obj, managed: Managed, owner: Owner, error: ApplyConflictsError
) -> tuple[Obj, bool, Managed]:
    """kubectl's own manager may take over what its last client-side apply set, where the live value is still that."""
    allowed = _last_applied_fields(target, old)
    if allowed is None:
        raise error
    remaining = [(holder, where) for holder, where in error.conflicts if not allowed.has(where)]
    if remaining:
        raise ApplyConflictsError(remaining)
    return _apply(target, old, config, dict(managed), owner, force=True)


def _last_applied_fields(target: Target, old: Obj) -> FieldSet | None:
    try:
        last = json.loads(old["metadata"].get("annotations", {}).get(LAST_APPLIED, ""))
        typed.validate(target.shape, last)
    except ValueError:
        return None
    if last.get("apiVersion") != target.api_version:
        return None
    change = typed.compare(target.shape, last, old)
    fields = typed.field_set(target.shape, last)
    return fields.difference(change.modified).difference(change.added).difference(change.removed)


def _keep_last_applied(new: Obj, config: Obj) -> Obj:
    applied = copy.deepcopy(config)
    annotations = (applied.get("metadata") or {}).get("annotations")
    if annotations:
        annotations.pop(LAST_APPLIED, None)
    shown = json.dumps(applied, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    metadata = {**new["metadata"], "annotations": {**new["metadata"]["annotations"], LAST_APPLIED: shown}}
    return {**new, "metadata": metadata}
