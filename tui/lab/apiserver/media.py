"""Content negotiation: in which form an object is answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tui.lab.apiserver.bodies import MEDIA_TYPES
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.errors import ApiError
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.tables import table

Obj = dict[str, Any]
TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True)
class Form:
    """How to answer: `json` or `yaml`, and as what."""

    encoding: str = "json"
    as_kind: str = ""
    version: str = "v1"

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        return f"application/{self.encoding}"


def negotiate(call: Call, *, transforms: bool = True) -> Form:
    """The first form of the Accept header that is served; ApiError 406 where none is."""
    for kind, options in call.accepts():
        as_kind = options.get("as", "")
        known = as_kind in TRANSFORMS and options.get("g") == "meta.k8s.io" and options.get("v") in ("v1", "v1beta1")
        if as_kind and not (transforms and known):
            continue
        if kind in ("application/json", "*/*", "application/*"):
            return Form("json", as_kind, options.get("v", "v1"))
        if kind == "application/yaml" and call.verb == "watch":
            streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
            raise ApiError(406, f"only the following media types are accepted: {streams}", "NotAcceptable")
        if kind == "application/yaml":
            return Form("yaml", as_kind, options.get("v", "v1"))
    if any("as" in options for _, options in call.accepts()):
        raise ApiError(406, f"only the following media types are accepted: {MEDIA_TYPES}", "NotAcceptable")
    types = MEDIA_TYPES
    if call.verb == "watch":
        types += ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    text = f"406: Not Acceptable\n\nAvailable representations: {types}"
    raise ApiError(406, text, "NotAcceptable", {})


def encode(obj: Any, form: Form) -> bytes:
    """An answer as bytes."""
    if form.encoding == "yaml":
        from tui.lab.apiserver.goyaml import dump

        return dump(obj).encode()
    return json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def metadata_only(obj: Obj) -> Obj:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _versioned(shown: Obj, form: Form) -> Obj:
    return {**shown, "apiVersion": f"meta.k8s.io/{form.version}"}


def _table(call: Call, resource: Resource, items: list[Obj], meta: Obj, form: Form) -> Obj:
    shown = _versioned(table(resource, items, meta, call.get("includeObject")), form)
    if form.version != "v1":
        for row in shown["rows"]:
            if row["object"] is not None and row["object"]["kind"] == "PartialObjectMetadata":
                row["object"] = _versioned(row["object"], form)
    return shown


def present_object(call: Call, resource: Resource, obj: Obj, form: Form) -> Obj:
    """One object (or Status) in the form that was asked for."""
    if not form.as_kind or obj.get("kind") == "Status":
        return obj
    if form.as_kind == "Table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return _table(call, resource, [obj], meta, form)
    if form.as_kind == "PartialObjectMetadataList":
        go_type = f"*{_package(resource)}.{resource.kind}"
        text = f"you requested PartialObjectMetadataList, but the requested object is not a list ({go_type})"
        raise ApiError(406, text, "NotAcceptable")
    return _versioned(metadata_only(obj), form)


def present_list(call: Call, resource: Resource, items: list[Obj], meta: Obj, form: Form) -> Obj:
    """A list in the form that was asked for; its items carry no kind of their own."""
    if form.as_kind == "Table":
        return _table(call, resource, items, meta, form)
    if form.as_kind == "PartialObjectMetadata":
        go_type = f"*{_package(resource)}.{resource.kind}List"
        text = f"you requested PartialObjectMetadata, but the requested object is a list ({go_type})"
        raise ApiError(406, text, "NotAcceptable")
    if form.as_kind:
        shown = [_versioned(metadata_only(item), form) for item in items]
        return _versioned({"kind": "PartialObjectMetadataList", "metadata": meta, "items": shown}, form)
    listed = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": listed}


def _package(resource: Resource) -> str:
    return resource.group.split(".")[0] if resource.group else "core"
