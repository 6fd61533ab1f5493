"""OpenAPI v3 documents of the groups that are held, made from types.txt: kubectl validates and applies by them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from tui.lab.apiserver import resources
from tui.lab.apiserver.discovery import VERSION
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.schema import Field, Shape

Obj = dict[str, Any]
_META = (
    "ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "LabelSelector", "LabelSelectorRequirement", "Condition",
    "DeleteOptions", "Preconditions", "FieldSelectorRequirement",
)  # fmt: skip
_PACKAGES = {
    "apps": "io.k8s.api.apps.v1",
    "batch": "io.k8s.api.batch.v1",
    "policy": "io.k8s.api.policy.v1",
    "rbac.authorization.k8s.io": "io.k8s.api.rbac.v1",
    "coordination.k8s.io": "io.k8s.api.coordination.v1",
    "authentication.k8s.io": "io.k8s.api.authentication.v1",
    "authorization.k8s.io": "io.k8s.api.authorization.v1",
    "events.k8s.io": "io.k8s.api.events.v1",
}
_SCALARS: dict[str, Obj] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer", "format": "int32"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "intstr": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "any": {"type": "object"},
}


@cache
def _homes() -> dict[str, str]:
    """The package of every struct that a group other than core declares: those below its kinds that core has not."""
    out: dict[str, str] = {}
    for held in resources.groups().values():
        for each in held:
            if each.shape is not None:
                for shape in _structs(each.shape):
                    out.setdefault(shape.name, _PACKAGES.get(each.group, "io.k8s.api.core.v1"))
    return out


def _structs(shape: Shape) -> Iterator[Shape]:
    seen: set[str] = set()
    todo = [shape]
    while todo:
        each = todo.pop()
        if each.elem is not None:
            todo.append(each.elem)
        if each.kind == "struct" and each.name not in seen:
            seen.add(each.name)
            yield each
            todo += [field.shape for field in each.fields.values()]


def _name(shape: Shape) -> str:
    if shape.name in _META:
        return f"io.k8s.apimachinery.pkg.apis.meta.v1.{shape.name}"
    bare = shape.name.removeprefix("Events") if shape.name.startswith("EventsEvent") else shape.name
    return f"{_homes().get(shape.name, 'io.k8s.api.core.v1')}.{bare}"


def _ref(name: str) -> Obj:
    return {"$ref": f"#/components/schemas/{name}"}


def _schema(shape: Shape) -> Obj:
    if shape.kind == "scalar":
        return dict(_SCALARS[shape.name])
    if shape.kind == "struct":
        return {"allOf": [_ref(_name(shape))]}
    assert shape.elem is not None
    if shape.kind == "map":
        out: Obj = {"type": "object", "additionalProperties": _item(shape.elem)}
        return {**out, "x-kubernetes-map-type": "atomic"} if shape.atomic else out
    out = {"type": "array", "items": _item(shape.elem)}
    out["x-kubernetes-list-type"] = {"granular": "atomic"}.get(shape.relation, shape.relation)
    if shape.relation == "map":
        out["x-kubernetes-list-map-keys"] = list(shape.keys)
        out["x-kubernetes-patch-merge-key"] = shape.merge_key
        out["x-kubernetes-patch-strategy"] = "merge,retainKeys" if "retain" in shape.patch else "merge"
    elif "merge" in shape.patch:
        out["x-kubernetes-patch-strategy"] = "merge"
    return out


def _item(shape: Shape) -> Obj:
    return {"allOf": [_ref(_name(shape))], "default": {}} if shape.kind == "struct" else _schema(shape)


def _property(field: Field) -> Obj:
    out = _schema(field.shape)
    if field.always and field.shape.kind == "scalar" and field.shape.name in ("string", "int", "bool"):
        out["default"] = {"string": "", "int": 0, "bool": False}[field.shape.name]
    return out


# Fields that the schema demands; what else is always present may be left out of a manifest.
_REQUIRED = {
    "Container": ["name"], "EnvVar": ["name"], "VolumeMount": ["name", "mountPath"], "Volume": ["name"],
    "ContainerPort": ["containerPort"], "DaemonSetSpec": ["selector", "template"],
    "StatefulSetSpec": ["selector", "template"], "JobSpec": ["template"], "CronJobSpec": ["schedule", "jobTemplate"],
    "DeploymentSpec": ["selector", "template"], "ReplicaSetSpec": ["selector"], "PodSpec": ["containers"],
    "HostPathVolumeSource": ["path"], "ObjectFieldSelector": ["fieldPath"],
}  # fmt: skip


def _component(shape: Shape) -> Obj:
    out: Obj = {"type": "object", "properties": {name: _property(each) for name, each in shape.fields.items()}}
    if shape.name in _REQUIRED:
        out["required"] = _REQUIRED[shape.name]
    if shape.atomic:
        out["x-kubernetes-map-type"] = "atomic"
    return out


def _parameter(name: str, kind: str = "string") -> Obj:
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}


_OPTIONS = {
    "get": ["pretty"],
    "post": ["dryRun", "fieldManager", "fieldValidation"],
    "put": ["dryRun", "fieldManager", "fieldValidation"],
    "patch": ["dryRun", "fieldManager", "fieldValidation", "force"],
    "delete": ["dryRun", "gracePeriodSeconds", "propagationPolicy"],
}
_PATCHES = (
    "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)  # fmt: skip


def _operation(resource: Resource, method: str, gvk: Obj) -> Obj:
    assert resource.shape is not None
    content = {"application/json": {"schema": _ref(_name(resource.shape))}}
    out: Obj = {
        "parameters": [_parameter(name, "boolean" if name == "force" else "string") for name in _OPTIONS[method]],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": method,
        "x-kubernetes-group-version-kind": gvk,
    }
    if method in ("post", "put"):
        out["requestBody"] = {"content": {"*/*": {"schema": _ref(_name(resource.shape))}}, "required": True}
    elif method == "patch":
        patch = {"schema": {"type": "object"}}
        out["requestBody"] = {"content": dict.fromkeys(_PATCHES, patch), "required": True}
    return out


@cache
def document(path: str) -> Obj | None:
    """The document of `api/v1` or `apis/GROUP/VERSION`; None where there is no such group.

    Groups whose objects are not held have a document without paths.
    """
    api_version = path.removeprefix("api/").removeprefix("apis/")
    held = resources.groups().get(api_version)
    if held is None or path.startswith("apis/") is not ("/" in api_version):
        return None
    paths: Obj = {}
    components: Obj = {}
    for resource in held:
        if resource.shape is None or "create" not in resource.verbs:
            continue
        gvk = {"group": resource.group, "kind": resource.kind, "version": resource.version}
        base = f"/{path}/namespaces/{{namespace}}/" if resource.namespaced else f"/{path}/"
        paths[f"{base}{resource.plural}"] = {
            method: _operation(resource, method, gvk)
            for verb, method in (("list", "get"), ("create", "post"))
            if verb in resource.verbs
        }
        one = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
        paths[f"{base}{resource.plural}/{{name}}"] = {
            method: _operation(resource, method, gvk) for verb, method in one.items() if verb in resource.verbs
        }
        for shape in _structs(resource.shape):
            components.setdefault(_name(shape), _component(shape))
        components[_name(resource.shape)]["x-kubernetes-group-version-kind"] = [gvk]
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": components}}
