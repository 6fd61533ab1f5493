"""What kube-apiserver 1.36.2 refuses, with its statuses and texts: cases for test_like_kubernetes."""
# ruff: noqa: E501 - the server's texts are easier to find in one piece

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]
SPACE = "/api/v1/namespaces/same"
MAPS, SECRETS, SERVICES = f"{SPACE}/configmaps", f"{SPACE}/secrets", f"{SPACE}/services"
SETS = "/apis/apps/v1/namespaces/same/daemonsets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/same/deployments"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/same"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/same/leases"
JSON, APPLY = "application/json", "application/apply-patch+yaml"
MERGE, STRATEGIC, JSON_PATCH = (
    f"application/{name}+json" for name in ("merge-patch", "strategic-merge-patch", "json-patch")
)
PORT = "must be between 1 and 65535, inclusive"
LABEL_KEY = (
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)


def config_map(name: str, data: Obj | None = None, **meta: Any) -> Obj:
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}}
    return found if data is None else {**found, "data": data}


def secret(name: str, **more: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **more}


def daemon_set(container: Obj | None = None, spec: Obj | None = None, **pod: Any) -> Obj:
    """A DaemonSet that is fine but for what is given."""
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **pod},
    }
    full = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **(spec or {})}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": full}


def probe(**handler: Any) -> Obj:
    return {"livenessProbe": handler}


REQUIRED, PREFERRED = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))
TERMS = f"affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"


def nodes(*terms: Obj) -> Obj:
    """An affinity for nodes that one of the terms chooses."""
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [*terms]}}}


def deployment(name: str, pod: Obj | None = None, **spec: Any) -> Obj:
    """A Deployment that is fine but for what is given."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **(pod or {})},
    }
    full = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": full}


# What a DaemonSet is refused for: the change, the field below spec.template.spec, the text.
CONTAINER = "containers[0]"
REFUSED_SETS: list[tuple[Obj, str, str]] = [
    (daemon_set({"ports": [{"containerPort": 80, "name": "A_b"}]}), f"{CONTAINER}.ports[0].name",
     'Invalid value: "A_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'),
    (daemon_set({"ports": [{"containerPort": 80, "name": "a-very-long-name-of-a-port"}]}), f"{CONTAINER}.ports[0].name",
     'Invalid value: "a-very-long-name-of-a-port": must be no more than 15 characters'),
    (daemon_set({"ports": [{"containerPort": 80, "hostPort": 90}, {"containerPort": 81, "hostPort": 90}]}),
     f"{CONTAINER}.ports[1].hostPort", 'Duplicate value: "TCP//90"'),
    (daemon_set(probe()), f"{CONTAINER}.livenessProbe", "Required value: must specify a handler type"),
    (daemon_set(probe(exec={"command": ["a"]}, httpGet={"port": "x y"})), f"{CONTAINER}.livenessProbe.httpGet",
     "Forbidden: may not specify more than 1 handler type"),
    (daemon_set(probe(exec={"command": []})), f"{CONTAINER}.livenessProbe.exec.command", "Required value"),
    (daemon_set(probe(tcpSocket={"port": 0})), f"{CONTAINER}.livenessProbe.tcpSocket.port", f"Invalid value: 0: {PORT}"),
    (daemon_set(probe(exec={"command": ["x"]}, successThreshold=2)), f"{CONTAINER}.livenessProbe.successThreshold",
     "Invalid value: 2: must be 1"),
    (daemon_set({"lifecycle": {"preStop": {}}}), f"{CONTAINER}.lifecycle.preStop",
     "Required value: must specify a handler type"),
    (daemon_set({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}), f"{CONTAINER}.resources.requests",
     'Invalid value: "2": must be less than or equal to cpu limit of 1'),
    (daemon_set({"resources": {"requests": {"cpu": "-1"}}}), f"{CONTAINER}.resources.requests[cpu]",
     'Invalid value: "-1": must be greater than or equal to 0'),
    (daemon_set({"resources": {"requests": {"example.com/gpu": "1"}}}), f"{CONTAINER}.resources.limits",
     "Required value: Limit must be set for non overcommitable resources"),
    (daemon_set({"envFrom": [{}]}), f"{CONTAINER}.envFrom",
     'Invalid value: "": must specify one of: `configMapRef` or `secretRef`'),
    (daemon_set({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "odd"}}}]}),
     f"{CONTAINER}.env[0].valueFrom.resourceFieldRef.resource",
     'Unsupported value: "odd": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", '
     '"requests.cpu", "requests.ephemeral-storage", "requests.memory"'),
    (daemon_set({"volumeMounts": [{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}]},
                volumes=[{"name": "v", "emptyDir": {}}]), f"{CONTAINER}.volumeMounts.mountPropagation",
     "Forbidden: Bidirectional mount propagation is available only to privileged containers"),
    (daemon_set({"volumeDevices": [{"name": "x", "devicePath": "/d"}]}), f"{CONTAINER}.volumeDevices[0].name",
     'Not found: "x"'),
    (daemon_set({"securityContext": {"runAsUser": -1}}), f"{CONTAINER}.securityContext.runAsUser",
     "Invalid value: -1: must be between 0 and 2147483647, inclusive"),
    (daemon_set(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "-1"}}]), "volumes[0].emptyDir.sizeLimit",
     "Forbidden: SizeLimit field must be a valid resource quantity"),
    (daemon_set(volumes=[{"name": "v", "configMap": {"name": "x", "items": [{"key": "a", "path": "b", "mode": 9999}]}}]),
     "volumes[0].configMap.items[0].mode",
     "Invalid value: 9999: must be a number between 0 and 0777 (octal), both inclusive"),
    (daemon_set(dnsPolicy="None"), "dnsConfig", "Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    (daemon_set(preemptionPolicy="Odd"), "preemptionPolicy",
     'Unsupported value: "Odd": supported values: "PreemptLowerPriority", "Never"'),
    (daemon_set(dnsPolicy="Odd"), "dnsPolicy",
     'Unsupported value: "Odd": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"'),
    (daemon_set(shareProcessNamespace=True, hostPID=True), "securityContext.shareProcessNamespace",
     "Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"),
    (daemon_set(tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]), "tolerations[0].operator",
     "Invalid value: \"x\": value must be empty when `operator` is 'Exists'"),
    (daemon_set(affinity=nodes({"matchExpressions": [{"key": "a", "operator": "In"}]})),
     f"{TERMS}[0].matchExpressions[0].values", "Required value: must be specified when `operator` is 'In' or 'NotIn'"),
    (daemon_set(affinity=nodes({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]})),
     f"{TERMS}[0].matchExpressions[0].values",
     "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"),
    (daemon_set(affinity=nodes({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a", "b"]}]})),
     f"{TERMS}[0].matchFields[0].values",
     "Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
    (daemon_set(affinity=nodes({"matchFields": [{"key": "metadata.odd", "operator": "In", "values": ["a"]}]})),
     f"{TERMS}[0].matchFields[0].key", 'Invalid value: "metadata.odd": not a valid field selector key'),
    (daemon_set(affinity=nodes()), TERMS, "Required value: must have at least one node selector term"),
    (daemon_set(affinity={"podAntiAffinity": {PREFERRED: [{"weight": 0, "podAffinityTerm": {"topologyKey": "a"}}]}}),
     f"affinity.podAntiAffinity.{PREFERRED}[0].weight", "Invalid value: 0: must be in the range 1-100"),
    (daemon_set(topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule",
                                            "labelSelector": {}}]),
     "topologySpreadConstraints[0].maxSkew", "Invalid value: 0: must be greater than zero"),
    (daemon_set(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway",
                                            "labelSelector": {}, "minDomains": 2}]),
     "topologySpreadConstraints[0].minDomains",
     "Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"),
    (daemon_set(topologySpreadConstraints=2 * [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule",
                                                "labelSelector": {}}]),
     "topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}", 'Duplicate value: "{a, DoNotSchedule}"'),
    (daemon_set(hostAliases=[{"ip": "x"}]), "hostAliases[0].ip",
     'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'),
    (daemon_set(dnsPolicy="None", dnsConfig={}), "dnsConfig.nameservers",
     "Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"),
    (daemon_set(dnsConfig={"options": [{"name": ""}]}), "dnsConfig.options[0]", "Required value: must not be empty"),
    (daemon_set(hostUsers=False, hostNetwork=True), "hostNetwork", "Forbidden: when `hostUsers` is false"),
    (daemon_set(os={"name": "odd"}), "os", 'Unsupported value: "odd": supported values: "linux", "windows"'),
    (daemon_set(securityContext={"seccompProfile": {"type": "Localhost"}}),
     "securityContext.seccompProfile.localhostProfile", "Required value: must be set when seccomp type is Localhost"),
    (daemon_set(initContainers=[{"name": "i", "image": "i", "readinessProbe": {"exec": {"command": ["a"]}}}]),
     "initContainers[0].readinessProbe",
     "Forbidden: may not be set for init containers without restartPolicy=Always"),
    (daemon_set({"envFrom": [{"prefix": "1=", "secretRef": {"name": "s"}}]}), f"{CONTAINER}.envFrom[0].prefix",
     'Invalid value: "1=": a valid environment variable name must consist only of printable ASCII characters other than '
     "'='"),
    (daemon_set({"volumeMounts": [{"name": "v", "mountPath": "/a", "recursiveReadOnly": "Enabled"}]},
                volumes=[{"name": "v", "emptyDir": {}}]), f"{CONTAINER}.volumeMounts.recursiveReadOnly",
     "Forbidden: may only be specified when readOnly is true"),
    (daemon_set({"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}}),
     f"{CONTAINER}.securityContext",
     'Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,'
     '"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,'
     '"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: cannot set `allowPrivilegeEscalation` to false and '
     "`privileged` to true"),
]  # fmt: skip

# method, path, content type, body, status, message (its beginning where it ends in an ellipsis)
REFUSED: list[tuple[str, str, str, Any, int, str]] = [
    ("POST", SECRETS, JSON, secret("t", type="kubernetes.io/tls", data={"tls.crt": "eA=="}), 422,
     'Secret "t" is invalid: data[tls.key]: Required value'),
    ("POST", SECRETS, JSON, secret("d", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "eA=="}), 422,
     'Secret "d" is invalid: data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character '
     "'x' looking for beginning of value"),
    ("POST", SECRETS, JSON, secret("b", type="kubernetes.io/basic-auth"), 422,
     'Secret "b" is invalid: [data[username]: Required value, data[password]: Required value]'),
    ("PATCH", f"{SECRETS}/new", APPLY, secret("new", data={"a": "***"}), 500,
     "failed to convert new object (/new; /v1, Kind=Secret) to proper version: unable to convert unstructured object to "
     "/v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 0"),
    ("POST", MAPS, JSON, "[]", 400,
     "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: "
     'cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind '
     'string "json:\\"kind,omitempty\\"" } (5b5d)'),
    ("POST", MAPS, JSON, "null", 422,
     'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'),
    ("POST", MAPS, JSON, {"apiVersion": "a/b/c", "kind": "ConfigMap"}, 400,
     "the object provided is unrecognized (must be of type ConfigMap): unexpected GroupVersion string: a/b/c "
     '({"apiVersion": "a/b/c", "kind" ...)'),
    ("POST", MAPS, JSON, secret("x"), 400,
     'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown '
     "conversion"),
    ("POST", MAPS, JSON, {"apiVersion": "v1", "kind": "configmap"}, 400,
     'configmap in version "v1" cannot be handled as a ConfigMap: no kind "configmap" is registered for version "v1" in '
     'scheme "pkg/runtime/scheme.go:111"'),
    ("POST", MAPS, JSON, config_map("a" * 254), 422, f'ConfigMap "{"a" * 254}" is invalid: metadata.name: Invalid value: '
     f'"{"a" * 254}": must be no more than 253 characters'),
    ("POST", MAPS, JSON, config_map("o", ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "x"}]), 422,
     'ConfigMap "o" is invalid: metadata.ownerReferences.uid: Invalid value: "": must not be empty'),
    ("POST", MAPS, JSON, config_map("o", ownerReferences=[
        {"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "u"}]), 422,
     'ConfigMap "o" is invalid: metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"x",'
     '"uid":"u"}: /v1, Kind=Event is disallowed from being an owner'),
    ("POST", MAPS, JSON, config_map("f", finalizers=["bare"]), 422, 'ConfigMap "f" is invalid: metadata.finalizers[0]: '
     'Invalid value: "bare": name is neither a standard finalizer name nor is it fully qualified'),
    ("POST", MAPS, JSON, config_map("l", labels={"a/b/c": "x"}), 422,
     f'ConfigMap "l" is invalid: metadata.labels: Invalid value: "a/b/c": {LABEL_KEY}'),
    ("PATCH", f"{MAPS}/kept", APPLY, config_map("kept", deletionTimestamp="2020-01-01T00:00:00Z"), 422,
     'ConfigMap "kept" is invalid: metadata.deletionTimestamp: Invalid value: "2020-01-01T00:00:00Z": field is immutable'),
    ("PATCH", f"{MAPS}/kept", APPLY, "a: b: c", 400,
     "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context"),
    ("PATCH", f"{MAPS}/kept", MERGE, {"kind": "Secret", "data": {"a": "eA=="}}, 422, ' "" is invalid: patch: Invalid value…'),
    ("PATCH", f"{MAPS}/kept", MERGE, {"apiVersion": "v2"}, 422, ' "" is invalid: patch: Invalid value…'),
    ("PATCH", f"{MAPS}/kept", JSON_PATCH, [{"op": "replace", "path": "", "value": {}}], 400,
     "the name of the object (kept based on URL) was undeterminable: name must be provided"),
    ("PATCH", f"{MAPS}/kept", STRATEGIC, {"$patch": "delete"}, 400,
     "the name of the object (kept based on URL) was undeterminable: name must be provided"),
    ("PATCH", f"{MAPS}/kept", STRATEGIC, {"data": 5}, 422,
     ' "" is invalid: patch: Invalid value: "map[data:5]": cannot restore map from int64'),
    ("PATCH", f"{MAPS}/kept", STRATEGIC, {"data": {"x": 5}}, 422,
     ' "" is invalid: patch: Invalid value: "map[data:map[x:5]]": cannot convert int64 to string'),
    ("PATCH", f"{MAPS}/kept", STRATEGIC, [], 400,
     "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ("DELETE", f"{MAPS}/kept", JSON, {"propagationPolicy": "Odd"}, 422,
     'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Odd": supported values: '
     '"Foreground", "Background", "Orphan", "nil"'),
    ("DELETE", f"{MAPS}/kept", JSON, {"propagationPolicy": "Orphan", "orphanDependents": True}, 422,
     'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and '
     "deletionPropagation cannot be both set"),
    ("DELETE", f"{MAPS}/kept", JSON, {"kind": "Foo", "apiVersion": "v1"}, 400,
     'no kind "Foo" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"'),
    ("DELETE", f"{MAPS}/kept?gracePeriodSeconds=x&", JSON, None, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("PATCH", f"{SPACE}/status", MERGE, {"status": {"phase": "Odd"}}, 422, 'Namespace "same" is invalid: status.Phase: '
     "Invalid value: \"Odd\": may only be 'Active' if `deletionTimestamp` is empty"),
    ("PATCH", f"{SETS}/kept/status", MERGE, {"status": {"numberReady": -1}}, 422,
     'DaemonSet.apps "kept" is invalid: status.numberReady: Invalid value: -1: must be greater than or equal to 0'),
    ("POST", SETS, JSON, daemon_set(spec={"updateStrategy": {"type": "Odd"}}), 422,
     'DaemonSet.apps "d" is invalid: spec.updateStrategy: Unsupported value: {"Type":"Odd","RollingUpdate":null}: '
     'supported values: "RollingUpdate", "OnDelete"'),
    ("POST", SETS, JSON, daemon_set(spec={"selector": {"matchExpressions": [{"key": "a", "operator": "Odd"}]}}), 422,
     'DaemonSet.apps "d" is invalid: spec.selector.matchExpressions[0].operator: Invalid value: "Odd": not a valid '
     "selector operator"),
    ("POST", f"{RBAC}/roles", JSON, {"metadata": {"name": "r"}, "rules": [
        {"verbs": ["get"], "nonResourceURLs": ["/x"], "apiGroups": [""], "resources": ["x"]}]}, 422,
     'Role.rbac.authorization.k8s.io "r" is invalid: [rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules '
     'cannot apply to non-resource URLs, rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both '
     "regular resources and non-resource URLs]"),
    ("POST", f"{RBAC}/rolebindings", JSON, {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
     "subjects": [{"kind": "Odd", "name": "x"}]}, 422,
     'RoleBinding.rbac.authorization.k8s.io "b" is invalid: subjects[0].kind: Unsupported value: "Odd": supported values: '
     '"ServiceAccount", "User", "Group"'),
    ("POST", "/api/v1/nodes", JSON, {"metadata": {"name": "n"}, "spec": {"taints": [{"key": "a", "effect": "Odd"}]}}, 422,
     'Node "n" is invalid: metadata.taints[0].effect: Unsupported value: "Odd": supported values: "NoSchedule", '
     '"PreferNoSchedule", "NoExecute"'),
    ("POST", "/api/v1/nodes", JSON, {"metadata": {"name": "n"}, "spec": {"podCIDR": "x"}}, 422,
     'Node "n" is invalid: spec.podCIDRs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or '
     "2001:db8::/64)"),
    ("POST", SERVICES, JSON, {"metadata": {"name": "s"}, "spec": {}}, 422,
     'Service "s" is invalid: spec.ports: Required value'),
    ("POST", SERVICES, JSON, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}, {"port": 81}]}}, 422,
     'Service "s" is invalid: [spec.ports[0].name: Required value, spec.ports[1].name: Required value]'),
    ("POST", LEASES, JSON, {"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0}}, 422,
     'Lease.coordination.k8s.io "l" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'),
    ("POST", LEASES, JSON, {"metadata": {"name": "l"}, "spec": {"renewTime": "2026-01-01T00:00:00Z"}}, 400,
     'Lease in version "v1" cannot be handled as a Lease: parsing time "2026-01-01T00:00:00Z" as '
     '"2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"'),
    ("POST", "/api/v1/configmaps", JSON, config_map("x"), 405,
     "the server does not allow this method on the requested resource"),
    ("DELETE", "/api/v1/configmaps", JSON, None, 405, "the server does not allow this method on the requested resource"),
    ("GET", f"{SPACE}/nodes", JSON, None, 404, "the server could not find the requested resource"),
    ("GET", f"{MAPS}?resourceVersion=x&", JSON, None, 400, "invalid resource version: resourceVersion: Invalid value: "
     '"x": strconv.ParseUint: parsing "x": invalid syntax'),
    ("GET", f"{MAPS}?timeoutSeconds=x&", JSON, None, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("GET", f"{MAPS}?watch=1&continue=x&", JSON, None, 422, 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: '
     "Forbidden: resourceVersionMatch is forbidden when continue is provided"),
    ("GET", f"{MAPS}?continue=x&", JSON, None, 400,
     "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"),
    ("GET", f"{MAPS}?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjIiLCJydiI6MSwic3RhcnQiOiJhIn0&", JSON, None, 400,
     "invalid continue token: continue key is not valid: server does not recognize this encoded version meta.k8s.io/v2"),
    ("GET", f"{MAPS}?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi94In0&", JSON, None, 400,
     "invalid continue token: continue key is not valid: ../x"),
    ("GET", f"{MAPS}?resourceVersionMatch=Odd&", JSON, None, 422, 'ListOptions.meta.k8s.io "" is invalid: '
     "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, "
     'resourceVersionMatch: Unsupported value: "Odd": supported values: "Exact", "NotOlderThan", ""]'),
    ("GET", f"{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact&", JSON, None, 422,
     'ListOptions.meta.k8s.io "" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires setting '
     'resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: '
     '"NotOlderThan"]'),
    ("POST", DEPLOYMENTS, JSON, deployment("e", strategy={"type": "Odd"}), 422,
     'Deployment.apps "e" is invalid: spec.strategy: Unsupported value: {"Type":"Odd","RollingUpdate":null}: supported '
     'values: "Recreate", "RollingUpdate"'),
    ("POST", DEPLOYMENTS, JSON, deployment("e", {"activeDeadlineSeconds": 5}), 422,
     'Deployment.apps "e" is invalid: spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in '
     "ReplicaSet is not Supported"),
    ("POST", DEPLOYMENTS, JSON, deployment("e", progressDeadlineSeconds=-1), 422,
     'Deployment.apps "e" is invalid: [spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to '
     "0, spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds]"),
    ("POST", DEPLOYMENTS, JSON, deployment("e", selector={"matchExpressions": [{"key": "app", "operator": "In"}]}), 422,
     'Deployment.apps "e" is invalid: [spec.selector.matchExpressions[0].values: Required value: must be specified when '
     '`operator` is \'In\' or \'NotIn\', spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"In"}]'
     "}: invalid label selector]"),
    ("POST", f"{RBAC}/rolebindings", JSON, {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "a/b"}}, 422,
     "RoleBinding.rbac.authorization.k8s.io \"b\" is invalid: roleRef.name: Invalid value: \"a/b\": may not contain '/'"),
]  # fmt: skip
