"""Strategic merge patch: a merge patch that knows the types, so that lists merge by their key.

Directives: `$patch: delete|replace|merge`, `$retainKeys`, `$setElementOrder/LIST`, `$deleteFromPrimitiveList/LIST`.
Behaviour: Kubernetes 1.36.
"""

from __future__ import annotations

from typing import Any

from tui.lab.apiserver.schema import Obj, Shape
from tui.lab.apiserver.typed import go_value

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
DROP = "$deleteFromPrimitiveList/"


class MissingMergeKeyError(ValueError):
    """An item of a patch names no entry, or says what is to be done with it in an unknown word."""


def strategic_merge(shape: Shape | None, live: Obj, change: Obj) -> Obj:
    """`live` with a strategic merge patch laid over it."""
    directive = change.get(DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in change.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive is not None:
        raise _unknown(directive, change)
    out = dict(live)
    kept = change.get(RETAIN)
    if isinstance(kept, list):
        out = {key: value for key, value in out.items() if key in kept}
    for key, item in change.items():
        if key in (DIRECTIVE, RETAIN) or key.startswith(ORDER):
            continue
        if key.startswith(DROP):
            name = key.removeprefix(DROP)
            dropped = item if isinstance(item, list) else []
            out[name] = [value for value in out.get(name) or [] if value not in dropped]
            continue
        if item is None:
            out.pop(key, None)
            continue
        if key not in out and isinstance(item, dict) and DIRECTIVE in item:
            continue  # a directive about what is not there says nothing
        child = shape.child(key) if shape is not None and shape.kind != "scalar" else None
        out[key] = _merge(child, out.get(key), item, change.get(ORDER + key))
    for key, order in change.items():
        name = key.removeprefix(ORDER)
        if key.startswith(ORDER) and name not in change and isinstance(out.get(name), list):
            child = shape.child(name) if shape is not None else None
            out[name] = _ordered(out[name], out[name], order, child.merge_key if child else "")
    return out


def _unknown(directive: Any, change: Obj) -> MissingMergeKeyError:
    return MissingMergeKeyError(f"unknown patch type: {go_value(directive)} in map: {go_value(change)}")


def _merge(shape: Shape | None, live: Any, change: Any, order: Any) -> Any:
    if isinstance(change, dict):
        if isinstance(live, dict):
            return strategic_merge(shape, live, change)
        return _clean(change)
    if isinstance(change, list) and shape is not None and shape.kind == "list":
        items = live if isinstance(live, list) else []
        if shape.merge_key:
            return _merge_list(shape, items, change, order)
        if "merge" in shape.patch or shape.relation == "set":
            merged = [*items, *(item for item in change if item not in items)]
            return _place(merged, items, order if isinstance(order, list) else change, "")
    return _clean(change)


def _clean(change: Any) -> Any:
    """A part of a patch that becomes a value: without directives and nulls."""
    if isinstance(change, dict):
        if change.get(DIRECTIVE) == "delete":
            return {}
        return {
            key: _clean(value)
            for key, value in change.items()
            if value is not None and key not in (DIRECTIVE, RETAIN) and not key.startswith((ORDER, DROP))
        }
    if isinstance(change, list):
        if {DIRECTIVE: "replace"} in change:
            change = [item for item in change if item != {DIRECTIVE: "replace"}]
        return [_clean(item) for item in change if not (isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
    return change


def _merge_list(shape: Shape, live: list[Any], change: list[Any], order: Any) -> list[Any]:
    key = shape.merge_key
    if any(isinstance(item, dict) and item == {DIRECTIVE: "replace"} for item in change):
        return [_clean(item) for item in change if item != {DIRECTIVE: "replace"}]
    out = list(live)
    patched: list[Any] = []
    for item in change:
        directive = item.get(DIRECTIVE) if isinstance(item, dict) else None
        if directive == "merge":
            raise MissingMergeKeyError("merging lists cannot yet be specified in the patch")
        if directive not in (None, "delete", "replace"):
            raise _unknown(directive, item)
        if not isinstance(item, dict) or item.get(key) is None:
            shown = go_value(item)
            raise MissingMergeKeyError(f"map: {shown} does not contain declared merge key: {key}")
        at = next((i for i, each in enumerate(out) if each.get(key) == item[key]), None)
        if item.get(DIRECTIVE) == "delete":
            out = [each for each in out if each.get(key) != item[key]]
        elif at is None:
            added = _clean(item)
            out.append(added)
            patched.append(added[key])
        else:
            out[at] = strategic_merge(shape.elem, out[at], item) if DIRECTIVE not in item else _clean(item)
            patched.append(item[key])
    if order is not None:
        return _ordered(out, live, order, key)
    return _appended_first(out, live, patched, key)


def _appended_first(out: list[Any], live: list[Any], patched: list[Any], key: str) -> list[Any]:
    """Without a given order the patch's items come in its order, and new ones before the live list's later items."""
    return _place(out, live, patched, key)


def _ordered(items: list[Any], live: list[Any], order: Any, key: str) -> list[Any]:
    if not isinstance(order, list):
        return items
    wanted = [each.get(key) if isinstance(each, dict) else each for each in order]
    return _place(items, live, wanted, key)


def _place(items: list[Any], live: list[Any], wanted: list[Any], key: str) -> list[Any]:
    """The wanted items in their order, the others of the live list where they stood among them."""

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    at_live = {str(name(item)): at for at, item in enumerate(live)}
    by_name = {str(name(item)): item for item in items}
    first = [by_name[str(each)] for each in wanted if str(each) in by_name]
    chosen = {str(each) for each in wanted}
    rest = [item for item in items if str(name(item)) not in chosen]
    out: list[Any] = []
    while first and rest:
        left, right = at_live.get(str(name(first[0]))), at_live.get(str(name(rest[0])))
        if left is None or (right is not None and left < right):
            out.append(first.pop(0))
        else:
            out.append(rest.pop(0))
    return [*out, *first, *rest]
