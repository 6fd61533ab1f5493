"""The Table form of objects, which `kubectl get` prints. (columns: see columns.py)"""

from __future__ import annotations

from typing import Any

from tui.lab.apiserver.resources import Resource

Obj = dict[str, Any]


def table(resource: Resource, items: list[Obj], meta: Obj, include: str) -> Obj:
    """Objects as a Table; `include` is None, Metadata (the default) or Object."""
    from tui.lab.apiserver.columns import columns_of

    definitions, cells = columns_of(resource.kind)
    rows = []
    for item in items:
        row: Obj = {"cells": cells(item)}
        if include == "Object":
            row["object"] = item
        elif include != "None":
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
        else:
            row["object"] = None
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    }
