"""Answers that are no success: the Status objects of the Kubernetes API, with its texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]


def status(code: int, message: str, reason: str = "", details: Obj | None = None) -> Obj:
    """A Status object that tells of a failure."""
    out: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        out["reason"] = reason
    if details is not None:
        out["details"] = details
    return {**out, "code": code}


class ApiError(Exception):
    """A request that is answered with a failure: an HTTP code, and a Status as the body."""

    def __init__(
        self, code: int, message: str, reason: str = "", details: Obj | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.body = status(code, message, reason, details)


class PlainError(Exception):
    """A request that is answered with a failure in plain text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _details(name: str, group: str, kind: str, **more: Any) -> Obj:
    out: Obj = {}
    if name:
        out["name"] = name
    if group:
        out["group"] = group
    if kind:
        out["kind"] = kind
    return {**out, **more}


def qualified(resource: str, group: str) -> str:
    """`daemonsets.apps`, or `pods` in the core group."""
    return f"{resource}.{group}" if group else resource


def not_found(resource: str, group: str, name: str) -> ApiError:
    """404 for an object."""
    message = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, message, "NotFound", _details(name, group, resource))


def no_such_resource() -> ApiError:
    """404 for a resource, version or subresource that the server does not have."""
    return ApiError(404, "the server could not find the requested resource", "NotFound", {})


def no_such_path() -> PlainError:
    """404 for a path outside of the API."""
    return PlainError(404, "404 page not found\n")


def method_not_allowed() -> ApiError:
    """405."""
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, text, "MethodNotAllowed", {})


def already_exists(resource: str, group: str, name: str, *, deleting: bool = False) -> ApiError:
    """409 for a create of something that is there."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    if deleting:
        message = "object is being deleted: " + message
    return ApiError(409, message, "AlreadyExists", _details(name, group, resource))


def conflict(resource: str, group: str, name: str, why: str) -> ApiError:
    """409 for a precondition that does not hold."""
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, message, "Conflict", _details(name, group, resource))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, message, "BadRequest")


def internal(message: str) -> ApiError:
    """500 as the server gives it for errors without a reason of their own."""
    return ApiError(500, message)


def unsupported_media_type(message: str = "", *, details: bool = False) -> ApiError:
    """415."""
    return ApiError(415, message, "UnsupportedMediaType", {} if details else None)


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def not_implemented(message: str) -> ApiError:
    """501: something that Kubernetes has and this practice server leaves out."""
    return ApiError(501, message, "NotImplemented")


@dataclass(frozen=True)
class Invalid:
    """One finding of a validation: the field, the reason and the text."""

    field: str
    reason: str
    message: str


def go_json(value: Any) -> str:
    """A JSON value as Go's encoder writes it into a message."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"',
    "\\": "\\\\",
}  # fmt: skip


def quoted(text: str) -> str:
    """A string as Go's %q writes it."""
    return '"' + "".join(_ESCAPES.get(char) or _shown(char) for char in text) + '"'


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def required(field: str, detail: str = "") -> Invalid:
    """A field that must be given."""
    return Invalid(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))


def invalid(field: str, value: Any, detail: str) -> Invalid:
    """A value that is not allowed."""
    shown = quoted(value) if isinstance(value, str) else go_json(value)
    return Invalid(field, "FieldValueInvalid", f"Invalid value: {shown}: {detail}")


def unsupported(field: str, value: Any, allowed: Iterable[str]) -> Invalid:
    """A value that is none of the allowed ones, which are told in the order given."""
    shown = quoted(value) if isinstance(value, str) else go_json(value)
    names = ", ".join(quoted(name) for name in allowed)
    return Invalid(field, "FieldValueNotSupported", f"Unsupported value: {shown}: supported values: {names}")


def missing(field: str, value: Any) -> Invalid:
    """A value that names something that is not there."""
    shown = quoted(value) if isinstance(value, str) else go_json(value)
    return Invalid(field, "FieldValueNotFound", f"Not found: {shown}")


def duplicate(field: str, value: Any) -> Invalid:
    """A value that occurs twice."""
    shown = quoted(value) if isinstance(value, str) else go_json(value)
    return Invalid(field, "FieldValueDuplicate", f"Duplicate value: {shown}")


def forbidden_field(field: str, detail: str) -> Invalid:
    """A field that must not be given."""
    return Invalid(field, "FieldValueForbidden", f"Forbidden: {detail}")


def too_long(field: str, limit: int) -> Invalid:
    """A value of too many bytes."""
    return Invalid(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def unprocessable(kind: str, group: str, name: str, findings: list[Invalid]) -> ApiError:
    """422 with its findings; equal findings are told once in the text."""
    texts = list(dict.fromkeys(f"{finding.field}: {finding.message}" for finding in findings))
    told = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    causes = [{"reason": f.reason, "message": f.message, "field": f.field} for f in findings]
    message = f'{qualified(kind, group)} "{name}" is invalid: {told}'
    return ApiError(422, message, "Invalid", _details(name, group, kind, causes=causes))
