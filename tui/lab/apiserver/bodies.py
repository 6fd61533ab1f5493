"""Request bodies: JSON and YAML into objects, with the findings that field validation is about."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tui.lab.apiserver import resources, schema
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.defaults import apply_defaults
from tui.lab.apiserver.errors import ApiError, bad_request, unprocessable, unsupported, unsupported_media_type
from tui.lab.apiserver.gojson import json_problem
from tui.lab.apiserver.protobuf import decode_object
from tui.lab.apiserver.resources import Resource

Obj = dict[str, Any]
MEDIA_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


class _Loader(yaml.SafeLoader):
    """YAML as the server reads it: no dates, y and n are booleans, and of a key that occurs twice the last one wins."""

    duplicates: list[str]

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                self.duplicates.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            seen.add(key)
        return {_key_text(key): value for key, value in super().construct_mapping(node, deep).items()}


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_SHORT = {"y": True, "Y": True, "n": False, "N": False}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list(_SHORT))


def _boolean(loader: yaml.SafeLoader, node: Any) -> Any:
    return _SHORT[node.value] if node.value in _SHORT else loader.construct_yaml_bool(node)


_Loader.add_constructor("tag:yaml.org,2002:bool", _boolean)


def _key_text(key: Any) -> Any:
    """A key of a YAML map as the key of a JSON object: true, false and numbers as they are written in JSON."""
    return json.dumps(key) if isinstance(key, bool | int | float) else key


def parse_yaml(text: str) -> tuple[Any, list[str]]:
    """The first document and the keys that occur twice in a map; raises yaml.YAMLError."""
    loader = _Loader(text)
    loader.duplicates = []
    try:
        return (loader.get_data() if loader.check_data() else None), loader.duplicates  # type: ignore[no-untyped-call]
    finally:
        loader.dispose()


def yaml_problem(error: yaml.YAMLError) -> str:
    """The parser's finding in the words of the server's own parser, as far as they are known."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if problem.startswith("expected the node content"):
        problem = "did not find expected node content"
    elif problem.startswith("expected <block end>"):
        problem = "did not find expected key"
    elif problem.startswith("found character '\\t'"):
        problem = "found character that cannot start any token"
    elif problem.startswith("mapping values are not allowed"):
        problem = "mapping values are not allowed in this context"
    line = f"line {mark.line}: " if mark is not None and mark.line else ""
    return f"yaml: {line}{problem}"


def load_json(text: str, duplicates: list[str] | None = None) -> Any:
    """JSON, with the paths of fields that occur twice; raises json.JSONDecodeError."""

    twice: dict[int, list[str]] = {}
    kept: list[Obj] = []  # so that no id is used again

    def pairs(found: list[tuple[str, Any]]) -> Obj:
        out = dict(found)
        if len(out) < len(found):
            seen: set[str] = set()
            twice[id(out)] = [key for key, _ in found if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
            kept.append(out)
        return out

    out = json.loads(text, object_pairs_hook=pairs)
    if twice and duplicates is not None:
        _collect_duplicates(out, "", twice, duplicates)
    return out


def _collect_duplicates(value: Any, path: str, twice: dict[int, list[str]], out: list[str]) -> None:
    if isinstance(value, dict):
        out += [f"{path}.{key}" if path else key for key in twice.get(id(value), [])]
        for key, item in value.items():
            _collect_duplicates(item, f"{path}.{key}" if path else key, twice, out)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect_duplicates(item, f"{path}[{index}]", twice, out)


# -- field validation


def validation_mode(call: Call, kind: str) -> str:
    """Strict, Warn or Ignore; the server takes Warn where nothing is asked."""
    mode = call.get("fieldValidation") or "Warn"
    if mode not in ("Strict", "Warn", "Ignore"):
        finding = unsupported("fieldValidation", mode, ["", "Ignore", "Strict", "Warn"])
        raise unprocessable(kind, "meta.k8s.io", "", [finding])
    return mode


def findings_of(unknown: list[str], duplicates: list[str]) -> list[str]:
    """The findings of strict decoding, as they are told."""
    return [f'duplicate field "{name}"' for name in duplicates] + [f'unknown field "{name}"' for name in unknown]


# -- objects


def read_object(call: Call, resource: Resource, options_kind: str) -> Obj:
    """The body of a POST or PUT as an object of the resource: decoded, defaulted; ApiError where it is none."""
    kind = call.headers.get("Content-Type", "application/json").split(";")[0].strip() or "application/json"
    if kind == "application/vnd.kubernetes.protobuf":
        return decode(call, resource, decode_object(call.body), [], options_kind)
    if kind not in ("application/json", "application/yaml"):
        text = f"the body of the request was in an unknown format - accepted media types include: {MEDIA_TYPES}"
        raise unsupported_media_type(text)
    text = call.body.decode("utf-8", "replace")
    duplicates: list[str] = []
    try:
        found = load_json(text, duplicates) if kind == "application/json" else parse_yaml(text)[0]
    except json.JSONDecodeError:
        found = _yaml_as_json(text, resource)
    except yaml.YAMLError as error:
        raise unrecognized(resource, text, yaml_problem(error)) from error
    if found is None and text.strip():
        found = {}
    if not isinstance(found, dict):
        fields = 'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\""'
        problem = f"json: cannot unmarshal {schema.json_kind(found)} into Go value of type struct {{ {fields} }}"
        raise unrecognized(resource, text, NO_KIND + problem)
    for name in ("apiVersion", "kind"):
        if not isinstance(found.get(name, ""), str | None):
            problem = (
                f"json: cannot unmarshal {schema.json_kind(found[name])} into Go struct field .{name} of type string"
            )
            raise unrecognized(resource, text, NO_KIND + problem)
    version = found.get("apiVersion") or ""
    if version.count("/") > 1:
        raise unrecognized(resource, text, f"unexpected GroupVersion string: {version}")
    return decode(call, resource, found, duplicates, options_kind)


def _yaml_as_json(text: str, resource: Resource) -> Any:
    try:
        found = parse_yaml(text)[0]
    except yaml.YAMLError:
        found = None
    if isinstance(found, dict):
        return found
    raise unrecognized(resource, text, NO_KIND + json_problem(text))


NO_KIND = "couldn't get version/kind; json parse error: "


def unrecognized(resource: Resource, text: str, problem: str) -> ApiError:
    """400 for a body that is no object; it quotes the body's first 30 bytes, in hexadecimal where it is no JSON map."""
    raw = text.encode()
    start = text.encode()[:30]
    shown = start.decode("utf-8", "replace") if raw.startswith(b"{") else start.hex()
    shown = shown + " ..." if len(raw) > 30 else shown or "<empty>"
    return bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {problem} ({shown})")


def no_kind(kind: str, api_version: str) -> str:
    """The text about a kind that no version of the API has."""
    return f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:111"'


def decode(call: Call, resource: Resource, found: Obj, duplicates: list[str], options_kind: str) -> Obj:
    """A parsed body as an object of the resource."""
    mode = validation_mode(call, options_kind)
    kind, api_version = found.get("kind") or "", found.get("apiVersion") or ""
    if kind and api_version and (kind, api_version) != (resource.kind, resource.api_version):
        _refuse_type(resource, found, kind, api_version)
    unknown: list[str] = []
    told = f'{kind or resource.kind} in version "{(api_version or resource.api_version).rpartition("/")[2]}"'
    cannot = f"{told} cannot be handled as a {resource.kind}: "
    try:
        obj = decode_value(resource, found, unknown)
    except (schema.TypeMismatchError, ValueError) as error:
        raise bad_request(cannot + str(error)) from error
    findings = findings_of(unknown, duplicates)
    if findings and mode == "Strict":
        raise bad_request(cannot + "strict decoding error: " + ", ".join(findings))
    if mode == "Warn":
        call.warnings += findings
    return obj


def decode_value(resource: Resource, found: Obj, unknown: list[str], known: Obj | None = None) -> Obj:
    """A JSON object as the server would write it back, defaults filled in; `known` as for `schema.decode`."""
    assert resource.shape is not None
    obj = schema.decode(resource.shape, found, unknown, known)
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
    obj["kind"], obj["apiVersion"] = resource.kind, resource.api_version
    meta = found.get("metadata")
    if isinstance(meta, dict) and meta.get("managedFields") == []:
        obj["metadata"]["managedFields"] = []  # an empty list clears the owners, so it must not be lost
    return apply_defaults(resource.kind, obj)


def decode_value_bare(resource: Resource) -> Obj:
    """An object of the resource as Go makes it: nothing in it, no defaults."""
    assert resource.shape is not None
    return {"kind": resource.kind, "apiVersion": resource.api_version, **schema.decode(resource.shape, {})}


def wrong_version(resource: Resource, api_version: str) -> str:
    """The text about a body of another version."""
    wanted = resource.api_version
    return f"the API version in the data ({api_version}) does not match the expected API version ({wanted})"


def _refuse_type(resource: Resource, found: Obj, kind: str, api_version: str) -> None:
    other = resources.of_kind(api_version, kind)
    if other is None:
        version = api_version.rpartition("/")[2]
        why = no_kind(kind, api_version)
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')
    if kind == resource.kind:
        raise bad_request(wrong_version(resource, api_version))
    package = resource.group.split(".")[0] or "core"
    why = f"converting ({other.version}.{kind}) to ({package}.{resource.kind}): unknown conversion"
    if other.shape is not None:
        try:
            schema.decode(other.shape, found)
        except ValueError as error:
            why = str(error)
    raise bad_request(f'{kind} in version "{other.version}" cannot be handled as a {resource.kind}: {why}')
