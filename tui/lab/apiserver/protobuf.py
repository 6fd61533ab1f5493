"""Just enough protobuf to read what kubectl sends instead of JSON: reviews, and what `kubectl create` makes.

A message is described by its field numbers: `number: (name, kind)`, where kind is str, bytes, int, bool, another
message, or one of these in a list ([kind]) or map ({kind}). The numbers are the API's own (Kubernetes 1.36).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from tui.lab.apiserver.errors import bad_request, unsupported_media_type

Obj = dict[str, Any]
Message = dict[int, tuple[str, Any]]
MAGIC = b"k8s\x00"

_META: Message = {
    1: ("name", "str"),
    2: ("generateName", "str"),
    3: ("namespace", "str"),
    5: ("uid", "str"),
    6: ("resourceVersion", "str"),
    11: ("labels", {"of": "str"}),
    12: ("annotations", {"of": "str"}),
    14: ("finalizers", ["str"]),
}
_ATTRIBUTES: Message = {
    1: ("namespace", "str"),
    2: ("verb", "str"),
    3: ("group", "str"),
    4: ("version", "str"),
    5: ("resource", "str"),
    6: ("subresource", "str"),
    7: ("name", "str"),
}
_PATH: Message = {1: ("path", "str"), 2: ("verb", "str")}
_RULE: Message = {
    1: ("verbs", ["str"]),
    2: ("apiGroups", ["str"]),
    3: ("resources", ["str"]),
    4: ("resourceNames", ["str"]),
    5: ("nonResourceURLs", ["str"]),
}
_SUBJECT: Message = {1: ("kind", "str"), 2: ("apiGroup", "str"), 3: ("name", "str"), 4: ("namespace", "str")}
_ROLE_REF: Message = {1: ("apiGroup", "str"), 2: ("kind", "str"), 3: ("name", "str")}
_BINDING: Message = {1: ("metadata", _META), 2: ("subjects", [_SUBJECT]), 3: ("roleRef", _ROLE_REF)}
_ACCESS: Message = {1: ("resourceAttributes", _ATTRIBUTES), 2: ("nonResourceAttributes", _PATH)}
KINDS: dict[str, Message] = {
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", _ACCESS)},
    "SelfSubjectRulesReview": {1: ("metadata", _META), 2: ("spec", {1: ("namespace", "str")})},
    "SelfSubjectReview": {1: ("metadata", _META)},
    "ConfigMap": {
        1: ("metadata", _META),
        2: ("data", {"of": "str"}),
        3: ("binaryData", {"of": "bytes"}),
        4: ("immutable", "bool"),
    },
    "Secret": {
        1: ("metadata", _META),
        2: ("data", {"of": "bytes"}),
        3: ("type", "str"),
        4: ("stringData", {"of": "str"}),
        5: ("immutable", "bool"),
    },
    "Namespace": {1: ("metadata", _META), 2: ("spec", {1: ("finalizers", ["str"])})},
    "ServiceAccount": {1: ("metadata", _META), 4: ("automountServiceAccountToken", "bool")},
    "Role": {1: ("metadata", _META), 2: ("rules", [_RULE])},
    "ClusterRole": {1: ("metadata", _META), 2: ("rules", [_RULE])},
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "int"),
        2: ("preconditions", {1: ("uid", "str"), 2: ("resourceVersion", "str")}),
        3: ("orphanDependents", "bool"),
        4: ("propagationPolicy", "str"),
        5: ("dryRun", ["str"]),
    },
}
_ENVELOPE: Message = {1: ("typeMeta", {1: ("apiVersion", "str"), 2: ("kind", "str")}), 2: ("raw", "raw")}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 2:
                size, at = _varint(data, at)
                if at + size > len(data):
                    raise IndexError("truncated")
                yield tag >> 3, data[at : at + size]
                at += size
            case 1:
                at += 8
            case 5:
                at += 4
            case _:
                raise IndexError("unknown wire type")


def _read(message: Message, data: bytes) -> Obj:
    out: Obj = {}
    for number, value in _fields(data):
        if number not in message:
            continue
        name, kind = message[number]
        if isinstance(kind, list):
            out.setdefault(name, []).append(_value(kind[0], value))
        elif isinstance(kind, dict) and "of" in kind:
            assert isinstance(value, bytes)
            pair = dict(_fields(value))
            key = pair.get(1, b"")
            assert isinstance(key, bytes)
            out.setdefault(name, {})[key.decode()] = _value(kind["of"], pair.get(2, b""))
        else:
            out[name] = _value(kind, value)
    return out


def _value(kind: Any, value: int | bytes) -> Any:
    if isinstance(value, int):
        return bool(value) if kind == "bool" else value
    if isinstance(kind, dict):
        return _read(kind, value)
    match kind:
        case "bytes":
            return base64.b64encode(value).decode()
        case "raw":
            return value
    return value.decode()


def decode_object(body: bytes) -> Obj:
    """A protobuf body as the JSON object it stands for; ApiError 400 where it is none, 415 for kinds not described."""
    if not body.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = _read(_ENVELOPE, body[len(MAGIC) :])
        found = envelope.get("typeMeta", {})
        kind = found.get("kind", "")
        if kind not in KINDS:
            text = f"this practice control plane reads {kind} as application/json or application/yaml, not as protobuf"
            raise unsupported_media_type(text)
        return {**found, **_read(KINDS[kind], envelope.get("raw", b""))}
    except (IndexError, UnicodeDecodeError, AssertionError) as error:
        raise bad_request("the protobuf message cannot be read") from error
