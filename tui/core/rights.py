"""The rights that setting up and verifying need, as a Role that an administrator can apply."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from tui.core.ports import Access
from tui.core.survey import CONFIG_MAP_NAME


def role(namespace: str, *, verify_only: bool = False, account: str = "") -> str:
    """Role and ClusterRole as YAML, with bindings for a user called `$USER_NAME`, or for a ServiceAccount of its own.

    list and watch under resourceNames pass only with a field selector on that name, so they are given on the resource
    (measured on kube-apiserver 1.36). Exec over WebSocket needs get and create.
    """
    import yaml

    writing = [] if verify_only else ["patch"]
    rules: list[dict[str, Any]] = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", *([] if verify_only else ["create"])]},
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get", "list", "watch", *writing]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
        # Why a pod does not start: without these two, its state has to do.
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    ]
    if not verify_only:
        rules.insert(
            1,
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "resourceNames": [CONFIG_MAP_NAME],
                "verbs": ["patch", "delete"],
            },
        )
        # For one node first, and for a new text on etcd's nodes alone: without it the controller rolls all nodes.
        rules.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]})
    looking: list[dict[str, Any]] = [
        {"apiGroups": [""], "resources": ["nodes", "namespaces"], "verbs": ["get", "list"]},
        {
            "apiGroups": ["monitoring.coreos.com"],
            "resources": ["podmonitors", "servicemonitors"],
            "verbs": ["list"],
        },
    ]
    # What is in the mesh is read, and (to annotate pods) written, namespace by namespace.
    mesh: list[dict[str, Any]] = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", *writing]},
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list"]},
        {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["get", "list"]},
    ]
    name = "datakit-wizard-verify" if verify_only else "datakit-wizard"
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "$USER_NAME"}]
    documents: list[dict[str, Any]] = []
    if account:
        metadata = {"name": account, "namespace": namespace}
        documents.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        subjects = [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
    documents += [
        _rbac("Role", name, namespace, rules=rules),
        _binding("RoleBinding", "Role", name, namespace, subjects),
        # Where etcd runs is read from its pods.
        _rbac(
            "Role", name, "kube-system", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
        ),
        _binding("RoleBinding", "Role", name, "kube-system", subjects),
        _rbac("ClusterRole", name, "", rules=looking),
        _binding("ClusterRoleBinding", "ClusterRole", name, "", subjects),
        # With a mesh: bind this one in istio-system and in each namespace of the mesh that is to be collected.
        _rbac("ClusterRole", f"{name}-mesh", "", rules=mesh),
        _binding("RoleBinding", "ClusterRole", f"{name}-mesh", "istio-system", subjects),
    ]
    return str(yaml.safe_dump_all(documents, sort_keys=False))


def grants(missing: Sequence[Access], user: str) -> list[str]:
    """kubectl lines that grant these rights to `user` ("" for one that is not known), each in a role of its own."""
    lines: list[str] = []
    for number, access in enumerate(missing, 1):
        # A right to list or create is given on all objects: a rule's resourceNames never match there.
        only = "" if access.verb in ("list", "watch", "create") else access.name
        name = "datakit-wizard-grant" + (f"-{number}" if len(missing) > 1 else "")
        snippet = role_snippet(access.verb, access.resource, access.namespace, only, user, name)
        lines += snippet.splitlines()
    return lines


def role_snippet(
    verb: str, resource: str, namespace: str, only: str, user: str, name: str = "datakit-wizard-grant"
) -> str:
    """Two kubectl lines that grant one right, cluster-wide where `namespace` is empty.

    `resource` is as kubectl writes it (`daemonsets.apps`, `pods/exec`); `only` is the one object that it is for.
    """
    scope = f" -n {shlex.quote(namespace)}" if namespace else ""
    role = "role" if namespace else "clusterrole"
    named = f" --resource-name={shlex.quote(only)}" if only else ""
    who = f"--user={shlex.quote(user)}" if user else "--user=NAME"
    return (
        f"kubectl{scope} create {role} {name} --verb={verb} --resource={resource}{named}\n"
        f"kubectl{scope} create {role}binding {name} --{role}={name} {who}"
    )


def _rbac(kind: str, name: str, namespace: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **content}


def _binding(kind: str, role_kind: str, name: str, namespace: str, subjects: list[dict[str, str]]) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": name}
    return _rbac(kind, name, namespace, roleRef=reference, subjects=subjects)
