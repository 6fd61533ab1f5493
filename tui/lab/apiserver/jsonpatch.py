"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386), with the liberties that the API server takes."""

from __future__ import annotations

import copy
from typing import Any


class PatchFailedError(ValueError):
    """An operation that cannot be done, or a test that does not hold."""


def merge_patch(value: Any, change: Any) -> Any:
    """`value` with a merge patch laid over it; null removes."""
    if not isinstance(change, dict):
        return change
    out = dict(value) if isinstance(value, dict) else {}
    for key, item in change.items():
        if item is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), item)
    return out


def json_patch(document: Any, operations: list[Any]) -> Any:
    """`document`, changed in place, after the operations; PatchFailedError where one cannot be done."""
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise PatchFailedError("operation without path")
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    path = _tokens(operation["path"])
    match operation.get("op"):
        case "add":
            return _add(document, path, copy.deepcopy(operation.get("value")))
        case "replace":
            return _replace(document, path, copy.deepcopy(operation.get("value")))
        case "remove":
            _remove(document, path)
            return document
        case "test":
            # A missing key counts as null here.
            if _get(document, path, missing_is_null=True) != operation.get("value"):
                raise PatchFailedError("test failed")
            return document
        case "move" | "copy" as op:
            source = _tokens(str(operation.get("from", "")))
            value = copy.deepcopy(_get(document, source, missing_is_null=op == "copy"))
            if op == "move":
                _remove(document, source)
            return _add(document, path, value)
    raise PatchFailedError("unknown operation")


def _tokens(path: str) -> list[str]:
    if not path:
        return []
    if not path.startswith("/"):
        raise PatchFailedError("path must start with /")
    return [token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/")]


def _index(items: list[Any], token: str, *, end: bool = False) -> int:
    if token == "-" and end:
        return len(items)
    if not token.lstrip("-").isdigit():
        raise PatchFailedError("not an index")
    at = int(token)
    if at < 0:
        at += len(items)
    if not 0 <= at < len(items) + end:
        raise PatchFailedError("index out of range")
    return at


def _get(document: Any, path: list[str], *, missing_is_null: bool = False) -> Any:
    for position, token in enumerate(path):
        if isinstance(document, list):
            document = document[_index(document, token)]
        elif isinstance(document, dict):
            if token not in document:
                if missing_is_null and position == len(path) - 1:
                    return None
                raise PatchFailedError("no such path")
            document = document[token]
        else:
            raise PatchFailedError("no such path")
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], end=True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise PatchFailedError("no such path")
    return document


def _replace(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent[_index(parent, path[-1])] = value
    elif isinstance(parent, dict):
        parent[path[-1]] = value  # the server's patch library adds a key that is not there
    else:
        raise PatchFailedError("no such path")
    return document


def _remove(document: Any, path: list[str]) -> None:
    if not path:
        raise PatchFailedError("cannot remove the document")
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, path[-1])]
    elif isinstance(parent, dict) and path[-1] in parent:
        del parent[path[-1]]
    else:
        raise PatchFailedError("no such path")
