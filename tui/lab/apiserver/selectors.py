"""Label selectors, field selectors, and the predicates that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tui.lab.apiserver.errors import bad_request
from tui.lab.apiserver.labels import Matches

Obj = dict[str, Any]


def from_label_selector(selector: Obj) -> Matches:
    """The predicate of a LabelSelector object."""
    wanted: dict[str, str] = selector.get("matchLabels") or {}
    expressions: list[Obj] = selector.get("matchExpressions") or []

    def matches(labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            _expression(labels, each["key"], each["operator"], each.get("values") or []) for each in expressions
        )

    return matches


def _expression(labels: Mapping[str, str], key: str, operator: str, values: list[str]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


# -- fields

# The fields that a kind can be selected by, beside its name and namespace; the last word tells how a refusal is worded.
FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "Event": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
}  # fmt: skip


def field_value(obj: Obj, path: str) -> str:
    """The text that a field selector compares."""
    if path == "source":
        return str(obj.get("source", {}).get("component", "") or obj.get("reportingComponent", ""))
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if path in ("spec.unschedulable", "spec.hostNetwork"):
        return "true" if value else "false"
    return "" if value is None else str(value)


def parse_fields(text: str, kind: str) -> tuple[Callable[[Obj], bool], dict[str, str]]:
    """The predicate of a `fieldSelector` parameter, and the values that it asks for exactly.

    ApiError 400 where it cannot be read, or for a field that the kind cannot be selected by.
    """
    terms: list[tuple[str, str, bool]] = []
    for part in (part for part in text.split(",") if part):
        found = re.match(r"^(.*?)(!=|==|=)(.*)$", part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = found.groups()
        if path not in ("metadata.name", "metadata.namespace", *FIELDS.get(kind, ())):
            raise bad_request(_unknown_field(kind, path))
        terms.append((path, value, operator != "!="))
    exact = {path: value for path, value, equal in terms if equal}
    return lambda obj: all((field_value(obj, path) == value) is equal for path, value, equal in terms), exact


def _unknown_field(kind: str, path: str) -> str:
    if kind in FIELDS:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
