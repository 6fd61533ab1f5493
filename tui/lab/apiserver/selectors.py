"""Label selectors, field selectors, and the predicates that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tui.lab.apiserver.errors import bad_request

Obj = dict[str, Any]
Matches = Callable[[Mapping[str, str]], bool]


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


_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUALS = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_EXISTS = re.compile(r"^(?P<not>!?)\s*(?P<key>[^\s!=,()]+)$")


def parse_labels(text: str) -> Matches:
    """The predicate of a `labelSelector` parameter; ApiError 400 where it cannot be read."""
    checks: list[Matches] = []
    for part in _split(text):
        checks.append(_parse_requirement(part.strip(), text))
    return lambda labels: all(check(labels) for check in checks)


def _parse_requirement(part: str, whole: str) -> Matches:
    if found := _SET.match(part):
        values = [value.strip() for value in found["values"].split(",")]
        operator, key = ("In" if found["op"] == "in" else "NotIn"), found["key"]
        return lambda labels: _expression(labels, key, operator, values)
    if found := _EQUALS.match(part):
        key, value, negated = found["key"], found["value"], found["op"] == "!="
        return lambda labels: (labels.get(key) == value) is not negated
    if found := _EXISTS.match(part):
        key, negated = found["key"], bool(found["not"])
        return lambda labels: (key in labels) is not negated
    raise bad_request(_label_problem(part, whole))


def _label_problem(part: str, whole: str) -> str:
    found = re.match(r"^(!?\s*[^\s!=,()]+)\s*(.*)$", part)
    if not found:
        return f"unable to parse requirement: found '{part[:1]}', expected: !, identifier, or 'end of string'"
    rest = found[2]
    if re.match(r"^(in|notin)\b", rest):
        return f"unable to parse requirement: found '{rest.split(None, 1)[-1]}', expected: '('"
    token = re.match(r"^[^\s!=,()]+|^[!=<>]+|^.", rest)
    return (
        f"unable to parse requirement: found '{token[0] if token else ''}', "
        "expected: in, notin, =, ==, !=, gt, lt, or end of string"
    )


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


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
