"""Objects with a schema: the checks, merges and comparisons that server-side apply is made of.

All functions work on plain JSON values and never change them. Behaviour: structured-merge-diff v6 (Kubernetes 1.36).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tui.lab.apiserver.fieldset import Element, FieldSet, Path, text
from tui.lab.apiserver.schema import Obj, Shape

ABSENT: Any = object()


class SchemaError(ValueError):
    """The object does not fit its schema: all findings, one a line."""


def element_of(shape: Shape, item: Any) -> Element:
    """The path element that names `item` in the list `shape`; raises SchemaError where a key is missing."""
    if shape.relation == "set":
        if isinstance(item, dict):
            raise SchemaError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise SchemaError("not supported: associative list with lists as elements")
        if item is None:
            raise SchemaError("associative list without keys has an element that's an explicit null")
        return "v", item
    assert shape.elem is not None
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise SchemaError(f"associative list with keys may not have {what}")
    pairs = []
    for key in sorted(shape.keys):
        value = item[key] if key in item else _key_default(shape.elem, key)
        if value is not ABSENT:
            # A key of a wrong type is told by the checks below it; here it only has to be a name.
            pairs.append((key, json.dumps(value) if isinstance(value, dict | list) else value))
    if not pairs:
        names = " ".join(f'"{key}"' for key in shape.keys)
        raise SchemaError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return "k", tuple(pairs)


def _key_default(shape: Shape, key: str) -> Any:
    """What an item counts as where it leaves a key out: fields that are always present have their zero value."""
    if key == "protocol":
        return "TCP"
    declared = shape.fields[key]
    if not declared.always and shape.name != "LocalObjectReference":  # whose name has a default
        return ABSENT
    return {"string": "", "int": 0}.get(declared.shape.name, ABSENT)


# -- validation


def validate(shape: Shape, value: Any, *, allow_duplicates: bool = False) -> None:
    """Raise SchemaError unless `value` fits `shape`: unknown fields, wrong types, a list key twice."""
    errors: list[str] = []
    _validate(shape, value, (), errors, allow_duplicates)
    if len(errors) > 1:
        raise SchemaError("errors:\n" + "\n".join(f"  {error}" for error in errors))
    if errors:
        raise SchemaError(errors[0])


def _validate(shape: Shape, value: Any, path: Path, errors: list[str], duplicates: bool) -> None:
    where = f"{text(path)}: " if path else ""
    if value is None or (shape.kind == "scalar" and shape.name == "any"):
        return
    if shape.kind == "scalar":
        problem = _scalar_problem(shape.name, value)
        if problem:
            errors.append(where + problem)
    elif shape.kind == "list":
        if not isinstance(value, list):
            errors.append(f"{where}expected list, got {go_value(value, pointer=True)}")
            return
        _validate_list(shape, value, path, errors, duplicates)
    elif not isinstance(value, dict):
        errors.append(f"{where}expected map, got {go_value(value, pointer=True)}")
    else:
        for name, item in value.items():
            child = shape.child(name)
            here = (*path, ("f", name))
            if child is None:
                errors.append(f"{text(here)}: field not declared in schema")
                return
            _validate(child, item, here, errors, duplicates)


def _validate_list(shape: Shape, value: list[Any], path: Path, errors: list[str], duplicates: bool) -> None:
    assert shape.elem is not None
    seen: set[Element] = set()
    for index, item in enumerate(value):
        element: Element = ("i", index)
        if shape.relation in ("set", "map"):
            try:
                element = element_of(shape, item)
            except SchemaError as error:
                errors.append(f"{text(path)}: element {index}: {error}")
                return
            if element in seen and not duplicates:
                errors.append(f"{text(path)}: duplicate entries for key {text((element,))}")
            seen.add(element)
        _validate(shape.elem, item, (*path, element), errors, duplicates)


def _scalar_problem(name: str, value: Any) -> str:
    match name:
        case "int":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return f"expected numeric (int or float), got {_go_type(value)}"
        case "bool":
            if not isinstance(value, bool):
                return f"expected boolean, got {go_value(value, pointer=True)}"
        case "string" | "bytes":
            if not isinstance(value, str):
                return f"expected string, got &value.valueUnstructured{{Value:{go_syntax(value)}}}"
        case _:
            if isinstance(value, dict | list):
                return f"expected any scalar, got {go_value(value, pointer=True)}"
    return ""


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "int64", float: "float64", list: "[]interface {}"}.get(
        type(value), "map[string]interface {}"
    )


def go_syntax(value: Any) -> str:
    """A JSON value as Go's %#v prints it."""
    if isinstance(value, dict):
        body = ", ".join(f"{json.dumps(key)}:{go_syntax(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{body}}}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(go_syntax(item) for item in value) + "}"
    return "interface {}(nil)" if value is None else json.dumps(value, ensure_ascii=False)


def go_value(value: Any, *, pointer: bool = False) -> str:
    """A JSON value as Go's %v prints it (`pointer`: inside a pointer to a struct, as values of the schema are)."""
    if isinstance(value, dict):
        shown = "map[" + " ".join(f"{key}:{go_value(value[key])}" for key in sorted(value)) + "]"
    elif isinstance(value, list):
        shown = "[" + " ".join(go_value(item) for item in value) + "]"
    elif isinstance(value, str):
        shown = value
    else:
        shown = "<nil>" if value is None else json.dumps(value)
    return f"&{{{shown}}}" if pointer else shown


# -- the set of fields of an object


def field_set(shape: Shape, value: Any) -> FieldSet:
    """The fields that applying `value` claims."""
    out = FieldSet()
    _collect(shape, value, (), out)
    return out


def _is_leaf(shape: Shape) -> bool:
    return shape.kind == "scalar" or shape.atomic


def _collect(shape: Shape, value: Any, path: Path, out: FieldSet) -> None:
    if _is_leaf(shape):
        out.insert(path)
    elif shape.kind == "list":
        assert shape.elem is not None
        if not isinstance(value, list):
            return
        elements = [element_of(shape, item) for item in value]
        for element, item in zip(elements, value, strict=True):
            here = (*path, element)
            out.insert(here)
            if elements.count(element) == 1:
                _collect(shape.elem, item, here, out)
    elif isinstance(value, dict):
        for name, item in value.items():
            child = shape.child(name)
            if child is None:
                continue
            here = (*path, ("f", name))
            _collect(child, item, here, out)
            if item is None or item == {} or shape.kind == "map":
                out.insert(here)


# -- merge


def merge(shape: Shape, live: Any, config: Any) -> Any:
    """`live` with `config` laid over it; ABSENT stands for a side that has nothing here."""
    if _is_leaf(shape):
        return live if config is ABSENT else config
    if shape.kind == "list":
        lefts, rights = _as_list(live), _as_list(config)
        if not lefts and not rights:
            return live if config is ABSENT else config
        return _merge_lists(shape, lefts, rights)
    left, right = _as_map(live), _as_map(config)
    if not left and not right:
        return live if config is ABSENT else config
    out: Obj = {}
    for name in [*left, *(key for key in right if key not in left)]:
        child = shape.child(name)
        if child is None:
            continue
        merged = merge(child, left.get(name, ABSENT), right.get(name, ABSENT))
        if merged is not ABSENT:
            out[name] = merged
    return out or ABSENT


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_map(value: Any) -> Obj:
    return value if isinstance(value, dict) else {}


def _merge_lists(shape: Shape, lefts: list[Any], rights: list[Any]) -> Any:
    """Items of both; those that only the live list has keep their place, the shared ones take the config's order."""
    assert shape.elem is not None
    left_names = [element_of(shape, item) for item in lefts]
    right_names = [element_of(shape, item) for item in rights]
    left_by, right_by = _index(left_names, lefts), _index(right_names, rights)
    shared = [name for name in right_names if name in left_by]
    following = shared.pop(0) if shared else None
    merged: set[Element] = set()
    out: list[Any] = []

    def put(left: Any, right: Any) -> None:
        assert shape.elem is not None
        item = merge(shape.elem, left, right)
        if item is not ABSENT:
            out.append(item)

    at_left = at_right = 0
    while at_left < len(lefts) or at_right < len(rights):
        if at_left < len(lefts) and at_right < len(rights):
            name = left_names[at_left]
            if name == right_names[at_right]:
                merged.add(name)
                put(left_by[name], right_by[name])
                at_left, at_right = at_left + 1, at_right + 1
                following = shared.pop(0) if shared else None
                continue
            if name in right_by and following is not None and following != name:
                at_left += 1
                continue
        if at_left < len(lefts):
            name = left_names[at_left]
            if name not in right_by:
                put(lefts[at_left], ABSENT)
                at_left += 1
                continue
            if name in merged:
                at_left += 1
        if at_right < len(rights):
            name = right_names[at_right]
            merged.add(name)
            put(left_by.get(name, ABSENT), right_by[name])
            at_right += 1
            if following == name:
                following = shared.pop(0) if shared else None
    return out or ABSENT


def _index(names: list[Element], items: list[Any]) -> dict[Element, Any]:
    # An item whose name occurs twice is merged with nothing.
    return {name: item if names.count(name) == 1 else None for name, item in zip(names, items, strict=True)}


# -- compare


@dataclass
class Comparison:
    """What changed between two objects."""

    added: FieldSet = field(default_factory=FieldSet)
    modified: FieldSet = field(default_factory=FieldSet)
    removed: FieldSet = field(default_factory=FieldSet)

    def without(self, ignored: FieldSet) -> Comparison:
        """The comparison with the ignored fields, and all below them, left out."""
        return Comparison(*(part.recursive_difference(ignored) for part in (self.added, self.modified, self.removed)))


def compare(shape: Shape, old: Any, new: Any) -> Comparison:
    """The fields added, modified and removed on the way from `old` to `new`."""
    out = Comparison()
    _compare(shape, old, new, (), out)
    return out


def _compare(shape: Shape, old: Any, new: Any, path: Path, out: Comparison) -> None:
    if old is new:
        return  # a write to one part of an object keeps the other parts as they are
    if _is_leaf(shape):
        leaf = True
    elif shape.kind == "list":
        leaf = not _as_list(old) and not _as_list(new)
        if not leaf:
            _compare_lists(shape, _as_list(old), _as_list(new), path, out)
    else:
        left, right = _as_map(old), _as_map(new)
        leaf = not left and not right
        if not leaf:
            for name in left.keys() | right.keys():
                child = shape.child(name)
                if child is not None:
                    _compare(child, left.get(name, ABSENT), right.get(name, ABSENT), (*path, ("f", name)), out)
    if old is ABSENT:
        out.added.insert(path)
    elif new is ABSENT:
        out.removed.insert(path)
    elif leaf and old != new:
        out.modified.insert(path)


def _compare_lists(shape: Shape, olds: list[Any], news: list[Any], path: Path, out: Comparison) -> None:
    assert shape.elem is not None
    left: dict[Element, list[Any]] = {}
    right: dict[Element, list[Any]] = {}
    for items, into in ((olds, left), (news, right)):
        for item in items:
            into.setdefault(element_of(shape, item), []).append(item)
    for element in [*left, *(name for name in right if name not in left)]:
        before, after = left.get(element, []), right.get(element, [])
        here = (*path, element)
        if len(before) <= 1 and len(after) <= 1:
            _compare(shape.elem, before[0] if before else ABSENT, after[0] if after else ABSENT, here, out)
        elif len(before) >= 2 and len(after) >= 2:
            if before != after:
                out.modified.insert(here)
        elif len(before) >= 2:
            if after:
                _compare(shape.elem, ABSENT, after[0], here, out)
            out.removed.insert(here)
        else:
            if before:
                _compare(shape.elem, before[0], ABSENT, here, out)
            out.added.insert(here)


# -- removal


def remove(shape: Shape, value: Any, fields: FieldSet) -> Any:
    """`value` without the fields in the set; None where nothing is left of a list, or was in a map."""
    if shape.kind == "scalar":
        return value
    if shape.kind == "list":
        if not isinstance(value, list) or not value or shape.atomic:
            return None
        return _remove_items(shape, value, fields) or None
    if not isinstance(value, dict) or not value or shape.atomic:
        return None
    out: Obj = {}
    for name, item in value.items():
        element: Element = ("f", name)
        child = shape.child(name)
        if element in fields.members or child is None:
            continue
        below = fields.children.get(element)
        out[name] = remove(child, item, below) if below and not below.empty else item
    return out  # a struct that was emptied is still there


def _remove_items(shape: Shape, value: list[Any], fields: FieldSet) -> list[Any]:
    assert shape.elem is not None
    out = []
    for item in value:
        element = element_of(shape, item)
        if element in fields.members:
            continue
        below = fields.children.get(element)
        out.append(remove(shape.elem, item, below) if below and not below.empty else item)
    return out
