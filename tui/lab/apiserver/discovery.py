"""Discovery: versions, groups and resources, as kubectl and the clients ask for them."""

from __future__ import annotations

from typing import Any

from tui.lab.apiserver import errors, resources
from tui.lab.apiserver.bodies import MEDIA_TYPES
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.resources import ALL_VERBS, Resource

Obj = dict[str, Any]
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
    "gitTreeState": "clean",
    "buildDate": "2026-06-17T00:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def names() -> list[str]:
    """The names of the groups but the core one, in the server's order."""
    return list(dict.fromkeys(name.rpartition("/")[0] for name in resources.groups() if "/" in name))


def wants_aggregated(call: Call) -> bool:
    """Whether the aggregated form is asked for; ApiError 406 where only a form that is not served is."""
    for kind, options in call.accepts():
        if options.get("as") == "APIGroupDiscoveryList":
            if options.get("v") == "v2":
                return True
        elif kind in ("application/json", "*/*", "application/*"):
            return False
    raise errors.ApiError(406, f"only the following media types are accepted: {MEDIA_TYPES}", "NotAcceptable")


def _aggregated_resource(each: Resource) -> Obj:
    out: Obj = {
        "resource": each.plural,
        "responseKind": {"group": "", "version": "", "kind": each.kind},
        "scope": "Namespaced" if each.namespaced else "Cluster",
        "singularResource": each.singular,
        "verbs": list(each.verbs),
    }
    if each.short:
        out["shortNames"] = list(each.short)
    if each.categories:
        out["categories"] = list(each.categories)
    if each.subresources:
        out["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for sub in each.subresources.values()
        ]
    return out


def aggregated(*, core: bool) -> Obj:
    """All resources of the core group, or of all other groups."""
    items = []
    for group in [""] if core else names():
        versions = [
            {
                "version": name.rpartition("/")[2],
                "resources": [_aggregated_resource(each) for each in held],
                "freshness": "Current",
            }
            for name, held in resources.groups().items()
            if name.rpartition("/")[0] == group
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": versions})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def api_versions(server: str) -> Obj:
    """GET /api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group(name: str) -> Obj | None:
    """One entry of the group list, None where there is no such group."""
    versions = [
        {"groupVersion": each, "version": each.rpartition("/")[2]}
        for each in resources.groups()
        if each.rpartition("/")[0] == name and "/" in each
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]} if versions else None


def group_list() -> Obj:
    """GET /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(name) for name in names()]}


def resource_list(api_version: str) -> Obj | None:
    """GET /api/v1, /apis/GROUP/VERSION; None where there is no such version."""
    held = resources.groups().get(api_version)
    if held is None:
        return None
    found: list[Obj] = []
    for each in held:
        item: Obj = {
            "name": each.plural,
            "singularName": each.singular,
            "namespaced": each.namespaced,
            "kind": each.kind,
            "verbs": list(each.verbs),
        }
        if each.short:
            item["shortNames"] = list(each.short)
        if each.categories:
            item["categories"] = list(each.categories)
        if set(each.verbs) >= set(ALL_VERBS) - {"deletecollection"}:
            item["storageVersionHash"] = each.storage_hash
        found.append(item)
        for sub in each.subresources.values():
            entry: Obj = {"name": f"{each.plural}/{sub.name}", "singularName": "", "namespaced": each.namespaced}
            if sub.group or sub.version:
                entry |= {"group": sub.group, "version": sub.version}
            found.append({**entry, "kind": sub.kind, "verbs": list(sub.verbs)})
    head: Obj = {"kind": "APIResourceList"} if api_version == "v1" else {"kind": "APIResourceList", "apiVersion": "v1"}
    return {**head, "groupVersion": api_version, "resources": found}


HEALTH_CHECKS = (
    "ping", "log", "informer-sync", "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers", "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter", "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers", "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced", "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller", "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector", "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller", "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles", "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer", "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller", "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers", "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller", "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-wait-for-first-sync", "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration", "autoregister-completion",
    "poststarthook/apiservice-openapi-controller", "poststarthook/apiservice-openapiv3-controller",
)  # fmt: skip


_LIVE = ["etcd", "loopback-serving-certificate"]


def health(name: str, *, verbose: bool) -> str:
    """The text of /healthz, /livez and /readyz."""
    if not verbose:
        return "ok"
    checks = [*HEALTH_CHECKS, *(["shutdown"] if name == "readyz" else [])]
    if name != "readyz":
        checks.remove("informer-sync")
    return "".join(f"[+]{check} ok\n" for check in checks) + f"{name} check passed\n"


def openapi_index() -> Obj:
    """GET /openapi/v3: the documents there are."""
    paths = [".well-known/openid-configuration", "api", "api/v1", "apis", "openid/v1/jwks", "version"]
    for name in resources.groups():
        if "/" in name:
            paths += [f"apis/{name.rpartition('/')[0]}", f"apis/{name}"]
    entries = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(path)}"} for path in sorted(set(paths))}
    return {"paths": entries}


def _hash(path: str) -> str:
    import hashlib

    return hashlib.sha512(f"{VERSION['gitVersion']} {path}".encode()).hexdigest().upper()


def root_index() -> Obj:
    """GET /: the paths of the server."""
    paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/"]
    for name in resources.groups():
        if "/" in name:
            paths += [f"/apis/{name.rpartition('/')[0]}", f"/apis/{name}"]
    for name, more in (("healthz", _LIVE), ("livez", _LIVE), ("readyz", ["informer-sync", "shutdown"])):
        checks = [check for check in HEALTH_CHECKS if check != "informer-sync"]
        paths += [f"/{name}", *(f"/{name}/{check}" for check in [*checks, *more])]
    paths += ["/flagz", "/statusz", "/metrics", "/metrics/slis", "/openid/v1/jwks", "/version"]
    paths += ["/openapi/v2", "/openapi/v3", "/openapi/v3/"]
    return {"paths": sorted(set(paths))}
