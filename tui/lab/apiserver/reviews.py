"""Access reviews: may I, what may I, who am I."""

from __future__ import annotations

from typing import Any

from tui.lab.apiserver import errors, managers, schema
from tui.lab.apiserver.bodies import read_object
from tui.lab.apiserver.call import Call, User
from tui.lab.apiserver.rbac import Attributes, Authorizer
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.times import now
from tui.lab.apiserver.writes import check_options, target_of

Obj = dict[str, Any]


def review(authorizer: Authorizer, call: Call, resource: Resource) -> Obj:
    """POST of a review: the object with its answer in the status."""
    check_options(call, "CreateOptions")
    obj = read_object(call, resource, "CreateOptions")
    assert resource.shape is not None
    if resource.kind in ("SelfSubjectReview", "SelfSubjectRulesReview"):
        empty = {name: value for name, value in obj.items() if name in ("kind", "apiVersion")}
        return {**empty, **_QUICK[resource.kind](authorizer, call, obj)}
    _check_reviewed(resource, obj)
    obj = managers.update(target_of(resource), schema.decode(resource.shape, {}), obj, call.manager)
    _check_metadata(resource, obj)
    spec = obj["spec"]
    user = call.user
    if resource.kind != "SelfSubjectAccessReview":
        user = User(spec.get("user", ""), tuple(spec.get("groups", [])))
    allowed, why = authorizer.decide(user, _asked(spec))
    status: Obj = {"allowed": allowed}
    if why:
        status["reason"] = why
    return {**obj, "status": status}


def _refuse(resource: Resource, finding: errors.Invalid) -> errors.ApiError:
    # The server leaves the kind out of these answers.
    error = errors.unprocessable("", resource.group, "", [finding])
    error.body["message"] = f'.{resource.group} "" is invalid: {finding.field}: {finding.message}'
    return error


def _check_reviewed(resource: Resource, obj: Obj) -> None:
    spec = obj["spec"]
    by_resource, by_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if by_resource is not None and by_path is not None:
        shown = {"Path": by_path.get("path", ""), "Verb": by_path.get("verb", "")}
        text = "cannot be specified in combination with resourceAttributes"
        raise _refuse(resource, errors.invalid("spec.nonResourceAttributes", shown, text))
    if by_resource is None and by_path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _refuse(resource, errors.invalid("spec.resourceAttributes", None, text))
    if resource.kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        text = "at least one of user or group must be specified"
        raise _refuse(resource, errors.invalid("spec.user", spec.get("user", ""), text))


def _check_metadata(resource: Resource, obj: Obj) -> None:
    meta = obj["metadata"]
    namespace = meta.get("namespace") if resource.kind == "LocalSubjectAccessReview" else None
    rest = {name: value for name, value in meta.items() if name != "managedFields"}
    if rest and rest != {"namespace": namespace}:
        raise _refuse(resource, errors.invalid("metadata", meta, "must be empty"))
    asked = obj["spec"].get("resourceAttributes")
    if resource.kind == "LocalSubjectAccessReview" and asked is not None and asked.get("namespace") != namespace:
        where = "spec.resourceAttributes.namespace"
        raise _refuse(resource, errors.invalid(where, asked.get("namespace", ""), "must match metadata.namespace"))


def _asked(spec: Obj) -> Attributes:
    found = spec.get("resourceAttributes")
    if found is None:
        by_path = spec["nonResourceAttributes"]
        return Attributes(by_path.get("verb", ""), path=by_path.get("path", ""))
    return Attributes(
        found.get("verb", ""),
        found.get("group", ""),
        found.get("resource", ""),
        found.get("subresource", ""),
        found.get("namespace", ""),
        found.get("name", ""),
    )


def _who(authorizer: Authorizer, call: Call, obj: Obj) -> Obj:
    user: Obj = {"username": call.user.name, "groups": list(call.user.groups)}
    if call.user.extra:
        user["extra"] = {name: list(values) for name, values in call.user.extra.items()}
    return {"metadata": {"creationTimestamp": now()}, "status": {"userInfo": user}}


def _rules(authorizer: Authorizer, call: Call, obj: Obj) -> Obj:
    namespace = obj["spec"].get("namespace", "")
    if not namespace:
        raise errors.bad_request("no namespace on request")
    resource_rules: list[Obj] = []
    path_rules: list[Obj] = []
    for rule, _ in authorizer.rules(call.user, namespace):
        if rule.get("resources"):
            kept = {name: rule[name] for name in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(name)}
            resource_rules.append(kept)
        if rule.get("nonResourceURLs"):
            path_rules.append({name: rule[name] for name in ("verbs", "nonResourceURLs")})
    status = {
        "resourceRules": _once(resource_rules),
        "nonResourceRules": _once(path_rules),
        "incomplete": False,
    }
    return {"metadata": {}, "spec": {}, "status": status}


def _once(rules: list[Obj]) -> list[Obj]:
    out: list[Obj] = []
    for rule in rules:
        if rule not in out:
            out.append(rule)
    return out


_QUICK = {"SelfSubjectReview": _who, "SelfSubjectRulesReview": _rules}
