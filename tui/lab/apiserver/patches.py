"""PATCH: server-side apply, JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import yaml

from tui.lab.apiserver import bodies, errors, managers, resources, schema
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.gojson import json_problem
from tui.lab.apiserver.jsonpatch import PatchFailedError, json_patch, merge_patch
from tui.lab.apiserver.rbac import Attributes, Authorizer
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.smp import MissingMergeKeyError, strategic_merge
from tui.lab.apiserver.typed import go_value
from tui.lab.apiserver.writes import Writer, check_options, check_place, shelf_name, target_of

Obj = dict[str, Any]
TYPES = {
    "application/apply-patch+yaml": "apply",
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}


def patch(writer: Writer, authorizer: Authorizer, call: Call, resource: Resource) -> tuple[Obj, int]:
    """The object after the patch, and 201 where an apply made it."""
    kind = TYPES.get(call.headers.get("Content-Type", "").split(";")[0].strip())
    if kind is None:
        raise errors.unsupported_media_type("415: Unsupported Media Type", details=True)
    check_options(call, "PatchOptions", patch_type=kind)
    if kind == "apply":
        return _apply(writer, authorizer, call, resource)
    old = writer.find(call, resource)
    obj = _patched(call, resource, kind, old)
    check_place(call, obj["metadata"])
    obj = managers.update(target_of(resource, call.subresource), old, obj, call.manager)
    return writer.update_object(call, resource, obj, old), 200


# -- server-side apply


def _apply_body(call: Call) -> Obj:
    text = call.body.decode("utf-8", "replace")
    mode = bodies.validation_mode(call, "PatchOptions")
    duplicates: list[str] = []
    try:
        found, duplicates = bodies.parse_yaml(text) if not _is_json(text) else (json.loads(text), [])
    except (yaml.YAMLError, ValueError) as error:
        problem = bodies.yaml_problem(error) if isinstance(error, yaml.YAMLError) else str(error)
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {problem}") from error
    if found is not None and not isinstance(found, dict):
        text = f"json: cannot unmarshal {schema.json_kind(found)} into Go value of type map[string]interface {{}}"
        raise errors.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {text}")
    if duplicates and mode == "Strict":
        told = "yaml: unmarshal errors:\n" + "\n".join(f"  {each}" for each in duplicates)
        raise errors.bad_request(f"error strict decoding YAML: error converting YAML to JSON: {told}")
    if mode == "Warn":
        call.warnings += duplicates
    found = found or {}
    for name in ("apiVersion", "kind"):
        if not isinstance(found.get(name, ""), str):
            found = {**found, name: ""}
    return found


def _is_json(text: str) -> bool:
    """Whether the YAML reader can be spared (it is slow on big manifests)."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _check_type(resource: Resource, config: Obj) -> None:
    kind, api_version = config.get("kind", ""), config.get("apiVersion", "")
    if (kind, api_version) != (resource.kind, resource.api_version):
        shown = api_version if "/" in api_version else f"/{api_version}"
        raise errors.bad_request(f"invalid object type: {shown}, Kind={kind}")


def _apply(writer: Writer, authorizer: Authorizer, call: Call, resource: Resource) -> tuple[Obj, int]:
    config = _apply_body(call)
    _check_type(resource, config)
    target = target_of(resource, call.subresource)
    place = shelf_name(resource)
    old = writer.store.get(place, call.namespace if resource.namespaced else "", call.name)
    meta = _metadata(config)
    if meta.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    live = old if old is not None else bodies.decode_value_bare(resource)
    if old is None and call.subresource:
        raise errors.not_found(resource.plural, resource.group, call.name)
    if old is None and meta.get("uid"):
        text = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        raise errors.conflict(resource.plural, resource.group, call.name, text)
    obj, _ = _merged(call, resource, target, live, config)
    if old is not None:
        check_place(call, obj["metadata"])
        return writer.update_object(call, resource, obj, old), 200
    check_place(call, obj["metadata"])
    asked = Attributes("create", resource.group, resource.plural, "", call.namespace, call.name)
    made = writer.create_object(call, resource, obj, may_create=lambda: authorizer.require(call.user, asked))
    return made, 201


def _merged(call: Call, resource: Resource, target: managers.Target, live: Obj, config: Obj) -> tuple[Obj, bool]:
    try:
        obj, changed = managers.apply(target, live, config, call.get("fieldManager"), force=call.flag("force"))
    except managers.BadApplyError as error:
        raise errors.internal(f"failed to create typed patch object ({_shown(config)}): {error}") from error
    except managers.ApplyConflictsError as error:
        raise errors.ApiError(409, error.message(), "Conflict", {"causes": error.causes()}) from error
    if changed:
        entries = obj["metadata"].get("managedFields")
        try:
            obj = bodies.decode_value(resource, obj, [])
        except ValueError as error:
            version = config["apiVersion"] if resource.group else f"/{config['apiVersion']}"
            why = f"unable to convert unstructured object to {version}, Kind={resource.kind}"
            if "base64" in str(error):
                why += ": error decoding from json"
            text = f"failed to convert new object ({_shown(config)}) to proper version: {why}: {error}"
            raise errors.internal(text) from error
        if entries:
            obj["metadata"]["managedFields"] = entries
    return obj, changed


def _metadata(config: Obj) -> Obj:
    found = config.get("metadata")
    return found if isinstance(found, dict) else {}


def _shown(config: Obj) -> str:
    """An apply body as messages name it: `NAMESPACE/NAME; GROUP/VERSION, Kind=KIND`."""
    meta = _metadata(config)
    version = config["apiVersion"] if "/" in config["apiVersion"] else f"/{config['apiVersion']}"
    namespace, name = (each if isinstance(each := meta.get(key), str) else "" for key in ("namespace", "name"))
    return f"{namespace}/{name}; {version}, Kind={config['kind']}"


# -- the other patches


def _patched(call: Call, resource: Resource, kind: str, old: Obj) -> Obj:
    text = call.body.decode("utf-8", "replace")
    try:
        change = json.loads(text)
    except ValueError as error:
        raise errors.bad_request(f"error decoding patch: {json_problem(text)}") from error
    try:
        if kind == "json":
            new = _json_patched(change, old)
        else:
            if not isinstance(change, dict):
                text = (
                    f"json: cannot unmarshal {schema.json_kind(change)} into Go value of type map[string]interface {{}}"
                )
                raise errors.bad_request(text if kind == "strategic" else f"error decoding patch: {text}")
            new = merge_patch(old, change) if kind == "merge" else _strategic(resource, old, change)
    except PatchFailedError as error:
        text = "the server rejected our request due to an error in our request"
        raise errors.ApiError(422, text, "Invalid", {}) from error
    except MissingMergeKeyError as error:
        raise errors.internal(str(error)) from error

    def shown() -> str:
        return go_value(change) if kind == "strategic" else errors.go_json(_as_written(new))

    # A patch of the status leaves the rest as it was stored, and that is most of the object.
    known = {"spec": old.get("spec")} if call.subresource == "status" else {}
    return _decode_patched(call, resource, new, shown, known)


_METADATA_ORDER = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
    "managedFields",
)  # fmt: skip


def _as_written(obj: Obj) -> Obj:
    """A patched object as the server's patch library writes it: its top and its maps sorted, its metadata as it was."""
    out = {key: obj[key] for key in sorted(obj)}
    for key in ("data", "binaryData"):
        if isinstance(out.get(key), dict):
            out[key] = dict(sorted(out[key].items()))
    meta = out.get("metadata")
    if isinstance(meta, dict):
        known = [key for key in _METADATA_ORDER if key in meta]
        out["metadata"] = {key: meta[key] for key in [*known, *(key for key in meta if key not in known)]}
    return out


def _json_patched(change: Any, old: Obj) -> Obj:
    if not isinstance(change, list):
        text = f"json: cannot unmarshal {schema.json_kind(change)} into Go value of type []handlers.jsonPatchOp"
        raise errors.bad_request(f"error decoding patch: {text}")
    new = json_patch(copy.deepcopy(old), change)
    return new if isinstance(new, dict) else {}


def _strategic(resource: Resource, old: Obj, change: Obj) -> Obj:
    assert resource.shape is not None
    return strategic_merge(resource.shape, old, change)


def _check_kind(resource: Resource, new: Obj, refuse: Callable[[str], errors.ApiError]) -> None:
    """A patched object may lose its kind, but not change it."""
    kind, api_version = str(new.get("kind") or resource.kind), str(new.get("apiVersion") or resource.api_version)
    if (kind, api_version) == (resource.kind, resource.api_version):
        return
    other = resources.of_kind(api_version, kind)
    if other is None:
        raise refuse(bodies.no_kind(kind, api_version))
    if other.shape is not None:
        try:
            schema.decode(other.shape, new)
        except ValueError as error:
            raise refuse(str(error)) from error
    package = resource.group.split(".")[0] or "core"
    raise refuse(f"converting ({other.version}.{kind}) to ({package}.{resource.kind}): unknown conversion")


def _decode_patched(call: Call, resource: Resource, new: Obj, shown: Callable[[], str], known: Obj) -> Obj:
    """The patched JSON as an object; what does not fit is told with the patched object, or the strategic patch."""
    mode = bodies.validation_mode(call, "PatchOptions")
    unknown: list[str] = []

    def refuse(why: str) -> errors.ApiError:
        finding = errors.Invalid("patch", "FieldValueInvalid", f"Invalid value: {errors.quoted(shown())}: {why}")
        error = errors.unprocessable("", "", "", [finding])
        error.body["message"] = f' "" is invalid: patch: {finding.message}'
        return error

    strategic = TYPES.get(call.headers.get("Content-Type", "").split(";")[0].strip()) == "strategic"
    if not strategic:  # a strategic merge patch is laid over the typed object: its kind stays
        _check_kind(resource, new, refuse)
    try:
        obj = bodies.decode_value(resource, new, unknown, known)
    except schema.TypeMismatchError as error:
        raise refuse(error.unstructured if strategic else str(error)) from error
    except ValueError as error:
        raise refuse(str(error)) from error
    findings = bodies.findings_of(unknown, [])
    if findings and mode == "Strict":
        raise refuse("strict decoding error: " + ", ".join(findings))
    if mode == "Warn":
        call.warnings += findings
    return obj
