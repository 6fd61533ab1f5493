"""What a fresh cluster has: the system namespaces, and the default roles and bindings that matter here."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]


def _rule(verbs: list[str], groups: list[str], resources: list[str]) -> Obj:
    return {"verbs": verbs, "apiGroups": groups, "resources": resources}


def _paths(verbs: list[str], urls: list[str]) -> Obj:
    return {"verbs": verbs, "nonResourceURLs": urls}


_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_VIEW = [
    _rule(
        READ,
        [""],
        [
            "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
            "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status",
        ],
    ),
    _rule(
        READ,
        [""],
        [
            "bindings", "limitranges", "namespaces/status", "pods/log", "pods/status", "replicationcontrollers/status",
            "resourcequotas", "resourcequotas/status",
        ],
    ),
    _rule(READ, [""], ["namespaces"]),
    _rule(READ, ["", "events.k8s.io"], ["events"]),
    _rule(READ, ["discovery.k8s.io"], ["endpointslices"]),
    _rule(
        READ,
        ["apps"],
        [
            "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale",
            "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets",
            "statefulsets/scale", "statefulsets/status",
        ],
    ),
    _rule(READ, ["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    _rule(READ, ["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    _rule(
        READ,
        ["extensions"],
        [
            "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "ingresses",
            "ingresses/status", "networkpolicies", "replicasets", "replicasets/scale", "replicasets/status",
            "replicationcontrollers/scale",
        ],
    ),
    _rule(READ, ["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
    _rule(READ, ["networking.k8s.io"], ["ingresses", "ingresses/status", "networkpolicies"]),
    _rule(READ, ["resource.k8s.io"], ["resourceclaims", "resourceclaims/status", "resourceclaimtemplates"]),
]  # fmt: skip
_EDIT = [
    _rule(READ, [""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
    _rule(["impersonate"], [""], ["serviceaccounts"]),
    _rule(WRITE, [""], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
    _rule(["create"], [""], ["pods/eviction"]),
    _rule(
        WRITE,
        [""],
        [
            "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale",
            "secrets", "serviceaccounts", "services", "services/proxy",
        ],
    ),
    _rule(["create"], [""], ["serviceaccounts/token"]),
    _rule(
        WRITE,
        ["apps"],
        [
            "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets",
            "replicasets/scale", "statefulsets", "statefulsets/scale",
        ],
    ),
    _rule(WRITE, ["autoscaling"], ["horizontalpodautoscalers"]),
    _rule(WRITE, ["batch"], ["cronjobs", "jobs"]),
    _rule(
        WRITE,
        ["extensions"],
        [
            "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "ingresses", "networkpolicies",
            "replicasets", "replicasets/scale", "replicationcontrollers/scale",
        ],
    ),
    _rule(WRITE, ["policy"], ["poddisruptionbudgets"]),
    _rule(WRITE, ["networking.k8s.io"], ["ingresses", "networkpolicies"]),
    _rule(sorted([*WRITE, *READ]), ["coordination.k8s.io"], ["leases"]),
    _rule(WRITE, ["resource.k8s.io"], ["resourceclaims", "resourceclaimtemplates"]),
    *_VIEW,
]  # fmt: skip
ROLES: dict[str, list[Obj]] = {
    "cluster-admin": [_rule(["*"], ["*"], ["*"]), _paths(["*"], ["*"])],
    "admin": [
        *_EDIT,
        _rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
        _rule(sorted([*WRITE, *READ]), [GROUP], ["rolebindings", "roles"]),
    ],
    "edit": _EDIT,
    "view": _VIEW,
    "system:basic-user": [
        _rule(["create"], ["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
        _rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]),
    ],
    "system:discovery": [
        _paths(
            ["get"],
            [
                "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                "/version", "/version/",
            ],
        ),
    ],
    "system:public-info-viewer": [_paths(["get"], _HEALTH)],
    "system:service-account-issuer-discovery": [_paths(["get"], ["/.well-known", "/.well-known/*"])],
}  # fmt: skip
# Made of the roles that bear their label, by the aggregation controller; and which of them is part of which.
AGGREGATED = ("admin", "edit", "view")
_ABOVE = {"edit": "admin", "view": "edit"}
BINDINGS: dict[str, tuple[str, list[str]]] = {
    "cluster-admin": ("cluster-admin", ["system:masters"]),
    "kubeadm:cluster-admins": ("cluster-admin", ["kubeadm:cluster-admins"]),
    "system:basic-user": ("system:basic-user", ["system:authenticated"]),
    "system:discovery": ("system:discovery", ["system:authenticated"]),
    "system:public-info-viewer": ("system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]),
    "system:service-account-issuer-discovery": (
        "system:service-account-issuer-discovery",
        ["system:authenticated"],
    ),
}


def objects() -> list[Obj]:
    """The objects that the server makes for itself."""
    out: list[Obj] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    note = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    for name, rules in ROLES.items():
        above = _ABOVE.get(name)
        told = {**labels, f"{GROUP}/aggregate-to-{above}": "true"} if above else labels
        meta = {"name": name, "labels": told, "annotations": note}
        role: Obj = {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}
        if name in AGGREGATED:
            selected = {"matchLabels": {f"{GROUP}/aggregate-to-{name}": "true"}}
            role["aggregationRule"] = {"clusterRoleSelectors": [selected]}
        out.append(role)
    for name, (bound, members) in BINDINGS.items():
        meta = {"name": name} if name.startswith("kubeadm") else {"name": name, "labels": labels, "annotations": note}
        out.append(
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": meta,
                "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": bound},
                "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": member} for member in members],
            }
        )
    return out
