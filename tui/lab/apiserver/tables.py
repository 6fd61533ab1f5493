"""The Table form of objects, which `kubectl get` prints. Columns are data (columns.json), cells are code (cells.py)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tui.lab.apiserver.cells import cells_of
from tui.lab.apiserver.errors import bad_request, invalid
from tui.lab.apiserver.resources import Resource

Obj = dict[str, Any]


@cache
def _columns() -> dict[str, list[Obj]]:
    found = json.loads((Path(__file__).parent / "columns.json").read_text(encoding="utf-8"))
    return {
        kind: [
            {
                "name": name,
                "type": type_,
                "format": "name" if name == "Name" else "",
                "description": description,
                "priority": priority,
            }
            for name, type_, priority, description in columns
        ]
        for kind, columns in found.items()
    }


def table(resource: Resource, items: list[Obj], meta: Obj, include: str) -> Obj:
    """Objects as a Table; `include` is None, Metadata (the default) or Object. ApiError 400 for any other."""
    if include not in ("", "None", "Metadata", "Object"):
        finding = invalid("includeObject", include, "must be 'Metadata', 'Object', 'None', or empty")
        raise bad_request(f"Unable to convert to Table as requested: {finding.field}: {finding.message}")
    definitions = _columns().get(resource.kind)
    cells = cells_of(resource.kind)
    if definitions is None or cells is None:
        name, *_, created = _columns()["ConfigMap"]
        definitions = [name, {**created, "name": "Created At", "type": "date"}]
        cells = lambda obj: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]  # noqa: E731
    rows = []
    for item in items:
        row: Obj = {"cells": cells(item), "object": None}
        if include == "Object":
            row["object"] = item
        elif include != "None":
            partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            row["object"] = {**partial, "metadata": item["metadata"]}
        rows.append(row)
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    return {**head, "columnDefinitions": definitions, "rows": rows}
