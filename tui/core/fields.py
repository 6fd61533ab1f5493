"""Single fields of an object, named as server-side apply names them: `.spec.…containers[name="datakit"].image`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tui.core.ports import Object

# Lists that server-side apply merges item by item, and the field that tells their items apart (core/v1 types.go).
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()


@dataclass(frozen=True)
class Item:
    """A step into a merged list: the item whose field `key` is `value`."""

    key: str
    value: str


Path = tuple[str | Item, ...]  # one that ends with an Item means the item itself, with none of its fields


def text(path: Path) -> str:
    """The path as the API server writes it in a conflict; data keys with dots are not quoted there."""
    return "".join(f"[{step.key}={json.dumps(step.value)}]" if isinstance(step, Item) else f".{step}" for step in path)


def leaves(body: Object) -> dict[Path, Any]:
    """Every field of a partial object that server-side apply would own, with its value.

    What names the object (apiVersion, kind, metadata's names, uid and version) and the keys of list items are left out.
    """
    content = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k in ("labels", "annotations")}
    whole = {**content, **({"metadata": metadata} if metadata else {})}
    return dict(_leaves(whole, ())) if whole else {}


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        key = path[-1].key if path and isinstance(path[-1], Item) else ""
        rest = {name: inner for name, inner in value.items() if name != key}
        if not rest:
            yield path, {}
        for name, inner in rest.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list) and path and (merge := MERGE_KEYS.get(str(path[-1]))):
        for item in value:
            yield from _leaves(item, (*path, Item(merge, str(item[merge]))))
    else:
        yield path, value


def look(obj: Any, path: Path) -> Any:
    """The value at `path`, MISSING where there is none."""
    for step in path:
        if isinstance(step, Item):
            items = obj if isinstance(obj, list) else []
            obj = next((item for item in items if item.get(step.key) == step.value), MISSING)
        else:
            obj = obj.get(step, MISSING) if isinstance(obj, dict) else MISSING
        if obj is MISSING:
            return MISSING
    return obj


def put(obj: Object, path: Path, value: Any) -> None:
    """Set the value at `path` in place; what leads there is made where it is missing."""
    here: Any = obj
    for at, step in enumerate(path):
        last = at == len(path) - 1
        if isinstance(step, Item):
            found = next((item for item in here if item.get(step.key) == step.value), None)
            if found is None:
                found = {step.key: step.value}
                here.append(found)
            if last and isinstance(value, dict):
                found.update(value)
            here = found
        elif last:
            here[step] = copy.deepcopy(value)
        else:
            here = here.setdefault(step, [] if isinstance(path[at + 1], Item) else {})


def partial(names: Object, values: Mapping[Path, Any] | Iterable[tuple[Path, Any]]) -> Object:
    """A partial object: what names it (apiVersion, kind, metadata) and these fields."""
    made: Object = copy.deepcopy(names)
    for path, value in dict(values).items():
        put(made, path, value)
    return made


def without(body: Object, gone: Iterable[str]) -> Object:
    """A partial object without the fields that `gone` names as the API server does, and without items left empty."""
    names = set(gone)
    kept = {path: value for path, value in leaves(body).items() if text(path) not in names}
    head: Object = {key: body[key] for key in ("apiVersion", "kind") if key in body}
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k not in ("labels", "annotations")}
    return partial({**head, "metadata": metadata}, kept)


def owners(obj: Object, path: Path) -> list[tuple[str, str]]:
    """(manager, operation) of each that owns the field at `path`, entries about subresources left out."""
    found = []
    for entry in obj.get("metadata", {}).get("managedFields", []):
        if not entry.get("subresource") and _holds(entry.get("fieldsV1", {}), path):
            found.append((str(entry.get("manager", "")), str(entry.get("operation", ""))))
    return found


def _holds(fields: Mapping[str, Any], path: Path) -> bool:
    for step in path:
        if isinstance(step, Item):
            key = next((k for k in fields if k[:2] == "k:" and json.loads(k[2:]) == {step.key: step.value}), "")
        else:
            key = f"f:{step}"
        if key not in fields:
            return False
        fields = fields[key]
    return True
