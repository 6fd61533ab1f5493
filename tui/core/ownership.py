"""Who manages what: reading `metadata.managedFields` (structured-merge-diff's FieldsV1)."""

from __future__ import annotations

import json
from typing import Any

from tui.core.ports import Object

FIELD_MANAGER = "datakit-wizard"


def owned(obj: Object, manager: str = FIELD_MANAGER) -> Object | None:
    """The part of `obj` that `manager` owns by server-side apply, as the body that would apply it again, or None.

    Values are taken from `obj` itself, paths from the manager's Apply entry without subresource.
    """
    for entry in obj.get("metadata", {}).get("managedFields", []):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            part = _select(obj, entry.get("fieldsV1", {}))
            body: Object = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **part}
            names = {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}
            body["metadata"] = {**part.get("metadata", {}), **names}
            return body
    return None


def _select(value: Any, fields: dict[str, Any]) -> Any:
    children = {key: sub for key, sub in fields.items() if key != "."}
    if not children:
        return value
    if isinstance(value, dict):
        return {
            key[2:]: _select(value[key[2:]], sub)
            for key, sub in children.items()
            if key.startswith("f:") and key[2:] in value
        }
    if isinstance(value, list):
        return [item for key, sub in children.items() if (item := _select_item(value, key, sub)) is not None]
    return value


def _select_item(items: list[Any], key: str, fields: dict[str, Any]) -> Any:
    wanted = json.loads(key[2:])
    if key.startswith("v:"):
        return wanted if wanted in items else None
    for item in items:
        if key.startswith("k:") and all(item.get(name) == value for name, value in wanted.items()):
            if set(fields) <= {"."}:
                return dict(wanted)
            return {**wanted, **_select(item, fields)}
    return None


def managers(obj: Object) -> list[tuple[str, str]]:
    """(manager, operation) of every entry that is not about a subresource, ours left out, in the object's order."""
    entries = obj.get("metadata", {}).get("managedFields", [])
    return [
        (entry["manager"], entry["operation"])
        for entry in entries
        if not entry.get("subresource") and entry.get("manager") != FIELD_MANAGER
    ]
