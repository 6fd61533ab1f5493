"""Role-based access control: what a user may do, by the roles and bindings in the store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from tui.lab.apiserver.call import Call, User
from tui.lab.apiserver.errors import ApiError, qualified
from tui.lab.apiserver.store import Store

Obj = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Attributes:
    """What is asked for: a verb on a resource, or on a path outside of the API."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`, `pods`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def attributes_of(call: Call) -> Attributes:
    """What a request asks for."""
    if not call.resource:
        return Attributes(call.verb, path=call.path)
    return Attributes(call.verb, call.group, call.resource, call.subresource, call.namespace, call.name)


def _covers(granted: list[str], wanted: str) -> bool:
    return "*" in granted or wanted in granted


def rule_allows(rule: Obj, asked: Attributes) -> bool:
    """Whether one rule grants what is asked."""
    if not _covers(rule.get("verbs") or [], asked.verb):
        return False
    if asked.path:
        return any(
            url in ("*", asked.path) or (url.endswith("*") and asked.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or []
        )
    names = rule.get("resourceNames") or []
    granted = rule.get("resources") or []
    return (
        _covers(rule.get("apiGroups") or [], asked.group)
        and (_covers(granted, asked.full_resource) or (bool(asked.subresource) and f"*/{asked.subresource}" in granted))
        and (not names or asked.name in names)
    )


def _subject_text(binding: Obj, user: User) -> str:
    """How a binding's first subject that is this user is told; empty where none is."""
    for subject in binding.get("subjects", []):
        kind, name = subject["kind"], subject["name"]
        if (kind == "User" and name == user.name) or (kind == "Group" and name in user.groups):
            return f'{kind} "{name}"'
        if kind == "ServiceAccount":
            namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
            if user.name == f"system:serviceaccount:{namespace}:{name}":
                return f'ServiceAccount "{name}/{namespace}"'
    return ""


class Authorizer:
    """Answers access questions from the store's roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _role_rules(self, binding: Obj) -> list[Obj]:
        ref = binding["roleRef"]
        cluster = ref["kind"] == "ClusterRole"
        namespace = "" if cluster else binding["metadata"]["namespace"]
        role = self._store.get(f"{'clusterroles' if cluster else 'roles'}.{GROUP}", namespace, ref["name"])
        return (role or {}).get("rules") or []

    def rules(self, user: User, namespace: str) -> Iterator[tuple[Obj, str]]:
        """Every rule that holds for a user in a namespace, with the reason that an allowed review tells."""
        for kind in ("ClusterRoleBinding", "RoleBinding"):
            if kind == "RoleBinding" and not namespace:
                return
            held = self._store.items(f"{kind.lower()}s.{GROUP}", namespace if kind == "RoleBinding" else "")
            for (space, name), binding in held:
                subject = _subject_text(binding, user)
                if not subject:
                    continue
                shown = f"{name}/{space}" if space else name
                ref = binding["roleRef"]
                why = f'RBAC: allowed by {kind} "{shown}" of {ref["kind"]} "{ref["name"]}" to {subject}'
                for rule in self._role_rules(binding):
                    yield rule, why

    def decide(self, user: User, asked: Attributes) -> tuple[bool, str]:
        """Whether it is allowed, and why; the reason is empty for a denial."""
        if "system:masters" in user.groups:
            return True, ""
        for rule, why in self.rules(user, asked.namespace):
            if rule_allows(rule, asked):
                return True, why
        return False, ""

    def require(self, user: User, asked: Attributes) -> None:
        """Raise ApiError 403 unless it is allowed."""
        if not self.decide(user, asked)[0]:
            raise denied(user, asked)


def impersonated(authorizer: Authorizer, user: User, headers: CIMultiDictProxy[str]) -> User:
    """The user that a request asks to act as, where `user` may; ApiError 403, or 400 for groups without a user."""
    prefix = "impersonate-extra-"
    name = headers.get("Impersonate-User", "")
    groups = tuple(headers.getall("Impersonate-Group", []))
    extra_names = {key.lower() for key in headers if key.lower().startswith(prefix)}
    if not name:
        if groups or extra_names:
            shown = "[]string{" + ", ".join(json.dumps(group) for group in groups) + "}" if groups else "[]string(nil)"
            more = "map[string][]string(nil)"
            if extra_names:
                keys = ((unquote(key.removeprefix(prefix)), headers.getall(key)) for key in sorted(extra_names))
                pairs = (f"{json.dumps(key)}:[]string{{{', '.join(map(json.dumps, values))}}}" for key, values in keys)
                more = f"map[string][]string{{{', '.join(pairs)}}}"
            user_info = f'&user.DefaultInfo{{Name:"", UID:"", Groups:{shown}, Extra:{more}}}'
            raise ApiError(400, f"requested {user_info} without impersonating a user name", "BadRequest")
        return user
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", name)
    if account:
        authorizer.require(user, Attributes("impersonate", "", "serviceaccounts", "", account[1], account[2]))
        groups = groups or ("system:serviceaccounts", f"system:serviceaccounts:{account[1]}")
    else:
        authorizer.require(user, Attributes("impersonate", "", "users", "", "", name))
    for group in headers.getall("Impersonate-Group", []):
        authorizer.require(user, Attributes("impersonate", "", "groups", "", "", group))
    extra: dict[str, tuple[str, ...]] = {}
    for key in sorted(extra_names):
        bare = unquote(key.removeprefix(prefix))
        extra[bare] = tuple(headers.getall(key))
        for value in extra[bare]:
            asked = Attributes("impersonate", "authentication.k8s.io", "userextras", bare, "", value)
            authorizer.require(user, asked)
    known = "system:unauthenticated" if name == "system:anonymous" else "system:authenticated"
    return User(name, groups if known in groups else (*groups, known), extra)


def denied(user: User, asked: Attributes) -> ApiError:
    """The 403 of a denial, in the server's words."""
    if asked.path:
        text = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
        return ApiError(403, text, "Forbidden", {})
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group "{asked.group}" {where}'
    )
    return forbidden(asked.resource, asked.group, asked.name, why)


def forbidden(resource: str, group: str, name: str, why: str) -> ApiError:
    """A 403 about an object."""
    details = {key: value for key, value in (("name", name), ("group", group), ("kind", resource)) if value}
    shown = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    return ApiError(403, f"{shown} is forbidden: {why}", "Forbidden", details)
