"""What the server refuses in an object's metadata: the rules of Kubernetes 1.36, in its order and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui.lab.apiserver import names
from tui.lab.apiserver.errors import Invalid, forbidden_field, invalid, required, too_long

Obj = dict[str, Any]
ANNOTATIONS_LIMIT = 256 * 1024


def labels_of(found: Obj | None, where: str) -> list[Invalid]:
    """What is wrong with labels."""
    out: list[Invalid] = []
    for key, value in sorted((found or {}).items()):
        out += [invalid(where, key, problem) for problem in names.qualified_name(key)]
        out += [invalid(where, value, problem) for problem in names.label_value(value)]
    return out


def annotations_of(found: Obj | None, where: str) -> list[Invalid]:
    """What is wrong with annotations."""
    out: list[Invalid] = []
    for key in sorted(found or {}):
        out += [invalid(where, key, problem) for problem in names.qualified_name(key.lower())]
    if sum(len(key) + len(value.encode()) for key, value in (found or {}).items()) > ANNOTATIONS_LIMIT:
        out.append(too_long(where, ANNOTATIONS_LIMIT))
    return out


def label_selector(selector: Obj, where: str) -> list[Invalid]:
    """What is wrong with a LabelSelector."""
    out = labels_of(selector.get("matchLabels"), f"{where}.matchLabels")
    for index, each in enumerate(selector.get("matchExpressions", [])):
        here = f"{where}.matchExpressions[{index}]"
        if each["operator"] in ("In", "NotIn"):
            if not each.get("values"):
                out.append(required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif each["operator"] in ("Exists", "DoesNotExist"):
            if each.get("values"):
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                out.append(forbidden_field(f"{here}.values", text))
        else:
            out.append(invalid(f"{here}.operator", each["operator"], "not a valid selector operator"))
        out += [invalid(f"{here}.key", each["key"], problem) for problem in names.qualified_name(each["key"])]
    return out


def metadata(
    kind: str, meta: Obj, *, namespaced: bool, rule: Callable[[str], list[str]] | None = None
) -> list[Invalid]:
    """One pass over an object's metadata."""
    out: list[Invalid] = []
    check = rule or (lambda name: names.object_name(kind, name))
    if "generateName" in meta:
        prefix = meta["generateName"]
        stem = prefix[:-1] + "a" if prefix.endswith("-") or prefix.endswith(".") else prefix
        out += [invalid("metadata.generateName", prefix, problem) for problem in check(stem)]
    if not meta.get("name"):
        out.append(required("metadata.name", "name or generateName is required"))
    else:
        out += [invalid("metadata.name", meta["name"], problem) for problem in check(meta["name"])]
    if namespaced and not meta.get("namespace"):
        out.append(required("metadata.namespace"))
    elif namespaced:
        out += [
            invalid("metadata.namespace", meta["namespace"], problem) for problem in names.dns_label(meta["namespace"])
        ]
    elif meta.get("namespace"):
        out.append(forbidden_field("metadata.namespace", "not allowed on this type"))
    out += labels_of(meta.get("labels"), "metadata.labels")
    out += annotations_of(meta.get("annotations"), "metadata.annotations")
    out += _owners(meta.get("ownerReferences", []))
    for finalizer in meta.get("finalizers", []):
        out += [invalid("metadata.finalizers", finalizer, problem) for problem in names.qualified_name(finalizer)]
    return out if rule else out + _standard_finalizers(meta)


STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def _standard_finalizers(meta: Obj) -> list[Invalid]:
    text = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"metadata.finalizers[{index}]", name, text)
        for index, name in enumerate(meta.get("finalizers", []))
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def _owners(owners: list[Obj]) -> list[Invalid]:
    out = []
    where = "metadata.ownerReferences"  # the server leaves the index out here
    controller = ""
    for owner in owners:
        if not owner["apiVersion"]:
            out.append(invalid(f"{where}.apiVersion", "", "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner[name]:
                out.append(invalid(f"{where}.{name}", "", "must not be empty"))
        if (owner["apiVersion"], owner["kind"]) == ("v1", "Event"):
            out.append(invalid(where, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            name = f"{owner['kind']}/{owner['name']}"
            if controller:
                text = 'Only one reference can have Controller set to true. Found "true" in references for'
                out.append(invalid(where, owners, f"{text} {controller} and {name}"))
            controller = controller or name
    return out


def metadata_update(meta: Obj, old: Obj, *, general: bool = False) -> list[Invalid]:
    """One comparison of an object's metadata with what was there before; `general` leaves out the core kinds' own."""
    out: list[Invalid] = []
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"):
        if meta.get(name) != old.get(name):
            out.append(invalid(f"metadata.{name}", meta.get(name, ""), "field is immutable"))
    out += labels_of(meta.get("labels"), "metadata.labels")
    out += annotations_of(meta.get("annotations"), "metadata.annotations")
    if old.get("deletionTimestamp"):
        new = [name for name in meta.get("finalizers", []) if name not in old.get("finalizers", [])]
        if new:
            text = "no new finalizers can be added if the object is being deleted, found new finalizers "
            shown = ", ".join(f'"{name}"' for name in sorted(new))
            out.append(forbidden_field("metadata.finalizers", f"{text}[]string{{{shown}}}"))
    return out if general else out + _standard_finalizers(meta)
